//! Residuals of a trial solution, and their derivatives with respect to the network's value and tangent.
//!
//! Rows are weighted so that their squares sum to the squared physical residual (per unit of t). With v and w the
//! network's value and tangent, f = 1 - exp(-t) and f' = exp(-t):
//! - generic: r = f' v + f w - g(y0 + f v), one row per component;
//! - conserved: r_0 = -(r_1 + ..) follows from the others; the rows r + c sum(r) with c = (sqrt(1 + m) - 1) / m have the
//!   same sum of squares as all components;
//! - reduced: N k (x' - rhs(x)), which is the norm of the three components up to a factor of 1 to sqrt(2).

use crate::bundle::equations::{self, CHUNK, Equations, Scratch};
use crate::bundle::mlp::{self, Direction, Mlp, Rows, Tape};
use crate::bundle::problem::{Form, Problem};
use rayon::prelude::*;
use sirocco::limits::MAX_STATE;
use sirocco::ode::sir::Reduced;
use sirocco::ode::{Rates, State};

/// The quantities of a collocation point from which residuals are computed, besides the network's inputs.
#[derive(Debug, Clone)]
pub struct Point {
    /// 1 - exp(-t), or of tau.
    factor: f64,
    /// Its derivative, exp(-t), or of tau.
    slope: f64,
    initial: State<f64>,
    rates: Rates<f64>,
    reduced: Reduced<f64>,
    /// The outputs of another network at this point, if rows are the distance from its state instead of residuals.
    other: Option<State<f64>>,
}

/// Up to [`CHUNK`] points with their scaled inputs, `[input][point]`.
#[derive(Debug, Clone)]
pub struct Chunk {
    inputs: Vec<f64>,
    points: Vec<Point>,
}

/// Collocation points of a trial solution.
pub type Batch = equations::Batch<Chunk>;

/// A matrix of derivatives with respect to the network's outputs, `[row][output]`.
type Seeds = [State<f64>; MAX_STATE];

impl Batch {
    /// Prepares points given as physical quantities, row-major `[point][quantity]`.
    pub fn new(problem: &Problem, quantities: &[f64]) -> Self {
        let per_point = problem.domain.len();
        let chunks = quantities.chunks(CHUNK * per_point).map(|part| Chunk::new(problem, part)).collect();
        Batch { chunks }
    }

    /// Points whose rows are not residuals but the distances from the states of another network: f (v - other), in the
    /// reduced form times |d state / dx|, so that their squares sum to the squared distance to first order.
    pub fn like(problem: &Problem, mlp: &Mlp, quantities: &[f64]) -> Self {
        let mut batch = Self::new(problem, quantities);
        batch.chunks.par_iter_mut().for_each_init(Tape::default, |tape, chunk| {
            mlp.forward(&chunk.inputs, Direction::Common(&problem.input_tangent()), tape);
            let points = chunk.len();
            for (b, point) in chunk.points.iter_mut().enumerate() {
                let mut other = [0.0; MAX_STATE];
                other.iter_mut().zip(tape.value().chunks_exact(points)).for_each(|(to, values)| *to = values[b]);
                point.other = Some(other);
            }
        });
        batch
    }

    /// Number of points.
    pub fn points(&self) -> usize {
        self.chunks.iter().map(|c| c.points.len()).sum()
    }
}

impl Chunk {
    fn new(problem: &Problem, quantities: &[f64]) -> Self {
        let rows: Vec<&[f64]> = quantities.chunks_exact(problem.domain.len()).collect();
        let mut inputs = vec![0.0; problem.inputs.len() * rows.len()];
        for (b, row) in rows.iter().enumerate() {
            for (i, (input, value)) in problem.inputs.iter().zip(problem.values(row)).enumerate() {
                inputs[i * rows.len() + b] = input.scale(value);
            }
        }
        Chunk { inputs, points: rows.iter().map(|row| problem.point(row)).collect() }
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }
}

impl Problem {
    /// A point from its physical quantities.
    pub fn point(&self, quantities: &[f64]) -> Point {
        let (t, initial, rates) = self.split(quantities);
        let reduced = Reduced::new(&initial, &rates);
        let time = if self.form == Form::Reduced { reduced.k * t } else { t };
        let initial = self.ode.initial(&initial);
        Point { factor: -(-time).exp_m1(), slope: (-time).exp(), initial, rates, reduced, other: None }
    }

    /// The network's outputs as one change per component.
    fn expand(&self, outputs: &[f64]) -> State<f64> {
        let mut components = [0.0; MAX_STATE];
        if self.form == Form::Conserved {
            components[1..=outputs.len()].copy_from_slice(outputs);
            components[0] = -outputs.iter().sum::<f64>();
        } else {
            components[..outputs.len()].copy_from_slice(outputs);
        }
        components
    }

    /// State and its derivative in physical time, from the network's value and tangent outputs.
    pub fn solution(&self, point: &Point, value: &[f64], tangent: &[f64]) -> (State<f64>, State<f64>) {
        let (f, df) = (point.factor, point.slope);
        if self.form == Form::Reduced {
            let (x, dx) = (f * value[0], df * value[0] + f * tangent[0]);
            return (point.reduced.state(x), point.reduced.derivative(x, dx));
        }
        let (v, w) = (self.expand(value), self.expand(tangent));
        (std::array::from_fn(|i| point.initial[i] + f * v[i]), std::array::from_fn(|i| df * v[i] + f * w[i]))
    }

    /// The physical residual dy/dt - g(y) per component.
    pub fn residual(&self, point: &Point, value: &[f64], tangent: &[f64]) -> State<f64> {
        let (y, dy) = self.solution(point, value, tangent);
        let g = self.ode.rhs(&y, &point.rates);
        std::array::from_fn(|i| dy[i] - g[i])
    }

    /// Weighted rows at one point.
    fn weighted(&self, point: &Point, value: &[f64], tangent: &[f64]) -> State<f64> {
        let (m, mut rows) = (value.len(), [0.0; MAX_STATE]);
        if let Some(other) = point.other {
            let weight = self.distance(point, other[0]);
            rows.iter_mut().zip(value).zip(other).for_each(|((row, value), other)| *row = weight * (value - other));
            if self.form == Form::Conserved {
                conserve(&mut rows[..m]);
            }
            return rows;
        }
        match self.form {
            Form::Generic => self.residual(point, value, tangent),
            Form::Conserved => {
                rows[..m].copy_from_slice(&self.residual(point, value, tangent)[1..=m]);
                conserve(&mut rows[..m]);
                rows
            }
            Form::Reduced => {
                let (f, df, r) = (point.factor, point.slope, &point.reduced);
                let x = f * value[0];
                [r.n * r.k * (df * value[0] + f * tangent[0] - r.rhs(x)), 0.0, 0.0, 0.0]
            }
            // The form by phase has equations of its own: whoever takes these for them shall notice.
            Form::Phase => [f64::NAN; MAX_STATE],
        }
    }

    /// The norm of the derivative of the state with respect to an output of the network.
    fn distance(&self, point: &Point, output: f64) -> f64 {
        let f = point.factor;
        match self.form {
            // The derivative is by physical time, k times that by x.
            Form::Reduced => {
                let moved = point.reduced.derivative(f * output, f / point.reduced.k);
                moved.iter().map(|d| d * d).sum::<f64>().sqrt()
            }
            _ => f,
        }
    }

    /// Derivatives of the weighted rows with respect to the network's values and tangents.
    fn seeds(&self, point: &Point, value: &[f64]) -> (Seeds, Seeds) {
        let (mut by_value, mut by_tangent) = ([[0.0; MAX_STATE]; MAX_STATE], [[0.0; MAX_STATE]; MAX_STATE]);
        let (f, df, m) = (point.factor, point.slope, value.len());
        if let Some(other) = point.other {
            let weight = self.distance(point, other[0]);
            by_value.iter_mut().enumerate().for_each(|(k, row)| row[k] = weight);
            if self.form == Form::Conserved {
                mix(&mut by_value, m);
            }
            return (by_value, by_tangent);
        }
        if self.form == Form::Reduced {
            let r = &point.reduced;
            let (x, weight) = (f * value[0], r.n * r.k);
            // rhs = 1 - s - (1 - p) x with s' = -p s
            let s = 1.0 - (1.0 - r.p) * x - r.rhs(x);
            by_value[0][0] = weight * (df - f * (r.p * s - (1.0 - r.p)));
            by_tangent[0][0] = weight * f;
            return (by_value, by_tangent);
        }
        let v = self.expand(value);
        let y: State<f64> = std::array::from_fn(|i| point.initial[i] + f * v[i]);
        let jacobian = self.ode.jacobian(&y, &point.rates);
        let conserved = self.form == Form::Conserved;
        let first = usize::from(conserved);
        for a in 0..m {
            for k in 0..m {
                let row = &jacobian[a + first];
                let through = row[k + first] - if conserved { row[0] } else { 0.0 };
                by_value[a][k] = if a == k { df } else { 0.0 } - f * through;
            }
            by_tangent[a][a] = f;
        }
        if conserved {
            mix(&mut by_value, m);
            mix(&mut by_tangent, m);
        }
        (by_value, by_tangent)
    }

    /// The squared norm of the weighted rows at one point, and its derivatives with respect to the network's values and
    /// tangents, given in single precision.
    pub fn squared(&self, point: &Point, value: &[f32], tangent: &[f32]) -> (f64, State<f64>, State<f64>) {
        let (m, mut v, mut w) = (value.len(), [0.0; MAX_STATE], [0.0; MAX_STATE]);
        v.iter_mut().zip(value).for_each(|(to, from)| *to = f64::from(*from));
        w.iter_mut().zip(tangent).for_each(|(to, from)| *to = f64::from(*from));
        let rows = self.weighted(point, &v[..m], &w[..m]);
        let (by_value, by_tangent) = self.seeds(point, &v[..m]);
        let pull = |by: &Seeds| std::array::from_fn(|k| (0..m).map(|row| 2.0 * rows[row] * by[row][k]).sum());
        (rows[..m].iter().map(|r| r * r).sum(), pull(&by_value), pull(&by_tangent))
    }

    /// State and physical residual of every point of a chunk, in order.
    pub fn for_each(&self, mlp: &Mlp, chunk: &Chunk, scratch: &mut Scratch, mut f: impl FnMut(State<f64>, State<f64>)) {
        mlp.forward(&chunk.inputs, Direction::Common(&self.input_tangent()), &mut scratch.tape);
        self.gather(chunk, &scratch.tape, |_, point, value, tangent| {
            f(self.solution(point, value, tangent).0, self.residual(point, value, tangent));
        });
    }

    /// Whether `state` can be reached from the point's initial state, with `slack`.
    pub fn plausible(&self, point: &Point, state: &State<f64>, slack: f32) -> bool {
        let single = |values: &State<f64>| values.map(|v| v as f32);
        self.ode.plausible(&single(&point.initial), &point.rates.map(|v| v as f32), &single(state), slack)
    }

    fn gather(&self, chunk: &Chunk, tape: &Tape, mut f: impl FnMut(usize, &Point, &[f64], &[f64])) {
        let (points, m) = (chunk.len(), self.outputs());
        let (mut value, mut tangent) = ([0.0; MAX_STATE], [0.0; MAX_STATE]);
        for (b, point) in chunk.points.iter().enumerate() {
            for k in 0..m {
                value[k] = tape.value()[k * points + b];
                tangent[k] = tape.tangent()[k * points + b];
            }
            f(b, point, &value[..m], &tangent[..m]);
        }
    }
}

impl Equations for Problem {
    type Chunk = Chunk;

    fn rows(&self, chunk: &Chunk) -> usize {
        self.outputs() * chunk.len()
    }

    fn rows_of(&self, mlp: &Mlp, chunk: &Chunk, scratch: &mut Scratch, rows: &mut [f64]) -> f64 {
        mlp.forward(&chunk.inputs, Direction::Common(&self.input_tangent()), &mut scratch.tape);
        self.gather(chunk, &scratch.tape, |b, point, value, tangent| {
            for (row, r) in rows.chunks_exact_mut(chunk.len()).zip(self.weighted(point, value, tangent)) {
                row[b] = r;
            }
        });
        rows.iter().map(|r| r * r).sum()
    }

    fn linearize(&self, mlp: &Mlp, chunk: &Chunk, scratch: &mut Scratch, rows: &mut [f64], jacobian: &mut [f64]) {
        self.rows_of(mlp, chunk, scratch, rows);
        let (points, m) = (chunk.len(), self.outputs());
        let Scratch { tape, seed_value, seed_tangent } = scratch;
        seed_value.resize(m * m * points, 0.0);
        seed_tangent.resize(m * m * points, 0.0);
        self.gather(chunk, tape, |b, point, value, _| {
            let (by_value, by_tangent) = self.seeds(point, value);
            for row in 0..m {
                for k in 0..m {
                    seed_value[(row * m + k) * points + b] = by_value[row][k];
                    seed_tangent[(row * m + k) * points + b] = by_tangent[row][k];
                }
            }
        });
        let rate = self.input_tangent();
        let seeds = seed_value.chunks_exact(m * points).zip(seed_tangent.chunks_exact(m * points));
        for (row, (value, tangent)) in seeds.enumerate() {
            let rows = Rows { jacobian, stride: m * points, first: row * points };
            mlp.adjoint(&chunk.inputs, Direction::Common(&rate), tape, mlp::Seeds { value, tangent }, rows);
        }
    }
}

impl Chunk {
    /// The points in order.
    pub fn points(&self) -> &[Point] {
        &self.points
    }
}

/// c of |r + c sum(r)|^2 = |r|^2 + sum(r)^2 for m components.
fn conserving_share(m: usize) -> f64 {
    let m = m as f64;
    ((1.0 + m).sqrt() - 1.0) / m
}

/// Rows r become r + c sum(r).
fn conserve(rows: &mut [f64]) {
    let share = conserving_share(rows.len()) * rows.iter().sum::<f64>();
    rows.iter_mut().for_each(|row| *row += share);
}

/// The same for their derivatives with respect to every output.
fn mix(seeds: &mut Seeds, m: usize) {
    for k in 0..m {
        let mut column: State<f64> = seeds.map(|row| row[k]);
        conserve(&mut column[..m]);
        seeds[..m].iter_mut().zip(column).for_each(|(row, mixed)| row[k] = mixed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::mlp::Activation;
    use crate::bundle::preset;

    fn setting(form: Form) -> (Problem, Mlp, Batch) {
        let problem = preset::find("sir-full").unwrap().problem(form).unwrap();
        let mlp = Mlp::random(&problem.widths(&[5, 4]), Activation::Tanh, problem.last_bias(), 2);
        let batch = Batch::new(
            &problem,
            &crate::bundle::sample::uniform(&problem, 9, 0, crate::host::random::Purpose::HeldOut, 0),
        );
        (problem, mlp, batch)
    }

    #[test]
    fn jacobian_matches_finite_differences_in_every_form() {
        for (form, like) in
            [Form::Generic, Form::Conserved, Form::Reduced].into_iter().flat_map(|f| [(f, false), (f, true)])
        {
            let (problem, mlp, mut batch) = setting(form);
            if like {
                batch = other(&problem);
            }
            let chunk = &batch.chunks[0];
            let n = problem.rows(chunk);
            let rows = |mlp: &Mlp| {
                let mut rows = vec![0.0; n];
                problem.rows_of(mlp, chunk, &mut Scratch::default(), &mut rows);
                rows
            };
            let mut jacobian = vec![0.0; n * mlp.parameters.len()];
            problem.linearize(&mlp, chunk, &mut Scratch::default(), &mut vec![0.0; n], &mut jacobian);
            for p in 0..mlp.parameters.len() {
                let (mut up, mut down, h) = (mlp.clone(), mlp.clone(), 1e-6);
                up.parameters[p] += h;
                down.parameters[p] -= h;
                for ((u, d), j) in rows(&up).iter().zip(rows(&down)).zip(&jacobian[p * n..]) {
                    assert!(((u - d) / (2.0 * h) - j).abs() < 1e-8, "{form:?} parameter {p}");
                }
            }
        }
    }

    /// Points that are compared with another network.
    fn other(problem: &Problem) -> Batch {
        let other = Mlp::random(&problem.widths(&[3, 3]), Activation::Tanh, problem.last_bias(), 5);
        let points = crate::bundle::sample::uniform(problem, 9, 0, crate::host::random::Purpose::HeldOut, 1);
        Batch::like(problem, &other, &points)
    }

    #[test]
    fn rows_of_likeness_have_the_norm_of_the_distance() {
        for form in [Form::Generic, Form::Conserved, Form::Reduced] {
            let (problem, mlp, _) = setting(form);
            let mut near = mlp.clone();
            near.parameters.iter_mut().enumerate().for_each(|(k, w)| *w += 1e-6 * (k as f64).sin());
            let points = crate::bundle::sample::uniform(&problem, 9, 0, crate::host::random::Purpose::HeldOut, 1);
            let (batch, plain) = (Batch::like(&problem, &near, &points), Batch::new(&problem, &points));
            let (chunk, plain) = (&batch.chunks[0], &plain.chunks[0]);
            let mut rows = vec![0.0; problem.rows(chunk)];
            let found = problem.rows_of(&mlp, chunk, &mut Scratch::default(), &mut rows);
            let states = |mlp: &Mlp| {
                let mut states = vec![];
                problem.for_each(mlp, plain, &mut Scratch::default(), |state, _| states.extend(state));
                states
            };
            let squares = states(&mlp).into_iter().zip(states(&near)).map(|(a, b)| (a - b).powi(2));
            let wanted: f64 = squares.sum();
            assert!((found / wanted - 1.0).abs() < 1e-4, "{form:?}: {found:e} {wanted:e}");
        }
    }

    #[test]
    fn weighted_rows_have_the_physical_norm() {
        for form in [Form::Generic, Form::Conserved, Form::Reduced] {
            let (problem, mlp, batch) = setting(form);
            let chunk = &batch.chunks[0];
            let mut rows = vec![0.0; problem.rows(chunk)];
            let weighted = problem.rows_of(&mlp, chunk, &mut Scratch::default(), &mut rows);
            let mut physical = 0.0;
            problem.for_each(&mlp, chunk, &mut Scratch::default(), |_, r| {
                physical += r.iter().map(|r| r * r).sum::<f64>();
                assert!(form == Form::Generic || r.iter().sum::<f64>().abs() < 1e-15);
            });
            let ratio = physical / weighted;
            let allowed = if form == Form::Reduced { 0.3..=2.0 } else { 1.0 - 1e-12..=1.0 + 1e-12 };
            assert!(allowed.contains(&ratio), "{form:?}: {ratio}");
        }
    }
}
