//! Left and right exchanged, as in a mirror. Not for digits and letters.

use super::{Change, Effect, Kind};
use crate::host::random::Random;
use std::sync::Arc;

/// The kind.
pub const KIND: Kind = Kind {
    name: "flip",
    what: "exchange left and right with probability n; not for digits and letters",
    usual: 0.5,
    largest: 1.0,
    build: |probability| Effect::Image(Arc::new(Flip { probability })),
};

#[derive(Debug)]
struct Flip {
    probability: f64,
}

impl Change for Flip {
    fn apply(&self, image: &mut [f32], [_, _, width]: [usize; 3], random: &mut Random) {
        if random.uniform() < self.probability {
            image.chunks_exact_mut(width).for_each(<[f32]>::reverse);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::changed;
    use crate::image::net::kernel::tests::numbers;

    #[test]
    fn twice_is_the_image_and_half_are_mirrored() {
        let image = numbers(3 * 20, 1);
        let mirrored = changed("flip:1", &image, [3, 4, 5], 0);
        assert_eq!([mirrored[0], mirrored[4], mirrored[59]], [image[4], image[0], image[55]]);
        assert_eq!(changed("flip:1", &mirrored, [3, 4, 5], 1), image);
        let count = (0..2000).filter(|step| changed("flip", &image, [3, 4, 5], *step) == mirrored).count();
        assert!((900..1100).contains(&count), "{count}");
    }
}
