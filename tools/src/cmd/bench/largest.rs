//! The largest error over a bundle's domain, as far as a search finds it: at random queries inside, on faces and on all
//! vertices, and on random walks uphill from the worst of them. `sirocco-train bundle evaluate` searches alike.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::StandardNormal;
use sirocco::bundle::Bundle;
use sirocco::limits::MAX_QUANTITIES;
use sirocco::ode::{Ode, State};
use sirocco::query::Query;

/// Random queries inside and on faces.
const INSIDE: usize = 2000;
const FACES: usize = 1000;
/// Walks, steps of each, the length of the first one as a share of each range, and its factor after one that did not climb.
const CLIMBS: usize = 16;
const STEPS: usize = 40;
const LENGTH: f64 = 0.1;
const SHORTER: f64 = 0.8;

/// A point of the unit cube, which stands for the domain.
type Point = [f64; MAX_QUANTITIES];

/// Queries of a domain with their true answers.
pub struct Search<'t> {
    ode: Ode,
    domain: Vec<(f32, f32)>,
    truth: &'t dyn Fn(&Query) -> State<f64>,
    fixed: Vec<(Point, Query, State<f64>)>,
}

impl<'t> Search<'t> {
    /// The queries that are the same for every method, answered by `truth`.
    pub fn new(bundle: &Bundle<'_>, truth: &'t dyn Fn(&Query) -> State<f64>) -> Self {
        let domain: Vec<_> = bundle.domain().iter().map(|range| (range.lo, range.hi)).collect();
        let mut search = Search { ode: bundle.ode(), domain, truth, fixed: Vec::new() };
        let mut rng = StdRng::seed_from_u64(1);
        let mut uniform = || -> Point { core::array::from_fn(|_| rng.random()) };
        let mut points: Vec<Point> = (0..INSIDE).map(|_| uniform()).collect();
        let free = search.free();
        let vertices = 1usize << free.len();
        for _ in 0..if free.is_empty() { 0 } else { FACES } {
            let (mut point, chances) = (uniform(), uniform());
            let certain = free.get((uniform()[0] * free.len() as f64) as usize);
            for q in free.iter().filter(|q| chances[**q] < 0.5 || Some(*q) == certain) {
                point[*q] = point[*q].round();
            }
            points.push(point);
        }
        points.extend((0..vertices).map(|bits| {
            let mut point = [0.0; MAX_QUANTITIES];
            free.iter().enumerate().for_each(|(k, q)| point[*q] = (bits >> k & 1) as f64);
            point
        }));
        let answered = points.into_iter().map(|point| (point, search.query(&point)));
        search.fixed = answered.map(|(point, query)| (point, query, truth(&query))).collect();
        search
    }

    /// The quantities that vary.
    fn free(&self) -> Vec<usize> {
        self.domain.iter().enumerate().filter(|(_, (lo, hi))| lo < hi).map(|(q, _)| q).collect()
    }

    fn query(&self, point: &Point) -> Query {
        let mut quantities = [0.0; MAX_QUANTITIES];
        for ((quantity, &(lo, hi)), u) in quantities.iter_mut().zip(&self.domain).zip(point) {
            *quantity = ((f64::from(lo) + f64::from(hi - lo) * u) as f32).clamp(lo, hi);
        }
        Query::from_quantities(self.ode, &quantities)
    }

    /// The largest error of any component by this method. The search ends at the first one above `limit`, and gives it.
    pub fn largest(&self, answer: &dyn Fn(&Query) -> State<f64>, limit: f64) -> f64 {
        let off = |query: &Query, truth: &State<f64>| {
            let each = answer(query).into_iter().zip(truth).map(|(a, b)| (a - b).abs());
            // Not a number is the largest of all.
            each.fold(0.0, |worst: f64, e| if e <= worst { worst } else { e })
        };
        let mut errors: Vec<(f64, &Point)> = Vec::new();
        for (point, query, truth) in &self.fixed {
            let error = off(query, truth);
            if error > limit || error.is_nan() {
                return error;
            }
            errors.push((error, point));
        }
        errors.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut worst = errors.first().map_or(0.0, |(error, _)| *error);
        let (free, mut rng) = (self.free(), StdRng::seed_from_u64(2));
        for (start, point) in errors.into_iter().take(CLIMBS) {
            let (mut top, mut point, mut length) = (start, *point, LENGTH);
            for _ in 0..STEPS {
                let mut next = point;
                for q in &free {
                    next[*q] = (point[*q] + length * rng.sample::<f64, _>(StandardNormal)).clamp(0.0, 1.0);
                }
                let query = self.query(&next);
                let error = off(&query, &(self.truth)(&query));
                if error <= top {
                    length *= SHORTER;
                    continue;
                }
                (point, top) = (next, error);
                worst = if error <= worst { worst } else { error };
                if error > limit || error.is_nan() {
                    return error;
                }
            }
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C, align(8))]
    struct Aligned<B: ?Sized>(B);
    static FULL: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../../tests/data/sir-full.safetensors"));

    #[test]
    fn the_largest_error_is_found_where_random_queries_do_not_fall() {
        let bundle = Bundle::open(&FULL.0).unwrap();
        let search = Search::new(&bundle, &|_| [0.0; 4]);
        let queries = INSIDE + FACES + (1 << search.free().len());
        assert_eq!(search.fixed.len(), queries);
        assert!(search.fixed.iter().all(|(_, query, _)| bundle.in_domain(query)));
        // An error at late times, and with a steep peak beside one face that the vertices miss.
        let [.., (lo, hi)] = search.domain[..] else { panic!() };
        let peak = |query: &Query| {
            let place = f64::from((query.rates[1] - lo) / (hi - lo));
            let late = f64::from(query.t / 20.0).powi(30);
            [late * (-((place - 0.37) / 0.01).powi(2)).exp(), 0.0, 0.0, 0.0]
        };
        let found = search.largest(&peak, f64::INFINITY);
        assert!(found > 0.999, "{found}");
        // The search ends early where the limit is exceeded, and with an error that is none.
        assert!(search.largest(&peak, 0.5) > 0.5);
        assert!(search.largest(&|_| [f64::NAN; 4], 1.0).is_nan());
    }
}
