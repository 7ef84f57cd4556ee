//! Sum of two values of the same shape, each with a scale of its own.
//!
//! y = clamp(floor((bias + a m + b n) / 2^14), 0, 255). m and n are multipliers of up to 17 bits, round(2^14 s_a / s_out);
//! bias = round(2^14 (zero_out - zero_a s_a / s_out - zero_b s_b / s_out)) + 2^13. A ReLU is an output zero point of 0.
//! Cost: two multiplications and one saturating shift per element. Everything fits 32 bits: |a m| < 2^25, |bias| <= 2^30.

use super::requantize::biases;
use crate::error::{ModelError, TensorKind};
use crate::model::{Model, Tensor};

/// Fractional bits of the multipliers.
pub const SHIFT: u32 = 14;
/// Largest multiplier in version 1 of the format: 2 - 2^-14.
pub const FIRST_MULTIPLIER: i32 = (2 << SHIFT) - 1;
/// Largest multiplier: 8 - 2^-14.
pub const MAX_MULTIPLIER: i32 = (8 << SHIFT) - 1;

/// A residual sum.
#[derive(Debug, Clone, Copy)]
pub struct Add {
    bias: i32,
    multipliers: [i32; 2],
}

impl Add {
    /// Opens layer `index` of a file: tensors `bias` (1) and `multiplier` (2), `I32`.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a tensor is missing or has another type or shape, [`ModelError::Value`] for a multiplier outside
    /// 0 to `largest` or a bias beyond 2^30.
    pub fn open(model: &Model<'_>, index: u8, largest: i32) -> Result<Self, ModelError> {
        let bias = biases(model, index, 1)?;
        let multipliers = super::tensor(model, index, TensorKind::Multiplier, &[2], Tensor::i32)?;
        match (bias, multipliers) {
            ([bias], [m, n]) if [m, n].iter().all(|m| (0..=largest).contains(*m)) => {
                Ok(Add { bias: *bias, multipliers: [*m, *n] })
            }
            _ => Err(ModelError::Value { layer: index }),
        }
    }

    /// Computes the whole output.
    pub fn evaluate(&self, a: &[u8], b: &[u8], output: &mut [u8]) {
        let sum = |a: u8, b: u8| {
            let [m, n] = self.multipliers;
            let scaled = self.bias.wrapping_add(i32::from(a) * m).wrapping_add(i32::from(b) * n);
            (scaled >> SHIFT).clamp(0, 255) as u8
        };
        // Four at a time lets the compiler load words.
        let (wholes, rest) = output.as_chunks_mut::<4>();
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
        for ((y, a), b) in wholes.iter_mut().zip(a).zip(b) {
            *y = [sum(a[0], b[0]), sum(a[1], b[1]), sum(a[2], b[2]), sum(a[3], b[3])];
        }
        for ((y, a), b) in rest.iter_mut().zip(a_rest).zip(b_rest) {
            *y = sum(*a, *b);
        }
    }
}
