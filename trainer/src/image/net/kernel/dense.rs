//! Dense layer: `Y = X W^T + b`, X `[n, in]`, W `[out, in]`, Y `[n, out]`.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// The output, after ReLU if `relu`.
pub fn forward(x: &[f32], weight: &[f32], bias: &[f32], relu: bool) -> Vec<f32> {
    let (outputs, inputs) = (bias.len(), weight.len() / bias.len());
    let n = x.len() / inputs;
    let mut out = vec![0.0; n * outputs];
    matmul(
        MatMut::from_row_major_slice_mut(&mut out, n, outputs),
        Accum::Replace,
        MatRef::from_row_major_slice(x, n, inputs),
        MatRef::from_row_major_slice(weight, outputs, inputs).transpose(),
        1.0,
        Par::Seq,
    );
    let least = if relu { 0.0 } else { f32::NEG_INFINITY };
    for row in out.chunks_exact_mut(outputs) {
        row.iter_mut().zip(bias).for_each(|(y, b)| *y = (*y + b).max(least));
    }
    out
}

/// Gradients by input (empty unless `of_input`), weight and bias, from that of the output before any ReLU.
pub fn backward(x: &[f32], weight: &[f32], gradient: &[f32], outputs: usize, of_input: bool) -> [Vec<f32>; 3] {
    let inputs = weight.len() / outputs;
    let n = x.len() / inputs;
    let outer = MatRef::from_row_major_slice(gradient, n, outputs);
    let mut by_weight = vec![0.0; weight.len()];
    let product = MatMut::from_row_major_slice_mut(&mut by_weight, outputs, inputs);
    let x = MatRef::from_row_major_slice(x, n, inputs);
    matmul(product, Accum::Replace, outer.transpose(), x, 1.0, Par::Seq);
    let mut by_input = Vec::new();
    if of_input {
        by_input = vec![0.0; n * inputs];
        let product = MatMut::from_row_major_slice_mut(&mut by_input, n, inputs);
        let weight = MatRef::from_row_major_slice(weight, outputs, inputs);
        matmul(product, Accum::Replace, outer, weight, 1.0, Par::Seq);
    }
    let mut bias = vec![0.0; outputs];
    for row in gradient.chunks_exact(outputs) {
        for (b, g) in bias.iter_mut().zip(row) {
            *b += g;
        }
    }
    [by_input, by_weight, bias]
}
