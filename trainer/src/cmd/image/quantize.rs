//! `image quantize`

use super::options::Data;
use crate::cmd::error::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::output::Output;
use crate::cmd::reading;
use crate::dataset::images::permutation;
use crate::dataset::{self, Images, Split};
use crate::image::export::{ExportedImage, Labeled, Material, Options, export_with_progress};
use crate::image::held_out::{self, Division};
use crate::image::model::ImageModel;
use crate::image::quantize::range::Range;
use crate::image::quantize::winograd::{Budget, Transformed};
use crate::image::trust::{Risk, Sets};
use crate::report::html::{Block, Highlight, Image, Page, Section};
use crate::report::plot::{Axis, Content, Figure, Line, Panel};
use candle_core::Device;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Write a trained network as the file of 8-bit integers that a device reads
///
/// Batch normalization is folded into the convolutions. Weights become signed bytes with a scale per output channel,
/// activations become bytes, with ranges from training images. The file is opened with the device's evaluator, which
/// classifies every test image; accuracy and golden answers are written into it. Training images that the network did not learn
/// from give the temperature of its probabilities, the thresholds for withholding, and what is usual for the drift alarm. Prints
/// the accuracy before and after, how far answers can be trusted, and what the network costs a device.
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
    /// Number of training images that determine ranges
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    calibration: u32,
    /// Percentage of the values that ranges cover; the largest values saturate
    #[arg(long, value_name = "PERCENT", default_value_t = 100.0, value_parser = percentile)]
    percentile: f64,
    /// Share of images like the training images whose answers a device would withhold, because it is uncertain or because their
    /// features are far from those of the class; 0 for none. Images that were held out of the training determine the thresholds
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    withhold: f64,
    /// Let a device name sets of classes that hold the right one for at least this share of such images, such as 0.95
    #[arg(long, value_name = "SHARE", value_parser = coverage)]
    coverage: Option<f64>,
    /// Page to write: how probabilities and accuracy agree, and the wrong answers over the answers given
    #[arg(long, value_name = "HTML")]
    report: Option<PathBuf>,
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

/// Training images that determine the features that are usual for each class, at most.
const LEARNED: usize = 5000;
/// Held-out images without which there is no temperature, threshold or drift alarm.
const LEAST_HELD_OUT: usize = 20;

fn within(text: &str, what: &str, fits: impl Fn(f64) -> bool) -> Result<f64, String> {
    text.parse().ok().filter(|n| fits(*n)).ok_or_else(|| format!("give {what}"))
}

fn percentile(text: &str) -> Result<f64, String> {
    within(text, "a number from 90 to 100", |p| (90.0..=100.0).contains(&p))
}

fn share(text: &str) -> Result<f64, String> {
    within(text, "a share from 0 to less than 1", |s| (0.0..1.0).contains(&s))
}

fn coverage(text: &str) -> Result<f64, String> {
    within(text, "a share from 0.5 to less than 1", |s| (0.5..1.0).contains(&s))
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
    /// Training images that the network did not learn from: temperature, thresholds and what is usual come from them.
    held_out_images: usize,
    /// What logits are divided by.
    temperature: f64,
    /// Expected calibration error on the test images, as a share, without the temperature and with it.
    ece_before: f64,
    ece: f64,
    /// Predictive entropy in nats above which a device withholds its answer, and relative distance of the features.
    abstain: Option<f32>,
    abstain_distance: Option<f32>,
    /// Wrong answers over answers given, as shares.
    risk_coverage: Vec<Risk>,
    /// Sets of classes, if asked for.
    sets: Option<Sets>,
    warnings: Vec<String>,
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
    arguments.data.follow(&provenance);
    let set = arguments.data.open(&arguments.dataset)?;
    if set.classes.len() != classes.len() {
        let (has, wants, file) = (set.classes.len(), classes.len(), arguments.file.display());
        let (name, remedy) = (&set.name, "name the data set that the network is for");
        return Err(Error::Usage(format!("`{name}` has {has} classes, `{file}` tells {wants} apart; {remedy}")));
    }
    let train = arguments.data.load(&arguments.dataset, Split::Train, &network.architecture)?;
    let shift = arguments.shifting.fit(&Device::Cpu, output, || Ok(train.clone()))?;
    let Division { rest, held } = Division::of(&provenance, &arguments.dataset, &train)?;
    let chosen = permutation(rest.len(), arguments.seed);
    let calibration = rest.select(&chosen[..rest.len().min(arguments.calibration as usize)]);
    let calibration = shift.apply(&calibration, shifting::seed(Split::Train))?;
    let learned = shift.apply(&rest.first(LEARNED), shifting::seed(Split::Train))?;
    let held = shift.apply(&held, shifting::seed(Split::Train))?;
    let mut warnings = Vec::new();
    if held.len() < LEAST_HELD_OUT {
        warnings.push(format!(
            "the network's file names {} images of `{}` that it did not learn from, {LEAST_HELD_OUT} are needed; this file has no \
             temperature, no thresholds and no drift alarm, train with --validation for them",
            held.len(),
            arguments.dataset
        ));
    }
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    let test = arguments.data.load(&arguments.dataset, Split::Test, &network.architecture)?;
    let test = shift.apply(&test, shifting::seed(Split::Test))?;

    let mut provenance = provenance;
    for key in held_out::COUNTS {
        provenance.remove(key);
    }
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
    provenance.extend(reading::entries(&set));
    let withhold = (arguments.withhold > 0.0).then_some(arguments.withhold);
    let transformed = match (arguments.flash, arguments.ram) {
        (None, None) => Transformed::Never,
        (flash, ram) => {
            Transformed::Within(Budget { flash: flash.unwrap_or(usize::MAX), ram: ram.unwrap_or(usize::MAX) })
        }
    };
    let (tolerance, coverage) = (arguments.tolerance / 100.0, arguments.coverage);
    let options = Options { range, tolerance, withhold, coverage, transformed, provenance };
    let held = (held.len() >= LEAST_HELD_OUT).then_some(&held);
    let material = Material {
        calibration: labeled(&calibration),
        learned: labeled(&learned),
        held: held.map(labeled),
        check: labeled(&test),
    };

    let total = 2 * test.len();
    let bar = output.bar("test images", total);
    let folded = network.fold(&classes)?;
    let exported = export_with_progress(&folded, material, &options, &|| bar.step("integers, then f32"));
    bar.finish();
    let exported = exported?;
    crate::host::atomic::write(&arguments.out, &exported.bytes)?;
    if let Some(page) = &arguments.report {
        trust_page(&arguments.file, &exported).write(page)?;
    }
    let report = Report {
        accuracy: 100.0 * exported.accuracy,
        accuracy_before: 100.0 * exported.accuracy_before,
        accuracy_after: 100.0 * exported.accuracy,
        agreement: 100.0 * exported.agreement,
        max_difference: exported.max_difference,
        held_out_images: exported.held,
        temperature: exported.temperature,
        ece_before: exported.calibration_error[0],
        ece: exported.calibration_error[1],
        abstain: exported.thresholds.map(|t| t.entropy),
        abstain_distance: exported.thresholds.map(|t| t.distance),
        risk_coverage: exported.risk,
        sets: exported.sets,
        warnings,
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
        let mut trust = String::new();
        if self.held_out_images > 0 {
            trust += &format!(
                "\nby {} held-out training images: temperature {:.2}; calibration error on the test images {:.2} %, without the \
                 temperature {:.2} %",
                self.held_out_images,
                self.temperature,
                100.0 * self.ece,
                100.0 * self.ece_before
            );
        }
        if let (Some(entropy), Some(distance)) = (self.abstain, self.abstain_distance) {
            trust += &format!(
                "\nwithholds answers above an entropy of {entropy:.3} nats or {distance:.1} times the usual distance of the \
                 features: {:.1} % of the test images, {:.2} % of the others right",
                self.withheld, self.accuracy_answered
            );
        }
        if let Some(sets) = &self.sets {
            trust += &format!(
                "\nsets of classes for {:.1} %: the right one is in {:.2} % of them, {:.2} classes each on average",
                100.0 * sets.asked,
                100.0 * sets.coverage,
                sets.size
            );
        }
        format!(
            "test accuracy {:.2} % in f32, {:.2} % in 8-bit integers (the file, by the device evaluator, {} images); same \
             class on {:.2} %{trust}\n{} bytes, {} bytes of working memory, {} MACs, about {} \
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

/// A page with the calibration error and the risk over coverage.
fn trust_page(file: &Path, exported: &ExportedImage) -> Page {
    let points = exported.risk.iter().map(|r| (100.0 * r.coverage, 100.0 * r.risk)).collect();
    let (x, y) = (Axis::linear("answers given (%)"), Axis::linear("wrong ones among them (%)"));
    let panel = Panel::new(380, x, y, Content::Lines(vec![Line::solid("test images", 0, points)]));
    let svg = Figure::single("Risk over coverage", 720, panel).svg();
    let caption =
        "Wrong answers among those of the lowest entropy, over the share of answers that are given.".to_owned();
    let [before, after] = exported.calibration_error.map(|error| 100.0 * error);
    let prose = format!(
        "Probabilities are divided by a temperature of {:.3}, which {} training images determined that the network did not learn \
         from. The mean difference between probability and accuracy (expected calibration error, 15 bins) on the test images is \
         {after:.2} %, and {before:.2} % without the temperature. {:.1} % of the test images are withheld; of the other answers \
         {:.2} % are right.",
        exported.temperature,
        exported.held,
        100.0 * exported.withheld,
        100.0 * exported.accuracy_answered
    );
    Page {
        title: "How far answers can be trusted".into(),
        lead: format!("{}, measured with the device's evaluator on test images.", file.display()),
        highlights: vec![Highlight::new("calibration error", format!("{after:.2} %"), "on test images")],
        provenance: vec![("software".into(), crate::host::SOFTWARE.into())],
        sections: vec![Section {
            heading: "Calibration and risk".into(),
            blocks: vec![Block::Prose(prose), Block::Figures(vec![Image { svg, caption }])],
        }],
    }
}

fn labeled(images: &Images) -> Labeled<'_> {
    Labeled { pixels: &images.pixels, labels: &images.labels }
}
