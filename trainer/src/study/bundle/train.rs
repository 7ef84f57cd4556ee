//! Trains a [`Run`] and measures it during training; the measurements do not count as CPU time of training.

use super::probe::Probe;
use super::run::{Method, Run, Start, Trace};
use crate::bundle::loss;
use crate::bundle::mlp::{Activation, Mlp};
use crate::bundle::optimize::{adam, lm};
use crate::bundle::problem::Problem;
use crate::bundle::residual::Batch;
use crate::bundle::sample;
use crate::bundle::transfer;
use crate::host::budget::{Budget, Ending};
use crate::host::clock;
use crate::host::interrupt::Interrupt;
use crate::host::random::Purpose;
use crate::study::StudyError;

/// First damping of random weights.
const RANDOM_MU: f64 = 1.0;
/// Measurements of a run of Adam, evenly spaced.
const ADAM_MEASUREMENTS: usize = 50;

/// A clock of CPU time that can be stopped during other work.
struct Meter {
    since: Option<f64>,
    sum: f64,
}

impl Meter {
    fn start() -> Self {
        Meter { since: clock::cpu_seconds(), sum: 0.0 }
    }

    /// Seconds so far.
    fn read(&mut self) -> f64 {
        if let (Some(now), Some(since)) = (clock::cpu_seconds(), self.since) {
            // The seconds of a thread that has ended in between are lost.
            self.sum += (now - since).max(0.0);
        }
        self.sum
    }

    /// Stops while `f` runs.
    fn aside(&mut self, f: impl FnOnce()) {
        self.read();
        f();
        self.since = clock::cpu_seconds();
    }
}

/// A [`Trace`] in the making.
struct Recorder<'a> {
    problem: &'a Problem,
    probe: Probe,
    trace: Trace,
}

impl Recorder<'_> {
    fn record(&mut self, iteration: usize, mlp: &Mlp) {
        if self.trace.iteration.last().is_some_and(|last| *last >= iteration as f64) {
            return;
        }
        let (logloss, max_error) = self.probe.measure(self.problem, mlp);
        self.trace.iteration.push(iteration as f64);
        self.trace.logloss.push(logloss);
        self.trace.max_error.push(max_error);
    }
}

/// Whether a run by Levenberg-Marquardt is measured after this iteration: every one at first, fewer later.
fn due(iteration: usize) -> bool {
    match iteration {
        0..=20 => true,
        21..=100 => iteration.is_multiple_of(5),
        _ => iteration.is_multiple_of(20),
    }
}

/// Trains `run`. `source` is the network of [`Run::source`]; `watch` is called with the number of iterations done.
///
/// # Errors
/// [`StudyError::Interrupted`]; [`StudyError::Trainer`] if there is no such problem, or if the loss
/// becomes non-finite.
pub fn train(run: &Run, source: Option<&Mlp>, stop: &Interrupt, watch: impl FnMut(usize)) -> Result<Trace, StudyError> {
    let begin = clock::cpu_seconds();
    let problem = run.problem()?;
    let first = first_weights(run, &problem, source)?;
    let trace = Trace {
        iteration: Vec::new(),
        cpu: Vec::new(),
        logloss: Vec::new(),
        max_error: Vec::new(),
        spent: 0.0,
        mlp: first.clone(),
    };
    let mut recorder = Recorder { problem: &problem, probe: Probe::new(&problem), trace };
    recorder.record(0, &first);
    let (ending, mlp, done, cpu) = match run.method {
        Method::Lm { points, schedule } => {
            levenberg_marquardt(run, (points, schedule), first, &mut recorder, stop, watch)
        }
        Method::Adam(recipe) => by_adam(run, recipe, first, &mut recorder, stop, watch)?,
    };
    if ending == Ending::Interrupted {
        return Err(StudyError::Interrupted);
    }
    recorder.record(done, &mlp);
    let Recorder { mut trace, .. } = recorder;
    trace.mlp = mlp;
    // Many iterations are shorter than a tick of the clock, so every one gets the same share of the whole.
    let each = if done > 0 { cpu / done as f64 } else { 0.0 };
    trace.cpu = trace.iteration.iter().map(|iteration| iteration * each).collect();
    trace.spent = clock::cpu_seconds().zip(begin).map_or(f64::NAN, |(end, begin)| end - begin);
    Ok(trace)
}

fn first_weights(run: &Run, problem: &Problem, source: Option<&Mlp>) -> Result<Mlp, StudyError> {
    if let (Start::From(from), Some(mlp)) = (&run.start, source) {
        return Ok(transfer::adopt(mlp, &from.problem()?, problem)?);
    }
    let mut mlp = Mlp::random(&problem.widths(&run.hidden), Activation::Tanh, problem.last_bias(), run.seed);
    if matches!(run.method, Method::Adam(_)) {
        adam::sharpen(problem, &mut mlp);
    }
    Ok(mlp)
}

/// Watches every iteration.
struct Each<F>(F);

impl<F: FnMut(&lm::State)> lm::Observer for Each<F> {
    fn iteration(&mut self, state: &lm::State) {
        (self.0)(state);
    }
}

type Trained = (Ending, Mlp, usize, f64);

fn levenberg_marquardt(
    run: &Run,
    (points, schedule): (usize, lm::Schedule),
    first: Mlp,
    recorder: &mut Recorder<'_>,
    stop: &Interrupt,
    mut watch: impl FnMut(usize),
) -> Trained {
    let problem = recorder.problem;
    let settings = lm::Settings::new(problem, points, Budget::iterations(run.iterations), run.seed);
    let settings = lm::Settings { schedule, ..settings };
    let held_out = sample::uniform(problem, lm::HELD_OUT, run.seed, Purpose::HeldOut, 0);
    let held_out = Batch::new(problem, &held_out);
    let mu = if run.source().is_some() { transfer::first_mu(schedule) } else { RANDOM_MU };
    let mut state = lm::State::new(first, mu);
    let mut meter = Meter::start();
    let mut each = Each(|state: &lm::State| {
        watch(state.iteration);
        if run.watched && due(state.iteration) {
            meter.aside(|| {
                // The weights that a run would keep if it ended here: the best at the end of any round so far.
                let better = loss::score(problem, &state.mlp, &held_out) < state.best_score;
                recorder.record(state.iteration, if better { &state.mlp } else { &state.best });
            });
        }
    });
    let ending = lm::run(problem, &settings, &mut state, stop, &mut each);
    let cpu = meter.read();
    (ending, state.best, state.iteration, cpu)
}

fn by_adam(
    run: &Run,
    recipe: adam::Recipe,
    first: Mlp,
    recorder: &mut Recorder<'_>,
    stop: &Interrupt,
    mut watch: impl FnMut(usize),
) -> Result<Trained, StudyError> {
    let problem = recorder.problem;
    let settings = adam::Settings {
        recipe,
        points: recipe.points(),
        budget: Budget::iterations(run.iterations),
        seed: run.seed,
        device: candle_core::Device::Cpu,
    };
    let every = (run.iterations / ADAM_MEASUREMENTS).next_multiple_of(adam::EPOCH).max(adam::EPOCH);
    let mut state = adam::State::new(first);
    let mut meter = Meter::start();
    let ending = adam::run(problem, &settings, &mut state, stop, |state| {
        watch(state.step);
        if run.watched && state.step.is_multiple_of(every) {
            meter.aside(|| recorder.record(state.step, &state.answer()));
        }
    })?;
    let cpu = meter.read();
    Ok((ending, state.answer(), state.step, cpu))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::preset;
    use crate::bundle::problem::Form;

    fn run(iterations: usize) -> Run {
        let preset = preset::find("sir-single").unwrap();
        Run {
            ode: preset.ode,
            form: Form::Reduced,
            domain: preset.domain.to_vec(),
            hidden: vec![8],
            start: Start::Random,
            method: Method::Lm { points: 128, schedule: lm::Schedule::Gain },
            iterations,
            seed: 3,
            watched: true,
        }
    }

    fn done(run: &Run, source: Option<&Mlp>) -> Trace {
        train(run, source, &Interrupt::never(), |_| ()).unwrap()
    }

    /// The curve of a long run passes through the ends of shorter runs: measuring changes nothing.
    #[test]
    fn a_curve_shows_where_shorter_runs_end() {
        let whole = done(&run(30), None);
        for iterations in [0, 4, 10, 17] {
            let shorter = done(&Run { watched: false, ..run(iterations.max(1)) }, None);
            let expected = if iterations == 0 { shorter.logloss[0] } else { shorter.logloss() };
            assert_eq!(whole.logloss_at(iterations), expected, "after {iterations}");
        }
        assert!(whole.logloss() < whole.logloss[0] - 5.0);
        assert!(whole.cpu.windows(2).all(|w| w[0] <= w[1]) && whole.spent.is_finite());
    }

    #[test]
    fn a_moved_run_starts_as_the_function_it_comes_from() {
        let source = run(60);
        let trained = done(&source, None);
        let moved = Run { start: Start::From(Box::new(source.clone())), ..run(5) };
        let trace = done(&moved, Some(&trained.mlp));
        assert!((trace.logloss[0] - trained.logloss()).abs() < 1e-6, "{} {}", trace.logloss[0], trained.logloss());
    }

    #[test]
    fn adam_is_measured_too() {
        let adam = Run { method: Method::Adam(adam::Recipe::Thesis), form: Form::Conserved, ..run(100) };
        let trace = done(&adam, None);
        assert_eq!(trace.iteration, (0..=10).map(|k| f64::from(k) * 10.0).collect::<Vec<_>>());
        assert!(trace.logloss() < trace.logloss[0]);
    }

    #[test]
    fn an_interrupted_run_leaves_nothing() {
        let interrupt = Interrupt::never();
        let result = train(&run(1000), None, &interrupt, |iteration| {
            if iteration == 12 {
                interrupt.press();
            }
        });
        assert!(matches!(result, Err(StudyError::Interrupted)));
    }
}
