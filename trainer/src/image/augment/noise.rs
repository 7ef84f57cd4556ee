//! White Gaussian noise.

use super::{Change, Effect, Kind};
use crate::host::random::Random;
use std::sync::Arc;

/// The kind.
pub const KIND: Kind = Kind {
    name: "noise",
    what: "add white Gaussian noise with a standard deviation from 0 to n",
    usual: 0.1,
    largest: 2.0,
    build: |largest| Effect::Image(Arc::new(Noise { largest })),
};

#[derive(Debug)]
struct Noise {
    largest: f64,
}

impl Change for Noise {
    fn apply(&self, image: &mut [f32], _: [usize; 3], random: &mut Random) {
        let deviation = self.largest * random.uniform();
        image.iter_mut().for_each(|pixel| *pixel += (deviation * random.normal()) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::changed;

    #[test]
    fn deviations_are_uniform_up_to_the_limit() {
        let deviations: Vec<f64> = (0..200)
            .map(|step| {
                let noise = changed("noise:0.5", &[0.0; 1600], [1, 40, 40], step);
                let mean = noise.iter().sum::<f32>() / 1600.0;
                assert!(mean.abs() < 0.06, "{mean}");
                (noise.iter().map(|v| f64::from(v * v)).sum::<f64>() / 1600.0).sqrt()
            })
            .collect();
        let mean = deviations.iter().sum::<f64>() / 200.0;
        assert!((mean - 0.25).abs() < 0.04, "{mean}");
        assert!(deviations.iter().all(|d| *d < 0.55) && deviations.iter().any(|d| *d > 0.45));
    }
}
