//! SIR: S' = -beta S I, I' = beta S I - gamma I, R' = gamma I, with S + I + R = 1
//! (Kermack and McKendrick, 1927), and its exact reduction to one unknown.

pub mod phase;
mod reduced;

pub use reduced::{FixedReduced, Reduced, SHARE_BITS, TIME_BITS};

use super::{Rates, State, System};
use crate::scalar::Scalar;

/// The SIR system with unit population.
pub struct Sir;

impl System for Sir {
    const NAME: &'static str = "sir";
    const WHAT: &'static str = "epidemic: t [0, 20], I0 [.2, .4], R0 [.1, .3], beta [.4, .8], gamma [.3, .7]";
    const STATE: &'static [&'static str] = &["S", "I", "R"];
    const INITIAL: &'static [&'static str] = &["I0", "R0"];
    const RATES: &'static [&'static str] = &["beta", "gamma"];
    const CONSERVED: bool = true;
    const DOMAIN: &'static [(f64, f64)] = &[(0.0, 20.0), (0.2, 0.4), (0.1, 0.3), (0.4, 0.8), (0.3, 0.7)];

    fn initial<S: Scalar>(&[i0, r0, ..]: &State<S>) -> State<S> {
        [S::one() - i0 - r0, i0, r0, S::zero()]
    }

    fn rhs<S: Scalar>(&[s, i, ..]: &State<S>, &[beta, gamma, ..]: &Rates<S>) -> State<S> {
        let infections = beta * s * i;
        let recoveries = gamma * i;
        [-infections, infections - recoveries, recoveries, S::zero()]
    }

    fn admissible(&[i0, r0, ..]: &State<f32>, &[beta, gamma, ..]: &Rates<f32>) -> bool {
        i0 >= 0.0 && r0 >= 0.0 && i0 + r0 <= 1.0 && r0 < 1.0 && beta >= 0.0 && gamma >= 0.0 && beta + gamma > 0.0
    }

    fn plausible(&[s0, _, r0, _]: &State<f32>, _: &Rates<f32>, &[s, i, r, _]: &State<f32>, slack: f32) -> bool {
        s <= s0 + slack && s >= -slack && i >= -slack && i <= 1.0 + slack && r >= r0 - slack && r <= 1.0 + slack
    }
}

#[cfg(test)]
mod tests {
    use crate::ode::Ode;

    #[test]
    fn jacobian_matches_the_hand_derivative() {
        let (y, p) = ([0.6, 0.3, 0.1, 0.0], [0.7, 0.3, 0.0, 0.0]);
        let j = Ode::Sir.jacobian(&y, &p);
        assert_eq!(j[0][0], -0.7 * 0.3);
        assert_eq!(j[1][1], 0.7 * 0.6 - 0.3);
        assert_eq!(j[2][1], 0.3);
    }
}
