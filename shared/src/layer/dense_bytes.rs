//! Dense layers in integers: a hidden one to bytes, and the last one to f32 logits.
//!
//! input (n) unsigned bytes, in the order (h, w, c); weight (o, n) signed bytes, packed.
//! sum\[o\] = bias\[o\] + sum over i of weight\[o, i\] x\[i\], exact in 32 bits. Hidden: then [`requantize`]. Logits:
//! sum\[o\] as f32 times scale\[o\] (tensor `scale`, `F32`), so that logits keep all their digits.
//! Scratch memory: the unpacked input, 2 bytes per number.

use super::kernel::ImageLoops;
use super::pack::unpack;
use super::requantize::{Channels, biases, packed_weights, requantize};
use crate::error::{ModelError, TensorKind};
use crate::model::{Model, Tensor};

/// Largest scale of a logit: sums stay finite in f32.
const MAX_SCALE: f32 = 1e6;

/// The number of words of packed weights per pair of outputs, and of scratch memory.
pub fn words(inputs: usize) -> usize {
    inputs.next_multiple_of(4) / 2
}

/// Unpacks the input; bytes missing to a whole word count as zero.
fn unpack_column(input: &[u8], column: &mut [u32]) {
    let (whole, rest) = input.as_chunks::<4>();
    let mut last = [0; 4];
    for (byte, x) in last.iter_mut().zip(rest) {
        *byte = *x;
    }
    for (words, bytes) in column.as_chunks_mut::<2>().0.iter_mut().zip(whole.iter().chain([&last])) {
        *words = unpack(*bytes);
    }
}

/// A hidden dense layer that borrows its weights from the model file.
#[derive(Debug, Clone, Copy)]
pub struct Dense<'a> {
    inputs: usize,
    weight: &'a [u32],
    channels: Channels<'a>,
}

impl<'a> Dense<'a> {
    /// Opens layer `index` of a file; `zero` is the output's zero point.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a tensor is missing or has another type or shape, [`ModelError::Value`] if a number is out of
    /// range.
    pub fn open(model: &Model<'a>, index: u8, inputs: usize, outputs: usize, zero: u8) -> Result<Self, ModelError> {
        let weight = packed_weights(model, index, outputs, words(inputs))?;
        Ok(Dense { inputs, weight, channels: Channels::open(model, index, outputs, zero)? })
    }

    /// The number of multiply-accumulates of one evaluation.
    pub fn macs(&self) -> u32 {
        (self.inputs * self.channels.iter().count()) as u32
    }

    /// Computes the whole output.
    pub fn evaluate<K: ImageLoops>(&self, input: &[u8], output: &mut [u8], scratch: &mut [u32]) {
        let words = words(self.inputs);
        let Some(column) = scratch.get_mut(..words) else { return };
        unpack_column(input, column);
        let pairs = self.weight.chunks_exact(words.max(1)).zip(self.channels.pairs());
        for (bytes, (weights, (mut sums, multiplier))) in output.chunks_mut(2).zip(pairs) {
            K::pair(weights, column, &mut sums);
            for ((byte, sum), multiplier) in bytes.iter_mut().zip(sums).zip(multiplier) {
                *byte = requantize(sum, multiplier, self.channels.zero());
            }
        }
    }
}

/// The last layer, whose outputs are logits.
#[derive(Debug, Clone, Copy)]
pub struct Logits<'a> {
    inputs: usize,
    weight: &'a [u32],
    bias: &'a [i32],
    scale: &'a [f32],
}

impl<'a> Logits<'a> {
    /// Opens layer `index` of a file.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a tensor is missing or has another type or shape, [`ModelError::Value`] if a scale is not
    /// positive or larger than 10^6, or a bias is beyond 2^30.
    pub fn open(model: &Model<'a>, index: u8, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        let weight = packed_weights(model, index, outputs, words(inputs))?;
        let bias = biases(model, index, outputs)?;
        let scale = super::tensor(model, index, TensorKind::Scale, &[outputs], Tensor::f32)?;
        if !scale.iter().all(|s| *s > 0.0 && *s <= MAX_SCALE) {
            return Err(ModelError::Value { layer: index });
        }
        Ok(Logits { inputs, weight, bias, scale })
    }

    /// The number of multiply-accumulates of one evaluation.
    pub fn macs(&self) -> u32 {
        (self.inputs * self.bias.len()) as u32
    }

    /// Computes one logit per class.
    pub fn evaluate<K: ImageLoops>(&self, input: &[u8], logits: &mut [f32], scratch: &mut [u32]) {
        let words = words(self.inputs);
        let Some(column) = scratch.get_mut(..words) else { return };
        unpack_column(input, column);
        let rows = self.weight.chunks_exact(words.max(1)).zip(self.bias.chunks(2)).zip(self.scale.chunks(2));
        for (logits, ((weights, bias), scale)) in logits.chunks_mut(2).zip(rows) {
            let mut sums = [bias.first().copied().unwrap_or(0), bias.get(1).copied().unwrap_or(0)];
            K::pair(weights, column, &mut sums);
            for ((logit, sum), scale) in logits.iter_mut().zip(sums).zip(scale) {
                *logit = sum as f32 * scale;
            }
        }
    }
}
