//! What training and finetuning share: options, the run with its checkpoints, export, report.

use crate::bundle::evaluate;
use crate::bundle::export::{Candidate, Exported};
use crate::bundle::mlp::Mlp;
use crate::bundle::optimize::{adam, lm};
use crate::bundle::preset::{Preset, Recipe};
use crate::bundle::problem::Problem;
use crate::cmd::Error;
use crate::cmd::options::{Checkpoints, Compute, Output, Threads};
use crate::host::atomic;
use crate::host::budget::{Budget, Ending};
use crate::host::checkpoint::Identity;
use crate::host::clock;
use crate::host::device;
use crate::host::interrupt::EXIT_STATUS;
use crate::host::model_file::Metadata;
use crate::host::progress::Progress;
use crate::host::session::Session;
use clap::ValueEnum;
use serde::Serialize;
use sirocco::limits::{MAX_LAYERS, MAX_WIDTH};
use sirocco::network::Scheme;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `train` and `finetune`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Form of the trial solution; the most accurate one the system has, unless given (adam: generic)
    #[arg(long, value_enum)]
    pub form: Option<FormChoice>,
    /// How the weights are found
    #[arg(long, value_enum, default_value_t = Optimizer::Lm)]
    pub optimizer: Optimizer,
    /// Widths of the hidden layers, such as 16,16
    #[arg(long, value_name = "WIDTHS", value_parser = hidden)]
    pub hidden: Option<Hidden>,
    /// Learning rate and points of adam; the thesis' unless given
    #[arg(long, value_enum)]
    pub recipe: Option<adam::Recipe>,
    /// Iterations (lm) or steps (adam); the preset's own number unless this or --seconds is given
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub iterations: Option<usize>,
    /// Wall-clock seconds of training
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub seconds: Option<f64>,
    #[command(flatten)]
    pub compute: Compute,
    /// Seed of weights, points and measurement: the same seed gives the same file
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    pub(super) checkpoints: Checkpoints,
    /// Model file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Forms of the trial solution, as a user chooses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormChoice {
    /// Any system; conserves the components' sum where the system does
    Generic,
    /// SIR only: exact reduction to one unknown
    Reduced,
}

/// How the weights are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Optimizer {
    /// Levenberg-Marquardt: makes small networks accurate
    Lm,
    /// Stochastic gradients, the recipe of the literature; on a GPU too
    Adam,
}

impl Optimizer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Optimizer::Lm => "lm",
            Optimizer::Adam => "adam",
        }
    }
}

/// Widths of the hidden layers.
#[derive(Debug, Clone)]
pub struct Hidden(pub Vec<usize>);

fn hidden(text: &str) -> Result<Hidden, String> {
    let widths: Result<Vec<usize>, _> = text.split(',').map(|w| w.trim().parse()).collect();
    let widths = widths.map_err(|_| "give widths separated by commas, such as 16,16".to_string())?;
    if widths.len() >= MAX_LAYERS || widths.iter().any(|w| !(1..=MAX_WIDTH).contains(w)) {
        return Err(format!("a device takes 1 to {} hidden layers of 1 to {MAX_WIDTH} units", MAX_LAYERS - 1));
    }
    Ok(Hidden(widths))
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|s: &f64| s.is_finite() && *s > 0.0).ok_or_else(|| "give a positive number".into())
}

impl Options {
    /// What the user asked for; `usual` iterations if they asked for nothing.
    pub(super) fn budget(&self, usual: usize) -> Budget {
        let default = if self.seconds.is_some() { usize::MAX } else { usual };
        Budget { iterations: self.iterations.unwrap_or(default), seconds: self.seconds }
    }
}

/// A network to train, and what for.
#[derive(Debug)]
pub struct Job {
    /// Where the problem comes from.
    pub preset: &'static Preset,
    /// The problem in its form.
    pub problem: Problem,
    /// First weights.
    pub start: Mlp,
    /// Where they come from: `random`, or the file that is finetuned.
    pub origin: String,
    /// First damping of Levenberg-Marquardt.
    pub first_mu: f64,
    /// How it changes.
    pub schedule: lm::Schedule,
    /// Points per round, and iterations unless asked otherwise.
    pub recipe: Recipe,
}

/// What an optimiser gives back.
pub(super) struct Trained {
    pub mlp: Mlp,
    pub iterations: usize,
    pub seconds: f64,
    pub score: f64,
    pub ending: Ending,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report<'a> {
    logloss: f64,
    max_error: f64,
    rms_error: f64,
    queries: usize,
    implausible: usize,
    parameters: u32,
    macs: u32,
    iterations: usize,
    seconds: f64,
    cpu_seconds: Option<f64>,
    file: &'a Path,
    preset: &'a str,
    form: &'a str,
    optimizer: &'a str,
    seed: u64,
    ending: Ending,
    /// Held-out LogLoss of the f64 network that was chosen.
    logloss_f64: f64,
    largest_weight: f64,
}

impl Job {
    /// Trains, exports, measures and reports.
    ///
    /// # Errors
    /// Checkpoints or files that cannot be read or written; a failed export.
    pub fn run(&self, options: &Options) -> Result<ExitCode, Error> {
        atomic::check(&options.out)?;
        options.threads.apply()?;
        let trained = match (options.optimizer, options.compute.device) {
            (Optimizer::Lm, device::Choice::Cpu) if options.recipe.is_none() => self.levenberg_marquardt(options)?,
            (Optimizer::Lm, device::Choice::Cpu) => {
                return Err("--recipe is adam's; leave it out or add --optimizer adam".into());
            }
            (Optimizer::Lm, device::Choice::Cuda) => {
                return Err("--optimizer lm computes on the CPU; use --device cpu or --optimizer adam".into());
            }
            (Optimizer::Adam, _) => self.adam(options)?,
        };
        let exported = self.export(&trained, options)?;
        exported.write(&options.out)?;
        self.report(&trained, &exported, options)?;
        let interrupted = trained.ending == Ending::Interrupted;
        Ok(if interrupted { ExitCode::from(EXIT_STATUS as u8) } else { ExitCode::SUCCESS })
    }

    fn levenberg_marquardt(&self, options: &Options) -> Result<Trained, Error> {
        let budget = options.budget(self.recipe.iterations);
        let settings = lm::Settings::new(&self.problem, self.recipe.points, budget, options.seed).with(&self.recipe);
        let settings = lm::Settings { schedule: self.schedule, ..settings };
        let mut session = self.session(options, budget, self.identity(options, self.recipe.points))?;
        let mut state = lm::State::new(self.start.clone(), self.first_mu);
        if let Some((checkpoint, path)) = session.saver.load()? {
            state.restore(&checkpoint, path)?;
        }
        let stop = session.interrupt.clone();
        let ending = lm::run(&self.problem, &settings, &mut state, &stop, &mut |state: &lm::State| {
            session.progress.update(state.iteration, state.best_score);
            session.keep(|identity| Ok(state.checkpoint(identity)));
        });
        session.finish(|identity| Ok(state.checkpoint(identity)))?;
        let lm::State { best, iteration, seconds, best_score, .. } = state;
        Ok(Trained { mlp: best, iterations: iteration, seconds, score: best_score, ending })
    }

    pub(super) fn session(&self, options: &Options, budget: Budget, identity: Identity) -> Result<Session, Error> {
        options.checkpoints.session(Progress::new(self.preset.name, budget, options.output.verbosity()), identity)
    }

    /// What makes a run the same run: everything but its budget.
    pub(super) fn identity(&self, options: &Options, points: usize) -> Identity {
        let entry = |key: &str, value: String| (key.to_string(), value);
        [
            entry("ode", self.problem.ode.name().into()),
            entry("form", self.problem.form.name().into()),
            entry("domain", format!("{:?}", self.problem.domain)),
            entry("inputs", self.problem.inputs.iter().map(|i| i.name.as_str()).collect::<Vec<_>>().join(",")),
            entry("layers", format!("{:?}", self.start.widths)),
            entry("optimizer", options.optimizer.name().into()),
            entry("seed", options.seed.to_string()),
            entry("points", points.to_string()),
            entry("growth", self.recipe.growth.to_string()),
            entry("schedule", format!("{:?}", self.schedule)),
            entry("weights", self.origin.clone()),
        ]
        .into()
    }

    fn export(&self, trained: &Trained, options: &Options) -> Result<Exported, Error> {
        let provenance: Metadata = [
            ("preset", self.preset.name.to_string()),
            ("optimizer", options.optimizer.name().into()),
            ("seed", options.seed.to_string()),
            ("iterations", trained.iterations.to_string()),
            ("weights", self.origin.clone()),
        ]
        .map(|(key, value)| (key.to_string(), value))
        .into();
        let candidate = Candidate {
            problem: &self.problem,
            mlp: &trained.mlp,
            scheme: Scheme::F32,
            scales: None,
            provenance: &provenance,
            seed: options.seed,
            queries: evaluate::QUERIES,
        };
        Ok(candidate.export()?)
    }

    fn report(&self, trained: &Trained, exported: &Exported, options: &Options) -> Result<(), Error> {
        let report = Report {
            logloss: exported.measurement.logloss,
            max_error: exported.measurement.max_error,
            rms_error: exported.measurement.rms_error,
            queries: exported.measurement.queries,
            implausible: exported.measurement.implausible,
            parameters: exported.parameters,
            macs: exported.macs,
            iterations: trained.iterations,
            seconds: trained.seconds,
            cpu_seconds: clock::cpu_seconds(),
            file: &options.out,
            preset: self.preset.name,
            form: self.problem.form.name(),
            optimizer: options.optimizer.name(),
            seed: options.seed,
            ending: trained.ending,
            logloss_f64: trained.score,
            largest_weight: trained.mlp.largest(),
        };
        options.output.print(&report, || report.text(&trained.mlp.widths))
    }
}

impl Report<'_> {
    fn text(&self, widths: &[usize]) -> String {
        let layers = widths.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
        let ending = match self.ending {
            Ending::Budget => "",
            Ending::Converged => ", converged",
            Ending::Interrupted => ", interrupted",
        };
        let cpu = self.cpu_seconds.map_or(String::new(), |s| format!(" ({s:.1} CPU seconds in all)"));
        format!(
            "{} in {} form: {layers}, {} parameters, {} multiplications\n\
             {} iterations in {:.1} s{cpu}{ending}\n\
             LogLoss {:.2}, maximum error {:.1e}, RMS error {:.1e}: the file, by the device evaluator, {} queries\n\
             wrote {}",
            self.preset,
            self.form,
            self.parameters,
            self.macs,
            self.iterations,
            self.seconds,
            self.logloss,
            self.max_error,
            self.rms_error,
            self.queries,
            self.file.display()
        )
    }
}
