//! The dispersion of negative binomial counts around their means.
//!
//! The likelihood alone takes the counts for less dispersed than they are, because the means were fitted to them. So it is
//! adjusted as Cox and Reid do (JRSS B 49:1, 1987), by -ln |J^T W J| / 2 for the n unknowns of the fit. The determinant is taken
//! to grow as (sum of mean^2 / variance)^n, as it does if every unknown scales all means alike; this needs no derivatives.
//!
//! Gamma functions of large numbers would cancel. What is left of them is Binet's function [`binet`].

use crate::math::{abs, ln, ln_1p};
use core::f32::consts::PI;

/// The range of the overdispersion 1 / k that is searched, as logarithms: from 1e-6 to 50.
const RANGE: (f32, f32) = (-13.8, 3.9);
/// Steps of the golden section: the last interval is 1e-3 of a logarithm wide.
const STEPS: usize = 21;
/// The golden section.
const GOLDEN: f32 = 0.618_034;

/// ln Gamma(z) - (z - 1/2) ln z + z - ln(2 pi) / 2, for z > 0: absolute error at most 5e-7, for z below 1e-2 relative.
pub fn binet(z: f32) -> f32 {
    let (mut z, mut sum) = (z, 0.0);
    while z < 3.0 {
        sum += (z + 0.5) * ln_1p(1.0 / z) - 1.0;
        z += 1.0;
    }
    let inverse = 1.0 / z;
    let square = inverse * inverse;
    sum + inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0)))
}

/// ln of the probability of a positive count under its own mean, with overdispersion `a`; zero for a count of zero.
pub(super) fn saturated(y: f32, a: f32) -> f32 {
    if y <= 0.0 {
        return 0.0;
    }
    let own = -0.5 * ln(2.0 * PI * y * (1.0 + a * y)) - binet(y);
    if a > 0.0 { own + binet(y + 1.0 / a) - binet(1.0 / a) } else { own }
}

/// The overdispersion 1 / k that is most likely for pairs of count and mean, of which `unknowns` numbers were estimated; zero if
/// Poisson noise is. `missing` is the log-likelihood of a perfect fit minus that of the mean.
///
/// Cost: 23 passes of about 150 instructions of a Cortex-M4F per count.
pub(super) fn estimate<I: Iterator<Item = (f32, f32)>>(
    pairs: impl Fn() -> I,
    unknowns: usize,
    missing: impl Fn(f32, f32, f32) -> f32,
) -> f32 {
    let likelihood = |a: f32| {
        let (mut sum, mut information) = (0.0, 0.0);
        for (y, mean) in pairs() {
            sum += saturated(y, a) - missing(y, mean, a);
            information += mean / (1.0 + a * mean);
        }
        sum - 0.5 * unknowns as f32 * ln(information)
    };
    let at = |ln_a: f32| likelihood(crate::math::exp(ln_a));
    let (mut low, mut high) = RANGE;
    let (mut left, mut right) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
    let (mut lower, mut upper) = (at(left), at(right));
    for _ in 0..STEPS {
        if lower > upper {
            (high, right, upper) = (right, left, lower);
            left = high - GOLDEN * (high - low);
            lower = at(left);
        } else {
            (low, left, lower) = (left, right, upper);
            right = low + GOLDEN * (high - low);
            upper = at(right);
        }
    }
    let best = 0.5 * (low + high);
    // The likelihoods of nearly Poisson counts differ by less than their sums are rounded.
    if at(best) > likelihood(0.0) + 1e-6 * abs(lower) { crate::math::exp(best) } else { 0.0 }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests compute in f64 on the host")]
mod tests {
    use super::*;

    #[test]
    fn binet_is_what_is_left_of_the_logarithm_of_gamma() {
        for k in 0..4000 {
            let z = (1e-2f64 * 1.005f64.powi(k)) as f32;
            let x = f64::from(z);
            if x > 1e6 {
                break;
            }
            let right = libm::lgamma(x) - (x - 0.5) * x.ln() + x - 0.5 * (2.0 * std::f64::consts::PI).ln();
            let error = (f64::from(binet(z)) - right).abs();
            assert!(error < 5e-7 * right.abs().max(1.0) + 1e-9 * x, "{z}: {error:e}");
        }
    }

    #[test]
    fn the_probabilities_of_all_counts_add_up_to_one() {
        for (mean, a) in [(0.3f32, 0.0), (4.0, 0.0), (4.0, 0.5), (20.0, 0.1), (2.0, 5.0)] {
            let probability = |y: u32| {
                let y = y as f32;
                (saturated(y, a) - crate::outbreak::noise::missing(y, mean, a)).exp()
            };
            let sum: f32 = (0..3000).map(probability).sum();
            assert!((sum - 1.0).abs() < 2e-4, "mean {mean}, overdispersion {a}: {sum}");
        }
    }
}
