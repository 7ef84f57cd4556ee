//! Pictures that are nearly the same: the same object moments apart, or a copy that was saved again.
//!
//! Two pictures are near each other if their difference hashes (dHash: whether each of 8 x 8 spots is darker than its right
//! neighbor) differ in at most 10 of 64 bits, and their values at 16 x 16, without mean and contrast, have a
//! correlation of at least .95. The hash alone takes pictures of little structure for the same; the
//! correlation alone would compare every pair in full.

use rayon::prelude::*;
use sirocco_pictures::{Fit, Picture, Preparation};

/// Bits by which the hashes of near pictures may differ.
const MOST_BITS: u32 = 10;
/// Least correlation of near pictures.
const LEAST_CORRELATION: f32 = 0.95;
/// Rows and columns at which pictures are compared.
const SIDE: usize = 16;

/// What pictures are compared by.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    hash: u64,
    /// Gray values at 16 x 16, of mean 0 and length 1; all 0 if the picture is flat.
    values: Vec<f32>,
}

impl Look {
    /// Of a picture.
    pub fn of(picture: &Picture) -> Self {
        let stretch = Preparation { fit: Fit::Stretch, ..Preparation::default() };
        // Once from the whole picture, then from a small one.
        let small = stretch.apply(picture, [1, 64, 64]);
        let at = |height: usize, width: usize| stretch.apply(&small, [1, height, width]).bytes;
        let spots = at(8, 9);
        let bits = spots.chunks_exact(9).flat_map(|row| row.windows(2).map(|pair| u64::from(pair[0] < pair[1])));
        let hash = bits.fold(0, |hash, bit| hash << 1 | bit);
        let gray: Vec<f32> = at(SIDE, SIDE).into_iter().map(f32::from).collect();
        let mean = gray.iter().sum::<f32>() / gray.len() as f32;
        let length = gray.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>().sqrt();
        // Noise of one step is no structure.
        let scale = if length > SIDE as f32 { 1.0 / length } else { 0.0 };
        Look { hash, values: gray.iter().map(|v| (v - mean) * scale).collect() }
    }

    /// Whether two pictures are nearly the same.
    pub fn is_near(&self, other: &Look) -> bool {
        let correlation = || self.values.iter().zip(&other.values).map(|(a, b)| a * b).sum::<f32>();
        (self.hash ^ other.hash).count_ones() <= MOST_BITS && correlation() >= LEAST_CORRELATION
    }
}

/// All pairs of near pictures, the first number below the second, in order. The time grows with the square of the number of
/// pictures: 10,000 take a second.
pub fn pairs(looks: &[Look]) -> Vec<(usize, usize)> {
    let of = |i: usize| (i + 1..looks.len()).filter(move |j| looks[i].is_near(&looks[*j])).map(move |j| (i, j));
    (0..looks.len()).into_par_iter().flat_map_iter(of).collect()
}

/// The group of each of `count` things, such that both of every pair are in the same one: the smallest number in it.
pub fn groups(count: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..count).collect();
    fn root(parent: &mut [usize], mut at: usize) -> usize {
        while parent[at] != at {
            parent[at] = parent[parent[at]];
            at = parent[at];
        }
        at
    }
    for (a, b) in pairs {
        let (a, b) = (root(&mut parent, a), root(&mut parent, b));
        parent[a.max(b)] = a.min(b);
    }
    (0..count).map(|at| root(&mut parent, at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::random::{Purpose, Random};

    /// A picture of a few blots.
    fn picture(seed: u64, brightness: f64, noise: f64) -> Picture {
        let (mut blots, mut random) = (Random::new(seed, Purpose::Split, 0), Random::new(seed + 99, Purpose::Split, 1));
        let places: Vec<[f64; 2]> = (0..6).map(|_| [blots.uniform() * 32.0, blots.uniform() * 20.0]).collect();
        let value = |at: usize, noise: f64| {
            let (row, column) = ((at / 20) as f64, (at % 20) as f64);
            let near = |p: &[f64; 2]| (-((row - p[0]).powi(2) + (column - p[1]).powi(2)) / 12.0).exp();
            brightness * (40.0 + 160.0 * places.iter().map(near).sum::<f64>()) + noise
        };
        let bytes =
            (0..32 * 20).map(|at| value(at, noise * (random.uniform() - 0.5)).clamp(0.0, 255.0) as u8).collect();
        Picture { height: 32, width: 20, channels: 1, bytes }
    }

    #[test]
    fn the_same_object_moments_apart_is_near_and_others_are_not() {
        let looks: Vec<Look> =
            (0..12).map(|k| Look::of(&picture(k % 6, if k < 6 { 1.0 } else { 0.8 }, 12.0))).collect();
        assert_eq!(pairs(&looks), (0..6).map(|k| (k, k + 6)).collect::<Vec<_>>());
        let flat = |value: u8| Look::of(&Picture { height: 4, width: 4, channels: 1, bytes: vec![value; 16] });
        assert!(!flat(10).is_near(&flat(200)), "pictures without structure say nothing");
    }

    #[test]
    fn groups_are_connected() {
        assert_eq!(groups(6, [(1, 4), (4, 2), (0, 5)]), [0, 1, 1, 3, 1, 0]);
        assert_eq!(groups(2, []), [0, 1]);
    }
}
