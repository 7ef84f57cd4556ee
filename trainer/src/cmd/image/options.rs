//! Options and reports that the image commands share.

use crate::cmd::error::Error;
use crate::cmd::options::Place;
use crate::dataset::{self, Geometry, Images, Prepare, Split};
use crate::image::net::architecture::Architecture;
use crate::image::training::{Optimizer, Schedule, Settings};
use crate::statistics::{deviation, mean};
use serde::Serialize;
use std::path::Path;

/// The source of images, and how they become the network's input.
#[derive(Debug, clap::Args)]
pub struct Data {
    #[command(flatten)]
    pub place: Place,
    /// Part of MNIST's images to use: `whole`, or `box`, which aligns its digits with those of USPS
    #[arg(long, value_enum, default_value_t = Geometry::Whole)]
    pub geometry: Geometry,
}

impl Data {
    /// A split of the data set `name`, as the network wants it.
    ///
    /// # Errors
    /// [`Error`] if the data are missing, damaged, or have another number of channels.
    pub fn load(&self, name: &str, split: Split, network: &Architecture) -> Result<Images, Error> {
        self.load_as(name, split, &network.name, network.input)
    }

    /// A split of the data set `name` for `network`, which takes images of `input`: channels, rows, columns.
    ///
    /// # Errors
    /// [`Error`] if the data are missing, damaged, or have another number of channels.
    pub fn load_as(
        &self,
        name: &str,
        split: Split,
        network: &str,
        [channels, size, _]: [usize; 3],
    ) -> Result<Images, Error> {
        let set = dataset::find(name)?;
        if set.shape[0] != channels {
            let remedy = "choose a network and a data set that fit";
            let why = format!("`{network}` wants {channels} channels, `{name}` has {}; {remedy}", set.shape[0]);
            return Err(Error::Usage(why));
        }
        let images = set.load(&self.place.folder(), split)?;
        Ok(Prepare { geometry: self.geometry, size: Some(size) }.apply(&images)?)
    }
}

/// How a network is trained.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Recipe {
    /// Number of images in a batch
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub batch: u32,
    /// Learning rate at the first step
    #[arg(long, value_name = "RATE", default_value_t = 1e-3)]
    pub rate: f64,
    /// How the learning rate changes over the steps
    #[arg(long, value_enum, default_value_t = Schedule::Constant)]
    pub schedule: Schedule,
    /// Method that turns gradients into steps
    #[arg(long, value_enum, default_value_t = Optimizer::Adam)]
    pub optimizer: Optimizer,
    /// Weight decay: every step shrinks the weights by this times the learning rate
    #[arg(long, value_name = "DECAY", default_value_t = 0.0)]
    pub decay: f64,
}

impl Recipe {
    /// The settings for a seed.
    pub fn settings(&self, seed: u64) -> Settings {
        let Recipe { batch, rate, schedule, optimizer, decay } = *self;
        Settings { batch: batch as usize, rate, schedule, optimizer, decay, seed }
    }
}

/// The report that the image commands print.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// Test accuracy in percent, the mean over seeds.
    pub accuracy: f64,
    /// Standard deviation over seeds.
    pub accuracy_std: f64,
    /// Test accuracy of every seed.
    pub accuracies: &'a [f64],
    /// Distinct labels that were used, the mean over seeds.
    pub labels_seen: f64,
    /// Steps for every seed.
    pub steps: usize,
    /// The file written; that of the first seed.
    pub file: Option<&'a Path>,
    /// First seed.
    pub seed: u64,
    /// CPU seconds of the process.
    pub cpu_seconds: Option<f64>,
}

impl<'a> Report<'a> {
    /// A report on the accuracies of seeds.
    pub fn new(accuracies: &'a [f64], labels: &[usize], steps: usize, file: Option<&'a Path>, seed: u64) -> Self {
        let labels: Vec<f64> = labels.iter().map(|l| *l as f64).collect();
        Report {
            accuracy: mean(accuracies),
            accuracy_std: deviation(accuracies),
            accuracies,
            labels_seen: mean(&labels),
            steps,
            file,
            seed,
            cpu_seconds: crate::host::clock::cpu_seconds(),
        }
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let spread = if self.accuracies.len() > 1 { format!(" +/- {:.2}", self.accuracy_std) } else { String::new() };
        let cpu = self.cpu_seconds.map_or(String::new(), |s| format!(", {s:.1} CPU seconds"));
        let file = self.file.map_or(String::new(), |f| format!("\nwrote {}", f.display()));
        if self.accuracies.is_empty() {
            return format!("no test accuracy, as no --target was given; {} steps{cpu}{file}", self.steps);
        }
        format!(
            "test accuracy {:.2} %{spread} over {} seed(s) from {}; {} steps, {:.0} labels seen{cpu}{file}",
            self.accuracy,
            self.accuracies.len(),
            self.seed,
            self.steps,
            self.labels_seen
        )
    }
}

/// Parses a number of training steps.
///
/// # Errors
/// A message for the user: a network that is not trained is no result.
pub fn steps(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|steps| *steps > 0).ok_or_else(|| "give a number of at least 1".into())
}
