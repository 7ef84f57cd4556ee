//! `image study`: every arm of a study with several seeds, as tables, plots and one page.

use super::options::{Data, progress};
use crate::cmd::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::options::{Compute, Output};
use crate::dataset::{self, Split};
use crate::host::atomic;
use crate::host::interrupt::Interrupt;
use crate::image::adaptation::Arm;
use crate::image::net::architecture::preset;
use crate::image::select;
use crate::report::html::{Highlight, Page};
use crate::report::{csv::Table, json};
use crate::study::image::findings::Findings;
use crate::study::image::work::{Finished, Material, Work, pieces_in};
use crate::study::image::{Outcome, Point, RANDOM, digits};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

/// Run a study of label selection: from MNIST to USPS, or to shifted images.
///
/// Finished pieces are kept in the folder; the same command goes on where it was stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = help())]
pub struct Args {
    /// Study: mnist-usps, budget, shift
    #[arg(value_name = "NAME", value_parser = ["mnist-usps", "budget", "shift"])]
    name: String,
    /// Folder for tables, plots and the page
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Source data set
    #[arg(long, default_value = "mnist")]
    dataset: String,
    /// Target data set
    #[arg(long, default_value = "usps")]
    target: String,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    shifting: Shifting,
    /// Network
    #[arg(long, default_value = "lenet16")]
    network: String,
    /// Steps of every arm
    #[arg(long, value_name = "N", default_value_t = 800)]
    steps: usize,
    /// Steps on the source
    #[arg(long, value_name = "N", default_value_t = 1875)]
    pretraining: usize,
    /// First seed
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    seed: u64,
    /// Seeds, from --seed on
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Images of the target that are held out of the pool
    #[arg(long, value_name = "N", default_value_t = 1000)]
    validation: usize,
    /// Only arms whose name holds this, and the one they are compared with
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only arms with these shares of the labels, such as 0.05,0.1
    #[arg(long, value_name = "SHARES", value_delimiter = ',')]
    fractions: Vec<f64>,
    /// The arm that all others are compared with, such as "entropy-most, 4 rounds"
    #[arg(long, value_name = "ARM", default_value = RANDOM)]
    against: String,
    /// Steps between two points of a learning curve; 0 for none
    #[arg(long, value_name = "N", default_value_t = 100)]
    curve_every: usize,
    /// Threads, one per (arm, seed); all cores unless given
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    output: Output,
}

fn help() -> String {
    let studies = digits::ALL.map(|s| format!("  {:<15} {}\n", s.name, s.what)).concat();
    let criteria: String = select::ALL.iter().map(|c| format!("  {:<15} {}\n", c.name, c.what)).collect();
    format!(
        "Studies:\n{studies}\nCriteria:\n{criteria}\nExample:\n  sirocco-train image study mnist-usps --data data --out study\n  sirocco-train image study shift \\\n      --dataset cifar10 --target cifar10 --network thesis-cifar --shift embedding:2 --data data --out shift"
    )
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    findings: &'a Findings,
    steps: usize,
    seeds: u64,
    cpu_seconds: Option<f64>,
    report: PathBuf,
}

/// Every point of every learning curve.
fn learning_curves(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(["arm", "fraction", "seed", "step", "training_loss", "validation_accuracy"]);
    for (o, point) in outcomes.iter().flat_map(|o| o.curve.iter().map(move |point| (o, point))) {
        let Point { step, training_loss, validation_accuracy } = *point;
        let (arm, fraction, seed) = (o.arm.as_str().into(), o.fraction.into(), o.seed.into());
        table.row([arm, fraction, seed, step.into(), training_loss.into(), validation_accuracy.into()]);
    }
    table
}

impl Args {
    /// Runs what is missing, and writes tables and page.
    ///
    /// # Errors
    /// Data or folders that cannot be read or written; Ctrl-C.
    pub fn run(self) -> Result<ExitCode, Error> {
        let study = digits::ALL.into_iter().find(|s| s.name == self.name).ok_or("there is no such study")?;
        let arms = self.chosen((study.arms)(self.steps)?)?;
        let device = self.compute.open()?;
        atomic::create_directory(&self.out)?;
        let architecture = preset(&self.network, dataset::find(&self.target)?.classes.len())?;
        let load = |set: &str, split| self.data.load(set, split, &architecture);
        let train = load(&self.target, Split::Train)?;
        let shift = self.shifting.fit_on(&device, self.output.verbosity(), || Ok(train.clone()))?;
        // Of one data set, a half is the source and the other half, shifted, the target: no image is in both.
        let (source, target) = match self.dataset == self.target {
            true => train.split(train.len() / 2, 0)?,
            false => (load(&self.dataset, Split::Train)?, train),
        };
        let (pool, validation) = shift.apply(&target, shifting::seed(Split::Train))?.split(self.validation, 0)?;
        let test = shift.apply(&load(&self.target, Split::Test)?, shifting::seed(Split::Test))?;
        let material = Material { source, source_test: load(&self.dataset, Split::Test)?, test, pool, validation };
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let work = Work {
            architecture: &architecture,
            material: &material,
            pretraining: self.pretraining,
            arms: &arms,
            seeds: self.seed..self.seed + self.seeds,
            curve_every: self.curve_every,
            pieces: Some(pieces_in(&self.out)?),
            threads,
            device,
        };
        let bar = Mutex::new(progress(study.name, arms.len() * self.seeds as usize, self.output.verbosity()));
        let Finished { before, outcomes, .. } = work.run(&Interrupt::on_ctrl_c()?, |done, total| {
            if let Ok(mut bar) = bar.lock() {
                bar.advance(done as f64 / total as f64, &format!("{done} of {total}"));
            }
        })?;
        let findings = Findings::new(before, &outcomes, &self.against);
        findings.csv().write(&self.out.join("table.csv"))?;
        let mut each = Table::new([
            "arm",
            "fraction",
            "seed",
            "accuracy",
            "source_accuracy",
            "labels_seen",
            "cpu_seconds",
            "class_counts",
        ]);
        for o in &outcomes {
            let counts = o.class_counts.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
            let (labels, cpu) = (o.labels_seen.into(), o.cpu_seconds.into());
            let (accuracy, kept) = (o.accuracy.into(), o.source_accuracy.into());
            each.row([
                o.arm.as_str().into(),
                o.fraction.into(),
                o.seed.into(),
                accuracy,
                kept,
                labels,
                cpu,
                counts.into(),
            ]);
        }
        each.write(&self.out.join("outcomes.csv"))?;
        learning_curves(&outcomes).write(&self.out.join("curves.csv"))?;
        let page = self.page(&findings, &outcomes, study.what)?;
        let report = self.out.join("report.html");
        page.write(&report)?;
        let cpu_seconds = crate::host::clock::cpu_seconds();
        let result = Report { findings: &findings, steps: self.steps, seeds: self.seeds, cpu_seconds, report };
        json::write(&self.out.join("findings.json"), &result)?;
        self.output.print(&result, || {
            let cpu = cpu_seconds.map_or(String::new(), |s| format!("{s:.0} CPU seconds; "));
            format!("{}\n{cpu}open {}", findings.sentences().join("\n"), result.report.display())
        })?;
        Ok(ExitCode::SUCCESS)
    }

    /// The arms that --only and --fractions leave.
    fn chosen(&self, mut arms: Vec<Arm>) -> Result<Vec<Arm>, Error> {
        let reference = |arm: &Arm| arm.name() == self.against;
        if !arms.iter().any(reference) {
            let names: BTreeSet<String> = arms.iter().map(Arm::name).collect();
            let names = names.into_iter().collect::<Vec<_>>().join("`, `");
            return Err(format!("`{}` is no arm of this study; --against takes one of `{names}`", self.against).into());
        }
        if let Some(only) = &self.only {
            arms.retain(|arm| arm.name().contains(only) || reference(arm));
        }
        let shares: Vec<String> = arms.iter().map(|arm| arm.fraction.to_string()).collect();
        if !self.fractions.is_empty() {
            arms.retain(|arm| self.fractions.contains(&arm.fraction));
        }
        if arms.is_empty() {
            let shares = shares.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ");
            return Err(format!("no arm has one of the --fractions {:?}; there are {shares}", self.fractions).into());
        }
        Ok(arms)
    }

    fn page(&self, findings: &Findings, outcomes: &[Outcome], what: &str) -> Result<Page, Error> {
        let cpu: f64 = outcomes.iter().map(|o| o.cpu_seconds).sum();
        let pairs = [
            ("network", self.network.clone()),
            ("source, target", format!("{}, {}", self.dataset, self.target)),
            ("shift of the target", self.shifting.to_string()),
            ("geometry", format!("{:?}", self.data.geometry).to_lowercase()),
            ("steps of every arm", self.steps.to_string()),
            ("steps on the source", self.pretraining.to_string()),
            ("computed on", format!("{:?}", self.compute.device).to_lowercase()),
            ("seeds", format!("{} to {}", self.seed, self.seed + self.seeds - 1)),
            ("software", concat!("sirocco-trainer ", env!("CARGO_PKG_VERSION")).to_string()),
        ];
        Ok(Page {
            title: format!("Label selection: {}", self.name),
            lead: format!("{} to {}: {what}.", self.dataset, self.target),
            highlights: vec![Highlight::new("CPU time", format!("{cpu:.0} s"), "all arms, whenever they were run")],
            provenance: pairs.map(|(k, v)| (k.to_string(), v)).to_vec(),
            sections: vec![findings.section("What the labels were worth", outcomes)?],
        })
    }
}
