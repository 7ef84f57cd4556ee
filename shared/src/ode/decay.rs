//! Exponential decay: y' = -k y, so y = y0 exp(-k t). Radioactive decay, a drug leaving the body, a discharging
//! capacitor.

use super::{Rates, State, System};
use crate::scalar::Scalar;

/// One quantity that falls at a rate proportional to itself.
pub struct Decay;

impl System for Decay {
    const NAME: &'static str = "decay";
    const WHAT: &'static str = "exponential decay: t [0, 5], y0 [.5, 2], k [.2, 2]";
    const STATE: &'static [&'static str] = &["y"];
    const INITIAL: &'static [&'static str] = &["y0"];
    const RATES: &'static [&'static str] = &["k"];
    const CONSERVED: bool = false;
    const DOMAIN: &'static [(f64, f64)] = &[(0.0, 5.0), (0.5, 2.0), (0.2, 2.0)];

    fn initial<S: Scalar>(&[y0, ..]: &State<S>) -> State<S> {
        [y0, S::zero(), S::zero(), S::zero()]
    }

    fn rhs<S: Scalar>(&[y, ..]: &State<S>, &[k, ..]: &Rates<S>) -> State<S> {
        [-(k * y), S::zero(), S::zero(), S::zero()]
    }

    fn admissible(_: &State<f32>, &[k, ..]: &Rates<f32>) -> bool {
        k >= 0.0
    }

    fn plausible(&[y0, ..]: &State<f32>, _: &Rates<f32>, &[y, ..]: &State<f32>, slack: f32) -> bool {
        y >= y0.min(0.0) - slack && y <= y0.max(0.0) + slack
    }
}
