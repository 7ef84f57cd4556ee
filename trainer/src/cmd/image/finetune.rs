//! `image finetune`: a trained network, another domain, and the labels of a few chosen samples.

use super::options::{Data, Recipe, Report, progress};
use crate::cmd::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::options::{Compute, Output};
use crate::dataset::{self, Images, Split};
use crate::host::interrupt::Interrupt;
use crate::image::adaptation::{Adapted, Arm, Target, adapt};
use crate::image::model::ImageModel;
use crate::image::samples::Samples;
use crate::image::select::{self, Criterion};
use crate::image::training::{Stage, Training, accuracy};
use crate::report::csv::Table;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Take a network to another domain with the labels of chosen samples.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Network file to start from
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Data set of the other domain, such as usps; with --samples only its test images are used, to measure
    #[arg(long, required_unless_present = "samples")]
    target: Option<String>,
    /// Folder of samples that `sirocco samples fetch` wrote and a person labelled, to learn from instead
    #[arg(long, value_name = "DIR", conflicts_with_all = ["select", "fraction", "rounds", "recompute_every", "scores", "shift"])]
    samples: Option<PathBuf>,
    /// Data set that the network comes from: half of every batch, so that it does not forget
    #[arg(long, value_name = "DATASET", requires = "samples")]
    replay: Option<String>,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    shifting: Shifting,
    /// Criterion by which samples are chosen; see `image study --help`
    #[arg(long, default_value = "margin", value_parser = |name: &str| select::find(name))]
    select: Criterion,
    /// Share of the pool that is labelled
    #[arg(long, default_value_t = 0.1, value_parser = fraction)]
    fraction: f64,
    /// Rounds in which samples are chosen
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Choose all samples anew every so many epochs instead
    #[arg(long, value_name = "EPOCHS", conflicts_with = "rounds", value_parser = clap::value_parser!(u32).range(1..))]
    recompute_every: Option<u32>,
    /// Images of the target that are held out of the pool, the same for all seeds
    #[arg(long, value_name = "N", default_value_t = 1000)]
    validation: usize,
    /// Steps
    #[arg(long, value_name = "N", default_value_t = 800)]
    steps: usize,
    #[command(flatten)]
    recipe: Recipe,
    #[command(flatten)]
    compute: Compute,
    /// First seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Seeds; the file is that of the first
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Table of the first seed's scores and choices
    #[arg(long, value_name = "CSV")]
    scores: Option<PathBuf>,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train image finetune --from mnist.safetensors --target usps --data data --out usps.safetensors
  sirocco-train image finetune --from mnist.safetensors --target usps --select entropy-most --fraction 0.25 \\
      --rounds 1 --seeds 5 --scores scores.csv --out usps.safetensors --json
  sirocco-train image finetune --from cifar.safetensors --target cifar10 --shift embedding:2 --fraction 0.25 --out x.safetensors
  sirocco-train image finetune --from mnist.safetensors --samples samples --replay mnist --steps 300 --out field.safetensors";

fn fraction(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|f| (f64::MIN_POSITIVE..=1.0).contains(f))
        .ok_or_else(|| "give a share above 0, at most 1".into())
}

impl Args {
    /// Chooses, trains, measures, writes.
    ///
    /// # Errors
    /// Files that cannot be read or written; a diverged training.
    pub fn run(self) -> Result<ExitCode, Error> {
        let device = self.compute.open()?;
        let source = ImageModel::load(&self.from, &device)?;
        let Some(target) = self.target.as_deref().filter(|_| self.samples.is_none()) else {
            return self.learn_samples(source);
        };
        let architecture = source.network.architecture.clone();
        let train = self.data.load(target, Split::Train, &architecture)?;
        let shift = self.shifting.fit_on(&device, self.output.verbosity(), || Ok(train.clone()))?;
        let (pool, validation) = shift.apply(&train, shifting::seed(Split::Train))?.split(self.validation, 0)?;
        let test = self.data.load(target, Split::Test, &architecture)?;
        let test = shift.apply(&test, shifting::seed(Split::Test))?;
        let rounds = if self.recompute_every.is_some() { 1 } else { self.rounds as usize };
        let mut arm = Arm::once(self.select, self.fraction, self.steps).in_rounds(rounds);
        arm.recompute_every = self.recompute_every.map(|epochs| epochs as usize);
        let interrupt = Interrupt::on_ctrl_c()?;
        let total = self.steps * self.seeds as usize;
        let mut bar = progress(&arm.name(), total, self.output.verbosity());
        let (mut accuracies, mut labels, mut first) = (Vec::new(), Vec::new(), None);
        for k in 0..self.seeds {
            let target = Target { pool: &pool, validation: &validation };
            let settings = self.recipe.settings(self.seed + k);
            let before = k as usize * self.steps;
            let adapted = adapt(&source.network, target, &arm, &settings, &interrupt, |training, loss| {
                bar.advance((before + training.step) as f64 / total as f64, &format!("loss {loss:.3}"));
            })?;
            accuracies.push(accuracy(&adapted.network, &test)?);
            labels.push(adapted.labels_seen);
            first.get_or_insert(adapted);
        }
        bar.finish();
        let Some(adapted) = first else { return Err("no seed was run; raise --seeds".into()) };
        if let Some(file) = &self.scores {
            write_scores(file, &adapted, &pool)?;
        }
        let mut provenance = source.provenance;
        let entries = [
            ("target", target.to_owned()),
            ("target.shift", self.shifting.to_string()),
            ("target.data", dataset::fingerprint(&pool)),
            ("target.select", arm.name()),
            ("target.fraction", self.fraction.to_string()),
            ("target.labels", adapted.labels_seen.to_string()),
            ("target.steps", self.steps.to_string()),
            ("target.seed", self.seed.to_string()),
            ("accuracy", format!("{:.2}", accuracies[0])),
        ];
        provenance.extend(entries.map(|(k, v)| (k.to_string(), v)));
        ImageModel { network: adapted.network, classes: source.classes, provenance }.save(&self.out)?;
        let report = Report::new(&accuracies, &labels, self.steps, Some(&self.out), self.seed);
        self.output.print(&report, || report.text())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Args {
    /// Learns from samples that a device brought home.
    fn learn_samples(&self, source: ImageModel) -> Result<ExitCode, Error> {
        let Some(folder) = &self.samples else { return Err("no --samples; give the folder they are in".into()) };
        let architecture = source.network.architecture.clone();
        let samples = Samples::read(folder, &source.classes, architecture.input)?;
        let replay =
            self.replay.as_deref().map(|name| self.data.load(name, Split::Train, &architecture)).transpose()?;
        let (images, subset) = mixed(&samples.images, replay.as_ref());
        let test = self.target.as_deref().map(|name| self.data.load(name, Split::Test, &architecture)).transpose()?;
        let interrupt = Interrupt::on_ctrl_c()?;
        let total = self.steps * self.seeds as usize;
        let mut bar = progress("samples", total, self.output.verbosity());
        let (mut accuracies, mut first) = (Vec::new(), None);
        for k in 0..self.seeds {
            let mut training = Training::new(source.network.duplicate()?);
            let stage = Stage { number: 0, first: 0, end: self.steps, subset: &subset };
            let before = k as usize * self.steps;
            training.run(&images, stage, &self.recipe.settings(self.seed + k), &interrupt, |training, loss| {
                bar.advance((before + training.step) as f64 / total as f64, &format!("loss {loss:.3}"));
            })?;
            if let Some(test) = &test {
                accuracies.push(accuracy(&training.network, test)?);
            }
            first.get_or_insert(training.network);
        }
        bar.finish();
        let Some(network) = first else { return Err("no seed was run; raise --seeds".into()) };
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
        self.output.print(&report, || format!("{}\n{} samples had no label", report.text(), samples.unlabelled))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Samples and images to be mixed with, and indices of both: as many of the one as of the other, or nearly.
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

/// One row per sample of the pool and choice: its score, and its place if it was taken.
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
