//! The only home of elementary functions on the device side.
//!
//! Everything here uses IEEE additions, multiplications and divisions in a fixed order (or the pinned `libm`), so
//! the bits are the same on every host and board. Methods such as `x.exp()` are banned by clippy: on a host they
//! would silently become the system's.
//!
//! Errors are measured against f64 over every f32 of a dense grid (see the tests); costs are Cortex-M4F instructions.

pub(crate) mod tanh;

pub use tanh::tanh;

/// Largest argument of [`exp`] whose result is finite.
const EXP_MAX: f32 = 88.722_83;
/// Arguments below this give zero instead of a subnormal number.
const EXP_MIN: f32 = -87.336_54;

/// e^x. Relative error at most 1.0e-7 (one ulp); 0 below -87.3 and infinity above 88.7. About 49 instructions.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, a minimax polynomial of degree 6 in r, and 2^n through the exponent bits.
pub fn exp(x: f32) -> f32 {
    if x > EXP_MAX {
        return f32::INFINITY;
    }
    if x < EXP_MIN {
        return 0.0;
    }
    // ln 2 split in two, so that n * LN2_HIGH is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let scaled = x * core::f32::consts::LOG2_E;
    let n = (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i32;
    let r = (x - n as f32 * LN2_HIGH) - n as f32 * LN2_LOW;
    let mut p = 1.381_459_9e-3;
    for c in [8.368_717e-3, 4.166_839e-2, 1.666_652_1e-1, 0.499_999_93] {
        p = p * r + c;
    }
    let e = r * r * p + r + 1.0;
    // Two factors, so that neither overflows at the ends of the range.
    let half = n / 2;
    e * power_of_two(half) * power_of_two(n - half)
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
