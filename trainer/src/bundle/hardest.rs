//! Where a bundle is least accurate: its hardest query, and the corner of the domain where the hardest ones lie.

use crate::bundle::evaluate::Sample;
use serde::Serialize;
use sirocco::ode::Ode;
use std::collections::BTreeMap;

/// Share of the queries, those with the largest errors, that determine the corner.
const SHARE: f64 = 0.01;

/// The hardest queries lie at the lower end of a range if their mean place in it is below this, and at the upper end if
/// it is above one minus this. Uniform queries have a mean place of 0.5.
const END: f64 = 0.25;

/// Where the errors are largest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hardest {
    /// The query with the largest error, quantity by quantity.
    pub query: BTreeMap<&'static str, f64>,
    /// Its error.
    pub error: f64,
    /// Mean place of the hardest hundredth of the queries in each range: 0 its lower end, 1 its upper one.
    pub place: BTreeMap<&'static str, f64>,
    /// The same in words, such as "small I0, large beta"; empty where no range stands out.
    pub corner: String,
}

/// Finds the hardest queries among samples of `domain`, (lo, hi) per quantity; `None` without samples.
pub fn find(ode: Ode, domain: &[(f64, f64)], samples: &[Sample]) -> Option<Hardest> {
    let mut sorted: Vec<&Sample> = samples.iter().collect();
    sorted.sort_by(|a, b| b.error.total_cmp(&a.error));
    let worst = sorted.first()?;
    let hard = &sorted[..((SHARE * samples.len() as f64).ceil() as usize).clamp(1, samples.len())];
    let ranges: Vec<_> = ode.quantity_names().zip(domain).enumerate().filter(|(_, (_, (lo, hi)))| lo < hi).collect();
    let mean = |k: usize, lo: f64, hi: f64| {
        let places = hard.iter().map(|sample| (f64::from(sample.query.quantities(ode)[k]) - lo) / (hi - lo));
        places.sum::<f64>() / hard.len() as f64
    };
    let place: Vec<(&str, f64)> = ranges.iter().map(|(k, (name, (lo, hi)))| (*name, mean(*k, *lo, *hi))).collect();
    let words = place.iter().filter_map(|(name, place)| match *place {
        p if p < END => Some(format!("small {name}")),
        p if p > 1.0 - END => Some(format!("large {name}")),
        _ => None,
    });
    Some(Hardest {
        query: ode.quantity_names().zip(worst.query.quantities(ode).map(f64::from)).collect(),
        error: worst.error,
        corner: words.collect::<Vec<_>>().join(", "),
        place: place.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::random::{Purpose, Random};
    use sirocco::query::Query;

    #[test]
    fn the_corner_is_where_the_errors_are() {
        let domain = [(0.0, 20.0), (0.0, 1.0), (0.0, 0.0), (0.0, 1.0), (1.0, 2.0)];
        let mut random = Random::new(0, Purpose::HeldOut, 0);
        let mut sample = || {
            let u: [f64; 4] = std::array::from_fn(|_| random.uniform());
            let quantities = [20.0 * u[0], u[1], 0.0, u[2], 1.0 + u[3]].map(|v| v as f32);
            let query = Query::from_quantities(Ode::Sir, &quantities);
            Sample { query, state: [0.0; 4], reference: [0.0; 4], error: (u[2] - u[1]).max(0.0) }
        };
        let samples: Vec<_> = (0..5000).map(|_| sample()).collect();
        let hardest = find(Ode::Sir, &domain, &samples).unwrap();
        assert_eq!(hardest.corner, "small I0, large beta", "{hardest:?}");
        assert_eq!(hardest.place.len(), 4, "a range of one value has no ends");
        assert!(samples.iter().all(|s| s.error <= hardest.error));
        assert_eq!(find(Ode::Sir, &domain, &[]), None);
    }
}
