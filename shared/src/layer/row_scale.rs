//! What a row of integer weights is worth: its scale, and how a sum becomes a preactivation.

use super::activation::PRE_BITS;
use super::dense_integer::Weight;
use crate::math::power_of_two;

/// Scales are at least 2^-30.
pub const MAX_EXPONENT: u32 = 30;
/// Largest magnitude of a bias: with a preactivation held below it, their sum fits 32 bits.
pub const BIAS_LIMIT: i32 = 1 << 30;
/// Bits that a multiplier's product loses.
const PRODUCT_SHIFT: u32 = 23;

/// (m, e) of a scale m * 2^-e whose m fits the weights' type, if it is one of [`nearest_scale`]'s.
pub fn parts<W: Weight>(scale: f32) -> Option<(i64, i32)> {
    let bits = scale.to_bits();
    let unused = 24 - W::SCALE_BITS;
    let exponent = 127u32.checked_sub(bits >> 23).filter(|e| *e <= MAX_EXPONENT)?;
    let mantissa = bits & 0x007f_ffff | 0x0080_0000;
    let fits = mantissa & ((1 << unused) - 1) == 0 && scale <= W::LARGEST_SCALE && multiplier::<W>(scale).is_some();
    fits.then_some((i64::from(mantissa >> unused), (exponent + W::SCALE_BITS - 1) as i32))
}

/// The row's multiplier, scale * 2^[`Weight::MULTIPLIER_BITS`], if that is an integer of 32 bits.
pub fn multiplier<W: Weight>(scale: f32) -> Option<i32> {
    let product = scale * power_of_two(W::MULTIPLIER_BITS as i32);
    let integer = product as i32;
    (integer > 0 && integer < i32::MAX && integer as f32 == product).then_some(integer)
}

/// `scale` rounded to the nearest one that weights of type `W` may have.
pub fn nearest_scale<W: Weight>(scale: f32) -> f32 {
    // A multiple of what the multiplier can hold, then of its significant bits.
    let grid = power_of_two(W::MULTIPLIER_BITS as i32);
    let coarse = if scale * grid < (1 << 23) as f32 { (scale * grid + 0.5) as i32 as f32 / grid } else { scale };
    let unused = 24 - W::SCALE_BITS;
    let half = 1u32 << (unused - 1);
    let rounded = f32::from_bits((coarse.to_bits() + half) >> unused << unused);
    rounded.clamp(power_of_two(-(MAX_EXPONENT as i32)), W::LARGEST_SCALE)
}

/// A preactivation in units of 2^-24: floor(t * multiplier / 2^23), held within 2^30, plus the bias.
#[inline(always)]
pub fn requantise(t: i32, multiplier: i32, bias: i32) -> i32 {
    let product = i64::from(t) * i64::from(multiplier);
    let high = ((product >> 32) as i32).clamp(-(1 << 21), (1 << 21) - 1);
    (high << (32 - PRODUCT_SHIFT) | (product as u32 >> PRODUCT_SHIFT) as i32) + bias
}

/// The unit of t is scale * 2^-[`unit_bits`].
pub const fn unit_bits<W: Weight>() -> u32 {
    // scale 2^-unit = 2^-24 multiplier / 2^23 = 2^-24 scale 2^(MULTIPLIER_BITS - 23).
    PRE_BITS + PRODUCT_SHIFT - W::MULTIPLIER_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requantisation_rounds_down_and_is_held() {
        assert_eq!(requantise(5, 1 << 22, 0), 2);
        assert_eq!(requantise(-5, 1 << 22, 10), 7);
        assert_eq!(requantise(1 << 28, 1 << 24, 1), (1 << 29) + 1);
        assert!(requantise(i32::MAX, i32::MAX, BIAS_LIMIT) > 0);
        assert!(requantise(i32::MIN, i32::MAX, -BIAS_LIMIT) < 0);
    }

    #[test]
    fn scales_have_the_bits_of_their_type() {
        assert_eq!(parts::<i16>(power_of_two(-9)), Some((1, 9)));
        assert_eq!(parts::<i16>(power_of_two(-15)), Some((1, 15)));
        assert_eq!(parts::<i8>(0.75), Some((3 << 20, 22)));
        assert_eq!((multiplier::<i8>(0.75), multiplier::<i16>(power_of_two(-9))), (Some(3 << 29), Some(1 << 30)));
        for bad in [2.0, 1.5, 1.0, 0.0, -0.5, f32::NAN, f32::INFINITY, 1e-20, 0.3] {
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
            assert!(scale > 0.999 || (fine - scale).abs() <= scale * power_of_two(-22) + power_of_two(-32));
        }
        assert_eq!((nearest_scale::<i8>(7.0), nearest_scale::<i8>(0.0)), (i8::LARGEST_SCALE, power_of_two(-30)));
    }
}
