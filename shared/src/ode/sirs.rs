//! SIRS: S' = -beta S I + omega R, I' = beta S I - gamma I, R' = gamma I - omega R, with S + I + R = 1: SIR whose
//! immunity is lost after a mean time of 1 / omega, so that the disease stays (Anderson and May, 1991).
//!
//! For beta > gamma the solution ends at S = gamma / beta, I = (1 - S) omega / (omega + gamma).

use super::{Rates, State, System};
use crate::scalar::Scalar;

/// Susceptible, infected, recovered for a while.
pub struct Sirs;

impl System for Sirs {
    const NAME: &'static str = "sirs";
    const WHAT: &'static str = "epidemic with waning immunity: t [0, 20], I0 [.1, .3], R0 [0, .2], beta [.4, .8], gamma [.2, .4], omega [.05, .2]";
    const STATE: &'static [&'static str] = &["S", "I", "R"];
    const INITIAL: &'static [&'static str] = &["I0", "R0"];
    const RATES: &'static [&'static str] = &["beta", "gamma", "omega"];
    const CONSERVED: bool = true;
    const DOMAIN: &'static [(f64, f64)] = &[(0.0, 20.0), (0.1, 0.3), (0.0, 0.2), (0.4, 0.8), (0.2, 0.4), (0.05, 0.2)];

    fn initial<S: Scalar>(&[i0, r0, ..]: &State<S>) -> State<S> {
        [S::one() - i0 - r0, i0, r0, S::zero()]
    }

    fn rhs<S: Scalar>(&[s, i, r, _]: &State<S>, &[beta, gamma, omega, _]: &Rates<S>) -> State<S> {
        let infections = beta * s * i;
        let recoveries = gamma * i;
        let losses = omega * r;
        [losses - infections, infections - recoveries, recoveries - losses, S::zero()]
    }

    fn admissible(&[i0, r0, ..]: &State<f32>, &[beta, gamma, omega, _]: &Rates<f32>) -> bool {
        i0 >= 0.0 && r0 >= 0.0 && i0 + r0 <= 1.0 && beta >= 0.0 && gamma >= 0.0 && omega >= 0.0
    }

    fn plausible(_: &State<f32>, _: &Rates<f32>, &[s, i, r, _]: &State<f32>, slack: f32) -> bool {
        [s, i, r].iter().all(|share| *share >= -slack && *share <= 1.0 + slack)
    }
}
