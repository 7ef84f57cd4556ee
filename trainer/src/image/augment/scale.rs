//! A larger or smaller image in the same frame: bilinear, zero outside.

use super::warp::Map;
use super::{Change, Effect, Kind, around};
use crate::host::random::Random;
use std::sync::Arc;

/// The kind.
pub const KIND: Kind = Kind {
    name: "scale",
    what: "enlarge or shrink about the center by a factor of up to exp(n)",
    usual: 0.1,
    largest: 1.0,
    build: |logarithm| Effect::Image(Arc::new(Scale { logarithm })),
};

#[derive(Debug)]
struct Scale {
    logarithm: f64,
}

impl Change for Scale {
    fn apply(&self, image: &mut [f32], shape: [usize; 3], random: &mut Random) {
        let factor = around(random, self.logarithm).exp();
        Map { matrix: [[factor, 0.0], [0.0, factor]], shift: [0.0; 2] }.apply(image, shape);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::changed;

    #[test]
    fn areas_grow_and_shrink_within_the_limit() {
        let square = |k: usize| f32::from((10..21).contains(&(k % 31)) && (10..21).contains(&(k / 31)));
        let image: Vec<f32> = (0..31 * 31).map(square).collect();
        let areas: Vec<f32> =
            (0..200).map(|step| changed("scale:0.3", &image, [1, 31, 31], step).iter().sum::<f32>() / 121.0).collect();
        let (least, most) = areas.iter().fold((1.0f32, 1.0f32), |(a, b), area| (a.min(*area), b.max(*area)));
        // exp(+-0.6), to what interpolation makes of the edges.
        assert!(least > 0.5 && least < 0.62 && most < 1.9 && most > 1.7, "{least} {most}");
    }
}
