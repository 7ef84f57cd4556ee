//! Layers of the device evaluator: one file each, formula and shapes first. The inner
//! loops, which a processor may have in instructions of its own, are in [`kernel`], [`tiles`] and [`rows`].

pub mod activation;
pub mod add;
pub mod conv;
pub mod dense_bytes;
pub mod dense_f32;
pub mod dense_integer;
pub mod depthwise;
pub mod kernel;
pub mod pack;
pub mod pool;
pub mod requantize;
pub mod row_scale;
pub mod rows;
pub mod shape;
pub mod tiles;
pub mod weight;
pub mod winograd;

use crate::error::{ModelError, TensorKind};
use crate::limits::MAX_WIDTH;
use crate::model::{Model, Tensor};
use core::fmt::Write;

/// A vector of the length of the widest layer.
pub type Vector<T> = [T; MAX_WIDTH];
/// The activations of one layer. The vector begins empty, so that no memory is cleared that will be written anyway.
pub type Activations<T> = heapless::Vec<T, MAX_WIDTH>;

/// Appends the next activation. There is room: a layer has at most [`MAX_WIDTH`] outputs, and its vector was empty.
fn push<T>(activations: &mut Activations<T>, value: T) {
    let _ = activations.push(value);
}

/// Finds `layers.INDEX.KIND` with this shape and element type.
fn tensor<'a, T>(
    model: &Model<'a>,
    index: u8,
    kind: TensorKind,
    shape: &[usize],
    elements: impl Fn(&Tensor<'a>) -> Option<&'a [T]>,
) -> Result<&'a [T], ModelError> {
    let mut name = heapless::String::<24>::new();
    let bad = ModelError::Tensor { layer: index, tensor: kind };
    write!(name, "layers.{index}.{}", kind.name()).map_err(|_| bad)?;
    let tensor = model.tensor(&name).ok_or(bad)?;
    if tensor.has_shape(shape) { elements(&tensor).ok_or(bad) } else { Err(bad) }
}
