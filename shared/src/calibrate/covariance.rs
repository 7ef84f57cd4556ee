//! From the information matrix to the covariance of the unknowns, its condition, and the combinations it leaves open.

use super::matrix::{self, Matrix};
use crate::bundle::Gradient;
use crate::limits::MAX_UNKNOWNS;
use crate::math::{abs, sqrt};
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// Number of entries in a triangle of the largest covariance.
const ENTRIES: usize = MAX_UNKNOWNS * (MAX_UNKNOWNS + 1) / 2;
/// Eigenvalues below this fraction of the largest are rounding, because they come from f32 sums of up to a few hundred
/// products.
const NULL: f32 = 3e-6;

/// A symmetric matrix over the free quantities: its lower triangle, row by row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Covariance(pub Vec<f32, ENTRIES>);

impl Covariance {
    /// The entry of unknowns `i` and `j`, or zero if there is no such entry.
    pub fn entry(&self, i: usize, j: usize) -> f32 {
        let (low, high) = (i.min(j), i.max(j).min(MAX_UNKNOWNS));
        self.0.get(high * (high + 1) / 2 + low).copied().unwrap_or(0.0)
    }

    /// Standard error of unknown `i`.
    pub fn standard_error(&self, i: usize) -> f32 {
        sqrt(self.entry(i, i))
    }

    /// Correlation of unknowns `i` and `j`.
    pub fn correlation(&self, i: usize, j: usize) -> f32 {
        self.entry(i, j) / (self.standard_error(i) * self.standard_error(j))
    }

    /// Standard error of a function of the unknowns with this gradient, to first order (the delta method): sqrt(g^T C g).
    pub fn propagate(&self, gradient: &Gradient) -> f32 {
        let mut variance = 0.0;
        for (i, gi) in gradient.iter().enumerate() {
            for (j, gj) in gradient.iter().enumerate() {
                // An unknown with an infinite error does no harm if the function does not depend on it.
                if *gi != 0.0 && *gj != 0.0 {
                    variance += gi * gj * self.entry(i, j);
                }
            }
        }
        // Infinities of both signs mean an open combination.
        if variance.is_nan() { f32::INFINITY } else { sqrt(variance.max(0.0)) }
    }
}

/// The content of an information matrix.
pub(crate) struct Reading {
    /// The covariance of the unknowns.
    pub covariance: Covariance,
    /// For each unknown, whether it has no part in an open combination.
    pub determined: [bool; MAX_UNKNOWNS],
    /// The condition number, with each unknown in units of the error it would have alone.
    pub condition: f32,
}

/// Inverts the information `a` of `n` unknowns, which are in units of `scales`, and multiplies by `variance`. `None` if `a`
/// is zero.
///
/// Each unknown is first scaled by the error it would have if the others were known, so that nothing depends on the widths of
/// their ranges. The inversion is done by eigenvalues, so that a combination left open by the data gives infinite errors to the
/// unknowns that take part in it, and only to them.
pub(crate) fn read(mut a: Matrix, scales: &[f32; MAX_UNKNOWNS], n: usize, variance: f32) -> Option<Reading> {
    let n = n.min(MAX_UNKNOWNS);
    let mut roots = [0.0; MAX_UNKNOWNS];
    for i in 0..n {
        roots[i] = if a[i][i] > 0.0 { 1.0 / sqrt(a[i][i]) } else { 0.0 };
    }
    for i in 0..n {
        for j in 0..n {
            a[i][j] *= roots[i] * roots[j];
        }
    }
    let (values, vectors) = matrix::eigen(a, n);
    let largest = values.iter().fold(0.0f32, |m, v| if *v > m { *v } else { m });
    let least = values.iter().take(n).fold(largest, |m, v| if *v < m { *v } else { m });
    if !(largest > 0.0 && largest.is_finite()) {
        return None;
    }
    let floor = NULL * largest;
    // Below the floor, an eigenvalue may be anything that is smaller.
    let sum = |i: usize, j: usize, known: bool| {
        let mut sum = 0.0;
        for k in 0..n {
            if (values[k] > floor) == known {
                sum += vectors[i][k] * vectors[j][k] / values[k].max(floor);
            }
        }
        sum
    };
    let mut open = [false; MAX_UNKNOWNS];
    for (i, open) in open.iter_mut().enumerate().take(n) {
        *open = roots[i] == 0.0 || sum(i, i, false) > sum(i, i, true);
    }
    let mut covariance = Covariance::default();
    for i in 0..n {
        for j in 0..=i {
            let entry = match open[i] || open[j] {
                // The errors are infinite, and their correlation is unknown.
                true if i == j => f32::INFINITY,
                true => 0.0,
                false => (sum(i, j, true) + sum(i, j, false)) * variance * roots[i] * scales[i] * roots[j] * scales[j],
            };
            // There is room for every triangle up to MAX_UNKNOWNS.
            let _ = covariance.0.push(entry);
        }
    }
    let condition = if least > floor { abs(largest / least) } else { f32::INFINITY };
    Some(Reading { covariance, determined: open.map(|open| !open), condition })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_combination_leaves_the_others_alone() {
        // Only the sum of the first two unknowns matters; the third is independent.
        let mut a = [[0.0; MAX_UNKNOWNS]; MAX_UNKNOWNS];
        a[0][..2].copy_from_slice(&[4.0, 4.0]);
        a[1][..2].copy_from_slice(&[4.0, 4.0]);
        a[2][2] = 16.0;
        let reading = read(a, &[2.0; MAX_UNKNOWNS], 3, 1.0).unwrap();
        assert_eq!(reading.determined[..3], [false, false, true]);
        assert_eq!(reading.condition, f32::INFINITY);
        assert_eq!(reading.covariance.standard_error(0), f32::INFINITY);
        assert!((reading.covariance.standard_error(2) - 0.5).abs() < 1e-6);
        let mut along = [0.0; MAX_UNKNOWNS];
        along[2] = 3.0;
        assert!((reading.covariance.propagate(&along) - 1.5).abs() < 1e-6);
        along[0] = 1.0;
        assert_eq!(reading.covariance.propagate(&along), f32::INFINITY);
    }

    #[test]
    fn the_covariance_is_the_inverse() {
        let mut a = [[0.0; MAX_UNKNOWNS]; MAX_UNKNOWNS];
        a[0][..2].copy_from_slice(&[2.0, 1.0]);
        a[1][..2].copy_from_slice(&[1.0, 3.0]);
        let reading = read(a, &[1.0; MAX_UNKNOWNS], 2, 5.0).unwrap();
        for (found, expected) in reading.covariance.0.iter().zip([3.0, -1.0, 2.0]) {
            assert!((found - expected).abs() < 1e-5, "{:?}", reading.covariance);
        }
        assert!(reading.determined[..2] == [true, true] && (reading.condition - 2.380).abs() < 1e-3);
        assert!(read([[0.0; MAX_UNKNOWNS]; MAX_UNKNOWNS], &[1.0; MAX_UNKNOWNS], 2, 1.0).is_none());
    }
}
