//! From stored images to the size of a network's input, as pictures are prepared ([`sirocco_pictures`]). The network itself
//! normalizes.

use super::{DataError, Images};
use rayon::prelude::*;
use sirocco_pictures::{Fitting, Part, Picture, Preparation};

/// Largest size: ten times that of the largest known images.
const LARGEST: usize = 320;

/// Fits images to `size` rows and columns. Without a size, they are only cut to the part that is used.
///
/// # Errors
/// [`DataError::Resize`] if the size is 0 or above 320.
pub fn prepare(images: &Images, preparation: &Preparation, size: Option<[usize; 2]>) -> Result<Images, DataError> {
    let (height, width) = (images.height, images.width);
    let margin = preparation.part.margin([height, width]);
    let size = match size {
        Some(size) if size.iter().any(|side| *side == 0 || *side > LARGEST) => {
            return Err(DataError::Resize { height, width, size, limit: LARGEST });
        }
        Some(size) => size,
        None => [height - 2 * margin, width - 2 * margin],
    };
    let shape = [images.channels, size[0], size[1]];
    if preparation.part == Part::Ink {
        return Ok(images.with_pixels(shape, inked(images, preparation, shape)));
    }
    if (size, margin, preparation.invert) == ([height, width], 0, false) {
        return Ok(images.clone());
    }
    let fitting = Fitting::new(preparation, [height, width], size);
    let prepared = images.pixels.par_chunks_exact(height * width).flat_map_iter(|plane| {
        let mut prepared = fitting.plane(0.0, |row, column| plane[row * width + column]);
        if preparation.invert {
            prepared.iter_mut().for_each(|pixel| *pixel = 1.0 - *pixel);
        }
        prepared
    });
    Ok(images.with_pixels(shape, prepared.collect()))
}

/// The ink of every image. It is searched in bytes, as a device does.
fn inked(images: &Images, preparation: &Preparation, shape: [usize; 3]) -> Vec<f32> {
    let (height, width, channels) = (images.height, images.width, images.channels);
    let of_image = |image: &[f32]| {
        let at = |k: usize| image[k % channels * height * width + k / channels];
        let bytes = (0..image.len()).map(|k| (255.0 * at(k)).round() as u8).collect();
        let drawn = preparation.apply(&Picture { height, width, channels, bytes }, shape);
        // Every channel is the same.
        let plane: Vec<f32> = drawn.bytes.iter().step_by(channels).map(|byte| f32::from(*byte) / 255.0).collect();
        plane.repeat(channels)
    };
    images.pixels.par_chunks_exact(channels * height * width).flat_map_iter(of_image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(size: usize, pixel: impl Fn(usize, usize) -> f32) -> Images {
        let pixels = (0..size * size).map(|k| pixel(k / size, k % size)).collect();
        Images::new([1, size, size], pixels, vec![0], 1).unwrap()
    }

    fn part(part: Part) -> Preparation {
        Preparation { part, ..Preparation::default() }
    }

    fn resized(images: &Images, geometry: Part, size: usize) -> Images {
        prepare(images, &part(geometry), Some([size, size])).unwrap()
    }

    #[test]
    fn flat_images_stay_flat_and_ramps_stay_ramps() {
        for (from, to) in [(28, 16), (20, 16), (16, 16), (8, 16)] {
            let flat = resized(&grey(from, |_, _| 0.25), Part::Whole, to);
            assert_eq!(flat.shape(), [1, to, to]);
            assert!(flat.pixels.iter().all(|p| (p - 0.25).abs() < 1e-6), "{from} to {to}");
            // Away from the borders a ramp is kept to an eighth of a pixel, as far as a triangle of unequal taps can.
            let ramp = resized(&grey(from, |row, _| (row as f32 + 0.5) / from as f32), Part::Whole, to);
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
        let half = resized(&grey(4, |_, column| [8.0, 0.0, 0.0, 0.0][column]), Part::Whole, 2);
        // Weights 3/4, 3/4, 1/4 of the three pixels within reach, normalized.
        assert!((half.pixels[0] - 8.0 * 3.0 / 7.0).abs() < 1e-5, "{:?}", half.pixels);
    }

    #[test]
    fn the_box_is_what_is_kept_of_mnist() {
        let framed = grey(28, |row, column| f32::from((4..24).contains(&row) && (4..24).contains(&column)));
        assert!(resized(&framed, Part::Box, 16).pixels.iter().all(|p| (p - 1.0).abs() < 1e-6));
        assert!(resized(&framed, Part::Whole, 16).pixels[0] == 0.0);
        let corner = grey(28, |row, column| f32::from((row, column) == (4, 4)));
        let kept = prepare(&corner, &part(Part::Box), None).unwrap();
        assert_eq!((kept.shape(), kept.pixels[0]), ([1, 20, 20], 1.0));
        // Other sizes have no box.
        let usps = grey(16, |row, column| (row * column) as f32 / 256.0);
        assert_eq!(resized(&usps, Part::Box, 16), usps);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for size in [0, 321] {
            let error = prepare(&grey(4, |_, _| 0.0), &Preparation::default(), Some([size, size])).unwrap_err();
            assert!(error.to_string().contains("choose a size from 1 to 320"), "{error}");
        }
    }
}
