//! `sirocco classify`: has a device classify images, or this machine.

use crate::Error;
use crate::classifier::{Answering, Here, only_inverted, preparation};
use crate::input::model_file::ModelFile;
use crate::input::picture::{self, Picture, Preparation, idx_images, idx_labels};
use crate::output::{Output, finite};
use crate::port::{ClassifierArguments, HELP};
use serde::Serialize;
use sirocco::drift::moving::ALARM;
use sirocco::drift::{Reference, Sign};
use sirocco::wire::image::{Classified, Description, Threshold};
use sirocco_pictures::Fit;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Classify images on a device, or on this machine
///
/// Pictures of any size are prepared as they were in training, which the model file says. /// Prints for each image its class, the probability, the predictive entropy in nats, and whether the answer is withheld,
/// because the network is uncertain or because the image is unlike the training images of its class. The device compares
/// entropies and features with what its model file says is usual. It raises a drift alarm, at most once in 10,000 images as
/// usual on average, and it says if a class becomes frequent. With the file of an older version it compares the mean entropy of
/// the last 32 images. It keeps the images with the highest entropy for `sirocco samples`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sirocco classify --model digits.safetensors seven.jpg three.png
  sirocco classify --port /dev/ttyACM0 --model digits.safetensors seven.jpg
  sirocco classify --port tcp:127.0.0.1:7000 --dataset t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz
  sirocco classify --port qemu:qemu-mps2-an386 --model digits.safetensors seven.png --threshold 0.5 --json

Pictures are JPEG, PNG, BMP, PGM or PPM files. A board does not tell how they were prepared in training: name its model \
file with --model. Without that, pictures need the rows and columns that the network takes, or --fit.

{HELP}"))]
pub struct Arguments {
    #[command(flatten)]
    port: ClassifierArguments,
    /// Picture files: JPEG, PNG, BMP, PGM or PPM
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
    /// file, `never` to withhold none. All but `never` also withhold what is unlike the training images, as the file states
    #[arg(long, value_name = "file|never|NATS", value_parser = threshold)]
    threshold: Option<Threshold>,
    /// Start a new window for drift, compared with this mean and standard deviation of the entropy; `file` for the ones
    /// in the model file
    #[arg(long, value_name = "file|MEAN,DEVIATION", value_parser = reference)]
    watch: Option<Watch>,
    /// Name the classes that the right one is among, at the coverage that the file states (`image quantize --coverage`)
    #[arg(long)]
    sets: bool,
    /// How pictures of another shape are fitted to the network's: `crop` takes the largest part from the middle, `pad` adds
    /// margins, `stretch` distorts. As the model file says unless given
    #[arg(long, value_name = "crop|pad|stretch")]
    fit: Option<Fit>,
    /// Invert pictures, on top of what the model file says: dark becomes light
    #[arg(long)]
    invert: bool,
    /// Ask for the probabilities of all classes, and print each answer, also for a data set
    #[arg(long)]
    probabilities: bool,
}

/// The name of this machine in place of a board's.
const HERE: &str = "this machine";

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
    /// Whether the device's sequential test for drift watches, and not the chart of the entropies of 32 images.
    drift_sequential: bool,
    /// The decimal logarithm of the evidence, or for the chart z, after the last image.
    drift_score: Option<f32>,
    drift_alarm: bool,
    /// Number of the first image with the alarm on, counted from 1 in this report.
    first_alarm: Option<usize>,
    /// The device's number of the image at which it raised the first alarm since it began to watch, and what was unusual.
    device_first_alarm: Option<u32>,
    drift_sign: Option<&'static str>,
    /// The first class that was answered more often than usual since the device began to watch, and the device's number of the
    /// image that made it certain.
    frequent_class: Option<String>,
    frequent_since: Option<u32>,
    samples_kept: u16,
    /// How pictures became the network's input; null if they were taken as they are.
    preparation: Option<String>,
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
    /// The class of the inverted picture, where only that is an answer to rely on.
    inverted: Option<String>,
    /// The classes that the right one is among.
    set: Option<Vec<String>>,
}

/// Sends the images and prints the answers.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let file = arguments.port.model.as_deref().map(ModelFile::read).transpose()?;
    let preparation = arguments.preparation(file.as_ref())?;
    let (pictures, labels) = arguments.read(preparation.unwrap_or_default())?;
    let mut here = file.as_ref().map(Here::open).transpose()?;
    let (mut answering, board, crc32) = match (arguments.port.port(), &file) {
        (Some(port), _) => {
            let (client, info) = port.connect(output)?;
            let same =
                file.as_ref().map(|file| Ok::<_, Error>(file.model()?.crc32() == info.model.crc32)).transpose()?;
            if same == Some(false) {
                return Err(Error::Usage(
                    "--model is not the model that the board holds; give that one's file, or push it".into(),
                ));
            }
            (Answering::Device(client), info.board.to_string(), info.model.crc32)
        }
        (None, Some(file)) => (Answering::Here(Here::open(file)?), HERE.to_owned(), file.model()?.crc32()),
        (None, None) => return Err(Error::Usage("give --port or --model, to say what answers".into())),
    };
    if let Some(threshold) = arguments.threshold {
        answering.set_threshold(threshold)?;
    }
    if let Some(Watch(reference)) = arguments.watch {
        answering.watch(reference)?;
    }
    let description = answering.describe()?;
    let pictures = prepared(pictures, &description, preparation)?;
    let classes = answering.classes()?;
    known_labels(&labels, &classes, arguments.labels.as_deref())?;
    let alarms = answering.alarms()?;
    if arguments.sets && alarms.set_probability.is_none() {
        return Err(Error::Usage("the model's file states no coverage for --sets; quantize it with --coverage".into()));
    }
    let all = arguments.probabilities || arguments.sets || arguments.dataset.is_none();
    let (mut answers, mut spent, mut shown) = (Vec::new(), Duration::ZERO, Instant::now());
    let count = pictures.len();
    for (k, (name, picture)) in pictures.into_iter().enumerate() {
        let start = Instant::now();
        let (classified, probabilities) = answering.classify(&picture.bytes, all.then_some(classes.len()))?;
        spent += start.elapsed();
        let mut answer = answer(name, &classified, &classes, labels.get(k).copied(), probabilities);
        answer.set_apart(&classes, alarms.set_probability.filter(|_| arguments.sets));
        if let Some(here) = here.as_mut().filter(|_| arguments.dataset.is_none()) {
            let class = only_inverted(here, &picture)?;
            answer.inverted = class.and_then(|class| classes.get(usize::from(class)).cloned());
        }
        answers.push(answer);
        if shown.elapsed() > Duration::from_secs(2) {
            shown = Instant::now();
            output.progress(format_args!("{} of {count} images", k + 1));
        }
    }
    let mut report = Report::of(&mut answering, answers, &description, spent, &classes, (&board, crc32))?;
    report.preparation = preparation.map(|preparation| preparation.to_string());
    output.result(&report, |report| report.print());
    Ok(())
}

impl Arguments {
    /// How pictures become the network's input: as the file says, unless options say otherwise. None if neither says anything.
    fn preparation(&self, file: Option<&ModelFile>) -> Result<Option<Preparation>, Error> {
        let said = file.map(preparation).transpose()?.flatten();
        if said.is_none() && self.fit.is_none() && !self.invert {
            return Ok(None);
        }
        let said = said.unwrap_or_default();
        Ok(Some(Preparation { fit: self.fit.unwrap_or(said.fit), invert: self.invert != said.invert, ..said }))
    }

    /// The images with their names, and the labels, which are empty if there are none.
    fn read(&self, preparation: Preparation) -> Result<(Named, Vec<u8>), Error> {
        let Some(path) = &self.dataset else {
            let read = |path: &PathBuf| Ok((path.display().to_string(), picture::read(path, preparation.background)?));
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

/// Checks that every label is the number of a class, which count from 0.
///
/// # Errors
/// [`Error::Usage`] that names the first that is none.
fn known_labels(labels: &[u8], classes: &[String], path: Option<&Path>) -> Result<(), Error> {
    let (Some(path), Some((k, label))) =
        (path, labels.iter().enumerate().find(|(_, l)| usize::from(**l) >= classes.len()))
    else {
        return Ok(());
    };
    let (path, last) = (path.display(), classes.len().saturating_sub(1));
    Err(Error::Usage(format!(
        "{path} has the label {label} for image {k}, and the network's classes are 0 to {last}; count labels from 0"
    )))
}

/// The images as the network takes them.
///
/// # Errors
/// [`Error::PictureSize`] if one has another size, and nothing says how to fit it.
fn prepared(pictures: Named, description: &Description, preparation: Option<Preparation>) -> Result<Named, Error> {
    let (height, width) = (usize::from(description.height), usize::from(description.width));
    let input = [description.channels.into(), height, width];
    let fit = |(name, picture): (String, Picture)| {
        if preparation.is_none() && (picture.height, picture.width) != (height, width) {
            let got = format!("{}x{}", picture.height, picture.width);
            return Err(Error::PictureSize { name, got, wanted: format!("{height}x{width}") });
        }
        Ok((name, preparation.unwrap_or_default().apply(&picture, input)))
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
        inverted: None,
        set: None,
    }
}

impl Answer {
    /// Names the classes of at least this probability; the most probable one always belongs to them.
    fn set_apart(&mut self, classes: &[String], probability: Option<f32>) {
        let (Some(least), Some(all)) = (probability, &self.probabilities) else { return };
        let inside = |(k, p): &(usize, &f32)| **p >= least || *k == usize::from(self.index);
        let names = all.iter().enumerate().filter(inside).filter_map(|(k, _)| classes.get(k).cloned());
        self.set = Some(names.collect());
    }
}

impl Report {
    fn of(
        answering: &mut Answering<'_>,
        answers: Vec<Answer>,
        before: &Description,
        spent: Duration,
        classes: &[String],
        (board, crc32): (&str, u32),
    ) -> Result<Self, Error> {
        let after = answering.describe()?;
        let alarms = answering.alarms()?;
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
            model: format!("{crc32:08x}"),
            threshold: before.threshold,
            abstained,
            drift_sequential: alarms.sequential,
            drift_score: after.drift.score.and_then(finite),
            drift_alarm: after.drift.alarm,
            device_first_alarm: alarms.first.map(|alarm| alarm.number),
            drift_sign: alarms.first.map(|alarm| sign(alarm.sign)),
            frequent_class: alarms.frequent.and_then(|f| classes.get(usize::from(f.class)).cloned()),
            frequent_since: alarms.frequent.map(|f| f.number),
            first_alarm: answers.iter().position(|a| a.drift_alarm).map(|k| k + 1),
            samples_kept: after.samples,
            preparation: None,
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
                let certain = self.threshold.is_none_or(|threshold| a.entropy <= threshold);
                let note = match a.abstained {
                    true if certain => ", WITHHELD: unlike the training images",
                    true => ", WITHHELD: uncertain",
                    false => "",
                };
                let percent = 100.0 * a.probability;
                let set = a.set.as_ref().map_or(String::new(), |set| format!(", one of {}", set.join(", ")));
                say!("{}: {} ({percent:.1} %), entropy {:.3} nats{set}{note}", a.image, a.class, a.entropy);
                if let Some(class) = &a.inverted {
                    say!("  inverted it would be {class}: if light and dark are the wrong way round, give --invert");
                }
            }
        }
        say!("{} images, {} answers withheld", self.answers.len(), self.abstained);
        if let (Some(all), Some(answered)) = (self.accuracy, self.accuracy_answered) {
            say!("accuracy {all:.2} %, {answered:.2} % of the answers that were not withheld");
        }
        for line in self.drift() {
            say!("{line}");
        }
        if self.board != HERE {
            say!("{} images kept; `sirocco samples fetch` gets them", self.samples_kept);
        }
    }

    /// What is to say about drift.
    fn drift(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let unusual = self.drift_sign.map_or(String::new(), |sign| format!(": {sign}"));
        match (self.first_alarm, self.drift_score) {
            (Some(number), _) => {
                let since = if self.drift_alarm { "it goes on" } else { "the latest images are as usual" };
                lines.push(format!("DRIFT: the alarm was raised at image {number} of these{unusual}; {since}"));
            }
            (None, Some(z)) if !self.drift_sequential && z < -ALARM => lines.push(format!(
                "UNUSUAL: the mean entropy is {:.1} standard errors below usual; a network can be certain and wrong",
                -z
            )),
            (None, Some(z)) if !self.drift_sequential => {
                lines.push(format!("no drift: the mean entropy is {z:.1} standard errors from usual"));
            }
            (None, Some(_)) => lines.push("no drift: entropies and features are as usual".into()),
            (None, None) => {
                lines.push("drift unknown: fewer than 32 images, or no reference in the model's file".into());
            }
        }
        if self.first_alarm.is_none()
            && let Some(number) = self.device_first_alarm
        {
            lines.push(format!("DRIFT: an alarm was raised before these, at the device's image {number}{unusual}"));
        }
        if let (Some(class), Some(number)) = (&self.frequent_class, self.frequent_since) {
            lines.push(format!(
                "the answer {class} is more frequent than usual, as was certain at the device's image {number}; that alone is no drift"
            ));
        }
        lines
    }
}

/// What was unusual, in words.
pub fn sign(sign: Sign) -> &'static str {
    match sign {
        Sign::EntropyAbove => "the network is less certain than usual",
        Sign::EntropyBelow => "the network is more certain than usual, and can be wrong",
        Sign::DistanceAbove => "the images are unlike the training images",
        Sign::DistanceBelow => "the images are more alike than the training images",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(first_alarm: Option<usize>, drift_alarm: bool, score: Option<f32>, sequential: bool) -> Report {
        Report {
            board: String::new(),
            model: String::new(),
            threshold: Some(0.5),
            answers: Vec::new(),
            abstained: 0,
            drift_sequential: sequential,
            drift_score: score,
            drift_alarm,
            first_alarm,
            device_first_alarm: first_alarm.map(|n| n as u32),
            drift_sign: first_alarm.map(|_| sign(Sign::DistanceAbove)),
            frequent_class: None,
            frequent_since: None,
            samples_kept: 0,
            preparation: None,
            accuracy: None,
            accuracy_answered: None,
            mean_entropy: 0.0,
            seconds_per_image: 0.0,
        }
    }

    /// As after 40 inverted and 40 good images: the alarm is off at the end, but it was raised.
    #[test]
    fn an_alarm_that_has_ended_is_still_told() {
        let ended = report(Some(6), false, Some(1.0), true).drift();
        assert_eq!(ended.len(), 1);
        assert!(ended[0].contains("raised at image 6") && ended[0].contains("are as usual"), "{ended:?}");
        let lasting = report(Some(6), true, Some(9.0), true).drift();
        assert!(lasting[0].contains("raised at image 6") && lasting[0].contains("goes on"), "{lasting:?}");
        let earlier = Report { device_first_alarm: Some(3), ..report(None, false, Some(0.0), true) }.drift();
        assert!(earlier[0].starts_with("no drift") && earlier[1].contains("device's image 3"), "{earlier:?}");
    }

    #[test]
    fn entropies_far_below_usual_are_told_by_the_chart() {
        let below = report(None, false, Some(-5.2), false).drift();
        assert!(below[0].contains("5.2 standard errors below usual"), "{below:?}");
        let usual = report(None, false, Some(-3.9), false).drift();
        assert!(usual[0].starts_with("no drift"), "{usual:?}");
        let frequent = Report {
            frequent_class: Some("7".into()),
            frequent_since: Some(12),
            ..report(None, false, Some(0.0), true)
        };
        let lines = frequent.drift();
        assert!(lines[1].contains("7 is more frequent") && lines[1].contains("image 12"), "{lines:?}");
    }

    #[test]
    fn a_set_holds_the_answer_and_all_that_are_likely_enough() {
        let classes = ["cat", "dog", "cow"].map(str::to_owned);
        let classified = Classified {
            number: 1,
            class: 1,
            probability: 0.5,
            entropy: 1.0,
            abstained: false,
            kept: false,
            drift: sirocco::drift::State { filled: 1, score: None, alarm: false },
            ticks: None,
        };
        let of = |probability: Option<f32>| {
            let mut answer = answer(String::new(), &classified, &classes, None, Some(vec![0.1, 0.5, 0.4]));
            answer.set_apart(&classes, probability);
            answer.set
        };
        assert_eq!(of(None), None);
        assert_eq!(of(Some(0.4)).unwrap(), ["dog", "cow"]);
        assert_eq!(of(Some(0.9)).unwrap(), ["dog"]);
    }
}
