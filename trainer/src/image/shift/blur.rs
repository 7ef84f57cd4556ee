//! Gaussian blur, as [`crate::image::gaussian`] computes it.

use super::{Kind, ShiftError, Transform};
use crate::dataset::Images;
use crate::image::gaussian::Gaussian;
use rayon::prelude::*;
use std::sync::Arc;

/// The kind.
pub const KIND: Kind = Kind {
    name: "blur",
    numbers: "a standard deviation in pixels, above 0 and at most 100",
    what: "Gaussian blur with an odd kernel of about 4 sigma",
    example: "blur:2.5",
    levels: &["blur:0.5", "blur:1", "blur:2.5"],
    build: |numbers| match *numbers {
        [sigma] if sigma > 0.0 && sigma <= 100.0 => Some(Arc::new(Blur(Gaussian::new(sigma)))),
        _ => None,
    },
};

#[derive(Debug, Clone)]
struct Blur(Gaussian);

impl Transform for Blur {
    fn apply(&self, images: &Images, _: u64) -> Result<Images, ShiftError> {
        let (height, width) = (images.height, images.width);
        let mut blurred = images.clone();
        blurred.pixels.par_chunks_exact_mut(height * width).for_each(|plane| self.0.apply(plane, width));
        Ok(blurred)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{grey, shifted};

    #[test]
    fn a_point_becomes_a_centered_bell_of_the_same_weight() {
        let point = grey(21, 1, |k| f32::from(k == 10 * 21 + 10));
        let bell = shifted("blur:2", &point);
        assert!((bell.pixels.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let at = |row: usize, column: usize| bell.pixels[row * 21 + column];
        assert!((at(10, 8) - at(10, 12)).abs() < 1e-7 && (at(8, 10) - at(10, 8)).abs() < 1e-7);
        // exp(-(2^2) / (2 2^2))
        assert!((at(10, 12) / at(10, 10) - 0.606_53).abs() < 1e-4);
    }

    #[test]
    fn borders_do_not_darken() {
        assert!(shifted("blur:5", &grey(8, 2, |_| 0.7)).pixels.iter().all(|p| (p - 0.7).abs() < 1e-6));
    }
}
