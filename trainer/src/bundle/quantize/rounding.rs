//! Rounding weights to integers by second order, with Levenberg-Marquardt on what is still free.
//!
//! Rounding each weight to its nearest integer costs a solution bundle three digits or more of accuracy at 8 bits. Here
//! all parameters that are still free compensate for the rounding error of a weight. With H the Gauss-Newton matrix
//! J^T J over them, weight k goes to its nearest integer at the least cost e^2 / (2 (H^-1)_kk) when the others move by
//! -(H^-1)_(:,k) e / (H^-1)_kk (optimal brain surgeon: Hassibi and Stork 1993, NIPS 5; for quantization: Frantar and
//! Alistarh 2022, arXiv:2208.11580). This goes layer by layer, in random groups, the cheapest weight of a group first.
//! After each group H is computed again at the moved weights, and a few damped steps follow. At the end the biases, which
//! stay continuous, are optimized alone. With 8 bits the scales are, too, in turn with a [`search`](super::search) among
//! the integers.
//!
//! The objective is the distance of the states from those of the network before rounding, over the whole domain;
//! residuals are a poor measure of it where errors grow with time. No solution is used.

use super::Grid;
use super::search::{Quadratic, eliminate};
use crate::bundle::mlp::Mlp;
use crate::bundle::optimize::lm::Settings;
use crate::bundle::optimize::normal::{self, Damping, Direction, NormalEquations, Workspace};
use crate::bundle::problem::Problem;
use crate::bundle::residual::Batch;
use crate::bundle::{loss, sample};
use crate::host::budget::Budget;
use crate::host::random::{Purpose, Random};
use faer::Mat;
use sirocco::layer::row_scale::nearest_scale;

/// Groups that a layer's weights are rounded in.
const GROUPS: usize = 5;
/// Collocation points of a matrix and of the damped steps.
const POINTS: usize = 4096;
/// Damped steps after each group.
const STEPS: usize = 5;
/// Damped steps on scales and biases at the end.
const LAST_STEPS: usize = 20;
/// Searches among the integers, at most.
const SEARCHES: usize = 20;
/// Share of the loss that a search must gain for another one to follow.
const LEAST_FALL: f64 = 0.02;
/// Damping of the matrix that is inverted, as a share of its mean diagonal.
const RIDGE: f64 = 1e-7;

/// A network whose weights are integers times their row's scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Rounded {
    /// The network; every weight is its row's scale times an integer of the grid.
    pub mlp: Mlp,
    /// Scales of all layers' rows.
    pub scales: Vec<f32>,
}

/// Largest number of calls of `watch` in [`second_order`]: one per group of weights and one per search.
pub fn rounds(mlp: &Mlp, grid: Grid) -> usize {
    GROUPS * mlp.depth() + if grid == Grid::I8 { SEARCHES } else { 0 }
}

/// Rounds the weights of `mlp` to integers. It costs about a hundred Levenberg-Marquardt iterations, and three times as
/// many for 8 bits.
///
/// `watch` is called after every group and every search with how many are done and the LogLoss.
pub fn second_order(problem: &Problem, mlp: &Mlp, grid: Grid, seed: u64, mut watch: impl FnMut(usize, f64)) -> Rounded {
    let settings = Settings::new(problem, POINTS, Budget::iterations(0), seed);
    let mut rounding = Rounding {
        problem,
        settings,
        grid,
        scales: grid.row_scales(mlp).iter().map(|s| f64::from(*s)).collect(),
        rows: rows(mlp),
        frozen: vec![false; mlp.parameters.len()],
        before: mlp,
        mlp: mlp.clone(),
        mu: 1e-4,
        round: 0,
        workspace: Workspace::default(),
    };
    let held_out = Batch::new(problem, &sample::uniform(problem, POINTS, seed, Purpose::HeldOut, 1));
    let groups = (0..mlp.depth()).flat_map(|layer| rounding.groups(layer)).collect::<Vec<_>>();
    for (done, group) in groups.iter().enumerate() {
        rounding.freeze(group);
        watch(done + 1, loss::log_loss(problem, &rounding.mlp, &held_out));
    }
    let mut done = groups.len();
    rounding.finish(|mlp| {
        done += 1;
        watch(done, loss::log_loss(problem, mlp, &held_out));
    })
}

/// Rounds every weight of `mlp` to its nearest integer, as a baseline for [`second_order`].
pub fn plain(mlp: &Mlp, grid: Grid) -> Rounded {
    let (mut mlp, scales) = (mlp.clone(), grid.row_scales(mlp));
    for (row, scale) in rows(&mlp).into_iter().zip(&scales) {
        mlp.parameters[row].iter_mut().for_each(|w| *w = grid.nearest(*w, f64::from(*scale)));
    }
    Rounded { mlp, scales }
}

/// The range of each row's weights among the parameters.
fn rows(mlp: &Mlp) -> Vec<std::ops::Range<usize>> {
    let rows = |l: usize| {
        let (weights, _) = mlp.ranges(l);
        weights.clone().step_by(mlp.widths[l]).map(move |start| start..start + mlp.widths[l])
    };
    (0..mlp.depth()).flat_map(rows).collect()
}

struct Rounding<'a> {
    problem: &'a Problem,
    grid: Grid,
    settings: Settings,
    before: &'a Mlp,
    mlp: Mlp,
    /// Of every row.
    scales: Vec<f64>,
    rows: Vec<std::ops::Range<usize>>,
    /// Of every parameter.
    frozen: Vec<bool>,
    mu: f64,
    round: u64,
    workspace: Workspace,
}

impl Rounding<'_> {
    /// A layer's weights in random groups.
    fn groups(&self, layer: usize) -> Vec<Vec<usize>> {
        let mut random = Random::new(self.settings.seed, Purpose::Rounding, layer as u64);
        let mut keyed: Vec<_> = self.mlp.ranges(layer).0.map(|k| (random.uniform(), k)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let size = keyed.len().div_ceil(GROUPS);
        keyed.chunks(size).map(|group| group.iter().map(|(_, k)| *k).collect()).collect()
    }

    fn batch(&mut self) -> Batch {
        self.round += 1;
        let points = sample::sobol(self.problem, self.settings.points, self.settings.seed, self.round);
        Batch::like(self.problem, self.before, &points)
    }

    /// The scale of every weight; 0 for a bias.
    fn scale_of_parameters(&self) -> Vec<f64> {
        let mut scale = vec![0.0; self.frozen.len()];
        for (row, s) in self.rows.iter().zip(&self.scales) {
            scale[row.clone()].fill(*s);
        }
        scale
    }

    /// Rounds a group of weights, the cheapest first, and moves all free parameters to compensate.
    fn freeze(&mut self, group: &[usize]) {
        let batch = self.batch();
        let free: Vec<usize> = (0..self.frozen.len()).filter(|k| !self.frozen[*k]).collect();
        let basis: Vec<Direction> = free.iter().map(|k| vec![(*k, 1.0)]).collect();
        let equations = NormalEquations::assemble(self.problem, &self.mlp, &batch, &mut self.workspace);
        let mut ridge = RIDGE;
        let restricted = equations.restricted(&basis);
        let factor = std::iter::from_fn(|| {
            let factor = restricted.factor(Damping::Identity, ridge);
            ridge *= 10.0;
            Some(factor)
        });
        // A positive semidefinite matrix plus enough of the identity factors within a few tries.
        let Some(factor) = factor.take(20).flatten().next() else { return self.round_plainly(group) };
        let mut inverse = factor.inverse();
        let scale = self.scale_of_parameters();
        let mut left: Vec<usize> = (0..free.len()).filter(|at| group.contains(&free[*at])).collect();
        while let Some(at) = self.cheapest(&left, &free, &scale, &inverse) {
            let k = free[at];
            let target = self.grid.nearest(self.mlp.parameters[k], scale[k]);
            let error = self.mlp.parameters[k] - target;
            let share = error / inverse[(at, at)];
            for (other, k) in free.iter().enumerate().filter(|(_, k)| !self.frozen[**k]) {
                self.mlp.parameters[*k] -= inverse[(other, at)] * share;
            }
            self.mlp.parameters[k] = target;
            self.frozen[k] = true;
            left.retain(|other| *other != at);
            eliminate(&mut inverse, at);
        }
        let basis: Vec<Direction> = free.iter().filter(|k| !self.frozen[**k]).map(|k| vec![(*k, 1.0)]).collect();
        self.clip(&scale);
        self.descend(&basis, STEPS, |rounding, mlp| rounding.clipped(mlp, &scale));
    }

    /// The weight, as a position in `free`, whose rounding costs least.
    fn cheapest(&self, left: &[usize], free: &[usize], scale: &[f64], inverse: &Mat<f64>) -> Option<usize> {
        let cost = |at: usize| {
            let w = self.mlp.parameters[free[at]];
            (w - self.grid.nearest(w, scale[free[at]])).powi(2) / inverse[(at, at)]
        };
        left.iter().copied().min_by(|a, b| cost(*a).total_cmp(&cost(*b)))
    }

    fn round_plainly(&mut self, group: &[usize]) {
        let scale = self.scale_of_parameters();
        for k in group {
            self.mlp.parameters[*k] = self.grid.nearest(self.mlp.parameters[*k], scale[*k]);
            self.frozen[*k] = true;
        }
    }

    fn clip(&mut self, scale: &[f64]) {
        self.mlp = self.clipped(self.mlp.clone(), scale);
    }

    /// `mlp` with its free weights clamped to the range that integers cover.
    fn clipped(&self, mut mlp: Mlp, scale: &[f64]) -> Mlp {
        let limit = self.grid.limit();
        let free = mlp.parameters.iter_mut().zip(scale).zip(&self.frozen).filter(|((_, s), f)| **s > 0.0 && !**f);
        for ((w, s), _) in free {
            *w = w.clamp(-limit * s, limit * s);
        }
        mlp
    }

    /// Damped steps along `basis`; each trial network passes through `confine`.
    fn descend(&mut self, basis: &[Direction], steps: usize, confine: impl Fn(&Self, Mlp) -> Mlp) {
        if basis.is_empty() {
            return;
        }
        let batch = self.batch();
        for _ in 0..steps {
            let equations = NormalEquations::assemble(self.problem, &self.mlp, &batch, &mut self.workspace);
            let restricted = equations.restricted(basis);
            let better = (0..8).find_map(|_| {
                let step =
                    restricted.factor(self.settings.damping, self.mu).and_then(|f| f.solve(&restricted.gradient));
                let trial = step.map(|step| confine(self, self.mlp.stepped(&self.expand(basis, &step), 1.0)));
                let trial = trial.filter(|mlp| normal::loss(self.problem, mlp, &batch) < equations.loss);
                self.mu = if trial.is_some() { (self.mu / 3.0).max(1e-12) } else { self.mu * 5.0 };
                trial
            });
            match better {
                Some(mlp) => self.mlp = mlp,
                None => break,
            }
        }
    }

    /// A step along `basis` as a step of all parameters.
    fn expand(&self, basis: &[Direction], step: &[f64]) -> Vec<f64> {
        let mut full = vec![0.0; self.frozen.len()];
        for (direction, coefficient) in basis.iter().zip(step) {
            for (k, x) in direction {
                full[*k] += coefficient * x;
            }
        }
        full
    }

    /// Optimizes the continuous parameters; with 8 bits in turn with the integers.
    fn finish(mut self, mut watch: impl FnMut(&Mlp)) -> Rounded {
        let mut integers = self.integers();
        self.settle(&integers);
        let searches = if self.grid == Grid::I8 { SEARCHES } else { 0 };
        for _ in 0..searches {
            let better = self.search(&mut integers);
            watch(&self.mlp);
            if !better {
                break;
            }
        }
        Rounded { scales: self.scales.iter().map(|s| *s as f32).collect(), mlp: self.mlp }
    }

    /// The directions that stay continuous: the biases, and the scales where they need not be powers of two. With its
    /// scale, all weights of a row move in proportion to their integers.
    fn continuous(&self, integers: &[f64]) -> Vec<Direction> {
        let rows = self.rows.iter().map(|row| row.clone().map(|k| (k, integers[k])).collect());
        let rows = rows.filter(|row: &Direction| self.grid == Grid::I8 && row.iter().any(|(_, x)| *x != 0.0));
        let scale = self.scale_of_parameters();
        let biases = (0..scale.len()).filter(|k| scale[*k] == 0.0).map(|k| vec![(k, 1.0)]);
        rows.chain(biases).collect()
    }

    /// Optimizes the continuous parameters and rounds the scales to values that the format can hold.
    fn settle(&mut self, integers: &[f64]) {
        let basis = self.continuous(integers);
        self.descend(&basis, LAST_STEPS, |_, mlp| mlp);
        let scales = self.rows.iter().zip(&self.scales).map(|(row, s)| f64::from(self.fitted_scale(row, integers, *s)));
        self.scales = scales.collect();
        for (row, scale) in self.rows.iter().zip(&self.scales) {
            for k in row.clone() {
                self.mlp.parameters[k] = scale * integers[k];
            }
        }
    }

    /// Changes integers as long as the linearized distance falls, and keeps as many of the changes as lower the true
    /// distance. Returns whether it fell enough to make another search worthwhile.
    fn search(&mut self, integers: &mut Vec<f64>) -> bool {
        let scale = self.scale_of_parameters();
        let weights: Vec<usize> = (0..scale.len()).filter(|k| scale[*k] > 0.0).collect();
        let up = weights.iter().map(|k| vec![(*k, scale[*k])]);
        let basis: Vec<Direction> = up.chain(self.continuous(integers)).collect();
        let batch = self.batch();
        let equations = NormalEquations::assemble(self.problem, &self.mlp, &batch, &mut self.workspace);
        let quadratic = Quadratic::new(&equations.restricted(&basis), weights.len());
        let mut moved: Vec<f64> = weights.iter().map(|k| integers[*k]).collect();
        let mut changes = quadratic.descend(&mut moved, self.grid.limit());
        let before = (self.mlp.clone(), self.scales.clone(), self.mu);
        while !changes.is_empty() {
            let mut trial = integers.clone();
            for (k, sign) in changes.iter().flatten() {
                trial[weights[*k]] += sign;
                self.mlp.parameters[weights[*k]] += sign * scale[weights[*k]];
            }
            self.settle(&trial);
            let after = normal::loss(self.problem, &self.mlp, &batch);
            if after < equations.loss {
                *integers = trial;
                return after < (1.0 - LEAST_FALL) * equations.loss;
            }
            // The changes went too far for a linear model: try half of them.
            (self.mlp, self.scales, self.mu) = before.clone();
            changes.truncate(changes.len() / 2);
        }
        false
    }

    /// The scale of a row by its weight with the largest integer, rounded to a value that the format can hold.
    fn fitted_scale(&self, row: &std::ops::Range<usize>, integers: &[f64], before: f64) -> f32 {
        let largest = row.clone().max_by(|a, b| integers[*a].abs().total_cmp(&integers[*b].abs()));
        match largest.filter(|k| self.grid == Grid::I8 && integers[*k] != 0.0) {
            Some(k) => nearest_scale::<i8>((self.mlp.parameters[k] / integers[k]).abs() as f32),
            None => before as f32,
        }
    }

    /// The integer of every weight, 0 for a bias.
    fn integers(&self) -> Vec<f64> {
        let scale = self.scale_of_parameters();
        let parts = self.mlp.parameters.iter().zip(scale);
        parts.map(|(w, s)| if s > 0.0 { (w / s).round() } else { 0.0 }).collect()
    }
}

impl Grid {
    /// The nearest number to `w` that this grid holds at this scale.
    fn nearest(self, w: f64, scale: f64) -> f64 {
        (w / scale).round().clamp(-self.limit(), self.limit()) * scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::mlp::Activation;
    use crate::bundle::optimize::lm;
    use crate::bundle::preset;
    use crate::bundle::problem::Form;
    use crate::host::interrupt::Interrupt;

    fn trained() -> (Problem, Mlp) {
        let problem = preset::find("sir-initial").unwrap().problem(Form::Reduced).unwrap();
        let start = Mlp::random(&problem.widths(&[10, 10]), Activation::Tanh, problem.last_bias(), 0);
        let mut state = lm::State::new(start, 1.0);
        let settings = Settings::new(&problem, 512, Budget::iterations(200), 0);
        lm::run(&problem, &settings, &mut state, &Interrupt::never(), &mut ());
        (problem, state.best)
    }

    #[test]
    fn second_order_costs_a_hundredth_of_plain_rounding() {
        let (problem, mlp) = trained();
        let rounded = second_order(&problem, &mlp, Grid::I8, 0, |_, _| ());
        let points = Batch::new(&problem, &sample::uniform(&problem, 2000, 0, Purpose::HeldOut, 0));
        let score = |mlp: &Mlp| loss::log_loss(&problem, mlp, &points);
        let (before, naive, after) = (score(&mlp), score(&plain(&mlp, Grid::I8).mlp), score(&rounded.mlp));
        assert!(after < naive - 2.0 * 100f64.ln(), "{before} {naive} {after}");
        for (row, scale) in rows(&mlp).into_iter().zip(&rounded.scales) {
            for w in &rounded.mlp.parameters[row] {
                let integer = w / f64::from(*scale);
                assert!(integer.fract() == 0.0 && integer.abs() <= 127.0, "{integer}");
            }
        }
        assert_eq!(rounded, second_order(&problem, &mlp, Grid::I8, 0, |_, _| ()));
    }

    #[test]
    fn sixteen_bits_lose_next_to_nothing() {
        let (problem, mlp) = trained();
        let rounded = second_order(&problem, &mlp, Grid::I16, 0, |_, _| ());
        let points = Batch::new(&problem, &sample::uniform(&problem, 2000, 0, Purpose::HeldOut, 0));
        let score = |mlp: &Mlp| loss::log_loss(&problem, mlp, &points);
        assert!(score(&rounded.mlp) < score(&mlp) + 0.7, "{} {}", score(&mlp), score(&rounded.mlp));
        assert_eq!(rounded.scales, Grid::I16.row_scales(&mlp));
    }
}
