//! `image pretrain`: a network from random weights on all of a data set.

use super::options::{Data, Recipe, Report, progress};
use crate::cmd::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::options::{Compute, Output};
use crate::dataset::{self, Images, Split};
use crate::host::checkpoint::{Checkpoint, Identity};
use crate::host::interrupt::{EXIT_STATUS, Interrupt};
use crate::image::early_stopping::{EarlyStopping, Ending};
use crate::image::model::ImageModel;
use crate::image::net::architecture::preset;
use crate::image::net::network::{Network, Normalisation};
use crate::image::training::{Stage, Training, TrainingError, accuracy};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Train a network from random weights on a data set.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Network: lenet16, thesis-digits, thesis-mlp, thesis-cifar, resnet8
    #[arg(long, default_value = "lenet16")]
    network: String,
    /// Data set to train on, such as mnist
    #[arg(long)]
    dataset: String,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    shifting: Shifting,
    /// Steps
    #[arg(long, value_name = "N", default_value_t = 1875)]
    steps: usize,
    #[command(flatten)]
    recipe: Recipe,
    #[command(flatten)]
    compute: Compute,
    /// Seed of weights, order and dropout: the same seed gives the same file
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// End after so many looks at validation images without a better one, and keep the best weights
    #[arg(long, value_name = "LOOKS", value_parser = clap::value_parser!(u32).range(1..))]
    patience: Option<u32>,
    /// Training images that are held out for these looks
    #[arg(long, value_name = "N", default_value_t = 5000, requires = "patience")]
    validation: usize,
    /// Steps between two looks
    #[arg(long, value_name = "N", default_value_t = 100, requires = "patience",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    look_every: usize,
    /// File that keeps the state of the run, written every few seconds and on Ctrl-C
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Go on from --checkpoint, bit for bit
    #[arg(long, requires = "checkpoint")]
    resume: bool,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train image pretrain --dataset mnist --data data --out mnist.safetensors
  sirocco-train image pretrain --network thesis-digits --dataset mnist --steps 1000 --schedule cosine \\
      --out digits.safetensors --json
  sirocco-train image pretrain --dataset mnist --steps 20000 --patience 10 --out mnist.safetensors";

/// The report of all image commands, and how early stopping ended.
#[derive(Serialize)]
struct Pretraining<'a> {
    #[serde(flatten)]
    report: Report<'a>,
    early_stopping: Option<Ending>,
}

impl Pretraining<'_> {
    fn text(&self) -> String {
        let ending =
            self.early_stopping.map_or(String::new(), |Ending { best_step, validation_loss, early, .. }| {
                let how = if early { "ended early" } else { "did not end early" };
                format!("\n{how}; the weights are those of step {best_step}, validation loss {validation_loss:.4}")
            });
        format!("{}{ending}", self.report.text())
    }
}

/// Shortest time between two checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

impl Args {
    /// Trains, measures on the test set, writes.
    ///
    /// # Errors
    /// Data, checkpoints or files that cannot be read or written; a diverged training.
    pub fn run(self) -> Result<ExitCode, Error> {
        let device = self.compute.open()?;
        let set = dataset::find(&self.dataset)?;
        let architecture = preset(&self.network, set.classes.len())?;
        let images = self.data.load(&self.dataset, Split::Train, &architecture)?;
        let shift = self.shifting.fit_on(&device, self.output.verbosity(), || Ok(images.clone()))?;
        let images = shift.apply(&images, shifting::seed(Split::Train))?;
        let (images, validation) = match self.patience {
            Some(_) => images.split(self.validation, 0)?,
            None => {
                let none = images.first(0);
                (images, none)
            }
        };
        let plane = images.height * images.width;
        let normalisation = Normalisation::of(&images.pixels, images.channels, plane);
        let network = Network::random(&architecture, normalisation, self.seed, &device)?;
        let mut training = Training::new(network);
        let mut early = self.patience.map(|patience| EarlyStopping::new(self.look_every, patience as usize));
        let identity = self.identity();
        if let (true, Some(path)) = (self.resume, &self.checkpoint) {
            let checkpoint = Checkpoint::load(path, &identity)?;
            training.restore(&checkpoint, path)?;
            early.as_mut().map_or(Ok(()), |early| early.restore(&checkpoint, path, &training))?;
        }
        let interrupted = self.train(&mut training, early.as_mut(), [&images, &validation], &identity)?;
        let steps = training.step;
        let ending = match early {
            Some(early) => early.finish(&mut training, self.steps)?,
            None => None,
        };
        let test = self.data.load(&self.dataset, Split::Test, &architecture)?;
        let test = shift.apply(&test, shifting::seed(Split::Test))?;
        let accuracies = [accuracy(&training.network, &test)?];
        let provenance = [
            ("dataset", self.dataset.clone()),
            ("shift", self.shifting.to_string()),
            ("data", dataset::fingerprint(&images)),
            ("seed", self.seed.to_string()),
            ("steps", ending.map_or(steps, |ending| ending.best_step).to_string()),
            ("accuracy", format!("{:.2}", accuracies[0])),
        ];
        let provenance = provenance.map(|(k, v)| (k.to_string(), v)).into();
        let classes = set.classes.iter().map(|c| c.to_string()).collect();
        ImageModel { network: training.network, classes, provenance }.save(&self.out)?;
        let labels = images.len() + validation.len();
        let report = Report::new(&accuracies, &[labels], steps, Some(&self.out), self.seed);
        let pretraining = Pretraining { report, early_stopping: ending };
        self.output.print(&pretraining, || pretraining.text())?;
        Ok(if interrupted { ExitCode::from(EXIT_STATUS as u8) } else { ExitCode::SUCCESS })
    }

    /// Trains to the end, to an early one, or to Ctrl-C; whether it was that.
    fn train(
        &self,
        training: &mut Training,
        mut early: Option<&mut EarlyStopping>,
        [images, validation]: [&Images; 2],
        identity: &Identity,
    ) -> Result<bool, Error> {
        let interrupt = Interrupt::on_ctrl_c()?;
        let mut bar = progress(&self.network, self.steps, self.output.verbosity());
        let all: Vec<usize> = (0..images.len()).collect();
        let stage = Stage { number: 0, first: 0, end: self.steps, subset: &all };
        let (mut last, mut failed) = (Instant::now(), None);
        let settings = self.recipe.settings(self.seed);
        let mut watch = |early: Option<&EarlyStopping>, training: &Training, loss: f32| {
            bar.advance(training.step as f64 / self.steps as f64, &format!("loss {loss:.3}"));
            if let Some(path) = self.checkpoint.as_deref().filter(|_| last.elapsed() > CHECKPOINT_EVERY) {
                last = Instant::now();
                failed = failed.take().or(save(training, early, identity, path).err());
            }
        };
        let ending = match early.as_deref_mut() {
            Some(early) => {
                let images = [images, validation];
                early.run(training, images, stage, &settings, &interrupt, |early, training, loss| {
                    watch(Some(early), training, loss);
                })
            }
            None => training.run(images, stage, &settings, &interrupt, |training, loss| watch(None, training, loss)),
        };
        bar.finish();
        let interrupted = match ending {
            Err(TrainingError::Interrupted) => true,
            other => other.map(|()| false)?,
        };
        if let Some(path) = &self.checkpoint {
            save(training, early.as_deref(), identity, path)?;
        }
        failed.map_or(Ok(interrupted), Err)
    }

    /// What makes a run the same run: everything but where it is written.
    fn identity(&self) -> Identity {
        let pairs = [
            ("network", self.network.clone()),
            ("dataset", self.dataset.clone()),
            ("shift", self.shifting.to_string()),
            ("geometry", format!("{:?}", self.data.geometry)),
            ("recipe", format!("{:?}", self.recipe)),
            ("device", format!("{:?}", self.compute.device)),
            ("steps", self.steps.to_string()),
            ("early", self.patience.map_or("no".into(), |p| format!("{p} {} {}", self.look_every, self.validation))),
            ("seed", self.seed.to_string()),
        ];
        pairs.map(|(k, v)| (k.to_string(), v)).into()
    }
}

fn save(training: &Training, early: Option<&EarlyStopping>, identity: &Identity, path: &Path) -> Result<(), Error> {
    let mut checkpoint = training.checkpoint(identity.clone())?;
    if let Some(early) = early {
        early.note(&mut checkpoint);
    }
    Ok(checkpoint.save(path)?)
}
