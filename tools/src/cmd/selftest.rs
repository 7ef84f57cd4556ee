//! `sirocco selftest`: compares the answers of a device with those of this machine.

use crate::Error;
use crate::client::{Client, answered};
use crate::input::model_file::ModelFile;
use crate::input::quantities;
use crate::output::Output;
use crate::port::{HELP, PortArguments};
use serde::Serialize;
use sirocco::bundle::Certificate;
use sirocco::held::{Classifier, Held};
use sirocco::layer::kernel::Portable;
use sirocco::query::Prediction;
use sirocco::wire::ask;

/// One query in so many also has its certificate compared: a certificate costs as much as 4 to 34 predictions.
const CERTIFY_EVERY: usize = 16;

/// Check that a device computes the same bits as this machine
///
/// The device evaluates the golden queries or images in its model file and compares its answers with the ones stored
/// there. With --model, it also answers random queries inside and outside the domain, or random images, which this
/// machine answers from the same file; every bit has to agree.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sirocco selftest --port /dev/ttyACM0
  sirocco selftest --port qemu:qemu-mps2-an386 --model model.safetensors --queries 1000 --json

{HELP}"))]
pub struct Arguments {
    #[command(flatten)]
    port: PortArguments,
    /// Number of random queries or images, with --model
    #[arg(long, default_value_t = 100)]
    queries: usize,
    /// Seed of the random queries or images
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// The result of a self-test.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Number of golden queries or images that the device evaluated.
    pub golden: u16,
    /// Number of random queries or images.
    pub queries: usize,
    /// Number of answers compared, golden and random.
    pub compared: usize,
    /// Number of answers that differ.
    pub mismatches: usize,
    /// The query of the first answer that differs.
    pub first_mismatch: Option<String>,
    /// Whether all answers agree.
    pub passed: bool,
}

/// Runs the self-test.
///
/// # Errors
/// [`Error::SelfTest`] if an answer differs, [`Error::OtherModel`] if `--model` is not the model on the device; those
/// of [`PortArguments::connect`] and of [`check`].
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let file = arguments.port.model()?;
    let (mut client, info) = arguments.port.connect(output)?;
    if let Some(file) = &file {
        let crc32 = file.model()?.crc32();
        if crc32 != info.model.crc32 {
            return Err(Error::OtherModel { device: info.model.crc32, file: crc32 });
        }
    }
    let report = check(&mut client, file.as_ref(), arguments.queries, arguments.seed)?;
    output.result(&report, |report| {
        say!("golden   {:>6} queries evaluated by the device", report.golden);
        say!("random   {:>6} queries compared with this machine", report.queries);
        say!("differ   {:>6}", report.mismatches);
        if let Some(first) = &report.first_mismatch {
            say!("first    {first}");
        }
    });
    match report.mismatches {
        0 => Ok(()),
        mismatches => Err(Error::SelfTest { mismatches, compared: report.compared }),
    }
}

/// Has the device evaluate its golden queries, and compares `queries` random ones with `file`, if there is one.
///
/// # Errors
/// [`Error::Model`] if the file is not a valid model, [`Error::Client`] if the device fails.
pub fn check(client: &mut Client, file: Option<&ModelFile>, queries: usize, seed: u64) -> Result<Report, Error> {
    let golden = client.ask(ask::SelfTest)?;
    let mut mismatches = usize::from(golden.mismatches);
    let mut first_mismatch = golden.first_mismatch.map(|index| format!("golden query {index}"));
    let mut asked = 0;
    let held = file.map(ModelFile::held).transpose()?;
    if let Some(Held::Image(image)) = &held {
        for number in 0..queries {
            asked += 1;
            if !same_answer(client, image, seed, number)? {
                mismatches += 1;
                first_mismatch.get_or_insert_with(|| format!("random image {number}"));
            }
        }
    }
    if let Some(Held::Bundle(bundle)) = &held {
        for query in bundle.probes(seed).take(queries) {
            asked += 1;
            let (device, host) = (answered(client.ask(ask::Predict(query)))?, bundle.predict(&query));
            let mut same = device.map(|p| bits(&p)) == host.map(|p| bits(&p));
            if asked % CERTIFY_EVERY == 0 {
                let (device, host) = (answered(client.ask(ask::Certify(query)))?, bundle.certify(&query));
                same &= device.map(|c| certificate_bits(&c)) == host.map(|c| certificate_bits(&c));
            }
            if !same {
                mismatches += 1;
                first_mismatch.get_or_insert_with(|| quantities::text(bundle.ode(), &query));
            }
        }
    }
    let compared = usize::from(golden.queries) + asked;
    let passed = mismatches == 0;
    Ok(Report { golden: golden.queries, queries: asked, compared, mismatches, first_mismatch, passed })
}

/// Whether a device and this machine give the same answer, bit for bit, to an image of random bytes.
fn same_answer(client: &mut Client, image: &Classifier<'_>, seed: u64, number: usize) -> Result<bool, Error> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number as u64;
    let pixels: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(image.network.image().size())
    .collect();
    let device = client.check(&pixels)?;
    let probabilities = client.probabilities(image.network.class_count())?;
    let Ok(logits) = image.network.logits::<Portable>(&pixels, &mut vec![0; image.network.arena()]) else {
        return Ok(false);
    };
    let host = logits.classify(None);
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let same = usize::from(device.class) == host.class
        && bits(&[device.probability, device.entropy]) == bits(&[host.probability, host.entropy]);
    Ok(same && bits(&probabilities) == bits(logits.probabilities().values()))
}

/// A prediction as integers, which compare exactly.
fn bits(answer: &Prediction) -> (Vec<u32>, bool, bool) {
    let values = answer.state.iter().chain(&answer.derivative).chain(&answer.residual);
    (values.map(|v| v.to_bits()).collect(), answer.in_domain, answer.plausible)
}

/// A certificate as integers, which compare exactly.
fn certificate_bits(answer: &Certificate) -> (Vec<u32>, Option<u32>, bool) {
    let values = answer.error.iter().chain(&answer.corrected).chain([&answer.estimate]);
    (values.map(|v| v.to_bits()).collect(), answer.bound.map(f32::to_bits), answer.trusted)
}
