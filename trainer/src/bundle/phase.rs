//! Training of the form by phase: the network is the smooth part B(x, Y) of the time along an orbit
//! ([`sirocco::ode::sir::phase`]), and the residual is its slope minus the one that the equations want.
//!
//! A network is linear in its last layer, the residual linear in B, so no solution is needed. Rows are W rho, where
//! rho = dB/dx - (dB/dx by the equations) and W turns an error of time into one of the state: an epidemic that passes y has
//! y0 + q <= k, so its state is off by at most the error of time times max(s, 1) i / (y + q) where that is largest from y on.
//!
//! Points at x = 0 carry an equation of their own: B there is free, and the evaluator's first guess wants it near zero. With
//! its small weight it costs no accuracy.
//!
//! The score is the largest error that the residual explains: the integral of rho between two points of an orbit is the
//! error of time between them, over all pairs of a grid. What single precision makes of the network is added: weights that
//! cancel lose digits there, and another start has smaller ones. Neither training nor score sees a solution.

use crate::bundle::equations::{Batch, CHUNK, Equations, Scratch};
use crate::bundle::mlp::{self, Direction, Mlp, Rows, Tape};
use crate::bundle::optimize::lm::{Settings, Training};
use crate::bundle::sample;
use crate::host::random::{Purpose, Random};
use rayon::prelude::*;
use sirocco::limits::MAX_STATE;
use sirocco::ode::State;
use sirocco::ode::sir::phase::orbit::Orbit;
use sirocco::ode::sir::phase::{self, INPUTS, LARGEST};
use sirocco::query::Query;
use std::f64::consts::FRAC_PI_2;

/// Candidates per collocation point.
const CANDIDATES: usize = 6;
/// One equation for B(0, Y) to this many residuals, and its weight.
const ANCHORS: (usize, f64) = (16, 1e-3);
/// Points along an orbit at which W's maximum is sought.
const WEIGHT_POINTS: u32 = 64;
/// Panels of the score along an orbit, each with Gauss's rule of this many nodes.
const PANELS: u32 = 40;
const NODES: [(f64, f64); 4] = [
    (0.069_431_844_202_973_71, 0.173_927_422_568_726_93),
    (0.330_009_478_207_571_87, 0.326_072_577_431_273_07),
    (0.669_990_521_792_428_1, 0.326_072_577_431_273_07),
    (0.930_568_155_797_026_3, 0.173_927_422_568_726_93),
];

/// The equations of the form by phase. They have no parameters: there is one family of orbits.
#[derive(Debug, Clone, Copy)]
pub struct Phase;

/// Points (x, Y) with everything that does not depend on the weights.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The network's inputs and their derivatives by x, `[input][point]`.
    inputs: Vec<f64>,
    direction: Vec<f64>,
    /// Per point: dB/dx by the equations, B per output of the network, W, and the weight of B itself.
    points: Vec<Point>,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    slope: f64,
    share: f64,
    weight: f64,
    anchor: f64,
}

impl Chunk {
    /// Points with the weight of rho that `weigh` gives.
    fn new(points: &[(f64, f64)], weigh: impl Fn(&Orbit<f64>, f64) -> f64) -> Self {
        let n = points.len();
        let (mut inputs, mut direction) = (vec![0.0; INPUTS.len() * n], vec![0.0; INPUTS.len() * n]);
        let mut prepared = Vec::with_capacity(n);
        for (b, &(x, extent)) in points.iter().enumerate() {
            let orbit = Orbit::of_extent(extent);
            let (y, g) = (x * extent, extent - x * extent);
            for (k, (u, du)) in phase::inputs(y, g, extent).into_iter().zip(phase::direction(extent)).enumerate() {
                (inputs[k * n + b], direction[k * n + b]) = (u, du);
            }
            let anchor = if x == 0.0 { ANCHORS.1 * orbit.decay } else { 0.0 };
            let (slope, share) = (phase::slope(&orbit, y, g), 1.0 / (1.0 + 0.5 * extent));
            prepared.push(Point { slope, share, weight: weigh(&orbit, y), anchor });
        }
        Chunk { inputs, direction, points: prepared }
    }
}

/// W at the point y of an orbit.
fn weight(orbit: &Orbit<f64>, y: f64) -> f64 {
    let rates = (1..=WEIGHT_POINTS).map(|k| rate(orbit, y * f64::from(k) / f64::from(WEIGHT_POINTS)));
    rates.fold(0.0, f64::max) / (y + orbit.q)
}

/// The largest rate of S, I and R at the point y, times k: max(s, 1) i.
fn rate(orbit: &Orbit<f64>, y: f64) -> f64 {
    (orbit.q * y.exp()).max(1.0) * (y - orbit.q * y.exp_m1())
}

/// The largest x of an orbit that an answered epidemic can pass.
fn end(extent: f64) -> f64 {
    (LARGEST / extent).min(1.0)
}

/// Independent points with the arcsine density in x and Y.
fn draw(points: usize, random: &mut Random) -> Vec<(f64, f64)> {
    let mut arcsine = || (FRAC_PI_2 * random.uniform()).sin().powi(2);
    let largest = f64::from(INPUTS[1].2);
    (0..points)
        .map(|_| {
            let extent = largest * arcsine().max(1e-12);
            (end(extent) * arcsine(), extent)
        })
        .collect()
}

fn batch(points: &[(f64, f64)]) -> Batch<Chunk> {
    Batch { chunks: points.par_chunks(CHUNK).map(|points| Chunk::new(points, weight)).collect() }
}

/// Extents of the score's orbits.
fn extents() -> impl Iterator<Item = f64> {
    let small = (0..12).map(|k| 0.01 * 100f64.powf(f64::from(k) / 12.0));
    small.chain((2..=60).map(|k| 0.5 * f64::from(k)))
}

impl Equations for Phase {
    type Chunk = Chunk;

    fn rows(&self, chunk: &Chunk) -> usize {
        chunk.points.len()
    }

    fn rows_of(&self, mlp: &Mlp, chunk: &Chunk, scratch: &mut Scratch, rows: &mut [f64]) -> f64 {
        mlp.forward(&chunk.inputs, Direction::Each(&chunk.direction), &mut scratch.tape);
        let outputs = scratch.tape.value().iter().zip(scratch.tape.tangent());
        for ((row, point), (value, tangent)) in rows.iter_mut().zip(&chunk.points).zip(outputs) {
            let Point { slope, share, weight, anchor } = *point;
            *row = weight * (share * tangent - slope) + anchor * share * value;
        }
        rows.iter().map(|r| r * r).sum()
    }

    fn linearize(&self, mlp: &Mlp, chunk: &Chunk, scratch: &mut Scratch, rows: &mut [f64], jacobian: &mut [f64]) {
        self.rows_of(mlp, chunk, scratch, rows);
        let Scratch { tape, seed_value, seed_tangent } = scratch;
        seed_value.clear();
        seed_tangent.clear();
        seed_value.extend(chunk.points.iter().map(|p| p.anchor * p.share));
        seed_tangent.extend(chunk.points.iter().map(|p| p.weight * p.share));
        let seeds = mlp::Seeds { value: seed_value, tangent: seed_tangent };
        let rows = Rows { jacobian, stride: chunk.points.len(), first: 0 };
        mlp.adjoint(&chunk.inputs, Direction::Each(&chunk.direction), tape, seeds, rows);
    }
}

impl Training for Phase {
    /// Drawn from arcsine candidates by their residual, and the anchors at x = 0.
    fn collocation(&self, mlp: &Mlp, settings: &Settings, round: u64) -> Batch<Chunk> {
        let mut random = Random::new(settings.seed, Purpose::Candidates, round);
        let candidates = draw(CANDIDATES * settings.points, &mut random);
        let residuals = residuals(mlp, &batch(&candidates));
        let flat: Vec<f64> = candidates.iter().flat_map(|(x, extent)| [*x, *extent]).collect();
        let kept = sample::keep(&flat, &residuals, settings.adaptivity, settings.points, settings.seed, round);
        let mut points: Vec<(f64, f64)> = kept.chunks_exact(2).map(|point| (point[0], point[1])).collect();
        let anchors = settings.points / ANCHORS.0;
        points.extend((0..anchors).map(|_| (0.0, f64::from(INPUTS[1].2) * random.uniform().max(1e-12))));
        batch(&points)
    }

    /// A chunk per orbit, with the nodes of its panels.
    fn held_out(&self, _seed: u64) -> Batch<Chunk> {
        let orbits: Vec<f64> = extents().collect();
        let chunks = orbits.par_iter().map(|&extent| {
            let width = end(extent) / f64::from(PANELS);
            let panel = |k: u32| NODES.map(|(node, _)| ((f64::from(k) + node) * width, extent));
            Chunk::new(&(0..PANELS).flat_map(panel).collect::<Vec<_>>(), |_, _| 1.0)
        });
        Batch { chunks: chunks.collect() }
    }

    /// The logarithm of the largest error of a state.
    fn score(&self, mlp: &Mlp, held_out: &Batch<Chunk>) -> f64 {
        let orbits: Vec<f64> = extents().collect();
        let errors: Vec<f64> = held_out
            .chunks
            .par_iter()
            .zip(orbits)
            .map_init(Scratch::default, |scratch, (chunk, extent)| {
                let mut rho = vec![0.0; chunk.points.len()];
                self.rows_of(mlp, chunk, scratch, &mut rho);
                let single = (0..rho.len()).map(|b| single(mlp, [0, 1, 2].map(|k| chunk.inputs[k * rho.len() + b])));
                let noise = scratch.tape.value().iter().zip(single).zip(&chunk.points);
                let noise: Vec<f64> =
                    noise.map(|((value, single), p)| (value - f64::from(single)).abs() * p.share).collect();
                state_error(&rho, &noise, extent)
            })
            .collect();
        // f64::max would hide a NaN.
        errors.iter().fold(0.0f64, |worst, e| if e.is_nan() { f64::INFINITY } else { worst.max(*e) }).ln()
    }
}

/// The network in single precision.
fn single(mlp: &Mlp, input: [f64; 3]) -> f32 {
    let mut values: Vec<f32> = input.iter().map(|u| *u as f32).collect();
    for (l, layer) in mlp.layers().enumerate() {
        let rows = layer.weight.chunks_exact(layer.inputs).zip(layer.bias);
        let sums =
            rows.map(|(row, bias)| row.iter().zip(&values).fold(*bias as f32, |sum, (w, v)| sum + *w as f32 * v));
        values = if l + 1 < mlp.depth() { sums.map(f32::tanh).collect() } else { sums.collect() };
    }
    values[0]
}

/// The largest error of a state on an orbit, given rho and the rounding of B at the nodes of its panels.
fn state_error(rho: &[f64], noise: &[f64], extent: f64) -> f64 {
    let orbit = Orbit::of_extent(extent);
    let width = end(extent) / f64::from(PANELS);
    let mut time = vec![0.0];
    for panel in rho.chunks_exact(NODES.len()) {
        let integral: f64 = panel.iter().zip(NODES).map(|(rho, (_, share))| rho * share * width).sum();
        time.push(time[time.len() - 1] + integral);
    }
    // Of the panels on both sides of an edge.
    let panels: Vec<f64> =
        noise.chunks_exact(NODES.len()).map(|panel| panel.iter().fold(0.0, |m, v| v.max(m))).collect();
    let noise = |k: usize| panels[k.saturating_sub(1)].max(panels[k.min(panels.len() - 1)]);
    let y = |k: usize| k as f64 * width * extent;
    let mut worst = 0.0f64;
    for at in 0..time.len() {
        let rate = rate(&orbit, y(at));
        for start in at + 1..time.len() {
            let off = (time[start] - time[at]).abs() + noise(start) + noise(at);
            let error = off * rate / (y(start) + orbit.q);
            worst = if error.is_nan() { f64::NAN } else { worst.max(error) };
        }
    }
    worst
}

/// W rho at every point of a batch.
fn residuals(mlp: &Mlp, batch: &Batch<Chunk>) -> Vec<f64> {
    let parts = batch.chunks.par_iter().map_init(Scratch::default, |scratch, chunk| {
        let mut rows = vec![0.0; chunk.points.len()];
        Phase.rows_of(mlp, chunk, scratch, &mut rows);
        rows
    });
    parts.collect::<Vec<_>>().concat()
}

/// ln of the mean of (W rho)^2 over uniform points of the domain.
pub fn log_loss(mlp: &Mlp, seed: u64) -> f64 {
    let mut random = Random::new(seed, Purpose::HeldOut, 0);
    let points: Vec<(f64, f64)> = (0..crate::bundle::optimize::lm::HELD_OUT)
        .map(|_| {
            let extent = f64::from(INPUTS[1].2) * random.uniform().max(1e-12);
            (end(extent) * random.uniform(), extent)
        })
        .collect();
    let rows = residuals(mlp, &batch(&points));
    (rows.iter().map(|r| r * r).sum::<f64>() / rows.len() as f64).ln()
}

/// The state that the f64 network gives; NaN where there is none.
pub fn state(mlp: &Mlp, query: &Query) -> State<f64> {
    let network = |u: &[f64; 3]| {
        let mut tape = Tape::default();
        mlp.forward(u, Direction::Common(&[0.0; 3]), &mut tape);
        tape.value()[0]
    };
    let problem = phase::Problem::new(&query.initial.map(f64::from), &query.rates.map(f64::from));
    match problem.course(&network) {
        Ok(course) => {
            let [s, i, r] = problem.state(&course, query.t.into(), &network);
            [s, i, r, 0.0]
        }
        Err(phase::TooLarge) => [f64::NAN; MAX_STATE],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::mlp::Activation;
    use crate::bundle::optimize::lm::{self, Schedule};
    use crate::host::budget::Budget;

    fn network() -> Mlp {
        Mlp::random(&[3, 5, 4, 1], Activation::Tanh, 0.0, 2)
    }

    #[test]
    fn jacobian_matches_finite_differences() {
        let points = [(0.0, 3.0), (0.3, 0.2), (0.6, 12.0), (0.5, 28.0)];
        let chunk = Chunk::new(&points, weight);
        let rows = |mlp: &Mlp| {
            let mut rows = vec![0.0; points.len()];
            Phase.rows_of(mlp, &chunk, &mut Scratch::default(), &mut rows);
            rows
        };
        let mlp = network();
        let mut jacobian = vec![0.0; points.len() * mlp.parameters.len()];
        Phase.linearize(&mlp, &chunk, &mut Scratch::default(), &mut vec![0.0; points.len()], &mut jacobian);
        for p in 0..mlp.parameters.len() {
            let moved = |h: f64| {
                let mut mlp = mlp.clone();
                mlp.parameters[p] += h;
                rows(&mlp)
            };
            for (b, (up, down)) in moved(1e-6).iter().zip(moved(-1e-6)).enumerate() {
                let found = jacobian[p * points.len() + b];
                assert!(((up - down) / 2e-6 - found).abs() < 1e-7, "parameter {p}, point {b}");
            }
        }
    }

    #[test]
    fn the_tangent_is_the_slope_of_b_along_an_orbit() {
        let (mlp, extent, h) = (network(), 9.0, 1e-5);
        let value = |x: f64| {
            let chunk = Chunk::new(&[(x, extent)], |_, _| 1.0);
            let mut scratch = Scratch::default();
            let mut rho = [0.0];
            Phase.rows_of(&mlp, &chunk, &mut scratch, &mut rho);
            (scratch.tape.value()[0] / (1.0 + 0.5 * extent), rho[0])
        };
        for x in [0.1, 0.45, 0.7] {
            let orbit = Orbit::of_extent(extent);
            let by_difference = (value(x + h).0 - value(x - h).0) / (2.0 * h);
            let rho = by_difference - phase::slope(&orbit, x * extent, extent - x * extent);
            assert!((rho - value(x).1).abs() < 1e-8, "{x}: {rho} {}", value(x).1);
        }
    }

    /// With rho = c x, an error of time is c (x0^2 - x^2) / 2.
    #[test]
    fn the_score_is_the_largest_error_of_a_pair() {
        let (extent, c) = (25.0, 1e-3);
        let width = end(extent) / f64::from(PANELS);
        let nodes = (0..PANELS).flat_map(|k| NODES.map(|(node, _)| (f64::from(k) + node) * width));
        let rho: Vec<f64> = nodes.map(|x| c * x).collect();
        let orbit = Orbit::of_extent(extent);
        let mut worst = 0.0f64;
        for at in 0..=PANELS {
            for start in at..=PANELS {
                let [x, x0] = [at, start].map(|k| f64::from(k) * width);
                let time = 0.5 * c * (x0 * x0 - x * x);
                worst = worst.max(time * rate(&orbit, x * extent) / (x0 * extent + orbit.q));
            }
        }
        assert!((state_error(&rho, &[0.0; 160], extent) / worst - 1.0).abs() < 1e-12);
        assert!(state_error(&rho, &[1e-4; 160], extent) > 1.01 * worst);
        assert!(state_error(&[f64::NAN; 160], &[0.0; 160], extent).is_nan());
    }

    #[test]
    fn a_hundred_iterations_train_a_small_network() {
        let budget = Budget::iterations(100);
        let adaptivity = sample::Adaptivity { power: 2, floor: 0.5 };
        let settings = Settings {
            points: 512,
            round: 25,
            budget,
            damping: crate::bundle::optimize::normal::Damping::Identity,
            schedule: Schedule::Gain,
            adaptivity,
            growth: 0,
            restart: 0,
            seed: 0,
        };
        let mut state = lm::State::new(Mlp::random(&[3, 6, 6, 1], Activation::Tanh, 0.0, 0), 1.0);
        lm::run(&Phase, &settings, &mut state, &crate::host::interrupt::Interrupt::never(), &mut ());
        assert!(state.best_score < -7.0, "{}", state.best_score);
    }
}
