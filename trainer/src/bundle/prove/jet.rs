//! Taylor polynomials in two variables with balls as coefficients.
//!
//! A jet holds f_ab = (d/du)^a (d/dv)^b f / (a! b!) for a + b <= [`DEGREE`], each as a ball that contains the value at
//! every point of the box over which the two variables were set. Every rule here is the one for formal power series,
//! degree by degree, and holds at each point of the box on its own; so jets over a box are right because ball
//! arithmetic is. Taylor's theorem with Lagrange's remainder then encloses f in the whole box: the coefficients at one
//! point up to a degree, those over the box for the next.

use super::ball::{Ball, TINY, UNIT, UP};

/// The largest total degree.
pub const DEGREE: usize = 10;
/// Coefficients of a jet.
const TERMS: usize = (DEGREE + 1) * (DEGREE + 2) / 2;

/// The coefficients, by degree, and among those of one degree by the power of the second variable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jet {
    middle: [f64; TERMS],
    radius: [f64; TERMS],
}

/// Where the coefficients of a total degree begin.
const fn start(degree: usize) -> usize {
    degree * (degree + 1) / 2
}

impl Jet {
    /// The same value everywhere.
    pub fn constant(value: Ball) -> Self {
        let mut jet = Jet { middle: [0.0; TERMS], radius: [0.0; TERMS] };
        jet.set(0, value);
        jet
    }

    /// The first (0) or the second (1) variable, at all values of the ball.
    pub fn variable(which: usize, value: Ball) -> Self {
        let mut jet = Jet::constant(value);
        jet.set(1 + which, Ball::ONE);
        jet
    }

    /// The coefficient of u^a v^b.
    pub fn coefficient(&self, a: usize, b: usize) -> Ball {
        self.get(start(a + b) + b)
    }

    /// The value.
    pub fn value(&self) -> Ball {
        self.get(0)
    }

    fn get(&self, at: usize) -> Ball {
        Ball { middle: self.middle[at], radius: self.radius[at] }
    }

    fn set(&mut self, at: usize, Ball { middle, radius }: Ball) {
        (self.middle[at], self.radius[at]) = (middle, radius);
    }

    /// Whether a coefficient is exactly zero.
    fn vanishes(&self, at: usize) -> bool {
        self.middle[at] == 0.0 && self.radius[at] == 0.0
    }

    /// Adds the product of the terms of degree j of one jet and of degree k of another, times a number.
    ///
    /// Each sum s + a b is one of [`Ball`], in a loop that runs on vectors.
    fn add_product(&mut self, (left, j): (&Jet, usize), (right, k): (&Jet, usize), factor: f64) {
        for p in (0..=j).filter(|p| !left.vanishes(start(j) + p)) {
            let a = left.get(start(j) + p);
            let a = if factor == 1.0 { a } else { a * Ball::point(factor) };
            let (size, reach) = (a.middle.abs(), a.radius);
            let to = start(j + k) + p..start(j + k) + p + k + 1;
            let from = start(k)..start(k + 1);
            let sums = self.middle[to.clone()].iter_mut().zip(&mut self.radius[to]);
            for ((s, r), (m, d)) in sums.zip(right.middle[from.clone()].iter().zip(&right.radius[from])) {
                let product = a.middle * m;
                *s += product;
                let spread = size * d + reach * (m.abs() + d);
                *r = (*r + spread + UNIT * (product.abs() + s.abs())) * UP + TINY;
            }
        }
    }

    /// Term by term, but for those that are exactly zero.
    fn map(&self, f: impl Fn(Ball) -> Ball) -> Self {
        let mut jet = *self;
        for at in (0..TERMS).filter(|at| !self.vanishes(*at)) {
            jet.set(at, f(self.get(at)));
        }
        jet
    }

    /// The sum.
    pub fn plus(&self, other: &Self) -> Self {
        let mut jet = *self;
        for at in (0..TERMS).filter(|at| !other.vanishes(*at)) {
            jet.set(at, self.get(at) + other.get(at));
        }
        jet
    }

    /// The negative.
    pub fn negative(&self) -> Self {
        self.map(|c| -c)
    }

    /// The difference.
    pub fn minus(&self, other: &Self) -> Self {
        self.plus(&other.negative())
    }

    /// The sum with a number.
    pub fn plus_number(&self, number: f64) -> Self {
        self.plus(&Jet::constant(Ball::point(number)))
    }

    /// The product with a number.
    pub fn times_number(&self, number: f64) -> Self {
        self.map(|c| c * Ball::point(number))
    }

    /// The product.
    pub fn times(&self, other: &Self) -> Self {
        let mut product = Jet::constant(Ball::ZERO);
        for j in 0..=DEGREE {
            for k in 0..=DEGREE - j {
                product.add_product((self, j), (other, k), 1.0);
            }
        }
        product
    }

    /// The quotient c = a / b: b_0 c_k = a_k - sum of b_j c_(k-j) over j >= 1. No statement if b may be zero.
    pub fn over(&self, divisor: &Self) -> Self {
        let (mut quotient, mut rest) = (Jet::constant(Ball::ZERO), *self);
        for k in 0..=DEGREE {
            for j in 1..=k {
                rest.add_product((divisor, j), (&quotient, k - j), -1.0);
            }
            for at in start(k)..start(k + 1) {
                quotient.set(at, rest.get(at) / divisor.value());
            }
        }
        quotient
    }

    /// The derivative by the first variable; its coefficients of the last degree are unknown, and set to zero.
    pub fn by_first(&self) -> Self {
        let mut slope = Jet::constant(Ball::ZERO);
        for k in 0..DEGREE {
            for b in 0..=k {
                let a = k - b + 1;
                slope.set(start(k) + b, self.coefficient(a, b) * Ball::point(a as f64));
            }
        }
        slope
    }

    /// The sum of `coefficients[k] (f - f_0)^k`: a function of f whose Taylor coefficients at f_0 these are.
    pub fn compose(&self, coefficients: &[Ball; DEGREE + 1]) -> Self {
        let mut step = *self;
        step.set(0, Ball::ZERO);
        let mut sum = Jet::constant(coefficients[DEGREE]);
        for c in coefficients[..DEGREE].iter().rev() {
            sum = step.times(&sum);
            // A product with the step has no constant part.
            sum.set(0, *c);
        }
        sum
    }

    /// e^z: k e_k = sum of j z_j e_(k-j), as e' = z' e.
    pub fn exp(&self) -> Self {
        let mut e = Jet::constant(self.value().exp());
        for k in 1..=DEGREE {
            let known = e;
            for j in 1..=k {
                e.add_product((self, j), (&known, k - j), j as f64);
            }
            e.divide_degree(k);
        }
        e
    }

    /// t = tanh z: k t_k = sum of j z_j w_(k-j) with w = 1 - t^2, as t' = w z'.
    pub fn tanh(&self) -> Self {
        let mut t = Jet::constant(self.value().tanh());
        let mut w = Jet::constant(Ball::ONE - t.value() * t.value());
        for k in 1..=DEGREE {
            for j in 1..=k {
                t.add_product((self, j), (&w, k - j), j as f64);
            }
            t.divide_degree(k);
            for j in 0..=k {
                w.add_product((&t, j), (&t, k - j), -1.0);
            }
        }
        t
    }

    fn divide_degree(&mut self, k: usize) {
        for at in start(k)..start(k + 1) {
            self.set(at, self.get(at) / Ball::point(k as f64));
        }
    }
}
