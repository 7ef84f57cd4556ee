//! The likelihood of a count: its part of the deviance, and its weight.

use super::Noise;
use super::dispersion::saturated;
use crate::math::ln;

/// The least mean, in people: nothing can be told of how much less is expected than this.
pub(super) const LEAST: f32 = 1e-4;

/// A likelihood with everything known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scatter {
    /// With this weight, the inverse of the variance.
    Gaussian(f32),
    /// The variance is mean + mean^2 times this, the inverse of the dispersion; zero for Poisson noise.
    Counts(f32),
}

impl Scatter {
    /// Scatter to begin with: where something is not known, a variance of 1, or a dispersion of 10, under which no single count
    /// decides the fit.
    pub fn first(noise: Noise) -> Self {
        match noise {
            Noise::Gaussian { sigma } => Scatter::Gaussian(sigma.map_or(1.0, |sigma| 1.0 / (sigma * sigma))),
            Noise::Poisson => Scatter::Counts(0.0),
            Noise::NegativeBinomial { dispersion } => Scatter::Counts(dispersion.map_or(0.1, |k| 1.0 / k)),
        }
    }

    /// The part of the deviance of a count with this mean, and the inverse of the variance.
    pub fn of(self, count: f32, mean: f32) -> (f32, f32) {
        match self {
            Scatter::Gaussian(weight) => ((count - mean) * (count - mean) * weight, weight),
            Scatter::Counts(overdispersion) => {
                let mean = mean.max(LEAST);
                (2.0 * missing(count, mean, overdispersion), 1.0 / (mean + mean * mean * overdispersion))
            }
        }
    }
}

impl Scatter {
    /// The log-likelihood of a count with this mean.
    pub fn log_likelihood(self, count: f32, mean: f32) -> f32 {
        match self {
            Scatter::Gaussian(weight) => {
                -0.5 * ((count - mean) * (count - mean) * weight + ln(2.0 * core::f32::consts::PI / weight))
            }
            Scatter::Counts(a) => saturated(count, a) - missing(count, mean.max(LEAST), a),
        }
    }
}

/// The log-likelihood of a perfect fit minus that of the mean: y ln(y / m) - (y + k) ln((y + k) / (m + k)), with 1 / k the
/// overdispersion. Its limit for Poisson noise is y ln(y / m) - (y - m).
pub(super) fn missing(y: f32, mean: f32, overdispersion: f32) -> f32 {
    let own = if y > 0.0 { y * relative(mean, y) } else { 0.0 };
    // (y + k) ln((m + k) / (y + k)).
    let other = match overdispersion {
        0.0 => mean - y,
        a => (y + 1.0 / a) * crate::math::ln_1p(a * (mean - y) / (1.0 + a * y)),
    };
    (other + own).max(0.0)
}

/// ln(y / mean), without cancellation where they are close.
fn relative(mean: f32, y: f32) -> f32 {
    let off = (y - mean) / mean;
    if (-0.5..0.5).contains(&off) { crate::math::ln_1p(off) } else { ln(y / mean) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scatter_that_is_not_known_begins_somewhere() {
        assert_eq!(Scatter::first(Noise::Gaussian { sigma: Some(2.0) }), Scatter::Gaussian(0.25));
        assert_eq!(Scatter::first(Noise::NegativeBinomial { dispersion: Some(4.0) }), Scatter::Counts(0.25));
        assert_eq!(Scatter::first(Noise::Poisson), Scatter::Counts(0.0));
    }

    proptest! {
        /// Half the slope of the deviance is the residual times the weight: what a descent takes for its gradient.
        #[test]
        fn the_gradient_is_that_of_the_deviance(y in 0u32..3000, mean in 0.1f32..3000.0, a in 0.0f32..2.0) {
            let (y, scatter) = (y as f32, Scatter::Counts(a));
            let h = 0.02 * mean;
            let ((above, _), (below, _)) = (scatter.of(y, mean + h), scatter.of(y, mean - h));
            let (deviance, weight) = scatter.of(y, mean);
            let slope = (above - below) / (2.0 * h);
            let right = -2.0 * (y - mean) * weight;
            prop_assert!((slope - right).abs() <= 2e-3 * right.abs() + 4e-4 * (deviance + 1.0) / h + 1e-4, "{} {}", slope, right);
            prop_assert!(deviance >= 0.0 && scatter.of(y, y.max(0.5)).0 <= deviance + 1e-3);
        }
    }
}
