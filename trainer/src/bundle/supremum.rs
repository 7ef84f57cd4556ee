//! The largest error over a whole domain, as far as a search finds it.
//!
//! The largest error of random queries underestimates it: errors are largest on faces and vertices, which no random query
//! meets, by factors of 1 to 10. So the search begins with random queries inside, on faces, and on all vertices, and climbs
//! from the worst of them by random steps of shrinking length.

use crate::host::random::{Purpose, Random};
use rayon::prelude::*;
use sirocco::bundle::{Bundle, Form};
use sirocco::limits::MAX_QUANTITIES;
use sirocco::ode::Ode;
use sirocco::ode::sir::phase::LARGEST;
use sirocco::query::Query;

/// Most vertices that are visited: all of a box of eight quantities.
const VERTICES: usize = 256;
/// Local searches, and steps of each.
const CLIMBS: usize = 16;
const STEPS: usize = 40;
/// Length of the first step in the unit cube, and its factor after a step that did not climb.
const LENGTH: f64 = 0.1;
const SHORTER: f64 = 0.8;

/// A point of the unit cube, a coordinate per quantity.
pub type Point = [f64; MAX_QUANTITIES];

/// The queries of a domain, as the image of the unit cube.
#[derive(Debug, Clone)]
pub struct Space {
    ode: Ode,
    phase: bool,
    domain: Vec<(f64, f64)>,
}

impl Space {
    /// The box of this domain. In the form by phase every epidemic, whatever the domain: see [`Space::query`].
    pub fn new(bundle: &Bundle<'_>, domain: &[(f64, f64)]) -> Self {
        Space { ode: bundle.ode(), phase: bundle.form() == Form::Phase, domain: domain.to_vec() }
    }

    /// A random point: number `index` of a seed.
    pub fn uniform(&self, seed: u64, index: u64) -> Point {
        let mut random = Random::new(seed, Purpose::Measurement, index);
        let mut point = [0.0; MAX_QUANTITIES];
        point[..self.domain.len()].iter_mut().for_each(|u| *u = random.uniform());
        point
    }

    /// The coordinates that move the query.
    pub fn free(&self) -> Vec<usize> {
        (0..self.domain.len()).filter(|q| self.phase || self.domain[*q].0 < self.domain[*q].1).collect()
    }

    /// A random point of a random face: each coordinate lies at one of its ends with a chance of one half, one at least.
    fn face(&self, random: &mut Random) -> Point {
        let (free, mut point) = (self.free(), [0.0; MAX_QUANTITIES]);
        point.iter_mut().for_each(|u| *u = random.uniform());
        let certain = free.get((random.uniform() * free.len() as f64) as usize).copied();
        for q in free {
            if random.uniform() < 0.5 || Some(q) == certain {
                point[q] = point[q].round();
            }
        }
        point
    }

    /// A random point, on a face with a chance of one half.
    pub fn anywhere(&self, random: &mut Random) -> Point {
        if random.uniform() < 0.5 {
            return self.face(random);
        }
        let mut point = [0.0; MAX_QUANTITIES];
        point[..self.domain.len()].iter_mut().for_each(|u| *u = random.uniform());
        point
    }

    /// The query of a point: linear in the box. In the form by phase with every order of magnitude alike: gamma t from 1e-3
    /// to 1e3, I0 from 1e-7 to 1, R0 zero for one half and linear up to 1 - I0 for the other, beta / gamma up to 20, gamma
    /// from .01 to 10.
    pub fn query(&self, point: &Point) -> Query {
        let mut quantities = [0.0; MAX_QUANTITIES];
        if self.phase {
            let [time, infected, removed, ratio, pace, ..] = *point;
            let between = |lo: f64, hi: f64, u: f64| lo + (hi - lo) * u;
            let i0 = 10f64.powf(between(-7.0, 0.0, infected)) as f32;
            let r0 = (f64::from(1.0 - i0) * (2.0 * removed - 1.0).max(0.0)) as f32;
            let gamma = 10f64.powf(between(-2.0, 1.0, pace));
            let t = 10f64.powf(between(-3.0, 3.0, time)) / gamma;
            // A little less than the largest, so that rounding does not exceed it.
            let beta = gamma * LARGEST * (1.0 - 1e-6) * ratio;
            return Query::from_quantities(self.ode, &[t as f32, i0, r0.min(1.0 - i0), beta as f32, gamma as f32]);
        }
        for ((quantity, (lo, hi)), u) in quantities.iter_mut().zip(&self.domain).zip(point) {
            *quantity = ((lo + (hi - lo) * u) as f32).clamp(*lo as f32, *hi as f32);
        }
        Query::from_quantities(self.ode, &quantities)
    }
}

/// The largest error that the search finds, and how many queries it asked. `inside` are the errors at the random points of
/// this seed, in order; `ask` gives the error at a query.
///
/// # Errors
/// The first of `ask`.
pub fn search<E: Send>(
    space: &Space,
    inside: &[f64],
    seed: u64,
    ask: &(impl Fn(Query) -> Result<f64, E> + Sync),
) -> Result<(f64, usize), E> {
    let points: Vec<Point> = faces(space, inside.len() / 2, seed).chain(vertices(space)).collect();
    let mut asked = points.len();
    let edge = points.into_par_iter().map(|point| Ok((point, ask(space.query(&point))?)));
    let edge: Vec<(Point, f64)> = edge.collect::<Result<_, E>>()?;
    let inside = inside.iter().enumerate().map(|(i, error)| (space.uniform(seed, i as u64), *error));
    let mut all: Vec<(Point, f64)> = inside.chain(edge).collect();
    // A NaN comes first, as it is worse than any number.
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(CLIMBS);
    asked += STEPS * all.len();
    let climbs = all.into_par_iter().enumerate();
    let tops = climbs.map(|(k, start)| climb(start, space, &mut Random::new(seed, Purpose::Search, k as u64), ask));
    let tops: Vec<f64> = tops.collect::<Result<_, E>>()?;
    Ok((tops.into_iter().max_by(f64::total_cmp).unwrap_or(0.0), asked))
}

/// The largest error on a path of random steps from a point, of which those that raise the error are kept.
fn climb<E>(
    (mut point, mut worst): (Point, f64),
    space: &Space,
    random: &mut Random,
    ask: &impl Fn(Query) -> Result<f64, E>,
) -> Result<f64, E> {
    let (free, mut length) = (space.free(), LENGTH);
    for _ in 0..STEPS {
        let mut next = point;
        free.iter().for_each(|q| next[*q] = (point[*q] + length * random.normal()).clamp(0.0, 1.0));
        let error = ask(space.query(&next))?;
        if error > worst {
            (point, worst) = (next, error);
        } else {
            length *= SHORTER;
        }
    }
    Ok(worst)
}

/// Random points of random faces.
fn faces(space: &Space, count: usize, seed: u64) -> impl Iterator<Item = Point> {
    let count = if space.free().is_empty() { 0 } else { count };
    (0..count).map(move |index| space.face(&mut Random::new(seed, Purpose::Search, (1 << 32) + index as u64)))
}

/// The vertices, all of them if there are not too many.
fn vertices(space: &Space) -> impl Iterator<Item = Point> {
    let free = space.free();
    (0..(1 << free.len().min(30)).min(VERTICES)).map(move |bits: usize| {
        let mut point = [0.0; MAX_QUANTITIES];
        free.iter().enumerate().for_each(|(k, q)| point[*q] = (bits >> k & 1) as f64);
        point
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(domain: &[(f64, f64)]) -> Space {
        Space { ode: Ode::Sir, phase: false, domain: domain.to_vec() }
    }

    const BOX: [(f64, f64); 5] = [(0.0, 20.0), (0.2, 0.4), (0.1, 0.1), (0.4, 0.8), (0.3, 0.7)];

    #[test]
    fn vertices_and_faces_are_where_they_belong() {
        let space = space(&BOX);
        let corners: std::collections::BTreeSet<String> =
            vertices(&space).map(|p| format!("{:?}", space.query(&p))).collect();
        assert_eq!(corners.len(), 16);
        for point in faces(&space, 100, 0) {
            let query = space.query(&point).quantities(Ode::Sir);
            let at_end = |q: usize| query[q] == BOX[q].0 as f32 || query[q] == BOX[q].1 as f32;
            assert!([0, 1, 3, 4].into_iter().any(at_end), "{query:?}");
        }
    }

    /// An error that is largest at one vertex, and small elsewhere.
    #[test]
    fn the_search_finds_what_random_queries_miss() {
        let space = space(&BOX);
        let error = |query: Query| -> Result<f64, ()> {
            let [t, i0, ..] = query.quantities(Ode::Sir);
            Ok(f64::from(t / 20.0).powi(40) + f64::from(10.0 * (i0 - 0.2)))
        };
        let inside: Vec<f64> = (0..200).map(|k| error(space.query(&space.uniform(0, k))).unwrap()).collect();
        let (found, asked) = search(&space, &inside, 0, &error).unwrap();
        assert!(inside.iter().fold(0.0, |a: f64, b| a.max(*b)) < 2.9);
        assert!((found - 3.0).abs() < 1e-5 && asked == 100 + 16 + CLIMBS * STEPS, "{found} {asked}");
        assert_eq!(search(&space, &inside, 0, &|_| Err::<f64, _>(7)), Err(7));
        let (found, _) = search(&space, &[f64::NAN], 0, &error).unwrap();
        assert!(found.is_nan());
    }

    #[test]
    fn every_point_of_the_whole_domain_is_an_epidemic_with_an_answer() {
        let space = Space { phase: true, ..space(&BOX) };
        let points = (0..2000).map(|k| space.uniform(0, k)).chain(faces(&space, 2000, 0)).chain(vertices(&space));
        for point in points {
            let query = space.query(&point);
            query.check(Ode::Sir).unwrap();
            let [_, i0, r0, beta, gamma, ..] = query.quantities(Ode::Sir);
            assert!(beta / gamma * (1.0 - r0) <= LARGEST as f32 && i0 + r0 <= 1.0, "{query:?}");
        }
    }
}
