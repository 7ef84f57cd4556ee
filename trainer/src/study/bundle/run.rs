//! A training run as plain data, and what it leaves behind.
//!
//! A [`Run`] says everything that its result depends on, so its text is the key under which the [`Trace`] is stored.

use super::StudyError;
use crate::bundle::mlp::{Activation, Mlp};
use crate::bundle::optimize::adam;
use crate::bundle::optimize::lm::Schedule;
use crate::bundle::problem::{Form, Problem};
use crate::host::checkpoint::{Checkpoint, CheckpointError, Identity};
use sirocco::model::CRC32;
use sirocco::ode::Ode;
use std::path::Path;

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
    /// Whether loss and error are measured on the way, or only before and after.
    pub watched: bool,
}

/// First weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// Drawn by the run's seed.
    Random,
    /// Those of another run, taken to this one's domain.
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
    /// A domain or form that the system does not have.
    pub fn problem(&self) -> Result<Problem, StudyError> {
        Ok(match &self.start {
            Start::Random => Problem::new(self.ode, self.form, &self.domain)?,
            Start::From(source) => source.problem()?.moved(&self.domain)?,
        })
    }

    /// The same with the damping of Levenberg-Marquardt changing in this way.
    pub fn scheduled(mut self, by: Schedule) -> Self {
        if let Method::Lm { schedule, .. } = &mut self.method {
            *schedule = by;
        }
        self
    }

    /// The run that gives the first weights, if one does.
    pub fn source(&self) -> Option<&Run> {
        match &self.start {
            Start::Random => None,
            Start::From(source) => Some(source),
        }
    }

    /// Everything the result depends on, for the stored piece.
    pub fn identity(&self) -> Identity {
        let start = match self.source() {
            None => "random".to_owned(),
            Some(source) => format!("{:?}", source.identity()),
        };
        [
            ("software", env!("CARGO_PKG_VERSION").to_owned()),
            ("ode", self.ode.name().into()),
            ("form", self.form.name().into()),
            ("domain", format!("{:?}", self.domain)),
            ("hidden", format!("{:?}", self.hidden)),
            ("method", format!("{:?}", self.method)),
            ("iterations", self.iterations.to_string()),
            ("seed", self.seed.to_string()),
            ("watched", self.watched.to_string()),
            ("start", start),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    /// File name of the stored piece. Another run may, very rarely, have the same; its identity then tells.
    pub fn file_name(&self) -> String {
        let start = if self.source().is_some() { "moved" } else { "fresh" };
        let digest = CRC32.checksum(format!("{:?}", self.identity()).as_bytes());
        format!("{}-{start}-{}-{digest:08x}.piece", self.ode.name(), self.seed)
    }

    /// Roughly how long it takes, in multiply-adds: for the time left, not for results.
    pub fn work(&self) -> f64 {
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
}

/// What a run leaves behind. The columns have one entry per measurement, the first before any training.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Iterations done.
    pub iteration: Vec<f64>,
    /// CPU seconds of training so far, all threads together, without those of measuring: equal shares of the whole.
    pub cpu: Vec<f64>,
    /// LogLoss at held-out points, of the weights a run of so many iterations ends with.
    pub logloss: Vec<f64>,
    /// Largest absolute error at held-out queries.
    pub max_error: Vec<f64>,
    /// CPU seconds of the whole piece, measuring included.
    pub spent: f64,
    /// The trained network.
    pub mlp: Mlp,
}

impl Trace {
    /// The last measurement not after this many iterations: a run that converged stays where it is.
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

    /// Iterations after which the LogLoss is this low for the first time.
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

    /// Stores the trace as the piece of `run`, in one step.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, run: &Run, path: &Path) -> Result<(), CheckpointError> {
        let columns = [
            ("iteration", &self.iteration),
            ("cpu", &self.cpu),
            ("logloss", &self.logloss),
            ("max_error", &self.max_error),
            ("weights", &self.mlp.parameters),
        ];
        let mut tensors: std::collections::BTreeMap<_, _> =
            columns.map(|(name, values)| (name.to_owned(), values.clone())).into();
        tensors.insert("spent".into(), vec![self.spent]);
        Checkpoint { identity: run.identity(), counters: [].into(), tensors }.save(path)
    }

    /// The stored piece of `run`, whose network has these widths.
    ///
    /// # Errors
    /// No file, a damaged one, or another run's.
    pub fn load(run: &Run, widths: Vec<usize>, path: &Path) -> Result<Self, CheckpointError> {
        let piece = Checkpoint::load(path, &run.identity())?;
        let length = piece.tensors.get("iteration").map_or(0, Vec::len);
        let column = |name: &str| piece.tensor(path, name, length).map(<[f64]>::to_vec);
        let weights = piece.tensor(path, "weights", crate::bundle::mlp::parameter_count(&widths))?.to_vec();
        Ok(Trace {
            iteration: column("iteration")?,
            cpu: column("cpu")?,
            logloss: column("logloss")?,
            max_error: column("max_error")?,
            spent: piece.tensor(path, "spent", 1)?[0],
            mlp: Mlp { widths, activation: Activation::Tanh, parameters: weights },
        })
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
            assert_ne!(other.file_name(), run().file_name());
        }
        let moved = |seed| Run { start: Start::From(Box::new(Run { seed, ..run() })), ..run() };
        assert_ne!(moved(1).identity(), moved(2).identity(), "the source counts too");
    }

    #[test]
    fn a_stored_trace_comes_back_and_another_runs_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("piece");
        trace().save(&run(), &path).unwrap();
        let loaded = Trace::load(&run(), vec![1, 2, 1], &path).unwrap();
        assert_eq!((&loaded.iteration, &loaded.mlp, loaded.spent), (&trace().iteration, &trace().mlp, 3.0));
        assert!(loaded.max_error[2].is_nan());
        let other = Run { seed: 2, ..run() };
        assert!(matches!(Trace::load(&other, vec![1, 2, 1], &path), Err(CheckpointError::Mismatch { .. })));
    }

    #[test]
    fn traces_answer_for_every_iteration() {
        let trace = trace();
        assert_eq!([0, 1, 4, 5, 100].map(|i| trace.logloss_at(i)), [-1.0, -3.0, -3.0, -9.0, -9.0]);
        assert_eq!((trace.reaches(-3.0), trace.reaches(-10.0)), (Some(1.0), None));
        assert_eq!(trace.cpu_per_iteration(), 0.5);
    }
}
