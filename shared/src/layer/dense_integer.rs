//! Dense layer with integer weights, between integer activations.
//!
//! weight (outputs, inputs) `I16` or `I8`, scale (outputs) `F32`, multiplier (outputs) `I32`, bias (outputs) `I32`, in
//! units of 2^-24; w = scale * weight. A scale is a power of two from 2^-30 to 2^-10 with 16-bit weights; with 8-bit weights,
//! whose scales are trained, it has 22 significant bits, is a multiple of 2^-32 and at most 31/64. The multiplier is the scale as an
//! integer, scale * 2^[`Weight::MULTIPLIER_BITS`], so that a device need not compute it for every row. The last layer does not
//! use it: its scales go up to 2^-8 with 16-bit weights, and a scale too large for a multiplier has the multiplier 0.
//!
//! Inputs have 32 bits, 24 of them fractional, in the last layer and in those with at most [`NARROW`] inputs, where they cost
//! little; elsewhere they have 16 bits, 15 of them fractional. The sum of weight * x is exact, in 64 bits. From there:
//!
//! | quantity | 8-bit weights | 16-bit weights |
//! | --- | --- | --- |
//! | t of 32-bit inputs | floor(sum / 2^6) | floor(sum / 2^14) |
//! | t of 16-bit inputs | 8 sum | floor(sum / 2^5) |
//! | real number | scale 2^-18 t | scale 2^-10 t |
//! | hidden preactivation, 2^-18 | t multiplier / 2^32, half up, + floor(bias / 2^6) | the same |
//! | output | f32(t) (scale 2^-18) + f32(bias) 2^-24 | f32(t) (scale 2^-10) + f32(bias) 2^-24 |
//!
//! t fits 32 bits, because network inputs are clamped to 4 and activations are at most 1. The activation comes from
//! [`Activation::value_i32`]. The tangent is computed in f32, through the same quantized weights and activations:
//! dy = phi'(a) scale sum weight * dx.

use super::activation::{Activation, NARROW_BITS, WIDE_BITS};
use super::pack::Order;
use super::row_scale::{BIAS_BITS, BIAS_LIMIT, multiplier, parts, unit_bits};
use super::rows::{Constants, RowLoops, RowWeight, Rows, SHORT_ROW, WideRows};
use super::weight::Weight;
use super::{Activations, push};
use crate::error::{ModelError, TensorKind};
use crate::limits::MAX_STATE;
use crate::math::{abs, power_of_two, to_fixed};
use crate::model::{Model, Tensor};
use crate::ode::State;

/// Layers with at most this many inputs take them in 32 bits.
pub const NARROW: usize = 16;
/// Largest magnitude of a network input, at which it saturates. Inputs have 24 fractional bits because time is one of them: a
/// coarse step in time is a coarse step in the answer.
const INPUT_LIMIT: i32 = 4 << WIDE_BITS;

/// The loops of a processor for this layer. They are chosen when the layer is opened, so that a bundle is one type on every
/// processor.
#[derive(Debug, Clone, Copy)]
struct Loops<W> {
    wide_sums: WideRows<W>,
    sums: Rows<W>,
    tanh: fn(&mut [i32], Constants<'_>),
    narrow_tanh: fn(&mut [i32], Constants<'_>),
}

impl<W: RowWeight> Loops<W> {
    fn of<K: RowLoops>(short: bool) -> Self {
        let narrow_tanh = match W::ORDER {
            Order::Plain => K::narrow_tanh,
            Order::Unpacked => K::unpacked_tanh,
        };
        Loops { wide_sums: W::wide_rows::<K>(), sums: W::rows::<K>(short), tanh: K::tanh, narrow_tanh }
    }
}

/// The position of a layer in its network.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Counted from the input.
    pub index: u8,
    /// The index of the last layer.
    pub last: u8,
}

/// A layer's activations in the format that the next layer takes: one number of 32 bits to a word, or two of 16 bits.
///
/// It holds a reference, because a vector inside would be cleared whenever one is made.
#[derive(Debug)]
pub struct Values<'v> {
    words: &'v mut Activations<i32>,
    /// The number of 16-bit activations; 0 if they have 32 bits.
    narrow: usize,
}

impl<'v> Values<'v> {
    /// No activations yet, in this memory.
    pub fn new(words: &'v mut Activations<i32>) -> Self {
        words.clear();
        Values { words, narrow: 0 }
    }

    /// Removes all activations.
    pub fn clear(&mut self) {
        self.words.clear();
    }

    /// Sets them to the inputs of a network, quantized.
    pub fn set_inputs(&mut self, inputs: &[f32]) {
        self.clear();
        self.narrow = 0;
        inputs.iter().for_each(|input| push(self.words, quantize_input(*input)));
    }

    /// The activations as real numbers, in the order of a layer with weights of type `W`.
    pub fn reals<W: Weight>(&self) -> impl Iterator<Item = f32> {
        let real = |value: i32, bits: u32| value as f32 * power_of_two(-(bits as i32));
        let halves: &[i16] = bytemuck::cast_slice(self.words);
        let (wide, n): (&[i32], usize) = if self.narrow == 0 { (self.words, 0) } else { (&[], self.narrow) };
        let narrow = (0..n).filter_map(move |k| halves.get(W::ORDER.place(k, n)));
        wide.iter().map(move |a| real(*a, WIDE_BITS)).chain(narrow.map(move |a| real((*a).into(), NARROW_BITS)))
    }
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
    loops: Loops<W>,
}

/// Quantizes one network input, rounded towards zero and saturating; NaN saturates too. 12 instructions, all on integers, for
/// processors without a floating-point unit.
#[inline(always)]
pub fn quantize_input(x: f32) -> i32 {
    let magnitude = to_fixed(abs(x), WIDE_BITS).map_or(INPUT_LIMIT, |m| (m as i32).min(INPUT_LIMIT));
    if x.to_bits() >> 31 == 0 { magnitude } else { -magnitude }
}

impl<'a, W: RowWeight> DenseInteger<'a, W> {
    /// Opens layer `index` of a file, of the given shape, for a processor with the loops of `K`.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a tensor is missing or has another type or shape, [`ModelError::Value`] if the type of the
    /// weights does not allow a scale, a multiplier is not the scale's, or a bias is beyond 64.
    pub fn open<K: RowLoops>(
        model: &Model<'a>,
        place: Place,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, ModelError> {
        let Place { index, last } = place;
        let weight = super::tensor(model, index, TensorKind::Weight, &[outputs, inputs], W::elements)?;
        let bias = super::tensor(model, index, TensorKind::Bias, &[outputs], Tensor::i32)?;
        let scale = super::tensor(model, index, TensorKind::Scale, &[outputs], Tensor::f32)?;
        let multipliers = super::tensor(model, index, TensorKind::Multiplier, &[outputs], Tensor::i32)?;
        let own = |scale: f32| multiplier::<W>(scale).or((index >= last).then_some(0));
        let sound = |(scale, m): (&f32, &i32)| parts::<W>(*scale).is_some() && own(*scale) == Some(*m);
        let within = |bias: &i32| (-BIAS_LIMIT..=BIAS_LIMIT).contains(bias);
        if !scale.iter().zip(multipliers).all(sound) || !bias.iter().all(within) {
            return Err(ModelError::Value { layer: index });
        }
        let wide = |index: u8, width: usize| index >= last || width <= NARROW;
        let (wide_inputs, wide_outputs) = (wide(index, inputs), wide(index.saturating_add(1), outputs));
        let magnitude =
            |row: &[W]| row.iter().fold(0u32, |sum, w| sum.saturating_add(Into::<i32>::into(*w).unsigned_abs()));
        let short = weight.chunks(inputs.max(1)).all(|row| magnitude(row) < SHORT_ROW);
        let (multiplier, loops) = (multipliers, Loops::of::<K>(short));
        Ok(DenseInteger { inputs, weight, scale, multiplier, bias, wide_inputs, wide_outputs, loops })
    }
}

impl<'a, W: Weight> DenseInteger<'a, W> {
    /// The number of multiply-accumulates of one evaluation.
    pub fn macs(&self) -> u32 {
        self.weight.len() as u32
    }

    fn rows(&self) -> impl Iterator<Item = (&'a [W], &'a f32)> + use<'a, W> {
        // No width is zero. max(1) tells the compiler so, which keeps a panic out of the evaluator.
        self.weight.chunks_exact(self.inputs.max(1)).zip(self.scale)
    }

    /// Computes a hidden layer, y = phi(W x + b), all in integers; `y` must be empty.
    pub fn hidden(&self, x: &Values<'_>, y: &mut Values<'_>, activation: Activation) {
        make_room(y.words, self.multiplier);
        if self.wide_inputs {
            (self.loops.wide_sums)(self.weight, self.first(x.words), y.words);
        } else {
            (self.loops.sums)(self.weight, self.first(bytemuck::cast_slice(x.words)), y.words);
        }
        let constants = Constants { multiplier: self.multiplier, bias: self.bias };
        let Activation::Tanh = activation;
        if self.wide_outputs {
            y.narrow = 0;
            return (self.loops.tanh)(y.words, constants);
        }
        (self.loops.narrow_tanh)(y.words, constants);
        y.narrow = y.words.len();
        y.words.truncate(y.narrow.div_ceil(2));
    }

    /// As many inputs as a row has weights: the loops take the number of inputs as the length of a row.
    #[inline(always)]
    fn first<'x, T>(&self, x: &'x [T]) -> &'x [T] {
        x.get(..self.inputs).unwrap_or(x)
    }

    /// Computes the last layer, y = W x + b, in f32; as many rows as `y` holds.
    pub fn output(&self, x: &Values<'_>, y: &mut State<f32>) {
        let mut sums = [0; MAX_STATE];
        let sums = sums.split_at_mut(self.bias.len().min(MAX_STATE)).0;
        (self.loops.wide_sums)(self.weight, self.first(x.words), sums);
        for (((t, scale), bias), y) in sums.iter().zip(self.scale).zip(self.bias).zip(y) {
            let unit = scale * power_of_two(-(unit_bits::<W>() as i32));
            *y = *t as f32 * unit + *bias as f32 * power_of_two(-(BIAS_BITS as i32));
        }
    }

    /// Passes the tangent W dx of the preactivations to `sink`, in f32; the caller multiplies it by phi'.
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

    /// dx += W^T dz in f32, through the quantized weights, row after row.
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

/// Makes `y` as long as `like`, with numbers that will be overwritten. Sixteen are copied at a time, because one call for all of
/// them takes three times as long.
#[inline(always)]
fn make_room<T: Copy>(y: &mut Activations<T>, like: &[T]) {
    let (sixteens, rest) = like.as_chunks::<16>();
    // There is room: a layer has no more rows than a vector holds.
    sixteens.iter().for_each(|sixteen| _ = y.extend_from_slice(sixteen));
    let (eights, rest) = rest.as_chunks::<8>();
    eights.iter().for_each(|eight| _ = y.extend_from_slice(eight));
    rest.iter().for_each(|one| push(y, *one));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::kernel::Portable;

    #[test]
    fn inputs_round_and_saturate() {
        assert_eq!(quantize_input(1.0), 1 << WIDE_BITS);
        assert_eq!(quantize_input(-300.0), -INPUT_LIMIT);
        assert_eq!(quantize_input(f32::INFINITY), INPUT_LIMIT);
        assert_eq!((quantize_input(3.999_999_8), quantize_input(-1e-9)), (INPUT_LIMIT - 4, 0));
        assert_eq!((quantize_input(0.3), quantize_input(-0.3)), (5_033_165, -5_033_165));
    }

    /// Activations are read back correctly in every format, order and number.
    #[test]
    fn activations_are_read_in_their_order() {
        let sums: [i32; 40] = core::array::from_fn(|k| (k as i32 - 20) << 22);
        let (multiplier, bias) = ([1 << 27; 40], [3; 40]);
        fn read<W: Weight>(
            tanh: fn(&mut [i32], Constants<'_>),
            sums: &[i32],
            constants: Constants<'_>,
        ) -> std::vec::Vec<f32> {
            let mut words = Activations::from_slice(sums).unwrap();
            tanh(&mut words, constants);
            words.truncate(sums.len().div_ceil(2));
            Values { words: &mut words, narrow: sums.len() }.reals::<W>().collect()
        }
        for n in 1..=40 {
            let constants = Constants { multiplier: &multiplier[..n], bias: &bias[..n] };
            let mut wide = Activations::from_slice(&sums[..n]).unwrap();
            Portable::tanh(&mut wide, constants);
            let wide: std::vec::Vec<f32> = Values { words: &mut wide, narrow: 0 }.reals::<i8>().collect();
            let plain = read::<i16>(Portable::narrow_tanh, &sums[..n], constants);
            assert_eq!(read::<i8>(Portable::unpacked_tanh, &sums[..n], constants), plain, "{n}");
            let near = |(a, b): (&f32, &f32)| (a - b).abs() < 3.1e-5;
            assert!(
                plain.len() == n && wide.len() == n && wide.iter().zip(&plain).all(near),
                "{n}: {plain:?} {wide:?}"
            );
        }
    }

    /// The largest sums there can be.
    #[test]
    fn sums_fit() {
        let mut sums = [0; 5];
        let (inputs, activations) = ([INPUT_LIMIT; 9], [1 << WIDE_BITS; 64]);
        Portable::wide_i8(&[i8::MAX; 5 * 9], &inputs, &mut sums);
        assert_eq!(sums, [(9 * 127) << 20; 5]);
        Portable::wide_i16(&[-i16::MAX; 5 * 9], &inputs, &mut sums);
        assert_eq!(sums, [(-9 * 32767) << 12; 5]);
        Portable::wide_i8(&[i8::MAX; 5 * 64], &activations, &mut sums);
        assert_eq!(sums, [(64 * 127) << 18; 5]);
        Portable::wide_i16(&[-i16::MAX; 5 * 64], &activations, &mut sums);
        assert_eq!(sums, [(-64 * 32767) << 10; 5]);
        Portable::rows_i8(&[127; 5 * 64], &[i16::MIN; 64], &mut sums);
        assert_eq!(sums, [-8 * 64 * 127 * 32768; 5]);
        Portable::rows_i16(&[i16::MAX; 5 * 64], &[i16::MAX; 64], &mut sums);
        assert_eq!(sums, [32767 * 32767 * 2; 5]);
    }
}
