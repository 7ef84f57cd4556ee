//! SEIR: S' = -beta S I, E' = beta S I - sigma E, I' = sigma E - gamma I, R' = gamma I, with S + E + I + R = 1: SIR with
//! a time of 1 / sigma between being infected and infecting others (Anderson and May, 1991).

use super::{Rates, State, System};
use crate::scalar::Scalar;

/// Susceptible, exposed, infected, recovered.
pub struct Seir;

impl System for Seir {
    const NAME: &'static str = "seir";
    const WHAT: &'static str =
        "epidemic with latency: t [0, 20], E0 and I0 [.02, .1], R0 0, beta [.4, .8], sigma and gamma [.2, .5]";
    const STATE: &'static [&'static str] = &["S", "E", "I", "R"];
    const INITIAL: &'static [&'static str] = &["E0", "I0", "R0"];
    const RATES: &'static [&'static str] = &["beta", "sigma", "gamma"];
    const CONSERVED: bool = true;
    const DOMAIN: &'static [(f64, f64)] =
        &[(0.0, 20.0), (0.02, 0.1), (0.02, 0.1), (0.0, 0.0), (0.4, 0.8), (0.2, 0.5), (0.2, 0.5)];

    fn initial<S: Scalar>(&[e0, i0, r0, ..]: &State<S>) -> State<S> {
        [S::one() - e0 - i0 - r0, e0, i0, r0]
    }

    fn rhs<S: Scalar>(&[s, e, i, _]: &State<S>, &[beta, sigma, gamma, ..]: &Rates<S>) -> State<S> {
        let infections = beta * s * i;
        let onsets = sigma * e;
        let recoveries = gamma * i;
        [-infections, infections - onsets, onsets - recoveries, recoveries]
    }

    fn admissible(&[e0, i0, r0, ..]: &State<f32>, &[beta, sigma, gamma, ..]: &Rates<f32>) -> bool {
        e0 >= 0.0 && i0 >= 0.0 && r0 >= 0.0 && e0 + i0 + r0 <= 1.0 && beta >= 0.0 && sigma >= 0.0 && gamma >= 0.0
    }

    fn plausible(&[s0, _, _, r0]: &State<f32>, _: &Rates<f32>, state: &State<f32>, slack: f32) -> bool {
        let &[s, _, _, r] = state;
        s <= s0 + slack && r >= r0 - slack && state.iter().all(|share| *share >= -slack && *share <= 1.0 + slack)
    }
}
