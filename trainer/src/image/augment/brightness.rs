//! A constant added to all pixels.

use super::{Change, Effect, Kind, around};
use crate::host::random::Random;
use std::sync::Arc;

/// The kind.
pub const KIND: Kind = Kind {
    name: "brightness",
    what: "add a number from -n to n to all pixels, which are 0 to 1",
    usual: 0.2,
    largest: 1.0,
    build: |largest| Effect::Image(Arc::new(Brightness { largest })),
};

#[derive(Debug)]
struct Brightness {
    largest: f64,
}

impl Change for Brightness {
    fn apply(&self, image: &mut [f32], _: [usize; 3], random: &mut Random) {
        let added = around(random, self.largest) as f32;
        image.iter_mut().for_each(|pixel| *pixel += added);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::changed;

    #[test]
    fn all_pixels_change_by_the_same_number() {
        let image = [0.1, 0.5, 0.9, 0.3];
        let added = (0..500).map(|step| {
            let after = changed("brightness", &image, [1, 2, 2], step);
            let by = after[0] - image[0];
            assert!(after.iter().zip(&image).all(|(a, b)| (a - b - by).abs() < 1e-6));
            by
        });
        let (least, most) = added.fold((0.0f32, 0.0f32), |(a, b), by| (a.min(by), b.max(by)));
        assert!((-0.2..-0.19).contains(&least) && most <= 0.2 && most > 0.19, "{least} {most}");
    }
}
