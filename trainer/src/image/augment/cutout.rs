//! A square of zeros somewhere in the image (DeVries and Taylor 2017): no single part may decide alone.

use super::{Change, Effect, Kind};
use crate::host::random::Random;
use std::sync::Arc;

/// The kind.
pub const KIND: Kind = Kind {
    name: "cutout",
    what: "zero a square of n x n pixels; its center is anywhere in the image",
    usual: 5.0,
    largest: 256.0,
    build: |side| Effect::Image(Arc::new(Cutout { side: side as usize })),
};

#[derive(Debug)]
struct Cutout {
    side: usize,
}

impl Change for Cutout {
    fn apply(&self, image: &mut [f32], [_, height, width]: [usize; 3], random: &mut Random) {
        let mut range = |length: usize| {
            let center = (random.uniform() * length as f64) as usize;
            let end = (center + self.side.div_ceil(2)).min(length);
            center.saturating_sub(self.side / 2)..end
        };
        let (rows, columns) = (range(height), range(width));
        for plane in image.chunks_exact_mut(height * width) {
            for row in plane.chunks_exact_mut(width).skip(rows.start).take(rows.len()) {
                row[columns.clone()].fill(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::changed;

    #[test]
    fn a_square_is_gone_in_all_channels_and_every_pixel_is_at_times() {
        let image = vec![1.0; 2 * 90];
        let mut ever = [false; 90];
        let mut whole = 0;
        for step in 0..600 {
            let cut = changed("cutout:3", &image, [2, 9, 10], step);
            let gone: Vec<usize> = (0..90).filter(|k| cut[*k] == 0.0).collect();
            assert!(gone.iter().all(|k| cut[90 + k] == 0.0) && (4..=9).contains(&gone.len()), "{gone:?}");
            let (rows, columns) = (gone.iter().map(|k| k / 10), gone.iter().map(|k| k % 10));
            assert!(rows.clone().max().unwrap() - rows.min().unwrap() <= 2, "{gone:?}");
            assert!(columns.clone().max().unwrap() - columns.min().unwrap() <= 2, "{gone:?}");
            whole += usize::from(gone.len() == 9);
            gone.iter().for_each(|k| ever[*k] = true);
        }
        assert!(ever.iter().all(|gone| *gone) && whole > 300, "{whole}");
        assert!(changed("cutout:4", &image, [2, 9, 10], 0).iter().filter(|pixel| **pixel == 0.0).count() <= 32);
    }
}
