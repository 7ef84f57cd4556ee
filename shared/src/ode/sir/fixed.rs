//! The reduced problem ([`super::Reduced`]) in fixed point, for networks in integers: on a processor without a
//! floating-point unit, floats around such a network would cost three times as much as the network.
//!
//! | number | fractional bits | what is answered |
//! | --- | --- | --- |
//! | I0, R0, N, i0, p, s, q, e^-y | 30 | shares |
//! | beta, gamma, k | 28 | below 8; k at least 1/64 |
//! | t, tau, nn, x, p x | 24 | t below 128; tau is held there |
//!
//! Products are rounded down, with an absolute error of the state of at most 3e-7 beside that of the network's answer nn.
//! Whatever lies outside has no answer here; it is left to floats. About 200 instructions, on every Cortex-M.

use crate::math::{divide, exp_of_minus, to_fixed};
use crate::ode::State;
use crate::query::Query;

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

/// The fields of [`super::Reduced`], with tau = k t.
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
    /// Reduces the problem of a query, if its numbers are within what is answered. A query that is refused by
    /// [`Query::check`] is not.
    pub fn new(query: &Query) -> Option<Self> {
        let (&[i0, r0, ..], &[beta, gamma, ..]) = (&query.initial, &query.rates);
        let (i0, r0) = (to_fixed(i0, SHARE_BITS)?, to_fixed(r0, SHARE_BITS)?);
        let (beta, gamma) = (to_fixed(beta, RATE_BITS)?, to_fixed(gamma, RATE_BITS)?);
        let t = to_fixed(query.t, TIME_BITS)?;
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
    use crate::ode::sir::Reduced;
    use proptest::prelude::*;

    fn query([t, i0, r0, beta, gamma]: [f32; 5]) -> Query {
        Query { t, initial: [i0, r0, 0.0, 0.0], rates: [beta, gamma, 0.0, 0.0] }
    }

    proptest! {
        #[test]
        fn fixed_point_is_as_good_as_stated(
            t in 0f32..100.0, i0 in 0f32..0.5, r0 in 0f32..0.5, beta in 0f32..3.0, gamma in 0.05f32..2.0, nn in 0f32..4.0,
        ) {
            let query = query([t, i0, r0, beta, gamma]);
            let exact = Reduced::<f64>::new(&query.initial.map(f64::from), &query.rates.map(f64::from));
            let fixed = FixedReduced::new(&query).unwrap();
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
        assert!(FixedReduced::new(&query([10.0, 0.3, 0.2, 0.6, 0.5])).is_some());
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
            assert_eq!(FixedReduced::new(&query(bad)), None, "{bad:?}");
        }
        let problem = FixedReduced::new(&query([100.0, 0.3, 0.2, 0.6, 0.5])).unwrap();
        assert_eq!((problem.state(-1e-3), problem.state(f32::NAN)), (None, None));
    }
}
