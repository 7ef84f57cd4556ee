//! A rotation about the center: bilinear, zero outside.

use super::warp::Map;
use super::{Change, Effect, Kind, around};
use crate::host::random::Random;
use std::sync::Arc;

/// The kind.
pub const KIND: Kind = Kind {
    name: "rotation",
    what: "rotate by up to n degrees in both directions",
    usual: 10.0,
    largest: 180.0,
    build: |degrees| Effect::Image(Arc::new(Rotation { degrees })),
};

#[derive(Debug)]
struct Rotation {
    degrees: f64,
}

impl Change for Rotation {
    fn apply(&self, image: &mut [f32], shape: [usize; 3], random: &mut Random) {
        Map::rotation(around(random, self.degrees)).apply(image, shape);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::changed;

    #[test]
    fn the_center_stays_and_a_pixel_turns_within_the_limit() {
        let mut image = vec![0.0; 21 * 21];
        (image[10 * 21 + 10], image[10 * 21 + 18]) = (3.0, 1.0);
        let mut angles = Vec::new();
        for step in 0..200 {
            let turned = changed("rotation:30", &image, [1, 21, 21], step);
            assert!((turned[10 * 21 + 10] - 3.0).abs() < 1e-5);
            // The center of mass of what is far from the center.
            let (mut x, mut y) = (0.0, 0.0);
            for (k, pixel) in turned.iter().enumerate() {
                let [right, down] = [(k % 21) as f32 - 10.0, (k / 21) as f32 - 10.0];
                if right.hypot(down) > 5.0 {
                    (x, y) = (x + pixel * right, y + pixel * down);
                }
            }
            angles.push(y.atan2(x).to_degrees());
        }
        let (least, most) = angles.iter().fold((0.0f32, 0.0f32), |(a, b), angle| (a.min(*angle), b.max(*angle)));
        assert!(least > -32.0 && least < -25.0 && most < 32.0 && most > 25.0, "{least} {most}");
    }
}
