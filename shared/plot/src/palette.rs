//! Colors that people with any kind of color vision can tell apart, on light and on dark backgrounds.

use std::fmt::{self, Display};

/// A color of a drawing; its text is SVG's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// The color of the page's text.
    Ink,
    /// Red, green and blue.
    Rgb(u8, u8, u8),
}

impl Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Color::Ink => f.write_str("currentColor"),
            Color::Rgb(red, green, blue) => write!(f, "#{red:02X}{green:02X}{blue:02X}"),
        }
    }
}

/// Qualitative colors (Okabe and Ito, 2008), without black and yellow, which vanish on dark or light backgrounds.
const QUALITATIVE: [Color; 6] = [
    Color::Rgb(0x00, 0x72, 0xB2),
    Color::Rgb(0xD5, 0x5E, 0x00),
    Color::Rgb(0x00, 0x9E, 0x73),
    Color::Rgb(0xCC, 0x79, 0xA7),
    Color::Rgb(0xE6, 0x9F, 0x00),
    Color::Rgb(0x56, 0xB4, 0xE9),
];

/// Evenly spaced stops of the viridis map (van der Walt and Smith, 2015): lightness rises evenly with the value.
const VIRIDIS: [[u8; 3]; 11] = [
    [68, 1, 84],
    [72, 36, 117],
    [65, 68, 135],
    [53, 95, 141],
    [42, 120, 142],
    [33, 145, 140],
    [34, 168, 132],
    [68, 191, 112],
    [122, 209, 81],
    [189, 223, 38],
    [253, 231, 37],
];

/// The color of series number `index`; colors repeat after six.
pub fn qualitative(index: usize) -> Color {
    QUALITATIVE[index % QUALITATIVE.len()]
}

/// The color of a position in the value range, from 0 (dark blue) to 1 (yellow).
pub fn sequential(share: f64) -> Color {
    let last = VIRIDIS.len() - 1;
    let at = share.clamp(0.0, 1.0) * last as f64;
    let low = (at as usize).min(last - 1);
    let mix = |k: usize| {
        let (a, b) = (f64::from(VIRIDIS[low][k]), f64::from(VIRIDIS[low + 1][k]));
        (a + (b - a) * (at - low as f64)).round() as u8
    };
    Color::Rgb(mix(0), mix(1), mix(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lightness_rises_with_the_value() {
        let light = |color: Color| match color {
            Color::Rgb(r, g, b) => 0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b),
            Color::Ink => panic!("ink is not a color of a map"),
        };
        let all: Vec<f64> = (0..=50).map(|k| light(sequential(f64::from(k) / 50.0))).collect();
        assert!(all.windows(2).all(|w| w[1] > w[0]), "{all:?}");
        assert_eq!(sequential(f64::NAN.max(0.0)), Color::Rgb(68, 1, 84));
        assert_eq!(sequential(2.0), Color::Rgb(253, 231, 37));
    }
}
