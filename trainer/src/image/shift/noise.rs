//! Additive white Gaussian noise: p + mean + sigma N(0, 1), drawn anew for every pixel of every image.

use super::{Kind, ShiftError, Transform};
use crate::dataset::Images;
use crate::host::random::{Purpose, Random};
use rayon::prelude::*;
use std::sync::Arc;

/// The kind.
pub const KIND: Kind = Kind {
    name: "awgn",
    numbers: "a standard deviation, or mean,deviation",
    what: "white Gaussian noise: p + mean + sigma N(0, 1)",
    example: "awgn:0.5",
    levels: &["awgn:0.1", "awgn:0.25", "awgn:0.5"],
    build: |numbers| match *numbers {
        [sigma] if sigma >= 0.0 => Some(Arc::new(Noise { mean: 0.0, sigma })),
        [mean, sigma] if sigma >= 0.0 => Some(Arc::new(Noise { mean, sigma })),
        _ => None,
    },
};

#[derive(Debug, Clone)]
struct Noise {
    mean: f64,
    sigma: f64,
}

impl Transform for Noise {
    fn apply(&self, images: &Images, seed: u64) -> Result<Images, ShiftError> {
        let mut noisy = images.clone();
        noisy.pixels.par_chunks_exact_mut(images.image_len()).enumerate().for_each(|(index, image)| {
            let mut random = Random::new(seed, Purpose::Noise, index as u64);
            for pixel in image {
                *pixel += (self.mean + self.sigma * random.normal()) as f32;
            }
        });
        Ok(noisy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{grey, shifted, shifted_by};

    #[test]
    fn mean_and_deviation_are_as_asked() {
        let noisy = shifted("awgn:0.1,0.5", &grey(100, 5, |_| 0.3));
        let n = noisy.pixels.len() as f32;
        let mean = noisy.pixels.iter().sum::<f32>() / n;
        let deviation = (noisy.pixels.iter().map(|p| (p - mean).powi(2)).sum::<f32>() / n).sqrt();
        // Four standard errors: 0.5 / sqrt(50,000) and that over sqrt(2).
        assert!((mean - 0.4).abs() < 9e-3 && (deviation - 0.5).abs() < 7e-3, "{mean} {deviation}");
    }

    #[test]
    fn every_image_has_its_own_noise_whatever_the_threads() {
        let images = grey(16, 20, |_| 0.0);
        let noisy = shifted("awgn:1", &images);
        let correlation: f32 = noisy.image(0).iter().zip(noisy.image(1)).map(|(a, b)| a * b).sum::<f32>() / 256.0;
        assert!(correlation.abs() < 0.25, "{correlation}");
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(one_thread.install(|| shifted("awgn:1", &images)), noisy);
        assert_eq!(shifted("awgn:1", &images.first(7)), noisy.first(7));
        assert_ne!(shifted_by("awgn:1", &images, 1), noisy);
    }
}
