//! Options and reports that the image commands share.

use crate::cmd::error::Error;
use crate::cmd::options::Place;
use crate::cmd::reading::ReadingOptions;
use crate::dataset::pictures::Reading;
use crate::dataset::{Collection, DataError, Images, Split};
use crate::host::model_file::Metadata;
use crate::image::net::architecture::Architecture;
use crate::statistics::{deviation, mean};
use serde::Serialize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The source of images, and how they become the network's input.
#[derive(Debug, clap::Args)]
pub struct Data {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub reading: ReadingOptions,
    /// What the network's file says of the reading, and the data sets that were opened.
    #[arg(skip)]
    opened: Mutex<Opened>,
}

#[derive(Debug, Default)]
struct Opened {
    provenance: Metadata,
    collections: Vec<Arc<Collection>>,
    /// Data sets whose pictures were spoken of.
    told: Vec<String>,
}

impl Data {
    /// Completes the options by what a network's file says, so that it sees images as it did in training, and the same ones are for
    /// the test.
    pub fn follow(&self, provenance: &Metadata) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        *opened = Opened { provenance: provenance.clone(), ..Opened::default() };
    }

    /// How images become the network's input, and how they are split.
    pub fn reading(&self) -> Reading {
        self.reading.completed(&self.opened.lock().unwrap_or_else(PoisonError::into_inner).provenance)
    }

    /// The data set `name`, or the folder of pictures with this path.
    ///
    /// # Errors
    /// [`Error`] if there is neither.
    pub fn open(&self, name: &str) -> Result<Arc<Collection>, Error> {
        let reading = self.reading();
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(collection) = opened.collections.iter().find(|collection| collection.name == name) {
            return Ok(collection.clone());
        }
        let collection = Arc::new(Collection::open(name, &self.place.folder(), reading)?);
        opened.collections.push(collection.clone());
        Ok(collection)
    }

    /// A split of the data set `name`, as the network wants it.
    ///
    /// # Errors
    /// [`Error`] if the data are missing, damaged, or have another number of channels.
    pub fn load(&self, name: &str, split: Split, network: &Architecture) -> Result<Images, Error> {
        self.load_as(name, split, &network.name, network.input)
    }

    /// A split of the data set `name` for `network`, which takes images of `input`: channels, rows, columns. What is unusual in a
    /// folder of pictures is told once.
    ///
    /// # Errors
    /// [`Error`] if the data are missing, damaged, or have another number of channels.
    pub fn load_as(&self, name: &str, split: Split, network: &str, input: [usize; 3]) -> Result<Images, Error> {
        let collection = self.open(name)?;
        if let Some(channels) = collection.channels().filter(|channels| *channels != input[0]) {
            let remedy = "choose a network and a data set that fit";
            let why = format!("`{network}` wants {} channels, `{name}` has {channels}; {remedy}", input[0]);
            return Err(Error::Usage(why));
        }
        if let Some(pictures) = collection.pictures(input)? {
            if pictures.test.images.is_empty() {
                return Err(DataError::NoTest { place: pictures.report.place.clone() }.into());
            }
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            if !opened.told.iter().any(|told| told == name) {
                opened.told.push(name.to_owned());
                eprintln!("{}", pictures.report.text());
                for warning in pictures.report.warnings() {
                    eprintln!("warning: {warning}");
                }
            }
        }
        Ok(collection.load(split, input)?)
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
