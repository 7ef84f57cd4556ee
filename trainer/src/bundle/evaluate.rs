//! Measures a bundle: the exported bytes, evaluated as a device does, against the high-order reference.

use crate::bundle::error::BundleError;
use crate::bundle::reference;
use crate::bundle::supremum::{self, Space};
use crate::host::random::{Purpose, Random};
use crate::statistics::median;
use rayon::prelude::*;
use serde::Serialize;
use sirocco::bundle::{Bundle, Form};
use sirocco::limits::MAX_QUANTITIES;
use sirocco::ode::{Ode, Rates, State};
use sirocco::query::Query;

/// Points over which the residual is averaged for LogLoss. They need no reference solution, so many are affordable.
pub const RESIDUAL_POINTS: usize = 16_384;

/// Held-out queries compared with the reference unless asked otherwise.
pub const QUERIES: usize = 2_000;

/// Errors of a bundle over its domain.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measurement {
    /// ln of the sum over the state's components of the mean squared residual, in physical units per unit of time,
    /// over [`RESIDUAL_POINTS`] uniform points of the domain. (The logarithm of ten summed minibatch losses, as some
    /// papers report it, is larger by ln 10 = 2.30.)
    pub logloss: f64,
    /// Largest absolute error of any component that was found: at uniform random queries, on the faces and vertices of the
    /// domain, and by local searches from the worst of them ([`supremum`]).
    pub max_error: f64,
    /// Root mean square error over components and uniform random queries.
    pub rms_error: f64,
    /// Queries compared with the reference, of all kinds.
    pub queries: usize,
    /// Answers that the evaluator itself flags as implausible.
    pub implausible: usize,
}

/// Error of one query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The query.
    pub query: Query,
    /// The bundle's state.
    pub state: State<f32>,
    /// The reference's state.
    pub reference: State<f64>,
    /// Largest absolute error of the components.
    pub error: f64,
}

/// Measures a bundle over a domain, (lo, hi) per quantity, with [`samples`] of that domain.
///
/// Cost: [`RESIDUAL_POINTS`] evaluations with tangent, and half as many reference solutions as there are samples and a
/// thousand more, on all cores.
///
/// # Errors
/// [`BundleError::Unanswered`] if the evaluator refuses a query of that domain.
pub fn measure(
    bundle: &Bundle<'_>,
    domain: &[(f64, f64)],
    samples: &[Sample],
    seed: u64,
) -> Result<Measurement, BundleError> {
    let queries = samples.len();
    let components = bundle.ode().state_names().len();
    let predict =
        |query: &Query| bundle.predict(query).map_err(|source| BundleError::Unanswered { query: *query, source });

    let space = Space::new(bundle, domain);
    let residuals: Vec<(f64, bool)> = (0..RESIDUAL_POINTS)
        .into_par_iter()
        .map(|i| {
            let p = predict(&space.query(&space.uniform(seed, (1 << 32) + i as u64)))?;
            Ok((p.residual.iter().map(|r| f64::from(*r).powi(2)).sum(), p.plausible))
        })
        .collect::<Result<_, BundleError>>()?;
    let squares: f64 = residuals.iter().map(|(square, _)| square).sum();
    let error_squares: f64 = samples.iter().map(|s| squared_error(s, components)).sum();
    let errors: Vec<f64> = samples.iter().map(|s| s.error).collect();
    let ask = |query| Ok(Sample::new(bundle, query)?.error);
    let (max_error, searched) = supremum::search::<BundleError>(&space, &errors, seed, &ask)?;
    Ok(Measurement {
        logloss: (squares / RESIDUAL_POINTS as f64).ln(),
        max_error,
        rms_error: (error_squares / (queries.max(1) * components) as f64).sqrt(),
        queries: queries + searched,
        implausible: residuals.iter().filter(|(_, plausible)| !plausible).count(),
    })
}

/// The bundle's own domain, in f64.
pub fn own_domain(bundle: &Bundle<'_>) -> Vec<(f64, f64)> {
    bundle.domain().iter().map(|r| (f64::from(r.lo), f64::from(r.hi))).collect()
}

/// Bundle and reference at `count` uniform random queries of a domain, in order; the same seed gives the same ones.
///
/// Cost: a reference solution per query, on all cores.
///
/// # Errors
/// [`BundleError::Unanswered`] if the evaluator refuses a query of that domain.
pub fn samples(
    bundle: &Bundle<'_>,
    domain: &[(f64, f64)],
    count: usize,
    seed: u64,
) -> Result<Vec<Sample>, BundleError> {
    let space = Space::new(bundle, domain);
    let sample = |i: usize| Sample::new(bundle, space.query(&space.uniform(seed, i as u64)));
    (0..count).into_par_iter().map(sample).collect()
}

impl Sample {
    /// The bundle's answer to a query beside the reference.
    ///
    /// # Errors
    /// [`BundleError::Unanswered`] if the evaluator refuses the query.
    pub fn new(bundle: &Bundle<'_>, query: Query) -> Result<Self, BundleError> {
        let state = bundle.state(&query).map_err(|source| BundleError::Unanswered { query, source })?;
        let reference = solve(bundle, &query);
        let error = distance(&state, &reference);
        Ok(Sample { query, state, reference, error })
    }
}

/// How well certificates bound the true errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Coverage {
    /// Queries for which a certificate was asked.
    pub queries: usize,
    /// Queries whose answer was not trusted or not given.
    pub refused: usize,
    /// Share of the trusted answers whose error is at most the bound. For forms without a bound,
    /// [`ESTIMATE_FACTOR`] times the estimate plus [`ESTIMATE_FLOOR`] takes its place.
    pub covered: f64,
    /// Largest ratio of error to bound among the trusted answers; above one, a certificate was wrong.
    pub worst_ratio: f64,
    /// Median ratio of bound to error among the trusted answers.
    pub median_ratio: f64,
    /// Median ratio of estimate to error among the trusted answers.
    pub median_estimate_ratio: f64,
    /// Largest error of a trusted answer.
    pub max_error: f64,
    /// Largest error left after subtracting the estimate.
    pub max_corrected_error: f64,
    /// Share of the trusted answers whose error is at most [`ESTIMATE_FACTOR`] times the estimate plus
    /// [`ESTIMATE_FLOOR`].
    pub estimate_covered: f64,
    /// Share of the given answers that are flagged as outside the domain.
    pub flagged: f64,
}

/// An error estimate times this, plus [`ESTIMATE_FLOOR`], covers the error of all but a few in ten thousand queries.
pub const ESTIMATE_FACTOR: f64 = 2.0;

/// See [`ESTIMATE_FACTOR`].
pub const ESTIMATE_FLOOR: f64 = 1e-5;

/// Certifies `count` random queries and compares them with the reference. With `beyond` zero they are uniform over the
/// domain; otherwise they lie around it, up to that share of each range beyond both ends. Draws that are not valid
/// problems of the system are skipped.
pub fn coverage(bundle: &Bundle<'_>, domain: &[(f64, f64)], count: usize, seed: u64, beyond: f64) -> Coverage {
    let ode = bundle.ode();
    let outside = |query: &Query| {
        let mut sides = query.quantities(ode).into_iter().zip(domain);
        sides.any(|(value, (lo, hi))| value < *lo as f32 || value > *hi as f32)
    };
    let wanted = |query: &Query| query.check(ode).is_ok() && (beyond == 0.0 || outside(query));
    let space = Space::new(bundle, domain);
    let query =
        |i| if beyond == 0.0 { space.query(&space.uniform(seed, i)) } else { draw(ode, domain, seed, i, beyond) };
    let queries: Vec<Query> = (0..).map(query).filter(wanted).take(count).collect();
    let certificates: Vec<_> = queries.par_iter().filter_map(|q| bundle.certify(q).ok().map(|c| (q, c))).collect();
    let trusted: Vec<[f64; 4]> = certificates
        .par_iter()
        .filter(|(_, certificate)| certificate.trusted)
        .map(|(query, certificate)| {
            let truth = solve(bundle, query);
            let estimate = f64::from(certificate.estimate);
            let bound = certificate.bound.map_or(ESTIMATE_FACTOR * estimate + ESTIMATE_FLOOR, f64::from);
            let error = distance(&certificate.prediction.state, &truth);
            [error, bound, estimate, distance(&certificate.corrected, &truth)]
        })
        .collect();
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    let covered = trusted.iter().filter(|[error, bound, ..]| error <= bound).count();
    let within = |error: f64, estimate: f64| error <= ESTIMATE_FACTOR * estimate + ESTIMATE_FLOOR;
    let estimated = trusted.iter().filter(|[error, _, estimate, _]| within(*error, *estimate)).count();
    let flagged = certificates.iter().filter(|(_, certificate)| !certificate.prediction.in_domain).count();
    let largest = |column: usize| trusted.iter().map(|row| row[column]).fold(0.0, f64::max);
    let ratios = |ratio: fn(&[f64; 4]) -> f64| trusted.iter().map(ratio).collect::<Vec<_>>();
    Coverage {
        queries: count,
        refused: count - trusted.len(),
        covered: share(covered, trusted.len()),
        worst_ratio: trusted.iter().map(|[error, bound, ..]| error / bound).fold(0.0, f64::max),
        median_ratio: median(&ratios(|[error, bound, ..]| bound / error)),
        median_estimate_ratio: median(&ratios(|[error, _, estimate, _]| estimate / error)),
        max_error: largest(0),
        max_corrected_error: largest(3),
        estimate_covered: share(estimated, trusted.len()),
        flagged: share(flagged, certificates.len()),
    }
}

/// Largest absolute difference of the components; NaN if one of them is.
pub fn distance(state: &State<f32>, truth: &State<f64>) -> f64 {
    state.iter().zip(truth).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, reference::largest)
}

/// The reference solution of a query, whose numbers are f32 as the bundle reads them.
pub fn solve(bundle: &Bundle<'_>, query: &Query) -> State<f64> {
    let initial: State<f64> = query.initial.map(f64::from);
    let rates: Rates<f64> = query.rates.map(f64::from);
    if bundle.form() == Form::Phase {
        return reference::epidemic(bundle.ode().initial(&initial), &rates, f64::from(query.t));
    }
    reference::state(bundle.ode(), &initial, &rates, f64::from(query.t))
}

fn squared_error(sample: &Sample, components: usize) -> f64 {
    let pairs = sample.state.iter().zip(sample.reference).take(components);
    pairs.map(|(a, b)| (f64::from(*a) - b).powi(2)).sum()
}

/// A domain with `share` of each range added at both ends, t >= 0.
pub fn stretched(domain: &[(f64, f64)], share: f64) -> Vec<(f64, f64)> {
    let wider = |&(lo, hi): &(f64, f64)| (lo - share * (hi - lo), hi + share * (hi - lo));
    let mut wide: Vec<_> = domain.iter().map(wider).collect();
    if let Some(times) = wide.first_mut() {
        times.0 = times.0.max(0.0);
    }
    wide
}

/// Query number `index` of a seed: uniform in the box stretched by `beyond` of each range on both sides, t >= 0.
fn draw(ode: Ode, domain: &[(f64, f64)], seed: u64, index: u64, beyond: f64) -> Query {
    let mut random = Random::new(seed, Purpose::Measurement, index);
    let mut quantities = [0.0; MAX_QUANTITIES];
    for (quantity, (lo, hi)) in quantities.iter_mut().zip(domain) {
        let u = random.uniform() * (1.0 + 2.0 * beyond) - beyond;
        *quantity = (lo + (hi - lo) * u) as f32;
    }
    if let Some(t) = quantities.first_mut() {
        *t = t.max(0.0);
    }
    Query::from_quantities(ode, &quantities)
}
