//! The only home of elementary functions on the device side.
//!
//! Everything here uses IEEE additions, multiplications and divisions in a fixed order (or the pinned `libm`), so
//! the bits are the same on every host and board. Methods such as `x.exp()` are banned by clippy: on a host they
//! would silently become the system's.
//!
//! Errors are measured against f64 over every f32 of a dense grid (see the tests); costs are Cortex-M4F instructions.

mod fixed;
pub(crate) mod tanh;

pub use fixed::{divide, exp_of_minus, to_fixed};
pub use tanh::tanh;

/// Largest magnitude of an argument that [`exp`] need not look at twice: beyond 87.3 the result is no normal number.
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

/// Whether every number is finite: zero times anything else is NaN. One multiply-accumulate each.
#[inline(always)]
pub fn all_finite<'n>(numbers: impl IntoIterator<Item = &'n f32>) -> bool {
    numbers.into_iter().fold(0.0, |sum, number| sum + 0.0 * number) == 0.0
}

/// 2^n, for n in [-126, 127]; clamped outside.
pub fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n.clamp(-126, 127) + 127) as u32) << 23)
}

/// Natural logarithm, from `libm` (error below one ulp). Cost not on any hot path: once per query.
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

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests compare with the host's own functions")]
mod tests {
    use super::*;

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
}
