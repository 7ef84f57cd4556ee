//! Elementary functions of the device side; sine and cosine are in [`crate::scalar`].
//!
//! Everything here uses IEEE additions, multiplications and divisions in a fixed order (or the pinned `libm`), so
//! the bits are the same on every host and board. Methods such as `x.exp()` are banned by clippy: on a host they
//! would silently become the system's.
//!
//! Errors are measured against f64 on dense grids of arguments (see the tests); costs are Cortex-M4F instructions.

mod logarithm;
pub(crate) mod tanh;

pub use logarithm::{exp_m1, ln_1p, quick_ln, quick_sqrt};
pub use tanh::tanh;

/// Up to this magnitude of the argument the exponential is a normal number; below -87.3 and above 88.7 it is not.
const EXP_LIMIT: f32 = 87.0;
/// Added to a number below 2^22 in magnitude, this leaves the nearest integer in the last bits of the sum.
const ROUND: f32 = 12_582_912.0;

/// e^x. Relative error at most 1.0e-7 (one ulp); 0 below -87.3 and infinity above 88.7. About 30 instructions.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, a minimax polynomial of degree 6 in r, and 2^n through the exponent bits.
pub fn exp(x: f32) -> f32 {
    if abs(x) <= EXP_LIMIT { small_exp(x) } else { large_exp(x) }
}

#[inline(always)]
fn small_exp(x: f32) -> f32 {
    // ln 2 split in two, so that n * LN2_HIGH is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.381_459_9e-3;
    for c in [8.368_717e-3, 4.166_839e-2, 1.666_652_1e-1, 0.499_999_93] {
        p = p * r + c;
    }
    let e = r * r * p + r + 1.0;
    f32::from_bits(e.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// e^x at the ends of f32's range and beyond.
#[cold]
fn large_exp(x: f32) -> f32 {
    match x {
        x if x > 88.722_83 => f32::INFINITY,
        x if x < -87.336_54 => 0.0,
        x if x.is_nan() => f32::NAN,
        x => small_exp(x),
    }
}

/// Whether every number is finite. Cost: one multiply-accumulate each, because zero times an infinity or NaN is NaN.
#[inline(always)]
pub fn all_finite<'n>(numbers: impl IntoIterator<Item = &'n f32>) -> bool {
    numbers.into_iter().fold(0.0, |sum, number| sum + 0.0 * number) == 0.0
}

/// 2^n, for n in [-126, 127]; clamped outside.
pub fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n.clamp(-126, 127) + 127) as u32) << 23)
}

/// Natural logarithm, from `libm` (error below one ulp). For callers that need one per answer; [`quick_ln`] costs half.
pub fn ln(x: f32) -> f32 {
    libm::logf(x)
}

/// Square root, correctly rounded, from `libm`.
pub fn sqrt(x: f32) -> f32 {
    libm::sqrtf(x)
}

/// Absolute value.
pub fn abs(x: f32) -> f32 {
    f32::from_bits(x.to_bits() & 0x7fff_ffff)
}

/// `x` with `bits` fractional bits, rounded towards zero, if it is neither negative nor 2^(31 - bits) or more.
#[inline(always)]
pub fn to_fixed(x: f32, bits: u32) -> Option<u32> {
    let all = x.to_bits();
    let mantissa = all << 8 | 1 << 31;
    // The sign bit of a negative number makes the exponent too large. The mantissa counts units of 2^(exponent - 31).
    match 31 + 127 - bits as i32 - (all >> 23) as i32 {
        shift @ 1..=31 => Some(mantissa >> shift),
        32.. => Some(0),
        _ => None,
    }
}

/// a / b with 30 fractional bits, for a <= b and b > 0. Error at most 4 units.
///
/// One Newton step from a quotient of 16 bits: about 15 instructions.
pub fn divide(a: u32, b: u32) -> u32 {
    let zeros = b.leading_zeros() & 31;
    let (a, d) = (a << zeros, b << zeros);
    // 2^63 / d, to 15 bits; d >> 16 is at least 2^15.
    let coarse = (u32::MAX / (d >> 16).max(1 << 15)) << 15;
    let rest = (1u32 << 31).wrapping_sub(((u64::from(d) * u64::from(coarse)) >> 32) as u32) as i32;
    let correction = (i64::from(coarse >> 1) * i64::from(rest)) >> 30;
    let reciprocal = coarse.saturating_add_signed(correction as i32);
    ((u64::from(a) * u64::from(reciprocal)) >> 33) as u32
}

/// Cubics for 2^-f over sixteenths of f.
const CUBICS: usize = 16;

/// Coefficients, in units of 2^-30, of the distance to the interval's middle in intervals.
static EXP2: [[i32; 4]; CUBICS] = {
    let mut table = [[0; 4]; CUBICS];
    let mut k = 0;
    while k < CUBICS {
        let step = core::f64::consts::LN_2 / 16.0;
        let x = (k as f64 + 0.5) * step;
        // e^-x by its series.
        let (mut value, mut term, mut n) = (1.0, 1.0, 1.0);
        while n < 20.0 {
            term *= -x / n;
            value += term;
            n += 1.0;
        }
        // The cubic of e^-a for a within half a step h, with a^4 as h^2 a^2 - h^4 / 8: the nearest that has no fourth power.
        let h = step / 2.0;
        let c = [1.0 - h * h * h * h / 192.0, -step, (0.5 + h * h / 24.0) * step * step, -step * step * step / 6.0];
        let mut power = 0;
        while power < 4 {
            let scaled = c[power] * value * (1u32 << 30) as f64;
            table[k][power] = if scaled < 0.0 { (scaled - 0.5) as i32 } else { (scaled + 0.5) as i32 };
            power += 1;
        }
        k += 1;
    }
    table
};

/// e^-y with 30 fractional bits, at most 1; y has 24. Error at most 4e-9. About 25 instructions; the table takes 256 bytes.
pub fn exp_of_minus(y: u32) -> u32 {
    /// With 30 fractional bits.
    const LOG2_E: u32 = 1_549_082_005;
    let scaled = u64::from(y) * u64::from(LOG2_E);
    let (whole, fraction) = ((scaled >> 54) as u32, (scaled >> 22) as u32);
    let Some([c0, c1, c2, c3]) = EXP2.get((fraction >> 28) as usize) else { return 0 };
    let d = (fraction << 4) as i32 ^ i32::MIN;
    let times = |c: i32| ((i64::from(d) * i64::from(c)) >> 32) as i32;
    let value = c0 + times(c1 + times(c2 + times(*c3)));
    if whole < 31 { (value as u32).min(1 << 30) >> whole } else { 0 }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests compare with the host's own functions")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid(lo: f32, hi: f32) -> impl Iterator<Item = f32> {
        let n = 400_000;
        (0..=n).map(move |i| lo + (hi - lo) * (i as f32 / n as f32))
    }

    #[test]
    fn exp_is_within_its_stated_error() {
        for x in grid(-87.3, 88.7) {
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) / exact - 1.0).abs();
            assert!(error <= 1.0e-7, "exp({x}): {error:e}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(100.0), f32::INFINITY);
        assert_eq!(exp(-100.0), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn powers_of_two() {
        assert_eq!(power_of_two(-1), 0.5);
        assert_eq!(power_of_two(10), 1024.0);
    }

    #[test]
    fn conversion_is_that_of_a_cast() {
        for x in [0.0, 1e-9, 0.3, 0.999_999_94, 1.0, 1.5, 1.999_999_9] {
            assert_eq!(to_fixed(x, 30), Some((x * (1 << 30) as f32) as u32), "{x}");
        }
        for x in [-1e-9, -0.0, 2.0, 1e9, f32::INFINITY, f32::NAN, -f32::NAN] {
            assert_eq!(to_fixed(x, 30), None, "{x}");
        }
        assert_eq!((to_fixed(127.5, 24), to_fixed(128.0, 24)), (Some(0x7f80_0000), None));
    }

    #[test]
    fn exponential_is_within_its_stated_error() {
        for k in 0..600_000u32 {
            let y = k * 3577;
            let exact = libm::exp(-f64::from(y) / f64::from(1 << 24));
            let error = (f64::from(exp_of_minus(y)) / f64::from(1 << 30) - exact).abs();
            assert!(error < 4e-9, "{y}: {error:e}");
        }
        assert_eq!(exp_of_minus(u32::MAX), 0);
        assert!((0..1000).all(|y| exp_of_minus(y) <= 1 << 30));
    }

    proptest! {
        #[test]
        fn quotients_are_within_their_stated_error(b in 1u32.., share in 0f64..=1.0) {
            let a = (f64::from(b) * share) as u32;
            let exact = f64::from(a) / f64::from(b) * f64::from(1 << 30);
            prop_assert!((f64::from(divide(a, b)) - exact).abs() <= 4.0, "{a} / {b}: {} {exact}", divide(a, b));
        }
    }
}
