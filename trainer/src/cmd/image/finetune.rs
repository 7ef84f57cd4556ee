//! `image finetune`

use super::options::{Data, Report, steps};
use super::recipe::{self, Recipe, Teaching};
use crate::cmd::error::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::options::Compute;
use crate::cmd::output::Output;
use crate::cmd::reading;
use crate::dataset::{self, Images, Split};
use crate::host::interrupt::Interrupt;
use crate::host::model_file::Metadata;
use crate::image::adaptation::{Adapted, Arm, Target, adapt};
use crate::image::field::{self, Memory};
use crate::image::held_out::{self, Division};
use crate::image::model::ImageModel;
use crate::image::net::architecture::Architecture;
use crate::image::samples::Samples;
use crate::image::select::{self, Criterion};
use crate::image::training::{Settings, accuracy};
use crate::report::csv::{Table, cells};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Take a network to another domain by the labels of few chosen samples
///
/// Of a data set of the other domain, a criterion chooses which images are worth a label, in rounds: choose, label, train.
/// Prints the accuracy on the test images of that domain and the number of labels used. With --samples the network is
/// trained on images that a device has collected and a person has labeled; then it also prints what the network knew before and
/// after, on the test images of the data set it comes from.
#[derive(Debug, clap::Args)]
#[command(after_help = help())]
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
    /// With --samples: data set whose training images are mixed in equal parts with the samples, so that the network does not
    /// forget; `none` for none. Unless given, the one that the network was trained on, if it is in --data. Without any, every
    /// step pulls the weights back towards the old ones
    #[arg(long, value_name = "DATASET|none", requires = "samples")]
    replay: Option<String>,
    /// With --samples and nothing to replay: how strongly every step pulls the weights back towards the old ones. Larger numbers
    /// keep more of what was known, and learn less
    #[arg(long, value_name = "STRENGTH", requires = "samples", default_value_t = field::PULL, value_parser = strength)]
    pull: f64,
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
    teaching: Teaching,
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
    sirocco-train image finetune --from mnist.safetensors --samples samples --data data --steps 300 \\
        --out field.safetensors";

/// Examples, recipes and augmentations.
fn help() -> String {
    format!("{EXAMPLES}\n\n{}", recipe::help())
}

fn strength(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|s| (0.0..=1e6).contains(s)).ok_or_else(|| "give a number from 0 to 1e6".into())
}

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
    arguments.data.follow(&source.provenance);
    let Some(target) = arguments.target.as_deref().filter(|_| arguments.samples.is_none()) else {
        return arguments.learn_samples(source, output);
    };
    let architecture = source.network.architecture.clone();
    let train = arguments.data.load(target, Split::Train, &architecture)?;
    let shift = arguments.shifting.fit(&device, output, || Ok(train.clone()))?;
    let shifted = shift.apply(&train, shifting::seed(Split::Train))?;
    let [pool, validation] = held_out::split(&shifted, arguments.validation)?;
    let test = arguments.data.load(target, Split::Test, &architecture)?;
    let test = shift.apply(&test, shifting::seed(Split::Test))?;
    let rounds = if arguments.recompute_every.is_some() { 1 } else { arguments.rounds as usize };
    let mut arm = Arm::once(arguments.select, arguments.fraction, arguments.steps).in_rounds(rounds);
    arm.recompute_every = arguments.recompute_every.map(|epochs| epochs as usize);
    let taught = arguments.teaching.load(&architecture, &source.classes, &device)?.map(|(teacher, _)| teacher);
    let interrupt = Interrupt::on_ctrl_c(NOTICE)?;
    let total = arguments.steps * arguments.seeds as usize;
    let bar = output.bar(&arm.name(), total);
    let (mut accuracies, mut labels, mut first) = (Vec::new(), Vec::new(), None);
    for k in 0..arguments.seeds {
        let target = Target { pool: &pool, validation: &validation };
        let settings = Settings { teacher: taught.clone(), ..arguments.recipe.settings(arguments.seed + k) };
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
        let name = (target, held_out::order(&train, arguments.validation)?);
        write_scores(file, &adapted, &pool, name)?;
    }
    let mut provenance = source.provenance;
    let entries = [
        ("target", target.to_owned()),
        ("target.shift", arguments.shifting.to_string()),
        ("target.data", dataset::fingerprint(&pool)),
        ("target.held_out", validation.len().to_string()),
        ("target.select", arm.name()),
        ("target.fraction", arguments.fraction.to_string()),
        ("target.labels", adapted.labels_seen.to_string()),
        ("target.steps", arguments.steps.to_string()),
        ("target.seed", arguments.seed.to_string()),
        ("accuracy", format!("{:.2}", accuracies[0])),
    ];
    provenance.extend(entries.map(|(k, v)| (k.to_string(), v)));
    provenance.extend(reading::entries(&*arguments.data.open(target)?));
    ImageModel { network: adapted.network, classes: source.classes, provenance }.save(&arguments.out)?;
    let report = Report::new(&accuracies, &labels, arguments.steps, Some(&arguments.out), arguments.seed);
    output.result(&report, |report| say!("{}", report.text()));
    Ok(())
}

/// The report of all image commands, and what the samples did. Accuracies are in percent.
#[derive(Serialize)]
struct FieldReport<'a> {
    #[serde(flatten)]
    report: Report<'a>,
    samples: usize,
    unlabeled: usize,
    /// The data set that was replayed.
    replay: Option<String>,
    /// Distinct labels of samples and of replayed images, both of which `labels_seen` counts.
    labels_of_samples: usize,
    labels_of_replay: usize,
    /// The network before and after, the first seed: on the samples, on the test images of `replay`, and on those of --target.
    samples_before: f64,
    samples_after: f64,
    replay_before: Option<f64>,
    replay_after: Option<f64>,
    target_before: Option<f64>,
    target_after: Option<f64>,
    warnings: Vec<String>,
}

impl FieldReport<'_> {
    fn text(&self) -> String {
        let mut lines: Vec<String> = self.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
        lines.push(format!(
            "labels: {} of samples, {} of replayed images; {} samples had no label",
            self.labels_of_samples, self.labels_of_replay, self.unlabeled
        ));
        lines.push(format!("samples: {:.2} % right before, {:.2} % after", self.samples_before, self.samples_after));
        match (&self.replay, self.replay_before, self.replay_after) {
            (Some(name), Some(before), Some(after)) => {
                lines.push(format!("{name}, test images: {before:.2} % before, {after:.2} % after"));
            }
            _ => lines.push(
                "nothing was replayed: the weights were pulled back towards the old ones; what the network knew before was not \
                 measured"
                    .into(),
            ),
        }
        if let (Some(before), Some(after)) = (self.target_before, self.target_after) {
            lines.push(format!("target, test images: {before:.2} % before, {after:.2} % after"));
        }
        lines.push(self.report.text());
        lines.join("\n")
    }
}

impl Arguments {
    /// Trains on samples that a device has collected.
    fn learn_samples(&self, source: ImageModel, output: Output) -> Result<(), Error> {
        let Some(folder) = &self.samples else {
            return Err(Error::Usage("no --samples; give the folder they are in".into()));
        };
        let ImageModel { network, classes, mut provenance } = source;
        let architecture = &network.architecture;
        let Samples { images: samples, unlabeled, model } = Samples::read(folder, &classes, architecture.input)?;
        let mut warnings = Vec::new();
        if let Some(label) = field::only_label(&samples) {
            let name = classes.get(usize::from(label)).map_or("", String::as_str);
            warnings.push(format!(
                "all {} samples carry the label `{name}`, and a network that learns one answer gives it too often; label samples \
                 of other classes, too",
                samples.len()
            ));
        }
        let replay = self.replayed(&provenance, architecture, &mut warnings)?;
        let test = self.target.as_deref().map(|name| self.data.load(name, Split::Test, architecture)).transpose()?;
        let taught = self.teaching.load(architecture, &classes, &network.device())?.map(|(teacher, _)| teacher);
        let interrupt = Interrupt::on_ctrl_c(NOTICE)?;
        let total = self.steps * self.seeds as usize;
        let bar = output.bar("samples", total);
        let (mut accuracies, mut labels, mut first) = (Vec::new(), Vec::new(), None);
        for k in 0..self.seeds {
            let settings = Settings { teacher: taught.clone(), ..self.recipe.settings(self.seed + k) };
            let before = k as usize * self.steps;
            let memory = replay.as_ref().map_or(Memory::Pull(self.pull), |replay| Memory::Replay(&replay.rest));
            let learned = field::learn(&network, &samples, memory, self.steps, &settings, &interrupt, |t, loss| {
                bar.advance((before + t.step) as f64 / total as f64, &format!("loss {loss:.3}"));
            })?;
            if let Some(test) = &test {
                accuracies.push(accuracy(&learned.network, test)?);
            }
            labels.push(learned.samples + learned.replayed);
            first.get_or_insert(learned);
        }
        bar.finish();
        let Some(learned) = first else { return Err(Error::Usage("no seed was run; raise --seeds".into())) };
        let on = |images: &Images| -> Result<[f64; 2], Error> {
            Ok([accuracy(&network, images)?, accuracy(&learned.network, images)?])
        };
        let of_samples = on(&samples)?;
        let of_replay = replay.as_ref().map(|r| on(&r.test)).transpose()?;
        let of_target = test.as_ref().map(on).transpose()?;
        let entries = [
            ("samples", samples.len().to_string()),
            ("samples.data", dataset::fingerprint(&samples)),
            ("samples.model", model),
            ("samples.replay", replay.as_ref().map_or("none".into(), |r| r.name.clone())),
            ("samples.held_out", replay.as_ref().map_or(0, |r| r.held_out).to_string()),
            ("samples.steps", self.steps.to_string()),
            ("samples.seed", self.seed.to_string()),
        ];
        provenance.extend(entries.map(|(k, v)| (k.to_string(), v)));
        provenance.remove("accuracy");
        provenance.extend(accuracies.first().map(|a| ("accuracy".to_string(), format!("{a:.2}"))));
        let report = FieldReport {
            report: Report::new(&accuracies, &labels, self.steps, Some(&self.out), self.seed),
            samples: samples.len(),
            unlabeled,
            labels_of_samples: learned.samples,
            labels_of_replay: learned.replayed,
            samples_before: of_samples[0],
            samples_after: of_samples[1],
            replay_before: of_replay.map(|r| r[0]),
            replay_after: of_replay.map(|r| r[1]),
            target_before: of_target.map(|t| t[0]),
            target_after: of_target.map(|t| t[1]),
            replay: replay.map(|r| r.name),
            warnings,
        };
        ImageModel { network: learned.network, classes, provenance }.save(&self.out)?;
        output.result(&report, |report| say!("{}", report.text()));
        Ok(())
    }

    /// The images to replay: those that --replay names, or those that the network was trained on, if they can be loaded.
    fn replayed(
        &self,
        provenance: &Metadata,
        architecture: &Architecture,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Replay>, Error> {
        let load = |name: &str| -> Result<Replay, Error> {
            let Division { rest, held } =
                Division::of(provenance, name, &self.data.load(name, Split::Train, architecture)?)?;
            let test = self.data.load(name, Split::Test, architecture)?;
            Ok(Replay { name: name.to_owned(), rest, held_out: held.len(), test })
        };
        match (self.replay.as_deref(), provenance.get("dataset")) {
            (Some("none"), _) => Ok(None),
            (Some(name), _) => load(name).map(Some),
            (None, Some(name)) => Ok(load(name)
                .map_err(|why| warnings.push(format!("`{name}` cannot be replayed against forgetting: {why}")))
                .ok()),
            (None, None) => Ok(None),
        }
    }
}

/// A data set that is trained on again.
struct Replay {
    name: String,
    /// Its training images, without those that are held out.
    rest: Images,
    held_out: usize,
    test: Images,
}

/// Writes one row per choice and sample of the pool: the image's data set, split and number in that split, its score, and its
/// place if it was chosen.
fn write_scores(
    file: &Path,
    adapted: &Adapted,
    pool: &Images,
    (set, numbers): (&str, Vec<usize>),
) -> Result<(), Error> {
    let mut table = Table::new(["choice", "dataset", "split", "index", "label", "score", "place"]);
    for (number, choice) in adapted.choices.iter().enumerate() {
        let mut places = vec![None; pool.len()];
        choice.chosen.iter().enumerate().for_each(|(place, sample)| places[*sample] = Some(place));
        for (sample, score) in choice.scores.iter().enumerate() {
            let (label, index) = (u64::from(pool.labels[sample]), numbers[sample]);
            table.row(cells![number, set, "train", index, label, *score, places[sample]]);
        }
    }
    Ok(table.write(file)?)
}
