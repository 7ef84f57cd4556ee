//! Pooling in integers, without padding: input (h, w, c), output (h', w', c), unsigned bytes.
//!
//! Maximum: the largest byte of each window; scale and zero point stay the same.
//! Average: sum\[c\] = bias\[c\] + sum over the window of x, then [`requantize`]; bias and multiplier are the same for
//! all channels, so the tensors have one element. The output has its own scale, because the range of averages is narrower.

use super::kernel::ImageLoops;
use super::requantize::{Channels, requantize};
use super::shape::{Compact, Corner, Geometry};
use crate::error::ModelError;
use crate::model::Model;

/// The pixels of the input that a window covers, each as the slice of its channels.
fn pixels(geometry: Geometry, input: &[u8], corner: Corner) -> impl Iterator<Item = &[u8]> {
    let [rows, columns] = geometry.window.kernel;
    (corner.row..).take(rows).flat_map(move |row| {
        let begin = geometry.pixel(row, corner.column).unwrap_or(input.len());
        let bytes = columns * geometry.input.channels;
        input.get(begin..begin + bytes).unwrap_or(&[]).chunks_exact(geometry.input.channels.max(1))
    })
}

/// Maximum pooling.
#[derive(Debug, Clone, Copy)]
pub struct MaxPool {
    geometry: Compact,
}

impl MaxPool {
    /// The maxima of windows of this geometry.
    pub fn new(geometry: Geometry) -> Self {
        MaxPool { geometry: geometry.into() }
    }

    /// Computes the whole output.
    pub fn evaluate<K: ImageLoops>(&self, input: &[u8], output: &mut [u8]) {
        let geometry = self.geometry.get();
        let channels = geometry.output.channels.max(1);
        for (largest, corner) in output.chunks_exact_mut(channels).zip(geometry.corners()) {
            largest.fill(0);
            for pixel in pixels(geometry, input, corner) {
                K::max(largest, pixel);
            }
        }
    }
}

/// Average pooling.
#[derive(Debug, Clone, Copy)]
pub struct AveragePool<'a> {
    geometry: Compact,
    channels: Channels<'a>,
}

impl<'a> AveragePool<'a> {
    /// Opens layer `index` of a file; `zero` is the output's zero point.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a tensor is missing or has another type or shape, [`ModelError::Value`] if a number is out of
    /// range.
    pub fn open(model: &Model<'a>, index: u8, geometry: Geometry, zero: u8) -> Result<Self, ModelError> {
        Ok(AveragePool { geometry: geometry.into(), channels: Channels::open(model, index, 1, zero)? })
    }

    /// Computes the whole output. Scratch memory: a sum per channel.
    pub fn evaluate(&self, input: &[u8], output: &mut [u8], scratch: &mut [u32]) {
        let geometry = self.geometry.get();
        let channels = geometry.output.channels.max(1);
        let Some(sums) = scratch.get_mut(..channels) else { return };
        let Some((bias, multiplier)) = self.channels.iter().next() else { return };
        for (bytes, corner) in output.chunks_exact_mut(channels).zip(geometry.corners()) {
            // In two's complement the unsigned sum has the bits of the signed one.
            sums.fill(bias as u32);
            for pixel in pixels(geometry, input, corner) {
                for (sum, x) in sums.iter_mut().zip(pixel) {
                    *sum = sum.wrapping_add(u32::from(*x));
                }
            }
            for (byte, sum) in bytes.iter_mut().zip(sums.iter()) {
                *byte = requantize(*sum as i32, multiplier, self.channels.zero());
            }
        }
    }
}
