//! How a picture becomes a network's input, as one line of text in the network's file.

use crate::background::Background;
use crate::decode::{Picture, PictureError, luma};
use crate::resample::Resampling;
use sirocco::ink::Ink;
use std::fmt;
use std::str::FromStr;

/// Which part of a picture is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// All of it.
    #[default]
    Whole,
    /// Rows and columns 4 to 23 of pictures of 28 x 28, the box in which MNIST's digits are drawn; otherwise all of it.
    Box,
    /// The box around light ink on a dark ground, made square, in gray ([`sirocco::ink`]). A picture without ink is black.
    Ink,
}

/// How a picture of another shape is fitted to the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fit {
    /// The largest part from the middle that has the network's shape.
    #[default]
    Crop,
    /// The whole picture, with margins of the background at two sides.
    Pad,
    /// The whole picture, stretched.
    Stretch,
}

/// How a picture becomes a network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preparation {
    /// Which part of the picture is used.
    pub part: Part,
    /// How it is fitted to the network's rows and columns.
    pub fit: Fit,
    /// The color that shows through transparent pixels, and with which margins are filled.
    pub background: Background,
    /// Whether every value v becomes 255 - v in the end.
    pub invert: bool,
}

/// Rows and columns of MNIST, and the margin around its box.
const MNIST: (usize, usize) = (28, 4);
/// The most rows and columns of a picture in which ink is searched; larger ones are made smaller.
const INK_SIDE: usize = 256;
/// The filter, which is the only one so far.
const FILTER: &str = "triangle";

/// A line that describes no preparation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a preparation of pictures that this version knows; use the version that wrote it")]
pub struct UnknownPreparation(String);

impl Part {
    /// The margin that is cut off all sides of a picture of this size.
    pub fn margin(self, [height, width]: [usize; 2]) -> usize {
        if self == Part::Box && (height, width) == (MNIST.0, MNIST.0) { MNIST.1 } else { 0 }
    }
}

/// The color of the margins of a picture, by channel, in 0 to 1.
fn margins(background: Background, picture: &Picture) -> Vec<f32> {
    match background {
        Background::Color(color) if picture.channels == 1 => vec![unit(luma(&color))],
        Background::Color(color) => color.map(unit).to_vec(),
        Background::Auto => (0..picture.channels).map(|channel| border(picture, channel)).collect(),
    }
}

/// The mean of the outermost pixels in a channel, in 0 to 1.
fn border(picture: &Picture, channel: usize) -> f32 {
    let Picture { height, width, channels, bytes } = picture;
    let outer = |at: usize| {
        let (row, column) = (at / width, at % width);
        row == 0 || column == 0 || row + 1 == *height || column + 1 == *width
    };
    let values = (0..height * width).filter(|at| outer(*at)).map(|at| u64::from(bytes[at * channels + channel]));
    let (sum, count) = values.fold((0, 0), |(sum, count), value| (sum + value, count + 1));
    (sum as f64 / f64::from(count.max(1)) / 255.0) as f32
}

fn unit(byte: u8) -> f32 {
    f32::from(byte) / 255.0
}

/// A part of a picture: first row and column, rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl Window {
    /// The largest window of the shape `to` in the middle of this one.
    fn cropped(self, to: [usize; 2]) -> Self {
        let Window { top, left, height, width } = self;
        let [rows, columns] = within([height, width], to);
        Window { top: top + (height - rows) / 2, left: left + (width - columns) / 2, height: rows, width: columns }
    }
}

/// Rows and columns of the largest rectangle in `outer` that has the shape `shape`, to the nearest pixel.
fn within([height, width]: [usize; 2], [rows, columns]: [usize; 2]) -> [usize; 2] {
    let nearest = |side: usize, by: usize, over: usize| ((2 * side * by + over) / (2 * over)).max(1);
    if width * rows > height * columns {
        [height, nearest(height, columns, rows).min(width)]
    } else {
        [nearest(width, rows, columns).min(height), width]
    }
}

impl Preparation {
    /// Decodes a picture file.
    ///
    /// # Errors
    /// [`PictureError`] as for [`Picture::decode`].
    pub fn decode(&self, file: &[u8]) -> Result<Picture, PictureError> {
        Picture::decode(file, self.background)
    }

    /// The input of a network that takes `channels`, rows and columns: gray or color, fitted, resampled by a triangle
    /// ([`Resampling`]), rounded to bytes, perhaps inverted.
    pub fn apply(&self, picture: &Picture, [channels, height, width]: [usize; 3]) -> Picture {
        if self.part == Part::Ink {
            return self.inked(picture, [channels, height, width]);
        }
        let picture = picture.clone().with_channels(channels);
        let fitting = Fitting::new(self, [picture.height, picture.width], [height, width]);
        let margins = if fitting.has_margins() { margins(self.background, &picture) } else { vec![0.0; channels] };
        let mut bytes = vec![0; channels * height * width];
        for (channel, margin) in margins.iter().enumerate() {
            let pixel = |row, column| unit(picture.bytes[(row * picture.width + column) * picture.channels + channel]);
            for (at, value) in fitting.plane(*margin, pixel).into_iter().enumerate() {
                let byte = (value * 255.0).round().clamp(0.0, 255.0) as u8;
                bytes[at * channels + channel] = if self.invert { 255 - byte } else { byte };
            }
        }
        Picture { height, width, channels, bytes }
    }

    /// The square around the ink, the same in every channel.
    fn inked(&self, picture: &Picture, [channels, height, width]: [usize; 3]) -> Picture {
        let mut gray = picture.clone().with_channels(1);
        let largest = gray.height.max(gray.width);
        if largest > INK_SIDE {
            let smaller = |side: usize| (side * INK_SIDE).div_ceil(largest);
            let stretch = Preparation { fit: Fit::Stretch, ..Preparation::default() };
            gray = stretch.apply(&gray, [1, smaller(gray.height), smaller(gray.width)]);
        }
        if self.invert {
            gray.bytes.iter_mut().for_each(|byte| *byte = 255 - *byte);
        }
        let mut memory = vec![0; gray.bytes.len()];
        let mut drawn = vec![0; height * width];
        // The size fits: it was made so.
        if let Ok(Some(ink)) = Ink::find(&gray.bytes, [gray.height, gray.width], &mut memory) {
            ink.draw(&gray.bytes, gray.width, &mut drawn, [height, width]);
        }
        let bytes = drawn.into_iter().flat_map(|byte| std::iter::repeat_n(byte, channels)).collect();
        Picture { height, width, channels, bytes }
    }

    /// The share of a picture of this size that a network with this many rows and columns does not see.
    pub fn cut_off(&self, [height, width]: [usize; 2], to: [usize; 2]) -> f64 {
        if self.fit != Fit::Crop || self.part == Part::Ink {
            return 0.0;
        }
        let [rows, columns] = within([height, width], to);
        1.0 - (rows * columns) as f64 / (height * width) as f64
    }
}

/// Pictures of one size, fitted to a network's rows and columns.
#[derive(Debug, Clone)]
pub struct Fitting {
    from: Window,
    /// Rows and columns of the result, and of what the picture fills of it.
    to: [usize; 2],
    inner: [usize; 2],
    resampling: Resampling,
}

impl Fitting {
    /// Pictures of `from` rows and columns as `to` rows and columns.
    pub fn new(preparation: &Preparation, from: [usize; 2], to: [usize; 2]) -> Self {
        let margin = preparation.part.margin(from);
        let part = Window { top: margin, left: margin, height: from[0] - 2 * margin, width: from[1] - 2 * margin };
        let (from, inner) = match preparation.fit {
            Fit::Crop => (part.cropped(to), to),
            Fit::Pad => (part, within(to, [part.height, part.width])),
            Fit::Stretch => (part, to),
        };
        Fitting { from, to, inner, resampling: Resampling::new([from.height, from.width], inner) }
    }

    /// Whether the fitted picture fills less than the network's input, so that margins remain around it.
    pub fn has_margins(&self) -> bool {
        self.inner != self.to
    }

    /// A channel of the result, row by row. `pixel` gives the picture's value of a row and a column, `margin` is what margins
    /// are filled with.
    pub fn plane(&self, margin: f32, pixel: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        let Window { top, left, .. } = self.from;
        let inner = self.resampling.plane(|row, column| pixel(top + row, left + column));
        if !self.has_margins() {
            return inner;
        }
        let ([height, width], [rows, columns]) = (self.to, self.inner);
        let [top, left] = [(height - rows) / 2, (width - columns) / 2];
        let mut plane = vec![margin; height * width];
        for (row, line) in inner.chunks_exact(columns).enumerate() {
            plane[(top + row) * width + left..][..columns].copy_from_slice(line);
        }
        plane
    }
}

/// Text for a list of values, each with its name, in both directions.
macro_rules! names {
    ($type:ty, $($value:path => $name:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(match self { $($value => $name),+ })
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($name => Ok($value),)+
                    _ => Err(format!("give one of {}", [$($name),+].join(", "))),
                }
            }
        }
    };
}

names!(Part, Part::Whole => "whole", Part::Box => "box", Part::Ink => "ink");
names!(Fit, Fit::Crop => "crop", Fit::Pad => "pad", Fit::Stretch => "stretch");

impl fmt::Display for Preparation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Preparation { part, fit, background, invert } = self;
        write!(
            formatter,
            "part={part} fit={fit} filter={FILTER} background={background} invert={}",
            if *invert { "yes" } else { "no" }
        )
    }
}

impl FromStr for Preparation {
    type Err = UnknownPreparation;

    fn from_str(text: &str) -> Result<Self, UnknownPreparation> {
        let parse = || -> Option<Preparation> {
            let mut words = text.split(' ');
            let mut next = |key: &str| words.next()?.strip_prefix(key)?.strip_prefix('=');
            let part = next("part")?.parse().ok()?;
            let fit = next("fit")?.parse().ok()?;
            next("filter").filter(|filter| *filter == FILTER)?;
            let background = next("background")?.parse().ok()?;
            let invert = match next("invert")? {
                "yes" => true,
                "no" => false,
                _ => return None,
            };
            words.next().is_none().then_some(Preparation { part, fit, background, invert })
        };
        parse().ok_or_else(|| UnknownPreparation(text.chars().take(120).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gray(height: usize, width: usize, pixel: impl Fn(usize, usize) -> u8) -> Picture {
        let bytes = (0..height * width).map(|at| pixel(at / width, at % width)).collect();
        Picture { height, width, channels: 1, bytes }
    }

    fn fitted(fit: Fit) -> Preparation {
        Preparation { fit, ..Preparation::default() }
    }

    #[test]
    fn each_fit_keeps_what_it_says() {
        // A bright cross of 2 columns in the middle of 12 x 24, dark at the left and at the right.
        let wide = gray(12, 24, |_, column| if (6..18).contains(&column) { 200 } else { 40 });
        let crop = fitted(Fit::Crop).apply(&wide, [1, 6, 6]);
        assert!(crop.bytes.iter().all(|byte| *byte == 200), "{crop:?}");
        let pad = fitted(Fit::Pad).apply(&wide, [1, 8, 8]);
        // Four rows of the picture between margins; the outermost pixels are 24 bright ones of 68.
        assert_eq!((pad.bytes[0], pad.bytes[8 * 2], pad.bytes[8 * 4 + 4]), (96, 40, 200));
        let black = Preparation { background: Background::Color([0; 3]), ..fitted(Fit::Pad) };
        assert_eq!(black.apply(&wide, [1, 8, 8]).bytes[..16], [0; 16]);
        let stretch = fitted(Fit::Stretch).apply(&wide, [1, 4, 4]);
        assert_eq!((stretch.bytes[0] < 80, stretch.bytes[1] > 160), (true, true), "{stretch:?}");
        assert_eq!(fitted(Fit::Crop).cut_off([12, 24], [6, 6]), 0.5);
        assert_eq!(fitted(Fit::Pad).cut_off([12, 24], [6, 6]), 0.0);
    }

    #[test]
    fn a_picture_of_the_networks_size_passes_unchanged_and_may_be_inverted() {
        let picture = Picture { channels: 3, ..gray(4, 9, |row, column| (row * 60 + column) as u8) };
        let picture = Picture { width: 3, ..picture };
        for fit in [Fit::Crop, Fit::Pad, Fit::Stretch] {
            assert_eq!(fitted(fit).apply(&picture, [3, 4, 3]), picture);
            let inverted = Preparation { invert: true, ..fitted(fit) }.apply(&picture, [3, 4, 3]);
            assert!(inverted.bytes.iter().zip(&picture.bytes).all(|(a, b)| *a == 255 - b));
        }
    }

    #[test]
    fn the_box_is_cut_out_of_digits() {
        let framed = gray(28, 28, |row, column| u8::from((4..24).contains(&row) && (4..24).contains(&column)) * 255);
        let boxed = Preparation { part: Part::Box, ..Preparation::default() };
        assert!(boxed.apply(&framed, [1, 16, 16]).bytes.iter().all(|byte| *byte == 255));
        assert_eq!(Preparation::default().apply(&framed, [1, 16, 16]).bytes[0], 0);
    }

    #[test]
    fn ink_is_found_in_pictures_of_any_size_and_drawn_alike() {
        let ink = Preparation { part: Part::Ink, ..Preparation::default() };
        // A ring of a third of the picture's width, somewhere, on a ground of 40.
        let ring = |size: usize| {
            gray(size, size, move |row, column| {
                let from = |at: usize, center: usize| at as f64 - (size * center) as f64 / 10.0;
                let radius = from(row, 4).hypot(from(column, 6)) / size as f64;
                if (0.1..0.17).contains(&radius) { 220 } else { 40 }
            })
        };
        let small = ink.apply(&ring(60), [1, 16, 16]);
        for size in [90, 300, 700] {
            let other = ink.apply(&ring(size), [1, 16, 16]);
            let apart: u32 = small.bytes.iter().zip(&other.bytes).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            // A box ends at whole pixels, of which the smallest ring has 20.
            assert!(apart < 20 * 256, "{size}: {} on average", apart / 256);
        }
        assert!(small.bytes[16 * 8 + 1] > 128 && small.bytes[16 * 8 + 8] < 32, "{small:?}");
        let dark = Picture { bytes: ring(60).bytes.iter().map(|byte| 255 - byte).collect(), ..ring(60) };
        assert_eq!(Preparation { invert: true, ..ink }.apply(&dark, [1, 16, 16]), small);
        assert_eq!(ink.apply(&gray(9, 9, |_, _| 77), [1, 4, 4]).bytes, [0; 16]);
    }

    fn preparations() -> impl Strategy<Value = Preparation> {
        let background = prop_oneof![Just(Background::Auto), any::<[u8; 3]>().prop_map(Background::Color)];
        let fit = prop_oneof![Just(Fit::Crop), Just(Fit::Pad), Just(Fit::Stretch)];
        let part = prop_oneof![Just(Part::Whole), Just(Part::Box), Just(Part::Ink)];
        (part, fit, background, any::<bool>()).prop_map(|(part, fit, background, invert)| Preparation {
            part,
            fit,
            background,
            invert,
        })
    }

    proptest! {
        #[test]
        fn text_gives_back_what_it_was_written_from(preparation in preparations()) {
            prop_assert_eq!(preparation.to_string().parse(), Ok(preparation));
        }

        #[test]
        fn other_text_is_refused(text in "(part=whole )?(fit=crop )?(filter=[a-z]* )?.{0,20}") {
            prop_assert!(text.parse::<Preparation>().is_err());
        }

        #[test]
        fn any_picture_fits_any_network(
            preparation in preparations(),
            [height, width] in [1usize..40, 1usize..40],
            [rows, columns] in [1usize..20, 1usize..20],
            color in any::<bool>(),
        ) {
            let picture = gray(height, width, |row, column| (row * 31 + column * 7) as u8);
            let channels = if color { 3 } else { 1 };
            let input = preparation.apply(&picture, [channels, rows, columns]);
            prop_assert_eq!(input.bytes.len(), channels * rows * columns);
        }
    }
}
