//! Activations of the hidden layers, in f32 and in 16-bit integers.

use super::fine;
use crate::math::{self, tanh::exact};
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

    /// The integer form: z and a with [`PRE_BITS`] fractional bits.
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

/// Fractional bits of integers in 32 bits: a network's inputs, preactivations, activations before [`narrow`].
pub const PRE_BITS: u32 = 24;
/// Fractional bits of an activation in 16 bits: [-1, 1).
pub const ACTIVATION_BITS: u32 = 15;

/// An activation in 16 bits: rounded to nearest, half up, saturated to +-32767.
pub fn narrow(a: i32) -> i16 {
    const SHIFT: u32 = PRE_BITS - ACTIVATION_BITS;
    let rounded = a.saturating_add(1 << (SHIFT - 1)) >> SHIFT;
    rounded.clamp((-i16::MAX).into(), i16::MAX.into()) as i16
}

/// Fractional bits of the table and of the arithmetic in [`tanh_i32`].
const TABLE_BITS: u32 = 30;
const ONE: i64 = 1 << TABLE_BITS;
/// Node distance 1/16, as a power of two of the preactivation's unit.
const STEP_BITS: u32 = PRE_BITS - 4;
/// Nodes 0, 1/16, ..., 8.5; beyond the last one tanh rounds to one.
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

/// tanh in integers: third-order Taylor expansion about the nearest of 137 nodes.
///
/// With f = tanh at the node and d the distance to it,
/// tanh = f + d (1 - f^2) (1 - d (f + d (1/3 - f^2))). Error at most 2e-7, 3 units of the last place.
/// About 35 instructions on a Cortex-M3 or M4, most of them 32 x 32 -> 64 multiplications.
fn tanh_i32(z: i32) -> i32 {
    let magnitude = i64::from(z).abs();
    let node = (magnitude + (1 << (STEP_BITS - 1))) >> STEP_BITS;
    let Some(f) = usize::try_from(node).ok().and_then(|n| TANH.get(n)).map(|f| i64::from(*f)) else {
        return if z < 0 { -(1 << PRE_BITS) } else { 1 << PRE_BITS };
    };
    let d = magnitude - (node << STEP_BITS);
    let square = (f * f) >> TABLE_BITS;
    let slope = ONE - square;
    let curvature = f + ((d * (ONE / 3 - square)) >> PRE_BITS);
    let bend = ONE - ((d * curvature) >> PRE_BITS);
    let value = f + ((((d * slope) >> PRE_BITS) * bend) >> TABLE_BITS);
    let a = ((value + (1 << (TABLE_BITS - PRE_BITS - 1))) >> (TABLE_BITS - PRE_BITS)) as i32;
    if z < 0 { -a } else { a }
}

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
        let unit = f64::from(1 << PRE_BITS);
        let mut largest = 0.0f64;
        for i in -2_000_000i32..=2_000_000 {
            let z = i * 83;
            let exact = libm::tanh(f64::from(z) / unit);
            largest = largest.max((f64::from(Activation::Tanh.value_i32(z)) / unit - exact).abs());
        }
        assert!(largest <= 2e-7, "{largest}");
        assert_eq!(Activation::Tanh.value_i32(i32::MIN), -(1 << PRE_BITS));
        assert_eq!(Activation::Tanh.value_i32(i32::MAX), 1 << PRE_BITS);
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
        for z in (-150_000_000..150_000_000).step_by(997) {
            let a = Activation::Tanh.value_i32(z);
            assert!(narrow(a) >= last);
            assert_eq!(a, -Activation::Tanh.value_i32(-z));
            last = narrow(a);
        }
    }

    #[test]
    fn narrowing_rounds_and_saturates() {
        assert_eq!((narrow(255), narrow(256), narrow(-256), narrow(-257)), (0, 1, 0, -1));
        assert_eq!((narrow(1 << PRE_BITS), narrow(-(1 << PRE_BITS))), (i16::MAX, -i16::MAX));
        assert_eq!((narrow(i32::MAX), narrow(i32::MIN)), (i16::MAX, -i16::MAX));
    }
}
