//! Duffing's oscillator without drive: x'' + delta x' + alpha x + beta x^3 = 0 (Duffing, 1918), as x' = v,
//! v' = -delta v - alpha x - beta x^3. A spring that hardens as it is stretched: its frequency grows with amplitude.
//!
//! The energy v^2 / 2 + alpha x^2 / 2 + beta x^4 / 4 only falls, or stays where delta = 0. With beta = 0 this is the
//! damped harmonic oscillator. In the right unit of time alpha = 1.

use super::{Rates, State, System};
use crate::scalar::Scalar;

/// A damped oscillator with a hardening spring.
pub struct Duffing;

impl System for Duffing {
    const NAME: &'static str = "duffing";
    const WHAT: &'static str =
        "nonlinear oscillator from rest: t [0, 6], x0 [.5, 1.5], v0 0, delta [.1, .4], alpha 1, beta [0, 1]";
    const STATE: &'static [&'static str] = &["x", "v"];
    const INITIAL: &'static [&'static str] = &["x0", "v0"];
    const RATES: &'static [&'static str] = &["delta", "alpha", "beta"];
    const CONSERVED: bool = false;
    const DOMAIN: &'static [(f64, f64)] = &[(0.0, 6.0), (0.5, 1.5), (0.0, 0.0), (0.1, 0.4), (1.0, 1.0), (0.0, 1.0)];

    fn initial<S: Scalar>(&[x0, v0, ..]: &State<S>) -> State<S> {
        [x0, v0, S::zero(), S::zero()]
    }

    fn rhs<S: Scalar>(&[x, v, ..]: &State<S>, &[delta, alpha, beta, ..]: &Rates<S>) -> State<S> {
        [v, -(delta * v + (alpha + beta * x * x) * x), S::zero(), S::zero()]
    }

    /// A double well (alpha < 0) is left out: there a hair's breadth decides which well a solution ends in.
    fn admissible(_: &State<f32>, &[delta, alpha, beta, _]: &Rates<f32>) -> bool {
        delta >= 0.0 && alpha >= 0.0 && beta >= 0.0
    }

    /// No more energy than at first, once `slack` is taken off both |x| and |v|.
    fn plausible(&[x0, v0, ..]: &State<f32>, rates: &Rates<f32>, &[x, v, ..]: &State<f32>, slack: f32) -> bool {
        let less = |value: f32| (value.max(-value) - slack).max(0.0);
        energy(less(x), less(v), rates) <= energy(x0, v0, rates)
    }
}

/// v^2 / 2 + alpha x^2 / 2 + beta x^4 / 4.
fn energy(x: f32, v: f32, &[_, alpha, beta, _]: &Rates<f32>) -> f32 {
    let square = x * x;
    0.5 * (v * v + (alpha + 0.5 * beta * square) * square)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ode::Ode;
    use crate::rk4;

    #[test]
    fn only_states_with_more_energy_are_implausible() {
        let (initial, rates) = ([1.0, 0.5, 0.0, 0.0], [0.2, 1.0, 0.5, 0.0]);
        for k in 0u8..40 {
            let t = 0.25 * f32::from(k);
            let [x, v, ..] = rk4::integrate(Ode::Duffing, &initial, &rates, t, 200);
            for (dx, dv) in [(0.0, 0.0), (0.009, 0.009), (-0.009, 0.009), (0.009, -0.009), (-0.009, -0.009)] {
                assert!(Duffing::plausible(&initial, &rates, &[x + dx, v + dv, 0.0, 0.0], 0.01), "{t} {dx} {dv}");
            }
        }
        assert!(!Duffing::plausible(&initial, &rates, &[1.0, 0.6, 0.0, 0.0], 0.01));
        assert!(!Duffing::plausible(&initial, &rates, &[-1.3, 0.0, 0.0, 0.0], 0.01));
    }
}
