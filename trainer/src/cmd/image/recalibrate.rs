//! `image recalibrate`

use super::options::{Data, Report};
use crate::cmd::error::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::output::Output;
use crate::dataset::Split;
use crate::image::held_out;
use crate::image::model::ImageModel;
use crate::image::recalibration::recalibrate;
use crate::image::training::accuracy;
use candle_core::Device;
use serde::Serialize;
use std::path::PathBuf;

/// Adapt batch normalization to another domain, and check that it helps
///
/// Computes the means and variances of all batch normalizations anew from images of the other domain, without their labels; no
/// weight changes. Then it classifies labeled images that were held out of them with the old statistics and with the new ones.
/// If the new ones are worse, nothing is written, unless --force is given. Prints both accuracies, and that on the test images.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sirocco-train image recalibrate --from digits.safetensors --target usps --data data --out usps.safetensors"
)]
pub struct Arguments {
    /// Network file to start from
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Data set of the other domain. Its training images give the statistics
    #[arg(long)]
    target: String,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    shifting: Shifting,
    /// Number of training images that are held out, with their labels, to compare old and new statistics. A tenth of them
    /// unless given, at most 5,000
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    validation: Option<usize>,
    /// Write the new statistics even if they are worse
    #[arg(long)]
    force: bool,
    /// Network file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// The report of all image commands, and the comparison on the held-out images. Accuracies are in percent.
#[derive(Serialize)]
struct Recalibration<'a> {
    #[serde(flatten)]
    report: Report<'a>,
    held_out_images: usize,
    held_out_before: f64,
    held_out_after: f64,
}

/// Recalibrates, compares, measures, writes.
///
/// # Errors
/// [`Error`] if a file cannot be read or written, the network has no batch normalization, or the new statistics are worse.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let mut model = ImageModel::load(&arguments.from, &Device::Cpu)?;
    arguments.data.follow(&model.provenance);
    if model.network.moments.is_empty() {
        let name = &model.network.architecture.name;
        let remedy = "use thesis-digits, thesis-cifar or resnet8";
        return Err(Error::Usage(format!("`{name}` has no batch normalization to recalibrate; {remedy}")));
    }
    let architecture = model.network.architecture.clone();
    let images = arguments.data.load(&arguments.target, Split::Train, &architecture)?;
    let shift = arguments.shifting.fit(&Device::Cpu, output, || Ok(images.clone()))?;
    let images = shift.apply(&images, shifting::seed(Split::Train))?;
    let [rest, held] = held_out::split(&images, arguments.validation.unwrap_or(held_out::usual(images.len())))?;
    let recalibrated = recalibrate(&model.network, &rest, &held)?;
    let (before, after) = (recalibrated.before, recalibrated.after);
    if !recalibrated.helps() && !arguments.force {
        return Err(Error::Worse { before, after, images: held.len() });
    }
    model.network = recalibrated.network;
    let test = arguments.data.load(&arguments.target, Split::Test, &architecture)?;
    let test = shift.apply(&test, shifting::seed(Split::Test))?;
    let accuracies = [accuracy(&model.network, &test)?];
    let entries = [
        ("recalibrated", arguments.target.clone()),
        ("recalibrated.shift", arguments.shifting.to_string()),
        ("recalibrated.before", format!("{before:.2}")),
        ("recalibrated.after", format!("{after:.2}")),
        ("accuracy", format!("{:.2}", accuracies[0])),
    ];
    model.provenance.extend(entries.map(|(k, v)| (k.to_string(), v)));
    model.save(&arguments.out)?;
    let report = Report::new(&accuracies, &[held.len()], 0, Some(&arguments.out), 0);
    let (held_out_before, held_out_after, held_out_images) = (before, after, held.len());
    let recalibration = Recalibration { report, held_out_images, held_out_before, held_out_after };
    output.result(&recalibration, |recalibration| {
        let forced = if after < before { "; written all the same, as --force was given" } else { "" };
        say!(
            "{before:.2} % of {held_out_images} held-out images right with the old statistics, {after:.2} % with the new ones{forced}"
        );
        say!("{}", recalibration.report.text());
    });
    Ok(())
}
