//! `image quantize`: a trained network as the file of 8-bit integers that a device reads, checked and measured.

use super::options::Data;
use crate::cmd::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::options::Output;
use crate::dataset::images::permutation;
use crate::dataset::{self, Images, Split};
use crate::host::budget;
use crate::host::progress::Progress;
use crate::image::export::{Labelled, Options, export_watched};
use crate::image::model::ImageModel;
use crate::image::quantize::range::Range;
use crate::image::quantize::winograd::{Budget, Transformed};
use candle_core::Device;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

/// Write a trained network as the file of 8-bit integers that a device reads.
///
/// Batch normalisation goes into the convolutions; weights become signed bytes with a scale per output channel,
/// activations bytes whose ranges are seen on training images. The file is opened with the device's evaluator, which
/// answers every test image; its accuracy and golden answers are written into it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Network file of `image pretrain` or `image finetune`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Data set of the network's work: its training images calibrate, its test images measure
    #[arg(long)]
    dataset: String,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    shifting: Shifting,
    /// Training images that ranges and the threshold are taken from
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    calibration: u32,
    /// Ranges hold this part of the values, in percent; the rest saturates
    #[arg(long, value_name = "PERCENT", default_value_t = 100.0, value_parser = percentile)]
    percentile: f64,
    /// Share of the calibration images whose answers a device would withhold, which sets the threshold on the predictive
    /// entropy; 0 for no threshold
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    withhold: f64,
    /// Largest loss of test accuracy, in points; more is refused
    #[arg(long, value_name = "POINTS", default_value_t = 0.3, value_parser = points)]
    tolerance: f64,
    /// The board's flash for this file: bytes, or with K or M. Of the 3x3 convolutions, those that save most are stored for
    /// Winograd's form, which takes fewer instructions to the same answers, as long as --flash and --ram suffice
    #[arg(long, value_name = "SIZE", value_parser = size)]
    flash: Option<usize>,
    /// The board's working memory for this network: bytes, or with K or M; see --flash
    #[arg(long, value_name = "SIZE", value_parser = size)]
    ram: Option<usize>,
    /// Seed of the choice of calibration images
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train image quantize usps.safetensors --dataset usps --data data --out usps-int8.safetensors
  Finer steps, the largest 0.1 % of the values saturate:
    sirocco-train image quantize cifar.safetensors --dataset cifar10 --percentile 99.9 --out cifar-int8.safetensors --json
  The fastest form for a board with 512 KiB of flash and 64 KiB of RAM left:
    sirocco-train image quantize cifar.safetensors --dataset cifar10 --flash 512K --ram 64K --out cifar-int8.safetensors
  What it costs a device:
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

/// Accuracies and shares in percent.
#[derive(Serialize)]
struct Report<'a> {
    /// Of the file, by the device's evaluator, on all test images; the same as `accuracy_after`.
    accuracy: f64,
    accuracy_before: f64,
    accuracy_after: f64,
    /// Test images to which both give the same class.
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

impl Args {
    /// Quantises, measures, writes.
    ///
    /// # Errors
    /// Files that cannot be read or written; a network that no device takes, or that loses too much.
    pub fn run(self) -> Result<ExitCode, Error> {
        let ImageModel { network, classes, provenance } = ImageModel::load(&self.file, &Device::Cpu)?;
        let set = dataset::find(&self.dataset)?;
        if set.classes.len() != classes.len() {
            let (has, wants, file) = (set.classes.len(), classes.len(), self.file.display());
            return Err(format!(
                "`{}` has {has} classes, `{file}` tells {wants} apart; name the data set of the network's work",
                self.dataset
            )
            .into());
        }
        let train = self.data.load(&self.dataset, Split::Train, &network.architecture)?;
        let chosen = permutation(train.len(), self.seed);
        let calibration = train.select(&chosen[..train.len().min(self.calibration as usize)]);
        let shift = self.shifting.fit(self.output.verbosity(), || Ok(train.clone()))?;
        let calibration = shift.apply(&calibration, shifting::seed(Split::Train))?;
        let test = self.data.load(&self.dataset, Split::Test, &network.architecture)?;
        let test = shift.apply(&test, shifting::seed(Split::Test))?;

        let mut provenance = provenance;
        if let Some(accuracy) = provenance.remove("accuracy") {
            provenance.insert("accuracy.trained".into(), accuracy);
        }
        let range = if self.percentile < 100.0 { Range::Percentile(self.percentile) } else { Range::MinMax };
        let entries = [
            ("network", network.architecture.name.clone()),
            ("quantised.data", dataset::fingerprint(&train)),
            ("quantised.dataset", self.dataset.clone()),
            ("quantised.images", calibration.len().to_string()),
            ("quantised.percentile", self.percentile.to_string()),
            ("quantised.seed", self.seed.to_string()),
            ("quantised.shift", self.shifting.to_string()),
            ("software", concat!("sirocco-trainer ", env!("CARGO_PKG_VERSION")).to_string()),
        ];
        provenance.extend(entries.map(|(k, v)| (k.to_string(), v)));
        let withhold = (self.withhold > 0.0).then_some(self.withhold);
        let transformed = match (self.flash, self.ram) {
            (None, None) => Transformed::Never,
            (flash, ram) => {
                Transformed::Within(Budget { flash: flash.unwrap_or(usize::MAX), ram: ram.unwrap_or(usize::MAX) })
            }
        };
        let options = Options { range, tolerance: self.tolerance / 100.0, withhold, transformed, provenance };

        let total = 2 * test.len();
        let bar = Progress::new("test images", budget::Budget::iterations(total), self.output.verbosity());
        let bar = Mutex::new((bar, 0));
        let folded = network.fold(&classes)?;
        let exported = export_watched(&folded, labelled(&calibration), labelled(&test), &options, &|| {
            if let Ok(mut bar) = bar.lock() {
                bar.1 += 1;
                let (share, what) = (bar.1 as f64 / total as f64, if bar.1 <= total / 2 { "integers" } else { "f32" });
                bar.0.advance(share, what);
            }
        });
        if let Ok((bar, _)) = bar.into_inner() {
            bar.finish();
        }
        let exported = exported?;
        crate::host::atomic::write(&self.out, &exported.bytes)?;
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
            file: &self.out,
            cpu_seconds: crate::host::clock::cpu_seconds(),
        };
        self.output.print(&report, || report.text())?;
        Ok(ExitCode::SUCCESS)
    }
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

fn labelled(images: &Images) -> Labelled<'_> {
    Labelled { pixels: &images.pixels, labels: &images.labels }
}
