//! Every SIR epidemic by its phase: when it passes a point of its orbit.
//!
//! An SIR epidemic conserves a quantity ([`orbit`]), so each is a stretch of an orbit of a one-parameter family, and all that
//! is not elementary is one function of two variables: the time at which an orbit passes a point. With x = y / Y and
//! g = Y - y it is, in units of 1 / gamma,
//!
//! theta(y) = -ln x / lambda_+ + ln((1 - e^-g) / (1 - e^-Y)) / lambda_- - B(x, Y),
//!
//! where B is smooth, also at both ends of the orbit and for Y -> 0. B = N / (1 + Y / 2) with a network N, which enters as a
//! function of its three scaled inputs; B is free up to a function of Y, and the first guess wants it near zero at x = 0. What is left of a query is to invert
//! theta(y) = theta(y0) + T: a guess in closed form, and the flow itself over the small time by which the guess is off.

/// The polynomial with these coefficients, from the constant one on. A macro, so that the compiler rounds every coefficient
/// to the number's type: to convert it at run time takes a processor without double precision as long as a logarithm.
macro_rules! polynomial {
    ($x:expr; $last:expr $(,)?) => { R::constant($last) };
    ($x:expr; $first:expr, $($rest:expr),+ $(,)?) => { R::constant($first) + $x * polynomial!($x; $($rest),+) };
}

pub mod orbit;

use crate::scalar::Real;
use orbit::Orbit;

/// The largest k (S0 + I0) that is answered, beta = 0 and gamma = 0 apart: the network is trained up to there.
pub const LARGEST: f64 = 20.0;
/// Above this extent, nobody is infected any more, and the infected recover.
const LARGEST_EXTENT: f64 = 40.0;

/// What is answered of an epidemic at all times.
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

/// Constants of the first guess: m K, u0, c and 1 / m, see [`Guess::ln_x`].
#[derive(Debug, Clone, Copy, PartialEq)]
struct Guess<R> {
    height: R,
    middle: R,
    steepness: R,
    inverse: R,
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
    /// What is the same for all times: the network is evaluated once.
    ///
    /// # Errors
    /// [`TooLarge`] where k (S0 + I0) is above [`LARGEST`].
    pub fn course(&self, network: &impl Fn(&[R; 3]) -> R) -> Result<Course<R>, TooLarge> {
        let &Problem { initial: [s0, i0, _], beta, gamma } = self;
        let (zero, one) = (R::zero(), R::one());
        if i0 <= zero {
            return Ok(Course::Still);
        }
        if gamma <= zero {
            let total = s0 + i0;
            return Ok(Course::Logistic(Logistic { total, rate: beta * total }));
        }
        let k = beta / gamma;
        let (s, i) = (k * s0, k * i0);
        if s + i > R::constant(LARGEST) {
            return Err(TooLarge);
        }
        if s > zero && i > zero {
            let orbit = Orbit::through(s, i);
            if orbit.extent <= R::constant(LARGEST_EXTENT) && orbit.decay > zero && orbit.growth > zero {
                let start = orbit.distances(s, i);
                return Ok(Course::Orbit(Passage::new(orbit, gamma, start, gamma / beta, network)));
            }
        }
        // y + s (e^-y - 1) = i.
        let mut y0 = s + i;
        for _ in 0..R::REFINEMENTS + 2 {
            let e = (-y0).exp_m1();
            y0 = y0 - (y0 + s * e - i) / (one - s * (one + e));
        }
        let recovered = i0 - s0 * (-y0).exp_m1();
        Ok(Course::Decay(Decay { y0, recovered, gamma }))
    }

    /// The state at time t.
    pub fn state(&self, course: &Course<R>, t: R, network: &impl Fn(&[R; 3]) -> R) -> [R; 3] {
        let &Problem { initial: [s0, i0, r0], .. } = self;
        let (zero, one) = (R::zero(), R::one());
        let rest = |s: R, r: R| [s, (one - s - r).max(zero), r];
        match course {
            Course::Still => self.initial,
            Course::Logistic(Logistic { total, rate }) => {
                let e = (-(*rate * t)).exp();
                let s = *total * s0 * e / (i0 + s0 * e);
                rest(s, r0)
            }
            Course::Decay(Decay { y0, recovered, gamma }) => {
                let f = -(-(*gamma * t)).exp_m1();
                rest(s0 * (-(*y0 * f)).exp(), r0 + *recovered * f)
            }
            Course::Orbit(passage) => {
                let moved = passage.moved(t, network);
                rest(s0 * (-moved).exp(), r0 + passage.share * moved)
            }
        }
    }
}

/// The inputs of the network, scaled to about [-1, 1]: x, Y and g.
fn inputs<R: Real>(y: R, g: R, extent: R) -> [R; 3] {
    let one = R::one();
    [(y - g) / extent, extent * R::constant(1.0 / 15.0) - one, one - g * R::constant(0.2)]
}

impl<R: Real> Passage<R> {
    fn new(orbit: Orbit<R>, gamma: R, start: (R, R), share: R, network: &impl Fn(&[R; 3]) -> R) -> Self {
        let (y, g) = start;
        let x = y / orbit.extent;
        let place = Place { y, g, ln_x: if y < g { x.ln() } else { (-(g / orbit.extent)).ln_1p() } };
        let (_, risen) = place.level(&orbit);
        let phase = place.theta(&orbit, risen, network);
        Passage { orbit, gamma, start, phase, guess: Guess::new(&orbit), share }
    }

    /// y0 - y at time t.
    fn moved(&self, t: R, network: &impl Fn(&[R; 3]) -> R) -> R {
        let c = R::constant;
        let Orbit { extent, q, decay, growth } = self.orbit;
        let time = self.gamma * t;
        // So soon after the beginning the flow needs no guess.
        if time * (growth + decay) < c(0.03) {
            let (y0, g0) = self.start;
            let (s, _) = Place { y: y0, g: g0, ln_x: R::zero() }.level(&self.orbit);
            return flow(y0 + q - s, s, time);
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
        let place = Place { y, g, ln_x };
        let (s, risen) = place.level(&self.orbit);
        let off = self.phase + time - place.theta(&self.orbit, risen, network);
        let step = flow(y + q - s, s, off);
        if y < g {
            y = y - step;
            g = extent - y;
        } else {
            g = g + step;
            y = extent - g;
        }
        let (y0, g0) = self.start;
        if g0 < y0 { g - g0 } else { y0 - y }
    }
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

    /// The time at which the orbit passes here, up to a constant of the orbit.
    fn theta(&self, orbit: &Orbit<R>, risen: R, network: &impl Fn(&[R; 3]) -> R) -> R {
        let regular = network(&inputs(self.y, self.g, orbit.extent)) / (R::one() + R::constant(0.5) * orbit.extent);
        risen.ln() / orbit.growth - self.ln_x / orbit.decay - regular
    }
}

impl<R: Real> Guess<R> {
    fn new(orbit: &Orbit<R>) -> Self {
        let z = orbit.extent / (R::constant(6.0) + orbit.extent);
        let k = polynomial!(
            z;
            0.000_169_329_775_903_980_79,
            1.996_690_940_949_659_2,
            -1.963_448_262_287_211,
            -12.594_148_279_562_2,
            25.245_509_869_916_86,
            -12.895_560_604_694_71,
        );
        let middle = polynomial!(z; 0.598_733_027_064_083_3, 4.364_649_346_883_403, -1.626_290_029_383_323_1);
        let steepness = polynomial!(z; 0.838_419_765_025_293_9, -0.635_952_040_119_763_7, -0.266_585_208_858_700_63);
        let power = orbit.growth / orbit.decay;
        Guess { height: power * k, middle, steepness, inverse: R::one() / power }
    }

    /// ln x at the scaled phase u = lambda_- theta: ln x = -ln(1 + e^v) / m, v = u + m K / (1 + e^(c (u - u0))).
    ///
    /// v - u runs from m K at the beginning of the orbit to 0 at its end. The error of v is at most .0083 m, and the logarithm's is
    /// below that.
    fn ln_x(&self, phase: R) -> R {
        let one = R::one();
        let v = phase + self.height / (one + (self.steepness * (phase - self.middle)).exp());
        let w = (-(v.abs())).exp();
        let ln = w * polynomial!(w; 0.999_606_35, -0.486_407_91, 0.254_011_23, -0.074_334_5);
        -((v.max(R::zero()) + ln) * self.inverse)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests compute in f64 on the host")]
mod tests {
    use super::*;
    use crate::ode::Ode;
    use crate::rk4;

    fn phi1(z: f64) -> f64 {
        if z == 0.0 { 1.0 } else { z.exp_m1() / z }
    }

    fn phi2(z: f64) -> f64 {
        if z.abs() >= 0.5 {
            return (z.exp_m1() - z) / (z * z);
        }
        let (mut sum, mut term) = (0.0, 0.5);
        for k in 3..20 {
            sum += term;
            term *= z / f64::from(k);
        }
        sum
    }

    /// dB/dx as the equations want it: Y (1 / i - 1 / (lambda_+ y) - 1 / (lambda_- (e^g - 1))), free of cancellation.
    fn slope(x: f64, extent: f64) -> f64 {
        let (q, a) = (1.0 / phi1(extent), phi2(extent) / phi1(extent));
        let (y, rest, b) = (x * extent, 1.0 - x, 1.0 - a);
        let (g, start) = (extent - y, q + extent);
        let both = if x < 0.5 {
            q * phi2(y) / (a * (a - q * x * phi2(y))) - 1.0 / (b * rest * phi1(g))
        } else {
            let above = b * extent * phi2(g) + start * phi2(-g);
            above / ((b - start * rest * phi2(-g)) * b * phi1(g)) - 1.0 / (a * x)
        };
        both / extent
    }

    /// In place of a network: B by quadrature (the midpoint rule of Gauss with two nodes, 400 times).
    fn exact(&[u, v, _]: &[f64; 3]) -> f64 {
        let (x, extent) = (0.5 * (u + 1.0), 15.0 * (v + 1.0));
        let (step, node) = (x / 400.0, 0.5 / 3f64.sqrt());
        let pair = |k: u32| {
            let middle = f64::from(k) + 0.5;
            slope(step * (middle - node), extent) + slope(step * (middle + node), extent)
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
