//! The network in integers: 16-bit activations between hidden layers, 32-bit ones into the last, whatever the weights;
//! tangent and gradient in f32.

use super::{Slopes, head, transposed};
use crate::layer::Vector;
use crate::layer::activation::{Activation, PRE_BITS, narrow};
use crate::layer::dense_integer::{DenseInteger, Weight, quantise_input};
use crate::limits::{MAX_LAYERS, MAX_WIDTH};
use crate::math::power_of_two;
use crate::ode::State;

/// The outputs at `input`. Stack: two vectors of 32-bit and one of 16-bit numbers.
pub fn value<W: Weight>(layers: &[DenseInteger<'_, W>], input: &Vector<f32>, activation: Activation) -> Vector<f32> {
    let input = input.map(quantise_input);
    let mut output = [0.0; MAX_WIDTH];
    match layers {
        [] => {}
        [only] => only.output(&input, &mut output),
        [first, hidden @ .., last] => {
            let mut x = [0; MAX_WIDTH];
            first.hidden(&input, &mut x, activation);
            for layer in hidden {
                layer.hidden(&x.map(narrow), &mut x, activation);
            }
            last.output(&x, &mut output);
        }
    }
    output
}

/// The outputs and their derivative along `direction`.
pub fn tangent<W: Weight>(
    layers: &[DenseInteger<'_, W>],
    input: &Vector<f32>,
    direction: &Vector<f32>,
    activation: Activation,
) -> (Vector<f32>, Vector<f32>) {
    let input = input.map(quantise_input);
    let (mut output, mut tangent) = ([0.0; MAX_WIDTH], [0.0; MAX_WIDTH]);
    match layers {
        [] => {}
        [only] => {
            only.output(&input, &mut output);
            only.tangent(direction, &mut tangent);
        }
        [first, hidden @ .., last] => {
            let (mut x, mut dx) = ([0; MAX_WIDTH], [0.0; MAX_WIDTH]);
            first.hidden(&input, &mut x, activation);
            first.tangent(direction, &mut dx);
            bend(&x, &mut dx, activation);
            for layer in hidden {
                let mut dy = [0.0; MAX_WIDTH];
                layer.hidden(&x.map(narrow), &mut x, activation);
                layer.tangent(&dx, &mut dy);
                bend(&x, &mut dy, activation);
                dx = dy;
            }
            last.output(&x, &mut output);
            last.tangent(&dx, &mut tangent);
        }
    }
    (output, tangent)
}

/// The outputs and the derivative of `seed` . outputs with respect to every input.
pub fn gradient<W: Weight>(
    layers: &[DenseInteger<'_, W>],
    input: &Vector<f32>,
    seed: &Vector<f32>,
    activation: Activation,
) -> (State<f32>, Slopes) {
    let input = input.map(quantise_input);
    let mut output = [0.0; MAX_WIDTH];
    let mut slope = *seed;
    match layers {
        [] => {}
        [only] => {
            only.output(&input, &mut output);
            slope = transposed(&slope, |dz, dx| only.transposed(dz, dx));
        }
        [first, hidden @ .., last] => {
            let mut tape = [[0; MAX_WIDTH]; MAX_LAYERS];
            let [x, rest @ ..] = &mut tape;
            first.hidden(&input, x, activation);
            let mut x = &*x;
            for (layer, y) in hidden.iter().zip(rest) {
                layer.hidden(&x.map(narrow), y, activation);
                x = y;
            }
            last.output(x, &mut output);
            slope = transposed(&slope, |dz, dx| last.transposed(dz, dx));
            let [first_tape, rest @ ..] = &tape;
            for (layer, a) in hidden.iter().zip(rest).rev() {
                bend(a, &mut slope, activation);
                slope = transposed(&slope, |dz, dx| layer.transposed(dz, dx));
            }
            bend(first_tape, &mut slope, activation);
            slope = transposed(&slope, |dz, dx| first.transposed(dz, dx));
        }
    }
    (head(&output), head(&slope))
}

/// dy = phi'(a) dz, with the activations in integers.
fn bend(a: &Vector<i32>, dz: &mut Vector<f32>, activation: Activation) {
    for (dz, a) in dz.iter_mut().zip(a) {
        *dz *= activation.derivative(*a as f32 * power_of_two(-(PRE_BITS as i32)));
    }
}
