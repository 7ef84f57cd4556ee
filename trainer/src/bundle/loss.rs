//! LogLoss of a network in f64, and the score by which the best weights are chosen. Both use residuals only, never a
//! solution.

use crate::bundle::equations::Scratch;
use crate::bundle::mlp::Mlp;
use crate::bundle::problem::Problem;
use crate::bundle::residual::Batch;
use rayon::prelude::*;

/// A state that lies further than this outside of what a solution can reach belongs to another equilibrium.
const SLACK: f32 = 0.05;

/// Applies `f` to every point's state and residual, chunk by chunk in parallel, results in the points' order.
fn per_point<T: Send>(
    problem: &Problem,
    mlp: &Mlp,
    batch: &Batch,
    f: impl Fn(usize, [f64; 4], [f64; 4]) -> T + Sync,
) -> Vec<T> {
    let parts: Vec<Vec<T>> = batch
        .chunks
        .par_iter()
        .enumerate()
        .map_init(Scratch::default, |scratch, (c, chunk)| {
            let mut results = Vec::with_capacity(chunk.len());
            let mut index = c * crate::bundle::equations::CHUNK;
            problem.for_each(mlp, chunk, scratch, |state, residual| {
                results.push(f(index, state, residual));
                index += 1;
            });
            results
        })
        .collect();
    parts.into_iter().flatten().collect()
}

fn square(residual: [f64; 4]) -> f64 {
    residual.iter().map(|r| r * r).sum()
}

/// |r| of every point, over all components, in physical units.
pub fn residual_norms(problem: &Problem, mlp: &Mlp, batch: &Batch) -> Vec<f64> {
    per_point(problem, mlp, batch, |_, _, residual| square(residual).sqrt())
}

/// LogLoss := ln(sum over the components of the mean over the points of the squared residual).
pub fn log_loss(problem: &Problem, mlp: &Mlp, batch: &Batch) -> f64 {
    let squares = per_point(problem, mlp, batch, |_, _, residual| square(residual));
    (squares.iter().sum::<f64>() / squares.len() as f64).ln()
}

/// [`log_loss`], with a squared residual of one added at every point whose state no solution can reach: a network that
/// follows a wrong branch of equilibria has small residuals almost everywhere.
pub fn score(problem: &Problem, mlp: &Mlp, batch: &Batch) -> f64 {
    let points: Vec<_> = batch.chunks.iter().flat_map(|c| c.points()).collect();
    let squares = per_point(problem, mlp, batch, |b, state, residual| {
        square(residual) + if problem.plausible(points[b], &state, SLACK) { 0.0 } else { 1.0 }
    });
    (squares.iter().sum::<f64>() / squares.len() as f64).ln()
}
