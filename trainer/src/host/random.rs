//! Random numbers that depend on their seed alone. The state is one counter, so a resumed run needs no history.

/// SplitMix64 (Steele, Lea, Flood 2014): 64 bits of state, passes BigCrush, and any seed is a good seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of (`seed`, `purpose`, `round`): each triple has its own.
    pub fn new(seed: u64, purpose: Purpose, round: u64) -> Self {
        let mut random = Random(seed);
        for word in [purpose as u64, round] {
            random.0 = random.bits() ^ word.wrapping_mul(0xd134_2543_de82_ef95);
        }
        random
    }

    /// 64 uniform bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1), a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (0.5f64).powi(53)
    }

    /// Normal with mean 0 and variance 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (core::f64::consts::TAU * self.uniform()).cos()
    }

    /// Puts items into a random order, all orders alike (Fisher and Yates). Costs a draw for each item but one.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, (self.uniform() * (last + 1) as f64) as usize);
        }
    }
}

/// The purpose of a stream. Streams of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// First weights of a network.
    Weights = 1,
    /// Collocation points of a round.
    Collocation = 2,
    /// Held-out points that choose the best weights.
    HeldOut = 3,
    /// Queries of the final measurement.
    Measurement = 4,
    /// Candidates for residual-adaptive points.
    Candidates = 5,
    /// Which candidates are kept.
    Choice = 6,
    /// Order in which weights are rounded.
    Rounding = 7,
    /// Faces and steps of the search for the largest error.
    Search = 8,
    /// Queries and moves of the search for a broken certificate.
    Attack = 9,
    /// Which images are held out.
    Split = 20,
    /// Noise added to images; the round is the image.
    Noise = 21,
    /// First weights of the autoencoder.
    Autoencoder = 22,
    /// Order of the images of an epoch.
    Batches = 30,
    /// Which values dropout zeroes.
    Dropout = 31,
    /// Which samples a selection takes where it draws.
    Selection = 32,
    /// How the images of a step are changed.
    Augmentation = 33,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |purpose, round| Random::new(7, purpose, round).bits();
        assert_eq!(draw(Purpose::Weights, 0), draw(Purpose::Weights, 0));
        assert_ne!(draw(Purpose::Weights, 0), draw(Purpose::HeldOut, 0));
        assert_ne!(draw(Purpose::Weights, 0), draw(Purpose::Weights, 1));
    }

    #[test]
    fn all_orders_are_equally_frequent() {
        let mut random = Random::new(0, Purpose::Split, 0);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..60_000 {
            let mut order = [0, 1, 2];
            random.shuffle(&mut order);
            *counts.entry(order).or_insert(0) += 1;
        }
        assert!(counts.len() == 6 && counts.values().all(|n| (9_500..10_500).contains(n)), "{counts:?}");
    }

    #[test]
    fn moments_are_those_of_the_law() {
        let mut random = Random::new(0, Purpose::Weights, 0);
        let n = 100_000;
        let (mut mean, mut square) = (0.0, 0.0);
        for _ in 0..n {
            let x = random.normal();
            mean += x / f64::from(n);
            square += x * x / f64::from(n);
        }
        assert!(mean.abs() < 0.01 && (square - 1.0).abs() < 0.02, "{mean} {square}");
    }
}
