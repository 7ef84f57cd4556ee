//! Gaussian blur: every pixel becomes the mean of its neighbors, weighted by exp(-(dx^2 + dy^2) / (2 sigma^2)).

use super::{Kind, ShiftError, Transform};
use crate::dataset::Images;
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
        [sigma] if sigma > 0.0 && sigma <= 100.0 => Some(Arc::new(Blur { kernel: kernel(sigma) })),
        _ => None,
    },
};

/// The kernel of length 2 ceil(2 sigma) + 1, which is odd, so that the image does not move.
fn kernel(sigma: f64) -> Vec<f32> {
    let radius = (2.0 * sigma).ceil() as i32;
    let weights: Vec<f64> = (-radius..=radius).map(|d| (-f64::from(d * d) / (2.0 * sigma * sigma)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| (w / sum) as f32).collect()
}

#[derive(Debug, Clone)]
struct Blur {
    kernel: Vec<f32>,
}

impl Blur {
    /// Blurs along a line of `length` pixels that are `stride` apart. Beyond its ends the line is continued by its last pixels.
    fn line(&self, from: &[f32], to: &mut [f32], length: usize, stride: usize) {
        let radius = self.kernel.len() / 2;
        for at in 0..length {
            let near = |k: usize| from[(at + k).saturating_sub(radius).min(length - 1) * stride];
            to[at * stride] = self.kernel.iter().enumerate().map(|(k, w)| w * near(k)).sum();
        }
    }
}

impl Transform for Blur {
    fn apply(&self, images: &Images, _: u64) -> Result<Images, ShiftError> {
        let (height, width) = (images.height, images.width);
        let mut blurred = images.clone();
        blurred.pixels.par_chunks_exact_mut(height * width).for_each(|plane| {
            let mut across = vec![0.0; plane.len()];
            for (from, to) in plane.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
                self.line(from, to, width, 1);
            }
            for column in 0..width {
                self.line(&across[column..], &mut plane[column..], height, width);
            }
        });
        Ok(blurred)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{grey, shifted};
    use super::kernel;

    #[test]
    fn kernels_are_odd_symmetric_and_sum_to_one() {
        for (sigma, length) in [(0.3, 3), (1.0, 5), (2.5, 11)] {
            let kernel = kernel(sigma);
            assert_eq!(kernel.len(), length);
            assert!(kernel.iter().eq(kernel.iter().rev()));
            assert!((kernel.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

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
