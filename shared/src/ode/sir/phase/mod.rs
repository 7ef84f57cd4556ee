//! Every SIR epidemic by its phase: when it passes a point of its orbit.
//!
//! An SIR epidemic conserves a quantity ([`orbit`]), so each is a stretch of an orbit of a one-parameter family, and all that
//! is not elementary is one function of two variables: the time at which an orbit passes a point. With x = y / Y and
//! g = Y - y it is, in units of 1 / gamma,
//!
//! theta(y) = -ln x / lambda_+ + ln((1 - e^-g) / (1 - e^-Y)) / lambda_- - B(x, Y),
//!
//! where B is smooth, also at both ends of the orbit and for Y -> 0. B = N / (1 + Y / 2) with a network N, which enters as a
//! function of its three scaled inputs ([`INPUTS`]). B is free up to a function of Y, and the first guess wants it near zero at
//! x = 0. What is left of a query is to invert theta(y) = theta(y0) + T: a guess in closed form, and the flow itself over the
//! small time by which the guess is off.

/// The polynomial with these coefficients, from the constant one on. A macro, so that the compiler rounds every coefficient
/// to the number's type: to convert it at run time takes a processor without double precision as long as a logarithm.
macro_rules! polynomial {
    ($x:expr; $($coefficient:expr),+ $(,)?) => {{
        const INTEGERS: crate::scalar::Integers<{ [$($coefficient),+].len() }> = crate::scalar::Integers::new([$($coefficient),+]);
        match $x.polynomial(&INTEGERS.coefficients, INTEGERS.bits) {
            Some(value) => value,
            None => polynomial!(@ $x; $($coefficient),+),
        }
    }};
    (@ $x:expr; $last:expr) => { R::constant($last) };
    (@ $x:expr; $first:expr, $($rest:expr),+) => { R::constant($first) + $x * polynomial!(@ $x; $($rest),+) };
}

mod guess;
pub mod orbit;
pub mod quadrature;
mod slope;

use super::Sir;
use crate::ode::{Rates, State, System};
use crate::scalar::Real;
use guess::Guess;
use orbit::Orbit;
pub use slope::slope;

/// The network's inputs with the intervals that are mapped to [-1, 1].
pub const INPUTS: [(&str, f32, f32); 3] = [("x", 0.0, 1.0), ("Y", 0.0, 30.0), ("g", 0.0, 10.0)];

/// The largest k (S0 + I0) that is answered, beta = 0 and gamma = 0 apart: the network is trained up to there.
pub const LARGEST: f64 = 20.0;
/// Above this extent a query takes nobody to be infected any more, and the infected to recover.
pub const LARGEST_EXTENT: f32 = 40.0;

/// The kind of solution that a problem has, with everything in it that does not depend on time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Course<R> {
    /// Nobody is infected: nothing changes.
    Still,
    /// Nobody recovers: logistic growth.
    Logistic(Logistic<R>),
    /// So few are infected by anyone that recoveries alone count: beta = 0, S0 = 0, or an extent above 40.
    Decay(Decay<R>),
    /// An epidemic along its orbit.
    Orbit(Passage<R>),
}

impl<R: Real> Course<R> {
    /// The extent Y of its orbit; zero where the solution is a closed form without network.
    pub fn extent(&self) -> R {
        match self {
            Course::Orbit(passage) => passage.orbit.extent,
            Course::Still | Course::Logistic(_) | Course::Decay(_) => R::zero(),
        }
    }
}

/// gamma = 0: I' = beta I (N - I).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logistic<R> {
    total: R,
    rate: R,
}

/// S = S0 exp(-y0 (1 - e^-T)), with I0 e^-T infected, exactly where beta or S0 is zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decay<R> {
    y0: R,
    recovered: R,
    gamma: R,
}

/// A point of an orbit, and what is the same for all times from there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Passage<R> {
    orbit: Orbit<R>,
    gamma: R,
    /// y and g of the initial state.
    start: (R, R),
    /// theta of the initial state.
    phase: R,
    guess: Guess<R>,
    /// Recovered per unit of y.
    share: R,
}

/// Why an epidemic has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// A problem: the initial state as shares, and both rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Problem<R> {
    /// S, I and R at the beginning.
    pub initial: [R; 3],
    /// Infections.
    pub beta: R,
    /// Recoveries.
    pub gamma: R,
}

impl<R: Real> Problem<R> {
    /// The problem of SIR with these free initial coordinates, (I0, R0), and rates, (beta, gamma).
    pub fn new(initial: &State<R>, rates: &Rates<R>) -> Self {
        let ([s, i, r, _], [beta, gamma, ..]) = (Sir::initial(initial), *rates);
        Problem { initial: [s, i, r], beta, gamma }
    }

    /// Whether k (S0 + I0) is above [`LARGEST`], and matters.
    pub fn too_large(&self) -> bool {
        let &Problem { initial: [s0, i0, _], beta, gamma } = self;
        let zero = R::zero();
        i0 > zero && gamma > zero && (beta / gamma) * s0 + (beta / gamma) * i0 > R::constant(LARGEST)
    }

    /// What is the same for all times: the network is evaluated once.
    ///
    /// # Errors
    /// [`TooLarge`] where k (S0 + I0) is above [`LARGEST`].
    pub fn course(&self, network: &impl Fn(&[R; 3]) -> R) -> Result<Course<R>, TooLarge> {
        if self.too_large() {
            return Err(TooLarge);
        }
        Ok(self.any_course(R::constant(LARGEST_EXTENT.into()), network))
    }

    /// As [`Self::course`] for any k (S0 + I0), along orbits of at most the extent `largest`.
    pub fn any_course(&self, largest: R, network: &impl Fn(&[R; 3]) -> R) -> Course<R> {
        let &Problem { initial: [s0, i0, _], beta, gamma } = self;
        let zero = R::zero();
        if i0 <= zero {
            return Course::Still;
        }
        if gamma <= zero {
            let total = s0 + i0;
            return Course::Logistic(Logistic { total, rate: beta * total });
        }
        let k = beta / gamma;
        let (s, i) = (k * s0, k * i0);
        if s > zero && i > zero {
            let orbit = Orbit::through(s, i);
            if orbit.extent <= largest && orbit.decay > zero && orbit.growth > zero {
                let start = orbit.distances(s, i);
                return Course::Orbit(Passage::new(orbit, gamma, start, gamma / beta, network));
            }
        }
        let y0 = orbit::recoveries(s, i, s + i, R::REFINEMENTS + 2);
        let recovered = i0 - s0 * (-y0).exp_m1();
        Course::Decay(Decay { y0, recovered, gamma })
    }

    /// The state at time t.
    pub fn state(&self, course: &Course<R>, t: R, network: &impl Fn(&[R; 3]) -> R) -> [R; 3] {
        let &Problem { initial: [s0, i0, r0], .. } = self;
        match course {
            Course::Still => self.initial,
            Course::Logistic(Logistic { total, rate }) => {
                let e = (-(*rate * t)).exp();
                let s = *total * s0 * e / (i0 + s0 * e);
                complete(s, r0)
            }
            Course::Decay(Decay { y0, recovered, gamma }) => {
                let f = -(-(*gamma * t)).exp_m1();
                complete(s0 * (-(*y0 * f)).exp(), r0 + *recovered * f)
            }
            Course::Orbit(passage) => self.at(passage, &passage.reached(t, network, false)),
        }
    }

    /// The shares that were infected and that recovered since the beginning, each to 2e-5 of itself while it is small: a state next
    /// to 1 has no room for these digits.
    pub fn since(&self, course: &Course<R>, t: R, network: &impl Fn(&[R; 3]) -> R) -> [R; 2] {
        let &Problem { initial: [s0, i0, _], .. } = self;
        match course {
            Course::Still => [R::zero(); 2],
            Course::Logistic(Logistic { rate, .. }) => {
                let fall = (-(*rate * t)).exp_m1();
                [-(s0 * i0 * fall) / (i0 + s0 + s0 * fall), R::zero()]
            }
            Course::Decay(Decay { y0, recovered, gamma }) => {
                let f = -(-(*gamma * t)).exp_m1();
                [-(s0 * (-(*y0 * f)).exp_m1()), *recovered * f]
            }
            Course::Orbit(passage) => {
                let moved = passage.reached(t, network, true).moved;
                [-(s0 * (-moved).exp_m1()), passage.share * moved]
            }
        }
    }

    fn at(&self, passage: &Passage<R>, reached: &Reached<R>) -> [R; 3] {
        let &Problem { initial: [s0, _, r0], .. } = self;
        complete(s0 * (-reached.moved).exp(), r0 + passage.share * reached.moved)
    }

    /// The state at time t, to the bits of [`Self::state`], its derivative and its residual. `tangent` gives the derivative of
    /// the network along a direction.
    ///
    /// With rho the residual of B, time runs by dtheta = -(1 / i + rho / Y) dy along an answer, so that it moves by
    /// dy/dT = -i / (1 + i rho / Y). The residual is computed from rho, without the cancellation of two derivatives.
    pub fn answer(
        &self,
        course: &Course<R>,
        t: R,
        network: &impl Fn(&[R; 3]) -> R,
        tangent: &impl Fn(&[R; 3], &[R; 3]) -> R,
    ) -> Answer<R> {
        let &Problem { beta, gamma, .. } = self;
        let (zero, one) = (R::zero(), R::one());
        let sum = |s: R, r: R| [s, -(s + r), r];
        let Course::Orbit(passage) = course else {
            let state = self.state(course, t, network);
            let infections = beta * state[0] * state[1];
            let (derivative, residual) = match course {
                Course::Decay(Decay { y0, recovered, gamma }) => {
                    let e = *gamma * (-(*gamma * t)).exp();
                    let (s, r) = (-(state[0] * *y0 * e), *recovered * e);
                    (sum(s, r), sum(s + infections, r - *gamma * state[1]))
                }
                _ => (sum(-infections, gamma * state[1]), [zero; 3]),
            };
            return Answer { state, derivative, residual };
        };
        let reached = passage.reached(t, network, false);
        let state = self.at(passage, &reached);
        let orbit = &passage.orbit;
        let rho = residual(orbit, reached.y, reached.g, tangent);
        let i = state[1] / passage.share;
        let defect = -(i * rho / orbit.extent);
        let pace = i / (one - defect);
        let along = |pace: R| sum(-(gamma * state[0] * pace), gamma * passage.share * pace);
        Answer { state, derivative: along(pace), residual: along(pace * defect) }
    }
}

/// A state with its derivative by time and its residual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer<R> {
    /// S, I and R.
    pub state: [R; 3],
    /// Their derivative by time.
    pub derivative: [R; 3],
    /// The derivative minus what the equations want it to be.
    pub residual: [R; 3],
}

/// The state with I as the rest of the population.
fn complete<R: Real>(s: R, r: R) -> [R; 3] {
    [s, (R::one() - s - r).max(R::zero()), r]
}

/// The network's inputs at a point of an orbit, scaled as [`INPUTS`] say.
pub fn inputs<R: Real>(y: R, g: R, extent: R) -> [R; 3] {
    let (c, one) = (R::constant, R::one());
    [(y - g) / extent, extent * c(1.0 / 15.0) - one, g * c(0.2) - one]
}

/// d(inputs)/dx along an orbit.
pub fn direction<R: Real>(extent: R) -> [R; 3] {
    [R::constant(2.0), R::zero(), -(extent * R::constant(0.2))]
}

/// dB/dx by the network minus dB/dx by the equations.
pub fn residual<R: Real>(orbit: &Orbit<R>, y: R, g: R, tangent: &impl Fn(&[R; 3], &[R; 3]) -> R) -> R {
    let extent = orbit.extent;
    let moved = tangent(&inputs(y, g, extent), &direction(extent));
    moved / (R::one() + R::constant(0.5) * extent) - slope(orbit, y, g)
}

impl<R: Real> Passage<R> {
    fn new(orbit: Orbit<R>, gamma: R, start: (R, R), share: R, network: &impl Fn(&[R; 3]) -> R) -> Self {
        let (y, g) = start;
        let place = Place::new(y, g, orbit.extent);
        let (_, risen) = place.level(&orbit);
        let phase = place.theta(&orbit, risen, network);
        Passage { orbit, gamma, start, phase, guess: Guess::new(&orbit), share }
    }

    /// The point of the orbit at time t. With `few`, also few infected keep their digits.
    fn reached(&self, t: R, network: &impl Fn(&[R; 3]) -> R, few: bool) -> Reached<R> {
        let c = R::constant;
        let Orbit { extent, q, decay, growth } = self.orbit;
        let time = self.gamma * t;
        let (y0, g0) = self.start;
        // So soon after the beginning the flow needs no guess.
        if time * (growth + decay) < c(0.03) {
            let start = Place { y: y0, g: g0, ln_x: R::zero() };
            let (s, _) = start.level(&self.orbit);
            let i = if few { start.infected(&self.orbit) } else { y0 + q - s };
            let moved = flow(i, s, time);
            return Reached { moved, y: y0 - moved, g: g0 + moved };
        }
        let ln_x = self.guess.ln_x(growth * (self.phase + time));
        let (mut y, mut g);
        if ln_x < c(-0.69) {
            y = extent * ln_x.exp();
            g = extent - y;
        } else {
            g = -(extent * ln_x.exp_m1());
            y = extent - g;
        }
        let mut place = Place { y, g, ln_x };
        for _ in 0..R::FLOWS {
            let (s, risen) = place.level(&self.orbit);
            let off = self.phase + time - place.theta(&self.orbit, risen, network);
            let i = if few { place.infected(&self.orbit) } else { place.y + q - s };
            let step = flow(i, s, off);
            if place.y < place.g {
                y = place.y - step;
                g = extent - y;
            } else {
                g = place.g + step;
                y = extent - g;
            }
            // At the very end of an orbit there is nothing to mend.
            if R::FLOWS == 1 || y <= R::zero() || g <= R::zero() {
                break;
            }
            place = Place::new(y, g, extent);
        }
        Reached { moved: if g0 < y0 { g - g0 } else { y0 - y }, y, g }
    }
}

/// The point of an orbit that a query asks for: y, g, and y0 - y from the nearer end.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reached<R> {
    moved: R,
    y: R,
    g: R,
}

/// How far y falls within the small time `off` from (s, i): dy/dT = -i, di/dT = i (s - 1), to the third order.
fn flow<R: Real>(i: R, s: R, off: R) -> R {
    let (c, s1) = (R::constant, s - R::one());
    let di = i * s1;
    off * (i + off * (c(0.5) * di + off * c(1.0 / 6.0) * (di * s1 - s * i * i)))
}

/// A point of the orbit.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place<R> {
    y: R,
    g: R,
    ln_x: R,
}

impl<R: Real> Place<R> {
    fn new(y: R, g: R, extent: R) -> Self {
        Place { y, g, ln_x: if y < g { (y / extent).ln() } else { (-(g / extent)).ln_1p() } }
    }

    /// s = k S here, and (1 - e^-g) / (1 - e^-Y): one exponential for both, from the nearer end.
    fn level(&self, orbit: &Orbit<R>) -> (R, R) {
        let start = orbit.q + orbit.extent;
        if self.y < self.g {
            let s = orbit.q * self.y.exp();
            (s, (start - s) / orbit.extent)
        } else {
            let e = (-self.g).exp_m1();
            (start + start * e, -(start * e) / orbit.extent)
        }
    }

    /// i = k I here, without the cancellation of y + q - s near both ends. One more exponential.
    fn infected(&self, orbit: &Orbit<R>) -> R {
        if self.y < self.g {
            self.y - orbit.q * self.y.exp_m1()
        } else {
            -((orbit.q + orbit.extent) * (-self.g).exp_m1()) - self.g
        }
    }

    /// The time at which the orbit passes here, up to a constant of the orbit.
    fn theta(&self, orbit: &Orbit<R>, risen: R, network: &impl Fn(&[R; 3]) -> R) -> R {
        let regular = network(&inputs(self.y, self.g, orbit.extent)) / (R::one() + R::constant(0.5) * orbit.extent);
        risen.ln() / orbit.growth - self.ln_x / orbit.decay - regular
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests compute in f64 on the host")]
mod tests {
    use super::*;
    use crate::ode::Ode;
    use crate::rk4;

    /// In place of a network: B by quadrature (the midpoint rule of Gauss with two nodes, 400 times).
    fn exact(&[u, v, _]: &[f64; 3]) -> f64 {
        let (x, extent) = (0.5 * (u + 1.0), 15.0 * (v + 1.0));
        let (step, node) = (x / 400.0, 0.5 / 3f64.sqrt());
        let orbit = Orbit::of_extent(extent);
        let rate = |x: f64| slope(&orbit, x * extent, extent - x * extent);
        let pair = |k: u32| {
            let middle = f64::from(k) + 0.5;
            rate(step * (middle - node)) + rate(step * (middle + node))
        };
        0.5 * step * (0..400).map(pair).sum::<f64>() * (1.0 + 0.5 * extent)
    }

    /// (I0, R0, k, T), gamma = 1.
    const QUERIES: [[f64; 4]; 14] = [
        [0.3, 0.2, 1.2, 10.0],
        [1e-6, 0.0, 3.0, 9.0],
        [1e-6, 0.0, 3.0, 30.0],
        [1e-3, 0.0, 10.0, 1.0],
        [1e-2, 0.0, 1.01, 25.0],
        [1e-2, 0.0, 1.0, 5.0],
        [0.9, 0.05, 0.3, 2.0],
        [0.5, 0.5, 0.01, 3.0],
        [1e-7, 0.4, 19.0, 1.2],
        [1e-7, 0.0, 20.0, 0.9],
        [0.2, 0.0, 15.0, 0.004],
        [0.01, 0.7, 2.0, 12.0],
        [0.999, 0.001, 5.0, 2.0],
        [0.3, 0.2, 1.2, 1e-4],
    ];

    fn truth([i0, r0, k, t]: [f64; 4]) -> [f64; 4] {
        rk4::integrate_by(Ode::Sir, &[i0, r0, 0.0, 0.0], &[k, 1.0, 0.0, 0.0], t / 20_000.0, 20_000)
    }

    #[test]
    fn a_query_is_the_solution_of_the_equations() {
        for query in QUERIES {
            let [i0, r0, k, t] = query;
            let right = truth(query);
            let problem = Problem { initial: [1.0 - i0 - r0, i0, r0], beta: k, gamma: 1.0 };
            let answer = problem.state(&problem.course(&exact).unwrap(), t, &exact);
            let error = answer.iter().zip(right).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(error < 1e-7, "{query:?}: {answer:?} {right:?}");
            let [i0, r0, k, t] = query.map(|v| v as f32);
            let problem = Problem { initial: [1.0 - i0 - r0, i0, r0], beta: k, gamma: 1.0 };
            let network = |u: &[f32; 3]| exact(&u.map(f64::from)) as f32;
            let answer = problem.state(&problem.course(&network).unwrap(), t, &network);
            let error = answer.iter().zip(right).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(error < 1.5e-6, "{query:?}: {answer:?} {right:?}");
        }
    }

    #[test]
    fn the_residual_is_that_of_the_answer() {
        // A network that is off by a smooth function of x and Y.
        let off = |&[u, v, _]: &[f64; 3]| 1e-3 * (3.0 * u + v).sin() * (8.5 + 7.5 * v);
        let network = |u: &[f64; 3]| exact(u) + off(u);
        let tangent = |u: &[f64; 3], du: &[f64; 3]| {
            let h = 1e-4;
            let at = |h: f64| network(&[u[0] + h * du[0], u[1], u[2] + h * du[2]]);
            (at(h) - at(-h)) / (2.0 * h)
        };
        for query in QUERIES {
            let [i0, r0, k, t] = query;
            let problem = Problem { initial: [1.0 - i0 - r0, i0, r0], beta: 0.5 * k, gamma: 0.5 };
            let course = problem.course(&network).unwrap();
            let t = 2.0 * t;
            let found = problem.answer(&course, t, &network, &tangent);
            let h = 1e-4 * t;
            let [after, before] = [t + h, t - h].map(|t| problem.state(&course, t, &network));
            assert_eq!(found.state, problem.state(&course, t, &network));
            let (s, i) = (found.state[0], found.state[1]);
            let right = [-problem.beta * s * i, problem.beta * s * i - 0.5 * i, 0.5 * i];
            for c in 0..3 {
                let derivative = (after[c] - before[c]) / (2.0 * h);
                // The flow that mends the guess leaves its fourth order, which moves along with the guess.
                assert!(
                    (derivative - found.derivative[c]).abs() < 1e-4 * problem.beta.max(1.0),
                    "{query:?} {c}: {derivative} {found:?}"
                );
                let residual = found.derivative[c] - right[c];
                assert!((residual - found.residual[c]).abs() < 1e-7, "{query:?} {c}: {residual} {found:?}");
            }
        }
    }

    #[test]
    fn every_limit_has_its_treatment() {
        let network = |_: &[f32; 3]| 0.0;
        let problem = |i0: f32, r0: f32, beta, gamma| Problem { initial: [1.0 - i0 - r0, i0, r0], beta, gamma };
        let at = |p: Problem<f32>, t| p.course(&network).map(|course| p.state(&course, t, &network));
        let near = |answer: Result<[f32; 3], TooLarge>, right: [f64; 3]| {
            let error = answer.unwrap().iter().zip(right).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(error < 3e-7, "{answer:?} {right:?}");
        };
        // Nobody is infected.
        near(at(problem(0.0, 0.25, 3.0, 1.0), 50.0), [0.75, 0.0, 0.25]);
        // Nobody infects, or there is nobody to infect.
        let e = (-2f64).exp();
        near(at(problem(0.5, 0.25, 0.0, 1.0), 2.0), [0.25, 0.5 * e, 0.25 + 0.5 * (1.0 - e)]);
        near(at(problem(0.75, 0.25, 9.0, 1.0), 2.0), [0.0, 0.75 * e, 0.25 + 0.75 * (1.0 - e)]);
        // Nobody recovers.
        let i = 0.5 / (0.5 + 0.5 * (-3f64).exp());
        near(at(problem(0.5, 0.0, 3.0, 0.0), 1.0), [1.0 - i, i, 0.0]);
        // The beginning, and long after the end.
        near(at(problem(0.25, 0.25, 2.0, 1.0), 0.0), [0.5, 0.25, 0.25]);
        let [s, i, r] = at(problem(0.25, 0.25, 2.0, 1.0), 1e6).unwrap();
        assert!(i == 0.0 && s > 0.1 && (s + r - 1.0).abs() < 1e-6, "{s} {i} {r}");
        assert_eq!(at(problem(0.5, 0.0, 20.1, 1.0), 1.0), Err(TooLarge));
    }
}
