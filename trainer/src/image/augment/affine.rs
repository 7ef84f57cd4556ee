//! A random affine map of the plane, such as handwriting and hand-held cameras have: bilinear, zero outside.

use super::warp::Map;
use super::{Change, Effect, Kind, around};
use crate::host::random::Random;
use std::sync::Arc;

/// The kind.
pub const KIND: Kind = Kind {
    name: "affine",
    what: "n times: rotate by up to 10 degrees, log size and log aspect .1, shear .15, move by a sixteenth",
    usual: 1.0,
    largest: 4.0,
    build: |n| Effect::Image(Arc::new(Affine::MILD.times(n))),
};

/// The largest parts of the map; each is drawn uniformly from both signs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Degrees.
    pub rotation: f64,
    /// Logarithm of the size.
    pub scale: f64,
    /// Logarithm of width over height.
    pub aspect: f64,
    /// Pixels to the right for a pixel down.
    pub shear: f64,
    /// Share of the image's width and height.
    pub shift: f64,
}

impl Affine {
    /// What costs nothing and helps between hands that write digits.
    pub const MILD: Affine = Affine { rotation: 10.0, scale: 0.1, aspect: 0.1, shear: 0.15, shift: 1.0 / 16.0 };

    /// All parts this many times as large.
    #[must_use]
    pub fn times(self, n: f64) -> Self {
        let Affine { rotation, scale, aspect, shear, shift } = self;
        Affine { rotation: n * rotation, scale: n * scale, aspect: n * aspect, shear: n * shear, shift: n * shift }
    }
}

impl Change for Affine {
    fn apply(&self, image: &mut [f32], shape: [usize; 3], random: &mut Random) {
        let Map { matrix: [[cos, minus_sin], [sin, _]], .. } = Map::rotation(around(random, self.rotation));
        let (size, aspect) = (around(random, self.scale).exp(), (0.5 * around(random, self.aspect)).exp());
        let shear = around(random, self.shear);
        let (wide, high) = (size * aspect, size / aspect);
        // Size first, then shear, then rotation.
        let matrix = [[cos * wide, (cos * shear + minus_sin) * high], [sin * wide, (sin * shear + cos) * high]];
        let [right, down] = [shape[2], shape[1]].map(|side| around(random, self.shift) * side as f64);
        Map { matrix, shift: [right, down] }.apply(image, shape);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::changed;

    /// The center of mass of a blob follows the shift, its second moments the size: within what was asked for, in all signs.
    #[test]
    fn a_blob_moves_and_turns_within_the_limits() {
        let size = 33;
        let blob: Vec<f32> = (0..size * size)
            .map(|k| {
                let (x, y) = ((k % size) as f32 - 16.0, (k / size) as f32 - 16.0);
                (-(x * x / 60.0 + y * y / 10.0)).exp()
            })
            .collect();
        // Center, variances and the angle of the longer axis in degrees.
        let moments = |image: &[f32]| {
            let mut sums = [0.0f64; 6];
            for (k, pixel) in image.iter().enumerate() {
                let (x, y, w) = ((k % size) as f64 - 16.0, (k / size) as f64 - 16.0, f64::from(*pixel));
                for (sum, term) in sums.iter_mut().zip([1.0, x, y, x * x, y * y, x * y]) {
                    *sum += w * term;
                }
            }
            let [w, x, y, xx, yy, xy] = sums;
            let (x, y) = (x / w, y / w);
            let (xx, yy, xy) = (xx / w - x * x, yy / w - y * y, xy / w - x * y);
            [x, y, xx * yy - xy * xy, (0.5 * (2.0 * xy).atan2(xx - yy)).to_degrees()]
        };
        let before = moments(&blob);
        let all: Vec<[f64; 4]> =
            (0..300).map(|step| moments(&changed("affine", &blob, [1, size, size], step))).collect();
        let range = |k: usize| {
            let values = all.iter().map(|m| m[k]);
            [values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max)]
        };
        for k in [0, 1] {
            let [least, most] = range(k);
            assert!(least > -2.2 && least < -1.5 && most < 2.2 && most > 1.5, "{k}: {least} {most}");
        }
        // The determinant of the second moments goes with the fourth power of the size: exp(+-.4).
        let [least, most] = range(2).map(|d| (d / before[2]).ln());
        assert!(least > -0.5 && least < -0.2 && most < 0.5 && most > 0.2, "{least} {most}");
        let [least, most] = range(3);
        assert!(least > -22.0 && least < -7.0 && most < 22.0 && most > 7.0, "{least} {most}");
        // Half of it is half as far.
        let half = (0..100).map(|step| moments(&changed("affine:0.5", &blob, [1, size, size], step))[0].abs());
        assert!(half.fold(0.0, f64::max) < 1.1);
    }
}
