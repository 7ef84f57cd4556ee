//! A training run as plain data, and its result.
//!
//! A [`Run`] states everything that its result depends on, so it is the identity under which the [`Trace`] is stored.

use crate::bundle::mlp::{Activation, Mlp, parameter_count};
use crate::bundle::optimize::adam;
use crate::bundle::optimize::lm::Schedule;
use crate::bundle::problem::{Form, Problem};
use crate::host::checkpoint::Identity;
use crate::study::StudyError;
use crate::study::pieces::{self, Columns, Piece};
use sirocco::ode::Ode;

/// One network to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The system.
    pub ode: Ode,
    /// The form of the trial solution.
    pub form: Form,
    /// Training box, per quantity in the system's order.
    pub domain: Vec<(f64, f64)>,
    /// Hidden widths.
    pub hidden: Vec<usize>,
    /// First weights.
    pub start: Start,
    /// How the weights are found.
    pub method: Method,
    /// Iterations of Levenberg-Marquardt or steps of Adam.
    pub iterations: usize,
    /// Seed of weights and points.
    pub seed: u64,
    /// Whether loss and error are measured during training, or only before and after it.
    pub watched: bool,
}

/// First weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// Drawn with the run's seed.
    Random,
    /// Those of another run, taken to the domain of this one.
    From(Box<Run>),
}

/// How the weights are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Levenberg-Marquardt.
    Lm {
        /// Collocation points of a round.
        points: usize,
        /// How the damping changes.
        schedule: Schedule,
    },
    /// Adam.
    Adam(adam::Recipe),
}

impl Run {
    /// The problem that is trained: a moved network keeps the kind of its inputs.
    ///
    /// # Errors
    /// [`StudyError::Trainer`] if the system has no such domain or form.
    pub fn problem(&self) -> Result<Problem, StudyError> {
        Ok(match &self.start {
            Start::Random => Problem::new(self.ode, self.form, &self.domain)?,
            Start::From(source) => source.problem()?.moved(&self.domain)?,
        })
    }

    /// The same run with another schedule of the damping, if it is by Levenberg-Marquardt.
    pub fn scheduled(mut self, by: Schedule) -> Self {
        if let Method::Lm { schedule, .. } = &mut self.method {
            *schedule = by;
        }
        self
    }

    /// The run whose network gives the first weights, if there is one.
    pub fn source(&self) -> Option<&Run> {
        match &self.start {
            Start::Random => None,
            Start::From(source) => Some(source),
        }
    }
}

impl Piece for Run {
    type Outcome = Trace;

    fn identity(&self) -> Identity {
        let start = match self.source() {
            None => "random".to_owned(),
            Some(source) => format!("{:?}", source.identity()),
        };
        pieces::identity([
            ("ode", self.ode.name().into()),
            ("form", self.form.name().into()),
            ("domain", format!("{:?}", self.domain)),
            ("hidden", format!("{:?}", self.hidden)),
            ("method", format!("{:?}", self.method)),
            ("iterations", self.iterations.to_string()),
            ("seed", self.seed.to_string()),
            ("watched", self.watched.to_string()),
            ("start", start),
        ])
    }

    fn label(&self) -> String {
        let start = if self.source().is_some() { "moved" } else { "fresh" };
        format!("{}-{start}-{}", self.ode.name(), self.seed)
    }

    /// In multiply-adds.
    fn work(&self) -> f64 {
        let inputs = if self.form == Form::Reduced { 3 } else { self.domain.len() };
        let widths: Vec<f64> =
            [inputs].iter().chain(&self.hidden).chain([&self.form.outputs(self.ode)]).map(|w| *w as f64).collect();
        let parameters: f64 = widths.windows(2).map(|w| (w[0] + 1.0) * w[1]).sum();
        let per_iteration = match self.method {
            Method::Lm { points, .. } => points as f64 * parameters * parameters,
            Method::Adam(recipe) => recipe.points() as f64 / adam::EPOCH as f64 * parameters * 100.0,
        };
        per_iteration * self.iterations as f64
    }

    fn cpu_seconds(trace: &Trace) -> f64 {
        trace.spent
    }

    fn columns(trace: &Trace) -> Columns {
        let columns = [
            ("iteration", &trace.iteration),
            ("cpu", &trace.cpu),
            ("logloss", &trace.logloss),
            ("max_error", &trace.max_error),
            ("weights", &trace.mlp.parameters),
            ("spent", &vec![trace.spent]),
        ];
        columns.map(|(name, values)| (name.to_owned(), values.clone())).into()
    }

    fn outcome(&self, mut columns: Columns) -> Option<Trace> {
        let widths = self.problem().ok()?.widths(&self.hidden);
        let mut take = |name: &str| columns.remove(name);
        let parameters = take("weights").filter(|weights| weights.len() == parameter_count(&widths))?;
        Some(Trace {
            iteration: take("iteration")?,
            cpu: take("cpu")?,
            logloss: take("logloss")?,
            max_error: take("max_error")?,
            spent: take("spent")?.pop()?,
            mlp: Mlp { widths, activation: Activation::Tanh, parameters },
        })
    }
}

/// The result of a run. The columns have one entry per measurement; the first one is from before any training.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Iterations done.
    pub iteration: Vec<f64>,
    /// CPU seconds of training so far, all threads together, without measurements; every iteration has an equal share.
    pub cpu: Vec<f64>,
    /// LogLoss at held-out points of the weights that a run of so many iterations would end with.
    pub logloss: Vec<f64>,
    /// Largest absolute error at held-out queries.
    pub max_error: Vec<f64>,
    /// CPU seconds of the whole piece, measurements included.
    pub spent: f64,
    /// The trained network.
    pub mlp: Mlp,
}

impl Trace {
    /// The last measurement after at most this many iterations: a run that has converged stays where it is.
    pub fn at(&self, iterations: usize) -> usize {
        self.iteration.partition_point(|i| *i <= iterations as f64).saturating_sub(1)
    }

    /// LogLoss after this many iterations.
    pub fn logloss_at(&self, iterations: usize) -> f64 {
        self.logloss.get(self.at(iterations)).copied().unwrap_or(f64::NAN)
    }

    /// Largest error after this many iterations.
    pub fn max_error_at(&self, iterations: usize) -> f64 {
        self.max_error.get(self.at(iterations)).copied().unwrap_or(f64::NAN)
    }

    /// LogLoss at the end.
    pub fn logloss(&self) -> f64 {
        self.logloss.last().copied().unwrap_or(f64::NAN)
    }

    /// Largest error at the end.
    pub fn max_error(&self) -> f64 {
        self.max_error.last().copied().unwrap_or(f64::NAN)
    }

    /// Iterations after which the LogLoss is this low for the first time, if it ever is.
    pub fn reaches(&self, logloss: f64) -> Option<f64> {
        self.iteration.get(self.logloss.iter().position(|l| *l <= logloss)?).copied()
    }

    /// CPU seconds of training per iteration.
    pub fn cpu_per_iteration(&self) -> f64 {
        match (self.cpu.last(), self.iteration.last()) {
            (Some(cpu), Some(iterations)) if *iterations > 0.0 => cpu / iterations,
            _ => f64::NAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        Run {
            ode: Ode::Sir,
            form: Form::Reduced,
            domain: crate::bundle::preset::find("sir-single").unwrap().domain.to_vec(),
            hidden: vec![2],
            start: Start::Random,
            method: Method::Lm { points: 32, schedule: Schedule::Gain },
            iterations: 3,
            seed: 1,
            watched: true,
        }
    }

    fn trace() -> Trace {
        Trace {
            iteration: vec![0.0, 1.0, 5.0],
            cpu: vec![0.0, 0.5, 2.5],
            logloss: vec![-1.0, -3.0, -9.0],
            max_error: vec![0.5, 0.25, f64::NAN],
            spent: 3.0,
            mlp: Mlp::random(&[1, 2, 1], Activation::Tanh, 0.0, 0),
        }
    }

    #[test]
    fn the_key_names_everything_that_matters() {
        let changes: [fn(&mut Run); 9] = [
            |r| r.form = Form::Conserved,
            |r| r.domain[1] = (0.2, 0.3),
            |r| r.hidden = vec![3],
            |r| r.start = Start::From(Box::new(Run { seed: 9, ..run() })),
            |r| r.method = Method::Lm { points: 33, schedule: Schedule::Gain },
            |r| r.method = Method::Lm { points: 32, schedule: Schedule::TRAINING },
            |r| r.iterations = 4,
            |r| r.seed = 2,
            |r| r.watched = false,
        ];
        for change in changes {
            let mut other = run();
            change(&mut other);
            assert_ne!(other.identity(), run().identity());
        }
        let moved = |seed| Run { start: Start::From(Box::new(Run { seed, ..run() })), ..run() };
        assert_ne!(moved(1).identity(), moved(2).identity(), "the source counts too");
    }

    #[test]
    fn a_stored_trace_comes_back() {
        let mut run = run();
        run.hidden = vec![2];
        let widths = run.problem().unwrap().widths(&run.hidden);
        let trace = Trace { mlp: Mlp::random(&widths, Activation::Tanh, 0.0, 0), ..trace() };
        let loaded = run.outcome(Run::columns(&trace)).unwrap();
        assert_eq!((&loaded.iteration, &loaded.mlp, loaded.spent), (&trace.iteration, &trace.mlp, 3.0));
        assert!(loaded.max_error[2].is_nan());
        run.hidden = vec![3];
        assert_eq!(run.outcome(Run::columns(&trace)), None, "other widths have other weights");
    }

    #[test]
    fn traces_answer_for_every_iteration() {
        let trace = trace();
        assert_eq!([0, 1, 4, 5, 100].map(|i| trace.logloss_at(i)), [-1.0, -3.0, -3.0, -9.0, -9.0]);
        assert_eq!((trace.reaches(-3.0), trace.reaches(-10.0)), (Some(1.0), None));
        assert_eq!(trace.cpu_per_iteration(), 0.5);
    }
}
