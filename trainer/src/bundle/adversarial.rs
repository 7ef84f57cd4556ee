//! The certificate that comes closest to being broken, as far as a search finds it.
//!
//! A bound is wrong where the true error exceeds it. Random queries rarely meet such a place, if there is one, so this search
//! climbs. It starts again and again, each time from the worst of some random queries inside the domain and on its faces,
//! and tries random moves whose length shrinks to a few units in the last place: rounding makes the landscape as rugged as
//! that. Every other ascent climbs on error / bound. Where errors are large and well estimated, that is close to one
//! without any danger, so the others climb on the share of the bound's margin that is used,
//! (error - estimate) / (bound - estimate), which exceeds one at the same places.

use crate::bundle::evaluate::{distance, solve};
use crate::bundle::supremum::Space;
use crate::host::random::{Purpose, Random};
use rayon::prelude::*;
use serde::Serialize;
use sirocco::bundle::Bundle;
use sirocco::ode::Ode;
use sirocco::query::Query;
use std::collections::BTreeMap;

/// Steps of one ascent, and how many of them are random queries from which it starts at the worst.
const ASCENT: usize = 125;
const DRAWS: usize = 25;
/// Length of the first move in the unit cube; its factor after a move that did not climb, and after one that did.
const LENGTH: f64 = 0.2;
const SHORTER: f64 = 0.85;
const LONGER: f64 = 1.5;
/// A coordinate keeps its value in a move with this chance, so that an ascent also runs along axes and faces.
const KEPT: f64 = 0.4;

/// Steps unless asked otherwise: a second or less.
pub const STEPS: usize = 10_000;

/// What the search found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attack {
    /// Queries that were asked for a certificate.
    pub steps: usize,
    /// Ascents, each from random queries of its own.
    pub ascents: usize,
    /// Bounds that the true error exceeded.
    pub broken: usize,
    /// Largest ratio of true error to stated bound.
    pub worst_ratio: f64,
    /// The error there.
    pub error: f64,
    /// The query there, by name.
    pub query: BTreeMap<&'static str, f64>,
    /// Largest share of the margin between estimate and bound that an error used.
    pub worst_margin: f64,
}

/// One certificate beside the truth.
#[derive(Debug, Clone, Copy)]
struct Found {
    /// Error / bound, and the used share of the bound's margin; minus infinity for an answer without a bound.
    ratio: f64,
    margin: f64,
    error: f64,
    query: Query,
}

impl Found {
    fn new(query: Query, [error, estimate, bound]: [f64; 3]) -> Self {
        // A NaN is worse than any number.
        let worst = |share: f64| if share.is_nan() { f64::INFINITY } else { share };
        Found { ratio: worst(error / bound), margin: worst((error - estimate) / (bound - estimate)), error, query }
    }

    fn unbounded(query: Query) -> Self {
        Found { ratio: f64::NEG_INFINITY, margin: f64::NEG_INFINITY, error: 0.0, query }
    }
}

/// The top of an ascent: the largest values that were met, whichever of them it climbed on.
#[derive(Debug, Clone, Copy)]
struct Top {
    broken: usize,
    worst: Found,
    margin: f64,
}

/// Asks `steps` certificates of the domain for the largest ratio of error to bound. The same seed repeats the search on any
/// number of cores. `None` if the system has no bounds (only SIR has), or none of the answers had one.
///
/// Cost: a certificate and a reference solution per step. `each` is called after every ascent.
pub fn attack(
    bundle: &Bundle<'_>,
    domain: &[(f64, f64)],
    steps: usize,
    seed: u64,
    each: impl Fn() + Sync,
) -> Option<Attack> {
    if bundle.ode() != Ode::Sir {
        return None;
    }
    let (space, ode) = (Space::new(bundle, domain), bundle.ode());
    let ask = |query: Query| {
        let certificate = bundle.certify(&query).ok().filter(|c| c.trusted);
        let Some((bound, c)) = certificate.and_then(|c| Some((c.bound?, c))) else { return Found::unbounded(query) };
        let error = distance(&c.prediction.state, &solve(bundle, &query));
        Found::new(query, [error, c.estimate.into(), bound.into()])
    };
    let ascents = ascents(steps);
    let tops: Vec<Top> = (0..ascents)
        .into_par_iter()
        .map(|k| {
            let left = (steps - k * ASCENT).min(ASCENT);
            let value = |found: &Found| if k % 2 == 0 { found.ratio } else { found.margin };
            let top = ascend(&space, left, &mut Random::new(seed, Purpose::Attack, k as u64), &ask, value);
            each();
            top
        })
        .collect();
    let worst = tops.iter().map(|top| top.worst).max_by(|a, b| a.ratio.total_cmp(&b.ratio))?;
    (worst.ratio >= 0.0).then(|| Attack {
        steps,
        ascents,
        broken: tops.iter().map(|top| top.broken).sum(),
        worst_ratio: worst.ratio,
        error: worst.error,
        query: ode.quantity_names().zip(worst.query.quantities(ode).map(f64::from)).collect(),
        worst_margin: tops.iter().map(|top| top.margin).fold(f64::NEG_INFINITY, f64::max),
    })
}

/// Ascents that so many steps make.
pub fn ascents(steps: usize) -> usize {
    steps.div_ceil(ASCENT)
}

/// Climbs on `value` for so many steps.
fn ascend(
    space: &Space,
    steps: usize,
    random: &mut Random,
    ask: &impl Fn(Query) -> Found,
    value: impl Fn(&Found) -> f64,
) -> Top {
    let free = space.free();
    let mut length = LENGTH;
    let mut point = space.anywhere(random);
    let worst = ask(space.query(&point));
    let mut highest = value(&worst);
    let mut top = Top { broken: usize::from(worst.ratio > 1.0), worst, margin: worst.margin };
    for step in 1..steps {
        let drawn = step < DRAWS;
        let mut next = if drawn { space.anywhere(random) } else { point };
        for q in free.iter().filter(|_| !drawn) {
            let moved = length * random.normal();
            if random.uniform() >= KEPT {
                next[*q] = (point[*q] + moved).clamp(0.0, 1.0);
            }
        }
        let found = ask(space.query(&next));
        top.broken += usize::from(found.ratio > 1.0);
        top.margin = top.margin.max(found.margin);
        if found.ratio > top.worst.ratio {
            top.worst = found;
        }
        if value(&found) > highest {
            (point, highest) = (next, value(&found));
            length = (length * LONGER).min(LENGTH);
        } else if !drawn {
            length *= SHORTER;
        }
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::evaluate::own_domain;

    #[repr(C, align(8))]
    struct Aligned<B: ?Sized>(B);
    static PHASE: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../firmware/app/assets/sir.safetensors"));
    static FULL: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../tests/data/sir-full.safetensors"));

    #[test]
    fn no_certificate_breaks_and_the_search_comes_closer_than_random_queries() {
        for bytes in [&PHASE.0, &FULL.0] {
            let bundle = Bundle::open(bytes).unwrap();
            let domain = own_domain(&bundle);
            let found = attack(&bundle, &domain, 4_000, 3, || ()).unwrap();
            let random = crate::bundle::evaluate::coverage(&bundle, &domain, 1_000, 3, 0.0);
            assert!(found.broken == 0 && random.worst_ratio < found.worst_ratio, "{found:?} {random:?}");
            assert_eq!(found, attack(&bundle, &domain, 4_000, 3, || ()).unwrap());
            assert_eq!((found.steps, found.ascents, found.query.len()), (4_000, 32, 5));
        }
    }

    /// A bound that is wrong in a thousandth of the domain, at one end of it, where few random queries fall.
    #[test]
    fn a_bound_that_breaks_is_found() {
        let bundle = Bundle::open(&FULL.0).unwrap();
        let space = Space::new(&bundle, &own_domain(&bundle));
        let from = |index, steps, ask: &dyn Fn(Query) -> Found, value: fn(&Found) -> f64| {
            ascend(&space, steps, &mut Random::new(0, Purpose::Attack, index), &ask, value)
        };
        // The estimate is right, and a margin of a hundredth is missing at late times and high rates of infection.
        let wrong = |query: Query| {
            let late = (f64::from(query.t) / 20.0).powi(8) * f64::from(query.rates[0]) / 0.7995;
            Found::new(query, [1.0 + 0.01 * late, 1.0, 1.01])
        };
        for value in [|found: &Found| found.ratio, |found: &Found| found.margin] {
            let top = from(0, ASCENT, &wrong, value);
            assert!(top.broken > 0 && top.worst.ratio > 1.0 && top.margin > 1.0, "{top:?}");
        }
        let top = from(1, 30, &Found::unbounded, |found| found.ratio);
        assert!(top.broken == 0 && top.worst.ratio < 0.0);
        assert_eq!(from(1, 30, &|query| Found::new(query, [f64::NAN, 1.0, 2.0]), |found| found.ratio).broken, 30);
    }
}
