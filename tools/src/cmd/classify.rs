//! `sirocco classify`: has a device classify images.

use crate::Error;
use crate::client::Client;
use crate::input::picture::{Picture, idx_images, idx_labels};
use crate::output::{Output, finite};
use crate::port::{HELP, PortArguments};
use serde::Serialize;
use sirocco::drift::Reference;
use sirocco::wire::ask;
use sirocco::wire::image::{Classified, Description, Threshold};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Have a device classify images
///
/// Prints for each image its class, the probability, the predictive entropy in nats, and whether the answer is withheld
/// because the entropy is above the threshold. The device compares the mean entropy of the last 32 images with a
/// reference in the model file, and raises a drift alarm if it is much higher. It keeps the images with the highest
/// entropy for
/// `sirocco samples`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sirocco classify --port /dev/ttyACM0 seven.png three.pgm
  sirocco classify --port tcp:127.0.0.1:7000 --dataset t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz
  sirocco classify --port qemu:qemu-mps2-an386 --model digits.safetensors seven.png --threshold 0.5 --json

Images need the rows and columns that the network takes: `sirocco info` shows them, and \
`magick IN -resize 16x16! OUT.png` resizes an image. Color images become gray, or gray ones color, as the network needs \
it.

{HELP}"))]
pub struct Arguments {
    #[command(flatten)]
    port: PortArguments,
    /// Image files: PNG, PGM or PPM
    #[arg(value_name = "IMAGE", required_unless_present = "dataset")]
    images: Vec<PathBuf>,
    /// IDX file with many images, the format of MNIST; may be compressed with gzip
    #[arg(long, value_name = "FILE", conflicts_with = "images")]
    dataset: Option<PathBuf>,
    /// IDX file with the labels of the data set, for the accuracy
    #[arg(long, value_name = "FILE", requires = "dataset")]
    labels: Option<PathBuf>,
    /// Largest number of images to take from the data set; without it, all
    #[arg(long, value_name = "N", requires = "dataset")]
    limit: Option<usize>,
    /// From now on, withhold answers whose entropy in nats is above this number; `file` for the threshold in the model
    /// file,
    /// `never` to withhold none
    #[arg(long, value_name = "file|never|NATS", value_parser = threshold)]
    threshold: Option<Threshold>,
    /// Start a new window for drift, compared with this mean and standard deviation of the entropy; `file` for the ones
    /// in the model file
    #[arg(long, value_name = "file|MEAN,DEVIATION", value_parser = reference)]
    watch: Option<Watch>,
    /// Ask for the probabilities of all classes, and print each answer, also for a data set
    #[arg(long)]
    probabilities: bool,
}

/// Images with their names.
type Named = Vec<(String, Picture)>;

/// The reference for the drift window; `None` stands for the one in the model file.
#[derive(Debug, Clone, Copy)]
struct Watch(Option<Reference>);

fn threshold(text: &str) -> Result<Threshold, String> {
    match text {
        "file" => Ok(Threshold::File),
        "never" => Ok(Threshold::Never),
        nats => match nats.parse() {
            Ok(nats) if nats >= 0.0 && f32::is_finite(nats) => Ok(Threshold::Above(nats)),
            _ => Err("give `file`, `never`, or an entropy of at least 0".into()),
        },
    }
}

fn reference(text: &str) -> Result<Watch, String> {
    let pair = || {
        let (mean, deviation) = text.split_once(',')?;
        Reference { mean: mean.trim().parse().ok()?, deviation: deviation.trim().parse().ok()? }.checked()
    };
    match (text, pair()) {
        ("file", _) => Ok(Watch(None)),
        (_, Some(reference)) => Ok(Watch(Some(reference))),
        _ => Err("give `file`, or MEAN,DEVIATION with a positive deviation".into()),
    }
}

#[derive(Serialize)]
struct Report {
    board: String,
    model: String,
    threshold: Option<f32>,
    answers: Vec<Answer>,
    abstained: usize,
    drift_score: Option<f32>,
    drift_alarm: bool,
    /// Number of the first image with the alarm on, counted from 1 in this report.
    first_alarm: Option<usize>,
    samples_kept: u16,
    /// Percentage of all answers that are right; null without labels.
    accuracy: Option<f64>,
    /// The same of the answers that were not withheld.
    accuracy_answered: Option<f64>,
    mean_entropy: f64,
    seconds_per_image: f64,
}

#[derive(Serialize)]
struct Answer {
    image: String,
    number: u32,
    class: String,
    index: u8,
    probability: f32,
    entropy: f32,
    abstained: bool,
    kept: bool,
    drift_score: Option<f32>,
    drift_alarm: bool,
    ticks: Option<u32>,
    label: Option<u8>,
    probabilities: Option<Vec<f32>>,
}

/// Sends the images and prints the answers.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let (pictures, labels) = arguments.read()?;
    let (mut client, info) = arguments.port.connect(output)?;
    let mut description = client.ask(ask::ImageDescribe)?;
    let pictures = converted(pictures, &description)?;
    if let Some(threshold) = arguments.threshold {
        description = client.ask(ask::ImageThreshold(threshold))?;
    }
    if let Some(Watch(reference)) = arguments.watch {
        description = client.ask(ask::ImageWatch(reference))?;
    }
    let classes = client.classes()?;
    let all = arguments.probabilities || arguments.dataset.is_none();
    let (mut answers, mut spent, mut shown) = (Vec::new(), Duration::ZERO, Instant::now());
    let count = pictures.len();
    for (k, (name, picture)) in pictures.into_iter().enumerate() {
        let start = Instant::now();
        let classified = client.classify(&picture.bytes)?;
        spent += start.elapsed();
        let probabilities = if all { Some(client.probabilities(classes.len())?) } else { None };
        answers.push(answer(name, &classified, &classes, labels.get(k).copied(), probabilities));
        if shown.elapsed() > Duration::from_secs(2) {
            shown = Instant::now();
            output.progress(format_args!("{} of {count} images", k + 1));
        }
    }
    let report = Report::of(&mut client, answers, &description, spent, (&info.board, &info.model))?;
    output.result(&report, |report| report.print());
    Ok(())
}

impl Arguments {
    /// The images with their names, and the labels, which are empty if there are none.
    fn read(&self) -> Result<(Named, Vec<u8>), Error> {
        let Some(path) = &self.dataset else {
            let read = |path: &PathBuf| Ok((path.display().to_string(), Picture::read(path)?));
            return Ok((self.images.iter().map(read).collect::<Result<_, Error>>()?, Vec::new()));
        };
        let pictures = idx_images(path)?;
        let labels = self.labels.as_deref().map_or(Ok(Vec::new()), idx_labels)?;
        if self.labels.is_some() && labels.len() != pictures.len() {
            let what = format!("has {} images, but there are {} labels", pictures.len(), labels.len());
            return Err(Error::Picture { path: path.clone(), what });
        }
        let name = |k: usize| format!("{}#{k}", path.file_name().unwrap_or_default().display());
        let named = pictures.into_iter().enumerate().map(|(k, picture)| (name(k), picture));
        Ok((named.take(self.limit.unwrap_or(usize::MAX)).collect(), labels))
    }
}

/// The images in gray or color, as the network takes them.
///
/// # Errors
/// [`Error::PictureSize`] if one has another size.
fn converted(pictures: Named, description: &Description) -> Result<Named, Error> {
    let (height, width) = (usize::from(description.height), usize::from(description.width));
    let fit = |(name, picture): (String, Picture)| {
        if (picture.height, picture.width) != (height, width) {
            let got = format!("{}x{}", picture.height, picture.width);
            return Err(Error::PictureSize { name, got, wanted: format!("{height}x{width}") });
        }
        Ok((name, picture.with_channels(description.channels.into())))
    };
    pictures.into_iter().map(fit).collect()
}

fn answer(
    image: String,
    classified: &Classified,
    classes: &[String],
    label: Option<u8>,
    probabilities: Option<Vec<f32>>,
) -> Answer {
    let Classified { number, class, probability, entropy, abstained, kept, drift, ticks } = *classified;
    Answer {
        image,
        number,
        class: classes.get(usize::from(class)).cloned().unwrap_or_default(),
        index: class,
        probability,
        entropy,
        abstained,
        kept,
        drift_score: drift.score.and_then(finite),
        drift_alarm: drift.alarm,
        ticks,
        label,
        probabilities,
    }
}

impl Report {
    fn of(
        client: &mut Client,
        answers: Vec<Answer>,
        before: &Description,
        spent: Duration,
        (board, model): (&str, &sirocco::summary::ModelInfo),
    ) -> Result<Self, Error> {
        let after = client.ask(ask::ImageDescribe)?;
        let right = |a: &&Answer| a.label == Some(a.index);
        let percent = |part: usize, all: usize| (all > 0).then(|| 100.0 * part as f64 / all as f64);
        let labeled = answers.iter().any(|a| a.label.is_some());
        let answered: Vec<&Answer> = answers.iter().filter(|a| !a.abstained).collect();
        let accuracy = percent(answers.iter().filter(right).count(), answers.len()).filter(|_| labeled);
        let certain = answered.iter().filter(|a| right(a)).count();
        let accuracy_answered = percent(certain, answered.len()).filter(|_| labeled);
        let abstained = answers.len() - answered.len();
        let n = answers.len().max(1) as f64;
        Ok(Report {
            board: board.into(),
            model: format!("{:08x}", model.crc32),
            threshold: before.threshold,
            abstained,
            drift_score: after.drift.score.and_then(finite),
            drift_alarm: after.drift.alarm,
            first_alarm: answers.iter().position(|a| a.drift_alarm).map(|k| k + 1),
            samples_kept: after.samples,
            accuracy,
            accuracy_answered,
            mean_entropy: answers.iter().map(|a| f64::from(a.entropy)).sum::<f64>() / n,
            seconds_per_image: spent.as_secs_f64() / n,
            answers,
        })
    }

    fn print(&self) {
        // For a data set, a person gets the summary only, unless probabilities are asked for.
        if self.answers.iter().any(|a| a.probabilities.is_some()) {
            for a in &self.answers {
                let note = if a.abstained { ", WITHHELD" } else { "" };
                let percent = 100.0 * a.probability;
                say!("{}: {} ({percent:.1} %), entropy {:.3} nats{note}", a.image, a.class, a.entropy);
            }
        }
        say!("{} images, {} answers withheld", self.answers.len(), self.abstained);
        if let (Some(all), Some(answered)) = (self.accuracy, self.accuracy_answered) {
            say!("accuracy {all:.2} %, {answered:.2} % of the answers that were not withheld");
        }
        match self.drift_score {
            Some(z) if self.drift_alarm => say!("DRIFT: the mean entropy is {z:.1} standard errors above usual"),
            Some(z) => say!("no drift: the mean entropy is {z:.1} standard errors from usual"),
            None => say!("drift unknown: fewer than 32 images, or no reference in the model's file"),
        }
        say!("{} images kept; `sirocco samples fetch` gets them", self.samples_kept);
    }
}
