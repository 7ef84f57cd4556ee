//! Dense layers in integers about twenty times finer than f32: they give the curve that a certificate walks along.
//!
//! A certificate may follow any smooth curve near the bundle's answers, because it measures at the end how far the curve is
//! from the answer. So weights may be rounded (to 2^-24, clamped to 32) as long as value and derivative use the same ones.
//! Numbers that are rounded at every point anew must be fine, because their rounding errors make the derivative differ from
//! that of the values.
//!
//! | number | unit | range |
//! | --- | --- | --- |
//! | network input u | 2^-28 | 4; clamped beyond, with derivative zero |
//! | activation a | 2^-30 | 1 |
//! | preactivation z | 2^-35 | 2^21 at least |
//! | derivative of u and a; of z | 2^-25; 2^-26 | 32; refused beyond |
//! | weight | 2^-24, in integer files the row's scale | 32 |
//! | bias | 2^-24 | 32 |
//!
//! Cost: one 32 x 32 -> 64 bit multiply-accumulate per weight for the value and one for the derivative, a single
//! instruction each on every Cortex-M from the M3 on, with or without a floating-point unit.

use super::Vector;
use super::activation::Activation;
use crate::limits::MAX_WIDTH;
use crate::math::tanh::exact;

/// Fractional bits of the network's inputs.
const INPUT_BITS: u32 = 28;
/// Largest magnitude of an input, 4.
const INPUT_LIMIT: i32 = 1 << 30;
/// Fractional bits of activations.
const ACTIVATION_BITS: u32 = 30;
/// Fractional bits of preactivations.
const PRE_BITS: u32 = 35;
/// Fractional bits of the derivatives of inputs and activations.
const SLOPE_BITS: u32 = 25;
/// Fractional bits of the derivatives of preactivations.
const PRE_SLOPE_BITS: u32 = 26;
/// Fractional bits of f32 weights and of all biases.
const WEIGHT_BITS: u32 = 24;
/// Largest magnitude of a weight or a bias, just below 32.
const WEIGHT_LIMIT: i32 = (1 << 29) - 1;
/// The number of products that are summed before the sum loses its last [`FineWeight::RUN_SHIFT`] bits.
const RUN: usize = 8;

/// The inputs of a layer and their derivatives along one direction.
#[derive(Debug, Clone, Copy)]
pub struct Fine {
    value: Vector<i32>,
    slope: Vector<i32>,
    /// Fractional bits of the values.
    bits: u32,
}

/// An output row: w = weight * multiplier * 2^-exponent, b = bias * 2^-24.
#[derive(Debug, Clone, Copy)]
pub struct Row<'w, W> {
    /// The weights as stored in the file.
    pub weight: &'w [W],
    /// At most 22 bits with 8-bit weights, one with others.
    pub multiplier: i64,
    /// At least 24 with f32 weights.
    pub exponent: u32,
    /// In units of 2^-24.
    pub bias: i32,
}

/// A weight that can be read as an integer.
pub trait FineWeight: Copy {
    /// The number of bits that a run of products loses, so that any sum times its multiplier fits 64 bits.
    const RUN_SHIFT: u32;

    /// The weight as an integer of magnitude below 2^29.
    fn integer(self) -> i32;
}

impl FineWeight for i8 {
    const RUN_SHIFT: u32 = 4;

    fn integer(self) -> i32 {
        self.into()
    }
}

impl FineWeight for i16 {
    const RUN_SHIFT: u32 = 0;

    fn integer(self) -> i32 {
        self.into()
    }
}

impl FineWeight for f32 {
    const RUN_SHIFT: u32 = 8;

    fn integer(self) -> i32 {
        ((self * (1 << WEIGHT_BITS) as f32) as i32).clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT)
    }
}

impl<'w> Row<'w, f32> {
    /// The row of an f32 layer.
    pub fn float(weight: &'w [f32], bias: f32) -> Self {
        Row { weight, multiplier: 1, exponent: WEIGHT_BITS, bias: bias.integer() }
    }
}

impl Fine {
    /// Network inputs, with all derivatives zero.
    pub fn inputs(values: impl Iterator<Item = f64>) -> Self {
        let mut fine = Fine { value: [0; MAX_WIDTH], slope: [0; MAX_WIDTH], bits: INPUT_BITS };
        for (to, value) in fine.value.iter_mut().zip(values) {
            *to = quantize(value);
        }
        fine
    }

    /// Sets input `index` to this value and makes it the variable that outputs are differentiated by. Returns the rounding
    /// error: `value` minus the input.
    pub fn set_moving(&mut self, index: usize, value: f64) -> f64 {
        let (Some(to), Some(slope)) = (self.value.get_mut(index), self.slope.get_mut(index)) else { return 0.0 };
        *to = quantize(value);
        *slope = if to.abs() < INPUT_LIMIT { 1 << SLOPE_BITS } else { 0 };
        value - f64::from(*to) / f64::from(1 << INPUT_BITS)
    }

    /// The next layer's inputs, phi(W x + b), and their derivatives; `None` if a derivative is too large.
    pub fn hidden<'w, W: FineWeight + 'w>(
        &self,
        rows: impl Iterator<Item = Row<'w, W>>,
        activation: Activation,
    ) -> Option<Self> {
        let mut next = Fine { value: [0; MAX_WIDTH], slope: [0; MAX_WIDTH], bits: ACTIVATION_BITS };
        for ((row, a), da) in rows.zip(&mut next.value).zip(&mut next.slope) {
            let (sum, slope) = self.sums(&row);
            let z = shift(sum, row.exponent + self.bits, PRE_BITS + W::RUN_SHIFT)
                + (i64::from(row.bias) << (PRE_BITS - WEIGHT_BITS));
            let dz = i32::try_from(shift(slope, row.exponent + SLOPE_BITS, PRE_SLOPE_BITS + W::RUN_SHIFT)).ok()?;
            let phi;
            (*a, phi) = value(activation, z);
            const HALF: i64 = 1 << (ACTIVATION_BITS + PRE_SLOPE_BITS - SLOPE_BITS - 1);
            *da = ((i64::from(dz) * i64::from(phi) + HALF) >> (ACTIVATION_BITS + PRE_SLOPE_BITS - SLOPE_BITS)) as i32;
        }
        Some(next)
    }

    /// One row of the last layer, W x + b, and its derivative.
    pub fn output<W: FineWeight>(&self, row: Row<'_, W>) -> (f64, f64) {
        let (sum, slope) = self.sums(&row);
        let unit = |bits: u32| f64::from_bits(u64::from(1023u32.saturating_sub(bits)) << 52);
        let value = sum as f64 * unit((row.exponent + self.bits).saturating_sub(W::RUN_SHIFT))
            + f64::from(row.bias) * unit(WEIGHT_BITS);
        (value, slope as f64 * unit((row.exponent + SLOPE_BITS).saturating_sub(W::RUN_SHIFT)))
    }

    /// sum w x and sum w dx, in 2^[`FineWeight::RUN_SHIFT`] times their products' units.
    fn sums<W: FineWeight>(&self, row: &Row<'_, W>) -> (i64, i64) {
        let (mut value, mut slope) = (0, 0);
        for ((w, x), dx) in row.weight.chunks(RUN).zip(self.value.chunks(RUN)).zip(self.slope.chunks(RUN)) {
            let (mut a, mut b) = (0i64, 0i64);
            for ((w, x), dx) in w.iter().zip(x).zip(dx) {
                let w = i64::from(w.integer());
                a += w * i64::from(*x);
                b += w * i64::from(*dx);
            }
            value += a >> W::RUN_SHIFT;
            slope += b >> W::RUN_SHIFT;
        }
        (value * row.multiplier, slope * row.multiplier)
    }
}

/// A network input as an integer, clamped to the limit; NaN becomes 0.
fn quantize(u: f64) -> i32 {
    let scaled = u * f64::from(1 << INPUT_BITS);
    ((scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i32).clamp(-INPUT_LIMIT, INPUT_LIMIT)
}

/// Converts `v` from `from` fractional bits to `to`, rounded to nearest. Bits beyond 64 are lost, but no sum has them.
fn shift(v: i64, from: u32, to: u32) -> i64 {
    match from.checked_sub(to) {
        Some(0) => v,
        Some(down) => v.wrapping_add(1 << (down - 1).min(62)) >> down.min(63),
        None => v.wrapping_shl(to - from),
    }
}

/// phi(z), and phi'(z) in the same unit.
fn value(activation: Activation, z: i64) -> (i32, i32) {
    match activation {
        Activation::Tanh => tanh(z),
    }
}

/// The number of nodes 0, 1/16, ..., 8.5 of [`tanh`].
const NODES: usize = 8 * 16 + 9;

/// tanh at the nodes, computed by the compiler.
static TANH: [i32; NODES] = {
    let mut table = [0; NODES];
    let mut i = 0;
    while i < NODES {
        table[i] = (exact(i as f64 / 16.0) * (1 << ACTIVATION_BITS) as f64 + 0.5) as i32;
        i += 1;
    }
    table
};

/// tanh of a preactivation and its derivative, both in the unit of activations, by the addition theorem from the nearest of
/// 137 nodes.
///
/// With f = tanh at the node, d the distance to it and t = tanh d = d (1 - d^2/3 + 2 d^4/15),
/// tanh = f + t (1 - f^2) / (1 + f t), the quotient as a series. Error at most 1.6e-9, a third of which is the
/// table's; constant beyond the last node. About 60 instructions on a Cortex-M4, 16 of them 32 x 32 -> 64 bit multiplications.
fn tanh(z: i64) -> (i32, i32) {
    const NODE_BITS: u32 = PRE_BITS - 4;
    const LAST: u64 = (NODES as u64 - 1) << NODE_BITS;
    let magnitude = z.unsigned_abs().min(LAST);
    let node = (magnitude + (1 << (NODE_BITS - 1))) >> NODE_BITS;
    let f = TANH.get(node as usize).copied().unwrap_or(0);
    const ONE: i32 = 1 << ACTIVATION_BITS;
    // At most 2^30 in magnitude: half the distance between nodes.
    let d = magnitude.wrapping_sub(node << NODE_BITS) as i32;
    // The upper half of a product. Comments on the right give fractional bits.
    let times = |a: i32, b: i32| ((i64::from(a) * i64::from(b)) >> 32) as i32;
    let derivative = |a: i32| ONE - ((i64::from(a) * i64::from(a)) >> ACTIVATION_BITS) as i32;
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
    fn tanh_is_within_its_stated_error() {
        let unit = f64::from(1 << ACTIVATION_BITS);
        for i in -300_000i64..=300_000 {
            let z = i * 1_000_003;
            let (a, phi) = tanh(z);
            let exact = libm::tanh(z as f64 / (1u64 << PRE_BITS) as f64);
            assert!((f64::from(a) / unit - exact).abs() <= 1.6e-9 || exact.abs() > 1.0 - 1e-7, "z = {z}: {a}");
            assert!((f64::from(phi) / unit - (1.0 - exact * exact)).abs() <= 4e-9 || phi == 0, "z = {z}: {phi}");
            assert_eq!((-a, phi), tanh(-z));
        }
        for z in [i64::MAX, i64::MIN, 9 << PRE_BITS] {
            assert!(matches!(tanh(z), (a, 0) if f64::from(a.abs()) > (1.0 - 1e-7) * unit));
        }
    }
}
