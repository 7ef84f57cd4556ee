//! A crop of the image's own size from the image within a frame of zeros: it moves by whole pixels.

use super::{Change, Effect, Kind};
use crate::host::random::Random;
use std::sync::Arc;

/// The kind.
pub const KIND: Kind = Kind {
    name: "crop",
    what: "move by up to n pixels along both sides, with zeros from outside: a crop of the padded image",
    usual: 4.0,
    largest: 64.0,
    build: |pixels| Effect::Image(Arc::new(Crop { pixels: pixels as i64 })),
};

#[derive(Debug)]
struct Crop {
    pixels: i64,
}

impl Change for Crop {
    fn apply(&self, image: &mut [f32], [_, height, width]: [usize; 3], random: &mut Random) {
        let places = (2 * self.pixels + 1) as f64;
        let mut shift = || (random.uniform() * places) as i64 - self.pixels;
        let (down, right) = (shift(), shift());
        let from = image.to_vec();
        for (from, to) in from.chunks_exact(height * width).zip(image.chunks_exact_mut(height * width)) {
            for (row, to) in (0..).zip(to.chunks_exact_mut(width)) {
                let source = usize::try_from(row - down).ok().and_then(|row| from.chunks_exact(width).nth(row));
                for (column, pixel) in (0..).zip(to) {
                    let source = source.zip(usize::try_from(column - right).ok());
                    *pixel = source.and_then(|(row, at)| row.get(at).copied()).unwrap_or(0.0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::changed;
    use std::collections::BTreeSet;

    #[test]
    fn a_pixel_goes_to_every_place_within_reach_and_to_no_other() {
        let at = |row: usize, column: usize| row * 9 + column;
        let mut image = vec![0.0; 2 * 81];
        (image[at(4, 4)], image[81 + at(4, 4)]) = (1.0, 2.0);
        let mut seen = BTreeSet::new();
        for step in 0..500 {
            let moved = changed("crop:2", &image, [2, 9, 9], step);
            let place = moved.iter().position(|pixel| *pixel == 1.0).unwrap();
            assert_eq!(moved[81 + place], 2.0, "channels move together");
            assert_eq!(moved.iter().sum::<f32>(), 3.0);
            seen.insert(place);
        }
        let expected: BTreeSet<usize> = (2..7).flat_map(|row| (2..7).map(move |column| at(row, column))).collect();
        assert_eq!(seen, expected);
        // What leaves is lost: zeros come in.
        assert!((0..50).any(|step| changed("crop:4", &[1.0; 4], [1, 2, 2], step) == [0.0; 4]));
    }
}
