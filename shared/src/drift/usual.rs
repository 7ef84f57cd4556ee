//! What is usual: a network's entropies, the distances of its features, and its answers, on training images that were held out.
//!
//! The features are the bytes x that the last layer reads. For the class c that the network answers,
//!
//! d = sum over i of w\[i\] (x\[i\] - m\[c, i\])^2, exact in integers,
//!
//! where m\[c\] is the mean of the training images of that class, and w is inverse to the variance within classes: a Mahalanobis
//! distance with one diagonal covariance for all classes. Entropy and distance are divided by what is usual for the class, so that
//! a change of the classes' frequencies changes neither.
//!
//! | tensor | shape | what |
//! | --- | --- | --- |
//! | `usual.features` `U8` | (classes + 1, features) | m of each class; then w |
//! | `usual.scales` `F32` | (3, classes) | usual entropy and distance of each class, and the most that its share of the answers usually is |
//! | `usual.quantiles` `F32` | (2, n) | bounds between the n + 1 bins of a relative entropy and of a relative distance, ascending |
//! | `usual.bets` `F32` | (2, k, n + 1) | what each of k bets on a score pays in each bin; see [`super::sequential`] |
//!
//! The metadata entry `usual.images` says how many images there are to a false alarm, at least, on average. A file has all of
//! these or none.
//!
//! Cost: two multiplications and an addition of 64 bits for every feature, and two divisions.

use crate::error::{Key, ModelError};
use crate::limits::{MAX_BETS, MAX_CLASSES, MAX_FAN_IN};
use crate::model::Model;
use crate::text::number;

/// Tensor of means and weights of features.
pub const FEATURES: &str = "usual.features";
/// Tensor of what is usual for each class.
pub const SCALES: &str = "usual.scales";
/// Tensor of the bounds between bins.
pub const QUANTILES: &str = "usual.quantiles";
/// Tensor of the bets.
pub const BETS: &str = "usual.bets";
/// Largest payment of a bet.
const MAX_PAYMENT: f32 = 1e3;

/// What is usual, borrowed from a model file.
#[derive(Debug, Clone, Copy)]
pub struct Usual<'a> {
    classes: usize,
    features: &'a [u8],
    scales: &'a [f32],
    quantiles: &'a [f32],
    bets: &'a [f32],
    images: f32,
}

/// How unusual an image is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// The class that the network answers.
    pub class: usize,
    /// Predictive entropy in nats.
    pub entropy: f32,
    /// Entropy and distance, divided by what is usual for the class; if the file states it.
    pub relative: Option<[f32; 2]>,
}

impl<'a> Usual<'a> {
    /// What a file states for a network of so many classes and features, if it does.
    ///
    /// # Errors
    /// [`ModelError::Metadata`] if something is missing, has another type or shape, or a number is out of range.
    pub fn open(model: &Model<'a>, classes: usize, width: usize) -> Result<Option<Self>, ModelError> {
        let tensor = |name| model.tensor(name);
        let (features, scales, quantiles, bets) =
            match (tensor(FEATURES), tensor(SCALES), tensor(QUANTILES), tensor(BETS), model.entry(Key::Usual.key())) {
                (None, None, None, None, None) => return Ok(None),
                (Some(features), Some(scales), Some(quantiles), Some(bets), Some(_)) => {
                    (features, scales, quantiles, bets)
                }
                _ => return Err(ModelError::Metadata(Key::Usual)),
            };
        let bins = 1 + quantiles.shape.get(1).map_or(0, |n| *n as usize);
        let count = bets.shape.get(1).map_or(0, |n| *n as usize);
        let fits = (1..=MAX_CLASSES).contains(&classes)
            && (1..=MAX_FAN_IN).contains(&width)
            && features.has_shape(&[classes + 1, width])
            && scales.has_shape(&[3, classes])
            && quantiles.has_shape(&[2, bins - 1])
            && (1..=MAX_BETS / 2).contains(&count)
            && bets.has_shape(&[2, count, bins]);
        let images = model.entry(Key::Usual.key()).and_then(number).filter(|n| *n >= 1.0 && *n <= 1e9);
        match (features.u8(), scales.f32(), quantiles.f32(), bets.f32(), images) {
            (Some(features), Some(scales), Some(quantiles), Some(bets), Some(images)) if fits => {
                let usual = Usual { classes, features, scales, quantiles, bets, images };
                if usual.is_sound(bins) { Ok(Some(usual)) } else { Err(ModelError::Metadata(Key::Usual)) }
            }
            _ => Err(ModelError::Metadata(Key::Usual)),
        }
    }

    /// Whether all numbers are in range.
    fn is_sound(&self, bins: usize) -> bool {
        let ascending = |row: &[f32]| row.windows(2).all(|pair| matches!(pair, [a, b] if a <= b));
        self.scales.iter().all(|s| s.is_finite() && *s > 0.0)
            && self.quantiles.iter().all(|q| q.is_finite())
            && self.quantiles.chunks(bins.saturating_sub(1).max(1)).all(ascending)
            && self.bets.iter().all(|b| *b >= 0.0 && *b <= MAX_PAYMENT)
    }

    /// How many images there are to a false alarm, at least, on average.
    pub fn images(&self) -> f32 {
        self.images
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The share of the answers that a class usually has at most.
    pub fn share(&self, class: usize) -> f32 {
        self.row(2).get(class).copied().unwrap_or(1.0)
    }

    /// The bets on the relative entropy (0) or the relative distance (1): for each, what it pays in each bin.
    pub fn bets(&self, score: usize) -> impl Iterator<Item = &'a [f32]> {
        let half = self.bets.len() / 2;
        let bets = self.bets.get(score.saturating_mul(half)..).and_then(|rest| rest.get(..half)).unwrap_or(&[]);
        bets.chunks_exact(self.quantiles.len() / 2 + 1)
    }

    /// The bin of a relative entropy (0) or a relative distance (1).
    pub fn bin(&self, score: usize, value: f32) -> usize {
        let half = self.quantiles.len() / 2;
        let bounds = self.quantiles.get(score.saturating_mul(half)..).and_then(|rest| rest.get(..half)).unwrap_or(&[]);
        bounds.iter().filter(|bound| value > **bound).count()
    }

    /// The scores of an image whose features are these bytes.
    pub fn scores(&self, class: usize, entropy: f32, features: &[u8]) -> Scores {
        let scale = |row: usize| self.row(row).get(class).copied().unwrap_or(1.0);
        let distance = self.distance(class, features) as f32;
        Scores { class, entropy, relative: Some([entropy / scale(0), distance / scale(1)]) }
    }

    /// The distance of features from the mean of a class.
    pub fn distance(&self, class: usize, features: &[u8]) -> u64 {
        let width = self.features.len().checked_div(self.classes.saturating_add(1)).unwrap_or(0).max(1);
        let mut rows = self.features.chunks_exact(width);
        let (Some(mean), Some(weight)) = (rows.nth(class), self.features.chunks_exact(width).last()) else { return 0 };
        let mut sum = 0u64;
        for ((x, m), w) in features.iter().zip(mean).zip(weight) {
            let off = u32::from(x.abs_diff(*m));
            sum += u64::from(u32::from(*w) * off * off);
        }
        sum
    }

    fn row(&self, row: usize) -> &'a [f32] {
        self.scales.chunks_exact(self.classes.max(1)).nth(row).unwrap_or(&[])
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two classes of three features; one bound for each score, and two bets on it: for high scores, and for low ones.
    pub const TOY: Usual<'static> = Usual {
        classes: 2,
        features: &[10, 0, 0, 0, 20, 0, 2, 1, 0],
        scales: &[0.5, 1.0, 100.0, 50.0, 0.75, 0.25],
        quantiles: &[1.0, 1.0],
        bets: &[0.5, 1.5, 1.5, 0.5, 0.5, 1.5, 1.5, 0.5],
        images: 100.0,
    };

    #[test]
    fn distances_are_weighted_and_relative_to_the_class() {
        assert_eq!(TOY.distance(0, &[10, 0, 99]), 0);
        assert_eq!(TOY.distance(0, &[7, 4, 0]), 2 * 9 + 16);
        assert_eq!(TOY.distance(1, &[0, 255, 0]), 235 * 235);
        let scores = TOY.scores(1, 0.25, &[5, 20, 0]);
        assert_eq!((scores.class, scores.relative), (1, Some([0.25, 1.0])));
        assert_eq!(TOY.scores(0, 0.25, &[5, 0, 0]).relative, Some([0.5, 0.5]));
        assert_eq!((TOY.bin(0, 1.0), TOY.bin(0, 1.1), TOY.bin(1, f32::NAN)), (0, 1, 0));
        assert_eq!(TOY.bets(1).collect::<std::vec::Vec<_>>(), [&[0.5, 1.5][..], &[1.5, 0.5]]);
        // Wider than the largest network's, and farther than any: no overflow.
        assert_eq!(TOY.distance(7, &[0; 3]), 0, "a class that there is not");
    }
}
