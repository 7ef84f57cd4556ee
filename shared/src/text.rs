//! Parsers for the text of model files: lists and decimal numbers.
//!
//! Written here because the pattern searches and the float parser of `core` keep bounds checks that the compiler cannot
//! remove, and the firmware is linked without any path to a panic. A number has the bits that `core` gives it.

/// The parts between separators: at least one, perhaps empty. The separator is an ASCII character.
pub(crate) fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let parts = split_once(text, separator);
        rest = parts.map(|(_, after)| after);
        Some(parts.map_or(text, |(before, _)| before))
    })
}

/// What is before and after the first separator, an ASCII character.
pub(crate) fn split_once(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Halves of 32 bits, the lowest first.
const LIMBS: usize = 24;
/// The whole part of a number begins at this limb: below it are 256 bits of fraction.
const POINT: usize = 16;
/// Significant digits that fit 64 bits.
const DIGITS: u32 = 19;
/// Beyond this power of ten every number with 19 digits is zero or infinite.
const FARTHEST: i32 = 70;

/// A decimal number such as `0.05`, `-1.25e-3` or `7`, correctly rounded to the nearest float, ties to even.
///
/// `None` for anything else, such as infinities, and for more than 19 significant digits: shortest forms of 64-bit
/// floats have 17.
///
/// The digits are an integer w below 2^64 and the number w 10^e: w is multiplied or divided by ten e times with 256 bits
/// of fraction, remembering whether anything was lost below them. Cost: 24 short divisions for each power of ten, which
/// is a few thousand instructions; numbers are read when a model is opened, not when it is evaluated.
pub(crate) fn number(text: &str) -> Option<f32> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (mut w, mut e, mut significant, mut any, mut point) = (0u64, 0i32, 0u32, false, false);
    let mut rest = digits;
    while let [byte, after @ ..] = rest {
        match byte {
            b'0'..=b'9' => {
                any = true;
                significant += u32::from(significant > 0 || *byte != b'0');
                if significant > DIGITS {
                    return None;
                }
                w = w.wrapping_mul(10).wrapping_add(u64::from(*byte - b'0'));
                e = e.saturating_sub(i32::from(point));
            }
            b'.' if !point => point = true,
            b'e' | b'E' => {
                e = e.saturating_add(exponent(after)?);
                rest = &[];
                break;
            }
            _ => return None,
        }
        rest = after;
    }
    if !any || !rest.is_empty() {
        return None;
    }
    let magnitude = if w == 0 || e < -FARTHEST { 0.0 } else { scaled(w, e) };
    Some(if negative { -magnitude } else { magnitude })
}

/// An exponent with or without a sign.
fn exponent(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut value = 0i32;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = value.saturating_mul(10).saturating_add(digit.into());
    }
    (!digits.is_empty()).then_some(if negative { -value } else { value })
}

/// w 10^e, for w > 0 and e >= -[`FARTHEST`].
fn scaled(w: u64, e: i32) -> f32 {
    let mut limbs = [0u16; LIMBS];
    for (limb, k) in limbs.iter_mut().skip(POINT).zip(0u32..4) {
        *limb = (w >> (16 * k)) as u16;
    }
    let mut lost = false;
    for _ in e..0 {
        let mut remainder = 0u32;
        for limb in limbs.iter_mut().rev() {
            let value = remainder << 16 | u32::from(*limb);
            (*limb, remainder) = ((value / 10) as u16, value % 10);
        }
        lost |= remainder > 0;
    }
    for _ in 0..e {
        let mut carry = 0u32;
        for limb in &mut limbs {
            let value = u32::from(*limb) * 10 + carry;
            (*limb, carry) = (value as u16, value >> 16);
        }
        if carry > 0 {
            return f32::INFINITY;
        }
    }
    rounded(&limbs, lost)
}

/// The float nearest to the number in `limbs`; `lost` says that it is a little more than that.
fn rounded(limbs: &[u16; LIMBS], lost: bool) -> f32 {
    // Place of the highest bit, as a power of two.
    let highest = limbs.iter().enumerate().rev().find(|(_, limb)| **limb > 0);
    let Some((place, limb)) = highest else { return 0.0 };
    let highest = 16 * (place as i32 - POINT as i32) + 15 - limb.leading_zeros() as i32;
    if highest > 127 {
        return f32::INFINITY;
    }
    // The lowest bit that a float of this size has, and the 24 bits from there on.
    let lowest = (highest - 23).max(-149);
    let bit = |power: i32| -> bool {
        let at = power + 16 * POINT as i32;
        let limb = usize::try_from(at >> 4).ok().and_then(|limb| limbs.get(limb));
        limb.is_some_and(|limb| limb >> (at & 15) & 1 == 1)
    };
    let mut mantissa = 0u32;
    for power in (lowest..lowest + 24).rev() {
        mantissa = mantissa << 1 | u32::from(bit(power));
    }
    let half = bit(lowest - 1);
    let more = lost || (-(16 * POINT as i32)..lowest - 1).any(bit);
    mantissa += u32::from(half && (more || mantissa & 1 == 1));
    // A carry runs into the exponent, as it should: bits of floats are in order of their size.
    let exponent = if highest < -126 { 0 } else { (highest + 126) as u32 };
    f32::from_bits((exponent << 23) + mantissa)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;
    use std::vec::Vec;

    fn same(text: &str) {
        let (own, core) = (number(text), text.parse::<f32>().unwrap());
        assert_eq!(own.map(f32::to_bits), Some(core.to_bits()), "{text}: {own:?} instead of {core:?}");
    }

    #[test]
    fn numbers_of_every_size_have_the_bits_of_core() {
        for text in
            ["0", "-0", "0.0", "1", "-1", "+2.5", ".5", "5.", "0.1", "16777217", "16777219", "1e10", "3.4028235e38"]
        {
            same(text);
        }
        // The largest and smallest, the largest subnormal, halves between two floats, and beyond the ends.
        for text in [
            "1.1754944e-38",
            "1.17549429e-38",
            "1e-45",
            "7.006492e-46",
            "7.0064923e-46",
            "7.1e-46",
            "1e-46",
            "1e-60",
            "1e-80",
            "3.4028235677973366e38",
            "3.4028235677973362e38",
            "3.5e38",
            "1e39",
            "9999999999999999999e19",
            "1e99",
        ] {
            same(text);
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for bad in
            ["", "-", ".", "e5", "1e", "1e+", "1.2.3", "1 ", " 1", "inf", "NaN", "0x1", "1e5.0", "12345678901234567890"]
        {
            assert_eq!(number(bad), None, "{bad}");
        }
        assert_eq!(number("1e99999999999"), Some(f32::INFINITY));
        assert_eq!(number("1e-99999999999"), Some(0.0));
    }

    proptest! {
        #[test]
        fn floats_come_back_from_their_shortest_forms(bits: u32, wide: u64) {
            let (narrow, wide) = (f32::from_bits(bits), f64::from_bits(wide));
            if narrow.is_finite() {
                same(&std::format!("{narrow:e}"));
                same(&std::format!("{narrow:.3e}"));
                if narrow.abs() > 1e-20 && narrow.abs() < 1e18 {
                    same(&narrow.to_string());
                }
            }
            if wide.is_finite() {
                same(&std::format!("{wide:e}"));
            }
        }

        #[test]
        fn digits_and_exponents_of_any_kind(w: u64, places in 0usize..19, e in -60i32..40) {
            let digits = (w / 10).to_string();
            let (whole, part) = digits.split_at(digits.len().saturating_sub(places));
            same(&std::format!("{whole}.{part}0e{e}").replacen("0e", "e", 1));
        }

        #[test]
        fn lists_are_split_as_by_core(text in "[a,=ß ]{0,12}") {
            prop_assert_eq!(split(&text, b',').collect::<Vec<_>>(), text.split(',').collect::<Vec<_>>());
            prop_assert_eq!(split_once(&text, b'='), text.split_once('='));
        }
    }
}
