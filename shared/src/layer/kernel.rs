//! The inner loops of integer image layers: what a processor with other instructions may do in its own way, bit for bit.
//!
//! All of it is integer sums without rounding, so an implementation is right if and only if it gives the same numbers.
//!
//! Activations are unsigned bytes, weights signed bytes. Weights are packed for two output channels A and B: a word
//! holds the bytes A\[i\], B\[i\], A\[j\], B\[j\], lowest first, for two places i and j of the depth. A word of an
//! unpacked activation column holds x\[i\] in its low and x\[j\] in its high half. Of every four places 0, 1, 2, 3 of
//! the depth the first word takes 0 and 2, the second 1 and 3: what one instruction unpacks from four bytes.

use super::activation::{ACTIVATION_BITS, Activation, narrow};
use super::dense_integer::Weight;
use super::row_scale::{self, unit_bits, wide_shift};
use super::tiles::{self, Column, Group, Sums};
use crate::layer::requantize::{Channels, requantise};

/// Pixels that are convolved at once.
pub const PIXELS: usize = 4;

/// See [`Kernel::FOUR_ROWS_F32`].
pub type FourRows = fn(weights: &[f32], x: &[f32], sums: &mut [f32; 4]);
/// So many floats at once.
pub const FLOATS: usize = 8;

/// Bits by which a sum of 8 x 16-bit products is moved up: its unit becomes that of 32-bit activations.
pub const BYTE_SUM_SHIFT: u32 = unit_bits::<i8>() - ACTIVATION_BITS;
/// Rows of 16-bit weights whose magnitudes add up to less have sums of 32 bits with any 16-bit activations.
pub const SHORT_ROW: u32 = 1 << 16;
/// Bits that a sum of 16-bit products loses, so that it fits 32 and has the unit of 32-bit activations' too.
pub const WIDE_SUM_SHIFT: u32 = ACTIVATION_BITS - unit_bits::<i16>();

/// What turns the sums of a layer into preactivations, one of each for every row.
#[derive(Debug, Clone, Copy)]
pub struct Constants<'a> {
    /// See [`DenseInteger`](super::dense_integer).
    pub multiplier: &'a [i32],
    /// In units of 2^-24.
    pub bias: &'a [i32],
}

/// How 16-bit activations stand in memory, two to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// One after the other.
    Plain,
    /// As one instruction unpacks 8-bit weights: of every four, 0 with 2 and then 1 with 3; what is left over one after the
    /// other.
    Unpacked,
}

impl Order {
    /// Where activation `k` of `n` stands.
    pub fn place(self, k: usize, n: usize) -> usize {
        match (self, k % 4) {
            (Order::Unpacked, 1) if k / 4 < n / 4 => k + 1,
            (Order::Unpacked, 2) if k / 4 < n / 4 => k - 1,
            _ => k,
        }
    }
}

/// Activations of 16 bits in place of sums, in the first half of their memory.
#[inline(always)]
fn narrow_in_place(sums: &mut [i32], constants: Constants<'_>, order: Order) {
    let n = sums.len().min(constants.multiplier.len()).min(constants.bias.len());
    let mut k = 0;
    let mut rows = constants.multiplier.iter().zip(constants.bias);
    while k < n {
        // Up to four are read before two words are written, which lie no further on.
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

/// Sums of rows, four of them side by side: an activation is loaded once for four.
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

/// Sums of rows on 32-bit activations, in 64 bits. The widths of the presets are compiled on their own, so that loops
/// unroll and activations stay in registers.
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

/// The same for `N` activations.
#[inline(always)]
fn each_wide_sum_of<const N: usize, W: Weight>(weights: &[W], x: &[i32], sums: &mut [i32]) {
    let Some(x) = x.first_chunk::<N>() else { return };
    weights.as_chunks::<N>().0.iter().zip(sums).for_each(|(row, to)| *to = wide_sum(row, x));
}

/// t of a row on 32-bit activations.
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
    Activation::Tanh.value_i32(row_scale::requantise(t, multiplier, bias))
}

/// Inner loops. An empty type implements it, so that an evaluator is compiled for it.
pub trait Kernel {
    /// Two channels of four pixels: sums\[c\]\[p\] += sum over i of weight\[c, i\] x\[i, p\], for c in A, B.
    ///
    /// `columns` holds four words, one per pixel, for every word of `weights`; what is longer is not read. Sums wrap.
    fn block(weights: &[u32], columns: &[[u32; PIXELS]], sums: &mut [[i32; PIXELS]; 2]);

    /// Two channels of one pixel: sums\[c\] += sum over i of weight\[c, i\] x\[i\], for c in A, B.
    ///
    /// `column` holds one word for every word of `weights`; what is longer is not read. Sums wrap.
    fn pair(weights: &[u32], column: &[u32], sums: &mut [i32; 2]);

    /// All channels of a group of up to four pixels, from unpacked columns to bytes: every pixel of `group` has
    /// `channels.len()` bytes, and `weights` has as many words per pair of channels as `columns` has rows.
    fn group(weights: &[u32], columns: &[[u32; PIXELS]], channels: &Channels<'_>, group: &mut [u8]) {
        let rows = weights.chunks_exact(columns.len().max(1)).zip(channels.pairs());
        for (channel, (weights, (bias, multiplier))) in (0..).step_by(2).zip(rows) {
            let mut sums = bias.map(|b| [b; PIXELS]);
            Self::block(weights, columns, &mut sums);
            let [a, b] = sums;
            for ((pixel, a), b) in group.chunks_exact_mut(channels.len().max(1)).zip(a).zip(b) {
                let bytes = pixel.get_mut(channel..).unwrap_or(&mut []);
                for ((byte, sum), multiplier) in bytes.iter_mut().zip([a, b]).zip(multiplier) {
                    *byte = requantise(sum, multiplier, channels.zero());
                }
            }
        }
    }

    /// Unpacks a window into the column `place`: runs of `run` bytes, a multiple of four, that begin every `stride`
    /// bytes of `input`, one after the other into `columns`, which say how many there are. Stops where `input` ends.
    fn window(input: &[u8], run: usize, stride: usize, place: usize, columns: &mut [[u32; PIXELS]]) {
        let mut rest = input;
        for columns in columns.chunks_exact_mut((run / 2).max(1)) {
            for (bytes, words) in rest.as_chunks::<4>().0.iter().zip(columns.as_chunks_mut::<2>().0) {
                let [even, odd] = unpack(*bytes);
                words[0][place % PIXELS] = even;
                words[1][place % PIXELS] = odd;
            }
            rest = rest.get(stride..).unwrap_or(&[]);
        }
    }

    /// Transforms a tile of [`winograd`](super::winograd) into the column `place`: V = B' d B, each four channels as two
    /// words of two 16-bit numbers, places 0 with 2 and 1 with 3. The 16 pixels have `channels` bytes, a multiple of four;
    /// they begin with `input`, and a row of four `row` bytes after the one before. `columns` has two words for every four
    /// channels. What lies beyond `input` counts as 0.
    fn transform(input: &[u8], channels: usize, row: usize, place: usize, columns: &mut [Column]) {
        tiles::transform(input, channels, row, place, columns);
    }

    /// Two channels of four transformed tiles: sums\[k\]\[c\]\[p\] = sum over i of weight\[k, i, c\] columns\[i, k, p\] for
    /// each of the 16 places, products of two 16-bit numbers each. `weights` has as many words per place as `columns`.
    /// Sums wrap.
    fn places(weights: &[[u32; 2]], columns: &[Column], sums: &mut Sums) {
        tiles::places(weights, columns, sums);
    }

    /// All channels of up to four transformed tiles, to the bytes of `output`.
    fn tiles(group: &Group<'_>, output: &mut [u8]) {
        tiles::tiles::<Self>(group, output);
    }

    /// Rows of 8-bit weights, one after the other, times 16-bit activations, which stand in [`Order::Unpacked`]:
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

    /// The same for 16-bit weights, and activations one after the other: sums of 64 bits, of which all but the last
    /// [`WIDE_SUM_SHIFT`] are kept.
    fn rows_i16(weights: &[i16], x: &[i16], sums: &mut [i32]) {
        let add = |sum: &mut i64, w, x| *sum += i64::from(i32::from(w) * i32::from(x));
        each_sum(weights, x, sums, add, |sum| (sum >> WIDE_SUM_SHIFT) as i32);
    }

    /// [`Kernel::rows_i16`] for rows whose weights' magnitudes add up to less than [`SHORT_ROW`]: their sums fit 32 bits.
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

    /// tanh of every row's preactivation, in units of 2^-24, in place of its sum t.
    fn tanh(sums: &mut [i32], constants: Constants<'_>) {
        let rows = sums.iter_mut().zip(constants.multiplier).zip(constants.bias);
        rows.for_each(|((t, m), bias)| *t = tanh_of(*t, *m, *bias));
    }

    /// The same in units of 2^-15 and 16 bits, two to a word in the first half of the memory.
    fn narrow_tanh(sums: &mut [i32], constants: Constants<'_>) {
        narrow_in_place(sums, constants, Order::Plain);
    }

    /// [`Kernel::narrow_tanh`] in the order that [`Kernel::rows_i8`] takes, [`Order::Unpacked`].
    fn unpacked_tanh(sums: &mut [i32], constants: Constants<'_>) {
        narrow_in_place(sums, constants, Order::Unpacked);
    }

    /// Four rows of floats, one after the other, onto sums that begin with the biases: sums\[r\] += weights\[r, i\] x\[i\], in
    /// the order of i, where that is faster than what the compiler makes of it. `x` has a multiple of [`FLOATS`] numbers, at
    /// least as many, `weights` four times as many.
    const FOUR_ROWS_F32: Option<FourRows> = None;

    /// largest\[i\] = max(largest\[i\], other\[i\]) for as many as both have.
    fn max(largest: &mut [u8], other: &[u8]);
}

/// The definition: safe Rust for every processor.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

/// A\[i\], A\[j\], B\[i\], B\[j\] of a word of weights.
fn weights_of(word: u32) -> [[i32; 2]; 2] {
    let [a0, b0, a1, b1] = word.to_le_bytes().map(|byte| i32::from(byte as i8));
    [[a0, a1], [b0, b1]]
}

/// w\[i\] x\[i\] + w\[j\] x\[j\].
fn product([w0, w1]: [i32; 2], x: u32) -> i32 {
    w0 * (x & 0xffff) as i32 + w1 * (x >> 16) as i32
}

impl Kernel for Portable {
    fn block(weights: &[u32], columns: &[[u32; PIXELS]], sums: &mut [[i32; PIXELS]; 2]) {
        for (word, column) in weights.iter().zip(columns) {
            for (sums, w) in sums.iter_mut().zip(weights_of(*word)) {
                for (sum, x) in sums.iter_mut().zip(column) {
                    *sum = sum.wrapping_add(product(w, *x));
                }
            }
        }
    }

    fn pair(weights: &[u32], column: &[u32], sums: &mut [i32; 2]) {
        for (word, x) in weights.iter().zip(column) {
            for (sum, w) in sums.iter_mut().zip(weights_of(*word)) {
                *sum = sum.wrapping_add(product(w, *x));
            }
        }
    }

    fn max(largest: &mut [u8], other: &[u8]) {
        for (a, b) in largest.iter_mut().zip(other) {
            *a = (*a).max(*b);
        }
    }
}

/// Four bytes as the two words of an unpacked column: places 0 and 2, then 1 and 3.
pub(super) fn unpack(bytes: [u8; 4]) -> [u32; 2] {
    let word = u32::from_le_bytes(bytes);
    [word & 0x00ff_00ff, word >> 8 & 0x00ff_00ff]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        /// Against 64-bit sums over bytes that were never packed.
        #[test]
        fn packed_sums_are_the_plain_ones(
            rows in prop::collection::vec((any::<[i8; 4]>(), any::<[i8; 4]>(), any::<[[u8; 4]; PIXELS]>()), 0..40),
        ) {
            let (mut weights, mut columns) = (Vec::new(), Vec::new());
            for (a, b, x) in &rows {
                for [i, j] in [[0, 2], [1, 3]] {
                    weights.push(u32::from_le_bytes([a[i] as u8, b[i] as u8, a[j] as u8, b[j] as u8]));
                }
                let unpacked = x.map(unpack);
                columns.extend([unpacked.map(|w| w[0]), unpacked.map(|w| w[1])]);
            }
            let plain = |of: &dyn Fn(usize) -> [i8; 4], p: usize| -> i64 {
                (0..rows.len()).flat_map(|r| of(r).into_iter().zip(rows[r].2[p])).map(|(w, x)| i64::from(w) * i64::from(x)).sum()
            };
            let mut sums = [[7; PIXELS], [-7; PIXELS]];
            Portable::block(&weights, &columns, &mut sums);
            for p in 0..PIXELS {
                let expected = [plain(&|r| rows[r].0, p) + 7, plain(&|r| rows[r].1, p) - 7];
                prop_assert_eq!([i64::from(sums[0][p]), i64::from(sums[1][p])], expected);
                let column: Vec<u32> = columns.iter().map(|c| c[p]).collect();
                let mut pair = [7, -7];
                Portable::pair(&weights, &column, &mut pair);
                prop_assert_eq!(pair.map(i64::from), expected);
            }
        }
    }

    proptest! {
        /// Activations in place: the numbers that come out in 32 bits, narrowed, in the stated order.
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
