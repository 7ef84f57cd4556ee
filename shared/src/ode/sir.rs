//! SIR: S' = -beta S I, I' = beta S I - gamma I, R' = gamma I, with S + I + R = 1
//! (Kermack and McKendrick, 1927), and its exact reduction to one unknown.

pub mod fixed;

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

/// The exact reduction of one SIR problem to a single unknown x(tau), x(0) = 0:
///
/// x' = 1 - s0 exp(-p x) - (1 - p) x, with N = 1 - R0, i0 = I0 / N, s0 = 1 - i0,
/// k = beta N + gamma, p = beta N / k, tau = k t; then S = N s0 exp(-p x),
/// R = R0 + N (1 - p) x, I = N x'. S + I + R = 1 holds by construction.
///
/// The equation has a second, negative equilibrium that means nothing: a solution must have x >= 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reduced<S> {
    /// N: the part of the population that can still take part.
    pub n: S,
    /// R0 as given.
    pub r0: S,
    /// i0 = I0 / N.
    pub i0: S,
    /// p = beta N / k, in [0, 1].
    pub p: S,
    /// k = beta N + gamma, the time scale: tau = k t.
    pub k: S,
}

impl<S: Scalar> Reduced<S> {
    /// Reduces the problem with these initial coordinates (I0, R0) and rates (beta, gamma).
    pub fn new(&[i0, r0, ..]: &State<S>, &[beta, gamma, ..]: &Rates<S>) -> Self {
        let n = S::one() - r0;
        let k = beta * n + gamma;
        Reduced { n, r0, i0: i0 / n, p: beta * n / k, k }
    }

    /// s0 exp(-p x) = S / N.
    fn susceptible(&self, x: S) -> S {
        (S::one() - self.i0) * (-(self.p * x)).exp()
    }

    /// The right-hand side dx/dtau.
    pub fn rhs(&self, x: S) -> S {
        S::one() - self.susceptible(x) - (S::one() - self.p) * x
    }

    /// (S, I, R) at x.
    pub fn state(&self, x: S) -> State<S> {
        let s = self.susceptible(x);
        let q = (S::one() - self.p) * x;
        [self.n * s, self.n * (S::one() - s - q), self.r0 + self.n * q, S::zero()]
    }

    /// How the reduced problem moves with quantity `index` of the system (1: I0, 2: R0, 3: beta, 4: gamma), where the
    /// rates are `beta` and `gamma`: the derivative of every field, written out.
    pub fn moving(&self, &[beta, gamma, ..]: &Rates<S>, index: u8) -> Self {
        let still = Reduced { n: S::zero(), r0: S::zero(), i0: S::zero(), p: S::zero(), k: S::zero() };
        let &Reduced { n, i0, k, .. } = self;
        match index {
            1 => Reduced { i0: S::one() / n, ..still },
            2 => {
                let p = -(beta * gamma / (k * k));
                Reduced { n: -S::one(), r0: S::one(), i0: i0 / n, p, k: -beta }
            }
            3 => Reduced { p: n * gamma / (k * k), k: n, ..still },
            4 => Reduced { p: -(beta * n / (k * k)), k: S::one(), ..still },
            _ => still,
        }
    }

    /// Component `index` of [`Self::state`] at x, to the same bits, with its derivative with respect to x and, in the
    /// fields of the reduced problem, with respect to each of those: for one exponential, whatever moves.
    pub fn component(&self, x: S, index: usize) -> (S, S, Self) {
        let &Reduced { n, r0, i0, p, .. } = self;
        let (one, zero) = (S::one(), S::zero());
        let still = Reduced { n: zero, r0: zero, i0: zero, p: zero, k: zero };
        let decay = (-(p * x)).exp();
        let s = (one - i0) * decay;
        let q = (one - p) * x;
        match index {
            0 => (n * s, -(n * p * s), Reduced { n: s, i0: -(n * decay), p: -(n * x * s), ..still }),
            1 => {
                let i = one - s - q;
                let slopes = Reduced { n: i, i0: n * decay, p: n * x * (one + s), ..still };
                (n * i, n * (p * s - (one - p)), slopes)
            }
            2 => (r0 + n * q, n * (one - p), Reduced { n: q, r0: one, p: -(n * x), ..still }),
            _ => (zero, zero, still),
        }
    }

    /// (dS/dt, dI/dt, dR/dt) at x for a given dx/dtau, per unit of physical time.
    pub fn derivative(&self, x: S, dx: S) -> State<S> {
        let nk = self.n * self.k;
        let ds = -(nk * self.p * self.susceptible(x) * dx);
        let dr = nk * (S::one() - self.p) * dx;
        [ds, -(ds + dr), dr, S::zero()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ode::Ode;

    #[test]
    fn reduction_is_exact() {
        let (c, p) = ([0.2, 0.1, 0.0, 0.0], [0.7, 0.3, 0.0, 0.0]);
        let reduced = Reduced::<f64>::new(&c, &p);
        for x in [0.0, 0.3, 1.1, 2.5] {
            let state = reduced.state(x);
            assert!((state.iter().sum::<f64>() - 1.0).abs() < 1e-15);
            let by_x = reduced.derivative(x, reduced.rhs(x));
            let by_sir = Ode::Sir.rhs(&state, &p);
            for (a, b) in by_x.iter().zip(by_sir) {
                assert!((a - b).abs() < 1e-15, "{by_x:?} {by_sir:?}");
            }
        }
    }

    #[test]
    fn derivatives_written_out_are_those_of_dual_numbers() {
        use crate::scalar::Dual;
        let (c, p) = ([0.2, 0.1, 0.0, 0.0], [0.7, 0.3, 0.0, 0.0]);
        let reduced = Reduced::<f64>::new(&c, &p);
        for index in 0..5u8 {
            let seed = |value, own| Dual { value, derivative: f64::from(u8::from(own == index)) };
            let still = |value| seed(value, u8::MAX);
            let seeded = Reduced::new(
                &[seed(c[0], 1), seed(c[1], 2), still(0.0), still(0.0)],
                &[seed(p[0], 3), seed(p[1], 4), still(0.0), still(0.0)],
            );
            let moving = reduced.moving(&p, index);
            let fields = |r: &Reduced<f64>| [r.n, r.r0, r.i0, r.p, r.k];
            let duals = [seeded.n, seeded.r0, seeded.i0, seeded.p, seeded.k];
            for (written, dual) in fields(&moving).iter().zip(duals) {
                assert!((written - dual.derivative).abs() < 1e-15, "{index}: {moving:?} {seeded:?}");
            }
            // x moves too, in a way of its own.
            for (x, dx) in [(0.0, 0.0), (0.3, -0.4), (1.1, 0.9), (2.5, 3.0)] {
                let states = seeded.state(Dual { value: x, derivative: dx });
                for (component, (state, dual)) in reduced.state(x).iter().zip(states).enumerate() {
                    let (value, by_x, by) = reduced.component(x, component);
                    assert_eq!(value, *state);
                    let through: f64 = fields(&by).iter().zip(fields(&moving)).map(|(a, b)| a * b).sum();
                    assert!((by_x * dx + through - dual.derivative).abs() < 1e-14, "{index} {component} {x}");
                }
            }
        }
    }

    #[test]
    fn jacobian_matches_the_hand_derivative() {
        let (y, p) = ([0.6, 0.3, 0.1, 0.0], [0.7, 0.3, 0.0, 0.0]);
        let j = Ode::Sir.jacobian(&y, &p);
        assert_eq!(j[0][0], -0.7 * 0.3);
        assert_eq!(j[1][1], 0.7 * 0.6 - 0.3);
        assert_eq!(j[2][1], 0.3);
    }
}
