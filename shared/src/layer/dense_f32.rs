//! Dense layer in f32: y = W x + b, W (outputs, inputs) row-major; tangent dy = W dx.
//!
//! Each sum runs from the bias through the inputs in order, so its bits do not depend on how rows are interleaved.
//! One multiplication and one addition per weight; with the tangent, two of each.

use super::Vector;
use super::activation::Activation;
use super::fine::Row;
use crate::error::{ModelError, TensorKind};
use crate::limits::MAX_WIDTH;
use crate::model::{Model, Tensor};

/// A dense layer that borrows its weights from the model file.
#[derive(Debug, Clone, Copy)]
pub struct DenseF32<'a> {
    inputs: usize,
    weight: &'a [f32],
    bias: &'a [f32],
}

impl<'a> DenseF32<'a> {
    /// The layer `index` of a file, of the given shape.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a tensor is missing or does not fit, [`ModelError::Value`] if a number is not finite.
    pub fn open(model: &Model<'a>, index: u8, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        let weight = super::tensor(model, index, TensorKind::Weight, &[outputs, inputs], Tensor::f32)?;
        let bias = super::tensor(model, index, TensorKind::Bias, &[outputs], Tensor::f32)?;
        if weight.iter().chain(bias).all(|v| v.is_finite()) {
            Ok(DenseF32 { inputs, weight, bias })
        } else {
            Err(ModelError::Value { layer: index })
        }
    }

    /// Multiply-accumulates of one evaluation.
    pub fn macs(&self) -> u32 {
        self.weight.len() as u32
    }

    /// Columns of the weight.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Rows of the weight.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// The rows, for integers.
    pub fn fine_rows(&self) -> impl Iterator<Item = Row<'a, f32>> + use<'a> {
        let rows = self.weight.chunks_exact(self.inputs.max(1)).zip(self.bias);
        rows.map(|(weight, bias)| Row::float(weight, *bias))
    }

    /// y = phi(W x + b), with no phi on the last layer.
    ///
    /// Four rows at a time, so that an input is loaded once for four of them; each sum keeps its own order.
    pub fn value(&self, x: &Vector<f32>, y: &mut Vector<f32>, activation: Option<Activation>) {
        let n = self.inputs.min(MAX_WIDTH);
        let (blocks, bias) = (self.weight.chunks_exact((4 * n).max(4)), self.bias.as_chunks::<4>());
        let (y, rest) = y.split_at_mut((4 * bias.0.len()).min(MAX_WIDTH));
        let rows = blocks.remainder().chunks_exact(n.max(1));
        for ((rows, z), y) in blocks.zip(bias.0).zip(y.as_chunks_mut::<4>().0) {
            let ((a, b), (c, d)) = halves(rows, n);
            let mut z = *z;
            for ((((a, b), c), d), x) in a.iter().zip(b).zip(c).zip(d).zip(x) {
                z[0] += a * x;
                z[1] += b * x;
                z[2] += c * x;
                z[3] += d * x;
            }
            *y = activation.map_or(z, |phi| z.map(|z| phi.value(z)));
        }
        for ((row, bias), y) in rows.zip(bias.1).zip(rest) {
            let mut z = *bias;
            for (w, x) in row.iter().zip(x) {
                z += w * x;
            }
            *y = activation.map_or(z, |phi| phi.value(z));
        }
    }

    /// The value as in [`Self::value`], to the same bits, and the tangent dy = phi'(z) W dx.
    pub fn tangent(
        &self,
        x: (&Vector<f32>, &Vector<f32>),
        y: (&mut Vector<f32>, &mut Vector<f32>),
        activation: Option<Activation>,
    ) {
        let rows = self.weight.chunks_exact(self.inputs.max(1)).zip(self.bias);
        for ((row, bias), (y, dy)) in rows.zip(y.0.iter_mut().zip(y.1)) {
            let (mut z, mut dz) = (*bias, 0.0);
            for (w, (x, dx)) in row.iter().zip(x.0.iter().zip(x.1)) {
                z += w * x;
                dz += w * dx;
            }
            (*y, *dy) = match activation {
                Some(phi) => {
                    let a = phi.value(z);
                    (a, phi.derivative(a) * dz)
                }
                None => (z, dz),
            };
        }
    }

    /// dx += W^T dz, row after row: how a derivative with respect to the outputs becomes one with respect to the
    /// inputs. `dx` must be zero beforehand. Four rows at a time, in their order.
    pub fn transposed(&self, dz: &Vector<f32>, dx: &mut Vector<f32>) {
        let n = self.inputs.min(MAX_WIDTH);
        let blocks = self.weight.chunks_exact((4 * n).max(4));
        let rows = blocks.remainder().chunks_exact(n.max(1));
        let last = dz.get(self.bias.len() & !3..).unwrap_or_default();
        for (rows, [za, zb, zc, zd]) in blocks.zip(dz.as_chunks::<4>().0) {
            let ((a, b), (c, d)) = halves(rows, n);
            for ((((a, b), c), d), dx) in a.iter().zip(b).zip(c).zip(d).zip(&mut *dx) {
                *dx = *dx + a * za + b * zb + c * zc + d * zd;
            }
        }
        for (row, dz) in rows.zip(last) {
            for (dx, w) in dx.iter_mut().zip(row) {
                *dx += w * dz;
            }
        }
    }
}

/// Four rows of length `n`.
type Rows<'w> = ((&'w [f32], &'w [f32]), (&'w [f32], &'w [f32]));

fn halves(rows: &[f32], n: usize) -> Rows<'_> {
    let (front, back) = split(rows, 2 * n);
    (split(front, n), split(back, n))
}

/// Splits without a way to panic.
fn split(rows: &[f32], at: usize) -> (&[f32], &[f32]) {
    rows.split_at_checked(at).unwrap_or((rows, &[]))
}
