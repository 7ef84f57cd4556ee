//! A strip of orbits, Ya <= Y <= Yb, cut into panels along the orbits.

use super::ball::Ball;
use super::jet::DEGREE;
use super::residual::{LARGEST, Place, integrand};
use crate::bundle::mlp::Mlp;

/// What holds at all points xi in [from, to] of all orbits of a strip.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// First xi.
    pub from: f64,
    /// Last xi.
    pub to: f64,
    /// The integrand rho dx/dxi.
    pub integrand: Ball,
    /// Its integral over the panel, along any orbit of the strip.
    pub integral: Ball,
    /// Upper bound of max(s, 1).
    pub level: f64,
    /// Upper bound of i.
    pub infected: f64,
    /// Lower bound of y + q, which is at most k for an epidemic that begins here.
    pub start: f64,
}

/// What holds for a strip.
#[derive(Debug, Clone, PartialEq)]
pub struct Strip {
    /// The panels, from xi = 0 to xi = 1, each beginning where the one before ends.
    pub panels: Vec<Panel>,
    /// Bound of |rho dx/dxi|.
    pub residual: f64,
    /// Bound of the time defect between two points of an orbit, in units of 1 / gamma.
    pub time: f64,
    /// Bound of the error of S, I and R.
    pub error: f64,
}

/// Panels narrower than this are given up, and the strip with them.
const NARROWEST: f64 = 1.0 / 8192.0;
/// The largest error of a state that Taylor's remainder in one panel may make up.
const TOLERANCE: f64 = 1e-9;

/// The strip between two extents, both at most 20 or both at least 20, with panels no wider than `widest`; `None` if
/// there is no useful bound with panels of any width.
pub fn strip(network: &Mlp, (from, to): (f64, f64), widest: f64) -> Option<Strip> {
    let mut panels = Vec::new();
    let mut waiting = vec![(0.0, 1.0)];
    while let Some((a, b)) = waiting.pop() {
        let done = if b - a > widest { None } else { panel(network, (a, b), (from, to)) };
        match done {
            Some(panel) => panels.push(panel),
            None if b - a < NARROWEST => return None,
            None => {
                let middle = 0.5 * (a + b);
                waiting.extend([(middle, b), (a, middle)]);
            }
        }
    }
    combined(to, panels)
}

/// The largest error over all pairs of a beginning y0 and an answer y <= y0.
fn combined(to: f64, panels: Vec<Panel>) -> Option<Strip> {
    let point = Ball::point;
    let residual = panels.iter().map(|p| p.integrand.magnitude()).fold(0.0, f64::max);
    // Then the network's time falls along every orbit: see the module's documentation.
    let falls = residual < 1.0;
    let whole = panels.iter().try_fold(0.0, |at, p| (p.from == at).then_some(p.to)) == Some(1.0);
    if !falls || !whole {
        return None;
    }
    // The integral over a part of a panel, from either of its ends.
    let part = |p: &Panel| {
        let Ball { middle, radius } = (point(p.to) - point(p.from)) * p.integrand;
        Ball::between((middle - radius).next_down().min(0.0), (middle + radius).next_up().max(0.0))
    };
    let (mut time, mut error) = (0f64, 0f64);
    for (j, answer) in panels.iter().enumerate() {
        let mut between = Ball::ZERO;
        for (m, start) in panels.iter().enumerate().skip(j) {
            let drift = if m == j { part(answer) } else { part(answer) + between + part(start) };
            if m > j {
                between = between + start.integral;
            }
            let share = (point(answer.infected) / point(start.start)).hi().min(1.0);
            time = time.max(drift.magnitude());
            error = error.max((point(drift.magnitude()) * point(answer.level) * point(share)).hi());
        }
    }
    // By this factor at most, rates differ between the answer and the true state.
    let factor = (point(to.min(LARGEST)) * point(time)).exp();
    let error = (point(error) * factor).hi();
    error.is_finite().then_some(Strip { panels, residual, time, error })
}

/// One panel, or `None` if it is too wide for a useful statement.
fn panel(network: &Mlp, (a, b): (f64, f64), (from, to): (f64, f64)) -> Option<Panel> {
    let place = Place { xi: Ball::between(a, b), extent: Ball::between(from, to), far: from >= LARGEST };
    let width = Ball::point(b) - Ball::point(a);
    let over = integrand(network, &place);
    let (integrand, integral) = if from == 0.0 {
        (over.value(), width * over.value())
    } else {
        let (u, v) = (Ball::point(place.xi.middle), Ball::point(place.extent.middle));
        let at = integrand(network, &Place { xi: u, extent: v, ..place });
        let powers = |d: Ball| -> [Ball; DEGREE + 1] { std::array::from_fn(|k| d.power(k)) };
        let (us, vs) = (powers(place.xi - u), powers(place.extent - v));
        let ends = [a, b].map(|end| powers(Ball::point(end) - u));
        let (mut value, mut integral, mut remainder) = (Ball::ZERO, Ball::ZERO, Ball::ZERO);
        for degree in 0..DEGREE {
            for (p, v) in vs.iter().enumerate().take(degree + 1) {
                let k = degree - p;
                if degree == DEGREE - 1 {
                    // Lagrange's remainder: coefficients anywhere in the box.
                    remainder = remainder + over.coefficient(k, p) * us[k] * *v;
                    continue;
                }
                let c = at.coefficient(k, p) * *v;
                value = value + c * us[k];
                integral = integral + c * (ends[1][k + 1] - ends[0][k + 1]) / Ball::point((k + 1) as f64);
            }
        }
        let rest = width * remainder;
        // Roughly the largest rate per k on these orbits.
        let weight = (0.25 * (b * to.min(LARGEST) + 1.0)).max(1.0) * (to * to / 8.0).min(1.0);
        if !rest.magnitude().is_finite() || rest.magnitude() * weight > TOLERANCE {
            return None;
        }
        (value + remainder, integral + rest)
    };
    let (level, infected, start) = rates(&place, (from, to));
    integrand.magnitude().is_finite().then_some(Panel { from: a, to: b, integrand, integral, level, infected, start })
}

/// Upper bounds of max(s, 1) and of i, and a lower bound of y + q.
///
/// For fixed Y, i is concave in y and in g, so it lies below its tangent at any point.
fn rates(place: &Place, (from, to): (f64, f64)) -> (f64, f64, f64) {
    let (one, largest) = (Ball::ONE, Ball::point(LARGEST));
    let Place { xi, extent, far } = *place;
    // q = Y / (e^Y - 1) falls with Y, from 1 at Y = 0.
    let q = |y: f64| if y == 0.0 { one } else { Ball::point(y) / (Ball::point(y).exp() - one) };
    let q = Ball::between(q(to).lo(), q(from).hi());
    let y = if far { xi * largest } else { xi * extent };
    let g = if far { extent - y } else { (one - xi) * extent };
    let (s, i, slope, off);
    if y.hi() < g.hi() {
        let middle = Ball::point(y.middle);
        s = q * y.exp();
        i = middle - q * (middle.exp() - one);
        slope = one - q * middle.exp();
        off = y - middle;
    } else {
        let (middle, first) = (Ball::point(g.middle), q + extent);
        s = first * (-g).exp();
        i = first * (one - (-middle).exp()) - middle;
        slope = first * (-middle).exp() - one;
        off = g - middle;
    }
    (s.hi().max(1.0), (i + slope * off).hi(), (y + q).lo())
}
