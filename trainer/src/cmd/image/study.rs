//! `image study`

use super::options::{Data, steps};
use crate::cmd::error::Error;
use crate::cmd::image::shifting::{self, Shifting};
use crate::cmd::options::Compute;
use crate::cmd::output::Output;
use crate::dataset::Split;
use crate::host::interrupt::Interrupt;
use crate::host::names;
use crate::host::{self, atomic};
use crate::image::adaptation::Arm;
use crate::image::net::architecture::preset;
use crate::image::select;
use crate::report::html::{Highlight, Page, Section};
use crate::report::json;
use crate::study::image::findings::Figures;
use crate::study::image::work::{Finished, Material, Work};
use crate::study::image::{Outcome, RANDOM, digits};
use crate::study::pieces::Pieces;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Run a study of label selection: which samples of another domain are worth a label
///
/// Every arm of a study is one way of choosing labels, trained with several seeds and compared with one reference arm.
/// Writes tables, plots and a page; prints what was found. Finished pieces are kept in the folder, so an interrupted
/// command that is repeated goes on where it was.
#[derive(Debug, clap::Args)]
#[command(after_help = help())]
pub struct Arguments {
    /// Study to run
    #[arg(value_name = "NAME", value_parser = ["mnist-usps", "budget", "shift", "thesis"])]
    pub(super) name: String,
    /// Folder for tables, plots, the page and finished pieces
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Data set that networks are trained on first
    #[arg(long, default_value = "mnist")]
    pub(super) dataset: String,
    /// Data set of the other domain. If it is the same, one half of it is the source and the other half, shifted, the target
    #[arg(long, default_value = "usps")]
    pub(super) target: String,
    #[command(flatten)]
    pub(super) data: Data,
    #[command(flatten)]
    pub(super) shifting: Shifting,
    /// Architecture: lenet16, thesis-digits, thesis-mlp, thesis-cifar or resnet8
    #[arg(long, default_value = "lenet16")]
    pub(super) network: String,
    /// Training steps of every arm on the target
    #[arg(long, value_name = "N", default_value_t = 800, value_parser = steps)]
    pub(super) steps: usize,
    /// Training steps on the source
    #[arg(long, value_name = "N", default_value_t = 1875)]
    pub(super) pretraining: usize,
    /// First seed
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    pub(super) seed: u64,
    /// Number of seeds for every arm, counted from --seed
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) seeds: u64,
    /// Number of training images of the target that are held out for validation
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) validation: usize,
    /// Run only the arms whose names contain this text, and the reference arm
    #[arg(long, value_name = "TEXT")]
    pub(super) only: Option<String>,
    /// Run only the arms with these shares of the labels, such as 0.05,0.1
    #[arg(long, value_name = "SHARES", value_delimiter = ',')]
    fractions: Vec<f64>,
    /// Reference arm that all others are compared with, such as "entropy-most, 4 rounds"
    #[arg(long, value_name = "ARM", default_value = RANDOM)]
    against: String,
    /// Steps between two points of a learning curve; 0 for no curves
    #[arg(long, value_name = "N", default_value_t = 100)]
    curve_every: usize,
    /// Number of pieces (arm and seed) that run at the same time, one thread each; all cores unless given
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<usize>,
    /// With `thesis`: the digits inside the program in place of data sets, a few hundred steps, two seeds
    #[arg(long)]
    pub(super) short: bool,
    #[command(flatten)]
    pub(super) compute: Compute,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train image study mnist-usps --data data --out study
  sirocco-train image study shift --dataset cifar10 --target cifar10 --network thesis-cifar \\
      --shift embedding:2 --data data --out shift
  All experiments of the thesis, and what defects of public code for them change:
    sirocco-train image study thesis --data data --out thesis
    sirocco-train image study thesis --short --out thesis-short";

/// Examples, studies and criteria.
fn help() -> String {
    let studies = digits::ALL.map(|s| format!("  {:<15} {}\n", s.name, s.what)).concat();
    let thesis = "the experiments of the thesis with its own data sets, networks and shifts, and again with one defect at a time";
    let criteria: String = select::ALL.iter().map(|c| format!("  {:<15} {}\n", c.name, c.what)).collect();
    format!(
        "{EXAMPLES}\n\nStudies:\n{studies}  {:<15} {thesis}\n\nCriteria, for `image finetune --select` as well:\n{criteria}",
        "thesis"
    )
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    figures: &'a Figures,
    steps: usize,
    seeds: u64,
    cpu_seconds: Option<f64>,
    report: PathBuf,
}

/// Runs the pieces that are missing, and writes tables and page.
///
/// # Errors
/// [`Error`] if data or folders cannot be read or written; [`Error::Interrupted`] after Ctrl-C.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    if arguments.short {
        return Err(Error::Usage("--short is for `image study thesis`; leave it out".into()));
    }
    let study = names::find("study", &digits::ALL, |study| study.name, &arguments.name)?;
    let arms = arguments.chosen((study.answer)(arguments.steps)?)?;
    let device = arguments.compute.open()?;
    atomic::create_directory(&arguments.out)?;
    let architecture = preset(&arguments.network, arguments.data.open(&arguments.target)?.classes.len())?;
    let load = |set: &str, split| arguments.data.load(set, split, &architecture);
    let train = load(&arguments.target, Split::Train)?;
    let shift = arguments.shifting.fit(&device, output, || Ok(train.clone()))?;
    // Within one data set, one half is the source and the other half, shifted, the target: no image is in both.
    let (source, target) = match arguments.dataset == arguments.target {
        true => train.split(train.len() / 2, 0)?,
        false => (load(&arguments.dataset, Split::Train)?, train),
    };
    let (pool, validation) = shift.apply(&target, shifting::seed(Split::Train))?.split(arguments.validation, 0)?;
    let test = shift.apply(&load(&arguments.target, Split::Test)?, shifting::seed(Split::Test))?;
    let material = Material { source, source_test: load(&arguments.dataset, Split::Test)?, test, pool, validation };
    let threads = arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let work = Work {
        architecture: &architecture,
        material: &material,
        pretraining: arguments.pretraining,
        arms: &arms,
        seeds: arguments.seed..arguments.seed + arguments.seeds,
        curve_every: arguments.curve_every,
        pieces: Pieces::kept_in(&arguments.out, study.name, Some(threads), output.verbosity())?,
        device,
    };
    let interrupt = Interrupt::on_ctrl_c("stopping; what is finished is kept, run the same command again to go on")?;
    let Finished { before, outcomes, .. } = work.run(&interrupt)?;
    let figures = Figures::new(before, &outcomes, &arguments.against);
    let findings = figures.findings(&outcomes)?;
    findings.write_tables(&arguments.out)?;
    let report = arguments.out.join("report.html");
    arguments.page(findings.section("What the labels were worth"), &outcomes, study.what).write(&report)?;
    let cpu_seconds = crate::host::clock::cpu_seconds();
    let result = Report { figures: &figures, steps: arguments.steps, seeds: arguments.seeds, cpu_seconds, report };
    json::write(&arguments.out.join("findings.json"), &result)?;
    output.result(&result, |result| {
        let cpu = cpu_seconds.map_or(String::new(), |s| format!("{s:.0} CPU seconds; "));
        say!("{}\n{cpu}open {}", findings.seen().join("\n"), result.report.display());
    });
    Ok(())
}

impl Arguments {
    /// The arms that --only and --fractions select.
    fn chosen(&self, mut arms: Vec<Arm>) -> Result<Vec<Arm>, Error> {
        let reference = |arm: &Arm| arm.name() == self.against;
        if !arms.iter().any(reference) {
            let names: BTreeSet<String> = arms.iter().map(Arm::name).collect();
            let names = names.into_iter().collect::<Vec<_>>().join("`, `");
            let why = format!("`{}` is not an arm of this study; --against takes one of `{names}`", self.against);
            return Err(Error::Usage(why));
        }
        if let Some(only) = &self.only {
            if !arms.iter().any(|arm| arm.name().contains(only)) {
                let names: BTreeSet<String> = arms.iter().map(Arm::name).collect();
                let names = names.into_iter().collect::<Vec<_>>().join("`, `");
                return Err(Error::Usage(format!(
                    "no arm's name contains `{only}`; --only takes a part of one of `{names}`"
                )));
            }
            arms.retain(|arm| arm.name().contains(only) || reference(arm));
        }
        let shares: Vec<String> = arms.iter().map(|arm| arm.fraction.to_string()).collect();
        if !self.fractions.is_empty() {
            arms.retain(|arm| self.fractions.contains(&arm.fraction));
        }
        if arms.is_empty() {
            let shares = shares.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ");
            let why = format!("no arm has one of the --fractions {:?}; there are {shares}", self.fractions);
            return Err(Error::Usage(why));
        }
        Ok(arms)
    }

    fn page(&self, section: Section, outcomes: &[Outcome], what: &str) -> Page {
        let cpu: f64 = outcomes.iter().map(|o| o.cpu_seconds).sum();
        let pairs = [
            ("network", self.network.clone()),
            ("source, target", format!("{}, {}", self.dataset, self.target)),
            ("shift of the target", self.shifting.to_string()),
            ("images", self.data.reading().preparation.to_string()),
            ("steps of every arm", self.steps.to_string()),
            ("steps on the source", self.pretraining.to_string()),
            ("computed on", format!("{:?}", self.compute.device).to_lowercase()),
            ("seeds", format!("{} to {}", self.seed, self.seed + self.seeds - 1)),
            ("software", host::SOFTWARE.to_string()),
        ];
        Page {
            title: format!("Label selection: {}", self.name),
            lead: format!("{} to {}: {what}.", self.dataset, self.target),
            highlights: vec![Highlight::new("CPU time", format!("{cpu:.0} s"), "all arms, whenever they were run")],
            provenance: pairs.map(|(k, v)| (k.to_string(), v)).to_vec(),
            sections: vec![section],
        }
    }
}
