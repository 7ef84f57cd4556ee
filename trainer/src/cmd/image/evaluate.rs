//! `image evaluate`

use super::options::{Data, Report};
use crate::cmd::error::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::output::Output;
use crate::dataset::Split;
use crate::host::model_file::{Contents, ModelFileError, read};
use crate::image::answers::answers;
use crate::image::model::ImageModel;
use crate::image::stream::{self, Streams};
use crate::image::training::accuracy;
use candle_core::Device;
use serde::Serialize;
use sirocco::drift::usual::Scores;
use sirocco::error::Key;
use sirocco::held::Held;
use sirocco::layer::kernel::Portable;
use sirocco::layer::shape::Shape;
use sirocco::model::Model;
use sirocco::summary::ModelKind;
use std::path::PathBuf;

/// Measure the accuracy of a network on test images
///
/// A network of `image pretrain` or `image finetune` is computed in 32-bit floats, a file of `image quantize` with the
/// device's evaluator, to the same bits as on a device. Prints also how many answers a device withholds, and with --streams after
/// how many images its drift alarm is raised: on images as usual a false alarm, on shifted ones a right one.
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
    /// Of a device's file: number of streams of 256 images, drawn at random from the test images, that its drift alarm watches
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    streams: Option<u32>,
    /// Seed of the streams
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train image evaluate mnist.safetensors --dataset usps --data data --json
  sirocco-train image evaluate usps-int8.safetensors --dataset usps --data data --shift blur:1
  False alarms, and how soon noise is noticed:
    sirocco-train image evaluate mnist-int8.safetensors --dataset mnist --streams 4000
    sirocco-train image evaluate mnist-int8.safetensors --dataset mnist --streams 1000 --shift awgn:0,0.5";

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
    /// The drift alarm on streams of test images, if asked for.
    streams: Option<Streams>,
}

/// Measures and prints.
///
/// # Errors
/// [`Error`] if a file cannot be read, or the data set does not fit the network.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let mut metadata = Contents::read(&arguments.file)?.metadata;
    arguments.data.follow(&metadata);
    let kind = metadata.remove(Key::Kind.key());
    if kind.as_deref().and_then(ModelKind::from_name) == Some(ModelKind::Image) {
        return arguments.as_a_device_would(output);
    }
    let model = ImageModel::load(&arguments.file, &Device::Cpu)?;
    let load = |split| arguments.data.load(&arguments.dataset, split, &model.network.architecture);
    let shift = arguments.shifting.fit(&Device::Cpu, output, || load(Split::Train))?;
    let test = shift.apply(&load(Split::Test)?, shifting::seed(Split::Test))?;
    if arguments.streams.is_some() {
        return Err(Error::Usage("--streams needs a device's file, of `image quantize`".into()));
    }
    let accuracies = [accuracy(&model.network, &test)?];
    let report = Report::new(&accuracies, &[0], 0, Some(&arguments.file), 0);
    let (test_images, evaluator) = (test.len(), "f32");
    let evaluation =
        Evaluation { report, evaluator, test_images, withheld: None, accuracy_answered: None, streams: None };
    output.result(&evaluation, |evaluation| {
        say!("test accuracy {:.2} % of {test_images} images in 32-bit floats", evaluation.report.accuracy);
    });
    Ok(())
}

impl Arguments {
    fn as_a_device_would(&self, output: Output) -> Result<(), Error> {
        let bytes = read(&self.file)?;
        let unusable = |source| ModelFileError::refused(&self.file, &bytes, source);
        let model = Model::open(&bytes).map_err(unusable)?;
        let Held::Image(classifier) = Held::from_model::<Portable>(&model).map_err(unusable)? else {
            return Err(Error::Usage(format!("`{}` is no image network; name the file of one", self.file.display())));
        };
        let network = &classifier.network;
        let Shape { height, width, channels } = network.image();
        let name = self.file.display().to_string();
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
        let answers = answers(network, &test.pixels, &|| bar.step("by the device evaluator"))?;
        bar.finish();
        let scores: Vec<Scores> = answers.iter().map(|answer| stream::scores(&classifier, answer)).collect();
        let far = |scores: &Scores| match (scores.relative, classifier.distance_limit) {
            (Some([_, distance]), Some(limit)) => distance > limit,
            _ => false,
        };
        let streams = match self.streams {
            Some(_) if classifier.usual.is_none() && classifier.reference.is_none() => {
                let why = "states nothing to compare images with; quantize it again";
                return Err(Error::Usage(format!("`{}` {why}", self.file.display())));
            }
            streams => streams.map(|count| stream::watch(&classifier, &scores, count as usize, self.seed)),
        };
        let right = |answer: &crate::image::answers::Answer, label: &u8| answer.class == usize::from(*label);
        let percent = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
        let all: Vec<_> = answers.iter().zip(&test.labels).collect();
        let given = all.iter().zip(&scores).filter(|((a, _), scores)| !a.abstain && !far(scores));
        let answered: Vec<_> = given.map(|(pair, _)| pair).collect();
        let accuracies = [percent(all.iter().filter(|(a, l)| right(a, l)).count(), all.len())];
        let withheld = network.abstain().map(|_| percent(all.len() - answered.len(), all.len()));
        let accuracy_answered =
            network.abstain().map(|_| percent(answered.iter().filter(|(a, l)| right(a, l)).count(), answered.len()));
        let report = Report::new(&accuracies, &[0], 0, Some(&self.file), 0);
        let (test_images, evaluator) = (test.len(), "device");
        let evaluation = Evaluation { report, evaluator, test_images, withheld, accuracy_answered, streams };
        output.result(&evaluation, |_| {
            let withheld = withheld.zip(accuracy_answered).map_or(String::new(), |(withheld, right)| {
                format!("; withholds {withheld:.1} %, {right:.2} % of the others right")
            });
            say!(
                "test accuracy {:.2} % of {test_images} images in 8-bit integers, by the device evaluator{withheld}",
                accuracies[0]
            );
            if let Some(s) = streams {
                say!(
                    "drift alarm: within 32 images in {:.1} % of {} streams, within 256 in {:.1} %; in a long stream {:.2} alarms \
                     in 10,000 images, and {:.2} for the frequencies of the classes",
                    s.within_32, s.streams, s.within_256, s.alarms_per_10_000, s.frequent_per_10_000
                );
            }
        });
        Ok(())
    }
}
