//! Depthwise convolution in integers: every channel has its own kernel.
//!
//! input (h, w, c), output (h', w', c), unsigned bytes; weight (kh, kw, c rounded up to whole words) `I8`.
//! sum\[c\] = bias\[c\] + sum over u, v of weight\[u, v, c\] x\[s i + u - p, s j + v - p, c\], exact; then
//! [`requantize`]. Outside the image x is the input's zero point, as in [`conv`](super::conv).

use super::conv::Zeros;
use super::requantize::{Channels, requantize};
use super::shape::{Compact, Geometry};
use crate::error::{ModelError, TensorKind};
use crate::model::{Model, Tensor};

/// The number of channels whose sums are kept at once.
const AT_ONCE: usize = 8;

/// A depthwise convolution that borrows its weights from the model file.
#[derive(Debug, Clone, Copy)]
pub struct Depthwise<'a> {
    geometry: Compact,
    weight: &'a [i8],
    channels: Channels<'a>,
    zeros: Zeros,
}

impl<'a> Depthwise<'a> {
    /// Opens layer `index` of a file; `zero` is the output's zero point, `zeros` are the input's.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a tensor is missing or has another type or shape, [`ModelError::Value`] if a number is out of
    /// range.
    pub fn open(model: &Model<'a>, index: u8, geometry: Geometry, zeros: Zeros, zero: u8) -> Result<Self, ModelError> {
        let [rows, columns] = geometry.window.kernel;
        let shape = [rows, columns, geometry.input.channels.next_multiple_of(4)];
        let weight = super::tensor(model, index, TensorKind::Weight, &shape, Tensor::i8)?;
        let channels = Channels::open(model, index, geometry.output.channels, zero)?;
        Ok(Depthwise { geometry: geometry.into(), weight, channels, zeros })
    }

    /// The number of multiply-accumulates of one evaluation, padding included.
    pub fn macs(&self) -> u32 {
        let Geometry { output, window, .. } = self.geometry.get();
        let [rows, columns] = window.kernel;
        (output.size() * rows * columns) as u32
    }

    /// Computes the whole output.
    pub fn evaluate(&self, input: &[u8], output: &mut [u8]) {
        let geometry = self.geometry.get();
        let channels = geometry.output.channels.max(1);
        for (pixel, corner) in output.chunks_exact_mut(channels).zip(geometry.corners()) {
            let mut parameters = self.channels.iter();
            for (first, bytes) in (0..).step_by(AT_ONCE).zip(pixel.chunks_mut(AT_ONCE)) {
                let mut sums = [0i32; AT_ONCE];
                let mut taps = self.weight.chunks_exact(channels.next_multiple_of(4).max(1));
                for row in (corner.row..).take(geometry.window.kernel[0]) {
                    for column in (corner.column..).take(geometry.window.kernel[1]) {
                        let weights = taps.next().and_then(|tap| tap.get(first..)).unwrap_or(&[]);
                        let x = geometry.pixel(row, column).and_then(|at| input.get(at + first..));
                        match x {
                            Some(x) => accumulate(&mut sums, weights, x),
                            None => accumulate(&mut sums, weights, &self.zeros.repeated()),
                        }
                    }
                }
                for ((byte, sum), (bias, multiplier)) in bytes.iter_mut().zip(sums).zip(&mut parameters) {
                    *byte = requantize(sum.wrapping_add(bias), multiplier, self.channels.zero());
                }
            }
        }
    }
}

/// sums\[c\] += w\[c\] x\[c\].
#[inline]
fn accumulate(sums: &mut [i32; AT_ONCE], weights: &[i8], x: &[u8]) {
    // As many channels as the compiler knows need no loop: a sixth fewer instructions.
    if let (Some(weights), Some(x)) = (weights.first_chunk::<AT_ONCE>(), x.first_chunk::<AT_ONCE>()) {
        for ((sum, w), x) in sums.iter_mut().zip(weights).zip(x) {
            *sum = sum.wrapping_add(i32::from(*w) * i32::from(*x));
        }
        return;
    }
    for ((sum, w), x) in sums.iter_mut().zip(weights).zip(x) {
        *sum = sum.wrapping_add(i32::from(*w) * i32::from(*x));
    }
}
