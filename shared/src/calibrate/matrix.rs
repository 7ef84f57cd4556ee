//! Small symmetric matrices in fixed arrays: solution by LDL^T factors, eigenvalues by Jacobi's method.
//!
//! Only the leading `n` rows and columns are used; `n` is clamped to the size of the array.

#![allow(clippy::needless_range_loop, reason = "matrices are written with indices, each below MAX_UNKNOWNS")]

use crate::limits::MAX_UNKNOWNS;
use crate::math::{abs, sqrt};

/// A vector of unknowns, padded with zeros.
pub type Vector = [f32; MAX_UNKNOWNS];
/// A symmetric matrix, padded with zeros.
pub type Matrix = [Vector; MAX_UNKNOWNS];

/// A pivot smaller than this fraction of its diagonal entry is rounding: f32's resolution times a small dimension.
const PIVOT: f32 = 1e-6;
/// Sweeps of Jacobi's method; it converges quadratically, and five are enough for eight unknowns.
const SWEEPS: usize = 8;

/// Solves a x = b for a symmetric positive definite `a`, or `None` if it is not (numerically).
///
/// a = L D L^T without square roots; n^3/6 + n^2 multiplications.
pub fn solve(a: &Matrix, b: &Vector, n: usize) -> Option<Vector> {
    let n = n.min(MAX_UNKNOWNS);
    // Rows of L below the diagonal; the diagonal holds 1 / D.
    let mut l = *a;
    for j in 0..n {
        let mut pivot = a[j][j];
        for k in 0..j {
            // l[j][k] still holds L D there, see below.
            pivot -= l[j][k] * l[j][k] * l[k][k];
        }
        if !(pivot > PIVOT * a[j][j] && pivot > 0.0) {
            return None;
        }
        let inverse = 1.0 / pivot;
        for i in j + 1..n {
            let mut sum = a[i][j];
            for k in 0..j {
                sum -= l[i][k] * l[j][k] * l[k][k];
            }
            l[i][j] = sum;
        }
        l[j][j] = inverse;
    }
    // With M = L D below the diagonal and d = 1 / D on it: L = M d.
    let mut x = *b;
    for i in 0..n {
        for k in 0..i {
            x[i] -= l[i][k] * l[k][k] * x[k];
        }
    }
    for i in (0..n).rev() {
        let mut sum = x[i];
        for k in i + 1..n {
            sum -= l[k][i] * x[k];
        }
        x[i] = sum * l[i][i];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}

/// Eigenvalues of `a` and, as columns of the second matrix, its eigenvectors, by cyclic Jacobi rotations
/// (Golub and Van Loan, *Matrix Computations*, 8.5).
///
/// About 6 n^3 multiplications a sweep; two unknowns take one sweep, three or four take three.
pub fn eigen(mut a: Matrix, n: usize) -> (Vector, Matrix) {
    let n = n.min(MAX_UNKNOWNS);
    let mut vectors = [[0.0; MAX_UNKNOWNS]; MAX_UNKNOWNS];
    for (i, row) in vectors.iter_mut().enumerate() {
        row[i] = 1.0;
    }
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                // Skip a rotation that would change nothing in f32.
                if a[p][q] * a[p][q] <= 1e-14 * abs(a[p][p] * a[q][q]) {
                    continue;
                }
                rotated = true;
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = 1.0 / (abs(theta) + sqrt(theta * theta + 1.0));
                let t = if theta < 0.0 { -t } else { t };
                let c = 1.0 / sqrt(t * t + 1.0);
                let s = t * c;
                for k in 0..n {
                    (a[k][p], a[k][q]) = (c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]);
                }
                for k in 0..n {
                    (a[p][k], a[q][k]) = (c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]);
                }
                for row in vectors.iter_mut().take(n) {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
            }
        }
        if !rotated {
            break;
        }
    }
    let mut values = [0.0; MAX_UNKNOWNS];
    for (i, value) in values.iter_mut().enumerate().take(n) {
        *value = a[i][i];
    }
    (values, vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// B B^T + small identity, so that it is positive definite.
    fn definite(entries: &[f32], n: usize) -> Matrix {
        let b = |i: usize, j: usize| entries[i * MAX_UNKNOWNS + j];
        let mut a = [[0.0; MAX_UNKNOWNS]; MAX_UNKNOWNS];
        for i in 0..n {
            for j in 0..n {
                a[i][j] = (0..n).map(|k| b(i, k) * b(j, k)).sum::<f32>() + if i == j { 0.5 } else { 0.0 };
            }
        }
        a
    }

    proptest! {
        #[test]
        fn solutions_solve(entries in proptest::collection::vec(-1.0f32..1.0, 64), n in 1usize..=8) {
            let a = definite(&entries, n);
            let b: Vector = core::array::from_fn(|i| if i < n { entries[i] } else { 0.0 });
            let x = solve(&a, &b, n).unwrap();
            for i in 0..n {
                let left: f32 = (0..n).map(|j| a[i][j] * x[j]).sum();
                prop_assert!((left - b[i]).abs() < 1e-4, "row {}: {} for {}", i, left, b[i]);
            }
        }

        #[test]
        fn eigenvectors_diagonalize(entries in proptest::collection::vec(-1.0f32..1.0, 64), n in 1usize..=8) {
            let a = definite(&entries, n);
            let (values, vectors) = eigen(a, n);
            for k in 0..n {
                prop_assert!(values[k] > 0.4);
                for i in 0..n {
                    let left: f32 = (0..n).map(|j| a[i][j] * vectors[j][k]).sum();
                    prop_assert!((left - values[k] * vectors[i][k]).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn a_singular_matrix_has_no_solution() {
        let mut a = [[0.0; MAX_UNKNOWNS]; MAX_UNKNOWNS];
        assert_eq!(solve(&a, &[1.0; MAX_UNKNOWNS], 2), None);
        a[0][..2].copy_from_slice(&[1.0, 2.0]);
        a[1][..2].copy_from_slice(&[2.0, 4.0]);
        assert_eq!(solve(&a, &[1.0; MAX_UNKNOWNS], 2), None);
        a[1][1] = f32::NAN;
        assert_eq!(solve(&a, &[1.0; MAX_UNKNOWNS], 2), None);
    }
}
