//! The network in f32.

use super::{Slopes, Tape, head};
use crate::layer::Activations;
use crate::layer::activation::Activation;
use crate::layer::dense_f32::DenseF32;
use crate::limits::{MAX_QUANTITIES, MAX_STATE};
use crate::ode::State;
use core::mem::swap;

/// The outputs at `input`.
pub fn value(layers: &[DenseF32<'_>], input: &[f32], activation: Activation) -> State<f32> {
    let mut output = [0.0; MAX_STATE];
    match layers {
        [] => {}
        [only] => only.output(input, &mut output),
        [first, hidden @ .., last] => {
            let (mut x, mut y) = (&mut Activations::new(), &mut Activations::new());
            first.hidden(input, x, activation);
            for layer in hidden {
                y.clear();
                layer.hidden(x, y, activation);
                swap(&mut x, &mut y);
            }
            last.output(x, &mut output);
        }
    }
    output
}

/// The outputs and their derivative along `direction`.
pub fn tangent(
    layers: &[DenseF32<'_>],
    input: &[f32],
    direction: &[f32],
    activation: Activation,
) -> (State<f32>, State<f32>) {
    let (mut output, mut slope) = ([0.0; MAX_STATE], [0.0; MAX_STATE]);
    let Some((last, hidden)) = layers.split_last() else { return (output, slope) };
    let (mut x, mut y) = (&mut Pair::default(), &mut Pair::default());
    let mut before = (input, direction);
    for layer in hidden {
        y.value.clear();
        y.slope.clear();
        layer.tangent(before, |z, dz| {
            let a = activation.value(z);
            y.push(a, activation.derivative(a) * dz);
        });
        swap(&mut x, &mut y);
        before = (&x.value, &x.slope);
    }
    let mut outputs = output.iter_mut().zip(&mut slope);
    last.tangent(before, |z, dz| {
        if let Some((output, slope)) = outputs.next() {
            (*output, *slope) = (z, dz);
        }
    });
    (output, slope)
}

/// The outputs and the derivative of the sum of `seed` times the outputs with respect to every input.
///
/// Clears only the entries in use and copies no vector: clearing and copying whole vectors would cost half as much as the
/// network.
pub fn gradient(
    layers: &[DenseF32<'_>],
    input: &[f32],
    seed: &State<f32>,
    activation: Activation,
    tape: &mut Tape,
) -> (State<f32>, Slopes) {
    let mut output = [0.0; MAX_STATE];
    let Some((last, hidden)) = layers.split_last() else { return (output, [0.0; MAX_QUANTITIES]) };
    let Tape { values, slopes: [slope, next] } = tape;
    let mut before = input;
    for (layer, y) in hidden.iter().zip(&mut *values) {
        y.clear();
        layer.hidden(before, y, activation);
        before = y;
    }
    last.output(before, &mut output);
    let (mut slope, mut next) = (slope, next);
    clear(slope, last.inputs());
    last.transposed(seed, slope);
    for (layer, a) in hidden.iter().zip(values).rev() {
        for (slope, a) in slope.iter_mut().zip(a) {
            *slope *= activation.derivative(*a);
        }
        clear(next, layer.inputs());
        layer.transposed(slope, next);
        swap(&mut slope, &mut next);
    }
    (output, head(slope))
}

/// Activations and their derivatives along the direction.
#[derive(Default)]
struct Pair {
    value: Activations<f32>,
    slope: Activations<f32>,
}

impl Pair {
    fn push(&mut self, value: f32, slope: f32) {
        // There is room: a layer has at most as many outputs as the vectors hold, and they were empty.
        let _ = (self.value.push(value), self.slope.push(slope));
    }
}

/// Sets the first `count` entries to zero.
fn clear(vector: &mut [f32], count: usize) {
    vector.iter_mut().take(count).for_each(|v| *v = 0.0);
}
