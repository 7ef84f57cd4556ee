//! Defects of public code for such experiments, to be switched on one at a time.

use super::Part;
use crate::dataset::Images;
use crate::image::net::network::Normalization;

/// A defect. That a single seed decides needs no training of its own: [`super::findings`] counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The loss takes probabilities for logits.
    SoftmaxTwice,
    /// All images get the same noise.
    OneNoise,
    /// Validation images are a part of the chosen samples.
    ValidationInside,
    /// The autoencoder's sigmoid has to reproduce standardized images.
    StandardizedAutoencoder,
    /// A kernel of even length, which moves the image.
    EvenKernel,
    /// Images are normalized twice before they are scored.
    NormalizedTwice,
    /// Every arm ends when its own validation loss has not fallen.
    UnequalSteps,
}

/// All of them.
pub const ALL: [Defect; 7] = [
    Defect::SoftmaxTwice,
    Defect::OneNoise,
    Defect::ValidationInside,
    Defect::StandardizedAutoencoder,
    Defect::EvenKernel,
    Defect::NormalizedTwice,
    Defect::UnequalSteps,
];

impl Defect {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Defect::SoftmaxTwice => "softmax twice",
            Defect::OneNoise => "one noise for all images",
            Defect::ValidationInside => "validation inside the choice",
            Defect::StandardizedAutoencoder => "sigmoid on standardized images",
            Defect::EvenKernel => "even kernel",
            Defect::NormalizedTwice => "normalized twice for scores",
            Defect::UnequalSteps => "unequal steps",
        }
    }

    /// Whether a part has what the defect is about.
    pub fn applies(self, part: &Part) -> bool {
        match self {
            Defect::OneNoise => part.shift.starts_with("awgn"),
            Defect::EvenKernel => part.shift.starts_with("blur"),
            Defect::StandardizedAutoencoder => part.shift.starts_with("embedding"),
            _ => true,
        }
    }

    /// Whether it changes the network that all arms begin with.
    pub fn changes_source(self) -> bool {
        matches!(self, Defect::SoftmaxTwice | Defect::StandardizedAutoencoder)
    }
}

/// Images as the network's first step makes them, as if that were the data.
pub fn standardized(images: &Images, normalization: &Normalization) -> Images {
    let pixels = normalization.apply(&images.pixels, images.height * images.width);
    images.with_pixels(images.shape(), pixels)
}

/// Adds to all images what `shifted` adds to the first: the same noise.
pub fn same_noise(images: &Images, shifted: &Images) -> Images {
    let noise: Vec<f32> = shifted.image(0).iter().zip(images.image(0)).map(|(a, b)| a - b).collect();
    let pixels = images.pixels.chunks_exact(noise.len()).flat_map(|image| image.iter().zip(&noise).map(|(p, n)| p + n));
    images.with_pixels(images.shape(), pixels.collect())
}

/// Gaussian blur by a kernel of about 4 sigma whose length is even, so that it has no middle and the image moves by half a pixel.
pub fn even_blur(images: &Images, sigma: f64) -> Images {
    let length = 2 * (2.0 * sigma).round().max(1.0) as usize;
    let weights: Vec<f64> = (0..length)
        .map(|k| {
            let distance = k as f64 - (length as f64 - 1.0) / 2.0;
            (-distance * distance / (2.0 * sigma * sigma)).exp()
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    let kernel: Vec<f32> = weights.iter().map(|w| (w / sum) as f32).collect();
    let line = |from: &[f32], to: &mut [f32], n: usize, stride: usize| {
        for at in 0..n {
            let near = |k: usize| from[(at + k).saturating_sub(length / 2).min(n - 1) * stride];
            to[at * stride] = kernel.iter().enumerate().map(|(k, w)| w * near(k)).sum();
        }
    };
    let (height, width) = (images.height, images.width);
    let mut blurred = images.clone();
    for plane in blurred.pixels.chunks_exact_mut(height * width) {
        let mut across = vec![0.0; plane.len()];
        for (from, to) in plane.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
            line(from, to, width, 1);
        }
        for column in 0..width {
            line(&across[column..], &mut plane[column..], height, width);
        }
    }
    blurred
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(size: usize, at: usize) -> Images {
        let pixels = (0..2 * size * size).map(|k| f32::from(u8::from(k % (size * size) == at))).collect();
        Images::new([1, size, size], pixels, vec![0, 0], 1).unwrap()
    }

    #[test]
    fn an_even_kernel_moves_a_point_by_half_a_pixel() {
        let blurred = even_blur(&point(21, 10 * 21 + 10), 1.5);
        let center = |of: fn(usize) -> usize| -> f32 {
            blurred.image(0).iter().enumerate().map(|(k, p)| p * of(k) as f32).sum::<f32>()
        };
        let moved = [center(|k| k % 21), center(|k| k / 21)].map(|place| (place - 10.0).abs());
        assert!(moved.iter().all(|by| (by - 0.5).abs() < 1e-3), "{moved:?}");
        assert!((blurred.image(0).iter().sum::<f32>() - 1.0).abs() < 1e-4);
    }

    #[test]
    fn one_noise_is_the_same_in_all_images_and_standardized_ones_have_mean_zero() {
        let images = point(4, 5);
        let mut noisy = images.clone();
        noisy.pixels.iter_mut().enumerate().for_each(|(k, pixel)| *pixel += k as f32);
        let same = same_noise(&images, &noisy);
        assert_eq!(same.image(0), noisy.image(0));
        assert_eq!(same.image(1), same.image(0));
        let normalization = Normalization::of(&images.pixels, 1, 16);
        let flat = standardized(&images, &normalization).pixels;
        let mean = flat.iter().sum::<f32>() / 32.0;
        let square = flat.iter().map(|p| p * p).sum::<f32>() / 32.0;
        assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-3, "{mean} {square}");
    }
}
