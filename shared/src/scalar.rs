//! Numbers an ODE system is written over: `f32` on the device, `f64` and dual numbers in training.

use core::ops::{Add, Div, Mul, Neg, Sub};

/// A real number type. Right-hand sides are written once, generic over it.
///
/// The elementary functions are free of the host's libm, so a system evaluates to the same bits everywhere.
pub trait Scalar:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// The constant `value`, rounded to this type; its derivatives are zero.
    fn constant(value: f64) -> Self;
    /// e to the power of `self`.
    fn exp(self) -> Self;
    /// Sine of `self`, in radians.
    fn sin(self) -> Self;
    /// Cosine of `self`, in radians.
    fn cos(self) -> Self;
    /// Zero.
    fn zero() -> Self {
        Self::constant(0.0)
    }
    /// One.
    fn one() -> Self {
        Self::constant(1.0)
    }
}

impl Scalar for f32 {
    fn constant(value: f64) -> Self {
        value as f32
    }
    fn exp(self) -> Self {
        crate::math::exp(self)
    }
    fn sin(self) -> Self {
        libm::sinf(self)
    }
    fn cos(self) -> Self {
        libm::cosf(self)
    }
}

impl Scalar for f64 {
    fn constant(value: f64) -> Self {
        value
    }
    fn exp(self) -> Self {
        libm::exp(self)
    }
    fn sin(self) -> Self {
        libm::sin(self)
    }
    fn cos(self) -> Self {
        libm::cos(self)
    }
}

/// A dual number: a value with its derivatives along `N` directions, value + sum_k derivatives\[k\] eps_k, where every
/// product of two eps is zero.
///
/// ```
/// use sirocco::scalar::{Dual, Scalar};
/// let x = Dual { value: 0.5, derivatives: [1.0] };
/// let y = (x * x).exp();
/// assert_eq!(y.derivatives, [2.0 * 0.5 * y.value]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dual<S, const N: usize> {
    /// The value.
    pub value: S,
    /// The derivatives along the seeded directions.
    pub derivatives: [S; N],
}

impl<S: Scalar, const N: usize> Dual<S, N> {
    /// A number that is the same in all directions.
    pub fn fixed(value: S) -> Self {
        Dual { value, derivatives: [S::zero(); N] }
    }

    /// A function of `self`, from its value and its slope.
    fn chain(self, value: S, slope: S) -> Self {
        Dual { value, derivatives: self.derivatives.map(|d| d * slope) }
    }

    /// A function of `self` and `other`: its value, and how the derivatives of both make one of its own.
    fn combine(mut self, other: &Self, value: S, derivative: impl Fn(S, S) -> S) -> Self {
        for (own, other) in self.derivatives.iter_mut().zip(&other.derivatives) {
            *own = derivative(*own, *other);
        }
        Dual { value, ..self }
    }
}

impl<S: Scalar, const N: usize> Add for Dual<S, N> {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        self.combine(&o, self.value + o.value, |a, b| a + b)
    }
}
impl<S: Scalar, const N: usize> Sub for Dual<S, N> {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        self.combine(&o, self.value - o.value, |a, b| a - b)
    }
}
#[allow(clippy::suspicious_arithmetic_impl, reason = "derivatives follow rules of their own")]
impl<S: Scalar, const N: usize> Mul for Dual<S, N> {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        self.combine(&o, self.value * o.value, |a, b| a * o.value + self.value * b)
    }
}
#[allow(clippy::suspicious_arithmetic_impl, reason = "derivatives follow rules of their own")]
impl<S: Scalar, const N: usize> Div for Dual<S, N> {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let value = self.value / o.value;
        self.combine(&o, value, |a, b| (a - value * b) / o.value)
    }
}
impl<S: Scalar, const N: usize> Neg for Dual<S, N> {
    type Output = Self;
    fn neg(self) -> Self {
        Dual { value: -self.value, derivatives: self.derivatives.map(|d| -d) }
    }
}
impl<S: Scalar, const N: usize> Scalar for Dual<S, N> {
    fn constant(value: f64) -> Self {
        Dual::fixed(S::constant(value))
    }
    fn exp(self) -> Self {
        let value = self.value.exp();
        self.chain(value, value)
    }
    fn sin(self) -> Self {
        self.chain(self.value.sin(), self.value.cos())
    }
    fn cos(self) -> Self {
        self.chain(self.value.cos(), -self.value.sin())
    }
}

/// A [`Scalar`] that can be compared, with the functions that a closed form needs: `f32` on the device, `f64` in training.
pub trait Real: Scalar + PartialOrd {
    /// How often an iteration that doubles its digits is repeated to fill this type's.
    const REFINEMENTS: u8;
    /// The same for one that quadruples them.
    const FLOWS: u8;
    /// The polynomial with these coefficients, which have so many fractional bits, if this type computes it in integers.
    #[inline(always)]
    fn polynomial(self, _coefficients: &[i32], _bits: i32) -> Option<Self> {
        None
    }
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// ln(1 + `self`), without cancellation near zero.
    fn ln_1p(self) -> Self;
    /// e to the power of `self`, minus 1, without cancellation near zero.
    fn exp_m1(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// The end of Newton's iteration by these steps. Its derivatives are as accurate as the value before the last step was,
    /// so they follow from one more.
    fn settled(self, _step: impl Fn(Self) -> Self) -> Self {
        self
    }
    /// The larger of the two.
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    /// The smaller of the two.
    fn min(self, other: Self) -> Self {
        if self < other { self } else { other }
    }
    /// The magnitude.
    fn abs(self) -> Self {
        if self < Self::zero() { -self } else { self }
    }
}

/// The coefficients of a polynomial as integers that are as fine as sums of all of them allow.
#[derive(Debug, Clone, Copy)]
pub struct Integers<const N: usize> {
    /// The coefficients.
    pub coefficients: [i32; N],
    /// Their fractional bits.
    pub bits: i32,
}

impl<const N: usize> Integers<N> {
    /// Rounds the coefficients.
    pub const fn new(values: [f64; N]) -> Self {
        let (mut sum, mut k) = (0.0, 0);
        while k < N {
            sum += if values[k] < 0.0 { -values[k] } else { values[k] };
            k += 1;
        }
        let (mut bits, mut unit) = (40, (1u64 << 40) as f64);
        while sum * unit > 2_000_000_000.0 {
            (bits, unit) = (bits - 1, unit / 2.0);
        }
        let (mut coefficients, mut k) = ([0; N], 0);
        while k < N {
            let value = values[k] * unit;
            coefficients[k] = if value < 0.0 { value - 0.5 } else { value + 0.5 } as i32;
            k += 1;
        }
        Integers { coefficients, bits }
    }
}

impl Real for f32 {
    const REFINEMENTS: u8 = 1;
    const FLOWS: u8 = 1;
    fn ln(self) -> Self {
        crate::math::quick_ln(self)
    }
    fn ln_1p(self) -> Self {
        crate::math::ln_1p(self)
    }
    fn exp_m1(self) -> Self {
        crate::math::exp_m1(self)
    }
    fn sqrt(self) -> Self {
        crate::math::quick_sqrt(self)
    }
}

impl Real for f64 {
    const REFINEMENTS: u8 = 3;
    const FLOWS: u8 = 2;
    fn ln(self) -> Self {
        libm::log(self)
    }
    fn ln_1p(self) -> Self {
        libm::log1p(self)
    }
    fn exp_m1(self) -> Self {
        libm::expm1(self)
    }
    fn sqrt(self) -> Self {
        libm::sqrt(self)
    }
}

/// Numbers much finer than f32: [`crate::wide::Wide`] on the device, f64 where its rounding is judged.
pub trait Precise: Real {
    /// The same number, exactly.
    fn from_f32(value: f32) -> Self;
    /// The nearest f32, or one of its neighbors.
    fn to_f32(self) -> f32;
    /// `units` * 2^-31.
    fn fraction(units: i32) -> Self;
}

impl Precise for f64 {
    fn from_f32(value: f32) -> Self {
        value.into()
    }
    fn to_f32(self) -> f32 {
        self as f32
    }
    fn fraction(units: i32) -> Self {
        f64::from(units) / f64::from(1u32 << 31)
    }
}

impl<S: Real, const N: usize> PartialOrd for Dual<S, N> {
    /// The order of the values.
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<S: Real, const N: usize> Real for Dual<S, N> {
    const REFINEMENTS: u8 = S::REFINEMENTS;
    const FLOWS: u8 = S::FLOWS;
    fn ln(self) -> Self {
        self.chain(self.value.ln(), S::one() / self.value)
    }
    fn ln_1p(self) -> Self {
        self.chain(self.value.ln_1p(), S::one() / (S::one() + self.value))
    }
    fn exp_m1(self) -> Self {
        let value = self.value.exp_m1();
        self.chain(value, S::one() + value)
    }
    fn settled(self, step: impl Fn(Self) -> Self) -> Self {
        Dual { value: self.value, ..self - step(self) }
    }
    fn sqrt(self) -> Self {
        let value = self.value.sqrt();
        self.chain(value, S::constant(0.5) / value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_direction_is_a_dual_number_of_its_own() {
        fn f<S: Scalar>(x: S, y: S) -> S {
            (x * y).sin() / (x + S::one()) - (-(y * y)).exp() * x.cos()
        }
        let (x, y) = (0.7f32, 0.4f32);
        let both = f(Dual { value: x, derivatives: [1.0, 0.0] }, Dual { value: y, derivatives: [0.0, 1.0] });
        let one = |dx, dy| f(Dual { value: x, derivatives: [dx] }, Dual { value: y, derivatives: [dy] });
        let (by_x, by_y) = (one(1.0, 0.0), one(0.0, 1.0));
        assert_eq!((both.value, both.value), (by_x.value, by_y.value));
        assert_eq!(both.derivatives, [by_x.derivatives[0], by_y.derivatives[0]]);
        let slope = |h: f32| f64::from(f(x + h, y)) - f64::from(f(x - h, y));
        assert!((slope(1e-2) / 2e-2 - f64::from(by_x.derivatives[0])).abs() < 1e-3);
    }

    #[test]
    fn real_functions_have_their_derivatives() {
        let (x, h) = (0.7f64, 1e-6);
        fn all<R: Real>(x: R) -> [R; 4] {
            [x.ln(), x.ln_1p(), x.exp_m1(), x.sqrt()]
        }
        let found = all(Dual { value: x, derivatives: [3.0] });
        for (k, found) in found.iter().enumerate() {
            let right = 3.0 * (all(x + h)[k] - all(x - h)[k]) / (2.0 * h);
            assert!(found.value == all(x)[k] && (found.derivatives[0] - right).abs() < 1e-8, "{found:?} {right}");
        }
        // Newton's iteration for the square root of x, ended at its value: the derivative is that of the root.
        let start = Dual { value: x.sqrt(), derivatives: [0.0] };
        let root = start.settled(|y| (y * y - Dual { value: x, derivatives: [1.0] }) / (y + y));
        assert!(root.value == x.sqrt() && (root.derivatives[0] - 0.5 / x.sqrt()).abs() < 1e-15);
    }
}
