//! Activations of the hidden layers, in f32 and in integers.

use super::fine;
use crate::math::{
    self,
    tanh::{cubic, exact},
};
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

    /// The integer form: z with [`PRE_BITS`] fractional bits, a with [`WIDE_BITS`].
    pub fn value_i32(self, z: i32) -> i32 {
        match self {
            Activation::Tanh => tanh_i32(z),
        }
    }

    /// The fine integer form, see [`super::fine`]: a from z, and phi'(z) in a's unit.
    pub fn value_fine(self, z: i64) -> (i32, i32) {
        match self {
            Activation::Tanh => tanh_fine(z),
        }
    }
}

/// Fractional bits of a preactivation.
pub const PRE_BITS: u32 = 18;
/// Fractional bits of what layers take in 32 bits: a network's inputs, activations before [`narrow`].
pub const WIDE_BITS: u32 = 24;
/// Fractional bits of an activation in 16 bits: [-1, 1).
pub const ACTIVATION_BITS: u32 = 15;

/// An activation in 16 bits: rounded to nearest, half up, saturated.
#[inline(always)]
pub fn narrow(a: i32) -> i16 {
    const SHIFT: u32 = WIDE_BITS - ACTIVATION_BITS;
    let rounded = ((a >> (SHIFT - 1)) + 1) >> 1;
    rounded.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// Fractional bits of the tables.
const TABLE_BITS: u32 = 30;
const ONE: i64 = 1 << TABLE_BITS;
/// Width of a cubic's interval, 1/8: the lower half of twice a preactivation is the distance to the middle of one.
const STEP_BITS: u32 = 16;
/// Cubics for [-8, 8], around every eighth.
const CUBICS: usize = 129;
/// The cubic around 0.
pub const TANH_MIDDLE: usize = CUBICS / 2;

/// Coefficients c0 to c3 of the cubic around k/8, k from -64: tanh = c0 + d (c1 + d (c2 + d c3)) in units of 2^-30, d from
/// -1/2 to 1/2. Half a unit of 2^-24 is part of c0.
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

/// tanh in integers, by one of 129 cubics; beyond 8, that of 8. Error at most 5.1e-7; nearly odd: one unit, at most. About
/// 11 instructions on a Cortex-M3 or M4; the table takes 2 kB.
#[inline(always)]
fn tanh_i32(z: i32) -> i32 {
    // Twice the preactivation, below 2^31: see `row_scale::requantise`.
    const LIMIT: i32 = 8 << (PRE_BITS + 1);
    let z = (z << 1).clamp(-LIMIT, LIMIT - 1);
    let node = (z + (LIMIT + (1 << (STEP_BITS - 1)))) >> STEP_BITS;
    let Some([c0, c1, c2, c3]) = TANH_CUBICS.get(node as usize) else { return 0 };
    let d = z << STEP_BITS;
    // The upper half of a product: d is a fraction of 2^32.
    let times = |c: i32| ((i64::from(d) * i64::from(c)) >> 32) as i32;
    (c0 + times(c1 + times(c2 + times(*c3)))) >> (TABLE_BITS - WIDE_BITS)
}

/// Nodes 0, 1/16, ..., 8.5 of [`tanh_fine`].
const NODES: usize = 8 * 16 + 9;

/// tanh at the nodes, computed by the compiler.
static TANH: [i32; NODES] = {
    let mut table = [0; NODES];
    let mut i = 0;
    while i < NODES {
        table[i] = (exact(i as f64 / 16.0) * ONE as f64 + 0.5) as i32;
        i += 1;
    }
    table
};

/// tanh and its derivative in [`fine`](super::fine) integers: the addition theorem from the nearest of 137 nodes.
///
/// With f = tanh at the node, d the distance to it and t = tanh d = d (1 - d^2/3 + 2 d^4/15),
/// tanh = f + t (1 - f^2) / (1 + f t), the quotient as a series. Error at most 1.6e-9, a third of it the table's; beyond
/// the last node, constant. About 60 instructions on a Cortex-M4, 16 of them 32 x 32 -> 64 bit multiplications.
fn tanh_fine(z: i64) -> (i32, i32) {
    const NODE_BITS: u32 = fine::PRE_BITS - 4;
    const LAST: u64 = (NODES as u64 - 1) << NODE_BITS;
    let magnitude = z.unsigned_abs().min(LAST);
    let node = (magnitude + (1 << (NODE_BITS - 1))) >> NODE_BITS;
    let f = TANH.get(node as usize).copied().unwrap_or(0);
    // Within 2^30: half the distance of the nodes.
    let d = magnitude.wrapping_sub(node << NODE_BITS) as i32;
    // The upper half of a product. Fractional bits on the right.
    let times = |a: i32, b: i32| ((i64::from(a) * i64::from(b)) >> 32) as i32;
    let derivative = |a: i32| ONE - ((i64::from(a) * i64::from(a)) >> TABLE_BITS) as i32;
    const ONE: i32 = 1 << TABLE_BITS;
    let square = times(d, d); // 38
    const THIRD: i32 = ((1u32 << 31) / 3) as i32; // 31
    const TWO_FIFTEENTHS: i32 = (1 << 26) / 15; // 25
    let series = times(square, THIRD - times(square, TWO_FIFTEENTHS)); // 37
    let t = d - (times(d, series) >> 5); // 35
    let q = times(f, t) >> 1; // 32
    let mut quotient = ONE - (q >> 2); // 30
    for _ in 0..5 {
        quotient = ONE - times(q, quotient);
    }
    let slope = derivative(f);
    let a = f + ((times(times(t, slope), quotient) + 1) >> 1);
    let phi = if magnitude < LAST { derivative(a) } else { 0 };
    (if z < 0 { -a } else { a }, phi)
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
    fn fine_tanh_is_within_its_stated_error() {
        let unit = f64::from(1 << fine::ACTIVATION_BITS);
        for i in -300_000i64..=300_000 {
            let z = i * 1_000_003;
            let (a, phi) = Activation::Tanh.value_fine(z);
            let exact = libm::tanh(z as f64 / (1u64 << fine::PRE_BITS) as f64);
            assert!((f64::from(a) / unit - exact).abs() <= 1.6e-9 || exact.abs() > 1.0 - 1e-7, "z = {z}: {a}");
            assert!((f64::from(phi) / unit - (1.0 - exact * exact)).abs() <= 4e-9 || phi == 0, "z = {z}: {phi}");
            assert_eq!((-a, phi), Activation::Tanh.value_fine(-z));
        }
        for z in [i64::MAX, i64::MIN, 9 << fine::PRE_BITS] {
            assert!(matches!(Activation::Tanh.value_fine(z), (a, 0) if f64::from(a.abs()) > (1.0 - 1e-7) * unit));
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
