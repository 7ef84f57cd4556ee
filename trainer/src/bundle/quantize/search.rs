//! Search among integers: coordinate descent of a loss, one or two integers at a time, in which all continuous
//! variables follow to their optimum.
//!
//! Rounding one weight after the other ends at integers that are each reasonable, but that can often be exchanged for
//! better ones together. This is integer least squares (Teunissen 1995, doi:10.1007/BF00863419), solved by coordinate
//! descent as Behdin et al. 2023, arXiv:2309.01885, do for quantization. Pairs matter: two weights of a row have nearly the
//! same effect, so one up and one down changes the loss far less than either alone.

use crate::bundle::optimize::normal::NormalEquations;
use faer::Mat;
use rayon::prelude::*;

/// Share that is added to the diagonal of an eliminated variable.
const RIDGE: f64 = 1e-9;
/// Share of the loss that a change must gain.
const LEAST: f64 = 1e-6;
/// Changes of one descent, at most.
const MOST: usize = 2000;

/// One or two integers, each up or down by one: (which, 1 or -1).
pub type Change = Vec<(usize, f64)>;

/// loss(z) = loss + 2 slope . z + z . matrix z, for changes z of integers.
#[derive(Debug)]
pub struct Quadratic {
    matrix: Mat<f64>,
    slope: Vec<f64>,
    loss: f64,
}

impl Quadratic {
    /// The loss of linearized residuals over the first `integers` variables, minimized over the others.
    pub fn new(equations: &NormalEquations, integers: usize) -> Self {
        let n = equations.gradient.len();
        // The gradient is the last row and column, so that elimination updates it as well.
        let entry = |i: usize, j: usize| match (i.max(j), i.min(j)) {
            (last, other) if last == n => equations.gradient.get(other).copied().unwrap_or(0.0),
            (same, other) if same == other && same >= integers => equations.matrix[(same, same)] * (1.0 + RIDGE),
            (i, j) => equations.matrix[(i, j)],
        };
        let mut all = Mat::from_fn(n + 1, n + 1, entry);
        for at in (integers..n).filter(|at| equations.matrix[(*at, *at)] > 0.0) {
            eliminate(&mut all, at);
        }
        let slope = all.col_as_slice(n)[..integers].to_vec();
        let matrix = all.submatrix(0, 0, integers, integers).to_owned();
        Quadratic { matrix, slope, loss: equations.loss }
    }

    /// Makes the best change of all, again and again, until none lowers the loss any more. `integers` are updated and stay
    /// within `limit` in magnitude.
    pub fn descend(mut self, integers: &mut [f64], limit: f64) -> Vec<Change> {
        let mut changes = vec![];
        while let Some(change) = self.best(integers, limit).filter(|_| changes.len() < MOST) {
            for (k, sign) in &change {
                integers[*k] += sign;
                let column = self.matrix.col_as_slice(*k);
                self.slope.iter_mut().zip(column).for_each(|(s, m)| *s += sign * m);
            }
            changes.push(change);
        }
        changes
    }

    /// The change that lowers the loss most, at the cost of one product per pair.
    fn best(&self, integers: &[f64], limit: f64) -> Option<Change> {
        let allowed = |k: usize, sign: f64| (integers[k] + sign).abs() <= limit;
        let of = |(i, sign): (usize, f64)| {
            let column = self.matrix.col_as_slice(i);
            let alone = 2.0 * sign * self.slope[i] + column[i];
            let mut best = (alone, vec![(i, sign)]);
            for (j, (slope, coupling)) in self.slope[..i].iter().zip(column).enumerate() {
                let slope = slope + sign * coupling;
                let both = alone + self.matrix[(j, j)] - 2.0 * slope.abs();
                if both < best.0 && allowed(j, -slope.signum()) {
                    best = (both, vec![(i, sign), (j, -slope.signum())]);
                }
            }
            best
        };
        let all = (0..self.slope.len()).into_par_iter().flat_map_iter(|i| [(i, 1.0), (i, -1.0)]);
        // `min_by` takes the first of equals, so the choice does not depend on threads.
        let best = all.filter(|(i, sign)| allowed(*i, *sign)).map(of).min_by(|a, b| a.0.total_cmp(&b.0));
        best.filter(|(fall, _)| *fall < -LEAST * self.loss).map(|(_, change)| change)
    }
}

/// Eliminates the variable `at` from a symmetric matrix: M - M_(:,at) M_(at,:) / M_(at,at). For normal equations this
/// minimizes over the variable; for their inverse it fixes the variable.
pub fn eliminate(matrix: &mut Mat<f64>, at: usize) {
    let column: Vec<f64> = matrix.col_as_slice(at).to_vec();
    for j in 0..column.len() {
        let factor = column[j] / column[at];
        matrix.col_as_slice_mut(j).iter_mut().zip(&column).for_each(|(x, c)| *x -= c * factor);
    }
    // Rounding errors would remain in the row and column of the variable.
    for (j, _) in column.iter().enumerate() {
        matrix[(at, j)] = 0.0;
        matrix[(j, at)] = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::optimize::normal::Damping;
    use proptest::prelude::*;

    fn equations(n: usize) -> NormalEquations {
        let entry = |i: usize, j: usize| if i == j { 4.0 } else { 1.0 / (1.0 + (i + j) as f64) };
        let gradient = (0..n).map(|i| (i as f64 * 1.7).sin() * 9.0).collect();
        NormalEquations { matrix: Mat::from_fn(n, n, entry), gradient, loss: 100.0 }
    }

    #[test]
    fn elimination_is_the_inverse_without_the_variable() {
        let inverse = |n| equations(n).factor(Damping::Identity, 0.0).unwrap().inverse();
        let (mut whole, part) = (inverse(4), inverse(3));
        eliminate(&mut whole, 3);
        for i in 0..3 {
            for j in 0..3 {
                assert!((whole[(i, j)] - part[(i, j)]).abs() < 1e-12);
            }
        }
    }

    /// 2 g . x + x . A x.
    fn change(equations: &NormalEquations, x: &[f64]) -> f64 {
        let n = x.len();
        let product = |i: usize| (0..n).map(|j| equations.matrix[(i, j)] * x[j]).sum::<f64>();
        (0..n).map(|i| x[i] * (2.0 * equations.gradient[i] + product(i))).sum()
    }

    #[test]
    fn the_others_are_at_their_minimum() {
        let equations = equations(5);
        let quadratic = Quadratic::new(&equations, 3);
        let z = [1.0, -2.0, 1.0];
        let found: f64 = (0..3)
            .map(|i| z[i] * (2.0 * quadratic.slope[i] + (0..3).map(|j| quadratic.matrix[(i, j)] * z[j]).sum::<f64>()))
            .sum();
        let least = |z: [f64; 3]| {
            let grid = || (-400..=400).map(|n| f64::from(n) / 100.0);
            let all = grid().flat_map(|a| grid().map(move |b| [z[0], z[1], z[2], a, b]));
            all.map(|x| change(&equations, &x)).fold(f64::INFINITY, f64::min)
        };
        let (least, own) = (least(z), least([0.0; 3]));
        assert!((found - (least - own)).abs() < 1e-3, "{found} {least} {own}");
    }

    proptest! {
        /// What is left cannot be improved by any change of one or two, within the limits.
        #[test]
        fn descent_ends_where_no_change_helps(start in prop::collection::vec(-3i8..=3, 5), limit in 3i8..6) {
            let (equations, limit) = (equations(5), f64::from(limit));
            let start: Vec<f64> = start.into_iter().map(f64::from).collect();
            let mut integers = start.clone();
            let changes = Quadratic::new(&equations, 5).descend(&mut integers, limit);
            prop_assert!(integers.iter().all(|k| k.abs() <= limit));
            let mut moved = vec![0.0; 5];
            changes.iter().flatten().for_each(|(k, sign)| moved[*k] += sign);
            prop_assert!(integers.iter().zip(&start).zip(&moved).all(|((now, before), z)| now - before == *z));
            let here = change(&equations, &moved);
            for (i, j) in (0..5).flat_map(|i| (0..5).map(move |j| (i, j))) {
                for (up, over) in [(1.0, 0.0), (-1.0, 0.0), (1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)] {
                    let mut other = moved.clone();
                    other[i] += up;
                    other[j] += if i == j { 0.0 } else { over };
                    let within = other.iter().zip(&start).all(|(z, start)| (start + z).abs() <= limit);
                    prop_assert!(!within || change(&equations, &other) >= here - 1e-3);
                }
            }
        }
    }
}
