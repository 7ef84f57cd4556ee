//! Dense layer in f32: y = W x + b, W (outputs, inputs) row-major; tangent dy = W dx.
//!
//! Each sum begins with the bias and takes the inputs in order, so its bits do not depend on how rows are interleaved.
//! Cost: one multiplication and one addition per weight; with the tangent, two of each. A Cortex-M4F takes about 2.3
//! instructions per weight, and 1.2 with the loop of its own kernel ([`RowLoops::FOUR_ROWS_F32`]).

use super::activation::Activation;
use super::rows::{FLOATS, FourRows, RowLoops};
use super::{Activations, push};
use crate::error::{ModelError, TensorKind};
use crate::limits::MAX_WIDTH;
use crate::model::{Model, Tensor};

/// A dense layer that borrows its weights from the model file.
#[derive(Debug, Clone, Copy)]
pub struct DenseF32<'a> {
    inputs: usize,
    weight: &'a [f32],
    bias: &'a [f32],
    four_rows: Option<FourRows>,
}

impl<'a> DenseF32<'a> {
    /// Opens layer `index` of a file, of the given shape, for a processor with the loops of `K`.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a tensor is missing or has another type or shape, [`ModelError::Value`] if a number is not
    /// finite.
    pub fn open<K: RowLoops>(model: &Model<'a>, index: u8, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        let weight = super::tensor(model, index, TensorKind::Weight, &[outputs, inputs], Tensor::f32)?;
        let bias = super::tensor(model, index, TensorKind::Bias, &[outputs], Tensor::f32)?;
        if weight.iter().chain(bias).all(|v| v.is_finite()) {
            let four_rows = K::FOUR_ROWS_F32.filter(|_| inputs > FLOATS && inputs.is_multiple_of(FLOATS));
            Ok(DenseF32 { inputs, weight, bias, four_rows })
        } else {
            Err(ModelError::Value { layer: index })
        }
    }

    /// The number of multiply-accumulates of one evaluation.
    pub fn macs(&self) -> u32 {
        self.weight.len() as u32
    }

    /// The number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Computes a hidden layer, y = phi(W x + b); `y` must be empty.
    ///
    /// For the widths of the presets the inputs of a row are held in registers, so a weight takes two instructions: its load
    /// and its multiply-accumulate.
    #[inline(never)]
    pub fn hidden(&self, x: &[f32], y: &mut Activations<f32>, activation: Activation) {
        if let Some(four_rows) = self.four_rows {
            return self.each_block(x, y, activation, |weight, bias, x| {
                let mut sums = *bias;
                four_rows(weight, x, &mut sums);
                sums
            });
        }
        match self.inputs {
            3 => self.each_row_of::<3>(x, y, activation),
            5 => self.each_row_of::<5>(x, y, activation),
            8 => self.each_row_of::<8>(x, y, activation),
            16 => self.each_row_of::<16>(x, y, activation),
            _ => self.each_block(x, y, activation, four_rows),
        }
    }

    /// Rows of any length, four at a time.
    #[inline(always)]
    fn each_block(
        &self,
        x: &[f32],
        y: &mut Activations<f32>,
        activation: Activation,
        four_rows: impl Fn(&[f32], &[f32; 4], &[f32]) -> [f32; 4],
    ) {
        let n = self.inputs.min(MAX_WIDTH);
        let (blocks, rest) = self.bias.as_chunks::<4>();
        let weights = self.weight.chunks_exact((4 * n).max(4));
        let last = weights.remainder().chunks_exact(n.max(1));
        for (weight, bias) in weights.zip(blocks) {
            append(y, activation, four_rows(weight, bias, x));
        }
        for (row, bias) in last.zip(rest) {
            push(y, activation.value(dot(row, *bias, x)));
        }
    }

    /// Rows of `N` weights, four at a time.
    #[inline(always)]
    fn each_row_of<const N: usize>(&self, x: &[f32], y: &mut Activations<f32>, activation: Activation) {
        let (blocks, last) = self.weight.as_chunks::<N>().0.as_chunks::<4>();
        let (biases, last_biases) = self.bias.as_chunks::<4>();
        for (rows, bias) in blocks.iter().zip(biases) {
            append(y, activation, rows_of(rows, bias, x));
        }
        for (row, bias) in last.iter().zip(last_biases) {
            push(y, activation.value(row_of(row, *bias, x)));
        }
    }

    /// Computes the last layer, y = W x + b; as many rows as `y` holds.
    #[inline(never)]
    pub fn output(&self, x: &[f32], y: &mut [f32]) {
        match self.inputs {
            8 => self.output_of::<8>(x, y),
            16 => self.output_of::<16>(x, y),
            32 => self.output_of::<32>(x, y),
            _ => self.rows().zip(y).for_each(|((row, bias), y)| *y = dot(row, *bias, x)),
        }
    }

    #[inline(always)]
    fn output_of<const N: usize>(&self, x: &[f32], y: &mut [f32]) {
        let Some(x) = x.first_chunk::<N>() else { return };
        for ((row, bias), y) in self.weight.as_chunks::<N>().0.iter().zip(self.bias).zip(y) {
            *y = dot(row, *bias, x);
        }
    }

    fn rows(&self) -> impl Iterator<Item = (&'a [f32], &'a f32)> + use<'a> {
        self.weight.chunks_exact(self.inputs.max(1)).zip(self.bias)
    }

    /// Calls `sink` with W x + b, with the same bits as in [`Self::hidden`] and [`Self::output`], and with W dx.
    pub fn tangent(&self, (x, dx): (&[f32], &[f32]), mut sink: impl FnMut(f32, f32)) {
        for (row, bias) in self.rows() {
            let (mut z, mut dz) = (*bias, 0.0);
            for (w, (x, dx)) in row.iter().zip(x.iter().zip(dx)) {
                z += w * x;
                dz += w * dx;
            }
            sink(z, dz);
        }
    }

    /// dx += W^T dz, which turns a derivative with respect to the outputs into one with respect to the inputs. Four rows at a
    /// time, in their order.
    pub fn transposed(&self, dz: &[f32], dx: &mut [f32]) {
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

/// The activations of four more rows.
#[inline(always)]
fn append(y: &mut Activations<f32>, activation: Activation, [a, b, c, d]: [f32; 4]) {
    let phi = |z| activation.value(z);
    // There is room, as for `push`.
    let _ = y.extend_from_slice(&[phi(a), phi(b), phi(c), phi(d)]);
}

/// bias + w . x, in this order.
#[inline(always)]
fn dot(row: &[f32], bias: f32, x: &[f32]) -> f32 {
    row.iter().zip(x).fold(bias, |z, (w, x)| z + w * x)
}

/// W x + b of a row, with the inputs in registers.
#[inline(always)]
fn row_of<const N: usize>(row: &[f32; N], bias: f32, x: &[f32]) -> f32 {
    x.first_chunk::<N>().map_or(bias, |x| dot(row, bias, x))
}

/// W x + b of four rows. The inputs are sliced in every block anew: if they were sliced once before the loop, the compiler would
/// keep all of them in registers and have none left for the rest.
#[inline(always)]
fn rows_of<const N: usize>(rows: &[[f32; N]; 4], bias: &[f32; 4], x: &[f32]) -> [f32; 4] {
    let Some(x) = x.first_chunk::<N>() else { return *bias };
    let ([a, b, c, d], bias) = (rows, bias);
    [dot(a, bias[0], x), dot(b, bias[1], x), dot(c, bias[2], x), dot(d, bias[3], x)]
}

/// W x + b of four rows of any length, side by side, so that an input is loaded once for four products.
#[inline(always)]
fn four_rows(weight: &[f32], bias: &[f32; 4], x: &[f32]) -> [f32; 4] {
    let ((a, b), (c, d)) = halves(weight, weight.len() / 4);
    let mut z = *bias;
    for ((((a, b), c), d), x) in a.iter().zip(b).zip(c).zip(d).zip(x) {
        z[0] += a * x;
        z[1] += b * x;
        z[2] += c * x;
        z[3] += d * x;
    }
    z
}

/// Four rows of length `n`.
type Rows<'w> = ((&'w [f32], &'w [f32]), (&'w [f32], &'w [f32]));

fn halves(rows: &[f32], n: usize) -> Rows<'_> {
    let (front, back) = split(rows, 2 * n);
    (split(front, n), split(back, n))
}

/// Splits without a panic.
fn split(rows: &[f32], at: usize) -> (&[f32], &[f32]) {
    rows.split_at_checked(at).unwrap_or((rows, &[]))
}
