//! Convolution in integers, for any kernel, stride and padding.
//!
//! input (h, w, c), output (h', w', o), all unsigned bytes; weight (o, kh, kw, c) signed bytes, packed.
//! sum\[o\] = bias\[o\] + sum over u, v, c of weight\[o, u, v, c\] x\[s i + u - p, s j + v - p, c\], exact in 32 bits;
//! then [`requantize`](super::requantize::requantize). Outside the image x is the input's zero point, which stands for 0 because
//! the exporter has subtracted the zero point times the sum of the weights from the bias.
//!
//! Four windows at a time are unpacked into columns, and every pair of output channels takes one pass over them. Each row of
//! a window is padded to whole words with the bytes that follow it in memory; the weights there are zero.
//! Scratch memory: 8 bytes per weight of a channel, and one row of a window.

use super::kernel::ImageLoops;
use super::pack::PIXELS;
use super::requantize::{Channels, packed_weights};
use super::shape::{Compact, Corner, Geometry};
use crate::error::ModelError;
use crate::model::Model;

/// A convolution that borrows its weights from the model file.
#[derive(Debug, Clone, Copy)]
pub struct Conv<'a> {
    geometry: Compact,
    weight: &'a [u32],
    channels: Channels<'a>,
    zeros: Zeros,
}

/// Zero points of a value's channels. An image has at most four channels, each with its own zero point; the channels of any
/// other value share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zeros(pub [u8; 4]);

impl Zeros {
    /// The zero points of eight channels: those of an image again after four, all the same for any other value.
    pub(super) fn repeated(self) -> [u8; 8] {
        let [a, b, c, d] = self.0;
        [a, b, c, d, a, b, c, d]
    }

    /// Fills a row of pixels with the zero points of their channels.
    fn fill(self, row: &mut [u8], channels: usize) {
        let [first, ..] = self.0;
        if self.0 == [first; 4] {
            return row.fill(first);
        }
        for pixel in row.chunks_mut(channels.max(1)) {
            for (byte, zero) in pixel.iter_mut().zip(self.0.iter().cycle()) {
                *byte = *zero;
            }
        }
    }
}

/// The number of bytes of one row of a window, padded to whole words.
fn padded_row(geometry: &Geometry) -> usize {
    (geometry.window.kernel[1] * geometry.input.channels).next_multiple_of(4)
}

/// The number of words of packed weights per pair of output channels: one for every two places of the depth.
pub fn words(geometry: &Geometry) -> usize {
    geometry.window.kernel[0] * padded_row(geometry) / 2
}

/// The number of words of scratch memory: four columns, and a row of a window.
pub fn scratch(geometry: &Geometry) -> usize {
    words(geometry) * PIXELS + padded_row(geometry) / 4
}

impl<'a> Conv<'a> {
    /// Opens layer `index` of a file; `zero` is the output's zero point, `zeros` are the input's.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if a tensor is missing or has another type or shape, [`ModelError::Value`] if a number is out of
    /// range.
    pub fn open(model: &Model<'a>, index: u8, geometry: Geometry, zeros: Zeros, zero: u8) -> Result<Self, ModelError> {
        let outputs = geometry.output.channels;
        let weight = packed_weights(model, index, outputs, words(&geometry))?;
        let channels = Channels::open(model, index, outputs, zero)?;
        Ok(Conv { geometry: geometry.into(), weight, channels, zeros })
    }

    /// The number of multiply-accumulates of one evaluation, padding included.
    pub fn macs(&self) -> u32 {
        self.geometry.get().macs()
    }

    /// Computes the whole output.
    pub fn evaluate<K: ImageLoops>(&self, input: &[u8], output: &mut [u8], scratch: &mut [u32]) {
        let windows = Windows { geometry: self.geometry.get(), zeros: self.zeros };
        let geometry = &windows.geometry;
        let words = words(geometry);
        let Some((columns, row)) = scratch.split_at_mut_checked(words * PIXELS) else { return };
        let Some(row) = row.get_mut(..padded_row(geometry) / 4) else { return };
        let columns = columns.as_chunks_mut::<PIXELS>().0;
        let Ok(row) = bytemuck::try_cast_slice_mut(row) else { return };
        let outputs = geometry.output.channels.max(1);
        let mut corners = geometry.corners();
        for group in output.chunks_mut((PIXELS * outputs).max(1)) {
            for (place, corner) in (0..group.len() / outputs).zip(&mut corners) {
                windows.unpack::<K>(input, corner, place, columns, row);
            }
            K::group(self.weight, columns, &self.channels, group);
        }
    }
}

/// The windows of an evaluation.
struct Windows {
    geometry: Geometry,
    zeros: Zeros,
}

impl Windows {
    /// Unpacks the window at `corner` into the column at `place`.
    #[inline]
    fn unpack<K: ImageLoops>(
        &self,
        input: &[u8],
        corner: Corner,
        place: usize,
        columns: &mut [[u32; PIXELS]],
        buffer: &mut [u8],
    ) {
        let run = padded_row(&self.geometry);
        if let Some(inside) = self.inside(input, corner, run) {
            let stride = self.geometry.input.width * self.geometry.input.channels;
            return K::window(inside, run, stride, place, columns);
        }
        let columns_inside =
            corner.column >= 0 && corner.column as usize + self.geometry.window.kernel[1] <= self.geometry.input.width;
        for (row, columns) in (corner.row..).zip(columns.chunks_exact_mut((run / 2).max(1))) {
            let begin = if columns_inside { self.geometry.pixel(row, corner.column) } else { None };
            match begin.and_then(|begin| input.get(begin..begin + run)) {
                Some(bytes) => K::window(bytes, run, run, place, columns),
                None => {
                    self.border_row(input, Corner { row, column: corner.column }, buffer);
                    K::window(buffer, run, run, place, columns);
                }
            }
        }
    }

    /// The input from the window's first byte on, if the window, and the bytes that pad its rows, lie inside the input.
    #[inline]
    fn inside<'x>(&self, input: &'x [u8], corner: Corner, run: usize) -> Option<&'x [u8]> {
        let Geometry { input: shape, window, .. } = self.geometry;
        let (row, column) = (usize::try_from(corner.row).ok()?, usize::try_from(corner.column).ok()?);
        let begin = (row * shape.width + column) * shape.channels;
        let last = begin + (window.kernel[0] - 1) * shape.width * shape.channels;
        let fits = row + window.kernel[0] <= shape.height && column + window.kernel[1] <= shape.width;
        if fits && last + run <= input.len() { input.get(begin..) } else { None }
    }

    /// Puts together one row of a window that, with its padding, reaches beyond the image.
    fn border_row(&self, input: &[u8], corner: Corner, buffer: &mut [u8]) {
        let Geometry { input: shape, window, .. } = self.geometry;
        self.zeros.fill(buffer, shape.channels);
        let first = corner.column.max(0);
        let last = (corner.column + window.kernel[1] as isize).min(shape.width as isize);
        if let Some(begin) = self.geometry.pixel(corner.row, first) {
            let bytes = (last - first).max(0) as usize * shape.channels;
            let at = (first - corner.column) as usize * shape.channels;
            if let (Some(to), Some(from)) = (buffer.get_mut(at..at + bytes), input.get(begin..begin + bytes)) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }
}
