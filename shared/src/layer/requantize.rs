//! From 32-bit sums back to bytes.
//!
//! y = clamp(zero + floor((sum M + 2^31) / 2^32), 0, 255): one multiplication that keeps the high word, rounded half
//! up, and one saturation; on a Cortex-M4 these are `SMMLAR` and `USAT`. M is a multiplier of 31 bits without a shift: sums
//! are far longer than bytes, so M = round(2^32 s_in s_weight / s_out) keeps 20 bits or more. A ReLU costs nothing: its
//! zero point is 0, and the clamp removes negative values.

use crate::error::{ModelError, TensorKind};
use crate::model::{Model, Tensor};

/// Largest magnitude of a bias: with the longest row of weights, sums stay within 32 bits.
const MAX_BIAS: i32 = 1 << 30;

/// sum M / 2^32 + zero, rounded half up, as a byte.
#[inline]
pub fn requantize(sum: i32, multiplier: i32, zero: u8) -> u8 {
    let scaled = (i64::from(sum) * i64::from(multiplier) + (i64::from(zero) << 32) + (1 << 31)) >> 32;
    (scaled as i32).clamp(0, 255) as u8
}

/// Bias and multiplier of every output channel: a channel's sum begins with the first and is multiplied by the second at the
/// end.
#[derive(Debug, Clone, Copy)]
pub struct Channels<'a> {
    bias: &'a [i32],
    multiplier: &'a [i32],
    zero: u8,
}

impl<'a> Channels<'a> {
    /// Opens the tensors `bias` and `multiplier` (channels) `I32` of layer `index`.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a tensor is missing or has another type or shape, [`ModelError::Value`] for a bias beyond 2^30
    /// or a negative multiplier.
    pub fn open(model: &Model<'a>, index: u8, channels: usize, zero: u8) -> Result<Self, ModelError> {
        let bias = biases(model, index, channels)?;
        let multiplier = super::tensor(model, index, TensorKind::Multiplier, &[channels], Tensor::i32)?;
        if multiplier.iter().any(|m| *m < 0) {
            return Err(ModelError::Value { layer: index });
        }
        Ok(Channels { bias, multiplier, zero })
    }

    /// The channels' biases.
    pub fn bias(&self) -> &'a [i32] {
        self.bias
    }

    /// The channels' multipliers.
    pub fn multiplier(&self) -> &'a [i32] {
        self.multiplier
    }

    /// The number of channels.
    #[allow(clippy::len_without_is_empty, reason = "every layer has channels")]
    pub fn len(&self) -> usize {
        self.bias.len()
    }

    /// The channels from `first` on.
    pub fn skip(&self, first: usize) -> Self {
        let rest = |all: &'a [i32]| all.get(first..).unwrap_or(&[]);
        Channels { bias: rest(self.bias), multiplier: rest(self.multiplier), zero: self.zero }
    }

    /// Bias and multiplier of every channel.
    pub fn iter(&self) -> impl Iterator<Item = (i32, i32)> + use<'a> {
        self.bias.iter().copied().zip(self.multiplier.iter().copied())
    }

    /// Biases and multipliers of channels in pairs; zeros stand for the partner that the last channel may lack.
    pub fn pairs(&self) -> impl Iterator<Item = ([i32; 2], [i32; 2])> + use<'a> {
        let two = |pair: &[i32]| [pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0)];
        self.bias.chunks(2).map(two).zip(self.multiplier.chunks(2).map(two))
    }

    /// Zero point of the output.
    pub fn zero(&self) -> u8 {
        self.zero
    }
}

/// Finds the tensor `bias` (channels) `I32` of layer `index`.
///
/// # Errors
/// [`ModelError::Tensor`] if it is missing or has another type or shape, [`ModelError::Value`] for a bias beyond 2^30.
pub fn biases<'a>(model: &Model<'a>, index: u8, channels: usize) -> Result<&'a [i32], ModelError> {
    let bias = super::tensor(model, index, TensorKind::Bias, &[channels], Tensor::i32)?;
    if bias.iter().any(|b| !(-MAX_BIAS..=MAX_BIAS).contains(b)) {
        return Err(ModelError::Value { layer: index });
    }
    Ok(bias)
}

/// Finds the tensor `weight` of layer `index`, packed for the inner loops: (pairs of channels, words, 2, 2) `I8`.
///
/// # Errors
/// [`ModelError::Tensor`] if it is missing, has another type or shape, or is not aligned to four bytes.
pub fn packed_weights<'a>(
    model: &Model<'a>,
    index: u8,
    channels: usize,
    words: usize,
) -> Result<&'a [u32], ModelError> {
    super::tensor(model, index, TensorKind::Weight, &[channels.div_ceil(2), words, 2, 2], Tensor::i8_words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounds_half_up_and_clamps() {
        let half = 1 << 30; // a quarter of 2^32
        assert_eq!([-2, -1, 0, 1, 2].map(|sum| requantize(sum, half, 10)), [10, 10, 10, 10, 11]);
        assert_eq!([-6, -5, 5, 6].map(|sum| requantize(sum, half, 10)), [9, 9, 11, 12]);
        assert_eq!(requantize(i32::MAX, i32::MAX, 255), 255);
        assert_eq!(requantize(i32::MIN, i32::MAX, 0), 0);
    }

    proptest! {
        #[test]
        fn is_the_nearest_byte(sum in -(1i32 << 30)..1 << 30, multiplier in 0..=i32::MAX, zero: u8) {
            let exact = f64::from(sum) * f64::from(multiplier) / 4_294_967_296.0 + f64::from(zero);
            let got = f64::from(requantize(sum, multiplier, zero));
            prop_assert!((got - exact.clamp(0.0, 255.0)).abs() <= 0.5 + 1e-6);
        }
    }
}
