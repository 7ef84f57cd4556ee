//! `image pretrain`

use super::options::{Data, Report, steps};
use super::recipe::{self, Recipe, Teaching};
use crate::cmd::error::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::options::{Checkpoints, Compute};
use crate::cmd::output::Output;
use crate::cmd::reading;
use crate::dataset::{self, Images, Split};
use crate::host::atomic;
use crate::host::checkpoint::{Checkpoint, CheckpointError, Identity};
use crate::host::model_file::Metadata;
use crate::image::early_stopping::{EarlyStopping, Ending};
use crate::image::held_out;
use crate::image::model::ImageModel;
use crate::image::net::architecture::{Architecture, preset};
use crate::image::net::network::{Network, Normalization};
use crate::image::training::log::RunLog;
use crate::image::training::objective::Teacher;
use crate::image::training::{Settings, Stage, Training, TrainingError, accuracy};
use candle_core::Device;
use serde::Serialize;
use std::path::PathBuf;

/// Train a network from random weights on a data set
///
/// Prints the accuracy on the test images in 32-bit floats. The file is for further training and for `image quantize`,
/// which makes the file for a device. With --checkpoint, a training that was stopped goes on to the same bits.
#[derive(Debug, clap::Args)]
#[command(after_help = help())]
pub struct Arguments {
    /// Architecture: lenet16, thesis-digits, thesis-mlp, thesis-cifar or resnet8
    #[arg(long, default_value = "lenet16")]
    network: String,
    /// Data set to train and test on, such as mnist, or a folder of pictures that holds a folder for each class
    #[arg(long)]
    dataset: String,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    shifting: Shifting,
    /// Draw images of all classes equally often, however many there are of each
    #[arg(long)]
    balance: bool,
    /// Training steps, each on one batch. The recipe's number unless given, or else 1875
    #[arg(long, value_name = "N", value_parser = steps, conflicts_with = "epochs")]
    steps: Option<usize>,
    /// In place of --steps: how often every training image is used
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    epochs: Option<usize>,
    #[command(flatten)]
    recipe: Recipe,
    #[command(flatten)]
    teaching: Teaching,
    #[command(flatten)]
    compute: Compute,
    /// Seed of weights, order of images and dropout. The same seed gives the same file
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Stop early: after this many validations without a lower loss, with the best weights. All steps unless given
    #[arg(long, value_name = "LOOKS", value_parser = clap::value_parser!(u32).range(1..))]
    patience: Option<u32>,
    /// Number of training images that are never trained on. --patience validates with them, and `image quantize` takes its
    /// thresholds and the reference for drift from them. A tenth unless given, at most 5,000; 0 for none
    #[arg(long, value_name = "N")]
    validation: Option<usize>,
    /// With --patience: steps between two validations
    #[arg(long, value_name = "N", default_value_t = 100, requires = "patience",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    look_every: usize,
    /// CSV table to write after every epoch: loss, learning rate and accuracy on the held-out images; beside it the same as curves,
    /// with the ending .svg
    #[arg(long, value_name = "CSV")]
    log: Option<PathBuf>,
    #[command(flatten)]
    checkpoints: Checkpoints,
    /// Network file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Steps unless the user or the recipe names others.
const STEPS: usize = 1875;

const EXAMPLES: &str = "\
Examples:
  sirocco-train image pretrain --dataset mnist --data data --out mnist.safetensors
  sirocco-train image pretrain --network thesis-digits --dataset mnist --steps 1000 --schedule cosine \\
      --out digits.safetensors --json
  sirocco-train image pretrain --dataset mnist --steps 20000 --patience 10 --out mnist.safetensors
  Photographs for a board, with curves; repeated with --resume, it goes on where it was stopped:
    sirocco-train image pretrain --network resnet8 --dataset cifar10 --recipe photographs --data data --log resnet8.csv \\
        --checkpoint resnet8.checkpoint --out resnet8.safetensors";

/// Examples, recipes and augmentations.
fn help() -> String {
    format!("{EXAMPLES}\n\n{}", recipe::help())
}

/// The report of all image commands, and the outcome of early stopping.
#[derive(Serialize)]
struct Pretraining<'a> {
    #[serde(flatten)]
    report: Report<'a>,
    /// Training images that were not trained on.
    held_out: usize,
    early_stopping: Option<Ending>,
}

impl Pretraining<'_> {
    fn text(&self) -> String {
        let ending =
            self.early_stopping.map_or(String::new(), |Ending { best_step, validation_loss, early, .. }| {
                let how = if early { "ended early" } else { "did not end early" };
                format!("\n{how}; the weights are those of step {best_step}, validation loss {validation_loss:.4}")
            });
        let held = self.held_out;
        format!("{}\n{held} training images were held out of it, for `image quantize`{ending}", self.report.text())
    }
}

/// The images a network is trained and measured on.
struct Material {
    network: Architecture,
    training: Images,
    /// Held out of the training images.
    validation: Images,
    test: Images,
}

/// A network after its training.
struct Trained {
    network: Network,
    steps: usize,
    /// The outcome of early stopping, if the user asked for it.
    ending: Option<Ending>,
    interrupted: bool,
}

/// Loads the data, trains, measures on the test set, writes.
///
/// # Errors
/// [`Error`] if data or files cannot be read or written, or the training diverges; after a report,
/// [`Error::Interrupted`] if the user pressed Ctrl-C.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let device = arguments.compute.open()?;
    let classes = arguments.data.open(&arguments.dataset)?.classes.clone();
    let material = arguments.load(&device, classes.len(), output)?;
    let teacher = arguments.teaching.load(&material.network, &classes, &device)?;
    let Trained { network, steps, ending, interrupted } = arguments.train(&device, &material, teacher, output)?;
    let accuracies = [accuracy(&network, &material.test)?];
    let provenance = [
        ("dataset", arguments.dataset.clone()),
        ("shift", arguments.shifting.to_string()),
        ("data", dataset::fingerprint(&material.training)),
        ("held_out", material.validation.len().to_string()),
        ("seed", arguments.seed.to_string()),
        ("steps", ending.map_or(steps, |ending| ending.best_step).to_string()),
        ("recipe", arguments.recipe.text()),
        ("accuracy", format!("{:.2}", accuracies[0])),
    ];
    let mut provenance: Metadata = provenance.map(|(k, v)| (k.to_string(), v)).into();
    provenance.extend(reading::entries(&*arguments.data.open(&arguments.dataset)?));
    ImageModel { network, classes, provenance }.save(&arguments.out)?;
    let validated = if ending.is_some() { material.validation.len() } else { 0 };
    let labels = material.training.len() + validated;
    let report = Report::new(&accuracies, &[labels], steps, Some(&arguments.out), arguments.seed);
    let held_out = material.validation.len();
    let pretraining = Pretraining { report, held_out, early_stopping: ending };
    output.result(&pretraining, |pretraining| say!("{}", pretraining.text()));
    if interrupted { Err(Error::Interrupted) } else { Ok(()) }
}

impl Arguments {
    fn load(&self, device: &Device, classes: usize, output: Output) -> Result<Material, Error> {
        let network = preset(&self.network, classes)?;
        let images = self.data.load(&self.dataset, Split::Train, &network)?;
        let shift = self.shifting.fit(device, output, || Ok(images.clone()))?;
        let images = shift.apply(&images, shifting::seed(Split::Train))?;
        let held_out = self.validation.unwrap_or(held_out::usual(images.len()));
        if self.patience.is_some() && held_out == 0 {
            return Err(Error::Usage("--patience needs images to validate with; raise --validation".into()));
        }
        let [training, validation] = held_out::split(&images, held_out)?;
        let test = self.data.load(&self.dataset, Split::Test, &network)?;
        let test = shift.apply(&test, shifting::seed(Split::Test))?;
        Ok(Material { network, training, validation, test })
    }

    /// Trains until all steps are done, early stopping ends it, or the user presses Ctrl-C.
    fn train(
        &self,
        device: &Device,
        material: &Material,
        teacher: Option<(Teacher, String)>,
        output: Output,
    ) -> Result<Trained, Error> {
        let images = &material.training;
        let normalization = Normalization::of(&images.pixels, images.channels, images.height * images.width);
        let network = Network::random(&material.network, normalization, self.seed, device)?;
        let (teacher, taught) = teacher.unzip();
        let settings = Settings { teacher, ..self.recipe.settings(self.seed) };
        let epoch = images.len().div_ceil(settings.batch);
        let steps = self.epochs.or(self.recipe.epochs().filter(|_| self.steps.is_none())).map(|epochs| epochs * epoch);
        let steps = steps.or(self.steps).unwrap_or(STEPS);
        let mut training = Training::new(network, &settings)?;
        let mut log = self.log.as_ref().map(|_| RunLog::new(epoch));
        let mut early = self.patience.map(|patience| EarlyStopping::new(self.look_every, patience as usize));
        let bar = output.bar(&self.network, steps);
        let mut session = self.checkpoints.session(bar, self.identity(steps, taught), &self.out)?;
        if let Some((checkpoint, path)) = session.saver.load()? {
            training.restore(&checkpoint, path)?;
            if let Some(early) = &mut early {
                early.restore(&checkpoint, path, &training)?;
            }
            if let Some(log) = &mut log {
                log.restore(&checkpoint, path)?;
            }
        }
        let all: Vec<usize> = if self.balance { images.balanced(self.seed) } else { (0..images.len()).collect() };
        let stage = Stage { number: 0, first: 0, end: steps, subset: &all };
        let (stop, mut failure) = (session.interrupt.clone(), None);
        let mut watch = |early: Option<&EarlyStopping>, training: &Training, loss: f32| {
            session.progress.advance(training.step as f64 / steps as f64, &format!("loss {loss:.3}"));
            if let Some(log) = &mut log
                && let Err(error) = self.note(log, training, loss, &material.validation)
            {
                failure = Some(error);
                _ = stop.press();
            }
            session.keep(|identity| snapshot(training, early, log.as_ref(), identity));
        };
        let ended = match &mut early {
            Some(early) => {
                let images = [images, &material.validation];
                early.run(&mut training, images, stage, &stop, |early, training, loss| {
                    watch(Some(early), training, loss);
                })
            }
            None => training.run(images, stage, &stop, |training, loss| watch(None, training, loss)),
        };
        let interrupted = match ended {
            Err(TrainingError::Interrupted) => true,
            other => other.map(|()| false)?,
        };
        if let Some(error) = failure {
            return Err(error);
        }
        session.finish(|identity| snapshot(&training, early.as_ref(), log.as_ref(), identity))?;
        let done = training.step;
        let ending = match early {
            Some(early) => early.finish(&mut training, steps)?,
            None => None,
        };
        Ok(Trained { network: training.finish(), steps: done, ending, interrupted })
    }

    /// Takes a step into the log, and writes it at the end of an epoch.
    fn note(&self, log: &mut RunLog, training: &Training, loss: f32, held_out: &Images) -> Result<(), Error> {
        let Some(file) = &self.log else { return Ok(()) };
        if log.watch(training, loss, held_out)? {
            log.table().write(file)?;
            let title = format!("{} on {}", self.network, self.dataset);
            atomic::write(&file.with_extension("svg"), log.figure(&title).svg().as_bytes())?;
        }
        Ok(())
    }

    /// What a run must have in common with its checkpoint: everything but the files it writes.
    fn identity(&self, steps: usize, teacher: Option<String>) -> Identity {
        let pairs = [
            ("network", self.network.clone()),
            ("dataset", self.dataset.clone()),
            ("shift", self.shifting.to_string()),
            ("reading", self.data.reading().to_string()),
            ("recipe", self.recipe.text()),
            ("balance", self.balance.to_string()),
            ("teacher", teacher.unwrap_or_else(|| "none".into())),
            ("device", format!("{:?}", self.compute.device)),
            ("steps", steps.to_string()),
            ("early", self.patience.map_or("no".into(), |p| format!("{p} {}", self.look_every))),
            ("validation", self.validation.map_or("usual".into(), |n| n.to_string())),
            ("seed", self.seed.to_string()),
        ];
        pairs.map(|(k, v)| (k.to_string(), v)).into()
    }
}

/// The state of a training, of its early stopping and of its log.
fn snapshot(
    training: &Training,
    early: Option<&EarlyStopping>,
    log: Option<&RunLog>,
    identity: Identity,
) -> Result<Checkpoint, CheckpointError> {
    let mut checkpoint = training.checkpoint(identity)?;
    if let Some(early) = early {
        early.store(&mut checkpoint);
    }
    if let Some(log) = log {
        log.store(&mut checkpoint);
    }
    Ok(checkpoint)
}
