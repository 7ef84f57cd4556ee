//! Pixels moved away from their mean, or towards it.

use super::{Change, Effect, Kind, around};
use crate::host::random::Random;
use std::sync::Arc;

/// The kind.
pub const KIND: Kind = Kind {
    name: "contrast",
    what: "multiply the distance of pixels from the image's mean by a number from 1 - n to 1 + n",
    usual: 0.2,
    largest: 1.0,
    build: |largest| Effect::Image(Arc::new(Contrast { largest })),
};

#[derive(Debug)]
struct Contrast {
    largest: f64,
}

impl Change for Contrast {
    fn apply(&self, image: &mut [f32], _: [usize; 3], random: &mut Random) {
        let factor = (1.0 + around(random, self.largest)) as f32;
        let mean = image.iter().sum::<f32>() / image.len() as f32;
        image.iter_mut().for_each(|pixel| *pixel = mean + factor * (*pixel - mean));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::changed;

    #[test]
    fn the_mean_stays_and_distances_scale_alike() {
        let image = [0.1, 0.5, 0.9, 0.3];
        let factors = (0..500).map(|step| {
            let after = changed("contrast:0.5", &image, [1, 2, 2], step);
            assert!((after.iter().sum::<f32>() - 1.8).abs() < 1e-5);
            let factor = (after[2] - after[0]) / 0.8;
            assert!(((after[3] - after[1]) / -0.2 - factor).abs() < 1e-5);
            factor
        });
        let (least, most) = factors.fold((1.0f32, 1.0f32), |(a, b), factor| (a.min(factor), b.max(factor)));
        assert!((0.5..0.52).contains(&least) && most < 1.5001 && most > 1.48, "{least} {most}");
    }
}
