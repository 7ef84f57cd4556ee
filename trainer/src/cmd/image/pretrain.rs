//! `image pretrain`: a network from random weights on all of a data set.

use super::options::{Data, Recipe, Report, progress};
use crate::checkpoint::{Checkpoint, Identity};
use crate::cmd::Error;
use crate::cmd::options::Output;
use crate::dataset::{self, Split};
use crate::image::model::ImageModel;
use crate::image::training::{Stage, Training, TrainingError, accuracy};
use crate::interrupt::{EXIT_STATUS, Interrupt};
use crate::net::architecture::preset;
use crate::net::network::{Network, Normalisation};
use candle_core::Device;
use std::path::PathBuf;
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
    /// Steps
    #[arg(long, value_name = "N", default_value_t = 1875)]
    steps: usize,
    #[command(flatten)]
    recipe: Recipe,
    /// Seed of weights, order and dropout: the same seed gives the same file
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
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
      --out digits.safetensors --json";

/// Shortest time between two checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

impl Args {
    /// Trains, measures on the test set, writes.
    ///
    /// # Errors
    /// Data, checkpoints or files that cannot be read or written; a diverged training.
    pub fn run(self) -> Result<ExitCode, Error> {
        let set = dataset::find(&self.dataset)?;
        let architecture = preset(&self.network, set.classes.len())?;
        let images = self.data.load(&self.dataset, Split::Train, &architecture)?;
        let plane = images.height * images.width;
        let normalisation = Normalisation::of(&images.pixels, images.channels, plane);
        let network = Network::random(&architecture, normalisation, self.seed, &Device::Cpu)?;
        let mut training = Training::new(network);
        let identity = self.identity();
        if let (true, Some(path)) = (self.resume, &self.checkpoint) {
            training.restore(&Checkpoint::load(path, &identity)?, path)?;
        }
        let interrupted = self.train(&mut training, &images, &identity)?;
        let test = self.data.load(&self.dataset, Split::Test, &architecture)?;
        let accuracies = [accuracy(&training.network, &test)?];
        let provenance = [
            ("dataset", self.dataset.clone()),
            ("data", dataset::fingerprint(&images)),
            ("seed", self.seed.to_string()),
            ("steps", training.step.to_string()),
            ("accuracy", format!("{:.2}", accuracies[0])),
        ];
        let provenance = provenance.map(|(k, v)| (k.to_string(), v)).into();
        let steps = training.step;
        let classes = set.classes.iter().map(|c| c.to_string()).collect();
        ImageModel { network: training.network, classes, provenance }.save(&self.out)?;
        let report = Report::new(&accuracies, &[images.len()], steps, Some(&self.out), self.seed);
        self.output.print(&report, || report.text())?;
        Ok(if interrupted { ExitCode::from(EXIT_STATUS as u8) } else { ExitCode::SUCCESS })
    }

    /// Trains to the end or to Ctrl-C; whether it was that.
    fn train(&self, training: &mut Training, images: &dataset::Images, identity: &Identity) -> Result<bool, Error> {
        let interrupt = Interrupt::on_ctrl_c()?;
        let mut bar = progress(&self.network, self.steps, self.output.verbosity());
        let all: Vec<usize> = (0..images.len()).collect();
        let stage = Stage { number: 0, first: 0, end: self.steps, subset: &all };
        let (mut last, mut failed) = (Instant::now(), None);
        let settings = self.recipe.settings(self.seed);
        let ending = training.run(images, stage, &settings, &interrupt, |training, loss| {
            bar.advance(training.step as f64 / self.steps as f64, &format!("loss {loss:.3}"));
            if let Some(path) = self.checkpoint.as_deref().filter(|_| last.elapsed() > CHECKPOINT_EVERY) {
                last = Instant::now();
                failed = failed.take().or(save(training, identity, path).err());
            }
        });
        bar.finish();
        let interrupted = match ending {
            Err(TrainingError::Interrupted) => true,
            other => other.map(|()| false)?,
        };
        if let Some(path) = &self.checkpoint {
            save(training, identity, path)?;
        }
        failed.map_or(Ok(interrupted), Err)
    }

    /// What makes a run the same run: everything but where it is written.
    fn identity(&self) -> Identity {
        let pairs = [
            ("network", self.network.clone()),
            ("dataset", self.dataset.clone()),
            ("geometry", format!("{:?}", self.data.geometry)),
            ("recipe", format!("{:?}", self.recipe)),
            ("steps", self.steps.to_string()),
            ("seed", self.seed.to_string()),
        ];
        pairs.map(|(k, v)| (k.to_string(), v)).into()
    }
}

fn save(training: &Training, identity: &Identity, path: &std::path::Path) -> Result<(), Error> {
    Ok(training.checkpoint(identity.clone())?.save(path)?)
}
