//! `image quantize`

use super::options::Data;
use crate::cmd::error::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::output::Output;
use crate::dataset::images::permutation;
use crate::dataset::{self, Images, Split};
use crate::image::export::{Labeled, Options, export_with_progress};
use crate::image::model::ImageModel;
use crate::image::quantize::range::Range;
use crate::image::quantize::winograd::{Budget, Transformed};
use candle_core::Device;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Write a trained network as the file of 8-bit integers that a device reads
///
/// Batch normalization is folded into the convolutions. Weights become signed bytes with a scale per output channel,
/// activations become bytes, with ranges from training images. The file is opened with the device's evaluator, which
/// classifies every test image; accuracy and golden answers are written into it. Prints the accuracy before and after, and
/// what the network costs a device.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Network file of `image pretrain` or `image finetune`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Data set that the network is used on: its training images calibrate, its test images measure
    #[arg(long)]
    dataset: String,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    shifting: Shifting,
    /// Number of training images that determine ranges and threshold
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    calibration: u32,
    /// Percentage of the values that ranges cover; the largest values saturate
    #[arg(long, value_name = "PERCENT", default_value_t = 100.0, value_parser = percentile)]
    percentile: f64,
    /// Share of the calibration images whose answers a device would withhold for uncertainty; 0 for none. It sets the
    /// threshold on the predictive entropy
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    withhold: f64,
    /// Largest acceptable loss of test accuracy, in percentage points; the command fails if it is larger
    #[arg(long, value_name = "POINTS", default_value_t = 0.3, value_parser = points)]
    tolerance: f64,
    /// Flash that the board has for this file, in bytes, or with K or M. With --flash or --ram, as many 3x3 convolutions as
    /// fit are stored for Winograd's form, which gives the same answers in fewer instructions
    #[arg(long, value_name = "SIZE", value_parser = size)]
    flash: Option<usize>,
    /// Working memory that the board has for this network, in bytes, or with K or M; see --flash
    #[arg(long, value_name = "SIZE", value_parser = size)]
    ram: Option<usize>,
    /// Seed of the choice of calibration images
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Model file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train image quantize usps.safetensors --dataset usps --data data --out usps-int8.safetensors
  Finer steps, the largest 0.1 % of the values saturate:
    sirocco-train image quantize cifar.safetensors --dataset cifar10 --percentile 99.9 --out cifar-int8.safetensors --json
  The fastest form for a board with 512 KiB of flash and 64 KiB of RAM left:
    sirocco-train image quantize cifar.safetensors --dataset cifar10 --flash 512K --ram 64K --out cifar-int8.safetensors
  The memory and the instructions that it takes on a device:
    sirocco inspect usps-int8.safetensors";

fn within(text: &str, what: &str, fits: impl Fn(f64) -> bool) -> Result<f64, String> {
    text.parse().ok().filter(|n| fits(*n)).ok_or_else(|| format!("give {what}"))
}

fn percentile(text: &str) -> Result<f64, String> {
    within(text, "a number from 90 to 100", |p| (90.0..=100.0).contains(&p))
}

fn share(text: &str) -> Result<f64, String> {
    within(text, "a share from 0 to less than 1", |s| (0.0..1.0).contains(&s))
}

fn points(text: &str) -> Result<f64, String> {
    within(text, "points from 0 to 100", |p| (0.0..=100.0).contains(&p))
}

fn size(text: &str) -> Result<usize, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = [("", 1), ("K", 1 << 10), ("M", 1 << 20)].into_iter().find(|(name, _)| unit.eq_ignore_ascii_case(name));
    let bytes = number.parse::<usize>().ok().zip(unit).and_then(|(n, (_, unit))| n.checked_mul(unit));
    bytes
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "give bytes, or kibibytes and mebibytes as `64K` and `1M`".to_owned())
}

/// The report. Accuracies and shares are in percent.
#[derive(Serialize)]
struct Report<'a> {
    /// Of the file, by the device's evaluator, on all test images: the same as `accuracy_after`.
    accuracy: f64,
    accuracy_before: f64,
    accuracy_after: f64,
    /// Share of the test images to which both networks give the same class.
    agreement: f64,
    /// Largest difference of a logit.
    max_difference: f64,
    /// Predictive entropy in nats above which a device withholds its answer.
    abstain: Option<f32>,
    withheld: f64,
    accuracy_answered: f64,
    test_images: usize,
    calibration_images: usize,
    bytes: usize,
    /// Bytes of working memory.
    arena: usize,
    /// Convolutions in Winograd's form.
    transformed: usize,
    macs: u32,
    /// Predicted for a Cortex-M4.
    instructions_dsp: u64,
    instructions_portable: u64,
    file: &'a Path,
    cpu_seconds: Option<f64>,
}

/// Quantizes, measures, writes.
///
/// # Errors
/// [`Error`] if a file cannot be read or written, no device can evaluate the network, or it loses too much accuracy.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let ImageModel { network, classes, provenance } = ImageModel::load(&arguments.file, &Device::Cpu)?;
    let set = dataset::find(&arguments.dataset)?;
    if set.classes.len() != classes.len() {
        let (has, wants, file) = (set.classes.len(), classes.len(), arguments.file.display());
        let (name, remedy) = (set.name, "name the data set that the network is for");
        return Err(Error::Usage(format!("`{name}` has {has} classes, `{file}` tells {wants} apart; {remedy}")));
    }
    let train = arguments.data.load(&arguments.dataset, Split::Train, &network.architecture)?;
    let chosen = permutation(train.len(), arguments.seed);
    let calibration = train.select(&chosen[..train.len().min(arguments.calibration as usize)]);
    let shift = arguments.shifting.fit(&Device::Cpu, output, || Ok(train.clone()))?;
    let calibration = shift.apply(&calibration, shifting::seed(Split::Train))?;
    let test = arguments.data.load(&arguments.dataset, Split::Test, &network.architecture)?;
    let test = shift.apply(&test, shifting::seed(Split::Test))?;

    let mut provenance = provenance;
    if let Some(accuracy) = provenance.remove("accuracy") {
        provenance.insert("accuracy.trained".into(), accuracy);
    }
    let range = if arguments.percentile < 100.0 { Range::Percentile(arguments.percentile) } else { Range::MinMax };
    let entries = [
        ("network", network.architecture.name.clone()),
        ("quantised.data", dataset::fingerprint(&train)),
        ("quantised.dataset", arguments.dataset.clone()),
        ("quantised.images", calibration.len().to_string()),
        ("quantised.percentile", arguments.percentile.to_string()),
        ("quantised.seed", arguments.seed.to_string()),
        ("quantised.shift", arguments.shifting.to_string()),
        ("software", crate::host::SOFTWARE.to_string()),
    ];
    provenance.extend(entries.map(|(k, v)| (k.to_string(), v)));
    let withhold = (arguments.withhold > 0.0).then_some(arguments.withhold);
    let transformed = match (arguments.flash, arguments.ram) {
        (None, None) => Transformed::Never,
        (flash, ram) => {
            Transformed::Within(Budget { flash: flash.unwrap_or(usize::MAX), ram: ram.unwrap_or(usize::MAX) })
        }
    };
    let options = Options { range, tolerance: arguments.tolerance / 100.0, withhold, transformed, provenance };

    let total = 2 * test.len();
    let bar = output.bar("test images", total);
    let folded = network.fold(&classes)?;
    let exported = export_with_progress(&folded, labeled(&calibration), labeled(&test), &options, &|| {
        bar.step("integers, then f32")
    });
    bar.finish();
    let exported = exported?;
    crate::host::atomic::write(&arguments.out, &exported.bytes)?;
    let report = Report {
        accuracy: 100.0 * exported.accuracy,
        accuracy_before: 100.0 * exported.accuracy_before,
        accuracy_after: 100.0 * exported.accuracy,
        agreement: 100.0 * exported.agreement,
        max_difference: exported.max_difference,
        abstain: exported.abstain,
        withheld: 100.0 * exported.withheld,
        accuracy_answered: 100.0 * exported.accuracy_answered,
        test_images: test.len(),
        calibration_images: calibration.len(),
        bytes: exported.bytes.len(),
        arena: exported.arena,
        transformed: exported.transformed,
        macs: exported.macs,
        instructions_dsp: exported.instructions[0],
        instructions_portable: exported.instructions[1],
        file: &arguments.out,
        cpu_seconds: crate::host::clock::cpu_seconds(),
    };
    output.result(&report, |report| say!("{}", report.text()));
    Ok(())
}

impl Report<'_> {
    fn text(&self) -> String {
        let threshold = self.abstain.map_or(String::new(), |threshold| {
            format!(
                "\nabstains above an entropy of {threshold:.3} nats: {:.1} % of the test images withheld, {:.2} % of the \
                 others right",
                self.withheld, self.accuracy_answered
            )
        });
        format!(
            "test accuracy {:.2} % in f32, {:.2} % in 8-bit integers (the file, by the device evaluator, {} images); same \
             class on {:.2} %{threshold}\n{} bytes, {} bytes of working memory, {} MACs, about {} \
             instructions on a Cortex-M4, {} without its DSP ones\nwrote {}",
            self.accuracy_before,
            self.accuracy_after,
            self.test_images,
            self.agreement,
            self.bytes,
            self.arena,
            self.macs,
            self.instructions_dsp,
            self.instructions_portable,
            self.file.display()
        )
    }
}

fn labeled(images: &Images) -> Labeled<'_> {
    Labeled { pixels: &images.pixels, labels: &images.labels }
}
