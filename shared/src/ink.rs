//! Where the ink is: brings handwriting or print of any size and place to one geometry, before a network sees it.
//!
//! Most of what sets one source of digits apart from another is how large they are drawn and where. The box around the ink, made
//! square and resampled, removes that: a digit of MNIST becomes as large as one of USPS, and a patch from a camera as both. Light
//! ink on a dark ground is expected; invert first otherwise.
//!
//! 1. The ground is the value that a quarter of all pixels do not exceed. Its scatter is how far that lies above the value
//!    that a fiftieth do not exceed, so that ink, which is lighter, does not count. The peak is the largest value.
//! 2. Ink is what exceeds the ground by a tenth of the range up to the peak, and by four times the scatter: uneven light and noise
//!    raise the threshold.
//! 3. Specks do not count: of the connected pieces of ink (eight neighbors), those with less than a sixteenth of the pixels of the
//!    largest.
//! 4. The box around the rest becomes a square, with as much ground on both sides of the shorter side (one pixel more at its end if
//!    that is odd), and is resampled by a triangle as wide as a pixel of the smaller image, which keeps fine lines.
//! 5. Ground becomes 0 and peak 255.
//!
//! All of it in integers, so that training and every device have the same bytes. The resampling of 28 x 28 pixels to 16 x 16 takes
//! some 4,000 products.

/// Share of pixels that do not exceed the ground, as a divisor.
const GROUND: usize = 4;
/// Share of pixels that do not exceed the bottom of the ground's scatter, as a divisor.
const BOTTOM: usize = 50;
/// The threshold above the ground, in scatters.
const SCATTERS: u32 = 4;
/// The least threshold, as a divisor of the range from ground to peak.
const RANGE: u32 = 10;
/// The least range from ground to peak: less is no ink, but noise of a camera.
const LEAST_RANGE: u8 = 16;
/// The least piece of ink that counts, as a divisor of the largest.
const SPECK: u32 = 16;
/// The most pixels of an image: pieces of ink are told apart by 16-bit numbers.
pub const MAX_PIXELS: usize = 1 << 16;

/// Why there is no box around the ink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InkError {
    /// The image has another number of bytes than rows times columns, none, or more than [`MAX_PIXELS`].
    #[error("the image has {got} bytes, its rows and columns make {wanted}, of at most 65536")]
    Size {
        /// Bytes there are.
        got: usize,
        /// Rows times columns.
        wanted: usize,
    },
    /// The memory has fewer words than the image has pixels.
    #[error("the memory has {got} words, the image needs {wanted}")]
    Memory {
        /// Words there are.
        got: usize,
        /// Words needed.
        wanted: usize,
    },
}

/// The box around the ink of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ink {
    /// Its first row.
    pub top: usize,
    /// Its first column.
    pub left: usize,
    /// Its rows.
    pub height: usize,
    /// Its columns.
    pub width: usize,
    /// The value of the ground.
    pub ground: u8,
    /// The largest value.
    pub peak: u8,
}

impl Ink {
    /// Finds the ink of a gray image of `rows` times `columns` bytes; `None` where there is none. `memory` has a word for each pixel;
    /// what it holds does not matter.
    ///
    /// # Errors
    /// [`InkError`] if the image or the memory has the wrong size.
    pub fn find(image: &[u8], [rows, columns]: [usize; 2], memory: &mut [u32]) -> Result<Option<Self>, InkError> {
        let wanted = rows.saturating_mul(columns);
        if image.len() != wanted || wanted == 0 || wanted > MAX_PIXELS {
            return Err(InkError::Size { got: image.len(), wanted });
        }
        let got = memory.len();
        let pieces = memory.get_mut(..wanted).ok_or(InkError::Memory { got, wanted })?;
        // Not zero, as there are pixels; the compiler does not know.
        let columns = columns.max(1);
        let Some((ground, threshold, peak)) = levels(image) else { return Ok(None) };
        let largest = connect(image, columns, threshold, pieces);
        let (mut first, mut last) = ([rows, columns], [0, 0]);
        for at in (0..wanted).filter(|at| image.get(*at).is_some_and(|value| *value > threshold)) {
            let top = root(pieces, at);
            if area(pieces, top).saturating_mul(SPECK) < largest {
                continue;
            }
            for ((first, last), here) in first.iter_mut().zip(&mut last).zip([at / columns, at % columns]) {
                *first = here.min(*first);
                *last = here.max(*last);
            }
        }
        let ([top, left], [bottom, right]) = (first, last);
        let side = |first: usize, last: usize| (last + 1).saturating_sub(first);
        let (height, width) = (side(top, bottom), side(left, right));
        Ok((height > 0 && width > 0).then_some(Ink { top, left, height, width, ground, peak }))
    }

    /// Draws the square around the ink of `image`, which has `columns` columns, into `out`: `rows` times `wide` bytes, row by row.
    pub fn draw(&self, image: &[u8], columns: usize, out: &mut [u8], [rows, wide]: [usize; 2]) {
        let side = self.height.max(self.width);
        // Ground before and after the shorter side; the first row and column of the square may lie before the image.
        let (above, before) = ((side - self.height) / 2, (side - self.width) / 2);
        let range = u64::from(self.peak.saturating_sub(self.ground)).max(1);
        let value = |row: usize, column: usize| {
            let inside = |at: usize, gap: usize, length: usize| at.checked_sub(gap).filter(|at| *at < length);
            let at = inside(row, above, self.height).zip(inside(column, before, self.width));
            let at = at.map(|(row, column)| (self.top + row) * columns + self.left + column);
            let value = at.and_then(|at| image.get(at)).copied().unwrap_or(self.ground);
            u64::from(value.min(self.peak).saturating_sub(self.ground))
        };
        for row in 0..rows {
            let first = row.saturating_mul(wide);
            let Some(line) = out.get_mut(first..first.saturating_add(wide)) else { break };
            for (column, out) in line.iter_mut().enumerate() {
                let (mut sum, mut total) = (0, 0);
                for (y, down) in taps(row, side, rows) {
                    let (mut across, mut weights) = (0, 0);
                    for (x, weight) in taps(column, side, wide) {
                        across += weight * value(y, x);
                        weights += weight;
                    }
                    sum += down * across;
                    total += down * weights;
                }
                // Rounded to nearest, halves up. No pixel is without weight.
                let whole = total * range;
                let byte = (sum * 255 * 2 + whole).checked_div(2 * whole);
                *out = byte.map_or(0, |byte| byte.min(255) as u8);
            }
        }
    }
}

/// The pixels of `from` that the pixel `at` of `to` sees, with their weights: a triangle around its center, as wide as two pixels of
/// the coarser of both.
fn taps(at: usize, from: usize, to: usize) -> impl Iterator<Item = (usize, u64)> {
    // In units of half a pixel of an image with `from` times `to` pixels.
    let (center, radius) = ((2 * at + 1) * from, 2 * from.max(to));
    let first = center.saturating_sub(radius) / (2 * to).max(1);
    let place = move |pixel: usize| (2 * pixel + 1) * to;
    (first..from).take_while(move |pixel| place(*pixel) < center + radius).filter_map(move |pixel| {
        let weight = radius.saturating_sub(place(pixel).abs_diff(center));
        (weight > 0).then_some((pixel, weight as u64))
    })
}

/// Ground, threshold and peak of an image; `None` if it is the same all over.
fn levels(image: &[u8]) -> Option<(u8, u8, u8)> {
    let mut histogram = [0u32; 256];
    for value in image {
        if let Some(count) = histogram.get_mut(usize::from(*value)) {
            *count += 1;
        }
    }
    let quantile = |wanted: usize| {
        let wanted = wanted as u32;
        let mut below = 0;
        let reached = histogram.iter().position(|count| {
            below += count;
            below > wanted
        });
        reached.unwrap_or(255) as u32
    };
    let (ground, bottom) = (quantile(image.len() / GROUND), quantile(image.len() / BOTTOM));
    let peak = u32::from(image.iter().copied().max()?);
    let range = peak.saturating_sub(ground);
    let above = (range / RANGE).max(SCATTERS * (ground - bottom.min(ground)));
    (range >= u32::from(LEAST_RANGE) && above < range).then_some((ground as u8, (ground + above) as u8, peak as u8))
}

// A word of the memory holds a pixel's parent, which is itself at a root, below 16 bits of its piece's pixels less one, which count
// at roots only.

fn parent(pieces: &[u32], at: usize) -> usize {
    pieces.get(at).map_or(0, |word| (word & 0xFFFF) as usize)
}

/// The pixels of the piece with this root.
fn area(pieces: &[u32], root: usize) -> u32 {
    pieces.get(root).map_or(0, |word| (word >> 16) + 1)
}

/// The root of a pixel's piece. Every visit halves the way to it.
fn root(pieces: &mut [u32], mut at: usize) -> usize {
    // Parents come before their children, so that this ends.
    loop {
        let up = parent(pieces, at);
        if up >= at {
            return at;
        }
        let further = parent(pieces, up);
        if let Some(word) = pieces.get_mut(at) {
            *word = further as u32;
        }
        at = further;
    }
}

/// Joins neighboring pixels above the threshold, and returns the pixels of the largest piece.
fn connect(image: &[u8], columns: usize, threshold: u8, pieces: &mut [u32]) -> u32 {
    // Not zero, as there are pixels; the compiler does not know.
    let (columns, mut largest) = (columns.max(1), 0);
    let ink = |at: usize| image.get(at).is_some_and(|value| *value > threshold);
    for at in (0..image.len()).filter(|at| ink(*at)) {
        if let Some(word) = pieces.get_mut(at) {
            *word = at as u32;
        }
        let column = at % columns;
        let before = [
            (column > 0).then(|| at.checked_sub(1)),
            (column > 0).then(|| at.checked_sub(columns + 1)),
            Some(at.checked_sub(columns)),
            (column + 1 < columns).then(|| at.checked_sub(columns.saturating_sub(1))),
        ];
        for neighbor in before.into_iter().flatten().flatten().filter(|neighbor| ink(*neighbor)) {
            let (a, b) = (root(pieces, at), root(pieces, neighbor));
            let (upper, lower) = (a.min(b), a.max(b));
            if upper != lower {
                let both = (area(pieces, upper) + area(pieces, lower) - 1).min(0xFFFF);
                if let Some(word) = pieces.get_mut(lower) {
                    *word = upper as u32;
                }
                if let Some(word) = pieces.get_mut(upper) {
                    *word = upper as u32 | both << 16;
                }
            }
        }
        let top = root(pieces, at);
        largest = largest.max(area(pieces, top));
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn find(image: &[u8], columns: usize) -> Option<Ink> {
        let mut memory = vec![0xDEAD_BEEF; image.len()];
        Ink::find(image, [image.len() / columns, columns], &mut memory).unwrap()
    }

    /// An image of 40 x 30 with this ground and rectangles of ink: top, left, height, width, value.
    fn drawn(ground: impl Fn(usize, usize) -> u8, boxes: &[[usize; 5]]) -> Vec<u8> {
        let mut image: Vec<u8> = (0..1200).map(|at| ground(at / 30, at % 30)).collect();
        for [top, left, height, width, value] in boxes {
            for at in (0..height * width).map(|k| (top + k / width) * 30 + left + k % width) {
                image[at] = *value as u8;
            }
        }
        image
    }

    fn place(ink: Ink) -> [usize; 4] {
        [ink.top, ink.left, ink.height, ink.width]
    }

    #[test]
    fn the_box_is_around_all_pieces_of_ink() {
        let image = drawn(|_, _| 0, &[[5, 10, 12, 4, 255], [20, 9, 3, 8, 30]]);
        assert_eq!(find(&image, 30).map(place), Some([5, 9, 18, 8]));
        // A tenth of the peak is ground, as are images without anything on them.
        let faint = drawn(|_, _| 0, &[[5, 10, 12, 4, 255], [20, 9, 3, 8, 25]]);
        assert_eq!(find(&faint, 30).map(place), Some([5, 10, 12, 4]));
        assert_eq!(find(&[7; 1200], 30), None);
        assert_eq!(find(&drawn(|_, _| 100, &[[1, 1, 9, 9, 112]]), 30), None, "contrast of 12 in 255");
    }

    #[test]
    fn specks_do_not_count_and_dots_do() {
        let stroke = [5, 10, 20, 5, 220];
        let specks = [[0, 0, 1, 1, 255], [39, 29, 1, 1, 255], [0, 20, 2, 3, 255]];
        assert_eq!(find(&drawn(|_, _| 10, &[&[stroke][..], &specks].concat()), 30).map(place), Some([5, 10, 20, 5]));
        // A dot of a twelfth of the stroke.
        let dot = [1, 11, 3, 3, 220];
        assert_eq!(find(&drawn(|_, _| 10, &[stroke, dot]), 30).map(place), Some([1, 10, 24, 5]));
    }

    #[test]
    fn uneven_light_and_noise_raise_the_threshold() {
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 29) as u8
        };
        let light: Vec<u8> = drawn(|row, column| 40 + row as u8 / 2 + column as u8, &[]);
        let mut image = drawn(|row, column| light[row * 30 + column], &[[10, 8, 20, 6, 190], [12, 14, 4, 9, 200]]);
        image.iter_mut().for_each(|value| *value += noise());
        assert_eq!(find(&image, 30).map(place), Some([10, 8, 20, 15]));
    }

    #[test]
    fn wrong_sizes_are_refused() {
        let mut memory = [0; 100];
        assert_eq!(Ink::find(&[0; 9], [3, 4], &mut memory), Err(InkError::Size { got: 9, wanted: 12 }));
        assert_eq!(Ink::find(&[], [0, 4], &mut memory), Err(InkError::Size { got: 0, wanted: 0 }));
        assert_eq!(Ink::find(&[0; 144], [12, 12], &mut memory), Err(InkError::Memory { got: 100, wanted: 144 }));
        assert!(Ink::find(&vec![0; 1 << 17], [1 << 9, 1 << 8], &mut memory).is_err());
    }

    /// The square, drawn by the definition in floating point.
    fn reference(ink: &Ink, image: &[u8], columns: usize, to: usize) -> Vec<f64> {
        let side = ink.height.max(ink.width);
        let (above, before) = ((side - ink.height) / 2, (side - ink.width) / 2);
        let range = f64::from(ink.peak - ink.ground);
        let at = |row: usize, column: usize| {
            let (row, column) = (row.checked_sub(above)?, column.checked_sub(before)?);
            (row < ink.height && column < ink.width).then(|| image[(ink.top + row) * columns + ink.left + column])
        };
        let scale = side as f64 / to as f64;
        let weight = |to: usize, from: usize| {
            (1.0 - ((from as f64 + 0.5) - (to as f64 + 0.5) * scale).abs() / scale.max(1.0)).max(0.0)
        };
        let value = |row: usize, column: usize| {
            let all = (0..side * side).map(|k| (k / side, k % side));
            let (sum, total) = all.fold((0.0, 0.0), |(sum, total), (y, x)| {
                let weight = weight(row, y) * weight(column, x);
                let value = at(y, x).map_or(0.0, |v| f64::from(v.clamp(ink.ground, ink.peak) - ink.ground) / range);
                (sum + weight * value, total + weight)
            });
            255.0 * sum / total
        };
        (0..to * to).map(|k| value(k / to, k % to)).collect()
    }

    proptest! {
        #[test]
        fn the_square_is_that_of_the_definition(
            image in proptest::collection::vec(0u8.., 12 * 17),
            place in (0usize..6, 0usize..9, 1usize..6, 1usize..8),
            to in 1usize..20,
        ) {
            let (top, left, height, width) = place;
            let ink = Ink { top, left, height, width, ground: 20, peak: 230 };
            let mut out = vec![0; to * to];
            ink.draw(&image, 17, &mut out, [to, to]);
            for (byte, right) in out.iter().zip(reference(&ink, &image, 17, to)) {
                prop_assert!((f64::from(*byte) - right).abs() <= 0.5 + 1e-9, "{byte} for {right}");
            }
        }

        /// Any image has a box within it that touches ink on all four sides, or none; and a second look at the drawn square is
        /// nearly the first.
        #[test]
        fn boxes_touch_ink(image in proptest::collection::vec(prop_oneof![3 => Just(0u8), 1 => 0u8..], 20 * 25)) {
            if let Some(ink) = find(&image, 25) {
                prop_assert!(ink.top + ink.height <= 20 && ink.left + ink.width <= 25);
                let (_, threshold, _) = levels(&image).unwrap();
                let lit = |row: usize, column: usize| image[row * 25 + column] > threshold;
                let columns = || ink.left..ink.left + ink.width;
                let rows = || ink.top..ink.top + ink.height;
                prop_assert!(columns().any(|c| lit(ink.top, c)) && columns().any(|c| lit(ink.top + ink.height - 1, c)));
                prop_assert!(rows().any(|r| lit(r, ink.left)) && rows().any(|r| lit(r, ink.left + ink.width - 1)));
            }
        }
    }

    #[test]
    fn a_box_that_fills_the_image_already_stays_as_it_is() {
        let image: Vec<u8> = (0..256u32).map(|at| if at % 16 == at / 16 || at % 5 == 0 { 255 } else { 0 }).collect();
        let ink = find(&image, 16).unwrap();
        assert_eq!(place(ink), [0, 0, 16, 16]);
        let mut out = vec![0; 256];
        ink.draw(&image, 16, &mut out, [16, 16]);
        assert_eq!(out, image);
    }
}
