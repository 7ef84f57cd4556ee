//! A reproducible stream of queries in and around a bundle's domain, for comparing bits between machines.

use super::Bundle;
use crate::limits::MAX_QUANTITIES;
use crate::query::Query;

/// How far every fourth query may reach beyond the domain, as a fraction of each range.
const BEYOND: f32 = 0.3;

/// An endless stream of queries. Three of four are uniform in the domain; every fourth reaches up to 30 % beyond it, and may
/// not be a problem of the system at all, so that refusals are compared too. The same seed gives the same queries on every
/// machine.
///
/// ```no_run
/// # fn example(bundle: &sirocco::bundle::Bundle<'_>) {
/// for query in bundle.probes(0).take(1000) {
///     let _ = bundle.predict(&query);
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Probes<'b, 'a> {
    bundle: &'b Bundle<'a>,
    state: u64,
    count: u32,
}

impl<'a> Bundle<'a> {
    /// A reproducible stream of queries in and around the domain.
    pub fn probes(&self, seed: u64) -> Probes<'_, 'a> {
        Probes { bundle: self, state: seed, count: 0 }
    }
}

impl Probes<'_, '_> {
    /// Uniform in [0, 1), 24 bits (SplitMix64, Steele et al. 2014).
    fn uniform(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 24) as f32
    }
}

impl Iterator for Probes<'_, '_> {
    type Item = Query;

    fn next(&mut self) -> Option<Query> {
        self.count = self.count.wrapping_add(1);
        let beyond = if self.count.is_multiple_of(4) { BEYOND } else { 0.0 };
        let mut quantities = [0.0; MAX_QUANTITIES];
        for (quantity, range) in quantities.iter_mut().zip(self.bundle.domain()) {
            let u = self.uniform() * (1.0 + 2.0 * beyond) - beyond;
            let value = range.lo + u * (range.hi - range.lo);
            // Rounding must not carry a value out of the domain.
            *quantity = if beyond > 0.0 { value } else { value.max(range.lo).min(range.hi) };
        }
        Some(Query::from_quantities(self.bundle.ode(), &quantities))
    }
}
