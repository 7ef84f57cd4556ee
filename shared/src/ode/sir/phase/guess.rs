//! The first guess of the point that an orbit passes at a time, in closed form.

use super::orbit::Orbit;
use crate::scalar::Real;

/// Constants of the first guess: m K, u0, c and 1 / m, see [`Guess::ln_x`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Guess<R> {
    height: R,
    middle: R,
    steepness: R,
    inverse: R,
}

impl<R: Real> Guess<R> {
    pub fn new(orbit: &Orbit<R>) -> Self {
        let z = orbit.extent / (R::constant(6.0) + orbit.extent);
        let k = polynomial!(
            z;
            0.000_169_329_775_903_980_79,
            1.996_690_940_949_659_2,
            -1.963_448_262_287_211,
            -12.594_148_279_562_2,
            25.245_509_869_916_86,
            -12.895_560_604_694_71,
        );
        let middle = polynomial!(z; 0.598_733_027_064_083_3, 4.364_649_346_883_403, -1.626_290_029_383_323_1);
        let steepness = polynomial!(z; 0.838_419_765_025_293_9, -0.635_952_040_119_763_7, -0.266_585_208_858_700_63);
        let power = orbit.growth / orbit.decay;
        Guess { height: power * k, middle, steepness, inverse: R::one() / power }
    }

    /// ln x at the scaled phase u = lambda_- theta: ln x = -ln(1 + e^v) / m, v = u + m K / (1 + e^(c (u - u0))).
    ///
    /// v - u runs from m K at the beginning of the orbit to 0 at its end. The error of v is at most .0083 m, and the logarithm's is
    /// below that.
    pub fn ln_x(&self, phase: R) -> R {
        let one = R::one();
        // Above 40, the exponential is as good as infinite, but its square and a derivative can still be taken.
        let fall = (self.steepness * (phase - self.middle)).min(R::constant(40.0)).exp();
        let v = phase + self.height / (one + fall);
        let w = (-(v.abs())).exp();
        let ln = w * polynomial!(w; 0.999_606_35, -0.486_407_91, 0.254_011_23, -0.074_334_5);
        -((v.max(R::zero()) + ln) * self.inverse)
    }
}
