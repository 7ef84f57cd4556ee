//! Which orbit an epidemic runs along, and the rates at its two ends, from the extent Y of the orbit alone.
//!
//! With s = k S, i = k I and k = beta / gamma, every SIR epidemic conserves C = s + i - ln s. Its orbit begins (long ago) and
//! ends (long after) without infected, at the two roots of s - ln s = C: at s_- = q + Y before and at q < 1 after it. In the
//! unknown y = ln(s / q), which falls from Y to 0 and is k times the recoveries still to come,
//!
//! s = q e^y,   i = y - q (e^y - 1),   dy/dT = -i,   T = gamma t,
//!
//! and everything follows from Y: q = Y / (e^Y - 1), the rate lambda_+ = 1 - q at which the epidemic dies away, and
//! lambda_- = q + Y - 1, at which it grew.

use crate::math::abs;
use crate::scalar::{Precise, Real};

/// An orbit by its extent, with the rates at its ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orbit<R> {
    /// Y = ln(s_- / q), the extent.
    pub extent: R,
    /// q, k times the susceptible share after the epidemic.
    pub q: R,
    /// lambda_+ = 1 - q: infections die away as e^(-lambda_+ T) in the end.
    pub decay: R,
    /// lambda_- = q + Y - 1: infections grew as e^(lambda_- T) in the beginning.
    pub growth: R,
}

impl<R: Real> Orbit<R> {
    /// The orbit of this extent, Y > 0. Relative error of both rates: 3e-7 in f32.
    pub fn of_extent(extent: R) -> Self {
        let c = R::constant;
        if extent < c(0.3) {
            // The Taylor series of 1 - Y / (e^Y - 1).
            let y2 = extent * extent;
            let decay = extent * (c(0.5) - extent * (c(1.0 / 12.0) - y2 * (c(1.0 / 720.0) - y2 * c(1.0 / 30240.0))));
            return Orbit { extent, q: R::one() - decay, decay, growth: extent - decay };
        }
        let e = (-extent).exp();
        let q = extent * e / (R::one() - e);
        let decay = R::one() - q;
        Orbit { extent, q, decay, growth: extent - decay }
    }

    /// The orbit through (s, i) = (k S, k I), i > 0 and s > 0.
    pub fn through(s: R, i: R) -> Self {
        let c = R::constant;
        let energy = i + excess(s);
        let delta = (energy + energy).sqrt();
        if delta < c(0.53) {
            let d2 = delta * delta;
            let extent = delta * (c(2.0) + d2 * (c(0.055_555_554_3) + d2 * (c(4.629_94e-4) - d2 * c(5.129_10e-5))));
            return Self::of_extent(extent);
        }
        // Y / delta by a Chebyshev fit over [0.53, 9], with an error of at most 1.1e-4, then Newton's iteration on C(Y) = C.
        let u = (delta.min(c(9.0)) - c(4.75)) * c(1.0 / 4.25);
        let ratio = polynomial!(
            u;
            3.155_564_654_921_844,
            1.731_982_209_300_687_4,
            0.249_153_224_964_420_44,
            -0.203_776_760_896_035_5,
            0.185_347_021_766_445_74,
            -0.058_462_642_402_101_35,
            -0.073_863_195_405_008_49,
            0.040_874_734_660_752_58,
            0.008_132_342_486_921_33,
        );
        let mut extent = delta * ratio;
        let mut q = R::zero();
        for _ in 0..R::REFINEMENTS {
            let e = (-extent).exp();
            let start = extent / (R::one() - e);
            q = start * e;
            let growth = start - R::one();
            let rate = growth / extent;
            let step = (growth - start.ln() - energy) / (rate * (R::one() - q));
            extent = extent - step;
            // d ln q = -lambda_- dY / Y, of which the third order is below rounding.
            let fall = rate * step;
            q = q * (R::one() + fall + c(0.5) * fall * fall);
        }
        let decay = R::one() - q;
        Orbit { extent, q, decay, growth: extent - decay }
    }

    /// Both distances along the orbit of the point (s, i) on it: y to its end, and g = Y - y to its beginning. The smaller
    /// one is accurate to a few units in its last place.
    pub fn distances(&self, s: R, i: R) -> (R, R) {
        let one = R::one();
        let y = s - one + i + self.decay;
        if y < self.extent * R::constant(0.5) {
            let y = recoveries(s, i, y.max(R::zero()), R::REFINEMENTS);
            return (y, self.extent - y);
        }
        // s (e^g - 1) - g = i.
        let step = |g: R| {
            let e = g.exp_m1();
            (s * e - g - i) / (s * (one + e) - one)
        };
        let mut g = (self.extent - y).max(i / (R::constant(2.0) * (self.q + self.extent)));
        for _ in 0..R::REFINEMENTS + 1 {
            g = g - step(g);
        }
        let g = g.settled(step);
        (self.extent - g, g)
    }
}

impl<R: Precise> Orbit<R> {
    /// The orbit with this C - 1, from what f32 says of it. Relative error of the extent and both rates: a few units in the last
    /// place.
    pub fn refined(rough: &Orbit<f32>, energy: R) -> Option<Self> {
        let c = R::constant;
        let mut extent = R::from_f32(rough.extent);
        for _ in 0..6 {
            let Orbit { q, decay, growth, .. } = Self::precise(extent);
            let left =
                if growth < c(0.8) { above(growth / (growth + c(2.0))) } else { growth - (c(1.0) + growth).ln() };
            let rate = growth.to_f32() / extent.to_f32();
            let step = (left - energy).to_f32() / (rate * decay.to_f32());
            extent = extent - R::from_f32(step);
            if abs(step) <= 1e-5 * extent.to_f32() {
                // d ln q = -lambda_- dY / Y.
                let rise = R::from_f32(q.to_f32() * rate * step);
                let decay = decay - rise;
                return Some(Orbit { extent, q: q + rise, decay, growth: extent - decay });
            }
        }
        None
    }

    /// The orbit of this extent, Y > 0. Relative error of both rates: a few units in the last place.
    fn precise(extent: R) -> Self {
        let c = R::constant;
        let (q, decay);
        if extent < c(1.0) {
            // The Taylor series of 1 - Y / (e^Y - 1), with an error of 1e-11.
            let series = polynomial!(
                extent * extent;
                1.0 / 12.0,
                -1.0 / 720.0,
                1.0 / 30_240.0,
                -1.0 / 1_209_600.0,
                1.0 / 47_900_160.0,
                -691.0 / 1_307_674_368_000.0,
            );
            decay = extent * (c(0.5) - extent * series);
            q = c(1.0) - decay;
        } else {
            let e = (-extent).exp();
            q = extent * e / (c(1.0) - e);
            decay = c(1.0) - q;
        }
        Orbit { extent, q, decay, growth: extent - decay }
    }
}

/// The solution y of y + s (e^-y - 1) = i by this many steps of Newton's iteration from `start`.
pub fn recoveries<R: Real>(s: R, i: R, start: R, steps: u8) -> R {
    let one = R::one();
    let step = |y: R| {
        let e = (-y).exp_m1();
        (y + s * e - i) / (one - s * (one + e))
    };
    let mut y = start;
    for _ in 0..steps {
        y = y - step(y);
    }
    y.settled(step)
}

/// s - 1 - ln s, at least zero, without cancellation near s = 1.
pub fn excess<R: Real>(s: R) -> R {
    let z = (s - R::one()) / (s + R::one());
    if z.abs() >= R::constant(0.3) {
        return s - R::one() - s.ln();
    }
    above(z)
}

/// s - 1 - ln s at z = (s - 1) / (s + 1), within 0.3.
#[inline(always)]
fn above<R: Real>(z: R) -> R {
    // s = (1 + z) / (1 - z) and ln s = 2 artanh z.
    let z2 = z * z;
    let series = polynomial!(z2; 1.0 / 3.0, 1.0 / 5.0, 1.0 / 7.0, 1.0 / 9.0, 1.0 / 11.0, 1.0 / 13.0, 1.0 / 15.0);
    R::constant(2.0) * z2 * (R::one() / (R::one() - z) - z * series)
}
