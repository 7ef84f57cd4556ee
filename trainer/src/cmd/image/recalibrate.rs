//! `image recalibrate`

use super::options::{Data, Report};
use crate::cmd::error::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::output::Output;
use crate::dataset::Split;
use crate::image::model::ImageModel;
use crate::image::training::accuracy;
use candle_core::Device;
use std::path::PathBuf;

/// Adapt batch normalization to another domain, without labels
///
/// Computes the means and variances of all batch normalizations anew from images of the other domain; no weight changes.
/// Prints the accuracy on its test images.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sirocco-train image recalibrate --from digits.safetensors --target usps --data data --out usps.safetensors"
)]
pub struct Arguments {
    /// Network file to start from
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Data set of the other domain. Its training images give the statistics; their labels are not used
    #[arg(long)]
    target: String,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    shifting: Shifting,
    /// Network file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Recalibrates, measures, writes.
///
/// # Errors
/// [`Error`] if a file cannot be read or written, or the network has no batch normalization.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let mut model = ImageModel::load(&arguments.from, &Device::Cpu)?;
    if model.network.moments.is_empty() {
        let name = &model.network.architecture.name;
        let remedy = "use thesis-digits, thesis-cifar or resnet8";
        return Err(Error::Usage(format!("`{name}` has no batch normalization to recalibrate; {remedy}")));
    }
    let architecture = model.network.architecture.clone();
    let images = arguments.data.load(&arguments.target, Split::Train, &architecture)?;
    let shift = arguments.shifting.fit(&Device::Cpu, output, || Ok(images.clone()))?;
    model.network.recalibrate(&shift.apply(&images, shifting::seed(Split::Train))?.pixels)?;
    let test = arguments.data.load(&arguments.target, Split::Test, &architecture)?;
    let test = shift.apply(&test, shifting::seed(Split::Test))?;
    let accuracies = [accuracy(&model.network, &test)?];
    model.provenance.insert("recalibrated".into(), arguments.target.clone());
    model.provenance.insert("recalibrated.shift".into(), arguments.shifting.to_string());
    model.provenance.insert("accuracy".into(), format!("{:.2}", accuracies[0]));
    model.save(&arguments.out)?;
    let report = Report::new(&accuracies, &[0], 0, Some(&arguments.out), 0);
    output.result(&report, |report| say!("{}", report.text()));
    Ok(())
}
