//! Convolution: `y[o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[c, s i + u - p, s j + v - p]`.
//!
//! Sixteen images are computed side by side, one in each lane: `[n, c, h, w]` is rearranged to `[h, w, c, lane]` with padding,
//! so that a window covers one run of vectors in each row, and the innermost loops multiply vectors by numbers whatever the
//! shape. Groups of sixteen images run on several threads. On one core with a peak of 51 billion multiplications a second, the
//! convolutions of `lenet16` and `thesis-cifar` reach 19 to 39 billion forward, 21 to 32 for the gradient by the weights, and
//! 28 to 44 for the gradient by the input, rearrangement and memory included. The least is reached with one or three channels,
//! for then there are few multiplications per rearranged number.

mod vectors;

use super::{LANES, Lanes, for_each_chunk, gather, map_range, sum};
use pulp::Arch;
use sirocco::layer::shape::{Geometry, Shape};
use vectors::{Backward, Forward};

/// Filters, or entries of a run, whose sums are in registers at the same time.
const BLOCK: usize = 4;
/// Vectors in a strip of output rows: 128 kB, to stay in the second-level cache.
const STRIP: usize = 1 << 11;

/// A convolution or its adjoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the input to the output.
    Forward,
    /// From the shape of the output to that of the input: a transposed convolution.
    Adjoint,
}

/// A convolution of these shapes, on values `[n, c, h, w]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv(pub Geometry);

/// Gradients of a convolution.
#[derive(Debug)]
pub struct Gradients {
    /// By the input; empty unless it was asked for.
    pub input: Vec<f32>,
    /// By the weights.
    pub weight: Vec<f32>,
    /// By the biases.
    pub bias: Vec<f32>,
}

impl Conv {
    /// Numbers of one input image.
    #[inline]
    fn input_size(&self) -> usize {
        self.0.input.size()
    }

    /// Numbers of one output image.
    #[inline]
    fn output_size(&self) -> usize {
        self.0.output.size()
    }

    /// Channels of the input.
    #[inline]
    fn channels(&self) -> usize {
        self.0.input.channels
    }

    /// Channels of the output.
    #[inline]
    fn filters(&self) -> usize {
        self.0.output.channels
    }

    /// Rows and columns of the output.
    #[inline]
    fn output(&self) -> [usize; 2] {
        [self.0.output.height, self.0.output.width]
    }

    /// Weights of one filter.
    #[inline]
    fn taps(&self) -> usize {
        self.0.taps()
    }

    /// Rows of the kernel.
    #[inline]
    fn kernel_rows(&self) -> usize {
        self.0.window.kernel[0]
    }

    /// Entries of a row of the padded image that a window covers, one after the other.
    #[inline]
    fn run(&self) -> usize {
        self.0.window.kernel[1] * self.channels()
    }

    /// Rows and columns of the padded image.
    #[inline]
    fn padded(&self) -> [usize; 2] {
        let ([above, left], [below, right]) = (self.0.window.padding, self.0.window.after);
        [self.0.input.height + above + below, self.0.input.width + left + right]
    }

    /// First entry of row `u` of the window of output (i, j) in the padded image `[h, w, c]`.
    #[inline(always)]
    fn corner(&self, i: usize, j: usize, u: usize) -> usize {
        let [rows, columns] = self.0.window.stride;
        ((i * rows + u) * self.padded()[1] + j * columns) * self.channels()
    }

    /// The number of output rows in a strip.
    fn strip(&self) -> usize {
        let [rows, columns] = self.output();
        (STRIP / (columns * self.filters()).max(1)).clamp(1, rows.max(1))
    }

    /// The rows of all channels: the first number of each in an image, and its first entry in the padded image.
    fn rows(&self) -> impl Iterator<Item = (usize, usize)> {
        let (Shape { height, width, channels }, [above, left]) = (self.0.input, self.0.window.padding);
        let padded = self.padded()[1];
        (0..channels * height).map(move |k| {
            let (c, y) = (k / height, k % height);
            (k * width, ((y + above) * padded + left) * channels + c)
        })
    }

    /// Up to sixteen images with padding, rearranged to `[h, w, c]`.
    #[inline(always)]
    fn interleaved(&self, x: &[f32]) -> Vec<Lanes> {
        let [rows, columns] = self.padded();
        let mut interleaved = vec![[0.0; LANES]; rows * columns * self.channels()];
        for (from, to) in self.rows() {
            gather(&x[from..], self.input_size(), self.0.input.width, &mut interleaved[to..], self.channels());
        }
        interleaved
    }

    /// Weights `[o, c, u, v]` as `[o / 4, u, v, c, 4]`.
    fn packed_by_filter(&self, weight: &[f32]) -> Vec<[f32; BLOCK]> {
        let mut packed = vec![[0.0; BLOCK]; self.filters().div_ceil(BLOCK) * self.taps()];
        self.each_tap(|o, tap, place| {
            packed[o / BLOCK * self.taps() + place][o % BLOCK] = weight[o * self.taps() + tap]
        });
        packed
    }

    /// Weights `[o, c, u, v]` as `[u, (v, c) / 4, o, 4]`.
    fn packed_by_run(&self, weight: &[f32]) -> Vec<[f32; BLOCK]> {
        let blocks = self.run().div_ceil(BLOCK);
        let mut packed = vec![[0.0; BLOCK]; self.kernel_rows() * blocks * self.filters()];
        self.each_tap(|o, tap, place| {
            let (u, q) = (place / self.run(), place % self.run());
            packed[(u * blocks + q / BLOCK) * self.filters() + o][q % BLOCK] = weight[o * self.taps() + tap];
        });
        packed
    }

    /// Calls `visit` for every weight with its filter, its place in `[c, u, v]`, and its place in `[u, v, c]`.
    fn each_tap(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let (channels, [rows, columns]) = (self.channels(), self.0.window.kernel);
        for o in 0..self.filters() {
            for c in 0..channels {
                for at in 0..rows * columns {
                    visit(o, c * rows * columns + at, at * channels + c);
                }
            }
        }
    }

    /// The shape of the result.
    pub fn output_shape(&self, direction: Direction) -> Shape {
        match direction {
            Direction::Forward => self.0.output,
            Direction::Adjoint => self.0.input,
        }
    }

    /// The result, after ReLU if `relu`: [`Self::forward`] or [`Self::adjoint`].
    pub fn apply(&self, direction: Direction, x: &[f32], weight: &[f32], bias: &[f32], relu: bool) -> Vec<f32> {
        match direction {
            Direction::Forward => self.forward(x, weight, bias, relu),
            Direction::Adjoint => self.adjoint(x, weight, bias, relu),
        }
    }

    /// Gradients of [`Self::apply`] from that of the result before any ReLU.
    pub fn gradients(
        &self,
        direction: Direction,
        x: &[f32],
        weight: &[f32],
        gradient: &[f32],
        of_input: bool,
    ) -> Gradients {
        if direction == Direction::Forward {
            return self.backward(x, weight, gradient, of_input);
        }
        // The adjoint of the adjoint is the convolution. Both have the same gradient by the weights, with input and output
        // exchanged.
        let zeros = vec![0.0; self.filters()];
        let input = if of_input { self.forward(gradient, weight, &zeros, false) } else { Vec::new() };
        let by_weight = self.backward(gradient, weight, x, false).weight;
        let mut bias = vec![0.0; self.channels()];
        for (at, plane) in gradient.chunks_exact(self.0.input.pixels()).enumerate() {
            bias[at % self.channels()] += sum(plane);
        }
        Gradients { input, weight: by_weight, bias }
    }

    /// The output, after ReLU if `relu`.
    pub fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32], relu: bool) -> Vec<f32> {
        let packed = self.packed_by_filter(weight);
        let mut out = vec![0.0; x.len() / self.input_size() * self.output_size()];
        let least = if relu { 0.0 } else { f32::NEG_INFINITY };
        for_each_chunk(&mut out, LANES * self.output_size(), |k, out| {
            let x = &x[k * LANES * self.input_size()..][..out.len() / self.output_size() * self.input_size()];
            Arch::new().dispatch(Forward { conv: self, x, packed: &packed, bias, least, out });
        });
        out
    }

    /// The adjoint, which takes `[n, filters, oh, ow]` to the shape of the input: `x[c, s i + u - p, s j + v - p]` is the
    /// sum of `w[o, c, u, v] y[o, i, j]`, plus `bias[c]`, after ReLU if `relu`. It is the gradient by the input, and the
    /// forward pass of a transposed convolution.
    pub fn adjoint(&self, y: &[f32], weight: &[f32], bias: &[f32], relu: bool) -> Vec<f32> {
        let packed = self.packed_by_run(weight);
        let mut out = vec![0.0; y.len() / self.output_size() * self.input_size()];
        let least = if relu { 0.0 } else { f32::NEG_INFINITY };
        for_each_chunk(&mut out, LANES * self.input_size(), |k, out| {
            let gradient = &y[k * LANES * self.output_size()..][..out.len() / self.input_size() * self.output_size()];
            Arch::new().dispatch(Backward {
                conv: self,
                gradient,
                by_weight: None,
                by_input: Some((&packed, &mut *out)),
            });
            for (at, x) in out.chunks_exact_mut(self.0.input.pixels()).enumerate() {
                let b = bias[at % self.channels()];
                x.iter_mut().for_each(|x| *x = (*x + b).max(least));
            }
        });
        out
    }

    /// Gradients from that of the output before any ReLU.
    pub fn backward(&self, x: &[f32], weight: &[f32], gradient: &[f32], of_input: bool) -> Gradients {
        let (n, taps) = (x.len() / self.input_size(), self.taps());
        let packed = if of_input { self.packed_by_run(weight) } else { Vec::new() };
        let groups = map_range(n.div_ceil(LANES), |k| {
            let images = LANES.min(n - k * LANES);
            let x = &x[k * LANES * self.input_size()..][..images * self.input_size()];
            let gradient = &gradient[k * LANES * self.output_size()..][..images * self.output_size()];
            let mut bias = vec![0.0; self.filters()];
            for (at, plane) in gradient.chunks_exact(self.0.output.pixels()).enumerate() {
                bias[at % self.filters()] += sum(plane);
            }
            let mut by_weight = vec![0.0; self.filters() * taps];
            let mut input = vec![0.0; if of_input { images * self.input_size() } else { 0 }];
            let by_input = of_input.then_some((&packed[..], &mut input[..]));
            Arch::new().dispatch(Backward { conv: self, gradient, by_weight: Some((x, &mut by_weight)), by_input });
            Gradients { input, weight: by_weight, bias }
        });
        let mut total =
            Gradients { input: Vec::new(), weight: vec![0.0; weight.len()], bias: vec![0.0; self.filters()] };
        total.input.reserve_exact(if of_input { x.len() } else { 0 });
        // The weights in the order `[o, u, v, c]`.
        let mut by_weight = vec![0.0; weight.len()];
        for group in groups {
            let weights = by_weight.iter_mut().zip(&group.weight);
            for (total, of_group) in weights.chain(total.bias.iter_mut().zip(&group.bias)) {
                *total += of_group;
            }
            total.input.extend_from_slice(&group.input);
        }
        self.each_tap(|o, tap, place| total.weight[o * taps + tap] = by_weight[o * taps + place]);
        total
    }
}
