//! Levenberg-Marquardt on the residuals, in rounds: each round draws fresh collocation points, iterates on them, and
//! scores the result on held-out points.
//!
//! Steps have a second-order correction along the path, "geodesic acceleration" (Transtrum and Sethna 2012,
//! arXiv:1201.5885). It costs a few percent of an iteration. Since the loss has long, curved valleys, it gains four to ten
//! units of LogLoss at equal iterations.
//!
//! A round is a function of the [`State`] it starts from, the seed and the settings, so a run that is resumed from the
//! state after any round repeats the unbroken run bit for bit. No solution data is ever used.

use super::normal::{self, Damping, NormalEquations, Workspace};
use crate::bundle::equations::{Batch as Points, Equations};
use crate::bundle::loss;
use crate::bundle::mlp::Mlp;
use crate::bundle::preset::Recipe;
use crate::bundle::problem::{Form, Problem};
use crate::bundle::residual::Batch;
use crate::bundle::sample::{self, Adaptivity};
use crate::host::budget::{Budget, Ending};
use crate::host::checkpoint::{Checkpoint, CheckpointError, Identity};
use crate::host::interrupt::Interrupt;
use crate::host::random::Purpose;
use std::path::Path;
use std::time::Instant;

/// Iterations of a round unless told otherwise.
pub const ROUND: usize = 10;
/// The same in the form by phase.
const PHASE_ROUND: usize = 50;
/// Held-out points that choose the best weights.
pub const HELD_OUT: usize = 4096;
/// Damping never falls below this.
const LEAST_MU: f64 = 1e-14;
/// Damping above which no step is worth trying.
const MOST_MU: f64 = 1e8;

/// A step is corrected only if twice the length of its acceleration is at most this share of the step's length.
const MOST_BENT: f64 = 0.75;

/// How the damping changes when steps are accepted or rejected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// By the gain ratio, which is the decrease of the loss over the decrease that the linear model predicts: above 3/4 the
    /// damping falls to a third, below 1/4 it doubles. A rejected step multiplies it by 4, from the third in a row on by 10.
    Gain,
    /// "Delayed gratification" (Transtrum and Sethna 2012): every accepted step divides the damping by `lower`, every
    /// rejected one multiplies it by the small factor `raise`. Steps are then the longest that still lower the loss, not
    /// those that lower it most. This is worse at first and better after a few iterations, because the path cuts the bends
    /// of the valley. An iteration costs up to 1.6 times as much, because more steps are rejected.
    Patient {
        /// Divisor of the damping after an accepted step.
        lower: f64,
        /// Factor of the damping after a rejected step.
        raise: f64,
    },
}

impl Schedule {
    /// From random weights: after 300 iterations for `sir-full`, LogLoss is 1.5 lower than by gain ratio.
    pub const TRAINING: Self = Self::Patient { lower: 5.0, raise: 1.5 };
    /// From adopted weights, where a few iterations must suffice.
    pub const FINETUNING: Self = Self::Patient { lower: 10.0, raise: 2.0 };

    /// The damping after an accepted step with this gain ratio.
    fn accepted(self, mu: f64, gain: f64) -> f64 {
        let mu = match self {
            Schedule::Gain if gain > 0.75 => mu / 3.0,
            Schedule::Gain if gain < 0.25 => mu * 2.0,
            Schedule::Gain => mu,
            Schedule::Patient { lower, .. } => mu / lower,
        };
        mu.max(LEAST_MU)
    }

    /// The damping after this many rejected steps of an iteration.
    fn rejected(self, mu: f64, times: usize) -> f64 {
        match self {
            Schedule::Gain if times > 2 => mu * 10.0,
            Schedule::Gain => mu * 4.0,
            Schedule::Patient { raise, .. } => mu * raise,
        }
    }
}

/// Equations with the points at which they are trained and held out.
pub trait Training: Equations {
    /// Collocation points of a round, some of them drawn by the residual at the weights of `mlp`.
    fn collocation(&self, mlp: &Mlp, settings: &Settings, round: u64) -> Points<Self::Chunk>;

    /// Points that choose the best weights.
    fn held_out(&self, seed: u64) -> Points<Self::Chunk>;

    /// How good the weights are at the held-out points; less is better.
    fn score(&self, mlp: &Mlp, held_out: &Points<Self::Chunk>) -> f64;
}

/// How Levenberg-Marquardt trains.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Collocation points of a round.
    pub points: usize,
    /// Iterations of a round: on how many linearizations the same points are used.
    pub round: usize,
    /// When it stops.
    pub budget: Budget,
    /// Damping of the normal equations.
    pub damping: Damping,
    /// How the damping changes.
    pub schedule: Schedule,
    /// How the adaptive half of the points follows the residual.
    pub adaptivity: Adaptivity,
    /// Rounds over which the points' times grow to the whole horizon; 0 for the whole horizon from the start.
    pub growth: u64,
    /// Rounds after which training begins anew from other random weights, the best of all being kept; 0 for never.
    pub restart: u64,
    /// Seed of every draw.
    pub seed: u64,
}

impl Settings {
    /// Settings that converge for this problem's form.
    pub fn new(problem: &Problem, points: usize, budget: Budget, seed: u64) -> Self {
        let phase = problem.form == Form::Phase;
        let damping = if problem.form == Form::Reduced || phase { Damping::Identity } else { Damping::Diagonal };
        let wide = phase || problem.inputs.iter().any(|i| i.name == "ln_i0");
        let adaptivity = if wide { Adaptivity { power: 2, floor: 0.5 } } else { Adaptivity { power: 1, floor: 1.0 } };
        let (round, schedule, growth) = (if phase { PHASE_ROUND } else { ROUND }, Schedule::Gain, 0);
        Settings { points, round, budget, damping, schedule, adaptivity, growth, restart: 0, seed }
    }

    /// The same with the damping, growth and restarts of a recipe.
    pub fn with(self, recipe: &Recipe) -> Self {
        let damping = recipe.damping.unwrap_or(self.damping);
        Settings { damping, growth: recipe.growth, restart: recipe.restart, ..self }
    }

    /// The share of the time horizon that a round's points cover. A network that is wrong at early times can satisfy the
    /// equations later by following another solution, and often does, so early times are trained first.
    fn horizon(&self, round: u64) -> f64 {
        ((round + 1) as f64 / (self.growth + 1) as f64).min(1.0)
    }
}

/// The state of a run, complete enough to resume from: a checkpoint holds all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Current weights.
    pub mlp: Mlp,
    /// Current damping.
    pub mu: f64,
    /// Rounds done.
    pub round: u64,
    /// Iterations done.
    pub iteration: usize,
    /// Wall-clock seconds spent.
    pub seconds: f64,
    /// Weights with the best held-out score.
    pub best: Mlp,
    /// Score of `best`: LogLoss on the held-out points.
    pub best_score: f64,
}

impl State {
    /// The start of a run from `mlp`, with first damping `mu`: 1 for random weights, much less for trained ones.
    pub fn new(mlp: Mlp, mu: f64) -> Self {
        State { best: mlp.clone(), mlp, mu, round: 0, iteration: 0, seconds: 0.0, best_score: f64::INFINITY }
    }

    /// Other random weights, with the best ones so far kept.
    fn begin_anew(&mut self, seed: u64) {
        self.mlp = Mlp::random(&self.mlp.widths, self.mlp.activation, 0.0, seed);
        self.mu = 1.0;
    }

    /// The state as a checkpoint of the run `identity`.
    pub fn checkpoint(&self, identity: Identity) -> Checkpoint {
        let scalars = vec![self.mu, self.seconds, self.best_score];
        let tensors = [("weights", &self.mlp.parameters), ("best", &self.best.parameters), ("scalars", &scalars)];
        Checkpoint {
            identity,
            counters: [("round".into(), self.round), ("iteration".into(), self.iteration as u64)].into(),
            tensors: tensors.map(|(name, values)| (name.to_string(), values.clone())).into(),
        }
    }

    /// Goes on from a checkpoint read from `path`, of a network of the same widths.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if a number or tensor is missing.
    pub fn restore(&mut self, checkpoint: &Checkpoint, path: &Path) -> Result<(), CheckpointError> {
        let network = |name| -> Result<Mlp, CheckpointError> {
            let parameters = checkpoint.tensor(path, name, self.mlp.parameters.len())?.to_vec();
            Ok(Mlp { parameters, ..self.mlp.clone() })
        };
        let scalars = checkpoint.tensor(path, "scalars", 3)?;
        *self = State {
            mlp: network("weights")?,
            mu: scalars[0],
            round: checkpoint.counter(path, "round")?,
            iteration: checkpoint.counter(path, "iteration")? as usize,
            seconds: scalars[1],
            best: network("best")?,
            best_score: scalars[2],
        };
        Ok(())
    }
}

/// Watches a run. A closure watches its rounds, `()` watches nothing.
pub trait Observer {
    /// Called after every iteration; `best` and its score are still those of the rounds before. A run of k iterations
    /// ends with the weights of its k-th call, or with the best ones of the rounds before.
    fn iteration(&mut self, _state: &State) {}

    /// Called after every round, from whose state a run can be resumed.
    fn round(&mut self, _state: &State) {}
}

impl Observer for () {}

impl<F: FnMut(&State)> Observer for F {
    fn round(&mut self, state: &State) {
        self(state);
    }
}

/// Runs until the budget is spent, no step lowers the loss any more, or the user asks to stop.
pub fn run(
    problem: &impl Training,
    settings: &Settings,
    state: &mut State,
    stop: &Interrupt,
    observer: &mut impl Observer,
) -> Ending {
    let held_out = problem.held_out(settings.seed);
    if state.best_score == f64::INFINITY {
        state.best_score = problem.score(&state.mlp, &held_out);
    }
    let mut workspace = Workspace::default();
    let before = state.seconds;
    let start = Instant::now();
    let mut idle = 0;
    while !spent(settings, state.iteration, state.seconds) {
        if settings.restart > 0 && state.round > 0 && state.round.is_multiple_of(settings.restart) {
            state.begin_anew(settings.seed.wrapping_add(state.round << 32));
        }
        let mut round = Round { problem, settings, stop, workspace: &mut workspace, before, start };
        let Some(next) = round.run(state, observer) else { return Ending::Interrupted };
        idle = if next.mlp == state.mlp { idle + 1 } else { 0 };
        *state = next;
        let score = problem.score(&state.mlp, &held_out);
        if score < state.best_score {
            state.best_score = score;
            state.best = state.mlp.clone();
        }
        state.seconds = before + start.elapsed().as_secs_f64();
        observer.round(state);
        if idle == 3 && settings.restart == 0 {
            return Ending::Converged;
        }
    }
    Ending::Budget
}

impl Training for Problem {
    /// Half of them are arcsine Sobol points.
    fn collocation(&self, mlp: &Mlp, settings: &Settings, round: u64) -> Batch {
        let Settings { points, seed, adaptivity, .. } = *settings;
        let adaptive = points / 2;
        let early = |points| sample::earlier(self, points, settings.horizon(round));
        let mut quantities = early(sample::sobol(self, points - adaptive, seed, round));
        let candidates = early(sample::candidates(self, adaptive, seed, round));
        let residuals = loss::residual_norms(self, mlp, &Batch::new(self, &candidates));
        quantities.extend(sample::keep(&candidates, &residuals, adaptivity, adaptive, seed, round));
        Batch::new(self, &quantities)
    }

    fn held_out(&self, seed: u64) -> Batch {
        Batch::new(self, &sample::uniform(self, HELD_OUT, seed, Purpose::HeldOut, 0))
    }

    fn score(&self, mlp: &Mlp, held_out: &Batch) -> f64 {
        loss::score(self, mlp, held_out)
    }
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn spent(settings: &Settings, iteration: usize, seconds: f64) -> bool {
    settings.budget.spent(iteration, seconds) >= 1.0
}

struct Round<'a, E> {
    problem: &'a E,
    settings: &'a Settings,
    stop: &'a Interrupt,
    workspace: &'a mut Workspace,
    before: f64,
    start: Instant,
}

impl<E: Training> Round<'_, E> {
    /// Returns the state after the round, or `None` if the user asked to stop.
    fn run(&mut self, from: &State, observer: &mut impl Observer) -> Option<State> {
        let mut state = from.clone();
        let batch = self.problem.collocation(&state.mlp, self.settings, state.round);
        for _ in 0..self.settings.round {
            if self.stop.pressed() {
                return None;
            }
            let seconds = self.before + self.start.elapsed().as_secs_f64();
            if spent(self.settings, state.iteration, seconds) {
                break;
            }
            state.iteration += 1;
            let moved = self.iterate(&mut state, &batch);
            observer.iteration(&state);
            if !moved {
                break;
            }
        }
        state.round += 1;
        Some(state)
    }

    /// The damped step, corrected for the path's curvature, and the decrease of the loss that the linear model predicts.
    fn step(&self, equations: &NormalEquations, state: &State, batch: &Points<E::Chunk>) -> Option<(Vec<f64>, f64)> {
        let factor = equations.factor(self.settings.damping, state.mu)?;
        let mut step = factor.solve(&equations.gradient)?;
        let predicted = equations.predicted(&step);
        let bending = self.workspace.bending(self.problem, &state.mlp, batch, &step);
        if let Some(acceleration) = factor.solve(&bending)
            && 2.0 * norm(&acceleration) <= MOST_BENT * norm(&step)
        {
            step.iter_mut().zip(&acceleration).for_each(|(d, a)| *d += 0.5 * a);
        }
        Some((step, predicted))
    }

    /// One linearization and as many trial steps as needed. Returns false if no damping gives a better network.
    fn iterate(&mut self, state: &mut State, batch: &Points<E::Chunk>) -> bool {
        let equations = NormalEquations::assemble(self.problem, &state.mlp, batch, self.workspace);
        let mut rejected = 0;
        while state.mu < MOST_MU {
            if let Some((step, predicted)) = self.step(&equations, state, batch) {
                let trial = state.mlp.stepped(&step, 1.0);
                let loss = normal::loss(self.problem, &trial, batch);
                if loss < equations.loss {
                    state.mu = self.settings.schedule.accepted(state.mu, (equations.loss - loss) / predicted);
                    state.mlp = trial;
                    return true;
                }
            }
            rejected += 1;
            state.mu = self.settings.schedule.rejected(state.mu, rejected);
        }
        state.mu = 1.0;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::mlp::Activation;
    use crate::bundle::preset;

    fn problem() -> Problem {
        preset::find("sir-initial").unwrap().problem(Form::Reduced).unwrap()
    }

    fn train(problem: &Problem, state: &mut State, iterations: usize, mut watch: impl FnMut(&State)) -> Ending {
        let settings = Settings::new(problem, 512, Budget::iterations(iterations), 1);
        run(problem, &settings, state, &Interrupt::never(), &mut watch)
    }

    fn start(problem: &Problem) -> State {
        State::new(Mlp::random(&problem.widths(&[8]), Activation::Tanh, problem.last_bias(), 1), 1.0)
    }

    #[test]
    fn a_resumed_run_repeats_the_unbroken_one_bit_for_bit() {
        let problem = problem();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lm.checkpoint");
        let mut unbroken = start(&problem);
        train(&problem, &mut unbroken, 60, |state| {
            if state.iteration == 30 {
                state.checkpoint(Identity::new()).save(&path).unwrap();
            }
        });
        let checkpoint = Checkpoint::load(&path, &Identity::new()).unwrap();
        let mut resumed = start(&problem);
        resumed.restore(&checkpoint, &path).unwrap();
        assert_eq!(resumed.iteration, 30);
        train(&problem, &mut resumed, 60, |_| ());
        resumed.seconds = unbroken.seconds;
        assert_eq!(resumed, unbroken);
    }

    #[test]
    fn a_small_bundle_converges_and_the_best_weights_are_kept() {
        let problem = problem();
        let mut state = start(&problem);
        let mut lowest = f64::INFINITY;
        assert_eq!(train(&problem, &mut state, 100, |s| lowest = lowest.min(s.best_score)), Ending::Budget);
        assert!(state.best_score < -15.0 && state.best_score == lowest, "{}", state.best_score);
        assert_eq!(state.iteration, 100);
    }

    /// On networks and boxes of some size; in small ones the schedules tie.
    #[test]
    fn patience_pays_on_the_full_bundle() {
        let problem = preset::find("sir-full").unwrap().problem(Form::Reduced).unwrap();
        let settings = Settings::new(&problem, 1024, Budget::iterations(60), 0);
        let [greedy, patient] = [Schedule::Gain, Schedule::TRAINING].map(|schedule| {
            let settings = Settings { schedule, ..settings.clone() };
            let start = Mlp::random(&problem.widths(&[16, 16]), Activation::Tanh, problem.last_bias(), 0);
            let mut state = State::new(start, 1.0);
            let ending = run(&problem, &settings, &mut state, &Interrupt::never(), &mut ());
            assert_eq!((ending, state.iteration), (Ending::Budget, 60));
            state.best_score
        });
        assert!(patient < greedy - 1.0, "{patient} {greedy}");
    }

    #[test]
    fn damping_follows_its_schedule() {
        let gain = Schedule::Gain;
        assert_eq!([0.9, 0.5, 0.1].map(|ratio| gain.accepted(3.0, ratio)), [1.0, 3.0, 6.0]);
        assert_eq!([1, 2, 3].map(|times| gain.rejected(1.0, times)), [4.0, 4.0, 10.0]);
        let patient = Schedule::FINETUNING;
        assert_eq!([0.9, 0.1].map(|ratio| patient.accepted(1.0, ratio)), [0.1, 0.1]);
        assert_eq!([1, 9].map(|times| patient.rejected(1.0, times)), [2.0, 2.0]);
        assert_eq!(patient.accepted(LEAST_MU, 0.9), LEAST_MU);
    }

    /// The target is LogLoss -26 within two CPU-seconds; a hundred iterations take a fiftieth of that.
    #[test]
    fn the_single_epidemic_reaches_its_target_from_every_seed() {
        let problem = preset::find("sir-single").unwrap().problem(Form::Reduced).unwrap();
        for seed in 0..5 {
            let start = Mlp::random(&problem.widths(&[16]), Activation::Tanh, problem.last_bias(), seed);
            let mut state = State::new(start, 1.0);
            train(&problem, &mut state, 100, |_| ());
            assert!(state.best_score < -26.0, "seed {seed}: {}", state.best_score);
            assert!(state.best.largest() < 10.0, "seed {seed}: {}", state.best.largest());
        }
    }

    #[test]
    fn an_interrupted_run_keeps_the_last_full_round() {
        let problem = problem();
        let mut state = start(&problem);
        let settings = Settings::new(&problem, 512, Budget::iterations(1000), 1);
        let interrupt = Interrupt::never();
        let ending = run(&problem, &settings, &mut state, &interrupt, &mut |s: &State| {
            if s.round == 2 {
                interrupt.press();
            }
        });
        assert_eq!((ending, state.iteration), (Ending::Interrupted, 2 * ROUND));
    }
}
