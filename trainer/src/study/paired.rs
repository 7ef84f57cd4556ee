//! Paired comparisons over seeds: mean difference, its 95 % interval, Student's t with Holm's correction.

use crate::statistics::{deviation, mean};
use serde::Serialize;

/// The comparison of one arm with another, seed by seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// Mean difference.
    pub difference: f64,
    /// Half of its 95 % confidence interval.
    pub half_interval: f64,
    /// Two-sided p-value of the hypothesis that there is no difference.
    pub p: f64,
    /// The p-value after Holm's correction for all comparisons of the study.
    pub p_holm: f64,
}

/// Compares two columns that have one value per seed; `None` unless they have the same number of values, at least two.
pub fn compare(a: &[f64], b: &[f64]) -> Option<Paired> {
    if a.len() != b.len() || a.len() < 2 {
        return None;
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let (difference, n) = (mean(&differences), differences.len() as f64);
    let error = deviation(&differences) / n.sqrt();
    let p = if error > 0.0 { two_sided(difference / error, n - 1.0) } else { f64::from(u8::from(difference == 0.0)) };
    Some(Paired { difference, half_interval: critical(n - 1.0) * error, p, p_holm: p })
}

/// Holm (1979): the k-th smallest of m p-values is multiplied by m - k (k from 0), and is at least the one before it.
pub fn holm(mut all: Vec<&mut Paired>) {
    all.sort_by(|a, b| a.p.total_cmp(&b.p));
    let (m, mut least) = (all.len(), 0.0f64);
    for (k, paired) in all.into_iter().enumerate() {
        least = least.max((paired.p * (m - k) as f64).min(1.0));
        paired.p_holm = least;
    }
}

/// P(|T| > |t|) for Student's t with `freedom` degrees: 2/B(v/2, 1/2) times the integral over angles
/// `integral from atan(|t| / sqrt v) to pi/2 of cos^(v-1)`, by Simpson's rule; within 1e-9.
fn two_sided(t: f64, freedom: f64) -> f64 {
    let density = |angle: f64| angle.cos().max(0.0).powf(freedom - 1.0);
    let quarter = std::f64::consts::FRAC_PI_2;
    simpson(density, (t.abs() / freedom.sqrt()).atan(), quarter) / simpson(density, 0.0, quarter)
}

fn simpson(f: impl Fn(f64) -> f64, from: f64, to: f64) -> f64 {
    const N: usize = 2000;
    let h = (to - from) / N as f64;
    let weight = |k: usize| {
        if k == 0 || k == N {
            1.0
        } else if k % 2 == 1 {
            4.0
        } else {
            2.0
        }
    };
    (0..=N).map(|k| weight(k) * f(from + h * k as f64)).sum::<f64>() * h / 3.0
}

/// The critical t of 5 %, two-sided, by bisection.
fn critical(freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e3);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if two_sided(middle, freedom) > 0.05 { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn student_is_the_table() {
        for (freedom, t) in [(1.0, 12.706), (4.0, 2.776), (19.0, 2.093)] {
            assert!((critical(freedom) - t).abs() < 2e-3, "{freedom}: {}", critical(freedom));
        }
        assert!((two_sided(0.0, 4.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_comparison_by_hand() {
        // Differences 1, 2, 3: mean 2, deviation 1, t = 2 sqrt 3, p = 0.0742.
        let paired = compare(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0]).unwrap();
        assert!((paired.difference - 2.0).abs() < 1e-12 && (paired.p - 0.0742).abs() < 1e-4, "{paired:?}");
        assert!(compare(&[1.0], &[1.0]).is_none() && compare(&[1.0, 2.0], &[1.0]).is_none());
        assert_eq!(compare(&[1.0, 1.0], &[1.0, 1.0]).unwrap().p, 1.0);
    }

    #[test]
    fn holm_multiplies_and_keeps_the_order() {
        let with = |p| Paired { difference: 0.0, half_interval: 0.0, p, p_holm: p };
        let (mut a, mut b, mut c) = (with(0.01), with(0.04), with(0.03));
        holm(vec![&mut a, &mut b, &mut c]);
        assert!((a.p_holm - 0.03).abs() < 1e-12 && (c.p_holm - 0.06).abs() < 1e-12 && (b.p_holm - 0.06).abs() < 1e-12);
    }
}
