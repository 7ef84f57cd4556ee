//! Lotka-Volterra: prey x' = alpha x - beta x y, predators y' = delta x y - gamma y (Lotka 1925; Volterra 1926).
//!
//! Orbits are closed: V = delta x - gamma ln x + beta y - alpha ln y does not change in time. Units of time, prey and
//! predators can be chosen so that alpha = beta = delta = 1, which leaves gamma: so the domain below loses nothing.

use super::{Rates, State, System};
use crate::scalar::Scalar;

/// Prey and predators.
pub struct LotkaVolterra;

impl System for LotkaVolterra {
    const NAME: &'static str = "lotka-volterra";
    const WHAT: &'static str = "predators and prey: t [0, 6], x0, y0 and gamma [.7, 1.3], alpha, beta and delta 1";
    const STATE: &'static [&'static str] = &["x", "y"];
    const INITIAL: &'static [&'static str] = &["x0", "y0"];
    const RATES: &'static [&'static str] = &["alpha", "beta", "gamma", "delta"];
    const CONSERVED: bool = false;
    const DOMAIN: &'static [(f64, f64)] =
        &[(0.0, 6.0), (0.7, 1.3), (0.7, 1.3), (1.0, 1.0), (1.0, 1.0), (0.7, 1.3), (1.0, 1.0)];

    fn initial<S: Scalar>(&[x0, y0, ..]: &State<S>) -> State<S> {
        [x0, y0, S::zero(), S::zero()]
    }

    fn rhs<S: Scalar>(&[x, y, ..]: &State<S>, &[alpha, beta, gamma, delta]: &Rates<S>) -> State<S> {
        [x * (alpha - beta * y), y * (delta * x - gamma), S::zero(), S::zero()]
    }

    fn admissible(&[x0, y0, ..]: &State<f32>, rates: &Rates<f32>) -> bool {
        x0 >= 0.0 && y0 >= 0.0 && rates.iter().all(|rate| *rate >= 0.0)
    }

    fn plausible(_: &State<f32>, _: &Rates<f32>, &[x, y, ..]: &State<f32>, slack: f32) -> bool {
        x >= -slack && y >= -slack
    }
}
