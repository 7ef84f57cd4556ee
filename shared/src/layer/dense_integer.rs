//! Dense layer with integer weights, between integer activations.
//!
//! weight (outputs, inputs) `I16` or `I8`, scale (outputs) `F32`, multiplier (outputs) `I32`, bias (outputs) `I32`;
//! w = scale * weight. A scale is a power of two from 2^-30 to 2^-9 with 16-bit weights; with 8-bit weights, whose scales
//! are trained, it has 22 significant bits, is a multiple of 2^-31 and below 1. The multiplier is the scale as an
//! integer, scale * 2^[`Weight::MULTIPLIER_BITS`], so that no device has to work it out for every row.
//!
//! Inputs are 32-bit with 24 fractional bits into the last layer and into those with at most [`NARROW`] inputs, where
//! they cost next to nothing; else 16-bit with 15 fractional bits. The sum of weight * x is exact, 64-bit. From there:
//!
//! | what | 8-bit weights | 16-bit weights |
//! | --- | --- | --- |
//! | t of 32-bit inputs | floor(sum / 2^8) | floor(sum / 2^16) |
//! | t of 16-bit inputs | 2 sum | floor(sum / 2^7) |
//! | real number | scale 2^-16 t | scale 2^-8 t |
//! | hidden preactivation, 2^-24 | floor(t multiplier / 2^23) held within 2^30, + bias | the same |
//! | output | f32(t) (scale 2^-16) + f32(bias) 2^-24 | f32(t) (scale 2^-8) + f32(bias) 2^-24 |
//!
//! t fits 32 bits: network inputs are held at 16, activations are at most 1. The activation comes from
//! [`Activation::value_i32`]. The tangent is f32, through the same quantised weights and activations: dy = phi'(a) scale
//! sum weight * dx.

use super::activation::{ACTIVATION_BITS, Activation, PRE_BITS, narrow};
use super::kernel::{Kernel, Portable};
use super::row_scale::{BIAS_LIMIT, multiplier, parts, requantise, unit_bits};
use super::{Activations, fine, push};
use crate::error::{ModelError, TensorKind};
use crate::math::{abs, power_of_two, to_fixed};
use crate::model::{Model, Tensor};

/// Layers with at most so many inputs take them in 32 bits.
pub const NARROW: usize = 16;
/// Largest magnitude of a network input, then saturation. Time is an input, and a coarse step in time is a coarse
/// step in the answer, so inputs have 24 fractional bits.
const INPUT_LIMIT: i32 = 16 << PRE_BITS;

/// Integer type of the weights.
pub trait Weight: Copy + Into<i32> + Into<f32> + core::fmt::Debug + 'static {
    /// Significant bits of a scale.
    const SCALE_BITS: u32;
    /// A row's multiplier is its scale times two to the power of this.
    const MULTIPLIER_BITS: u32;
    /// The largest scale, so that multipliers fit 32 bits.
    const LARGEST_SCALE: f32;

    /// A tensor's elements, if they are of this type.
    fn elements<'a>(tensor: &Tensor<'a>) -> Option<&'a [Self]>;

    /// Sums of rows on 16-bit inputs, by a processor's own instructions.
    fn rows<K: Kernel>() -> Rows<Self>;

    /// t of such a sum.
    fn narrow_t(sum: i32) -> i32;
}

/// Rows of weights, one after the other, times 16-bit activations, see [`Kernel`].
pub type Rows<W> = fn(&[W], &[i16], &mut [i32]);

/// So many sums of rows on 16-bit inputs are made at once.
const BLOCK: usize = 8;

impl Weight for i16 {
    const SCALE_BITS: u32 = 1;
    const MULTIPLIER_BITS: u32 = 39;
    const LARGEST_SCALE: f32 = 1.0 / 512.0;

    fn elements<'a>(tensor: &Tensor<'a>) -> Option<&'a [Self]> {
        tensor.i16()
    }

    fn rows<K: Kernel>() -> Rows<Self> {
        K::rows_i16
    }

    fn narrow_t(sum: i32) -> i32 {
        sum
    }
}

impl Weight for i8 {
    const SCALE_BITS: u32 = 22;
    const MULTIPLIER_BITS: u32 = 31;
    const LARGEST_SCALE: f32 = 1.0 - 1.0 / (1 << 22) as f32;

    fn elements<'a>(tensor: &Tensor<'a>) -> Option<&'a [Self]> {
        tensor.i8()
    }

    fn rows<K: Kernel>() -> Rows<Self> {
        K::rows_i8
    }

    fn narrow_t(sum: i32) -> i32 {
        sum << 1
    }
}

/// Where a layer stands in its network.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Counted from the input.
    pub index: u8,
    /// The index of the last layer.
    pub last: u8,
}

/// A layer's activations, in the format in which the next layer takes them; the other vector is empty.
///
/// References, because vectors side by side in a struct would be cleared when they are made.
#[derive(Debug)]
pub struct Values<'v> {
    /// In 32 bits.
    pub wide: &'v mut Activations<i32>,
    /// In 16 bits.
    pub narrow: &'v mut Activations<i16>,
}

impl Values<'_> {
    /// Makes room.
    pub fn clear(&mut self) {
        self.wide.clear();
        self.narrow.clear();
    }

    /// Network inputs, quantised.
    pub fn set_inputs(&mut self, inputs: &[f32]) {
        self.clear();
        inputs.iter().for_each(|input| push(self.wide, quantise_input(*input)));
    }
}

/// Activations of either format as real numbers.
pub fn reals(wide: &[i32], narrow: &[i16]) -> impl Iterator<Item = f32> {
    let real = |value: i32, bits: u32| value as f32 * power_of_two(-(bits as i32));
    let wide = wide.iter().map(move |a| real(*a, PRE_BITS));
    wide.chain(narrow.iter().map(move |a| real((*a).into(), ACTIVATION_BITS)))
}

/// A dense layer that borrows its weights from the model file.
#[derive(Debug, Clone, Copy)]
pub struct DenseInteger<'a, W> {
    inputs: usize,
    weight: &'a [W],
    scale: &'a [f32],
    multiplier: &'a [i32],
    bias: &'a [i32],
    wide_inputs: bool,
    wide_outputs: bool,
    sums: Rows<W>,
}

/// Quantises one network input: towards zero, saturating; NaN saturates too. In integers, for processors without a
/// floating-point unit: 12 instructions.
#[inline(always)]
pub fn quantise_input(x: f32) -> i32 {
    let magnitude = to_fixed(abs(x), PRE_BITS).map_or(INPUT_LIMIT, |m| (m as i32).min(INPUT_LIMIT));
    if x.to_bits() >> 31 == 0 { magnitude } else { -magnitude }
}

impl<'a, W: Weight> DenseInteger<'a, W> {
    /// The layer `index` of a file, of the given shape.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a tensor is missing or does not fit, [`ModelError::Value`] if a scale is none that the
    /// weights' type allows, a multiplier is not the scale's, or a bias is beyond 64.
    pub fn open(model: &Model<'a>, place: Place, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        let Place { index, last } = place;
        let weight = super::tensor(model, index, TensorKind::Weight, &[outputs, inputs], W::elements)?;
        let bias = super::tensor(model, index, TensorKind::Bias, &[outputs], Tensor::i32)?;
        let scale = super::tensor(model, index, TensorKind::Scale, &[outputs], Tensor::f32)?;
        let multipliers = super::tensor(model, index, TensorKind::Multiplier, &[outputs], Tensor::i32)?;
        let sound = |(scale, m): (&f32, &i32)| parts::<W>(*scale).is_some() && multiplier::<W>(*scale) == Some(*m);
        let within = |bias: &i32| (-BIAS_LIMIT..=BIAS_LIMIT).contains(bias);
        if !scale.iter().zip(multipliers).all(sound) || !bias.iter().all(within) {
            return Err(ModelError::Value { layer: index });
        }
        let wide = |index: u8, width: usize| index >= last || width <= NARROW;
        let (wide_inputs, wide_outputs) = (wide(index, inputs), wide(index.saturating_add(1), outputs));
        let sums = W::rows::<Portable>();
        Ok(DenseInteger { inputs, weight, scale, multiplier: multipliers, bias, wide_inputs, wide_outputs, sums })
    }

    /// From here on, sums are a processor's own instructions: the same bits in less time.
    pub fn accelerate<K: Kernel>(&mut self) {
        self.sums = W::rows::<K>();
    }

    /// Multiply-accumulates of one evaluation.
    pub fn macs(&self) -> u32 {
        self.weight.len() as u32
    }

    fn rows(&self) -> impl Iterator<Item = (&'a [W], &'a f32)> + use<'a, W> {
        // No width is zero; max(1) tells the compiler, so that no panic is left in the evaluator.
        self.weight.chunks_exact(self.inputs.max(1)).zip(self.scale)
    }

    /// The rows, for finer integers.
    pub fn fine_rows(&self) -> impl Iterator<Item = fine::Row<'a, W>> + use<'a, W> {
        self.rows().zip(self.bias).map(|((weight, scale), bias)| {
            let (multiplier, exponent) = parts::<W>(*scale).unwrap_or((0, 0));
            fine::Row { weight, multiplier, exponent: exponent.unsigned_abs(), bias: *bias }
        })
    }

    /// A hidden layer: y = phi(W x + b), all in integers; `y` is empty beforehand.
    ///
    /// The widths of the presets are compiled on their own, as in [`super::dense_f32`].
    #[inline(never)]
    pub fn hidden(&self, x: &Values<'_>, y: &mut Values<'_>, activation: Activation) {
        if !self.wide_inputs {
            return self.each_narrow_row(x.narrow, y, activation);
        }
        match self.inputs {
            3 => self.each_row_of::<3>(x.wide, y, activation),
            5 => self.each_row_of::<5>(x.wide, y, activation),
            8 => self.each_row_of::<8>(x.wide, y, activation),
            16 => self.each_row_of::<16>(x.wide, y, activation),
            n => {
                let constants = self.multiplier.iter().zip(self.bias);
                for (row, (m, bias)) in self.weight.chunks_exact(n.max(1)).zip(constants) {
                    self.push(y, activation.value_i32(requantise(wide_sum(row, x.wide), *m, *bias)));
                }
            }
        }
    }

    /// Rows on 16-bit inputs.
    fn each_narrow_row(&self, x: &[i16], y: &mut Values<'_>, activation: Activation) {
        let phi = |sum: i32, m: i32, b: i32| activation.value_i32(requantise(W::narrow_t(sum), m, b));
        let blocks = self.weight.chunks((BLOCK * self.inputs).max(BLOCK));
        for ((weights, multipliers), biases) in blocks.zip(self.multiplier.chunks(BLOCK)).zip(self.bias.chunks(BLOCK)) {
            // Any numbers, that will be overwritten: copies take two instructions, zeros a call.
            let mut sums = multipliers.first_chunk().copied().unwrap_or([0; BLOCK]);
            let sums = sums.split_at_mut(biases.len().min(BLOCK)).0;
            (self.sums)(weights, x, sums);
            let (sums, last_sums) = sums.as_chunks::<4>();
            let (multipliers, last_multipliers) = multipliers.as_chunks::<4>();
            let (biases, last_biases) = biases.as_chunks::<4>();
            for (([a, b, c, d], m), bias) in sums.iter().zip(multipliers).zip(biases) {
                let a =
                    [phi(*a, m[0], bias[0]), phi(*b, m[1], bias[1]), phi(*c, m[2], bias[2]), phi(*d, m[3], bias[3])];
                self.append(y, a);
            }
            for ((sum, m), bias) in last_sums.iter().zip(last_multipliers).zip(last_biases) {
                self.push(y, phi(*sum, *m, *bias));
            }
        }
    }

    #[inline(always)]
    fn push(&self, y: &mut Values<'_>, a: i32) {
        if self.wide_outputs {
            push(y.wide, a);
        } else {
            push(y.narrow, narrow(a));
        }
    }

    #[inline(always)]
    fn append(&self, y: &mut Values<'_>, a: [i32; 4]) {
        // There is room, as for `push`.
        let _ = match self.wide_outputs {
            true => y.wide.extend_from_slice(&a),
            false => y.narrow.extend_from_slice(&[narrow(a[0]), narrow(a[1]), narrow(a[2]), narrow(a[3])]),
        };
    }

    /// Rows of `N` weights on 32-bit inputs, four by four.
    #[inline(always)]
    fn each_row_of<const N: usize>(&self, x: &[i32], y: &mut Values<'_>, activation: Activation) {
        let Some(x) = x.first_chunk::<N>() else { return };
        let (rows, last_rows) = self.weight.as_chunks::<N>().0.as_chunks::<4>();
        let (multipliers, last_multipliers) = self.multiplier.as_chunks::<4>();
        let (biases, last_biases) = self.bias.as_chunks::<4>();
        let phi = |row: &[W; N], m: i32, b: i32| activation.value_i32(requantise(wide_sum(row, x), m, b));
        for (([a, b, c, d], m), bias) in rows.iter().zip(multipliers).zip(biases) {
            self.append(
                y,
                [phi(a, m[0], bias[0]), phi(b, m[1], bias[1]), phi(c, m[2], bias[2]), phi(d, m[3], bias[3])],
            );
        }
        for ((row, m), bias) in last_rows.iter().zip(last_multipliers).zip(last_biases) {
            self.push(y, phi(row, *m, *bias));
        }
    }

    /// The last layer: y = W x + b, to f32; as many rows as there is room for.
    pub fn output(&self, x: &Values<'_>, y: &mut [f32]) {
        match self.inputs {
            8 => self.output_of(self.weight.as_chunks::<8>().0, x.wide, y),
            16 => self.output_of(self.weight.as_chunks::<16>().0, x.wide, y),
            32 => self.output_of(self.weight.as_chunks::<32>().0, x.wide, y),
            n => {
                let sums = self.weight.chunks_exact(n.max(1)).map(|row| wide_sum(row, x.wide));
                self.scaled(sums, y);
            }
        }
    }

    fn output_of<const N: usize>(&self, rows: &[[W; N]], x: &[i32], y: &mut [f32]) {
        let Some(x) = x.first_chunk::<N>() else { return };
        self.scaled(rows.iter().map(|row| wide_sum(row, x)), y);
    }

    #[inline(always)]
    fn scaled(&self, sums: impl Iterator<Item = i32>, y: &mut [f32]) {
        for (((t, scale), bias), y) in sums.zip(self.scale).zip(self.bias).zip(y) {
            let unit = scale * power_of_two(-(unit_bits::<W>() as i32));
            *y = t as f32 * unit + *bias as f32 * power_of_two(-(PRE_BITS as i32));
        }
    }

    /// The tangent W dx of the preactivations, in f32; the caller multiplies by phi'.
    pub fn tangent(&self, dx: &[f32], mut sink: impl FnMut(f32)) {
        for (row, scale) in self.rows() {
            let mut sum = 0.0;
            for (w, dx) in row.iter().zip(dx) {
                let w: f32 = (*w).into();
                sum += w * dx;
            }
            sink(sum * scale);
        }
    }

    /// dx += W^T dz in f32, through the quantised weights, row after row. `dx` must be zero beforehand.
    pub fn transposed(&self, dz: &[f32], dx: &mut [f32]) {
        for ((row, scale), dz) in self.rows().zip(dz) {
            let scaled = dz * scale;
            for (dx, w) in dx.iter_mut().zip(row) {
                let w: f32 = (*w).into();
                *dx += w * scaled;
            }
        }
    }
}

/// t of 32-bit inputs.
#[inline(always)]
fn wide_sum<W: Weight>(row: &[W], x: &[i32]) -> i32 {
    let shift = PRE_BITS - unit_bits::<W>();
    let products = row.iter().zip(x).map(|(w, x)| {
        let w: i32 = (*w).into();
        i64::from(w) * i64::from(*x)
    });
    (products.fold(0, i64::wrapping_add) >> shift) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_round_and_saturate() {
        assert_eq!(quantise_input(1.0), 1 << PRE_BITS);
        assert_eq!(quantise_input(-300.0), -INPUT_LIMIT);
        assert_eq!(quantise_input(f32::INFINITY), INPUT_LIMIT);
        assert_eq!((quantise_input(15.999_999), quantise_input(-1e-9)), (INPUT_LIMIT - 16, 0));
        assert_eq!((quantise_input(0.3), quantise_input(-0.3)), (5_033_165, -5_033_165));
    }

    /// The largest sums there can be.
    #[test]
    fn sums_fit() {
        let limit = [INPUT_LIMIT; 9];
        assert_eq!(wide_sum(&[i8::MAX; 9], &limit), (9 * 127) << 20);
        assert_eq!(wide_sum(&[-i16::MAX; 9], &limit), (-9 * 32767) << 12);
        let mut sums = [0; 5];
        Portable::rows_i8(&[127; 5 * 64], &[i16::MIN; 64], &mut sums);
        assert_eq!(sums.map(i8::narrow_t), [-2 * 64 * 127 * 32768; 5]);
        Portable::rows_i16(&[i16::MAX; 5 * 64], &[i16::MAX; 64], &mut sums);
        assert_eq!(sums.map(i16::narrow_t), [32767 * 32767 / 2; 5]);
    }
}
