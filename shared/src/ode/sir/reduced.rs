//! The exact reduction of SIR to one unknown, in real numbers and in fixed point.

use crate::math::{divide, exp_of_minus, to_fixed};
use crate::ode::{Rates, State};
use crate::scalar::Scalar;

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

/// Fractional bits of shares.
pub const SHARE_BITS: u32 = 30;
/// Fractional bits of times and of x.
pub const TIME_BITS: u32 = 24;
/// Fractional bits of rates.
const RATE_BITS: u32 = 28;
/// One, as a share.
const ONE: u32 = 1 << SHARE_BITS;
/// N is at least 1/16, so that i0 keeps 26 bits.
const LEAST_N: u32 = ONE >> 4;
/// k is at least 1/64, so that p keeps 22 bits.
const LEAST_K: u32 = 1 << (RATE_BITS - 6);

/// The reduced problem in fixed point, with tau = k t, for networks in integers: on a processor without a floating-point
/// unit, floats around such a network would cost three times as much as the network.
///
/// | number | fractional bits | what is answered |
/// | --- | --- | --- |
/// | I0, R0, N, i0, p, s, q, e^-y | 30 | shares |
/// | beta, gamma, k | 28 | below 8; k at least 1/64 |
/// | t, tau, nn, x, p x | 24 | t below 128; tau is held there |
///
/// Products are rounded down, with an absolute error of the state of at most 3e-7 beside that of the network's answer nn.
/// Whatever lies outside has no answer here; it is left to floats. About 200 instructions, on every Cortex-M.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedReduced {
    n: u32,
    r0: u32,
    /// i0 = I0 / N.
    pub i0: u32,
    /// p = beta N / k.
    pub p: u32,
    /// tau = k t.
    pub tau: u32,
}

impl FixedReduced {
    /// Reduces the problem with these initial coordinates (I0, R0) and rates (beta, gamma) at time `t`, if its numbers lie
    /// in the ranges above. An inadmissible problem does not.
    pub fn new(t: f32, &[i0, r0, ..]: &State<f32>, &[beta, gamma, ..]: &Rates<f32>) -> Option<Self> {
        let (i0, r0) = (to_fixed(i0, SHARE_BITS)?, to_fixed(r0, SHARE_BITS)?);
        let (beta, gamma) = (to_fixed(beta, RATE_BITS)?, to_fixed(gamma, RATE_BITS)?);
        let t = to_fixed(t, TIME_BITS)?;
        let n = ONE.checked_sub(r0)?;
        let infections = product(beta, n, SHARE_BITS);
        // Both are below 2^31.
        let k = infections + gamma;
        if n < LEAST_N || i0 > n || k < LEAST_K {
            return None;
        }
        let tau = (u64::from(k) * u64::from(t)) >> RATE_BITS;
        let tau = u32::try_from(tau).map_or(i32::MAX as u32, |tau| tau.min(i32::MAX as u32));
        Some(FixedReduced { n, r0, i0: divide(i0, n), p: divide(infections, k), tau })
    }

    /// (S, I, R) where the network says `nn`: x = (1 - e^-tau) nn. None if x is negative or too large.
    pub fn state(&self, nn: f32) -> Option<State<f32>> {
        let rise = ONE - exp_of_minus(self.tau);
        let x = product(to_fixed(nn, TIME_BITS)?, rise, SHARE_BITS);
        let s = product(ONE - self.i0, exp_of_minus(product(self.p, x, SHARE_BITS)), SHARE_BITS);
        let q = (u64::from(ONE - self.p) * u64::from(x)) >> TIME_BITS;
        let q = u32::try_from(q).ok().filter(|q| *q < 2 * ONE)?;
        let infected = i64::from(self.n) * (i64::from(ONE) - i64::from(s) - i64::from(q));
        let share = |v: i32| v as f32 * (1.0 / ONE as f32);
        let r = self.r0 + product(self.n, q, SHARE_BITS);
        Some([
            share(product(self.n, s, SHARE_BITS) as i32),
            share((infected >> SHARE_BITS) as i32),
            share(r as i32),
            0.0,
        ])
    }
}

/// a b / 2^bits, rounded down.
fn product(a: u32, b: u32, bits: u32) -> u32 {
    ((u64::from(a) * u64::from(b)) >> bits) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ode::Ode;
    use proptest::prelude::*;

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
            let seed = |value, own| Dual { value, derivatives: [f64::from(u8::from(own == index))] };
            let still = |value| seed(value, u8::MAX);
            let seeded = Reduced::new(
                &[seed(c[0], 1), seed(c[1], 2), still(0.0), still(0.0)],
                &[seed(p[0], 3), seed(p[1], 4), still(0.0), still(0.0)],
            );
            let moving = reduced.moving(&p, index);
            let fields = |r: &Reduced<f64>| [r.n, r.r0, r.i0, r.p, r.k];
            let duals = [seeded.n, seeded.r0, seeded.i0, seeded.p, seeded.k];
            for (written, dual) in fields(&moving).iter().zip(duals) {
                assert!((written - dual.derivatives[0]).abs() < 1e-15, "{index}: {moving:?} {seeded:?}");
            }
            // x moves too, in a way of its own.
            for (x, dx) in [(0.0, 0.0), (0.3, -0.4), (1.1, 0.9), (2.5, 3.0)] {
                let states = seeded.state(Dual { value: x, derivatives: [dx] });
                for (component, (state, dual)) in reduced.state(x).iter().zip(states).enumerate() {
                    let (value, by_x, by) = reduced.component(x, component);
                    assert_eq!(value, *state);
                    let through: f64 = fields(&by).iter().zip(fields(&moving)).map(|(a, b)| a * b).sum();
                    assert!((by_x * dx + through - dual.derivatives[0]).abs() < 1e-14, "{index} {component} {x}");
                }
            }
        }
    }

    fn fixed([t, i0, r0, beta, gamma]: [f32; 5]) -> Option<FixedReduced> {
        FixedReduced::new(t, &[i0, r0, 0.0, 0.0], &[beta, gamma, 0.0, 0.0])
    }

    proptest! {
        #[test]
        fn fixed_point_is_as_good_as_stated(
            t in 0f32..100.0, i0 in 0f32..0.5, r0 in 0f32..0.5, beta in 0f32..3.0, gamma in 0.05f32..2.0, nn in 0f32..4.0,
        ) {
            let exact = Reduced::new(&[i0, r0, 0.0, 0.0].map(f64::from), &[beta, gamma, 0.0, 0.0].map(f64::from));
            let fixed = fixed([t, i0, r0, beta, gamma]).unwrap();
            let unit = |v: u32, bits: u32| f64::from(v) / f64::from(1u32 << bits);
            prop_assert!((unit(fixed.i0, SHARE_BITS) - exact.i0).abs() < 1e-8);
            prop_assert!((unit(fixed.p, SHARE_BITS) - exact.p).abs() < 1.5e-7);
            let tau = exact.k * f64::from(t);
            prop_assert!(tau > 127.9 || (unit(fixed.tau, TIME_BITS) - tau).abs() < 1e-6);
            if let Some(state) = fixed.state(nn) {
                for (is, expected) in state.iter().zip(exact.state((1.0 - libm::exp(-tau)) * f64::from(nn))) {
                    prop_assert!((f64::from(*is) - expected).abs() < 6e-7, "{is} {expected}");
                }
            }
        }
    }

    #[test]
    fn what_is_outside_has_no_answer() {
        assert!(fixed([10.0, 0.3, 0.2, 0.6, 0.5]).is_some());
        for bad in [
            [128.0, 0.3, 0.2, 0.6, 0.5],
            [-1.0, 0.3, 0.2, 0.6, 0.5],
            [10.0, 0.9, 0.2, 0.6, 0.5],
            [10.0, 0.3, 1.0, 0.6, 0.5],
            [10.0, 0.3, 0.2, 9.0, 0.5],
            [10.0, 0.3, 0.2, 0.0, 0.0],
            [10.0, 0.3, 0.2, f32::NAN, 0.5],
            [f32::INFINITY, 0.3, 0.2, 0.6, 0.5],
        ] {
            assert_eq!(fixed(bad), None, "{bad:?}");
        }
        let problem = fixed([100.0, 0.3, 0.2, 0.6, 0.5]).unwrap();
        assert_eq!((problem.state(-1e-3), problem.state(f32::NAN)), (None, None));
    }
}
