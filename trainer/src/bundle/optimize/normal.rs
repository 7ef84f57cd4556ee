//! Normal equations of the residuals: A = J^T J, b = J^T r, their damped solution by Cholesky factorization, and the
//! curvature of the residuals along a step.
//!
//! All work is divided into chunks of points and tiles of A. The arithmetic within each is sequential, and partial sums
//! are added in order, so the bits do not depend on the number of threads or their timing.

use crate::bundle::equations::{Batch, Equations, Scratch};
use crate::bundle::mlp::Mlp;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

/// Edge of a tile of A: large enough for the matrix kernel, small enough to share among threads.
const TILE: usize = 128;

/// Diagonal damping raises entries to at least this share of the mean. A parameter to which the residuals are hardly
/// sensitive would otherwise grow without need (to weights of 400 where 3 do as well), which costs accuracy in f32.
const LEAST_DIAGONAL: f64 = 1e-3;

/// Share of a step at which the curvature along it is probed.
const PROBE: f64 = 0.1;

/// How A is made positive definite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damping {
    /// A + mu mean(diag A) I (Levenberg): reliable on the reduced form.
    Identity,
    /// A + mu diag A (Marquardt), small entries raised: better on forms with several outputs.
    Diagonal,
}

/// A (lower triangle), b and the loss at one set of weights.
#[derive(Debug)]
pub struct NormalEquations {
    /// J^T J, `[parameter][parameter]`; only the lower triangle is meaningful.
    pub matrix: Mat<f64>,
    /// J^T r.
    pub gradient: Vec<f64>,
    /// r^T r.
    pub loss: f64,
}

/// Memory for the Jacobian, chunk by chunk, reused from iteration to iteration.
#[derive(Debug, Default)]
pub struct Workspace {
    chunks: Vec<Linearized>,
}

#[derive(Debug, Default)]
struct Linearized {
    /// `[parameter][row][point]`: column-major, parameters are columns.
    jacobian: Vec<f64>,
    rows: Vec<f64>,
    gradient: Vec<f64>,
    loss: f64,
}

/// r^T r without derivatives.
pub fn loss<E: Equations>(equations: &E, mlp: &Mlp, batch: &Batch<E::Chunk>) -> f64 {
    let parts: Vec<f64> = batch
        .chunks
        .par_iter()
        .map_init(Scratch::default, |scratch, chunk| {
            let mut rows = vec![0.0; equations.rows(chunk)];
            equations.rows_of(mlp, chunk, scratch, &mut rows)
        })
        .collect();
    parts.iter().sum()
}

impl NormalEquations {
    /// Linearizes all residuals at the network's weights.
    pub fn assemble<E: Equations>(
        equations: &E,
        mlp: &Mlp,
        batch: &Batch<E::Chunk>,
        workspace: &mut Workspace,
    ) -> Self {
        let n = mlp.parameters.len();
        workspace.chunks.resize_with(batch.chunks.len(), Linearized::default);
        workspace.chunks.par_iter_mut().zip(&batch.chunks).for_each_init(Scratch::default, |scratch, (out, chunk)| {
            out.fill(equations, mlp, chunk, scratch);
        });
        let mut gradient = vec![0.0; n];
        let mut loss = 0.0;
        for chunk in &workspace.chunks {
            gradient.iter_mut().zip(&chunk.gradient).for_each(|(g, c)| *g += c);
            loss += chunk.loss;
        }
        NormalEquations { matrix: gram(&workspace.chunks, n), gradient, loss }
    }

    /// Factors A + mu D. `None` if that matrix is not positive definite in f64.
    pub fn factor(&self, damping: Damping, mu: f64) -> Option<Factor> {
        let n = self.gradient.len();
        let mut factor = self.matrix.clone();
        let mean = (0..n).map(|i| factor[(i, i)]).sum::<f64>() / n as f64;
        for i in 0..n {
            let own = factor[(i, i)];
            factor[(i, i)] =
                own + mu * if damping == Damping::Identity { mean } else { own.max(LEAST_DIAGONAL * mean) };
        }
        let scratch = llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default());
        let mut memory = MemBuffer::new(scratch);
        let stack = MemStack::new(&mut memory);
        llt::factor::cholesky_in_place(factor.as_mut(), Default::default(), Par::Seq, stack, Default::default())
            .ok()?;
        Some(Factor(factor))
    }

    /// The decrease of the loss that the linear model predicts for the step d: 2 b.d - d.A d.
    pub fn predicted(&self, step: &[f64]) -> f64 {
        let mut fall = 0.0;
        for (j, dj) in step.iter().enumerate() {
            let column = &self.matrix.col_as_slice(j)[j + 1..];
            let below: f64 = column.iter().zip(&step[j + 1..]).map(|(a, d)| a * d).sum();
            fall += dj * (2.0 * self.gradient[j] - self.matrix[(j, j)] * dj - 2.0 * below);
        }
        fall
    }
}

/// A direction in parameter space: entries (parameter, coefficient), the others zero.
pub type Direction = Vec<(usize, f64)>;

impl NormalEquations {
    /// The equations of the coefficients along `basis`: T^T A T and T^T b with the directions as columns of T.
    pub fn restricted(&self, basis: &[Direction]) -> NormalEquations {
        let entry = |i: usize, j: usize| if i >= j { self.matrix[(i, j)] } else { self.matrix[(j, i)] };
        let product = |a: &Direction, b: &Direction| {
            a.iter().map(|(i, x)| b.iter().map(|(j, y)| x * y * entry(*i, *j)).sum::<f64>()).sum()
        };
        let matrix =
            Mat::from_fn(basis.len(), basis.len(), |i, j| if i >= j { product(&basis[i], &basis[j]) } else { 0.0 });
        let along = |d: &Direction| d.iter().map(|(i, x)| x * self.gradient[*i]).sum();
        NormalEquations { matrix, gradient: basis.iter().map(along).collect(), loss: self.loss }
    }
}

/// A Cholesky factor of the damped matrix.
#[derive(Debug)]
pub struct Factor(Mat<f64>);

impl Factor {
    /// The inverse of the damped matrix.
    pub fn inverse(&self) -> Mat<f64> {
        let n = self.0.nrows();
        let mut inverse = Mat::identity(n, n);
        let mut memory = MemBuffer::new(llt::solve::solve_in_place_scratch::<f64>(n, n, Par::Seq));
        llt::solve::solve_in_place(self.0.as_ref(), inverse.as_mut(), Par::Seq, MemStack::new(&mut memory));
        inverse
    }

    /// Solves for one right-hand side; `None` if the solution is not finite.
    pub fn solve(&self, right: &[f64]) -> Option<Vec<f64>> {
        let mut x = Mat::from_fn(right.len(), 1, |i, _| right[i]);
        let mut memory = MemBuffer::new(llt::solve::solve_in_place_scratch::<f64>(right.len(), 1, Par::Seq));
        llt::solve::solve_in_place(self.0.as_ref(), x.as_mut(), Par::Seq, MemStack::new(&mut memory));
        let x: Vec<f64> = (0..right.len()).map(|i| x[(i, 0)]).collect();
        x.iter().all(|v| v.is_finite()).then_some(x)
    }
}

impl Workspace {
    /// J^T r'' for the last linearization, which was at `mlp`: r'' is the second derivative of the residuals along
    /// -`step`, by the finite difference 2 ((r(w - h step) - r) / h + J step) / h with h = `PROBE` = 0.1.
    ///
    /// One evaluation of the residuals and two products with the Jacobian: a few per cent of an assembly.
    pub fn bending<E: Equations>(&self, equations: &E, mlp: &Mlp, batch: &Batch<E::Chunk>, step: &[f64]) -> Vec<f64> {
        let ahead = mlp.stepped(step, PROBE);
        let parts: Vec<Vec<f64>> = self
            .chunks
            .par_iter()
            .zip(&batch.chunks)
            .map_init(Scratch::default, |scratch, (linear, chunk)| {
                let mut bend = vec![0.0; linear.rows.len()];
                equations.rows_of(&ahead, chunk, scratch, &mut bend);
                bend.iter_mut().zip(&linear.rows).for_each(|(b, r)| *b = (*b - r) / PROBE);
                for (column, d) in linear.jacobian.chunks_exact(bend.len()).zip(step) {
                    bend.iter_mut().zip(column).for_each(|(b, j)| *b += j * d);
                }
                bend.iter_mut().for_each(|b| *b *= 2.0 / PROBE);
                let mut product = Vec::with_capacity(step.len());
                pulp::Arch::new().dispatch(Transposed {
                    jacobian: &linear.jacobian,
                    rows: &bend,
                    product: &mut product,
                });
                product
            })
            .collect();
        let mut sum = vec![0.0; step.len()];
        for part in parts {
            sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
        }
        sum
    }
}

impl Linearized {
    fn fill<E: Equations>(&mut self, equations: &E, mlp: &Mlp, chunk: &E::Chunk, scratch: &mut Scratch) {
        let (n, rows) = (mlp.parameters.len(), equations.rows(chunk));
        self.rows.resize(rows, 0.0);
        self.jacobian.resize(n * rows, 0.0);
        equations.linearize(mlp, chunk, scratch, &mut self.rows, &mut self.jacobian);
        self.loss = dot(&self.rows, &self.rows);
        self.gradient.clear();
        pulp::Arch::new().dispatch(Transposed {
            jacobian: &self.jacobian,
            rows: &self.rows,
            product: &mut self.gradient,
        });
    }

    fn matrix(&self) -> MatRef<'_, f64> {
        MatRef::from_column_major_slice(&self.jacobian, self.rows.len(), self.gradient.len())
    }
}

/// The lower triangle of J^T J, tile by tile, the chunks of a tile added in order.
fn gram(chunks: &[Linearized], n: usize) -> Mat<f64> {
    let edges: Vec<usize> = (0..n).step_by(TILE).collect();
    let pairs: Vec<(usize, usize)> =
        edges.iter().flat_map(|&i| edges.iter().filter(move |&&j| j <= i).map(move |&j| (i, j))).collect();
    let tiles: Vec<Mat<f64>> = pairs
        .par_iter()
        .map(|&(i, j)| {
            let (rows, columns) = (TILE.min(n - i), TILE.min(n - j));
            let mut tile = Mat::zeros(rows, columns);
            for chunk in chunks {
                let jacobian = chunk.matrix();
                let (left, right) = (jacobian.subcols(i, rows), jacobian.subcols(j, columns));
                matmul(tile.as_mut(), Accum::Add, left.transpose(), right, 1.0, Par::Seq);
            }
            tile
        })
        .collect();
    let mut matrix = Mat::zeros(n, n);
    for (&(i, j), tile) in pairs.iter().zip(&tiles) {
        matrix.as_mut().submatrix_mut(i, j, tile.nrows(), tile.ncols()).copy_from(tile);
    }
    matrix
}

/// J^T r of one chunk, compiled for each instruction set.
struct Transposed<'a> {
    jacobian: &'a [f64],
    rows: &'a [f64],
    product: &'a mut Vec<f64>,
}

impl pulp::WithSimd for Transposed<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for column in self.jacobian.chunks_exact(self.rows.len()) {
            self.product.push(dot(column, self.rows));
        }
    }
}

/// Eight running sums, so that the loop vectorizes with a fixed order of additions.
#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (head, tail) = (a.chunks_exact(8), a.chunks_exact(8).remainder());
    for (x, y) in head.zip(b.chunks_exact(8)) {
        for k in 0..8 {
            sums[k] += x[k] * y[k];
        }
    }
    let rest: f64 = tail.iter().zip(&b[a.len() - tail.len()..]).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::mlp::Activation;
    use crate::bundle::preset;
    use crate::bundle::problem::Form;
    use crate::bundle::problem::Problem;
    use crate::bundle::residual::Batch;
    use crate::bundle::sample;
    use crate::host::random::Purpose;

    fn setting() -> (Problem, Mlp, Batch) {
        let problem = preset::find("sir-full").unwrap().problem(Form::Conserved).unwrap();
        let mlp = Mlp::random(&problem.widths(&[12, 12]), Activation::Tanh, 0.0, 5);
        let batch = Batch::new(&problem, &sample::uniform(&problem, 700, 0, Purpose::HeldOut, 0));
        (problem, mlp, batch)
    }

    fn equations(threads: usize) -> NormalEquations {
        let (problem, mlp, batch) = setting();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| NormalEquations::assemble(&problem, &mlp, &batch, &mut Workspace::default()))
    }

    fn step(equations: &NormalEquations, mu: f64) -> Vec<f64> {
        equations.factor(Damping::Diagonal, mu).unwrap().solve(&equations.gradient).unwrap()
    }

    #[test]
    fn bending_is_the_second_derivative() {
        let (problem, mlp, batch) = setting();
        let mut workspace = Workspace::default();
        let equations = NormalEquations::assemble(&problem, &mlp, &batch, &mut workspace);
        let step: Vec<f64> = step(&equations, 1.0);
        let scaled: Vec<f64> = step.iter().map(|d| 1e-3 * d).collect();
        let bending = workspace.bending(&problem, &mlp, &batch, &scaled);
        let rows_at = |mlp: &Mlp| {
            let mut other = Workspace::default();
            NormalEquations::assemble(&problem, mlp, &batch, &mut other);
            let rows: Vec<f64> = other.chunks.iter().flat_map(|c| c.rows.clone()).collect();
            rows
        };
        let (ahead, here, behind) =
            (rows_at(&mlp.stepped(&scaled, 1.0)), rows_at(&mlp), rows_at(&mlp.stepped(&scaled, -1.0)));
        let second: Vec<f64> = ahead.iter().zip(&here).zip(&behind).map(|((a, h), b)| a - 2.0 * h + b).collect();
        let mut expected = vec![0.0; step.len()];
        let mut first = 0;
        for chunk in &workspace.chunks {
            let rows = &second[first..first + chunk.rows.len()];
            first += chunk.rows.len();
            for (e, column) in expected.iter_mut().zip(chunk.jacobian.chunks_exact(rows.len())) {
                *e += dot(column, rows);
            }
        }
        let norm = |v: &[f64]| dot(v, v).sqrt();
        let difference: Vec<f64> = expected.iter().zip(&bending).map(|(a, b)| a - b).collect();
        assert!(norm(&difference) < 1e-2 * norm(&expected), "{} {}", norm(&difference), norm(&expected));
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (one, three) = (equations(1), equations(3));
        assert_eq!(one.gradient, three.gradient);
        assert_eq!(one.matrix, three.matrix);
        assert_eq!(step(&one, 1e-3), step(&three, 1e-3));
    }

    #[test]
    fn the_step_solves_the_damped_equations() {
        let e = equations(2);
        let n = e.gradient.len();
        let d = step(&e, 1e-2);
        let a = |i: usize, j: usize| if i >= j { e.matrix[(i, j)] } else { e.matrix[(j, i)] };
        let mean = (0..n).map(|i| e.matrix[(i, i)]).sum::<f64>() / n as f64;
        let largest = e.gradient.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
        let mut model = 0.0;
        for i in 0..n {
            let undamped: f64 = (0..n).map(|j| a(i, j) * d[j]).sum();
            assert!(
                (undamped + 1e-2 * a(i, i).max(LEAST_DIAGONAL * mean) * d[i] - e.gradient[i]).abs() < 1e-10 * largest
            );
            model += d[i] * (2.0 * e.gradient[i] - undamped);
        }
        assert!((model - e.predicted(&d)).abs() < 1e-10 * model);
    }
}
