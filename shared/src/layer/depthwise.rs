//! Depthwise convolution in integers: every channel has a kernel of its own.
//!
//! input (h, w, c), output (h', w', c), unsigned bytes; weight (kh, kw, c rounded up to whole words) `I8`.
//! sum\[c\] = bias\[c\] + sum over u, v of weight\[u, v, c\] x\[s i + u - p, s j + v - p, c\], exact; then
//! [`requantize`]. Outside the image x is the input's zero point, as in [`conv`](super::conv).

use super::conv::Zeros;
use super::requantize::{Channels, requantize};
use super::shape::Geometry;
use crate::error::{ModelError, TensorKind};
use crate::model::{Model, Tensor};

/// Channels whose sums are kept at once.
const AT_ONCE: usize = 8;

/// A depthwise convolution that borrows its weights from the model file.
#[derive(Debug, Clone, Copy)]
pub struct Depthwise<'a> {
    geometry: Geometry,
    weight: &'a [i8],
    channels: Channels<'a>,
    zeros: Zeros,
}

impl<'a> Depthwise<'a> {
    /// The layer `index` of a file; `zero` is the output's zero point, `zeros` the input's.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] or [`ModelError::Value`].
    pub fn open(model: &Model<'a>, index: u8, geometry: Geometry, zeros: Zeros, zero: u8) -> Result<Self, ModelError> {
        let [rows, columns] = geometry.window.kernel;
        let shape = [rows, columns, geometry.input.channels.next_multiple_of(4)];
        let weight = super::tensor(model, index, TensorKind::Weight, &shape, Tensor::i8)?;
        let channels = Channels::open(model, index, geometry.output.channels, zero)?;
        Ok(Depthwise { geometry, weight, channels, zeros })
    }

    /// Multiply-accumulates of one evaluation, padding included.
    pub fn macs(&self) -> u32 {
        let [rows, columns] = self.geometry.window.kernel;
        (self.geometry.output.size() * rows * columns) as u32
    }

    /// The whole output.
    pub fn evaluate(&self, input: &[u8], output: &mut [u8]) {
        let channels = self.geometry.output.channels.max(1);
        for (pixel, corner) in output.chunks_exact_mut(channels).zip(self.geometry.corners()) {
            let mut parameters = self.channels.iter();
            for (first, bytes) in (0..).step_by(AT_ONCE).zip(pixel.chunks_mut(AT_ONCE)) {
                let mut sums = [0i32; AT_ONCE];
                let mut taps = self.weight.chunks_exact(channels.next_multiple_of(4).max(1));
                for row in (corner.row..).take(self.geometry.window.kernel[0]) {
                    for column in (corner.column..).take(self.geometry.window.kernel[1]) {
                        let weights = taps.next().and_then(|tap| tap.get(first..)).unwrap_or(&[]);
                        let x = self.geometry.pixel(row, column).and_then(|at| input.get(at + first..));
                        match x {
                            Some(x) => accumulate(&mut sums, weights, x),
                            None => accumulate(&mut sums, weights, &self.zeros.0.repeated()),
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
fn accumulate(sums: &mut [i32; AT_ONCE], weights: &[i8], x: &[u8]) {
    for ((sum, w), x) in sums.iter_mut().zip(weights).zip(x) {
        *sum = sum.wrapping_add(i32::from(*w) * i32::from(*x));
    }
}

/// Four zero points again and again: channels beyond an image's four share one.
trait Repeated {
    fn repeated(&self) -> [u8; AT_ONCE];
}

impl Repeated for [u8; 4] {
    fn repeated(&self) -> [u8; AT_ONCE] {
        let [a, b, c, d] = *self;
        [a, b, c, d, a, b, c, d]
    }
}
