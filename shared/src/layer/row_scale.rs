//! The scale of a row of integer weights, and how the row's sum becomes a preactivation.

use super::activation::{PRE_BITS, WIDE_BITS};
use super::weight::Weight;
use crate::math::power_of_two;

/// Scales are at least two to the power of minus this.
pub const MAX_EXPONENT: u32 = 30;
/// Fractional bits of a bias.
pub const BIAS_BITS: u32 = 24;
/// [`preactivation`] rounds the bias of a hidden layer down to a multiple of this.
pub const BIAS_STEP: i32 = 1 << (BIAS_BITS - PRE_BITS);
/// Largest magnitude of a bias, 64.
pub const BIAS_LIMIT: i32 = 64 << BIAS_BITS;

/// (m, e) of a scale m * 2^-e, where m has at most [`Weight::SCALE_BITS`] bits; `None` if weights of type `W` may not have this
/// scale, not even in the last layer.
pub fn parts<W: Weight>(scale: f32) -> Option<(i64, i32)> {
    let bits = scale.to_bits();
    let unused = 24 - W::SCALE_BITS;
    let exponent = 127u32.checked_sub(bits >> 23).filter(|e| *e <= MAX_EXPONENT)?;
    let mantissa = bits & 0x007f_ffff | 0x0080_0000;
    let fits = mantissa & ((1 << unused) - 1) == 0 && scale <= W::LARGEST_OUTPUT_SCALE;
    fits.then_some((i64::from(mantissa >> unused), (exponent + W::SCALE_BITS - 1) as i32))
}

/// The row's multiplier, scale * 2^[`Weight::MULTIPLIER_BITS`]; `None` if that is not a positive integer, or if the scale is too
/// large for a hidden layer.
pub fn multiplier<W: Weight>(scale: f32) -> Option<i32> {
    let product = scale * power_of_two(W::MULTIPLIER_BITS as i32);
    let integer = product as i32;
    (integer > 0 && scale <= W::LARGEST_SCALE && integer as f32 == product).then_some(integer)
}

/// The scale nearest to `scale` among those that weights of type `W` may have in hidden layers.
pub fn nearest_scale<W: Weight>(scale: f32) -> f32 {
    // First to a multiple of the smallest multiplier, then to the significant bits of a scale.
    let grid = power_of_two(W::MULTIPLIER_BITS as i32);
    let coarse = if scale * grid < (1 << 23) as f32 { (scale * grid + 0.5) as i32 as f32 / grid } else { scale };
    let unused = 24 - W::SCALE_BITS;
    let half = 1u32 << (unused - 1);
    let rounded = f32::from_bits((coarse.to_bits() + half) >> unused << unused);
    rounded.clamp(power_of_two(-(MAX_EXPONENT as i32)), W::LARGEST_SCALE)
}

/// A preactivation in units of 2^-18: t * multiplier / 2^32, rounded half up, plus floor(bias / 2^6). Its magnitude is below
/// 2^30, because a multiplier is at most 2^31 - 2^26.
///
/// On a Cortex-M4 this is a shift and one `SMMLAR`.
#[inline(always)]
pub fn preactivation(t: i32, multiplier: i32, bias: i32) -> i32 {
    let start = i64::from(bias >> (BIAS_BITS - PRE_BITS)) << 32 | 1 << 31;
    ((i64::from(t) * i64::from(multiplier) + start) >> 32) as i32
}

/// The unit of a row's sum t is scale * 2^-[`unit_bits`].
pub const fn unit_bits<W: Weight>() -> u32 {
    // scale 2^-unit = 2^-PRE_BITS multiplier / 2^32 = 2^-PRE_BITS scale 2^(MULTIPLIER_BITS - 32).
    PRE_BITS + 32 - W::MULTIPLIER_BITS
}

/// The number of bits that the sum of 32-bit inputs loses to become t.
pub const fn wide_shift<W: Weight>() -> u32 {
    WIDE_BITS - unit_bits::<W>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preactivations_round_to_nearest_and_fits() {
        assert_eq!(preactivation(5, 1 << 30, 0), 1);
        assert_eq!((preactivation(6, 1 << 30, 0), preactivation(-6, 1 << 30, 0)), (2, -1));
        assert_eq!((preactivation(8, 1 << 30, 128), preactivation(8, 1 << 30, -1)), (4, 1));
        let largest = multiplier::<i8>(i8::LARGEST_SCALE).unwrap();
        assert!(multiplier::<i16>(i16::LARGEST_SCALE).unwrap() < largest);
        assert_eq!(preactivation(i32::MAX, largest, BIAS_LIMIT), (1 << 30) - (1 << 25) + (1 << 24));
        assert_eq!(preactivation(i32::MIN, largest, -BIAS_LIMIT), -(1 << 30) + (1 << 25) - (1 << 24));
    }

    #[test]
    fn scales_have_the_bits_of_their_type() {
        assert_eq!((parts::<i16>(power_of_two(-10)), parts::<i16>(power_of_two(-7))), (Some((1, 10)), None));
        assert_eq!((parts::<i16>(power_of_two(-8)), multiplier::<i16>(power_of_two(-8))), (Some((1, 8)), None));
        assert_eq!(parts::<i16>(power_of_two(-15)), Some((1, 15)));
        assert_eq!(parts::<i8>(0.375), Some((3 << 20, 23)));
        assert_eq!((multiplier::<i8>(0.375), multiplier::<i16>(power_of_two(-10))), (Some(3 << 29), Some(1 << 30)));
        for bad in [2.0, 1.5, 1.0, 0.5, 0.0, -0.5, f32::NAN, f32::INFINITY, 1e-20, 0.3] {
            assert_eq!(parts::<i16>(bad), None, "{bad}");
            assert_eq!(parts::<i8>(bad), None, "{bad}");
        }
        assert_eq!(parts::<i16>(power_of_two(-12) * 1.5), None);
    }

    #[test]
    fn the_nearest_scale_is_one_and_near() {
        let mut scale = 1e-8f32;
        while scale < 2.0 {
            scale *= 1.0017;
            let (fine, coarse) = (nearest_scale::<i8>(scale), nearest_scale::<i16>(scale));
            let (m, e) = parts::<i8>(fine).unwrap();
            assert_eq!(m as f32 * power_of_two(-e), fine);
            assert!(parts::<i16>(coarse).is_some());
            assert!(scale > 0.484 || (fine - scale).abs() <= scale * power_of_two(-22) + power_of_two(-33));
        }
        assert_eq!((nearest_scale::<i8>(7.0), nearest_scale::<i8>(0.0)), (i8::LARGEST_SCALE, power_of_two(-30)));
    }
}
