//! Convolution: `y[o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[c, s i + u - p, s j + v - p]`, as a product.
//!
//! With stride 1 that is [`super::direct`]. Otherwise a part of the batch is unrolled to a matrix of columns `[c kh kw, images * oh * ow]`, small enough to stay in the
//! second-level cache; forward and backward are products with it. One thread; parts run side by side.

use super::direct::Direct;
use super::{parts, pieces, sum};
use crate::image::folded::Window;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Numbers of a part, unrolled or padded: 256 kB.
const PART: usize = 1 << 16;

/// Shapes of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Channels, rows, columns of the input.
    pub input: [usize; 3],
    /// Rows and columns of the output.
    pub output: [usize; 2],
    /// Channels of the output.
    pub filters: usize,
    /// Kernel, stride, padding.
    pub window: Window,
}

/// Gradients of a convolution.
#[derive(Debug)]
pub struct Gradients {
    /// By the input; empty if nobody asked.
    pub input: Vec<f32>,
    /// By the weights.
    pub weight: Vec<f32>,
    /// By the biases.
    pub bias: Vec<f32>,
}

impl Geometry {
    /// Shapes for an input `[c, h, w]`, if the window fits.
    pub fn new(input: [usize; 3], filters: usize, window: Window) -> Option<Self> {
        let output = window.output(input[1], input[2])?;
        Some(Geometry { input, output, filters, window })
    }

    /// Numbers of one input image.
    pub fn input_size(&self) -> usize {
        self.input.iter().product()
    }

    /// Numbers of one output channel.
    fn plane(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Numbers of one output image.
    pub fn output_size(&self) -> usize {
        self.filters * self.plane()
    }

    /// Weights of one filter.
    pub fn taps(&self) -> usize {
        self.input[0] * self.window.kernel[0] * self.window.kernel[1]
    }

    /// Images of a part, each taking this many numbers.
    fn part(size: usize) -> usize {
        (PART / size.max(1)).max(1)
    }

    /// Visits every run of the unrolled matrix that lies in the image: its place in the matrix of `images` images, in
    /// the image, and its length. Steps in the image are the stride.
    fn runs(&self, image: usize, images: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let ([channels, height, width], [rows, columns]) = (self.input, self.output);
        let ([kernel_rows, kernel_columns], stride, padding) =
            (self.window.kernel, self.window.stride, self.window.padding);
        let mut tap = 0;
        for c in 0..channels {
            for u in 0..kernel_rows {
                for v in 0..kernel_columns {
                    // Outputs j with 0 <= s j + v - p < width.
                    let first = padding[1].saturating_sub(v).div_ceil(stride[1]);
                    let end = (width + padding[1]).saturating_sub(v).div_ceil(stride[1]).min(columns);
                    let at = (tap * images + image) * rows * columns;
                    tap += 1;
                    if first >= end {
                        continue;
                    }
                    for i in 0..rows {
                        let y = i * stride[0] + u;
                        if y >= padding[0] && y - padding[0] < height {
                            let x = first * stride[1] + v - padding[1];
                            let row = (c * height + y - padding[0]) * width;
                            visit(at + i * columns + first, row + x, end - first);
                        }
                    }
                }
            }
        }
    }

    fn unroll(&self, x: &[f32], columns: &mut Vec<f32>) {
        let (images, step) = (x.len() / self.input_size(), self.window.stride[1]);
        columns.clear();
        columns.resize(self.taps() * images * self.plane(), 0.0);
        for (image, x) in x.chunks_exact(self.input_size()).enumerate() {
            self.runs(image, images, |to, from, length| {
                let to = &mut columns[to..to + length];
                if step == 1 {
                    to.copy_from_slice(&x[from..from + length]);
                } else {
                    to.iter_mut().zip(x[from..].iter().step_by(step)).for_each(|(to, x)| *to = *x);
                }
            });
        }
    }

    fn roll(&self, columns: &[f32], x: &mut [f32]) {
        let (images, step) = (x.len() / self.input_size(), self.window.stride[1]);
        for (image, x) in x.chunks_exact_mut(self.input_size()).enumerate() {
            self.runs(image, images, |from, to, length| {
                let from = &columns[from..from + length];
                if step == 1 {
                    x[to..to + length].iter_mut().zip(from).for_each(|(x, g)| *x += g);
                } else {
                    x[to..].iter_mut().step_by(step).zip(from).for_each(|(x, g)| *x += g);
                }
            });
        }
    }

    /// The output, after ReLU if `relu`.
    pub fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32], relu: bool) -> Vec<f32> {
        let mut out = vec![0.0; x.len() / self.input_size() * self.output_size()];
        if let Some(direct) = Direct::new(*self) {
            let part = Self::part(direct.footprint());
            pieces(&mut out, part * self.output_size(), |k, out| {
                let x = &x[k * part * self.input_size()..][..out.len() / self.output_size() * self.input_size()];
                direct.forward(x, weight, bias, relu, out);
            });
            return out;
        }
        let (plane, taps) = (self.plane(), self.taps());
        let part = Self::part(taps * plane);
        pieces(&mut out, part * self.output_size(), |k, out| {
            let images = out.len() / self.output_size();
            let mut columns = Vec::new();
            self.unroll(&x[k * part * self.input_size()..][..images * self.input_size()], &mut columns);
            let mut product = vec![0.0; out.len()];
            // [filters, images plane] = [filters, taps] [taps, images plane]
            matmul(
                MatMut::from_row_major_slice_mut(&mut product, self.filters, images * plane),
                Accum::Replace,
                MatRef::from_row_major_slice(weight, self.filters, taps),
                MatRef::from_row_major_slice(&columns, taps, images * plane),
                1.0,
                Par::Seq,
            );
            for (at, to) in out.chunks_exact_mut(plane).enumerate() {
                let (image, o) = (at / self.filters, at % self.filters);
                let from = &product[(o * images + image) * plane..][..plane];
                let (b, least) = (bias[o], if relu { 0.0 } else { f32::NEG_INFINITY });
                to.iter_mut().zip(from).for_each(|(to, y)| *to = (y + b).max(least));
            }
        });
        out
    }

    /// Gradients from that of the output before any ReLU.
    pub fn backward(&self, x: &[f32], weight: &[f32], gradient: &[f32], of_input: bool) -> Gradients {
        let direct = Direct::new(*self);
        let part = Self::part(direct.as_ref().map_or(self.taps() * self.plane(), Direct::footprint));
        let n = x.len() / self.input_size();
        let each = parts(n.div_ceil(part), |k| {
            let images = part.min(n - k * part);
            let x = &x[k * part * self.input_size()..][..images * self.input_size()];
            let gradient = &gradient[k * part * self.output_size()..][..images * self.output_size()];
            match &direct {
                Some(direct) => direct.backward(x, weight, gradient, of_input),
                None => self.backward_unrolled(x, weight, gradient, of_input),
            }
        });
        let mut total = Gradients { input: Vec::new(), weight: vec![0.0; weight.len()], bias: vec![0.0; self.filters] };
        total.input.reserve_exact(if of_input { x.len() } else { 0 });
        for part in each {
            total.weight.iter_mut().zip(&part.weight).for_each(|(t, p)| *t += p);
            total.bias.iter_mut().zip(&part.bias).for_each(|(t, p)| *t += p);
            total.input.extend_from_slice(&part.input);
        }
        total
    }

    fn backward_unrolled(&self, x: &[f32], weight: &[f32], gradient: &[f32], of_input: bool) -> Gradients {
        let (images, plane, taps) = (x.len() / self.input_size(), self.plane(), self.taps());
        let mut columns = Vec::new();
        self.unroll(x, &mut columns);
        let mut by_filter = vec![0.0; gradient.len()];
        for (at, from) in gradient.chunks_exact(plane).enumerate() {
            let (image, o) = (at / self.filters, at % self.filters);
            by_filter[(o * images + image) * plane..][..plane].copy_from_slice(from);
        }
        let bias = by_filter.chunks_exact(images * plane).map(sum).collect();
        let outer = MatRef::from_row_major_slice(&by_filter, self.filters, images * plane);
        let mut by_weight = vec![0.0; self.filters * taps];
        let unrolled = MatRef::from_row_major_slice(&columns, taps, images * plane);
        let product = MatMut::from_row_major_slice_mut(&mut by_weight, self.filters, taps);
        matmul(product, Accum::Replace, outer, unrolled.transpose(), 1.0, Par::Seq);
        let mut input = Vec::new();
        if of_input {
            let product = MatMut::from_row_major_slice_mut(&mut columns, taps, images * plane);
            let weight = MatRef::from_row_major_slice(weight, self.filters, taps);
            matmul(product, Accum::Replace, weight.transpose(), outer, 1.0, Par::Seq);
            input = vec![0.0; x.len()];
            self.roll(&columns, &mut input);
        }
        Gradients { input, weight: by_weight, bias }
    }
}
