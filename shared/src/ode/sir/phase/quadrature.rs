//! The solution of an epidemic without a network: what a network learns of the phase, by quadrature.
//!
//! From the point (y0, g0) of an orbit to (y, g) it takes the time
//!
//! T = ln(g / g0) / lambda_- - ln(y / y0) / lambda_+ + the integral of b from y to y0,   b = 1 / i - 1 / (lambda_+ y) - 1 / (lambda_- g).
//!
//! b is analytic where the imaginary part of y is below 2 pi: the other zeros of i lie beyond. So Gauss's rule converges as
//! fast as for a polynomial, and four to twelve nodes suffice. The flow of the equations over the small time by which a first
//! guess is off leads to the state, as in a query by phase.
//!
//! The guess, and everything else that need not be exact, is computed in f32; finer numbers say by how much it is off.

use super::orbit::{Orbit, excess, recoveries};
use super::{Course, Decay, Logistic, Passage, Problem};
use crate::math::{abs, exp, exp_m1};
use crate::scalar::{Precise, Real};

/// The largest extent of an orbit that is followed.
pub const LARGEST_EXTENT: f32 = 100.0;
/// So soon after the beginning, in units of both rates together, the flow needs no guess.
const SOON: f32 = 0.05;
/// The largest time, in the same unit, over which the flow leads to an answer.
const NEAR: f32 = 0.1;
/// From this logarithm of y / extent on, everybody has recovered.
const LATEST: f32 = -60.0;
/// How often a guess may be mended; one that f32 can make takes one time.
const TRIES: u8 = 6;
/// A correction by this share leaves an error of its square.
const SMALL: f32 = 1e-5;

/// A rule of Gauss: the longest stretch on which its error of b is at most 1e-9, and the nodes above zero with their weights,
/// in units of 2^-31.
struct Rule {
    longest: f32,
    nodes: &'static [(i32, i32)],
}

/// Nodes and weights in units of 2^-31.
const fn units<const N: usize>(values: [(f64, f64); N]) -> [(i32, i32); N] {
    let (mut rounded, mut k) = ([(0, 0); N], 0);
    while k < N {
        let unit = (1u64 << 31) as f64;
        rounded[k] = ((values[k].0 * unit + 0.5) as i32, (values[k].1 * unit + 0.5) as i32);
        k += 1;
    }
    rounded
}

/// Rules with 4, 8 and 12 nodes. Longer stretches are cut.
static RULES: [Rule; 3] = [
    Rule {
        longest: 1.9,
        nodes: &units([
            (0.339_981_043_584_856_3, 0.652_145_154_862_546_1),
            (0.861_136_311_594_052_6, 0.347_854_845_137_453_9),
        ]),
    },
    Rule {
        longest: 6.5,
        nodes: &units([
            (0.183_434_642_495_649_8, 0.362_683_783_378_362),
            (0.525_532_409_916_329, 0.313_706_645_877_887_3),
            (0.796_666_477_413_626_7, 0.222_381_034_453_374_5),
            (0.960_289_856_497_536_3, 0.101_228_536_290_376_3),
        ]),
    },
    Rule {
        longest: 12.0,
        nodes: &units([
            (0.125_233_408_511_468_9, 0.249_147_045_813_402_8),
            (0.367_831_498_998_180_2, 0.233_492_536_538_354_8),
            (0.587_317_954_286_617_5, 0.203_167_426_723_065_9),
            (0.769_902_674_194_304_7, 0.160_078_328_543_346_2),
            (0.904_117_256_370_474_9, 0.106_939_325_995_318_4),
            (0.981_560_634_246_719_2, 0.047_175_336_386_511_8),
        ]),
    },
];

/// A state, and what its rounding is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Solved<R> {
    /// S, I and R.
    pub state: [R; 3],
    /// By how much S, I and R change at most in a unit of 1 / gamma.
    pub rate: f32,
    /// The time since the beginning and the longer time scale of the orbit, added, in the same unit.
    pub time: f32,
}

/// A point of an orbit by its distances to the end and to the beginning: y and g.
type Point<R> = (R, R);

impl<R: Precise> Problem<R> {
    /// S, I and R at time t, from what f32 says of the course, whose B may be missing; none where the orbit is longer than
    /// can be followed.
    pub fn solve(&self, rough: &Course<f32>, t: R) -> Option<Solved<R>> {
        let &Problem { initial: [s0, i0, r0], beta, gamma } = self;
        let (zero, one) = (R::zero(), R::one());
        let exact = |course| Some(Solved { state: self.state(&course, t, &|_| zero), rate: 0.0, time: 0.0 });
        if i0 <= zero {
            return exact(Course::Still);
        }
        if gamma <= zero {
            let total = s0 + i0;
            return exact(Course::Logistic(Logistic { total, rate: beta * total }));
        }
        let k = beta / gamma;
        let (s, i) = (k * s0, k * i0);
        let Course::Orbit(passage) = rough else {
            // Nobody infects anyone, unless the orbit is too long.
            let y0 = recoveries(s, i, s + i, R::REFINEMENTS + 2);
            let decay = Decay { y0, recovered: i0 - s0 * (-y0).exp_m1(), gamma };
            return if self.too_large() { None } else { exact(Course::Decay(decay)) };
        };
        let time = gamma * t;
        let path = Path::new(passage, s, i)?;
        let moved = path.moved(passage, time)?;
        let share = gamma / beta;
        let (s, r) = (s0 * (-moved).exp(), r0 + share * moved);
        let i = one - s - r;
        let level = s.to_f32() / passage.share;
        let rate = i.to_f32() * if level > 1.0 { level } else { 1.0 };
        Some(Solved {
            state: [s, i, r],
            rate,
            time: time.to_f32() + 1.0 / passage.orbit.decay.min(passage.orbit.growth),
        })
    }
}

/// An orbit and a point of it.
struct Path<R> {
    orbit: Orbit<R>,
    start: Point<R>,
}

impl<R: Precise> Path<R> {
    /// The orbit through (s, i), from what f32 says of it.
    fn new(rough: &Passage<f32>, s: R, i: R) -> Option<Self> {
        let orbit = Orbit::refined(&rough.orbit, i + excess(s))?;
        let one = R::one();
        // y + s (e^-y - 1) = i, or s (e^g - 1) - g = i, whichever is the smaller distance.
        let late = rough.start.0 < rough.start.1;
        let mut near = R::from_f32(if late { rough.start.0 } else { rough.start.1 });
        for _ in 0..TRIES {
            let signed = if late { -near } else { near };
            let e = signed.exp_m1();
            let left = s * e - signed - i;
            let slope = 1.0 - (s * (one + e)).to_f32();
            let step = left.to_f32() / if late { slope } else { -slope };
            near = near - R::from_f32(step);
            if abs(step) <= SMALL * near.to_f32() {
                let far = orbit.extent - near;
                return Some(Path { orbit, start: if late { (near, far) } else { (far, near) } });
            }
        }
        None
    }

    /// y0 - y at a time in units of 1 / gamma.
    fn moved(&self, rough: &Passage<f32>, time: R) -> Option<R> {
        let zero = R::zero();
        let orbit = &self.orbit;
        let start = self.start;
        let fast = rough.orbit.growth + rough.orbit.decay;
        let (mut place, mut moved, mut left, mut passed) = (start, zero, time, zero);
        if time.to_f32() * fast >= SOON {
            let ln_x = rough.guess.ln_x(rough.orbit.growth * (rough.phase + time.to_f32()));
            // The guess may come from a network, and from a wrong one: it says where to begin, and nothing more.
            place = if ln_x < -0.69 {
                let y = R::from_f32(rough.orbit.extent * exp(if ln_x > LATEST { ln_x } else { LATEST }));
                (y, orbit.extent - y)
            } else {
                let g = R::from_f32(-(rough.orbit.extent * exp_m1(ln_x)));
                (orbit.extent - g, g)
            };
            if place.0 <= zero || place.1 <= zero {
                return None;
            }
            moved = if start.1 < start.0 { place.1 - start.1 } else { start.0 - place.0 };
            passed = self.passing(start, place);
            left = time - passed;
            if ln_x <= LATEST && left >= zero {
                return Some(start.0);
            }
        }
        for _ in 0..TRIES {
            let (s, i) = level(orbit, place);
            let step = left * i + R::from_f32(bent(i.to_f32(), s.to_f32(), left.to_f32()));
            moved = moved + step;
            if abs(left.to_f32() * fast) < NEAR {
                return Some(moved);
            }
            let next = if place.0 < place.1 {
                let y = place.0 - step;
                (y, orbit.extent - y)
            } else {
                let g = place.1 + step;
                (orbit.extent - g, g)
            };
            if next.0 <= zero || next.1 <= zero {
                return None;
            }
            passed = passed + self.passing(place, next);
            (place, left) = (next, time - passed);
        }
        None
    }

    /// The time from one point to another.
    fn passing(&self, from: Point<R>, to: Point<R>) -> R {
        let orbit = &self.orbit;
        let length = if from.1 < from.0 { to.1 - from.1 } else { from.0 - to.0 };
        let whole = abs(length.to_f32());
        let [.., longest] = &RULES;
        let stretches = ((whole / longest.longest) as u8).saturating_add(1);
        let rule = RULES.iter().find(|rule| whole <= rule.longest * f32::from(stretches)).unwrap_or(longest);
        let half = if stretches == 1 { length } else { length / R::constant(stretches.into()) } * R::constant(0.5);
        let mut sum = R::zero();
        for stretch in 0..stretches {
            let middle = if stretch == 0 { half } else { half * R::constant(f64::from(2 * u16::from(stretch) + 1)) };
            for &(node, weight) in rule.nodes {
                let off = half * R::fraction(node);
                let pair = regular(orbit, from, middle + off) + regular(orbit, from, middle - off);
                sum = sum + R::fraction(weight) * pair;
            }
        }
        (to.1 / from.1).ln() / orbit.growth - (to.0 / from.0).ln() / orbit.decay + sum * half
    }
}

/// b where the orbit has moved on by `moved` from a point.
#[inline(never)]
fn regular<R: Real>(orbit: &Orbit<R>, (y, g): Point<R>, moved: R) -> R {
    let place = (y - moved, g + moved);
    let (_, i) = level(orbit, place);
    let (late, early) = (orbit.decay * place.0, orbit.growth * place.1);
    let both = late * early;
    (both - i * (late + early)) / (i * both)
}

/// s and i at a point of an orbit: one exponential for both, from the nearer end.
#[inline(never)]
fn level<R: Real>(orbit: &Orbit<R>, (y, g): Point<R>) -> (R, R) {
    if y < g {
        let e = orbit.q * y.exp_m1();
        (orbit.q + e, y - e)
    } else {
        let first = orbit.q + orbit.extent;
        let e = first * (-g).exp_m1();
        (first + e, -e - g)
    }
}

/// How far y falls within the small time `off` from (s, i), beyond i times that time: dy/dT = -i, di/dT = i (s - 1),
/// ds/dT = -s i, to the fifth order.
fn bent(i: f32, s: f32, off: f32) -> f32 {
    let (a, w) = (s - 1.0, s * i);
    let slope = a - i;
    let dw = w * slope;
    let d1 = i * a;
    let d2 = d1 * a - i * w;
    let ddw = dw * slope - w * (w + d1);
    let d3 = d2 * a - 2.0 * d1 * w - i * dw;
    let d4 = d3 * a - 3.0 * (d2 * w + d1 * dw) - i * ddw;
    off * off * 0.5 * (d1 + off * (1.0 / 3.0) * (d2 + off * 0.25 * (d3 + off * 0.2 * d4)))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests compute in f64 on the host")]
mod tests {
    use super::*;
    use crate::ode::Ode;
    use crate::rk4;
    use crate::wide::Wide;

    fn wide([i0, r0, beta, gamma]: [f32; 4]) -> Problem<Wide> {
        let zero = Wide::from_f32(0.0);
        let w = Wide::from_f32;
        Problem::new(&[w(i0), w(r0), zero, zero], &[w(beta), w(gamma), zero, zero])
    }

    fn rough([i0, r0, beta, gamma]: [f32; 4]) -> Course<f32> {
        Problem::new(&[i0, r0, 0.0, 0.0], &[beta, gamma, 0.0, 0.0]).any_course(LARGEST_EXTENT, &|_| 0.0)
    }

    fn double(of: [f32; 4]) -> Problem<f64> {
        let [i0, r0, beta, gamma] = of.map(f64::from);
        Problem::new(&[i0, r0, 0.0, 0.0], &[beta, gamma, 0.0, 0.0])
    }

    fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |a, b| if a >= b { a } else { b })
    }

    #[test]
    fn a_solution_is_that_of_the_equations() {
        for of in [
            [0.3f32, 0.2, 0.6, 0.5, 20.0],
            [0.3, 0.2, 0.6, 0.5, 0.02],
            [1e-6, 0.0, 3.0, 1.0, 9.0],
            [1e-6, 0.0, 3.0, 1.0, 30.0],
            [1e-3, 0.0, 10.0, 1.0, 1.0],
            [1e-2, 0.0, 1.01, 1.0, 25.0],
            [1e-2, 0.0, 1.0, 1.0, 5.0],
            [0.9, 0.05, 0.3, 1.0, 2.0],
            [0.5, 0.5, 0.01, 1.0, 3.0],
            [0.999, 0.001, 5.0, 1.0, 2.0],
            [0.01, 0.0, 80.0, 1.0, 0.2],
            [0.01, 0.0, 0.9, 0.0, 7.0],
            [0.01, 0.2, 0.0, 0.5, 7.0],
            [0.0, 0.2, 0.9, 0.5, 7.0],
        ] {
            let [i0, r0, beta, gamma, t] = of;
            let z = [i0, r0, 0.0, 0.0].map(f64::from);
            let rates = [beta, gamma, 0.0, 0.0].map(f64::from);
            let [s, i, r, _] = rk4::integrate_by(Ode::Sir, &z, &rates, f64::from(t) / 20_000.0, 20_000);
            let of = [i0, r0, beta, gamma];
            let fine = double(of).solve(&rough(of), t.into()).unwrap().state;
            let found = wide(of).solve(&rough(of), Wide::from_f32(t)).unwrap().state.map(Wide::to_f64);
            assert!(distance(fine, [s, i, r]) < 1e-9, "{of:?}: {fine:?} {:?}", [s, i, r]);
            assert!(distance(found, [s, i, r]) < 1e-8, "{of:?}: {found:?} {:?}", [s, i, r]);
        }
    }

    /// The figures that a certificate takes: eight units of 2^-30, and four for a unit of the rate times the time.
    #[test]
    fn integers_move_a_solution_by_less_than_a_certificate_allows() {
        let mut state = 1u64;
        let mut uniform = move || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 40) as f64 / (1u64 << 24) as f64
        };
        let mut worst = 0.0f64;
        for round in 0..20_000 {
            let i0 = 10f64.powf(-7.0 * uniform());
            let r0 = (1.0 - i0) * (2.0 * uniform() - 1.0).max(0.0);
            // Up to 20, up to 60, and as many people as one infects on average near one.
            let k =
                [20.0 * uniform(), 60.0 * uniform(), (0.95 + 0.1 * uniform()) / (1.0 - i0 - r0).max(0.02)][round % 3];
            let of = [i0, r0, k, 1.0].map(|v| v as f32);
            let t = 10f64.powf(6.0 * uniform() - 3.0) as f32;
            let Solved { state, rate, time } = wide(of).solve(&rough(of), Wide::from_f32(t)).unwrap();
            let fine = double(of).solve(&rough(of), t.into()).unwrap().state;
            let allowed = (8.0 + 4.0 * f64::from(rate * time)) / f64::from(1 << 30);
            worst = worst.max(distance(state.map(Wide::to_f64), fine) / allowed);
        }
        std::println!("{worst}");
        assert!(worst < 0.8, "{worst}");
    }

    /// Late, where the epidemic is over, and in between.
    #[test]
    fn a_wrong_network_leads_to_the_right_solution_or_to_none() {
        let mut solved = 0;
        for t in [0.5f32, 5.0, 17.5, 40.0, 500.0] {
            let of = [0.2, 0.4, 1.8, 0.6];
            let right = double(of).solve(&rough(of), t.into()).unwrap().state;
            for phase in [0.5, -0.5, 3.0, -3.0, 60.0, -60.0, 1e6, -1e6, f32::INFINITY, f32::NAN] {
                let wrong = Problem::new(&[of[0], of[1], 0.0, 0.0], &[of[2], of[3], 0.0, 0.0]);
                let wrong = wrong.any_course(LARGEST_EXTENT, &|_| phase);
                let Some(found) = wide(of).solve(&wrong, Wide::from_f32(t)) else { continue };
                let off = distance(found.state.map(Wide::to_f64), right);
                assert!(off < 1e-7, "{phase} {t}: {off:e}");
                solved += 1;
            }
        }
        assert!(solved > 20, "{solved}");
    }

    #[test]
    fn what_cannot_be_followed_has_no_solution() {
        for (k, t) in [(200.0, 0.01f32), (200.0, 10.0), (1e30, 1.0)] {
            let of = [0.1, 0.0, k, 1.0];
            assert!(wide(of).solve(&rough(of), Wide::from_f32(t)).is_none(), "{k} {t}");
        }
        // Hardly anybody can be infected: an orbit of a large extent, of which the beginning is long past.
        let of = [1.0, 0.0, 20.0, 1.0];
        let [s, i, r] = wide(of).solve(&rough(of), Wide::from_f32(2.0)).unwrap().state.map(Wide::to_f64);
        let e = (-2f64).exp();
        assert!(distance([s, i, r], [0.0, e, 1.0 - e]) < 1e-8, "{s} {i} {r}");
    }
}
