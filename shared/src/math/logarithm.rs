//! Logarithm, and both functions that keep what cancels near zero, in as few instructions as f32's accuracy allows.

use super::{ROUND, abs, exp};

/// The bits of the square root of a half: mantissas are taken from there to the square root of two.
const HALF_ROOT: u32 = 0x3f35_04f3;
/// ln 2 split in two, so that a small integer times the first part is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// ln x, for positive normal numbers: relative error at most 1.1e-7. Smaller numbers give about -87, others mean nothing.
/// About 27 instructions, less than half of [`super::ln`]'s.
///
/// x = 2^n (1 + f) with f in [-0.29, 0.41], and ln(1 + f) = f - f^2 / 2 + f^3 P(f), P of degree 6.
#[inline(always)]
pub fn quick_ln(x: f32) -> f32 {
    let shifted = x.to_bits().wrapping_sub(HALF_ROOT) as i32;
    let n = (shifted >> 23) as f32;
    let f = f32::from_bits((shifted as u32 & 0x007f_ffff).wrapping_add(HALF_ROOT)) - 1.0;
    ln_of(n, f, 0.0)
}

/// n ln 2 + ln(1 + f) + `small`, added in this order from the smallest on.
#[inline(always)]
fn ln_of(n: f32, f: f32, small: f32) -> f32 {
    let mut p = 8.917_633e-2;
    for c in [-0.143_501_65, 0.148_770_19, -0.165_656_39, 0.199_653_94, -0.250_017_47, 0.333_338_6] {
        p = p * f + c;
    }
    let f2 = f * f;
    let tail = f * f2 * p + (n * LN2_LOW + small) - 0.5 * f2;
    n * LN2_HIGH + (f + tail)
}

/// ln(1 + x), for x > -1: relative error at most 1.3e-7. About 33 instructions.
///
/// The logarithm of the rounded sum, and what rounding has taken from it.
#[inline(always)]
pub fn ln_1p(x: f32) -> f32 {
    let u = 1.0 + x;
    let lost = if abs(x) < 1.0 { x - (u - 1.0) } else { 0.0 };
    let shifted = u.to_bits().wrapping_sub(HALF_ROOT) as i32;
    let n = (shifted >> 23) as f32;
    let f = f32::from_bits((shifted as u32 & 0x007f_ffff).wrapping_add(HALF_ROOT)) - 1.0;
    ln_of(n, f, lost / u)
}

/// e^x - 1: relative error at most 1.1e-7. About 35 instructions.
///
/// x = n ln 2 + r, and 2^n (e^r - 1) + (2^n - 1), without a sum where n is 0.
#[inline(always)]
pub fn exp_m1(x: f32) -> f32 {
    if abs(x) > 60.0 || x.is_nan() {
        return exp(x) - 1.0;
    }
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.394_759e-3;
    for c in [8.367_247e-3, 4.166_626_6e-2, 0.166_665_38, 0.5] {
        p = p * r + c;
    }
    let small = r * r * p + r;
    // The last bits of the rounded product are n.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1f32.to_bits()));
    power * small + (power - 1.0)
}

/// The square root of a positive normal number: relative error at most 9e-8. About 20 instructions.
///
/// Newton's iteration for 1 / sqrt x, from a guess in the exponent's bits.
#[inline(always)]
pub fn quick_sqrt(x: f32) -> f32 {
    let mut y = f32::from_bits(0x5f37_5a86_u32.wrapping_sub(x.to_bits() >> 1));
    let half = 0.5 * x;
    for _ in 0..2 {
        y = y * (1.5 - half * y * y);
    }
    // The last step for the root itself, so that its rounding is not multiplied.
    let root = x * y;
    root + 0.5 * y * (x - root * root)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests compare with the host's own functions")]
mod tests {
    use super::*;

    /// The largest relative error over `count` points spread evenly over the bits from `lo` to `hi`, both of one sign.
    fn worst(lo: f32, hi: f32, ours: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> (f64, f32) {
        let (a, b) = (lo.to_bits().min(hi.to_bits()), lo.to_bits().max(hi.to_bits()));
        let step = ((b - a) / 1_000_003).max(1);
        let mut worst = (0.0, 0.0);
        for bits in (a..=b).step_by(step as usize) {
            let x = f32::from_bits(bits);
            let right = exact(x.into());
            let error = if right == 0.0 { f64::from(ours(x)).abs() } else { (f64::from(ours(x)) / right - 1.0).abs() };
            if error > worst.0 || error.is_nan() {
                worst = (error, x);
            }
        }
        worst
    }

    #[test]
    fn each_function_is_within_its_stated_error() {
        let ln = worst(f32::MIN_POSITIVE, f32::MAX, quick_ln, f64::ln);
        let near = worst(0.5, 2.0, quick_ln, f64::ln);
        let plus = worst(1e-30, 1e9, ln_1p, f64::ln_1p);
        let minus = worst(-1e-30, -0.999_999, ln_1p, f64::ln_1p);
        let rise = worst(1e-30, 88.0, exp_m1, f64::exp_m1);
        let fall = worst(-1e-30, -100.0, exp_m1, f64::exp_m1);
        let root = worst(f32::MIN_POSITIVE, f32::MAX, quick_sqrt, f64::sqrt);
        std::println!("{ln:?} {near:?} {plus:?} {minus:?} {rise:?} {fall:?} {root:?}");
        assert!(ln.0 < 1.1e-7 && near.0 < 1.1e-7, "{ln:?} {near:?}");
        assert!(plus.0 < 1.3e-7 && minus.0 < 1.3e-7, "{plus:?} {minus:?}");
        assert!(rise.0 < 1.1e-7 && fall.0 < 1.1e-7, "{rise:?} {fall:?}");
        assert!(root.0 < 9e-8, "{root:?}");
    }

    #[test]
    fn ends_are_what_they_should_be() {
        assert_eq!((quick_ln(1.0), ln_1p(0.0), exp_m1(0.0)), (0.0, 0.0, 0.0));
        assert_eq!((exp_m1(-1e9), exp_m1(1e9)), (-1.0, f32::INFINITY));
        assert!(exp_m1(f32::NAN).is_nan());
    }
}
