//! `image finetune`

use super::options::{Data, Recipe, Report, steps};
use crate::cmd::error::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::options::Compute;
use crate::cmd::output::Output;
use crate::dataset::{self, Images, Split};
use crate::host::interrupt::Interrupt;
use crate::image::adaptation::{Adapted, Arm, Target, adapt};
use crate::image::model::ImageModel;
use crate::image::samples::Samples;
use crate::image::select::{self, Criterion};
use crate::image::training::{Stage, Training, accuracy};
use crate::report::csv::Table;
use std::path::{Path, PathBuf};

/// Take a network to another domain by the labels of few chosen samples
///
/// Of a data set of the other domain, a criterion chooses which images are worth a label, in rounds: choose, label, train.
/// Prints the accuracy on the test images of that domain and the number of labels used. With --samples the network is
/// trained on images that a device has collected and a person has labeled.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Network file to start from
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Data set of the other domain, such as usps. With --samples, only its test images are used, to measure
    #[arg(long, required_unless_present = "samples")]
    target: Option<String>,
    /// Folder of samples to train on, as `sirocco samples fetch` wrote them and a person labeled them
    #[arg(long, value_name = "DIR", conflicts_with_all = ["select", "fraction", "rounds", "recompute_every", "scores", "shift"])]
    samples: Option<PathBuf>,
    /// With --samples: data set that the network comes from, mixed in equal parts with the samples so that it does not
    /// forget
    #[arg(long, value_name = "DATASET", requires = "samples")]
    replay: Option<String>,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    shifting: Shifting,
    /// Criterion that chooses the samples to label; `image study --help` lists them
    #[arg(long, default_value = "margin", value_parser = |name: &str| select::find(name))]
    select: Criterion,
    /// Share of the training images that is labeled, above 0 and at most 1
    #[arg(long, default_value_t = 0.1, value_parser = fraction)]
    fraction: f64,
    /// Number of rounds in which samples are chosen
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// In place of rounds: choose all samples anew every so many epochs
    #[arg(long, value_name = "EPOCHS", conflicts_with = "rounds", value_parser = clap::value_parser!(u32).range(1..))]
    recompute_every: Option<u32>,
    /// Number of training images of the target that are held out for validation, the same for all seeds
    #[arg(long, value_name = "N", default_value_t = 1000)]
    validation: usize,
    /// Training steps, each on one batch, in all rounds together
    #[arg(long, value_name = "N", default_value_t = 800, value_parser = steps)]
    steps: usize,
    #[command(flatten)]
    recipe: Recipe,
    #[command(flatten)]
    compute: Compute,
    /// First seed of order of images, dropout and random choices
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Number of seeds to average over; the file is that of the first
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// CSV table to write: the scores of all samples and the choices, of the first seed
    #[arg(long, value_name = "CSV")]
    scores: Option<PathBuf>,
    /// Network file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  From MNIST to USPS by a tenth of the labels:
    sirocco-train image finetune --from mnist.safetensors --target usps --data data --out usps.safetensors
  A quarter of the labels, all chosen at once, over five seeds:
    sirocco-train image finetune --from mnist.safetensors --target usps --select entropy-most --fraction 0.25 \\
        --rounds 1 --seeds 5 --scores scores.csv --out usps.safetensors --json
  To images that a shift has changed:
    sirocco-train image finetune --from cifar.safetensors --target cifar10 --shift embedding:2 --fraction 0.25 \\
        --out x.safetensors
  With samples that a device has collected:
    sirocco-train image finetune --from mnist.safetensors --samples samples --replay mnist --steps 300 \\
        --out field.safetensors";

fn fraction(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|f| (f64::MIN_POSITIVE..=1.0).contains(f))
        .ok_or_else(|| "give a share above 0, at most 1".into())
}

/// The line that the user reads after Ctrl-C.
const NOTICE: &str = "stopping; nothing is written";

/// Chooses, trains, measures, writes.
///
/// # Errors
/// [`Error`] if files cannot be read or written, or a training diverges; [`Error::Interrupted`] after Ctrl-C.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let device = arguments.compute.open()?;
    let source = ImageModel::load(&arguments.from, &device)?;
    let Some(target) = arguments.target.as_deref().filter(|_| arguments.samples.is_none()) else {
        return arguments.learn_samples(source, output);
    };
    let architecture = source.network.architecture.clone();
    let train = arguments.data.load(target, Split::Train, &architecture)?;
    let shift = arguments.shifting.fit(&device, output, || Ok(train.clone()))?;
    let (pool, validation) = shift.apply(&train, shifting::seed(Split::Train))?.split(arguments.validation, 0)?;
    let test = arguments.data.load(target, Split::Test, &architecture)?;
    let test = shift.apply(&test, shifting::seed(Split::Test))?;
    let rounds = if arguments.recompute_every.is_some() { 1 } else { arguments.rounds as usize };
    let mut arm = Arm::once(arguments.select, arguments.fraction, arguments.steps).in_rounds(rounds);
    arm.recompute_every = arguments.recompute_every.map(|epochs| epochs as usize);
    let interrupt = Interrupt::on_ctrl_c(NOTICE)?;
    let total = arguments.steps * arguments.seeds as usize;
    let bar = output.bar(&arm.name(), total);
    let (mut accuracies, mut labels, mut first) = (Vec::new(), Vec::new(), None);
    for k in 0..arguments.seeds {
        let target = Target { pool: &pool, validation: &validation };
        let settings = arguments.recipe.settings(arguments.seed + k);
        let before = k as usize * arguments.steps;
        let adapted = adapt(&source.network, target, &arm, &settings, &interrupt, |training, loss| {
            bar.advance((before + training.step) as f64 / total as f64, &format!("loss {loss:.3}"));
        })?;
        accuracies.push(accuracy(&adapted.network, &test)?);
        labels.push(adapted.labels_seen);
        first.get_or_insert(adapted);
    }
    bar.finish();
    let Some(adapted) = first else { return Err(Error::Usage("no seed was run; raise --seeds".into())) };
    if let Some(file) = &arguments.scores {
        write_scores(file, &adapted, &pool)?;
    }
    let mut provenance = source.provenance;
    let entries = [
        ("target", target.to_owned()),
        ("target.shift", arguments.shifting.to_string()),
        ("target.data", dataset::fingerprint(&pool)),
        ("target.select", arm.name()),
        ("target.fraction", arguments.fraction.to_string()),
        ("target.labels", adapted.labels_seen.to_string()),
        ("target.steps", arguments.steps.to_string()),
        ("target.seed", arguments.seed.to_string()),
        ("accuracy", format!("{:.2}", accuracies[0])),
    ];
    provenance.extend(entries.map(|(k, v)| (k.to_string(), v)));
    ImageModel { network: adapted.network, classes: source.classes, provenance }.save(&arguments.out)?;
    let report = Report::new(&accuracies, &labels, arguments.steps, Some(&arguments.out), arguments.seed);
    output.result(&report, |report| say!("{}", report.text()));
    Ok(())
}

impl Arguments {
    /// Trains on samples that a device has collected.
    fn learn_samples(&self, source: ImageModel, output: Output) -> Result<(), Error> {
        let Some(folder) = &self.samples else {
            return Err(Error::Usage("no --samples; give the folder they are in".into()));
        };
        let architecture = source.network.architecture.clone();
        let samples = Samples::read(folder, &source.classes, architecture.input)?;
        let replay =
            self.replay.as_deref().map(|name| self.data.load(name, Split::Train, &architecture)).transpose()?;
        let (images, subset) = mixed(&samples.images, replay.as_ref());
        let test = self.target.as_deref().map(|name| self.data.load(name, Split::Test, &architecture)).transpose()?;
        let interrupt = Interrupt::on_ctrl_c(NOTICE)?;
        let total = self.steps * self.seeds as usize;
        let bar = output.bar("samples", total);
        let (mut accuracies, mut first) = (Vec::new(), None);
        for k in 0..self.seeds {
            let mut training = Training::new(source.network.duplicate()?, &self.recipe.settings(self.seed + k))?;
            let stage = Stage { number: 0, first: 0, end: self.steps, subset: &subset };
            let before = k as usize * self.steps;
            training.run(&images, stage, &interrupt, |training, loss| {
                bar.advance((before + training.step) as f64 / total as f64, &format!("loss {loss:.3}"));
            })?;
            if let Some(test) = &test {
                accuracies.push(accuracy(&training.network, test)?);
            }
            first.get_or_insert(training.network);
        }
        bar.finish();
        let Some(network) = first else { return Err(Error::Usage("no seed was run; raise --seeds".into())) };
        let mut provenance = source.provenance;
        let entries = [
            ("samples", samples.images.len().to_string()),
            ("samples.data", dataset::fingerprint(&samples.images)),
            ("samples.model", samples.model.clone()),
            ("samples.replay", self.replay.clone().unwrap_or_else(|| "none".into())),
            ("samples.steps", self.steps.to_string()),
            ("samples.seed", self.seed.to_string()),
        ];
        provenance.extend(entries.map(|(k, v)| (k.to_string(), v)));
        provenance.remove("accuracy");
        provenance.extend(accuracies.first().map(|a| ("accuracy".to_string(), format!("{a:.2}"))));
        ImageModel { network, classes: source.classes, provenance }.save(&self.out)?;
        let labels = [samples.images.len()];
        let report = Report::new(&accuracies, &labels, self.steps, Some(&self.out), self.seed);
        output.result(&report, |report| say!("{}\n{} samples had no label", report.text(), samples.unlabeled));
        Ok(())
    }
}

/// All samples and the images of `replay`, and indices that repeat the samples until they are about as many.
fn mixed(samples: &Images, replay: Option<&Images>) -> (Images, Vec<usize>) {
    let mut images = samples.clone();
    let n = samples.len();
    let Some(replay) = replay else { return (images, (0..n).collect()) };
    images.pixels.extend_from_slice(&replay.pixels);
    images.labels.extend_from_slice(&replay.labels);
    let times = (replay.len() / n.max(1)).max(1);
    let subset = (0..n).cycle().take(n * times).chain(n..n + replay.len()).collect();
    (images, subset)
}

/// Writes one row per choice and sample of the pool: its score, and its place if it was chosen.
fn write_scores(file: &Path, adapted: &Adapted, pool: &Images) -> Result<(), Error> {
    let mut table = Table::new(["choice", "sample", "label", "score", "place"]);
    for (number, choice) in adapted.choices.iter().enumerate() {
        let mut places = vec![None; pool.len()];
        choice.chosen.iter().enumerate().for_each(|(place, sample)| places[*sample] = Some(place));
        for (sample, score) in choice.scores.iter().enumerate() {
            let label = u64::from(pool.labels[sample]);
            table.row([number.into(), sample.into(), label.into(), (*score).into(), places[sample].into()]);
        }
    }
    Ok(table.write(file)?)
}
