//! Mixup (Zhang et al. 2018): every image becomes a mixture with another of its batch, and so does its target.
//!
//! The share is drawn once for a batch, from the beta distribution with both shapes n; image k is mixed with the one as far from the
//! batch's end. The order of a batch is random, so the partner is any image.

use super::{Effect, Kind};
use crate::host::random::Random;

/// The kind.
pub const KIND: Kind = Kind {
    name: "mixup",
    what: "mix images and labels of a batch in pairs; the share has the beta distribution with shapes n",
    usual: 0.2,
    largest: 1.0,
    build: Effect::Batch,
};

/// How a batch is mixed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixing {
    /// The share of an image itself; its partner has the rest.
    own: f32,
}

impl Mixing {
    /// A share of the beta distribution with both shapes `shape`, at most 1 (Johnk 1964); 1 for the shape 0.
    pub(super) fn drawn(shape: f64, random: &mut Random) -> Self {
        // Below this shape both powers may be zero; the distribution is on 0 and 1 then.
        if shape < 0.01 {
            return Mixing { own: 1.0 };
        }
        loop {
            let [a, b] = [random.uniform(), random.uniform()].map(|u| u.powf(1.0 / shape));
            if a + b > 0.0 && a + b <= 1.0 {
                return Mixing { own: (a / (a + b)) as f32 };
            }
        }
    }

    /// Mixes rows of `width` numbers: the pixels of images, or their targets.
    pub fn mix(self, rows: &mut [f32], width: usize) {
        let n = rows.len() / width.max(1);
        for k in 0..n / 2 {
            let (front, back) = rows.split_at_mut((n - 1 - k) * width);
            for (a, b) in front[k * width..][..width].iter_mut().zip(&mut back[..width]) {
                (*a, *b) = (self.own * *a + (1.0 - self.own) * *b, self.own * *b + (1.0 - self.own) * *a);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::random::Purpose;

    #[test]
    fn pairs_are_mixed_with_opposite_shares_and_an_odd_one_stays() {
        let mut rows = vec![1.0, 2.0, 10.0, 20.0, 100.0, 200.0];
        Mixing { own: 0.75 }.mix(&mut rows, 2);
        assert_eq!(rows, [25.75, 51.5, 10.0, 20.0, 75.25, 150.5]);
        Mixing { own: 0.75 }.mix(&mut [], 2);
    }

    #[test]
    fn shares_have_the_moments_of_the_beta_distribution() {
        for shape in [0.2, 1.0] {
            let mut random = Random::new(0, Purpose::Augmentation, 0);
            let shares: Vec<f64> = (0..20_000).map(|_| f64::from(Mixing::drawn(shape, &mut random).own)).collect();
            let mean = shares.iter().sum::<f64>() / 2e4;
            let variance = shares.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 2e4;
            // 1 / (4 (2 shape + 1))
            let expected = 0.25 / (2.0 * shape + 1.0);
            assert!((mean - 0.5).abs() < 0.01 && (variance - expected).abs() < 0.005, "{shape}: {mean} {variance}");
        }
    }
}
