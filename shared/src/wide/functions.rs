//! Exponential, logarithm and square root of [`Wide`].

use super::Wide;
use crate::scalar::Scalar;

/// Beyond this power of two, an argument of the exponential gives nothing, or 2^(2^20).
const LARGE: i32 = 14;
/// ln 2 with 47 fractional bits.
const LN_2: i64 = 97_551_793_252_583;
/// 1 / ln 2 with 30 fractional bits.
const LOG2_E: i64 = 1_549_082_005;

/// The upper half of a product.
#[inline(always)]
fn times(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b)) >> 32) as i32
}

/// (e^r - 1 - r) / r^2 with 31 fractional bits, for r within 0.35 with 32 fractional bits: the series up to r^7.
#[inline(always)]
fn tail(r: i32) -> i32 {
    /// 1 / `factorial`.
    const fn one_by(factorial: u32) -> i32 {
        ((1u32 << 31) / factorial) as i32
    }
    let p = one_by(5_040) + times(one_by(40_320) + times(one_by(362_880), r), r);
    let p = one_by(24) + times(one_by(120) + times(one_by(720) + times(p, r), r), r);
    one_by(2) + times(one_by(6) + times(p, r), r)
}

/// e^x. Relative error at most 2^-30.
#[inline(never)]
pub fn exp(x: Wide) -> Wide {
    // The power of two just above its magnitude.
    if x.exponent + 31 > LARGE {
        return if x.mantissa < 0 { Wide::ZERO } else { Wide { mantissa: 1 << 30, exponent: 1 << 20 } };
    }
    let fixed = x.fixed(32);
    let n = (((fixed >> 16) * LOG2_E + (1 << 45)) >> 46) as i32;
    let r = (fixed - ((i64::from(n) * LN_2) >> 15)) as i32;
    let square = times(r, r);
    let value = (1i64 << 32) + i64::from(r) + i64::from(times(square, tail(r))) * 2;
    if value >= 1 << 32 {
        Wide { mantissa: ((value + 2) >> 2) as i32, exponent: n - 30 }
    } else {
        Wide { mantissa: ((value + 1) >> 1).min(i32::MAX.into()) as i32, exponent: n - 31 }
    }
}

/// e^x - 1. Relative error at most 2^-28.
#[inline(never)]
pub fn exp_m1(x: Wide) -> Wide {
    let one = Wide::constant(1.0);
    // Below 1/4.
    if x.exponent + 31 > -2 {
        return exp(x) - one;
    }
    let r = x.short(32);
    // 1 + r (1/2 + r / 6 + ...)
    let factor = (1i64 << 31) + i64::from(times(r, tail(r)));
    let factor = if factor < 1 << 31 {
        Wide { mantissa: factor as i32, exponent: -31 }
    } else {
        Wide { mantissa: (factor >> 1) as i32, exponent: -30 }
    };
    x * factor
}

/// 2 artanh z = ln((1 + z) / (1 - z)), for z within 0.1716.
fn artanh(z: Wide) -> Wide {
    /// 1/3, 1/5, ... with 31 fractional bits.
    const fn odd(n: u32) -> i32 {
        ((1u32 << 31) / n) as i32
    }
    let short = z.short(32);
    let square = times(short, short);
    let p = odd(9) + times(odd(11) + times(odd(13) + times(odd(15), square), square), square);
    let p = odd(3) + times(odd(5) + times(odd(7) + times(p, square), square), square);
    // 1 + z^2 / 3 + ..., with 30 fractional bits.
    let factor = (1 << 30) + (times(square, p) >> 1);
    (z * Wide { mantissa: factor, exponent: -30 }).scaled(1)
}

/// ln x for positive x. Relative error at most 2^-28, also beside 1, as far as x is exact.
#[inline(never)]
pub fn ln(x: Wide) -> Wide {
    const HALF_ROOT: i32 = 1_518_500_250;
    let (m, n) = (x.mantissa.max(1 << 30), x.exponent + 31);
    // m = 2^31 (v) with v from 1/2 to 1, or 2^30 v with v from 1 to sqrt 2.
    let (over, sum, n) = if m < HALF_ROOT {
        (Wide::normal(m - (1 << 30), 0), Wide { mantissa: (m >> 1) + (1 << 29), exponent: 1 }, n - 1)
    } else {
        (Wide::normal(m - i32::MAX - 1, 0), Wide { mantissa: (m >> 1) + (1 << 30), exponent: 1 }, n)
    };
    let part = artanh(over / sum);
    if n == 0 {
        return part;
    }
    Wide::normal(n, 0) * Wide::constant(core::f64::consts::LN_2) + part
}

/// ln(1 + x) for x > -1. Relative error at most 2^-27.
#[inline(never)]
pub fn ln_1p(x: Wide) -> Wide {
    if x.exponent + 31 > -2 {
        return ln(Wide::constant(1.0) + x);
    }
    artanh(x / (Wide::constant(2.0) + x))
}

/// The square root of a positive number; zero of others. Relative error at most 2^-30.
#[inline(never)]
pub fn sqrt(x: Wide) -> Wide {
    if x.mantissa <= 0 {
        return Wide::ZERO;
    }
    // One step of Newton's iteration fills the digits.
    let guess = exp(ln(x).scaled(-1));
    (guess + x / guess).scaled(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest relative error over a grid of so many points of [0, 1), mapped to arguments, in units of 2^-31.
    fn worst(ours: fn(Wide) -> Wide, right: fn(f64) -> f64, argument: impl Fn(f64) -> f64) -> f64 {
        let error = |k: u32| {
            let x = Wide::constant(argument(f64::from(k) / 400_003.0));
            let right = right(x.to_f64());
            if right == 0.0 { ours(x).to_f64().abs() } else { (ours(x).to_f64() / right - 1.0).abs() }
        };
        (0..400_003).map(error).fold(0.0, f64::max) * f64::from(1u32 << 31)
    }

    #[test]
    fn each_function_is_within_its_stated_error() {
        let tiny = |u: f64| libm::exp2(-40.0 * u);
        let found = [
            worst(exp, libm::exp, |u| 160.0 * u - 80.0),
            worst(exp_m1, libm::expm1, |u| 60.0 * u - 40.0),
            worst(exp_m1, libm::expm1, tiny),
            worst(exp_m1, libm::expm1, |u| -tiny(u)),
            worst(ln, libm::log, |u| libm::exp2(200.0 * u - 100.0)),
            worst(ln, libm::log, |u| 0.5 + u),
            worst(ln, libm::log, |u| 1.0 + tiny(u)),
            worst(ln_1p, libm::log1p, |u| 3.0 * u - 0.9),
            worst(ln_1p, libm::log1p, |u| -0.9 * tiny(u)),
            worst(sqrt, libm::sqrt, |u| libm::exp2(200.0 * u - 100.0)),
        ];
        std::println!("{found:.2?}");
        let stated = [2.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 16.0, 16.0, 2.0];
        assert!(found.iter().zip(stated).all(|(found, stated)| *found <= stated), "{found:?}");
    }
}
