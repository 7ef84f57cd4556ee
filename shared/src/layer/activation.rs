//! Activations of the hidden layers, in f32 and in integers.

use crate::math::{self, tanh::cubic};
use serde::{Deserialize, Serialize};

/// Hidden-layer activation, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// tanh(z); derivative 1 - a^2.
    Tanh,
}

impl Activation {
    /// Name in model files.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Tanh => "tanh",
        }
    }

    /// The activation of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Activation::Tanh].into_iter().find(|a| a.name() == name)
    }

    /// a = phi(z).
    pub fn value(self, z: f32) -> f32 {
        match self {
            Activation::Tanh => math::tanh(z),
        }
    }

    /// phi'(z), from a = phi(z).
    pub fn derivative(self, a: f32) -> f32 {
        match self {
            Activation::Tanh => 1.0 - a * a,
        }
    }

    /// a = phi(z) in integers: z with [`PRE_BITS`] fractional bits, a with [`WIDE_BITS`].
    pub fn value_i32(self, z: i32) -> i32 {
        match self {
            Activation::Tanh => tanh_i32(z),
        }
    }
}

/// Fractional bits of a preactivation.
pub const PRE_BITS: u32 = 18;
/// Fractional bits of the 32-bit inputs of a layer: a network's inputs, and activations before [`narrow`].
pub const WIDE_BITS: u32 = 24;
/// Fractional bits of an activation in 16 bits: [-1, 1).
pub const NARROW_BITS: u32 = 15;

/// Rounds an activation to 16 bits: to nearest, half up, saturating.
#[inline(always)]
pub fn narrow(a: i32) -> i16 {
    const SHIFT: u32 = WIDE_BITS - NARROW_BITS;
    let rounded = ((a >> (SHIFT - 1)) + 1) >> 1;
    rounded.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// Fractional bits of the tables.
const TABLE_BITS: u32 = 30;
const ONE: i64 = 1 << TABLE_BITS;
/// The width of a cubic's interval is 1/8, so that the lower half of twice a preactivation is its distance to the middle of one.
const STEP_BITS: u32 = 16;
/// The number of cubics: one around every multiple of 1/8 in [-8, 8].
const CUBICS: usize = 129;
/// The index of the cubic around 0.
pub const TANH_MIDDLE: usize = CUBICS / 2;

/// Coefficients c0 to c3 of the cubic around k/8, k from -64: tanh = c0 + d (c1 + d (c2 + d c3)) in units of 2^-30, d from
/// -1/2 to 1/2. c0 includes half a unit of 2^-24, for rounding.
pub static TANH_CUBICS: [[i32; 4]; CUBICS] = {
    let mut table = [[0; 4]; CUBICS];
    let mut k = 0;
    while k < CUBICS {
        let coefficients = cubic((k as f64 - TANH_MIDDLE as f64) / 8.0, 1.0 / 16.0);
        let (mut power, mut c) = (0, ONE as f64);
        while power < 4 {
            let scaled = coefficients[power] * c + if power == 0 { 32.0 } else { 0.0 };
            table[k][power] = if scaled < 0.0 { (scaled - 0.5) as i32 } else { (scaled + 0.5) as i32 };
            c /= 8.0;
            power += 1;
        }
        k += 1;
    }
    table
};

/// tanh in integers, by one of 129 cubics; beyond 8 it is that of 8. Error at most 5.1e-7; tanh(-z) differs from -tanh(z) by at
/// most one unit. About 11 instructions on a Cortex-M3 or M4; the table takes 2 kB.
#[inline(always)]
fn tanh_i32(z: i32) -> i32 {
    // Twice the preactivation is below 2^31, see `row_scale::preactivation`.
    const LIMIT: i32 = 8 << (PRE_BITS + 1);
    let z = (z << 1).clamp(-LIMIT, LIMIT - 1);
    let node = (z + (LIMIT + (1 << (STEP_BITS - 1)))) >> STEP_BITS;
    let Some([c0, c1, c2, c3]) = TANH_CUBICS.get(node as usize) else { return 0 };
    let d = z << STEP_BITS;
    // The upper half of a product: d is a fraction of 2^32.
    let times = |c: i32| ((i64::from(d) * i64::from(c)) >> 32) as i32;
    (c0 + times(c1 + times(c2 + times(*c3)))) >> (TABLE_BITS - WIDE_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_tanh_is_within_its_stated_error() {
        let mut largest = 0.0f64;
        for z in (-10 << PRE_BITS)..=(10 << PRE_BITS) {
            let exact = libm::tanh(f64::from(z) / f64::from(1 << PRE_BITS));
            let found = f64::from(Activation::Tanh.value_i32(z)) / f64::from(1 << WIDE_BITS);
            largest = largest.max((found - exact).abs());
        }
        assert!(largest <= 5.1e-7, "{largest:e}");
        for z in [-1 << 30, (1 << 30) - 1] {
            assert!(Activation::Tanh.value_i32(z).abs() >= (1 << WIDE_BITS) - 8);
        }
    }

    #[test]
    fn integer_tanh_is_odd_and_monotonic_in_16_bits() {
        let mut last = i16::MIN;
        for z in (-10 << PRE_BITS)..(10 << PRE_BITS) {
            let a = Activation::Tanh.value_i32(z);
            assert!(narrow(a) >= last);
            assert!((a + Activation::Tanh.value_i32(-z)).abs() <= 1);
            last = narrow(a);
        }
    }

    #[test]
    fn narrowing_rounds_and_saturates() {
        assert_eq!((narrow(255), narrow(256), narrow(-256), narrow(-257)), (0, 1, 0, -1));
        assert_eq!((narrow(1 << WIDE_BITS), narrow(-(1 << WIDE_BITS))), (i16::MAX, i16::MIN));
        assert_eq!((narrow(i32::MAX), narrow(i32::MIN)), (i16::MAX, i16::MIN));
    }
}
