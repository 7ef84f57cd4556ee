//! A 3x3 convolution of stride 1 in 2.25 times fewer products: F(2x2, 3x3) of Winograd, exact in integers.
//!
//! A tile of 2x2 outputs depends on 4x4 pixels d. With the weights g of an output and a channel, its four sums are
//!
//! ```text
//! Y = A' (U o V) A,   U = G g G',   V = B' d B        (o: place by place; Lavin and Gray 2016, section 4.1)
//!
//!      1  0 -1  0          2  0  0         1  1  1  0
//! B' = 0  1  1  0      G = 1  1  1    A' = 0  1 -1 -1
//!      0 -1  1  0          1 -1  1
//!      0  1  0 -1          0  0  2
//! ```
//!
//! G is twice that of the paper, so that U is an integer, and Y is four times the sum of the [direct form](super::conv):
//! y = requantize(bias + Y / 4) is the same byte. |U| <= 9 x 127 and |V| <= 4 x 255 fit 16 bits; Y is exact in 32 bits for
//! every number of channels that a file may have.
//!
//! input (h, w, c) with c a multiple of four, output (h', w', o), unsigned bytes. The file holds U instead of g, packed
//! for the inner loop: weight (pairs of outputs, 16, c / 2, 2, 2) `I16`, flat: for outputs 2q and 2q + 1 and each of the
//! 16 places of U, row by row, words of two channels, first the even output's, then the odd one's. Of every four
//! channels 0, 1, 2, 3 the first word takes 0 and 2, the second 1 and 3.
//!
//! The weights take 32 bytes per output and channel instead of 9, the scratch memory 144 bytes per channel. Four tiles at a
//! time are transformed, and every pair of outputs takes one pass over them.

use super::conv::Zeros;
use super::pack::PIXELS;
use super::requantize::Channels;
use super::shape::{Compact, Geometry, Shape};
use super::tiles::{Column, Group, PLACES, Tile, Tiles};
use crate::error::{ModelError, TensorKind};
use crate::model::{Model, Tensor};
use heapless::Vec;

/// The number of outputs along a side of a tile.
const STEP: usize = 2;
/// The number of pixels along a side of the square that a tile depends on.
const SIDE: usize = 4;
/// The only window that this form exists for.
pub const KERNEL: [usize; 2] = [3, 3];

/// A convolution that borrows its transformed weights from the model file.
#[derive(Debug, Clone, Copy)]
pub struct Winograd<'a> {
    geometry: Compact,
    weight: &'a [[u32; 2]],
    channels: Channels<'a>,
    zeros: Zeros,
}

/// Whether a convolution can be evaluated in this form: its window is 3x3 with stride 1, and its input has a multiple of four
/// channels.
pub fn fits(geometry: &Geometry) -> bool {
    geometry.window.kernel == KERNEL && geometry.window.stride == [1, 1] && geometry.input.channels.is_multiple_of(4)
}

/// The number of words that hold two channels each.
pub fn words(geometry: &Geometry) -> usize {
    geometry.input.channels / 2
}

/// The number of transformed weights of one output.
pub fn fan_in(geometry: &Geometry) -> usize {
    PLACES * geometry.input.channels
}

/// The number of words of scratch memory: four transformed tiles, and one before its transform.
pub fn scratch(geometry: &Geometry) -> usize {
    words(geometry) * PLACES * PIXELS + words(geometry) / 2 * PLACES
}

/// The tiles of the output, row by row, each by its first pixel; those at the border may reach beyond the output.
pub fn tiles(geometry: &Geometry) -> impl Iterator<Item = [usize; 2]> + use<> {
    let width = geometry.output.width;
    (0..geometry.output.height)
        .step_by(STEP)
        .flat_map(move |row| (0..width).step_by(STEP).map(move |column| [row, column]))
}

/// The tile whose first pixel is this one.
pub fn tile(geometry: &Geometry, [row, column]: [usize; 2]) -> Tile {
    let Shape { height, width, channels } = geometry.output;
    let at = (row * width + column) * channels;
    Tile { at, rows: STEP.min(height - row), columns: STEP.min(width - column) }
}

/// Where the 16 pixels that the tile at this output depends on begin in the input, row by row; `None` outside the image.
pub fn pixels(geometry: &Geometry, [row, column]: [usize; 2]) -> impl Iterator<Item = Option<usize>> {
    let [top, left] = geometry.window.padding;
    let (top, left) = (row as isize - top as isize, column as isize - left as isize);
    (top..).take(SIDE).flat_map(move |row| (left..).take(SIDE).map(move |column| geometry.pixel(row, column)))
}

impl<'a> Winograd<'a> {
    /// Opens layer `index` of a file; `zero` is the output's zero point, `zeros` are the input's.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a tensor is missing or has another type or shape, [`ModelError::Value`] if a number is out of
    /// range.
    pub fn open(model: &Model<'a>, index: u8, geometry: Geometry, zeros: Zeros, zero: u8) -> Result<Self, ModelError> {
        let outputs = geometry.output.channels;
        let shape = [outputs.div_ceil(2), PLACES, words(&geometry), 4];
        let weight = super::tensor(model, index, TensorKind::Weight, &shape, Tensor::i16_words)?;
        let weight = weight.as_chunks().0;
        let channels = Channels::open(model, index, outputs, zero)?;
        Ok(Winograd { geometry: geometry.into(), weight, channels, zeros })
    }

    /// The number of multiply-accumulates of the direct form: the work that is asked for, not that which is done.
    pub fn macs(&self) -> u32 {
        self.geometry.get().macs()
    }

    /// Computes the whole output.
    pub fn evaluate<T: Tiles>(&self, input: &[u8], output: &mut [u8], scratch: &mut [u32]) {
        let geometry = &self.geometry.get();
        let words = words(geometry);
        let Some((columns, buffer)) = scratch.split_at_mut_checked(words * PLACES * PIXELS) else { return };
        let Some(buffer) = buffer.get_mut(..words / 2 * PLACES) else { return };
        let columns = columns.as_chunks_mut().0.as_chunks_mut::<PLACES>().0;
        let Ok(buffer) = bytemuck::try_cast_slice_mut(buffer) else { return };
        let row = geometry.output.width * geometry.output.channels;
        let mut corners = tiles(geometry);
        loop {
            let mut tiles = Vec::<Tile, PIXELS>::new();
            for corner in corners.by_ref().take(PIXELS) {
                self.transform::<T>(geometry, input, corner, tiles.len(), columns, buffer);
                // There is room: at most as many are taken as the vector holds.
                let _ = tiles.push(tile(geometry, corner));
            }
            if tiles.is_empty() {
                return;
            }
            let (weights, channels) = (self.weight, &self.channels);
            T::tiles(&Group { weights, columns, channels, tiles: &tiles, row }, output);
        }
    }

    /// Transforms the tile at this output into the column `place`. A tile that reaches beyond the image is put together in
    /// `buffer` first.
    fn transform<T: Tiles>(
        &self,
        geometry: &Geometry,
        input: &[u8],
        output: [usize; 2],
        place: usize,
        columns: &mut [Column],
        buffer: &mut [u8],
    ) {
        let Shape { width, channels, .. } = geometry.input;
        let mut pixels = pixels(geometry, output);
        let ends = (pixels.next().flatten(), pixels.last().flatten());
        if let (Some(first), Some(_)) = ends
            && let Some(inside) = input.get(first..)
        {
            return T::transform(inside, channels, width * channels, place, columns);
        }
        let zeros = self.zeros.0.iter().cycle();
        for (pixel, at) in buffer.chunks_exact_mut(channels.max(1)).zip(self::pixels(geometry, output)) {
            match at.and_then(|at| input.get(at..at + channels)) {
                Some(bytes) => pixel.iter_mut().zip(bytes).for_each(|(byte, of)| *byte = *of),
                None => pixel.iter_mut().zip(zeros.clone()).for_each(|(byte, zero)| *byte = *zero),
            }
        }
        T::transform(buffer, channels, SIDE * channels, place, columns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::kernel::Portable;
    use crate::layer::tiles::{Sums, outputs};
    use proptest::prelude::*;

    /// Twice the paper's G.
    const G: [[i32; 3]; 4] = [[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]];
    const CHANNELS: usize = 4;

    proptest! {
        /// Two outputs of one tile, in any column: four times the sums of the direct form.
        #[test]
        fn a_tile_has_the_sums_of_the_direct_form(
            weights: [[[i8; 9]; CHANNELS]; 2], pixels: [[u8; CHANNELS]; 16], place in 0usize..PIXELS,
        ) {
            let u = |w: &[i8; 9], k: usize| -> i32 {
                let terms = (0..9).map(|n| G[k / 4][n / 3] * i32::from(w[n]) * G[k % 4][n % 3]);
                terms.sum()
            };
            let word = |low: i32, high: i32| low as u32 & 0xffff | (high as u32) << 16;
            let mut packed = [[0; 2]; PLACES * CHANNELS / 2];
            for (n, pair) in packed.iter_mut().enumerate() {
                let (k, i) = (n / 2, n % 2);
                *pair = [0, 1].map(|o: usize| word(u(&weights[o][i], k), u(&weights[o][i + 2], k)));
            }
            let mut columns = [[[0; PIXELS]; PLACES]; CHANNELS / 2];
            Portable::transform(pixels.as_flattened(), CHANNELS, SIDE * CHANNELS, place, &mut columns);
            let mut sums = Sums::default();
            Portable::places(&packed, &columns, &mut sums);
            for (o, weights) in weights.iter().enumerate() {
                for (k, y) in outputs(&sums, o, place).into_iter().enumerate() {
                    let taps = (0..9).flat_map(|n| (0..CHANNELS).map(move |c| (n, c)));
                    let direct: i32 = taps
                        .map(|(n, c)| {
                            let pixel = pixels[(k / 2 + n / 3) * SIDE + k % 2 + n % 3][c];
                            i32::from(weights[c][n]) * i32::from(pixel)
                        })
                        .sum();
                    prop_assert_eq!(y, 4 * direct);
                }
            }
        }
    }
}
