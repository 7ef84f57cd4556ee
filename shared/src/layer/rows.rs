//! The inner loops of bundles: sums of rows of weights, and the activations that they become.
//!
//! The default methods are the definition. Sums are exact before their shift, so an implementation is right if and only if
//! it gives the same numbers.

use super::activation::{Activation, NARROW_BITS, narrow};
use super::pack::Order;
use super::row_scale::{preactivation, unit_bits, wide_shift};
use super::weight::Weight;

/// See [`RowLoops::FOUR_ROWS_F32`].
pub type FourRows = fn(weights: &[f32], x: &[f32], sums: &mut [f32; 4]);
/// The number of floats that [`FourRows`] takes at a time.
pub const FLOATS: usize = 8;

/// The number of bits by which a sum of 8 x 16-bit products is shifted left, to have the unit of sums over 32-bit activations.
pub const BYTE_SUM_SHIFT: u32 = unit_bits::<i8>() - NARROW_BITS;
/// A row of 16-bit weights is short if their magnitudes add up to less than this: its sum over 16-bit activations then fits 32
/// bits.
pub const SHORT_ROW: u32 = 1 << 16;
/// The number of bits by which a sum of 16 x 16-bit products is shifted right, to fit 32 bits and to have the unit of sums over
/// 32-bit activations.
pub const WIDE_SUM_SHIFT: u32 = NARROW_BITS - unit_bits::<i16>();

/// The constants that turn the sums of a layer into preactivations, one of each for every row.
#[derive(Debug, Clone, Copy)]
pub struct Constants<'a> {
    /// See [`DenseInteger`](super::dense_integer).
    pub multiplier: &'a [i32],
    /// In units of 2^-24.
    pub bias: &'a [i32],
}

/// Replaces sums by activations of 16 bits, in the first half of the memory.
#[inline(always)]
fn narrow_in_place(sums: &mut [i32], constants: Constants<'_>, order: Order) {
    let n = sums.len().min(constants.multiplier.len()).min(constants.bias.len());
    let mut k = 0;
    let mut rows = constants.multiplier.iter().zip(constants.bias);
    while k < n {
        // Up to four sums are read before two words are written, which lie at the same place or before it.
        let mut four = [0; 4];
        for ((a, t), (m, bias)) in four.iter_mut().zip(sums.iter().skip(k)).zip(&mut rows) {
            *a = narrow(tanh_of(*t, *m, *bias));
        }
        let [a, b, c, d] = four;
        let pairs = if order == Order::Unpacked && n - k >= 4 { [[a, c], [b, d]] } else { [[a, b], [c, d]] };
        for (word, [low, high]) in sums.iter_mut().skip(k / 2).zip(pairs).take((n - k).div_ceil(2)) {
            *word = i32::from(high) << 16 | i32::from(low as u16);
        }
        k += 4;
    }
}

/// Sums of rows, four rows side by side, so that an activation is loaded once for four products.
#[inline(always)]
fn each_sum<S: Default>(
    weights: &[i16],
    x: &[i16],
    sums: &mut [i32],
    add: impl Fn(&mut S, i16, i16),
    narrow: impl Fn(S) -> i32,
) {
    let n = x.len().max(1);
    let (blocks, last) = sums.as_chunks_mut::<4>();
    let mut rows = weights.chunks_exact(n);
    for block in blocks {
        let (Some(a), Some(b), Some(c), Some(d)) = (rows.next(), rows.next(), rows.next(), rows.next()) else { return };
        let mut sums: [S; 4] = Default::default();
        for ((((a, b), c), d), x) in a.iter().zip(b).zip(c).zip(d).zip(x) {
            add(&mut sums[0], *a, *x);
            add(&mut sums[1], *b, *x);
            add(&mut sums[2], *c, *x);
            add(&mut sums[3], *d, *x);
        }
        let [a, b, c, d] = sums;
        *block = [narrow(a), narrow(b), narrow(c), narrow(d)];
    }
    for (row, to) in rows.zip(last) {
        let mut sum = S::default();
        for (w, x) in row.iter().zip(x) {
            add(&mut sum, *w, *x);
        }
        *to = narrow(sum);
    }
}

/// Sums of rows over 32-bit activations, in 64 bits. The widths of the presets are compiled separately, so that loops unroll
/// and activations stay in registers.
#[inline(always)]
fn each_wide_sum<W: Weight>(weights: &[W], x: &[i32], sums: &mut [i32]) {
    match x.len() {
        3 => each_wide_sum_of::<3, W>(weights, x, sums),
        5 => each_wide_sum_of::<5, W>(weights, x, sums),
        8 => each_wide_sum_of::<8, W>(weights, x, sums),
        16 => each_wide_sum_of::<16, W>(weights, x, sums),
        32 => each_wide_sum_of::<32, W>(weights, x, sums),
        n => weights.chunks_exact(n.max(1)).zip(sums).for_each(|(row, to)| *to = wide_sum(row, x)),
    }
}

/// [`each_wide_sum`] for `N` activations.
#[inline(always)]
fn each_wide_sum_of<const N: usize, W: Weight>(weights: &[W], x: &[i32], sums: &mut [i32]) {
    let Some(x) = x.first_chunk::<N>() else { return };
    weights.as_chunks::<N>().0.iter().zip(sums).for_each(|(row, to)| *to = wide_sum(row, x));
}

/// The sum t of a row over 32-bit activations.
#[inline(always)]
fn wide_sum<W: Weight>(row: &[W], x: &[i32]) -> i32 {
    let products = row.iter().zip(x).map(|(w, x)| {
        let w: i32 = (*w).into();
        i64::from(w) * i64::from(*x)
    });
    (products.fold(0, i64::wrapping_add) >> wide_shift::<W>()) as i32
}

/// tanh of the preactivation that a sum t becomes, in units of 2^-24.
#[inline(always)]
fn tanh_of(t: i32, multiplier: i32, bias: i32) -> i32 {
    Activation::Tanh.value_i32(preactivation(t, multiplier, bias))
}

/// The inner loops of bundles for one processor.
pub trait RowLoops {
    /// Rows of 8-bit weights, one after the other, times 16-bit activations in [`Order::Unpacked`]:
    /// sums\[r\] = 2^[`BYTE_SUM_SHIFT`] times the sum over i of weights\[r, i\] x\[i\], exact for rows of at most
    /// [`MAX_WIDTH`](crate::limits::MAX_WIDTH).
    fn rows_i8(weights: &[i8], x: &[i16], sums: &mut [i32]) {
        let (fours, rest) = x.as_chunks::<4>();
        for (row, to) in weights.chunks_exact(x.len().max(1)).zip(sums) {
            let (bytes, last) = row.as_chunks::<4>();
            let mut sum = 0;
            for (w, x) in bytes.iter().zip(fours) {
                let ([a, b, c, d], [xa, xc, xb, xd]) = (w.map(i32::from), x.map(i32::from));
                sum += a * xa + b * xb + c * xc + d * xd;
            }
            for (w, x) in last.iter().zip(rest) {
                sum += i32::from(*w) * i32::from(*x);
            }
            *to = sum << BYTE_SUM_SHIFT;
        }
    }

    /// The same for 16-bit weights, and activations in [`Order::Plain`]: sums of 64 bits, shifted right by [`WIDE_SUM_SHIFT`].
    fn rows_i16(weights: &[i16], x: &[i16], sums: &mut [i32]) {
        let add = |sum: &mut i64, w, x| *sum += i64::from(i32::from(w) * i32::from(x));
        each_sum(weights, x, sums, add, |sum| (sum >> WIDE_SUM_SHIFT) as i32);
    }

    /// [`RowLoops::rows_i16`] for rows that are all short, see [`SHORT_ROW`]: their sums fit 32 bits.
    fn short_rows_i16(weights: &[i16], x: &[i16], sums: &mut [i32]) {
        let add = |sum: &mut i32, w, x| *sum = sum.wrapping_add(i32::from(w) * i32::from(x));
        each_sum(weights, x, sums, add, |sum| sum >> WIDE_SUM_SHIFT);
    }

    /// Rows of 8-bit weights, one after the other, times 32-bit activations: sums\[r\] = floor(sum over i of
    /// weights\[r, i\] x\[i\] / 2^[`wide_shift`]).
    fn wide_i8(weights: &[i8], x: &[i32], sums: &mut [i32]) {
        each_wide_sum(weights, x, sums);
    }

    /// The same for 16-bit weights.
    fn wide_i16(weights: &[i16], x: &[i32], sums: &mut [i32]) {
        each_wide_sum(weights, x, sums);
    }

    /// Replaces the sum t of every row by the tanh of its preactivation, in units of 2^-24.
    fn tanh(sums: &mut [i32], constants: Constants<'_>) {
        let rows = sums.iter_mut().zip(constants.multiplier).zip(constants.bias);
        rows.for_each(|((t, m), bias)| *t = tanh_of(*t, *m, *bias));
    }

    /// The same with results of 16 bits, in units of 2^-15, two to a word in the first half of the memory.
    fn narrow_tanh(sums: &mut [i32], constants: Constants<'_>) {
        narrow_in_place(sums, constants, Order::Plain);
    }

    /// [`RowLoops::narrow_tanh`] with results in [`Order::Unpacked`], which [`RowLoops::rows_i8`] takes.
    fn unpacked_tanh(sums: &mut [i32], constants: Constants<'_>) {
        narrow_in_place(sums, constants, Order::Unpacked);
    }

    /// Adds four rows of products of floats to sums that begin with the biases: sums\[r\] += weights\[r, i\] x\[i\], in the order
    /// of i. `x` has a positive multiple of [`FLOATS`] numbers, `weights` four times as many. `None` where the compiler's code is
    /// as fast.
    const FOUR_ROWS_F32: Option<FourRows> = None;
}

/// A loop over rows of weights, one after the other, times 16-bit activations.
pub type Rows<W> = fn(&[W], &[i16], &mut [i32]);
/// A loop over rows of weights times 32-bit activations.
pub type WideRows<W> = fn(&[W], &[i32], &mut [i32]);

/// Which of a processor's loops are for weights of this type.
pub trait RowWeight: Weight {
    /// The loop for 16-bit activations; `short` says that all rows are, see [`SHORT_ROW`].
    fn rows<K: RowLoops>(short: bool) -> Rows<Self>;

    /// The loop for 32-bit activations.
    fn wide_rows<K: RowLoops>() -> WideRows<Self>;
}

impl RowWeight for i16 {
    fn rows<K: RowLoops>(short: bool) -> Rows<Self> {
        if short { K::short_rows_i16 } else { K::rows_i16 }
    }

    fn wide_rows<K: RowLoops>() -> WideRows<Self> {
        K::wide_i16
    }
}

impl RowWeight for i8 {
    fn rows<K: RowLoops>(_: bool) -> Rows<Self> {
        K::rows_i8
    }

    fn wide_rows<K: RowLoops>() -> WideRows<Self> {
        K::wide_i8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::kernel::Portable;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        /// Against the 32-bit activations, narrowed, in the stated order.
        #[test]
        fn narrow_activations_stand_in_their_order(rows in prop::collection::vec((any::<i32>(), 0..i32::MAX, any::<i32>()), 0..20)) {
            let sums: Vec<i32> = rows.iter().map(|row| row.0).collect();
            let multiplier: Vec<i32> = rows.iter().map(|row| row.1 >> 1).collect();
            let bias: Vec<i32> = rows.iter().map(|row| row.2 >> 1).collect();
            let constants = Constants { multiplier: &multiplier, bias: &bias };
            let mut wide = sums.clone();
            Portable::tanh(&mut wide, constants);
            for order in [Order::Plain, Order::Unpacked] {
                let mut words = sums.clone();
                match order {
                    Order::Plain => Portable::narrow_tanh(&mut words, constants),
                    Order::Unpacked => Portable::unpacked_tanh(&mut words, constants),
                }
                let halves: &[i16] = bytemuck::cast_slice(&words);
                for (k, a) in wide.iter().enumerate() {
                    prop_assert_eq!(halves[order.place(k, wide.len())], narrow(*a), "{:?} {} of {}", order, k, wide.len());
                }
            }
        }

        #[test]
        fn rows_of_bytes_take_unpacked_activations(weights in prop::collection::vec(any::<i8>(), 0..40), x: [i16; 40]) {
            let n = weights.len();
            let mut ordered = std::vec![0; n];
            (0..n).for_each(|k| ordered[Order::Unpacked.place(k, n)] = x[k]);
            let mut sum = [0];
            Portable::rows_i8(&weights, &ordered, &mut sum);
            let plain: i32 = weights.iter().zip(x).map(|(w, x)| i32::from(*w) * i32::from(x)).sum();
            prop_assert!(n == 0 || sum == [plain << BYTE_SUM_SHIFT]);
        }
    }
}
