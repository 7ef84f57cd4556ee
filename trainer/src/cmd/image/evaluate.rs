//! `image evaluate`: the accuracy of a network on a test set, of one in training or of a device's file.

use super::options::{Data, Report, progress};
use crate::cmd::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::options::Output;
use crate::dataset::Split;
use crate::host::model_file::{Contents, ModelFileError, read};
use crate::image::answers::answers;
use crate::image::model::ImageModel;
use crate::image::training::accuracy;
use candle_core::Device;
use serde::Serialize;
use sirocco::error::Key;
use sirocco::image::Network;
use sirocco::layer::shape::Shape;
use sirocco::model::Model;
use sirocco::summary::ModelKind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

/// Measure a network on a test set: one in training, or a device's file with the device's evaluator.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Network file of `image pretrain`, `image finetune` or `image quantize`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Data set whose test images are classified
    #[arg(long)]
    dataset: String,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    shifting: Shifting,
    #[command(flatten)]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train image evaluate mnist.safetensors --dataset usps --data data --json
  sirocco-train image evaluate usps-int8.safetensors --dataset usps --data data --shift blur:1";

/// The report of all image commands, and what only a device's file can tell. Shares in percent.
#[derive(Serialize)]
struct Evaluation<'a> {
    #[serde(flatten)]
    report: Report<'a>,
    /// `f32` for networks in training, `device` for a device's file.
    evaluator: &'static str,
    test_images: usize,
    /// Answers that the device withholds, and how many of the others are right.
    withheld: Option<f64>,
    accuracy_answered: Option<f64>,
}

impl Args {
    /// Measures and prints.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn run(self) -> Result<ExitCode, Error> {
        let kind = Contents::read(&self.file)?.metadata.remove(Key::Kind.key());
        if kind.as_deref().and_then(ModelKind::from_name) == Some(ModelKind::Image) {
            return self.as_a_device_would();
        }
        let model = ImageModel::load(&self.file, &Device::Cpu)?;
        let load = |split| self.data.load(&self.dataset, split, &model.network.architecture);
        let shift = self.shifting.fit(self.output.verbosity(), || load(Split::Train))?;
        let test = shift.apply(&load(Split::Test)?, shifting::seed(Split::Test))?;
        let accuracies = [accuracy(&model.network, &test)?];
        let report = Report::new(&accuracies, &[0], 0, Some(&self.file), 0);
        let (test_images, evaluator) = (test.len(), "f32");
        let evaluation = Evaluation { report, evaluator, test_images, withheld: None, accuracy_answered: None };
        self.output.print(&evaluation, || {
            format!("test accuracy {:.2} % of {test_images} images in 32-bit floats", evaluation.report.accuracy)
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn as_a_device_would(&self) -> Result<ExitCode, Error> {
        let bytes = read(&self.file)?;
        let unusable = |source| ModelFileError::Model { path: self.file.clone(), source };
        let model = Model::open(&bytes).map_err(unusable)?;
        let network = Network::open(&model).map_err(unusable)?;
        let Shape { height, width, channels } = network.image();
        let name = self.file.display().to_string();
        if height != width {
            return Err(format!("`{name}` takes images of {height}x{width}; data sets give square ones").into());
        }
        let load = |split| self.data.load_as(&self.dataset, split, &name, [channels, height, width]);
        let shift = self.shifting.fit(self.output.verbosity(), || load(Split::Train))?;
        let test = shift.apply(&load(Split::Test)?, shifting::seed(Split::Test))?;
        if test.classes != network.classes().count() {
            let (has, wants) = (test.classes, network.classes().count());
            let set = &self.dataset;
            return Err(
                format!("`{set}` has {has} classes, `{name}` tells {wants} apart; name another data set").into()
            );
        }
        let bar = Mutex::new((progress("test images", test.len(), self.output.verbosity()), 0));
        let answers = answers(&network, &test.pixels, &|| {
            if let Ok(mut bar) = bar.lock() {
                bar.1 += 1;
                let share = bar.1 as f64 / test.len() as f64;
                bar.0.advance(share, "as a device would");
            }
        })?;
        if let Ok((bar, _)) = bar.into_inner() {
            bar.finish();
        }
        let right = |answer: &crate::image::answers::Answer, label: &u8| answer.class == usize::from(*label);
        let percent = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
        let all: Vec<_> = answers.iter().zip(&test.labels).collect();
        let answered: Vec<_> = all.iter().filter(|(a, _)| !a.abstain).collect();
        let accuracies = [percent(all.iter().filter(|(a, l)| right(a, l)).count(), all.len())];
        let withheld = network.abstain().map(|_| percent(all.len() - answered.len(), all.len()));
        let accuracy_answered =
            network.abstain().map(|_| percent(answered.iter().filter(|(a, l)| right(a, l)).count(), answered.len()));
        let report = Report::new(&accuracies, &[0], 0, Some(&self.file), 0);
        let (test_images, evaluator) = (test.len(), "device");
        let evaluation = Evaluation { report, evaluator, test_images, withheld, accuracy_answered };
        self.output.print(&evaluation, || {
            let withheld = withheld.zip(accuracy_answered).map_or(String::new(), |(withheld, right)| {
                format!("; withholds {withheld:.1} %, {right:.2} % of the others right")
            });
            format!(
                "test accuracy {:.2} % of {test_images} images in 8-bit integers, by the device evaluator{withheld}",
                accuracies[0]
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
