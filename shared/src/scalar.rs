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

/// A dual number `value + derivative * eps`, `eps^2 = 0`: one forward directional derivative.
///
/// ```
/// use sirocco::scalar::{Dual, Scalar};
/// let x = Dual { value: 0.5, derivative: 1.0 };
/// let y = (x * x).exp();
/// assert_eq!(y.derivative, 2.0 * 0.5 * y.value);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dual<S> {
    /// The value.
    pub value: S,
    /// The derivative along the seeded direction.
    pub derivative: S,
}

impl<S: Scalar> Add for Dual<S> {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Dual { value: self.value + o.value, derivative: self.derivative + o.derivative }
    }
}
impl<S: Scalar> Sub for Dual<S> {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Dual { value: self.value - o.value, derivative: self.derivative - o.derivative }
    }
}
impl<S: Scalar> Mul for Dual<S> {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        Dual { value: self.value * o.value, derivative: self.derivative * o.value + self.value * o.derivative }
    }
}
impl<S: Scalar> Div for Dual<S> {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let value = self.value / o.value;
        Dual { value, derivative: (self.derivative - value * o.derivative) / o.value }
    }
}
impl<S: Scalar> Neg for Dual<S> {
    type Output = Self;
    fn neg(self) -> Self {
        Dual { value: -self.value, derivative: -self.derivative }
    }
}
impl<S: Scalar> Scalar for Dual<S> {
    fn constant(value: f64) -> Self {
        Dual { value: S::constant(value), derivative: S::zero() }
    }
    fn exp(self) -> Self {
        let value = self.value.exp();
        Dual { value, derivative: self.derivative * value }
    }
    fn sin(self) -> Self {
        Dual { value: self.value.sin(), derivative: self.derivative * self.value.cos() }
    }
    fn cos(self) -> Self {
        Dual { value: self.value.cos(), derivative: -(self.derivative * self.value.sin()) }
    }
}

/// A [`Scalar`] that can be compared, with the functions that a closed form needs: `f32` on the device, `f64` in training.
pub trait Real: Scalar + PartialOrd {
    /// How often an iteration that doubles its digits is repeated to fill this type's.
    const REFINEMENTS: u8;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// ln(1 + `self`), without cancellation near zero.
    fn ln_1p(self) -> Self;
    /// e to the power of `self`, minus 1, without cancellation near zero.
    fn exp_m1(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
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

impl Real for f32 {
    const REFINEMENTS: u8 = 1;
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
