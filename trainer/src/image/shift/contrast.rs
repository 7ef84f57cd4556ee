//! Shifts that treat every pixel of a channel alike: contrast 1/2 + c (p - 1/2), brightness p + b, channels p + b_c.

use super::{Kind, ShiftError, Transform};
use crate::dataset::Images;
use std::sync::Arc;

/// Contrast.
pub const CONTRAST: Kind = Kind {
    name: "contrast",
    numbers: "a factor; -1 makes white black",
    what: "contrast about the middle grey: 1/2 + c (p - 1/2)",
    example: "contrast:0.4",
    levels: &["contrast:0.7", "contrast:0.4", "contrast:0.2"],
    build: |numbers| match *numbers {
        [factor] => Some(Arc::new(Affine { factor: factor as f32, offsets: vec![0.5 - 0.5 * factor as f32] })),
        _ => None,
    },
};

/// Brightness.
pub const BRIGHTNESS: Kind = Kind {
    name: "brightness",
    numbers: "a number that is added",
    what: "brightness: p + b",
    example: "brightness:0.3",
    levels: &["brightness:-0.3", "brightness:0.15", "brightness:0.3"],
    build: |numbers| match *numbers {
        [offset] => Some(Arc::new(Affine { factor: 1.0, offsets: vec![offset as f32] })),
        _ => None,
    },
};

/// Channels.
pub const CHANNEL: Kind = Kind {
    name: "channel",
    numbers: "three numbers that are added to red, green and blue (a grey image takes their mean)",
    what: "a tint: p + b of its channel",
    example: "channel:0.2,0,-0.2",
    levels: &["channel:0.1,0,-0.1", "channel:0.2,0,-0.2", "channel:-0.2,0,0.2"],
    build: |numbers| match *numbers {
        [red, green, blue] => {
            Some(Arc::new(Affine { factor: 1.0, offsets: [red, green, blue].map(|b| b as f32).into() }))
        }
        _ => None,
    },
};

/// factor p + offset, with one offset for all channels or one for each.
#[derive(Debug, Clone)]
struct Affine {
    factor: f32,
    offsets: Vec<f32>,
}

impl Transform for Affine {
    fn apply(&self, images: &Images, _: u64) -> Result<Images, ShiftError> {
        let mut shifted = images.clone();
        let mean = self.offsets.iter().sum::<f32>() / self.offsets.len() as f32;
        for (index, plane) in shifted.pixels.chunks_exact_mut(images.height * images.width).enumerate() {
            let own = self.offsets.get(index % images.channels);
            let offset = *own.filter(|_| images.channels == self.offsets.len()).unwrap_or(&mean);
            for pixel in plane {
                *pixel = self.factor * *pixel + offset;
            }
        }
        Ok(shifted)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::shifted;
    use crate::dataset::Images;

    #[test]
    fn every_channel_gets_its_own_offset() {
        let color = Images::new([3, 1, 1], vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6], vec![0, 0], 1).unwrap();
        assert_eq!(shifted("channel:1,2,3", &color).pixels, [1.1, 2.2, 3.3, 1.4, 2.5, 3.6]);
        assert_eq!(shifted("brightness:1", &color).pixels, [1.1, 1.2, 1.3, 1.4, 1.5, 1.6]);
        assert_eq!(shifted("contrast:0", &color).pixels, [0.5; 6]);
        assert_eq!(shifted("contrast:-1", &color).pixels, color.pixels.iter().map(|p| 1.0 - p).collect::<Vec<_>>());
        let grey = Images::new([1, 1, 1], vec![0.5], vec![0], 1).unwrap();
        assert_eq!(shifted("channel:1,2,3", &grey).pixels, [2.5]);
    }
}
