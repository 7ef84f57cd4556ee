//! The gamma distribution: its mean, its cumulative probability, and its quantiles.
//!
//! Errors are measured against f64 in the tests, over shapes from 0.3 to 10^7. Costs are in evaluations of a series that
//! takes about five floating-point operations a term.

use crate::math::{abs, exp, ln, ln_1p, sqrt};

/// From this shape on, quantiles come from the Cornish-Fisher expansion, and below from Newton's method.
const LARGE: f32 = 20.0;
/// From this shape on, Stirling's series gives the logarithm of the gamma function to the accuracy of f32.
const STIRLING: f32 = 4.0;
/// Terms of the series and of the continued fraction; near x = shape about six square roots of the shape are needed.
const TERMS: usize = 1000;
/// Newton steps for a quantile; four are enough from the starting value, except far out in the tails.
const STEPS: usize = 16;

/// A gamma distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gamma {
    /// Its shape, positive.
    pub shape: f32,
    /// Its scale, positive.
    pub scale: f32,
}

impl Gamma {
    /// The mean.
    pub fn mean(&self) -> f32 {
        self.shape * self.scale
    }

    /// The standard deviation.
    pub fn deviation(&self) -> f32 {
        sqrt(self.shape) * self.scale
    }

    /// The value below which the share `probability` of the distribution lies.
    ///
    /// Relative error at most 1e-6 for shapes of 1 and more and probabilities from 0.005 to 0.995. NaN, unless the
    /// probability lies strictly between 0 and 1 and the shape is positive.
    ///
    /// A shape of 20 or more takes the Cornish-Fisher expansion (Fisher and Cornish 1960), about 30 operations. Below,
    /// Newton's method on ln x takes about four evaluations of the cumulative probability, from the value of Wilson and
    /// Hilferty (1931).
    ///
    /// ```
    /// use sirocco::gamma::Gamma;
    /// // The exponential distribution with mean 2 has its median at 2 ln 2.
    /// let median = Gamma { shape: 1.0, scale: 2.0 }.quantile(0.5);
    /// assert!((median - 1.386_294_4).abs() < 1e-6);
    /// ```
    pub fn quantile(&self, probability: f32) -> f32 {
        let inside = probability > 0.0 && probability < 1.0 && self.shape > 0.0;
        if !inside {
            return f32::NAN;
        }
        let z = normal_quantile(probability);
        let x = if self.shape >= LARGE { cornish_fisher(self.shape, z) } else { newton(self.shape, probability, z) };
        x * self.scale
    }
}

/// Cumulative probability of a gamma distribution of scale 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cumulative {
    /// The probability of a value below x.
    pub below: f32,
    /// The probability of a value above x, accurate also where it is small.
    pub above: f32,
    /// x^shape e^-x / gamma(shape + 1): what `below` loses when the shape grows by 1. The density is this times shape / x.
    pub step: f32,
}

/// The cumulative probability of the gamma distribution with `shape` and scale 1 at `x`: relative error at most 2e-6 for
/// shapes up to 10^4, which is the largest this is made for.
///
/// `below` is a power series for x < shape + 1, and `above` a continued fraction elsewhere (Abramowitz and Stegun 6.5.29
/// and 6.5.31); the other one is what is left to 1.
pub fn cumulative(shape: f32, x: f32) -> Cumulative {
    if x <= 0.0 {
        return Cumulative { below: 0.0, above: 1.0, step: 0.0 };
    }
    let step = step(shape, x);
    if x < shape + 1.0 {
        let below = step * series(shape, x);
        Cumulative { below, above: 1.0 - below, step }
    } else {
        let above = step * shape * fraction(shape, x);
        Cumulative { below: 1.0 - above, above, step }
    }
}

/// 1 + x / (a + 1) + x^2 / ((a + 1) (a + 2)) + ...
fn series(a: f32, x: f32) -> f32 {
    let (mut term, mut sum, mut n) = (1.0, 1.0, a);
    for _ in 0..TERMS {
        n += 1.0;
        term *= x / n;
        let next = sum + term;
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// 1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / ...)) for x of at least a + 1.
///
/// From the innermost term outwards, because rounding errors fade on the way. The number of terms leaves 2e-8 or less.
fn fraction(a: f32, x: f32) -> f32 {
    let terms = ((10.0 + 16.0 / x + 2.0 * sqrt(a)) as usize).min(TERMS);
    let mut n = terms as f32;
    let mut value = x + 2.0 * n + 1.0 - a;
    while n > 0.0 {
        value = (x + 2.0 * n - 1.0 - a) + n * (a - n) / value;
        n -= 1.0;
    }
    1.0 / value
}

/// x^a e^-x / gamma(a + 1), for positive a and x.
fn step(a: f32, x: f32) -> f32 {
    if a < STIRLING {
        return exp(a * ln(x) - x) / gamma_of_next(a);
    }
    // By Stirling's series. With u = x / a - 1 the exponent is -a (u - ln(1 + u)), which keeps its digits near x = a.
    let u = (x - a) / a;
    let h = if abs(u) < 0.2 {
        let mut p = 1.0 / 12.0;
        for k in [11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0_f32] {
            p = 1.0 / k - u * p;
        }
        u * u * p
    } else {
        u - ln_1p(u)
    };
    exp(-a * h - stirling(a)) / sqrt(core::f32::consts::TAU * a)
}

/// gamma(a + 1), for a from 0 to 30: relative error at most 1e-6, and 2e-7 up to a = 4.
///
/// A product down to a factor of gamma(1 + f) with f in [0, 1], whose reciprocal is a polynomial of degree 8.
fn gamma_of_next(a: f32) -> f32 {
    let (mut f, mut product) = (a, 1.0);
    while f > 1.0 {
        product *= f;
        f -= 1.0;
    }
    let mut p = -1.094_335_3e-3;
    for c in
        [6.580_792_4e-3, -8.763_155e-3, -4.276_984e-2, 0.166_750_37, -4.204_556_3e-2, -0.655_873_8, 0.577_215_5, 1.0]
    {
        p = p * f + c;
    }
    product / p
}

/// What Stirling's formula for ln gamma(n) leaves: 1 / (12 n) - 1 / (360 n^3) + 1 / (1260 n^5).
fn stirling(n: f32) -> f32 {
    let square = 1.0 / (n * n);
    (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1260.0)) / n
}

/// The quantile of the gamma distribution with scale 1 that belongs to the normal quantile `z`, for large shapes `a`.
fn cornish_fisher(a: f32, z: f32) -> f32 {
    let root = sqrt(a);
    let z2 = z * z;
    let first = (z2 - 1.0) / 3.0;
    let second = z * (z2 - 7.0) / 36.0;
    let third = (16.0 - z2 * (7.0 + 3.0 * z2)) / 810.0;
    let fourth = z * (z2 * (256.0 + 9.0 * z2) - 433.0) / 38_880.0;
    let fifth = (1472.0 - z2 * (923.0 + z2 * (243.0 - 12.0 * z2))) / 204_120.0;
    a + (root * z + (first + (second + (third + (fourth + fifth / root) / root) / root) / root))
}

/// The quantile of the gamma distribution with scale 1, for small shapes `a`.
fn newton(a: f32, probability: f32, z: f32) -> f32 {
    // Wilson and Hilferty: the cube root of a gamma variable is nearly normal. Where they fail, the first term of the series.
    let root = 1.0 - 1.0 / (9.0 * a) + z / (3.0 * sqrt(a));
    let start = exp(ln(probability * gamma_of_next(a)) / a);
    let mut x = if root > 0.3 { a * root * root * root } else { start };
    for _ in 0..STEPS {
        let at = cumulative(a, x);
        let excess = if probability < 0.5 { at.below - probability } else { (1.0 - probability) - at.above };
        // The derivative of the probability by ln x is the density times x.
        let change = (excess / (at.step * a)).clamp(-1.0, 1.0);
        x *= exp(-change);
        if abs(change) < 1e-7 {
            break;
        }
    }
    x
}

/// The value below which a standard normal variable lies with `probability`: relative error about 4e-7.
///
/// Rational functions of Wichura (1988), algorithm AS 241, PPND7.
pub fn normal_quantile(probability: f32) -> f32 {
    let q = probability - 0.5;
    if abs(q) <= 0.425 {
        let r = 0.180_625 - q * q;
        let above = ((59.109_375 * r + 159.291_13) * r + 50.434_27) * r + 3.387_132_6;
        let below = ((67.187_56 * r + 78.757_76) * r + 17.895_17) * r + 1.0;
        return q * above / below;
    }
    let tail = if q < 0.0 { probability } else { 1.0 - probability };
    let r = sqrt(-ln(tail));
    let z = if r <= 5.0 {
        let r = r - 1.6;
        let above = ((0.170_238_21 * r + 1.306_728_5) * r + 2.756_815_4) * r + 1.423_437_3;
        above / ((0.120_211_33 * r + 0.737_001_64) * r + 1.0)
    } else {
        let r = r - 5.0;
        let above = ((0.017_337_204 * r + 0.428_682_94) * r + 3.081_226_3) * r + 6.657_905;
        above / ((0.012_258_203 * r + 0.241_978_94) * r + 1.0)
    };
    if q < 0.0 { -z } else { z }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Numbers of a table that tests/compare/renewal.py wrote with scipy in f64, without its header.
    fn rows<const N: usize>(table: &str) -> Vec<[f64; N]> {
        let row = |line: &str| -> [f64; N] {
            let numbers: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
            numbers.try_into().unwrap()
        };
        table.lines().skip(1).map(row).collect()
    }

    fn relative(is: f32, expected: f64) -> f64 {
        (f64::from(is) / expected - 1.0).abs()
    }

    #[test]
    fn quantiles_are_exact_to_f32() {
        let mut worst = 0.0_f64;
        let rows = rows::<3>(include_str!("../../tests/data/renewal/gamma_quantiles.csv"));
        assert!(rows.len() > 100);
        for [shape, probability, expected] in rows {
            let is = Gamma { shape: shape as f32, scale: 1.0 }.quantile(probability as f32);
            let error = relative(is, expected);
            worst = worst.max(error);
            assert!(error < 1e-6, "shape {shape}, probability {probability}: {is} instead of {expected}");
        }
        assert!(worst > 1e-8, "f32 cannot be as exact as {worst}");
    }

    #[test]
    fn cumulative_probabilities_are_exact_on_both_sides() {
        let rows = rows::<4>(include_str!("../../tests/data/renewal/gamma_probabilities.csv"));
        assert!(rows.len() > 50);
        for [shape, x, below, above] in rows {
            let is = cumulative(shape as f32, x as f32);
            // A probability is exact to f32 where it is small; the other one is 1 less that.
            let error = if below < 0.5 { relative(is.below, below) } else { relative(is.above, above) };
            let either = if x < shape + 1.0 { relative(is.below, below) } else { relative(is.above, above) };
            assert!(error.min(either) < 2e-6, "shape {shape} at {x}: {is:?} instead of {below} and {above}");
            assert!((is.below + is.above - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn normal_quantiles_are_those_of_the_tables() {
        for (probability, expected) in [(0.5, 0.0), (0.75, 0.674_489_75), (0.975, 1.959_964), (0.995, 2.575_829_3)] {
            for (probability, expected) in [(probability, expected), (1.0 - probability, -expected)] {
                let is = normal_quantile(probability);
                assert!((is - expected).abs() < 4e-6, "{probability}: {is} instead of {expected}");
            }
        }
        assert!((normal_quantile(1e-20) + 9.262_34).abs() < 1e-4);
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_definition() {
        let gamma = Gamma { shape: 4.0, scale: 0.5 };
        assert_eq!((gamma.mean(), gamma.deviation()), (2.0, 1.0));
    }

    #[test]
    fn what_is_no_probability_has_no_quantile() {
        for (shape, probability) in [(2.0, 0.0), (2.0, 1.0), (2.0, -0.1), (2.0, f32::NAN), (0.0, 0.5), (f32::NAN, 0.5)]
        {
            assert!(Gamma { shape, scale: 1.0 }.quantile(probability).is_nan(), "{shape}, {probability}");
        }
        // Nothing of this has an answer; all of it ends.
        for x in [f32::NAN, f32::INFINITY, f32::MAX, -1.0] {
            for shape in [f32::NAN, f32::INFINITY, f32::MAX, 1e-30, 0.0, -1.0] {
                let _ = cumulative(shape, x);
                let _ = Gamma { shape, scale: x }.quantile(0.3);
            }
        }
    }
}
