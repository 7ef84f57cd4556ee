//! Least-squares equations whose unknowns are the parameters of a network, at points that are evaluated in chunks.

use crate::bundle::mlp::{Mlp, Tape};

/// Points of a chunk: the unit of parallel work, and the vector length of the innermost loops.
pub const CHUNK: usize = 256;

/// Collocation points, prepared once and evaluated for many weights.
#[derive(Debug, Clone)]
pub struct Batch<C> {
    /// The points, up to [`CHUNK`] together.
    pub chunks: Vec<C>,
}

/// Buffers of one worker.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Of the network's passes.
    pub tape: Tape,
    /// Derivatives of rows with respect to the network's values.
    pub seed_value: Vec<f64>,
    /// Derivatives of rows with respect to the network's tangents.
    pub seed_tangent: Vec<f64>,
}

/// Equations, to be solved in the sense of least squares, whose unknowns are the parameters of a network.
pub trait Equations: Sync {
    /// Points that are evaluated together.
    type Chunk: Sync;

    /// The number of rows of a chunk.
    fn rows(&self, chunk: &Self::Chunk) -> usize;

    /// Writes the rows of a chunk, `[row][point]`, and returns the sum of their squares.
    fn rows_of(&self, mlp: &Mlp, chunk: &Self::Chunk, scratch: &mut Scratch, rows: &mut [f64]) -> f64;

    /// [`Self::rows_of`] and their Jacobian: parameter p's column begins at p times the number of rows.
    fn linearize(&self, mlp: &Mlp, chunk: &Self::Chunk, scratch: &mut Scratch, rows: &mut [f64], jacobian: &mut [f64]);
}
