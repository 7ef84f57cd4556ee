//! The network in integers: activations have 16 bits into wide hidden layers and 32 bits elsewhere, with weights of either
//! type; tangent and gradient are computed in f32.

use super::{Slopes, head};
use crate::layer::activation::Activation;
use crate::layer::dense_integer::{DenseInteger, Values};
use crate::layer::weight::Weight;
use crate::layer::{Activations, Vector};
use crate::limits::{MAX_LAYERS, MAX_QUANTITIES, MAX_STATE, MAX_WIDTH};
use crate::ode::State;
use core::mem::swap;

/// The outputs at `input`. Stack: two vectors of 32-bit numbers.
pub fn value<W: Weight>(layers: &[DenseInteger<'_, W>], input: &[f32], activation: Activation) -> State<f32> {
    let mut output = [0.0; MAX_STATE];
    let Some((last, hidden)) = layers.split_last() else { return output };
    let (mut a, mut b) = Default::default();
    let (mut x, mut y) = (Values::new(&mut a), Values::new(&mut b));
    x.set_inputs(input);
    for layer in hidden {
        y.clear();
        layer.hidden(&x, &mut y, activation);
        swap(&mut x, &mut y);
    }
    last.output(&x, &mut output);
    output
}

/// The outputs and their derivative along `direction`.
pub fn tangent<W: Weight>(
    layers: &[DenseInteger<'_, W>],
    input: &[f32],
    direction: &[f32],
    activation: Activation,
) -> (State<f32>, State<f32>) {
    let (mut output, mut tangent) = ([0.0; MAX_STATE], [0.0; MAX_STATE]);
    let Some((last, hidden)) = layers.split_last() else { return (output, tangent) };
    let (mut a, mut b) = Default::default();
    let (mut x, mut y) = (Values::new(&mut a), Values::new(&mut b));
    x.set_inputs(input);
    let (mut dx, mut dy) = (&mut Activations::new(), &mut Activations::new());
    let mut slopes = direction;
    for layer in hidden {
        y.clear();
        dy.clear();
        layer.hidden(&x, &mut y, activation);
        let mut activations = y.reals::<W>();
        layer.tangent(slopes, |dz| {
            let a = activations.next().unwrap_or_default();
            // There is room: a layer has no more outputs than the vector holds.
            let _ = dy.push(activation.derivative(a) * dz);
        });
        drop(activations);
        swap(&mut x, &mut y);
        swap(&mut dx, &mut dy);
        slopes = dx;
    }
    last.output(&x, &mut output);
    let mut tangents = tangent.iter_mut();
    last.tangent(slopes, |dz| {
        if let Some(tangent) = tangents.next() {
            *tangent = dz;
        }
    });
    (output, tangent)
}

/// The outputs and the derivative of the sum of `seed` times the outputs with respect to every input.
pub fn gradient<W: Weight>(
    layers: &[DenseInteger<'_, W>],
    input: &[f32],
    seed: &State<f32>,
    activation: Activation,
) -> (State<f32>, Slopes) {
    let mut output = [0.0; MAX_STATE];
    let Some((last, hidden)) = layers.split_last() else { return (output, [0.0; MAX_QUANTITIES]) };
    let (mut memory, mut inputs): ([_; MAX_LAYERS], _) = Default::default();
    let mut values: heapless::Vec<Values<'_>, MAX_LAYERS> = heapless::Vec::new();
    let mut first = Values::new(&mut inputs);
    first.set_inputs(input);
    for (layer, words) in hidden.iter().zip(&mut memory) {
        let mut y = Values::new(words);
        layer.hidden(values.last().unwrap_or(&first), &mut y, activation);
        // There is room: a network has no more layers.
        let _ = values.push(y);
    }
    last.output(values.last().unwrap_or(&first), &mut output);
    let mut slope = transposed(last, seed);
    for (layer, values) in hidden.iter().zip(&values).rev() {
        for (slope, a) in slope.iter_mut().zip(values.reals::<W>()) {
            *slope *= activation.derivative(a);
        }
        slope = transposed(layer, &slope);
    }
    (output, head(&slope))
}

/// A layer's W^T dz.
fn transposed<W: Weight>(layer: &DenseInteger<'_, W>, dz: &[f32]) -> Vector<f32> {
    let mut dx = [0.0; MAX_WIDTH];
    layer.transposed(dz, &mut dx);
    dx
}
