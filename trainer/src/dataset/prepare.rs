//! From stored images to the size of a network's input: crop, then resize. The network itself normalizes.

use super::{DataError, Images};
use rayon::prelude::*;

/// Which part of an image is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Geometry {
    /// The whole image
    #[default]
    Whole,
    /// Rows and columns 4 to 23 of images of 28 x 28, the box in which MNIST's digits are drawn; otherwise the whole image
    Box,
}

/// How images become a network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prepare {
    /// Which part is used. `Box` aligns MNIST with USPS, whose digits fill their images.
    pub geometry: Geometry,
    /// Rows and columns of the result. Without a size, images are not resized.
    pub size: Option<usize>,
}

/// Largest size: ten times that of the largest known images.
const LARGEST: usize = 320;
/// Rows and columns of MNIST, and the margin around its box.
const MNIST: (usize, usize) = (28, 4);

impl Prepare {
    /// Crops and resizes.
    ///
    /// # Errors
    /// [`DataError::Resize`] if the size is 0 or above 320.
    pub fn apply(&self, images: &Images) -> Result<Images, DataError> {
        let cropped = self.geometry == Geometry::Box && (images.height, images.width) == (MNIST.0, MNIST.0);
        let margin = if cropped { MNIST.1 } else { 0 };
        let (height, width) = (images.height - 2 * margin, images.width - 2 * margin);
        let size = match self.size {
            Some(size) if size == 0 || size > LARGEST => {
                return Err(DataError::Resize { height, width, size, limit: LARGEST });
            }
            Some(size) => (size, size),
            None => (height, width),
        };
        if (size, margin) == ((images.height, images.width), 0) {
            return Ok(images.clone());
        }
        let (rows, columns) = (Resampling::new(height, size.0), Resampling::new(width, size.1));
        let plane = images.height * images.width;
        let resized = images.pixels.par_chunks_exact(plane).flat_map_iter(|plane| {
            let mut across = Vec::with_capacity(height * size.1);
            for row in plane.chunks_exact(images.width).skip(margin).take(height) {
                across.extend(columns.apply(&row[margin..], 1));
            }
            let mut down = vec![0.0; size.0 * size.1];
            for column in 0..size.1 {
                for (row, value) in rows.apply(&across[column..], size.1).enumerate() {
                    down[row * size.1 + column] = value;
                }
            }
            down
        });
        Ok(images.with_pixels([images.channels, size.0, size.1], resized.collect()))
    }
}

/// Bilinear resampling of a line of pixels, with the triangle widened when shrinking so that every pixel counts
/// (the "antialias" of other libraries): weight of source pixel j for target i ~ max(0, 1 - |j + 1/2 - c| / w),
/// c = (i + 1/2) n / m, w = max(1, n / m).
struct Resampling(Vec<(usize, Vec<f32>)>);

impl Resampling {
    /// From `from` pixels to `to`.
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let reach = scale.max(1.0);
        let taps = (0..to).map(|i| {
            let center = (i as f64 + 0.5) * scale;
            let first = (center - reach).floor().max(0.0) as usize;
            let end = ((center + reach).ceil() as usize).min(from);
            let weights: Vec<f64> =
                (first..end).map(|j| (1.0 - (j as f64 + 0.5 - center).abs() / reach).max(0.0)).collect();
            let sum: f64 = weights.iter().sum();
            (first, weights.iter().map(|w| (w / sum) as f32).collect())
        });
        Self(taps.collect())
    }

    /// The resampled line; `line` has a pixel every `stride` numbers.
    fn apply(&self, line: &[f32], stride: usize) -> impl Iterator<Item = f32> {
        self.0
            .iter()
            .map(move |(first, weights)| weights.iter().enumerate().map(|(k, w)| w * line[(first + k) * stride]).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(size: usize, pixel: impl Fn(usize, usize) -> f32) -> Images {
        let pixels = (0..size * size).map(|k| pixel(k / size, k % size)).collect();
        Images::new([1, size, size], pixels, vec![0], 1).unwrap()
    }

    fn resized(images: &Images, geometry: Geometry, size: usize) -> Images {
        Prepare { geometry, size: Some(size) }.apply(images).unwrap()
    }

    #[test]
    fn flat_images_stay_flat_and_ramps_stay_ramps() {
        for (from, to) in [(28, 16), (20, 16), (16, 16), (8, 16)] {
            let flat = resized(&grey(from, |_, _| 0.25), Geometry::Whole, to);
            assert_eq!(flat.shape(), [1, to, to]);
            assert!(flat.pixels.iter().all(|p| (p - 0.25).abs() < 1e-6), "{from} to {to}");
            // Away from the borders a ramp is kept to an eighth of a pixel, as far as a triangle of unequal taps can.
            let ramp = resized(&grey(from, |row, _| (row as f32 + 0.5) / from as f32), Geometry::Whole, to);
            for row in 2..to - 2 {
                let (found, expected) = (ramp.pixels[row * to + 5], (row as f32 + 0.5) / to as f32);
                assert!(
                    (found - expected).abs() < 0.125 / from as f32,
                    "{from} to {to}, row {row}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn halving_weighs_by_a_triangle() {
        let half = resized(&grey(4, |_, column| [8.0, 0.0, 0.0, 0.0][column]), Geometry::Whole, 2);
        // Weights 3/4, 3/4, 1/4 of the three pixels within reach, normalized.
        assert!((half.pixels[0] - 8.0 * 3.0 / 7.0).abs() < 1e-5, "{:?}", half.pixels);
    }

    #[test]
    fn the_box_is_what_is_kept_of_mnist() {
        let framed = grey(28, |row, column| f32::from((4..24).contains(&row) && (4..24).contains(&column)));
        assert!(resized(&framed, Geometry::Box, 16).pixels.iter().all(|p| (p - 1.0).abs() < 1e-6));
        assert!(resized(&framed, Geometry::Whole, 16).pixels[0] == 0.0);
        let corner = grey(28, |row, column| f32::from((row, column) == (4, 4)));
        let kept = Prepare { geometry: Geometry::Box, size: None }.apply(&corner).unwrap();
        assert_eq!((kept.shape(), kept.pixels[0]), ([1, 20, 20], 1.0));
        // Other sizes have no box.
        let usps = grey(16, |row, column| (row * column) as f32 / 256.0);
        assert_eq!(resized(&usps, Geometry::Box, 16), usps);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for size in [0, 321] {
            let error = Prepare { size: Some(size), ..Prepare::default() }.apply(&grey(4, |_, _| 0.0)).unwrap_err();
            assert!(error.to_string().contains("choose a size from 1 to 320"), "{error}");
        }
    }
}
