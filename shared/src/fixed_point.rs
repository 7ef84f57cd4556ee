//! Fixed-point numbers for processors without a floating-point unit: 2 integer bits, 29 fractional bits and a sign.
//!
//! Enough for shares, rates and short steps in time: what Runge-Kutta needs for an epidemic ([`crate::rk4`]), three to
//! four times as fast as soft floats there.

use crate::scalar::Scalar;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// Fractional bits.
const BITS: u32 = 29;
/// The unit's reciprocal.
const ONE: f64 = (1 << BITS) as f64;

/// A number from -4 to 4 in steps of 2^-29. Sums and products beyond wrap; products and quotients are rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fixed(i32);

impl Fixed {
    /// The number nearest to zero from `value`; the first or last one, where that is beyond.
    pub fn from_f32(value: f32) -> Self {
        Fixed((value * ONE as f32) as i32)
    }

    /// As a float.
    pub fn to_f32(self) -> f32 {
        self.0 as f32 / ONE as f32
    }
}

impl Add for Fixed {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Fixed(self.0.wrapping_add(o.0))
    }
}
impl Sub for Fixed {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Fixed(self.0.wrapping_sub(o.0))
    }
}
impl Mul for Fixed {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        Fixed(((i64::from(self.0) * i64::from(o.0)) >> BITS) as i32)
    }
}
impl Div for Fixed {
    type Output = Self;
    /// The largest number instead of a quotient by zero.
    #[allow(clippy::suspicious_arithmetic_impl, reason = "a shift keeps the fractional bits")]
    fn div(self, o: Self) -> Self {
        (i64::from(self.0) << BITS).checked_div(o.0.into()).map_or(Fixed(i32::MAX), |q| Fixed(q as i32))
    }
}
impl Neg for Fixed {
    type Output = Self;
    fn neg(self) -> Self {
        Fixed(self.0.wrapping_neg())
    }
}
impl Scalar for Fixed {
    fn constant(value: f64) -> Self {
        Fixed((value * ONE) as i32)
    }
    fn exp(self) -> Self {
        Fixed::from_f32(Scalar::exp(self.to_f32()))
    }
    fn sin(self) -> Self {
        Fixed::from_f32(Scalar::sin(self.to_f32()))
    }
    fn cos(self) -> Self {
        Fixed::from_f32(Scalar::cos(self.to_f32()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_that_of_real_numbers() {
        let (a, b) = (Fixed::constant(0.75), Fixed::constant(-1.5));
        for (is, expected) in [(a + b, -0.75), (a - b, 2.25), (a * b, -1.125), (a / b, -0.5), (-a, -0.75)] {
            assert_eq!(is.to_f32(), expected);
        }
        assert_eq!((a / Fixed::constant(0.0)).to_f32(), 4.0);
        assert!((Scalar::exp(a).to_f32() - 2.117).abs() < 1e-4);
    }
}
