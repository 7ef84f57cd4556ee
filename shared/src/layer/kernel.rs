//! The inner loops that a processor may have in instructions of its own, with the same bits. A type that implements [`Kernel`]
//! stands for a processor.
//!
//! The loops are in three traits: [`ImageLoops`] for image layers, [`Tiles`] for Winograd's convolutions, and [`RowLoops`] for
//! bundles. Their default methods and those of [`Portable`], in safe Rust, are the definition. The loops compute exact
//! sums of integers (or of floats in a stated order, [`RowLoops::FOUR_ROWS_F32`]), so an implementation is right if and only if it
//! gives the same numbers.

use super::pack::{PIXELS, unpack, weights_of};
use super::requantize::{Channels, requantize};
use super::rows::RowLoops;
use super::tiles::Tiles;

/// All inner loops of a processor, as an empty type for which the evaluator is compiled.
pub trait Kernel: ImageLoops + Tiles + RowLoops {}

impl<K: ImageLoops + Tiles + RowLoops> Kernel for K {}

/// The inner loops of image layers: unsigned bytes as activations, signed bytes as weights, packed as in
/// [`pack`](super::pack).
pub trait ImageLoops {
    /// Two channels of four pixels: sums\[c\]\[p\] += sum over i of weight\[c, i\] x\[i, p\], for c in A, B.
    ///
    /// `columns` holds four words, one per pixel, for every word of `weights`; if one of them is longer, its rest is not read.
    /// Sums wrap.
    fn block(weights: &[u32], columns: &[[u32; PIXELS]], sums: &mut [[i32; PIXELS]; 2]);

    /// Two channels of one pixel: sums\[c\] += sum over i of weight\[c, i\] x\[i\], for c in A, B.
    ///
    /// `column` holds one word for every word of `weights`; if one of them is longer, its rest is not read. Sums wrap.
    fn pair(weights: &[u32], column: &[u32], sums: &mut [i32; 2]);

    /// Computes the bytes of all channels of up to four pixels from unpacked columns. Every pixel of `group` has
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
                    *byte = requantize(sum, multiplier, channels.zero());
                }
            }
        }
    }

    /// Unpacks a window into the column `place` of `columns`: runs of `run` bytes, a multiple of four, that begin every `stride`
    /// bytes of `input`. The length of `columns` gives the number of runs. Stops where `input` ends.
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

    /// largest\[i\] = max(largest\[i\], other\[i\]) for as many as both have.
    fn max(largest: &mut [u8], other: &[u8]);
}

/// The definition of every loop: safe Rust for every processor.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

impl Tiles for Portable {}

impl RowLoops for Portable {}

impl ImageLoops for Portable {
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

/// w\[i\] x\[i\] + w\[j\] x\[j\].
fn product([w0, w1]: [i32; 2], x: u32) -> i32 {
    w0 * (x & 0xffff) as i32 + w1 * (x >> 16) as i32
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
}
