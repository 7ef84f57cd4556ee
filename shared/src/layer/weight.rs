//! The two integer types of a bundle's weights.

use super::pack::Order;
use crate::model::Tensor;

/// Integer type of the weights.
pub trait Weight: Copy + Into<i32> + Into<f32> + core::fmt::Debug + 'static {
    /// Significant bits of a scale.
    const SCALE_BITS: u32;
    /// A row's multiplier is its scale times two to the power of this.
    const MULTIPLIER_BITS: u32;
    /// The largest scale of hidden layers, so that multipliers fit 32 bits.
    const LARGEST_SCALE: f32;
    /// The largest scale of the last layer.
    const LARGEST_OUTPUT_SCALE: f32;
    /// The order in which 16-bit activations meet these weights.
    const ORDER: Order;

    /// A tensor's elements, if they are of this type.
    fn elements<'a>(tensor: &Tensor<'a>) -> Option<&'a [Self]>;
}

impl Weight for i16 {
    const SCALE_BITS: u32 = 1;
    const MULTIPLIER_BITS: u32 = 40;
    const LARGEST_SCALE: f32 = 1.0 / 1024.0;
    const LARGEST_OUTPUT_SCALE: f32 = 1.0 / 256.0;
    const ORDER: Order = Order::Plain;

    fn elements<'a>(tensor: &Tensor<'a>) -> Option<&'a [Self]> {
        tensor.i16()
    }
}

impl Weight for i8 {
    const SCALE_BITS: u32 = 22;
    const MULTIPLIER_BITS: u32 = 32;
    const LARGEST_SCALE: f32 = 31.0 / 64.0;
    const LARGEST_OUTPUT_SCALE: f32 = Self::LARGEST_SCALE;
    const ORDER: Order = Order::Unpacked;

    fn elements<'a>(tensor: &Tensor<'a>) -> Option<&'a [Self]> {
        tensor.i8()
    }
}
