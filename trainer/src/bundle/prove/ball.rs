//! Ball arithmetic: a number that is known up to a radius. Every operation returns a ball that contains all results for
//! all numbers in its operands.
//!
//! IEEE 754 rounds the result r of an operation by at most 2^-53 |r| + 2^-1075; every radius takes twice that up, and
//! is itself rounded up. exp and tanh are built from the four operations, so that no mathematical library is trusted.
//! What overflows, or is divided by a ball that nearly contains zero, has a radius that is infinite or not a number,
//! and so has everything computed from it: no comparison "bound < x" holds then.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// All numbers from `middle` - `radius` to `middle` + `radius`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ball {
    /// Center.
    pub middle: f64,
    /// At least zero.
    pub radius: f64,
}

/// Twice the largest relative error of one rounding.
pub const UNIT: f64 = f64::EPSILON;
/// More than the absolute error of one rounding below the normal numbers, and of those on the way to a radius.
pub const TINY: f64 = 1e-300;
/// Covers up to fifteen roundings of a sum of products, none of them negative.
pub const UP: f64 = 1.0 + 8.0 * UNIT;

impl Ball {
    /// Nothing but zero.
    pub const ZERO: Ball = Ball::point(0.0);
    /// Nothing but one.
    pub const ONE: Ball = Ball::point(1.0);

    /// Exactly this number.
    pub const fn point(value: f64) -> Self {
        Ball { middle: value, radius: 0.0 }
    }

    /// All numbers from `lo` to `hi`.
    pub fn between(lo: f64, hi: f64) -> Self {
        let middle = 0.5 * lo + 0.5 * hi;
        Ball { middle, radius: ((hi - middle).max(middle - lo)) * UP + TINY }
    }

    /// All numbers from `-most` to `most`.
    pub const fn within(most: f64) -> Self {
        Ball { middle: 0.0, radius: most }
    }

    /// Not above any number of the ball.
    pub fn lo(self) -> f64 {
        (self.middle - self.radius).next_down()
    }

    /// Not below any number of the ball.
    pub fn hi(self) -> f64 {
        (self.middle + self.radius).next_up()
    }

    /// Not below the magnitude of any number of the ball.
    pub fn magnitude(self) -> f64 {
        (self.middle.abs() + self.radius).next_up()
    }

    /// Whether zero may be in the ball.
    pub fn has_zero(self) -> bool {
        self.middle.abs() <= self.radius || self.radius.is_nan()
    }

    /// The power with a whole exponent.
    pub fn power(self, exponent: usize) -> Self {
        let power = (0..exponent).fold(Ball::ONE, |p, _| p * self);
        if exponent > 0 && exponent.is_multiple_of(2) { Ball::between(power.lo().max(0.0), power.hi()) } else { power }
    }

    /// The exponential function: e^m (1 + d) with |d| <= e^r - 1 <= r + r^2 for r <= 1.
    pub fn exp(self) -> Self {
        let r = self.radius;
        if r > 1.0 || r.is_nan() {
            return Ball::within(f64::INFINITY);
        }
        exp(self.middle) * Ball { middle: 1.0, radius: (r + r * r) * UP + TINY }
    }

    /// The hyperbolic tangent 1 - 2 / (e^(2m) + 1); within the radius its slope is at most 1 - (|tanh m| - r)^2.
    pub fn tanh(self) -> Self {
        let two = Ball::point(2.0);
        let t = Ball::ONE - two / ((two * Ball::point(self.middle)).exp() + Ball::ONE);
        let least = Ball::point((Ball::point(t.lo().max(-t.hi())) - Ball::point(self.radius)).lo().max(0.0));
        t + Ball::within((Ball::point(self.radius) * (Ball::ONE - least * least)).hi())
    }
}

/// e^z = 2^m e^r with r = z - m ln 2, and e^r = 1 + r (1 + r/2 (1 + r/3 (... (1 + r/20 e')))) with e' between 1/2 and
/// 2: Lagrange's remainder for |r| <= ln 2.
fn exp(z: f64) -> Ball {
    let m = (z * std::f64::consts::LOG2_E).round();
    let ln2 = Ball { middle: std::f64::consts::LN_2, radius: UNIT };
    let r = Ball::point(z) - Ball::point(m) * ln2;
    if z.is_nan() || z.abs() > 600.0 || r.magnitude() > 0.6 {
        return Ball::within(f64::INFINITY);
    }
    let last = Ball { middle: 1.25, radius: 0.75 };
    let sum = (1..=20).rev().fold(last, |sum, k| Ball::ONE + r / Ball::point(f64::from(k)) * sum);
    // A power of two, of which the bits are its exponent.
    sum * Ball::point(f64::from_bits(((1023.0 + m) as u64) << 52))
}

impl Neg for Ball {
    type Output = Self;
    fn neg(self) -> Self {
        Ball { middle: -self.middle, ..self }
    }
}

impl Add for Ball {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let middle = self.middle + other.middle;
        Ball { middle, radius: (self.radius + other.radius + UNIT * middle.abs()) * UP + TINY }
    }
}

impl Sub for Ball {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Ball {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let middle = self.middle * other.middle;
        let spread = self.middle.abs() * other.radius + self.radius * (other.middle.abs() + other.radius);
        Ball { middle, radius: (spread + UNIT * middle.abs()) * UP + TINY }
    }
}

impl Div for Ball {
    type Output = Self;
    /// a / b = m + (a - m b) / b for the rounded quotient m of the middles.
    fn div(self, other: Self) -> Self {
        let least = (other.middle.abs() - other.radius).next_down();
        // What underflows below is less than TINY even when divided by this.
        if least < 1e-20 || least.is_nan() {
            return Ball::within(f64::INFINITY);
        }
        let middle = self.middle / other.middle;
        let off = self.radius + middle.abs() * other.radius + UNIT * (middle * other.middle).abs();
        Ball { middle, radius: off * UP / least * UP + TINY }
    }
}
