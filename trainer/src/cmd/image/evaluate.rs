//! `image evaluate`

use super::options::{Data, Report};
use crate::cmd::error::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::output::Output;
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

/// Measure the accuracy of a network on test images
///
/// A network of `image pretrain` or `image finetune` is computed in 32-bit floats, a file of `image quantize` with the
/// device's evaluator, to the same bits as on a device. Prints also how many answers a device withholds for uncertainty.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
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
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train image evaluate mnist.safetensors --dataset usps --data data --json
  sirocco-train image evaluate usps-int8.safetensors --dataset usps --data data --shift blur:1";

/// The report of all image commands, and the figures of a device's file. Shares are in percent.
#[derive(Serialize)]
struct Evaluation<'a> {
    #[serde(flatten)]
    report: Report<'a>,
    /// `f32` for networks in training, `device` for a device's file.
    evaluator: &'static str,
    test_images: usize,
    /// Share of the answers that the device withholds, and accuracy of the others.
    withheld: Option<f64>,
    accuracy_answered: Option<f64>,
}

/// Measures and prints.
///
/// # Errors
/// [`Error`] if a file cannot be read, or the data set does not fit the network.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let kind = Contents::read(&arguments.file)?.metadata.remove(Key::Kind.key());
    if kind.as_deref().and_then(ModelKind::from_name) == Some(ModelKind::Image) {
        return arguments.as_a_device_would(output);
    }
    let model = ImageModel::load(&arguments.file, &Device::Cpu)?;
    let load = |split| arguments.data.load(&arguments.dataset, split, &model.network.architecture);
    let shift = arguments.shifting.fit(&Device::Cpu, output, || load(Split::Train))?;
    let test = shift.apply(&load(Split::Test)?, shifting::seed(Split::Test))?;
    let accuracies = [accuracy(&model.network, &test)?];
    let report = Report::new(&accuracies, &[0], 0, Some(&arguments.file), 0);
    let (test_images, evaluator) = (test.len(), "f32");
    let evaluation = Evaluation { report, evaluator, test_images, withheld: None, accuracy_answered: None };
    output.result(&evaluation, |evaluation| {
        say!("test accuracy {:.2} % of {test_images} images in 32-bit floats", evaluation.report.accuracy);
    });
    Ok(())
}

impl Arguments {
    fn as_a_device_would(&self, output: Output) -> Result<(), Error> {
        let bytes = read(&self.file)?;
        let unusable = |source| ModelFileError::Model { path: self.file.clone(), source };
        let model = Model::open(&bytes).map_err(unusable)?;
        let network = Network::open(&model).map_err(unusable)?;
        let Shape { height, width, channels } = network.image();
        let name = self.file.display().to_string();
        if height != width {
            let why = format!("`{name}` takes images of {height}x{width}; data sets give square ones");
            return Err(Error::Usage(why));
        }
        let load = |split| self.data.load_as(&self.dataset, split, &name, [channels, height, width]);
        let shift = self.shifting.fit(&Device::Cpu, output, || load(Split::Train))?;
        let test = shift.apply(&load(Split::Test)?, shifting::seed(Split::Test))?;
        if test.classes != network.classes().count() {
            let (has, wants) = (test.classes, network.classes().count());
            let set = &self.dataset;
            let why = format!("`{set}` has {has} classes, `{name}` tells {wants} apart; name another data set");
            return Err(Error::Usage(why));
        }
        let bar = output.bar("test images", test.len());
        let answers = answers(&network, &test.pixels, &|| bar.step("by the device evaluator"))?;
        bar.finish();
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
        output.result(&evaluation, |_| {
            let withheld = withheld.zip(accuracy_answered).map_or(String::new(), |(withheld, right)| {
                format!("; withholds {withheld:.1} %, {right:.2} % of the others right")
            });
            say!(
                "test accuracy {:.2} % of {test_images} images in 8-bit integers, by the device evaluator{withheld}",
                accuracies[0]
            );
        });
        Ok(())
    }
}
