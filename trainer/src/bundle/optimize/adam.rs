//! Adam (Kingma and Ba 2015) on candle tensors in single precision, on the CPU or a GPU.
//!
//! There are two recipes. `thesis`: learning rate 8e-4, epochs of ten minibatches over jittered points of time, and the
//! best weights of the last fifth of the budget. `full-batch`: all points in every step, drawn afresh, with a learning
//! rate that falls along a cosine. Levenberg-Marquardt ([`super::lm`]) is far more accurate on networks of this size;
//! Adam is here because it is the method of the literature, it scales to any size, and it runs on a GPU.
//!
//! The network and its adjoint are tensors. Residuals and their exact derivatives with respect to the network's
//! outputs are computed on the host, from the right-hand side that device, reference and trainer share.

pub use super::adam_state::State;

use crate::bundle::error::BundleError;
use crate::bundle::loss;
use crate::bundle::mlp::Mlp;
use crate::bundle::problem::Problem;
use crate::bundle::residual::{Batch, Point};
use crate::bundle::sample;
use crate::bundle::tangent::{self, TangentNet};
use crate::host::budget::{Budget, Ending};
use crate::host::heap;
use crate::host::interrupt::Interrupt;
use crate::host::random::{Purpose, Random};
use candle_core::Device;
use rayon::prelude::*;
use std::time::Instant;

/// Steps of an epoch in both recipes; in `thesis`, each is one minibatch.
pub const EPOCH: usize = 10;
/// Hidden widths unless told otherwise: those of the thesis.
pub const HIDDEN: &[usize] = &[50, 50];
/// Held-out points that choose the best weights, for one problem and for a bundle.
const HELD_OUT: [usize; 2] = [512, 2048];
/// Share of the budget after which weights may become the best ones.
const SETTLED: f64 = 0.8;
/// Points of a chunk on the CPU. Its tensors fit a core's cache, and are too small for the system's allocator to return
/// their memory after every use.
const CHUNK: usize = 256;
/// Up to this many points, one core computes the residuals.
const SERIAL: usize = 512;

/// How points are drawn and the learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Recipe {
    /// Ten minibatches an epoch at a constant learning rate of 8e-4
    #[default]
    Thesis,
    /// All points in every step; the learning rate falls as a cosine from 1e-2 (one problem) or 5e-3 (a bundle)
    FullBatch,
}

impl Recipe {
    /// Name on the command line and in provenance.
    pub fn name(self) -> &'static str {
        match self {
            Recipe::Thesis => "thesis",
            Recipe::FullBatch => "full-batch",
        }
    }

    /// Steps unless told otherwise: those of the thesis, or as many as evaluate equally many points.
    pub fn steps(self) -> usize {
        match self {
            Recipe::Thesis => 10_000,
            Recipe::FullBatch => 1_000,
        }
    }

    /// Points of an epoch (`thesis`) or a step (`full-batch`) unless told otherwise.
    pub fn points(self) -> usize {
        2_000
    }

    fn learning_rate(self, problem: &Problem, spent: f64) -> f64 {
        let single = problem.inputs.len() == 1;
        match self {
            Recipe::Thesis => 8e-4,
            Recipe::FullBatch => {
                let first = if single { 1e-2 } else { 5e-3 };
                first * 0.5 * (1.0 + (std::f64::consts::PI * spent).cos())
            }
        }
    }
}

/// How Adam trains.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Points and learning rate.
    pub recipe: Recipe,
    /// Points of an epoch (`thesis`) or a step (`full-batch`).
    pub points: usize,
    /// When to stop; iterations are steps.
    pub budget: Budget,
    /// Seed of every draw.
    pub seed: u64,
    /// Device that holds the tensors.
    pub device: Device,
}

/// Factor of the first layer's weights for a single problem.
const STEEPER: f64 = 4.0;

/// Makes a network in time alone steeper before training: gradient descent is slow to find fast changes by itself.
///
/// Measured on `sir-single`, three seeds, LogLoss without and with: thesis -16.4, -16.1, -17.6 and -17.1, -17.1, -17.4;
/// full-batch -13.4, -13.2, -11.6 and -12.9, -14.7, -13.7. Bundles have several inputs and are left as they are.
pub fn sharpen(problem: &Problem, mlp: &mut Mlp) {
    if problem.inputs.len() == 1 {
        let (weight, bias) = mlp.ranges(0);
        mlp.parameters[weight.start..bias.end].iter_mut().for_each(|p| *p *= STEEPER);
    }
}

/// Runs until the budget is spent; calls `watch` after every epoch.
///
/// An epoch is a function of the state it starts from, the seed and the settings: a resumed run repeats the unbroken
/// one bit for bit, if the budget is one of steps. An interrupted run ends with its last full epoch.
///
/// # Errors
/// [`BundleError`] if the loss becomes non-finite, or if the tensor library or the GPU fails.
pub fn run(
    problem: &Problem,
    settings: &Settings,
    state: &mut State,
    stop: &Interrupt,
    mut watch: impl FnMut(&State),
) -> Result<Ending, BundleError> {
    heap::keep_freed_memory();
    let count = HELD_OUT[usize::from(problem.inputs.len() > 1)];
    let held_out = sample::uniform(problem, count, settings.seed, Purpose::HeldOut, 0);
    let held_out = Batch::new(problem, &held_out);
    let (before, start) = (state.seconds, Instant::now());
    while settings.budget.spent(state.step, state.seconds) < 1.0 {
        let epoch = Epoch { problem, settings, stop, before, start };
        let Some(next) = epoch.run(state)? else { return Ok(Ending::Interrupted) };
        *state = next;
        state.seconds = before + start.elapsed().as_secs_f64();
        if settings.budget.spent(state.step, state.seconds) >= SETTLED {
            keep_better(problem, state, &held_out);
        }
        watch(state);
    }
    Ok(Ending::Budget)
}

fn keep_better(problem: &Problem, state: &mut State, held_out: &Batch) {
    let mlp = state.mlp();
    let score = loss::score(problem, &mlp, held_out);
    if score < state.best_score {
        state.best_score = score;
        state.best = mlp;
    }
}

struct Epoch<'a> {
    problem: &'a Problem,
    settings: &'a Settings,
    stop: &'a Interrupt,
    before: f64,
    start: Instant,
}

impl Epoch<'_> {
    /// Returns the state after the epoch, or `None` if the user asked to stop.
    fn run(&self, from: &State) -> Result<Option<State>, BundleError> {
        let mut state = from.clone();
        let epoch_points = match self.settings.recipe {
            Recipe::Thesis => self.jittered(state.epoch),
            Recipe::FullBatch => Vec::new(),
        };
        let part = epoch_points.len().div_ceil(EPOCH * self.problem.domain.len()) * self.problem.domain.len();
        let (mut sum, mut steps) = (0.0, 0);
        for k in 0..EPOCH {
            if self.stop.pressed() {
                return Ok(None);
            }
            let spent = self.settings.budget.spent(state.step, self.before + self.start.elapsed().as_secs_f64());
            if spent >= 1.0 {
                break;
            }
            let loss = match self.settings.recipe {
                Recipe::Thesis => {
                    let rest = epoch_points.get(k * part..).unwrap_or_default();
                    self.step(&mut state, &rest[..part.min(rest.len())], spent)?
                }
                Recipe::FullBatch => {
                    let round = state.epoch * EPOCH as u64 + k as u64;
                    let points = sample::sobol(self.problem, self.settings.points, self.settings.seed, round);
                    self.step(&mut state, &points, spent)?
                }
            };
            sum += loss;
            steps += 1;
        }
        state.epoch += 1;
        if steps > 0 {
            state.loss = (sum / f64::from(steps)).ln();
        }
        if !sum.is_finite() || !state.parameters.iter().all(|p| p.is_finite()) {
            return Err(BundleError::Diverged { step: state.step });
        }
        Ok(Some(state))
    }

    /// Evenly spaced times, each moved at random within its interval, in random order; the other quantities uniform.
    fn jittered(&self, epoch: u64) -> Vec<f64> {
        let (count, width) = (self.settings.points.max(EPOCH), self.problem.domain.len());
        let mut random = Random::new(self.settings.seed, Purpose::Collocation, epoch);
        let mut order: Vec<usize> = (0..count).collect();
        random.shuffle(&mut order);
        let mut points = Vec::with_capacity(count * width);
        for stratum in order {
            for (q, (lo, hi)) in self.problem.domain.iter().enumerate() {
                let share = if q == 0 { (stratum as f64 + random.uniform()) / count as f64 } else { random.uniform() };
                points.push(if lo == hi { *lo } else { lo + (hi - lo) * share });
            }
        }
        points
    }

    /// One step on these points; returns the mean squared residual before it.
    fn step(&self, state: &mut State, quantities: &[f64], spent: f64) -> Result<f64, BundleError> {
        let (width, device) = (self.problem.domain.len(), &self.settings.device);
        let net = TangentNet::new(&state.best, &state.parameters, device)?;
        let share = width as f64 / quantities.len() as f64;
        let part = if device.is_cpu() { CHUNK * width } else { quantities.len() };
        let parts: Vec<_> = if part >= quantities.len() {
            vec![self.part(&net, quantities, share)?]
        } else {
            quantities.par_chunks(part).map(|q| self.part(&net, q, share)).collect::<Result<_, _>>()?
        };
        // Summed in the chunks' order, so that the result does not depend on the number of threads.
        let mut parts = parts.into_iter();
        let (mut loss, mut gradient) = parts.next().unwrap_or((0.0, vec![0.0; state.parameters.len()]));
        for (more, by_parameter) in parts {
            loss += more;
            gradient.iter_mut().zip(by_parameter).for_each(|(sum, g)| *sum += g);
        }
        state.update(&gradient, self.settings.recipe.learning_rate(self.problem, spent))?;
        Ok(loss)
    }

    /// `share` times the sum of the squared residuals of these points, and its gradient.
    fn part(&self, net: &TangentNet, quantities: &[f64], share: f64) -> Result<(f64, Vec<f32>), BundleError> {
        let (scaled, points) = prepare(self.problem, quantities);
        let rate: Vec<f32> = self.problem.input_tangent().iter().map(|r| *r as f32).collect();
        let outputs = net.forward(&tangent::inputs(&scaled, &rate, &self.settings.device)?)?;
        let host = outputs.flatten_all()?.to_vec1::<f32>()?;
        let (loss, seeds) = seeds(self.problem, &points, &host, share);
        Ok((loss, net.gradient(&outputs, seeds)?))
    }
}

/// Scaled inputs, `[point][input]`, and the points themselves.
fn prepare(problem: &Problem, quantities: &[f64]) -> (Vec<f32>, Vec<Point>) {
    let rows: Vec<&[f64]> = quantities.chunks_exact(problem.domain.len()).collect();
    let mut scaled = Vec::with_capacity(rows.len() * problem.inputs.len());
    for row in &rows {
        scaled.extend(problem.inputs.iter().zip(problem.values(row)).map(|(input, v)| input.scale(v) as f32));
    }
    (scaled, rows.iter().map(|row| problem.point(row)).collect())
}

/// `share` times the sum of the squared residuals, and its derivatives with respect to the network's value and tangent
/// outputs: `outputs` and the seeds are `[2B, m]`, values first.
fn seeds(problem: &Problem, points: &[Point], outputs: &[f32], share: f64) -> (f64, Vec<f32>) {
    let m = problem.outputs();
    let (values, tangents) = outputs.split_at(points.len() * m);
    let one = |b: usize| problem.squared(&points[b], &values[b * m..][..m], &tangents[b * m..][..m]);
    let each: Vec<_> = if points.len() <= SERIAL {
        (0..points.len()).map(one).collect()
    } else {
        (0..points.len()).into_par_iter().map(one).collect()
    };
    let loss = share * each.iter().map(|e| e.0).sum::<f64>();
    let by_value = each.iter().flat_map(|e| &e.1[..m]);
    let by_tangent = each.iter().flat_map(|e| &e.2[..m]);
    (loss, by_value.chain(by_tangent).map(|d| (share * d) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::mlp::Activation;
    use crate::bundle::preset;
    use crate::bundle::problem::Form;
    use crate::host::checkpoint::{Checkpoint, Identity};

    fn settings(recipe: Recipe, steps: usize) -> Settings {
        let budget = Budget::iterations(steps);
        Settings { recipe, points: 200, budget, seed: 3, device: Device::Cpu }
    }

    fn start(problem: &Problem) -> State {
        State::new(Mlp::random(&problem.widths(&[8, 8]), Activation::Tanh, problem.last_bias(), 1))
    }

    fn train(problem: &Problem, settings: &Settings, state: &mut State) -> Ending {
        run(problem, settings, state, &Interrupt::never(), |_| ()).unwrap()
    }

    #[test]
    fn both_recipes_lower_the_loss_of_every_form() {
        for recipe in [Recipe::Thesis, Recipe::FullBatch] {
            for form in [Form::Generic, Form::Conserved, Form::Reduced] {
                let problem = preset::find("sir-full").unwrap().problem(form).unwrap();
                let mut state = start(&problem);
                let mut history = Vec::new();
                let watch = |s: &State| history.push(s.loss);
                run(&problem, &settings(recipe, 300), &mut state, &Interrupt::never(), watch).unwrap();
                assert_eq!((state.step, history.len()), (300, 30));
                let (first, last) = (history[0], state.loss);
                assert!(last < first - 1.0, "{recipe:?} {form:?}: {first} to {last}");
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_weights_and_resuming_continues_them() {
        let problem = preset::find("sir-single").unwrap().problem(Form::Conserved).unwrap();
        for recipe in [Recipe::Thesis, Recipe::FullBatch] {
            let (mut whole, mut again) = (start(&problem), start(&problem));
            train(&problem, &settings(recipe, 60), &mut whole);
            train(&problem, &settings(recipe, 60), &mut again);
            assert_eq!(whole.parameters, again.parameters);
            // Interrupted in the middle of the third epoch, and taken up again from the second one's end.
            let mut resumed = start(&problem);
            let stop = Interrupt::never();
            let watch = |s: &State| {
                if s.epoch == 2 {
                    stop.press();
                }
            };
            let ending = run(&problem, &settings(recipe, 60), &mut resumed, &stop, watch).unwrap();
            assert_eq!((ending, resumed.step), (Ending::Interrupted, 20));
            assert_eq!(resumed.answer(), resumed.mlp());
            let (directory, identity) = (tempfile::tempdir().unwrap(), Identity::new());
            let path = directory.path().join("adam.checkpoint");
            resumed.checkpoint(identity.clone()).save(&path).unwrap();
            let loaded = Checkpoint::load(&path, &identity).unwrap();
            let mut resumed = start(&problem);
            resumed.restore(&loaded, &path).unwrap();
            train(&problem, &settings(recipe, 60), &mut resumed);
            assert_eq!(resumed.parameters, whole.parameters);
            assert_eq!((resumed.answer(), resumed.best_score), (whole.best, whole.best_score));
        }
    }

    #[test]
    fn only_networks_in_time_alone_begin_steeper() {
        let begin = |preset: &str| {
            let problem = preset::find(preset).unwrap().problem(Form::Conserved).unwrap();
            let plain = Mlp::random(&problem.widths(&[3]), Activation::Tanh, 0.0, 0);
            let mut steep = plain.clone();
            sharpen(&problem, &mut steep);
            (plain, steep)
        };
        let (plain, steep) = begin("sir-single");
        let (_, bias) = plain.ranges(0);
        assert!(plain.parameters[..bias.end].iter().zip(&steep.parameters).all(|(a, b)| *b == STEEPER * a));
        assert_eq!(plain.parameters[bias.end..], steep.parameters[bias.end..]);
        let (plain, steep) = begin("sir-full");
        assert_eq!(plain, steep);
    }

    #[test]
    fn seconds_end_a_run() {
        let problem = preset::find("sir-single").unwrap().problem(Form::Conserved).unwrap();
        let mut state = start(&problem);
        let budget = Budget { iterations: usize::MAX, seconds: Some(0.2) };
        let ending = train(&problem, &Settings { budget, ..settings(Recipe::Thesis, 0) }, &mut state);
        assert_eq!(ending, Ending::Budget);
        assert!(state.seconds >= 0.2 && state.seconds < 2.0 && state.step > 0);
    }

    #[test]
    fn seeds_are_the_derivatives_of_the_loss() {
        let problem = preset::find("sir-full").unwrap().problem(Form::Conserved).unwrap();
        let quantities = sample::uniform(&problem, 6, 0, Purpose::HeldOut, 0);
        let (_, points) = prepare(&problem, &quantities);
        let outputs: Vec<f32> = (0..6 * 2 * 2).map(|k| (k as f32 * 0.9).cos() * 0.5).collect();
        let (_, gradient) = seeds(&problem, &points, &outputs, 1.0 / 6.0);
        for k in 0..outputs.len() {
            let moved = |h: f32| {
                let mut moved = outputs.clone();
                moved[k] += h;
                (seeds(&problem, &points, &moved, 1.0 / 6.0).0, moved[k])
            };
            let ((up, a), (down, b)) = (moved(1e-2), moved(-1e-2));
            let difference = (up - down) / f64::from(a - b);
            assert!((difference - f64::from(gradient[k])).abs() < 1e-4, "{k}: {difference} {}", gradient[k]);
        }
    }
}
