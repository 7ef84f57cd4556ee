//! Dense layer with integer weights, between integer activations.
//!
//! weight (outputs, inputs) `I16` or `I8`, scale (outputs) `F32`, bias (outputs) `I32`; w = scale * weight. A scale is
//! m * 2^-e with an integer m of at most [`Weight::SCALE_BITS`] bits: a power of two for 16-bit weights, so that
//! requantisation is one rounding shift; 22 significant bits for 8-bit weights, whose scales are trained.
//!
//! Inputs have `f` fractional bits: 24 where they are 32-bit, in the network's first and last layer, 15 where they are
//! 16-bit, in between. The first and last layer are narrow, so wide inputs cost next to nothing there, and the rounding
//! of the last activations would be the largest part of the error. acc = sum weight * x, exact in 64 bits, in units of m * 2^-(e+f). A hidden preactivation, in units of 2^-24, is
//! round(m * acc / 2^(e+f-24)) + bias, half up, each saturated to 32 bits; with 8-bit weights acc saturates at
//! +-2^40 before it meets m. An output is acc as f32 * (scale * 2^-f) + bias as f32 * 2^-24.
//! The tangent is f32, through the same quantised weights and activations: dy = phi'(a) scale sum weight * dx.

use super::Vector;
use super::activation::{ACTIVATION_BITS, Activation, PRE_BITS};
use super::fine;
use crate::error::{ModelError, TensorKind};
use crate::math::power_of_two;
use crate::model::{Model, Tensor};

/// Largest magnitude of a network input, then saturation. Time is an input, and a coarse step in time is a coarse
/// step in the answer, so inputs have 24 fractional bits.
const INPUT_LIMIT: i32 = 64 << PRE_BITS;
/// Scales lie between 2^-30 and 1, so that shifts stay within 64 bits and scale * 2^-f is a normal f32.
pub const MAX_EXPONENT: u32 = 30;
/// Largest magnitude of a sum that is multiplied by m: together below 2^63.
const SUM_LIMIT: i64 = 1 << 40;

/// Integer type of the weights.
pub trait Weight: Copy + Into<i64> + Into<f32> + core::fmt::Debug + 'static {
    /// Significant bits of a scale.
    const SCALE_BITS: u32;

    /// A tensor's elements, if they are of this type.
    fn elements<'a>(tensor: &Tensor<'a>) -> Option<&'a [Self]>;
}

impl Weight for i16 {
    const SCALE_BITS: u32 = 1;

    fn elements<'a>(tensor: &Tensor<'a>) -> Option<&'a [Self]> {
        tensor.i16()
    }
}

impl Weight for i8 {
    const SCALE_BITS: u32 = 22;

    fn elements<'a>(tensor: &Tensor<'a>) -> Option<&'a [Self]> {
        tensor.i8()
    }
}

/// Where a layer stands in its network.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Counted from the input.
    pub index: u8,
    /// Whether it is the first or the last layer, whose inputs are 32-bit.
    pub ends: bool,
}

/// A dense layer that borrows its weights from the model file.
#[derive(Debug, Clone, Copy)]
pub struct DenseInteger<'a, W> {
    inputs: usize,
    weight: &'a [W],
    scale: &'a [f32],
    bias: &'a [i32],
    input_bits: u32,
}

/// Quantises one network input: round half away from zero, saturating; NaN becomes 0.
pub fn quantise_input(x: f32) -> i32 {
    let scaled = x * (1u32 << PRE_BITS) as f32;
    let rounded = (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i32;
    rounded.clamp(-INPUT_LIMIT, INPUT_LIMIT)
}

/// (m, e) of a scale m * 2^-e in [2^-30, 1] whose m fits the weights' type.
fn parts<W: Weight>(scale: f32) -> Option<(i64, i32)> {
    let bits = scale.to_bits();
    let unused = 24 - W::SCALE_BITS;
    let exponent = 127u32.checked_sub(bits >> 23).filter(|e| *e <= MAX_EXPONENT)?;
    let mantissa = bits & 0x007f_ffff | 0x0080_0000;
    let fits = mantissa & ((1 << unused) - 1) == 0 && scale <= 1.0;
    fits.then_some((i64::from(mantissa >> unused), (exponent + W::SCALE_BITS - 1) as i32))
}

/// `scale` rounded to the nearest one that weights of type `W` may have: m of [`Weight::SCALE_BITS`] bits, at most 1.
pub fn nearest_scale<W: Weight>(scale: f32) -> f32 {
    let unused = 24 - W::SCALE_BITS;
    let half = 1u32 << (unused - 1);
    f32::from_bits((scale.to_bits() + half) >> unused << unused).clamp(power_of_two(-(MAX_EXPONENT as i32)), 1.0)
}

/// acc / 2^shift, rounded half up; a left shift if negative. Saturates to 32 bits.
fn requantise(acc: i64, shift: i32) -> i32 {
    let shifted = if shift > 0 {
        acc.saturating_add(1i64 << (shift - 1).clamp(0, 62)) >> shift.min(63)
    } else {
        acc.saturating_mul(1i64 << (-shift).clamp(0, 62))
    };
    shifted.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

/// A row of weights, its bias, and its scale.
type Row<'a, W> = (&'a [W], i32, f32);

impl<'a, W: Weight> DenseInteger<'a, W> {
    /// The layer `index` of a file, of the given shape.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a tensor is missing or does not fit, [`ModelError::Value`] if a scale is outside
    /// 2^-[`MAX_EXPONENT`] to 1 or has more significant bits than the weights' type allows.
    pub fn open(model: &Model<'a>, place: Place, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        let Place { index, ends } = place;
        let weight = super::tensor(model, index, TensorKind::Weight, &[outputs, inputs], W::elements)?;
        let bias = super::tensor(model, index, TensorKind::Bias, &[outputs], Tensor::i32)?;
        let scale = super::tensor(model, index, TensorKind::Scale, &[outputs], Tensor::f32)?;
        if !scale.iter().all(|s| parts::<W>(*s).is_some()) {
            return Err(ModelError::Value { layer: index });
        }
        let input_bits = if ends { PRE_BITS } else { ACTIVATION_BITS };
        Ok(DenseInteger { inputs, weight, scale, bias, input_bits })
    }

    /// Multiply-accumulates of one evaluation.
    pub fn macs(&self) -> u32 {
        self.weight.len() as u32
    }

    fn rows(&self) -> impl Iterator<Item = Row<'a, W>> + use<'a, W> {
        // No width is zero; max(1) tells the compiler, so that no panic is left in the evaluator.
        let rows = self.weight.chunks_exact(self.inputs.max(1)).zip(self.bias);
        rows.zip(self.scale).map(|((row, bias), scale)| (row, *bias, *scale))
    }

    /// The rows, for finer integers.
    pub fn fine_rows(&self) -> impl Iterator<Item = fine::Row<'a, W>> + use<'a, W> {
        self.rows().map(|(weight, bias, scale)| {
            let (multiplier, exponent) = parts::<W>(scale).unwrap_or((0, 0));
            fine::Row { weight, multiplier, exponent: exponent.unsigned_abs(), bias }
        })
    }

    /// A hidden layer: y = phi(W x + b), all in integers; x is 32-bit for the first layer, else 16-bit.
    pub fn hidden<T: Copy + Into<i64>>(&self, x: &Vector<T>, y: &mut Vector<i32>, activation: Activation) {
        for ((row, bias, scale), y) in self.rows().zip(y) {
            let (m, e) = parts::<W>(scale).unwrap_or((0, 0));
            let shift = e + self.input_bits as i32 - PRE_BITS as i32;
            let sum = accumulate(row, x);
            let sum = if W::SCALE_BITS > 1 { sum.clamp(-SUM_LIMIT, SUM_LIMIT).wrapping_mul(m) } else { sum };
            *y = activation.value_i32(requantise(sum, shift).saturating_add(bias));
        }
    }

    /// The last layer: y = W x + b, to f32.
    pub fn output<T: Copy + Into<i64>>(&self, x: &Vector<T>, y: &mut Vector<f32>) {
        for ((row, bias, scale), y) in self.rows().zip(y) {
            let unit = scale * power_of_two(-(self.input_bits as i32));
            *y = accumulate(row, x) as f32 * unit + bias as f32 * power_of_two(-(PRE_BITS as i32));
        }
    }

    /// The tangent W dx of the preactivations, in f32; the caller multiplies by phi'.
    pub fn tangent(&self, dx: &Vector<f32>, dz: &mut Vector<f32>) {
        for ((row, _, scale), dz) in self.rows().zip(dz) {
            let mut sum = 0.0;
            for (w, dx) in row.iter().zip(dx) {
                let w: f32 = (*w).into();
                sum += w * dx;
            }
            *dz = sum * scale;
        }
    }

    /// dx += W^T dz in f32, through the quantised weights, row after row. `dx` must be zero beforehand.
    pub fn transposed(&self, dz: &Vector<f32>, dx: &mut Vector<f32>) {
        for ((row, _, scale), dz) in self.rows().zip(dz) {
            let scaled = dz * scale;
            for (dx, w) in dx.iter_mut().zip(row) {
                let w: f32 = (*w).into();
                *dx += w * scaled;
            }
        }
    }
}

/// Sum of weight * x, exact.
fn accumulate<W: Weight, T: Copy + Into<i64>>(row: &[W], x: &Vector<T>) -> i64 {
    let products = row.iter().zip(x).map(|(w, x)| {
        let (w, x): (i64, i64) = ((*w).into(), (*x).into());
        w.wrapping_mul(x)
    });
    products.fold(0, i64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requantisation_rounds_half_up_and_saturates() {
        assert_eq!(requantise(5, 1), 3);
        assert_eq!(requantise(-5, 1), -2);
        assert_eq!(requantise(7, 2), 2);
        assert_eq!(requantise(3, -2), 12);
        assert_eq!(requantise(i64::MAX / 2, 1), i32::MAX);
        assert_eq!(requantise(i64::MIN / 2, -40), i32::MIN);
    }

    #[test]
    fn scales_have_the_bits_of_their_type() {
        assert_eq!(parts::<i16>(1.0), Some((1, 0)));
        assert_eq!(parts::<i16>(0.125), Some((1, 3)));
        assert_eq!(parts::<i8>(0.75), Some((3 << 20, 22)));
        for bad in [2.0, 1.5, 0.0, -0.5, f32::NAN, f32::INFINITY, 1e-20, 0.3] {
            assert_eq!(parts::<i16>(bad), None, "{bad}");
            assert_eq!(parts::<i8>(bad), None, "{bad}");
        }
        assert_eq!(parts::<i16>(0.75), None);
    }

    #[test]
    fn the_nearest_scale_is_one_and_near() {
        let mut scale = 1e-8f32;
        while scale < 2.0 {
            scale *= 1.0017;
            let (fine, coarse) = (nearest_scale::<i8>(scale), nearest_scale::<i16>(scale));
            let (m, e) = parts::<i8>(fine).unwrap();
            assert_eq!(m as f32 * power_of_two(-e), fine);
            assert!(parts::<i16>(coarse).is_some());
            assert!(scale > 1.0 || (fine - scale).abs() <= scale * power_of_two(-22));
        }
        assert_eq!((nearest_scale::<i8>(7.0), nearest_scale::<i8>(0.0)), (1.0, power_of_two(-30)));
    }

    #[test]
    fn inputs_round_and_saturate() {
        assert_eq!(quantise_input(1.0), 1 << PRE_BITS);
        assert_eq!(quantise_input(-300.0), -INPUT_LIMIT);
        assert_eq!(quantise_input(f32::INFINITY), INPUT_LIMIT);
        assert_eq!(quantise_input(f32::NAN), 0);
    }
}
