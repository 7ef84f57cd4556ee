//! The inner loops of [`winograd`](super::winograd). The default methods, in safe Rust, are the definition.

use super::pack::PIXELS;
use super::requantize::{Channels, requantize};

/// The number of places of a transformed tile.
pub const PLACES: usize = 16;
/// For every place of four transformed tiles, a word of two channels.
pub type Column = [[u32; PIXELS]; PLACES];
/// Sums of two channels of four tiles, place by place.
pub type Sums = [[[i32; PIXELS]; 2]; PLACES];

/// Where a 2 x 2 tile of outputs goes, and how much of it lies inside the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Where the bytes of the first output begin.
    pub at: usize,
    /// How many of its rows are part of the output: 1 or 2.
    pub rows: usize,
    /// How many of its columns are part of the output: 1 or 2.
    pub columns: usize,
}

/// Up to four transformed tiles, with the weights and constants that turn them into outputs.
#[derive(Debug, Clone, Copy)]
pub struct Group<'g> {
    /// For every pair of channels, 16 times as many pairs of words as there are `columns`.
    pub weights: &'g [[u32; 2]],
    /// The transformed tiles.
    pub columns: &'g [Column],
    /// The channels of the output.
    pub channels: &'g Channels<'g>,
    /// Where the outputs go.
    pub tiles: &'g [Tile],
    /// The number of bytes from one row of the output to the next.
    pub row: usize,
}

impl<'g> Group<'g> {
    /// The weights of each pair of channels; empty if there are no columns.
    pub fn pairs(&self) -> impl Iterator<Item = &'g [[u32; 2]]> + use<'g> {
        let of_a_pair = PLACES * self.columns.len();
        let weights = if of_a_pair == 0 { &[] } else { self.weights };
        weights.chunks_exact(of_a_pair.max(1))
    }
}

/// The loops of transformed tiles for one processor.
pub trait Tiles {
    /// Transforms a tile of [`winograd`](super::winograd) into the column `place`: V = B' d B, each four channels as two
    /// words of two 16-bit numbers, places 0 with 2 and 1 with 3. The 16 pixels have `channels` bytes, a multiple of four;
    /// they begin with `input`, and each row of four begins `row` bytes after the one before. `columns` has two words for every four
    /// channels. Bytes beyond the end of `input` count as 0.
    fn transform(input: &[u8], channels: usize, row: usize, place: usize, columns: &mut [Column]) {
        transform(input, channels, row, place, columns);
    }

    /// Two channels of four transformed tiles: sums\[k\]\[c\]\[p\] = sum over i of weight\[k, i, c\] columns\[i, k, p\] for
    /// each of the 16 places, products of two 16-bit numbers each. `weights` has as many words per place as `columns`.
    /// Sums wrap.
    fn places(weights: &[[u32; 2]], columns: &[Column], sums: &mut Sums) {
        places(weights, columns, sums);
    }

    /// Writes all channels of up to four transformed tiles to the bytes of `output`.
    fn tiles(group: &Group<'_>, output: &mut [u8]) {
        tiles::<Self>(group, output);
    }
}

/// All bits of both halves of a word except their signs.
const LOW_BITS: u32 = 0x7fff_7fff;

/// a + b in both halves of a word, each wrapping.
#[inline(always)]
fn plus(a: u32, b: u32) -> u32 {
    ((a & LOW_BITS) + (b & LOW_BITS)) ^ ((a ^ b) & !LOW_BITS)
}

/// a - b in both halves of a word, each wrapping.
#[inline(always)]
fn minus(a: u32, b: u32) -> u32 {
    ((a | !LOW_BITS) - (b & LOW_BITS)) ^ (!(a ^ b) & !LOW_BITS)
}

/// Applies one operation to the pixels of two rows.
#[inline(always)]
fn each<T: Copy>([a, b, c, d]: [T; 4], [e, f, g, h]: [T; 4], of: impl Fn(T, T) -> T) -> [T; 4] {
    [of(a, e), of(b, f), of(c, g), of(d, h)]
}

/// B' d B of a tile of four rows, two channels at once.
#[inline(always)]
fn transformed([a, b, c, d]: [[u32; 4]; 4]) -> [[u32; 4]; 4] {
    let rows = [each(a, c, minus), each(b, c, plus), each(c, b, minus), each(b, d, minus)];
    rows.map(|[a, b, c, d]| [minus(a, c), plus(b, c), minus(c, b), minus(b, d)])
}

/// A' M A of one channel of one tile: four outputs, row by row.
#[inline(always)]
pub(super) fn outputs(sums: &Sums, channel: usize, place: usize) -> [i32; 4] {
    let m = sums.map(|sums| sums[channel % 2][place % PIXELS]);
    let (rows, _) = m.as_chunks::<4>();
    let &[a, b, c, d] = rows else { return [0; 4] };
    let (plus, minus) = (i32::wrapping_add, i32::wrapping_sub);
    let rows = [each(each(a, b, plus), c, plus), each(each(b, c, minus), d, minus)];
    let [[a, b], [c, d]] = rows.map(|[a, b, c, d]| [plus(plus(a, b), c), minus(minus(b, c), d)]);
    [a, b, c, d]
}

/// The products of the low halves and of the high halves, added.
#[inline(always)]
fn product_of_halves(a: u32, b: u32) -> i32 {
    let halves = |word: u32| [i32::from(word as i16), i32::from((word >> 16) as i16)];
    let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
    (a0 * b0).wrapping_add(a1 * b1)
}

/// See [`Tiles::transform`].
fn transform(input: &[u8], channels: usize, row: usize, place: usize, columns: &mut [Column]) {
    for (first, columns) in (0..channels).step_by(4).zip(columns.as_chunks_mut::<2>().0) {
        let pixel = |i: usize, j: usize| {
            let rest = input.get(i * row + j * channels + first..);
            rest.and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        let d: [[u32; 4]; 4] = core::array::from_fn(|i| core::array::from_fn(|j| pixel(i, j)));
        for (shift, column) in [0, 8].into_iter().zip(columns) {
            let v = transformed(d.map(|row| row.map(|word| word >> shift & 0x00ff_00ff)));
            let words = column.iter_mut().zip(v.as_flattened());
            words.for_each(|(words, v)| words[place % PIXELS] = *v);
        }
    }
}

/// See [`Tiles::places`].
fn places(weights: &[[u32; 2]], columns: &[Column], sums: &mut Sums) {
    let rows = weights.chunks_exact(columns.len().max(1));
    for (k, (weights, sums)) in rows.zip(sums).enumerate() {
        *sums = [[0; PIXELS]; 2];
        for (pair, column) in weights.iter().zip(columns) {
            for (sums, w) in sums.iter_mut().zip(pair) {
                for (sum, x) in sums.iter_mut().zip(column[k % PLACES]) {
                    *sum = sum.wrapping_add(product_of_halves(*w, x));
                }
            }
        }
    }
}

/// See [`Tiles::tiles`].
fn tiles<T: Tiles + ?Sized>(group: &Group<'_>, output: &mut [u8]) {
    let Group { columns, channels, tiles, row, .. } = *group;
    let mut sums = Sums::default();
    let rows = group.pairs().zip(channels.pairs());
    for (first, (weights, (bias, multiplier))) in (0..channels.len()).step_by(2).zip(rows) {
        T::places(weights, columns, &mut sums);
        let constants = bias.into_iter().zip(multiplier);
        for (c, (bias, multiplier)) in (0..2).zip(constants).take(channels.len() - first) {
            for (place, tile) in tiles.iter().enumerate() {
                for ((i, j), y) in [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().zip(outputs(&sums, c, place)) {
                    let at = tile.at + i * row + j * channels.len() + first + c;
                    if let Some(byte) = output.get_mut(at).filter(|_| i < tile.rows && j < tile.columns) {
                        *byte = requantize(bias.wrapping_add(y >> 2), multiplier, channels.zero());
                    }
                }
            }
        }
    }
}
