//! `image recalibrate`: the statistics of batch normalisation from unlabelled images of another domain.

use super::options::{Data, Report};
use crate::cmd::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::options::Output;
use crate::dataset::Split;
use crate::image::model::ImageModel;
use crate::image::training::accuracy;
use candle_core::Device;
use std::path::PathBuf;
use std::process::ExitCode;

/// Take batch normalisation to another domain, without labels.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  sirocco-train image recalibrate --from digits.safetensors --target usps --data data --out usps.safetensors"
)]
pub struct Args {
    /// Network file
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Data set whose training images, without labels, give the statistics
    #[arg(long)]
    target: String,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    shifting: Shifting,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl Args {
    /// Recalibrates, measures, writes.
    ///
    /// # Errors
    /// Files that cannot be read or written; a network without batch normalisation.
    pub fn run(self) -> Result<ExitCode, Error> {
        let mut model = ImageModel::load(&self.from, &Device::Cpu)?;
        if model.network.moments.is_empty() {
            let name = &model.network.architecture.name;
            return Err(format!(
                "`{name}` has no batch normalisation to recalibrate; use thesis-digits, thesis-cifar or resnet8"
            )
            .into());
        }
        let architecture = model.network.architecture.clone();
        let images = self.data.load(&self.target, Split::Train, &architecture)?;
        let shift = self.shifting.fit(self.output.verbosity(), || Ok(images.clone()))?;
        model.network.recalibrate(&shift.apply(&images, shifting::seed(Split::Train))?.pixels)?;
        let test = self.data.load(&self.target, Split::Test, &architecture)?;
        let test = shift.apply(&test, shifting::seed(Split::Test))?;
        let accuracies = [accuracy(&model.network, &test)?];
        model.provenance.insert("recalibrated".into(), self.target.clone());
        model.provenance.insert("recalibrated.shift".into(), self.shifting.to_string());
        model.provenance.insert("accuracy".into(), format!("{:.2}", accuracies[0]));
        model.save(&self.out)?;
        let report = Report::new(&accuracies, &[0], 0, Some(&self.out), 0);
        self.output.print(&report, || report.text())?;
        Ok(ExitCode::SUCCESS)
    }
}
