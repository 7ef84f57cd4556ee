//! Floating-point numbers in 32-bit integers: 31 significant bits, to the same bits on every processor.
//!
//! They are 128 times finer than f32, and any exponent fits. Without double-precision hardware they cost a fraction of
//! f64: a certificate computes in them.

mod functions;

use crate::scalar::{Precise, Real, Scalar};
use core::cmp::Ordering;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// The exponent of zero, which is below that of any other number that an epidemic has.
const LOWEST: i32 = -(1 << 28);

/// `mantissa` times 2 to the power of `exponent`.
///
/// Sums, differences, products and quotients have a relative error of at most 2^-30 (of the larger operand where they
/// cancel). About 20 instructions for a product, 35 for a sum, 65 for a quotient on a Cortex-M4F. A quotient by zero is meaningless, but finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wide {
    /// Zero, or of a magnitude from 2^30 to 2^31 - 1; two units below that are possible.
    mantissa: i32,
    exponent: i32,
}

impl Wide {
    const ZERO: Self = Wide { mantissa: 0, exponent: LOWEST };

    /// `mantissa` * 2^`exponent` for any mantissa but -2^31.
    #[inline(always)]
    const fn normal(mantissa: i32, exponent: i32) -> Self {
        if mantissa == 0 {
            return Self::ZERO;
        }
        let shift = mantissa.unsigned_abs().leading_zeros().saturating_sub(1);
        Wide { mantissa: mantissa << shift, exponent: exponent - shift as i32 }
    }

    /// The same number, exactly. Infinity and NaN are meaningless here, but finite.
    #[inline(always)]
    pub const fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        let (exponent, fraction) = ((bits >> 23 & 0xff) as i32, (bits & 0x007f_ffff) as i32);
        let magnitude = if exponent == 0 { fraction } else { fraction | 1 << 23 };
        let exponent = if exponent == 0 { 1 } else { exponent };
        Self::normal(if bits >> 31 == 0 { magnitude } else { -magnitude }, exponent - 150)
    }

    /// The nearest f32, or one of its neighbors; 0 where it is below 2^-126, and 2^127 or more where it is above.
    pub fn to_f32(self) -> f32 {
        self.mantissa as f32
            * crate::math::power_of_two(-30)
            * crate::math::power_of_two(self.exponent.saturating_add(30))
    }

    /// The value as f64, exactly.
    pub fn to_f64(self) -> f64 {
        f64::from(self.mantissa) * libm::scalbn(1.0, self.exponent)
    }

    /// Twice the number to the power of `doublings`.
    #[inline(always)]
    const fn scaled(self, doublings: i32) -> Self {
        if self.mantissa == 0 { self } else { Wide { exponent: self.exponent + doublings, ..self } }
    }

    /// As an integer with `bits` fractional bits, rounded down; for magnitudes below 2^(62 - `bits`).
    #[inline(always)]
    fn fixed(self, bits: i32) -> i64 {
        let shift = self.exponent + bits;
        let mantissa = i64::from(self.mantissa);
        if shift >= 0 { mantissa << shift.min(31) } else { mantissa >> (-shift).min(63) }
    }

    /// As [`Self::fixed`], for magnitudes below 2^(31 - `bits`) whose exponent is below -`bits`.
    #[inline(always)]
    fn short(self, bits: i32) -> i32 {
        self.mantissa >> (-(self.exponent + bits)).clamp(0, 31)
    }
}

impl Add for Wide {
    type Output = Self;
    #[inline(never)]
    fn add(self, o: Self) -> Self {
        let (a, b) = if self.exponent >= o.exponent { (self, o) } else { (o, self) };
        let distance = a.exponent.wrapping_sub(b.exponent) as u32;
        let small = match distance {
            0 => b.mantissa,
            // The last bit that falls out rounds.
            1..=31 => (b.mantissa >> distance) + ((b.mantissa >> (distance - 1)) & 1),
            _ => return a,
        };
        let sum = a.mantissa.wrapping_add(small);
        let carried = (a.mantissa ^ sum) & (small ^ sum) < 0;
        if carried || sum == i32::MIN {
            let half = (i64::from(a.mantissa) + i64::from(small) + 1) >> 1;
            return Wide { mantissa: half as i32, exponent: a.exponent + 1 };
        }
        Self::normal(sum, a.exponent)
    }
}

impl Sub for Wide {
    type Output = Self;
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        self + -o
    }
}

impl Mul for Wide {
    type Output = Self;
    #[inline(never)]
    fn mul(self, o: Self) -> Self {
        let product = i64::from(self.mantissa) * i64::from(o.mantissa);
        let high = (product >> 32) as i32;
        let exponent = self.exponent + o.exponent;
        // Whether rounding to 2^30 units leaves it below 2^31.
        if (high.wrapping_add((1 << 29) - 1) as u32) < (1 << 30) - 2 {
            if high == 0 {
                return Self::ZERO;
            }
            return Wide { mantissa: ((product + (1 << 29)) >> 30) as i32, exponent: exponent + 30 };
        }
        Wide { mantissa: ((product + (1 << 30)) >> 31) as i32, exponent: exponent + 31 }
    }
}

impl Div for Wide {
    type Output = Self;
    #[inline(never)]
    fn div(self, o: Self) -> Self {
        let (n, d) = (self.mantissa.unsigned_abs(), o.mantissa.unsigned_abs());
        // The quotient of the mantissas, made to lie from 1 to 2.
        let less = n < d;
        let n = if less { n << 1 } else { n };
        // 2^62 / d by one Newton step from 15 bits.
        let wide = d << 1;
        let coarse = (u32::MAX / (wide >> 16).max(1 << 15)) << 15;
        let rest = (1u32 << 31).wrapping_sub(((u64::from(wide) * u64::from(coarse)) >> 32) as u32) as i32;
        let reciprocal = coarse.wrapping_add(((i64::from(coarse >> 1) * i64::from(rest)) >> 30) as u32);
        let guess = ((u64::from(n) * u64::from(reciprocal)) >> 32) as u32;
        // What the guess leaves of the numerator, in its last units.
        let left = (i64::from(n) << 30).wrapping_sub((u64::from(guess) * u64::from(d)) as i64);
        let last = (i64::from((left >> 14) as i32) * i64::from(reciprocal >> 16)) >> 32;
        let magnitude = guess.wrapping_add(last as u32).min(i32::MAX as u32) as i32;
        if n == 0 {
            return Self::ZERO;
        }
        let mantissa = if (self.mantissa ^ o.mantissa) < 0 { -magnitude } else { magnitude };
        Wide { mantissa, exponent: self.exponent - o.exponent - 30 - i32::from(less) }
    }
}

impl Neg for Wide {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Wide { mantissa: -self.mantissa, ..self }
    }
}

impl PartialOrd for Wide {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let (a, b) = (self.mantissa, other.mantissa);
        if (a ^ b) < 0 || a == 0 || b == 0 || self.exponent == other.exponent {
            return Some(a.cmp(&b));
        }
        let larger = self.exponent.cmp(&other.exponent);
        Some(if a < 0 { larger.reverse() } else { larger })
    }
}

impl Scalar for Wide {
    #[inline(always)]
    fn constant(value: f64) -> Self {
        let bits = value.to_bits();
        if bits << 1 == 0 {
            return Self::ZERO;
        }
        // The upper 31 of 53 bits.
        let magnitude = (((bits & 0x000f_ffff_ffff_ffff) | 1 << 52) >> 22) as i32;
        let exponent = (bits >> 52 & 0x7ff) as i32 - 1053;
        Wide { mantissa: if bits >> 63 == 0 { magnitude } else { -magnitude }, exponent }
    }
    fn exp(self) -> Self {
        functions::exp(self)
    }
    fn sin(self) -> Self {
        Self::constant(libm::sin(self.to_f64()))
    }
    fn cos(self) -> Self {
        Self::constant(libm::cos(self.to_f64()))
    }
}

impl Real for Wide {
    const REFINEMENTS: u8 = 2;
    const FLOWS: u8 = 2;
    /// Below one in magnitude: four instructions for a coefficient.
    #[inline(always)]
    fn polynomial(self, coefficients: &[i32], bits: i32) -> Option<Self> {
        if self.exponent + 31 > 0 {
            return None;
        }
        let x = i64::from(self.short(31));
        let sum = coefficients.iter().rev().fold(0, |sum, c| ((i64::from(sum) * x) >> 31) as i32 + c);
        Some(Self::normal(sum, -bits))
    }
    fn ln(self) -> Self {
        functions::ln(self)
    }
    fn ln_1p(self) -> Self {
        functions::ln_1p(self)
    }
    fn exp_m1(self) -> Self {
        functions::exp_m1(self)
    }
    fn sqrt(self) -> Self {
        functions::sqrt(self)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Wide { mantissa: if self.mantissa < 0 { -self.mantissa } else { self.mantissa }, ..self }
    }
}

impl Precise for Wide {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        Wide::from_f32(value)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        Wide::to_f32(self)
    }
    #[inline(always)]
    fn fraction(units: i32) -> Self {
        Self::normal(units, -31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers of many magnitudes, with all their digits.
    fn number() -> impl Strategy<Value = Wide> {
        (-1.0f64..1.0, -40i32..40).prop_map(|(v, e)| Wide::constant(v * libm::scalbn(1.0, e)))
    }

    proptest! {
        #[test]
        fn arithmetic_is_within_its_stated_error(a in number(), b in number()) {
            let (x, y) = (a.to_f64(), b.to_f64());
            let near = |found: Wide, right: f64, unit: f64| (found.to_f64() - right).abs() <= unit.abs() / f64::from(1 << 30);
            prop_assert!(near(a + b, x + y, 1.5 * x.abs().max(y.abs())), "{x:e} + {y:e}");
            prop_assert!(near(a - b, x - y, 1.5 * x.abs().max(y.abs())), "{x:e} - {y:e}");
            prop_assert!(near(a * b, x * y, x * y), "{x:e} * {y:e}");
            prop_assert!(y == 0.0 || near(a / b, x / y, x / y), "{x:e} / {y:e}");
            prop_assert!((a - a).mantissa == 0 && a - Wide::ZERO == a && (a * Wide::ZERO).mantissa == 0);
            prop_assert_eq!(a.partial_cmp(&b), x.partial_cmp(&y));
            prop_assert_eq!(a.partial_cmp(&a), Some(Ordering::Equal));
        }

        #[test]
        fn floats_are_taken_exactly_and_given_back(bits: u32) {
            let float = f32::from_bits(bits);
            let wide = Wide::from_f32(float);
            if float.is_finite() {
                prop_assert_eq!(wide.to_f64(), f64::from(float));
            }
            if float.is_normal() {
                prop_assert_eq!(wide.to_f32(), float);
            }
        }

        #[test]
        fn a_polynomial_in_integers_is_the_polynomial(x in -1.0f64..1.0) {
            const TERMS: crate::scalar::Integers<3> = crate::scalar::Integers::new([0.25, -1.5, 3.0]);
            let found = Wide::constant(x).polynomial(&TERMS.coefficients, TERMS.bits).map(Wide::to_f64);
            prop_assert!((found.unwrap() - (0.25 + x * (-1.5 + x * 3.0))).abs() < 2e-8);
            prop_assert_eq!(Wide::constant(1.5).polynomial(&TERMS.coefficients, TERMS.bits), None);
        }
    }

    #[test]
    fn no_operation_panics_on_the_largest_and_smallest_numbers() {
        let ends = [0.0, f32::from_bits(1), f32::MIN_POSITIVE, 1.0, f32::MAX, f32::INFINITY, f32::NAN];
        for a in ends.into_iter().flat_map(|v| [v, -v]).map(Wide::from_f32) {
            for b in ends.into_iter().flat_map(|v| [v, -v]).map(Wide::from_f32) {
                for result in [a + b, a - b, a * b, a / b, a.exp(), a.exp_m1(), a.ln(), a.ln_1p(), a.sqrt(), a.abs()] {
                    assert!(!result.to_f32().is_nan(), "{a:?} {b:?}: {result:?}");
                }
            }
        }
        assert_eq!(Wide::constant(1e30).exp().to_f32(), Wide::constant(1e20).exp().to_f32());
        assert_eq!((-Wide::constant(1e30)).exp(), Wide::ZERO);
    }
}
