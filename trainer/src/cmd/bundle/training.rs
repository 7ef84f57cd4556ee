//! The common part of `bundle train` and `bundle finetune`: options, the run with its checkpoints, export, report.

use crate::bundle::evaluate;
use crate::bundle::export::{Candidate, Exported};
use crate::bundle::mlp::Mlp;
use crate::bundle::optimize::{adam, lm};
use crate::bundle::phase::{self, Phase};
use crate::bundle::preset::{Preset, Recipe};
use crate::bundle::problem::{Form, Problem};
use crate::cmd::error::Error;
use crate::cmd::options::{Checkpoints, Compute, Threads};
use crate::cmd::output::Output;
use crate::host::atomic;
use crate::host::budget::{Budget, Ending};
use crate::host::checkpoint::Identity;
use crate::host::clock;
use crate::host::device;
use crate::host::model_file::Metadata;
use crate::host::progress::Progress;
use crate::host::session::Session;
use clap::ValueEnum;
use serde::Serialize;
use sirocco::limits::{MAX_LAYERS, MAX_WIDTH};
use sirocco::network::Scheme;
use sirocco::ode::Ode;
use std::path::{Path, PathBuf};

/// Options of `train` and `finetune`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Form of the trial solution. Unless given, the most accurate one that the system has; with adam, generic
    #[arg(long, value_enum)]
    pub form: Option<FormChoice>,
    /// Method that finds the weights
    #[arg(long, value_enum, default_value_t = Optimizer::Lm)]
    pub optimizer: Optimizer,
    /// Widths of the hidden layers, separated by commas, such as 16,16. Unless given, the preset's; with adam, 50,50
    #[arg(long, value_name = "WIDTHS", value_parser = hidden)]
    pub hidden: Option<Hidden>,
    /// For adam: learning rate and points per step; `thesis` unless given
    #[arg(long, value_enum)]
    pub recipe: Option<adam::Recipe>,
    /// Iterations of lm or steps of adam. Unless this or --seconds is given, as many as suit the preset or the recipe
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub iterations: Option<usize>,
    /// Wall-clock seconds of training. With --iterations, the limit that is reached first counts
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub seconds: Option<f64>,
    #[command(flatten)]
    pub compute: Compute,
    /// Seed of weights, points and measurement. The same seed gives the same file
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
    /// For any system; conserves the sum of the components where the system does
    Generic,
    /// For SIR only: an exact reduction to one unknown
    Reduced,
    /// For SIR only: the time along an orbit, one network for every epidemic
    Phase,
}

impl FormChoice {
    /// The form for this system.
    pub fn of(self, ode: Ode) -> Form {
        match self {
            FormChoice::Generic => Form::general(ode),
            FormChoice::Reduced => Form::Reduced,
            FormChoice::Phase => Form::Phase,
        }
    }
}

/// The method that finds the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Optimizer {
    /// Levenberg-Marquardt: by far the most accurate for small networks
    Lm,
    /// Stochastic gradients, the method of the literature; also on a GPU
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
    /// The limits that the user gave; without any, `usual` iterations.
    pub(super) fn budget(&self, usual: usize) -> Budget {
        let default = if self.seconds.is_some() { usize::MAX } else { usual };
        Budget { iterations: self.iterations.unwrap_or(default), seconds: self.seconds }
    }
}

/// A network to train, and the problem it is trained for.
#[derive(Debug)]
pub struct Job {
    /// Where the problem comes from.
    pub preset: &'static Preset,
    /// The problem in its form.
    pub problem: Problem,
    /// First weights.
    pub start: Mlp,
    /// Their origin: `random`, or the file that is finetuned.
    pub origin: String,
    /// First damping of Levenberg-Marquardt.
    pub first_mu: f64,
    /// How the damping changes.
    pub schedule: lm::Schedule,
    /// Points per round, and iterations unless told otherwise.
    pub recipe: Recipe,
}

/// The result of an optimizer.
pub(super) struct Trained {
    pub mlp: Mlp,
    pub iterations: usize,
    pub seconds: f64,
    pub score: f64,
    pub ending: Ending,
}

/// The report, as it is printed.
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
    /// [`Error`] if options do not go together, a file cannot be read or written, or the export fails its checks; after a
    /// report, [`Error::Interrupted`] if the user pressed Ctrl-C.
    pub fn run(&self, options: &Options, output: Output) -> Result<(), Error> {
        atomic::check(&options.out)?;
        options.threads.apply()?;
        let trained = match (options.optimizer, options.compute.device) {
            (Optimizer::Lm, device::Choice::Cpu) if options.recipe.is_none() => {
                self.levenberg_marquardt(options, output)?
            }
            (Optimizer::Lm, device::Choice::Cpu) => {
                return Err(Error::Usage("--recipe is an option of adam; leave it out or add --optimizer adam".into()));
            }
            (Optimizer::Lm, device::Choice::Cuda) => {
                let remedy = "use --device cpu or --optimizer adam";
                return Err(Error::Usage(format!("--optimizer lm computes on the CPU; {remedy}")));
            }
            (Optimizer::Adam, _) if self.problem.form == Form::Phase => {
                return Err(Error::Usage("the form by phase is trained by lm; leave out --optimizer or --form".into()));
            }
            (Optimizer::Adam, _) => self.adam(options, output)?,
        };
        let exported = self.export(&trained, options)?;
        exported.write(&options.out)?;
        let report = self.report(&trained, &exported, options);
        output.result(&report, |report| say!("{}", report.text(&trained.mlp.widths)));
        if trained.ending == Ending::Interrupted { Err(Error::Interrupted) } else { Ok(()) }
    }

    fn levenberg_marquardt(&self, options: &Options, output: Output) -> Result<Trained, Error> {
        let budget = options.budget(self.recipe.iterations);
        let settings = lm::Settings::new(&self.problem, self.recipe.points, budget, options.seed).with(&self.recipe);
        let settings = lm::Settings { schedule: self.schedule, ..settings };
        let mut session = self.session(options, output, budget, self.identity(options, self.recipe.points))?;
        let mut state = lm::State::new(self.start.clone(), self.first_mu);
        if let Some((checkpoint, path)) = session.saver.load()? {
            state.restore(&checkpoint, path)?;
        }
        let stop = session.interrupt.clone();
        let phase = self.problem.form == Form::Phase;
        let mut watch = |state: &lm::State| {
            session.progress.update(state.iteration, state.best_score);
            session.keep(|identity| Ok(state.checkpoint(identity)));
        };
        let ending = if phase {
            lm::run(&Phase, &settings, &mut state, &stop, &mut watch)
        } else {
            lm::run(&self.problem, &settings, &mut state, &stop, &mut watch)
        };
        session.finish(|identity| Ok(state.checkpoint(identity)))?;
        let lm::State { best, iteration, seconds, best_score, .. } = state;
        let score = if phase { phase::log_loss(&best, options.seed) } else { best_score };
        Ok(Trained { mlp: best, iterations: iteration, seconds, score, ending })
    }

    pub(super) fn session(
        &self,
        options: &Options,
        output: Output,
        budget: Budget,
        identity: Identity,
    ) -> Result<Session, Error> {
        options.checkpoints.session(Progress::new(self.preset.name, budget, output.verbosity()), identity, &options.out)
    }

    /// What a run must have in common with its checkpoint: everything but the budget.
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

    fn report<'a>(&'a self, trained: &Trained, exported: &Exported, options: &'a Options) -> Report<'a> {
        Report {
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
        }
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
