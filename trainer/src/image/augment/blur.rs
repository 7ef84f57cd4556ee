//! Gaussian blur, as of a lens out of focus.

use super::{Change, Effect, Kind};
use crate::host::random::Random;
use crate::image::gaussian::Gaussian;
use std::sync::Arc;

/// The kind.
pub const KIND: Kind = Kind {
    name: "blur",
    what: "Gaussian blur with a standard deviation from 0 to n pixels",
    usual: 1.0,
    largest: 10.0,
    build: |largest| Effect::Image(Arc::new(Blur { largest })),
};

/// A standard deviation below this leaves an image as it is.
const SHARP: f64 = 1e-3;

#[derive(Debug)]
struct Blur {
    largest: f64,
}

impl Change for Blur {
    fn apply(&self, image: &mut [f32], [_, height, width]: [usize; 3], random: &mut Random) {
        let deviation = self.largest * random.uniform();
        if deviation > SHARP {
            let blur = Gaussian::new(deviation);
            image.chunks_exact_mut(height * width).for_each(|plane| blur.apply(plane, width));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::changed;

    #[test]
    fn a_point_spreads_by_up_to_the_limit_and_keeps_its_weight() {
        let mut image = vec![0.0; 2 * 441];
        (image[220], image[441 + 220]) = (1.0, 2.0);
        let mut widest = 0.0f32;
        for step in 0..100 {
            let bell = changed("blur:2", &image, [2, 21, 21], step);
            let (first, second) = bell.split_at(441);
            assert!((first.iter().sum::<f32>() - 1.0).abs() < 1e-4);
            assert!(first.iter().zip(second).all(|(a, b)| (2.0 * a - b).abs() < 1e-5), "channels alike");
            let variance: f32 = first.iter().enumerate().map(|(k, p)| p * ((k % 21) as f32 - 10.0).powi(2)).sum();
            assert!(variance.sqrt() <= 2.05, "{variance}");
            widest = widest.max(variance.sqrt());
        }
        assert!(widest > 1.7, "{widest}");
    }
}
