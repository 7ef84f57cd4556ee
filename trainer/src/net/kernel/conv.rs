//! Convolution: `y[o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[c, s i + u - p, s j + v - p]`.
//!
//! Sixteen images are computed side by side, one in each lane: `[n, c, h, w]` is turned to `[h, w, c, lane]` with the
//! padding around it, so that what a window covers of a row is one run of vectors, and the innermost loops multiply
//! vectors by numbers whatever the shape. One thread; groups of sixteen run side by side. On one core whose peak is 51
//! billion multiplications a second, the forward pass does 48 to 54, the gradient by the weights 22 to 25, that by the
//! input 26 to 46 (the convolutions of `lenet16` and `thesis-cifar`, without the turning).

use super::{LANES, Lanes, gather, parts, pieces, scatter, sum};
use crate::image::folded::Window;
use pulp::{Arch, Simd, WithSimd};

/// Filters, or entries of a run, whose sums are in registers together.
const BLOCK: usize = 4;
/// Vectors of output rows that are computed together: 128 kB, to stay in the second-level cache.
const TOGETHER: usize = 1 << 11;

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

    /// Entries of a row of the padded image that a window covers, one after the other.
    fn run(&self) -> usize {
        self.window.kernel[1] * self.input[0]
    }

    /// Rows and columns of the padded image.
    fn padded(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.input[axis + 1] + 2 * self.window.padding[axis])
    }

    /// First entry of row `u` of the window of output (i, j) in the padded image `[h, w, c]`.
    #[inline(always)]
    fn corner(&self, i: usize, j: usize, u: usize) -> usize {
        let [rows, columns] = self.window.stride;
        ((i * rows + u) * self.padded()[1] + j * columns) * self.input[0]
    }

    /// Output rows that are computed together.
    fn together(&self) -> usize {
        (TOGETHER / (self.output[1] * self.filters).max(1)).clamp(1, self.output[0].max(1))
    }

    /// Visits the rows of all channels: first number in an image, first entry in the padded one.
    fn rows(&self) -> impl Iterator<Item = (usize, usize)> {
        let ([channels, height, width], [above, left]) = (self.input, self.window.padding);
        let padded = self.padded()[1];
        (0..channels * height).map(move |k| {
            let (c, y) = (k / height, k % height);
            (k * width, ((y + above) * padded + left) * channels + c)
        })
    }

    /// Up to sixteen images with padding, `[h, w, c]`.
    #[inline(always)]
    fn turned(&self, x: &[f32]) -> Vec<Lanes> {
        let [rows, columns] = self.padded();
        let mut turned = vec![[0.0; LANES]; rows * columns * self.input[0]];
        for (from, to) in self.rows() {
            gather(&x[from..], self.input_size(), self.input[2], &mut turned[to..], self.input[0]);
        }
        turned
    }

    /// Weights `[o, c, u, v]` as `[o / 4, u, v, c, 4]`.
    fn packed_by_filter(&self, weight: &[f32]) -> Vec<[f32; BLOCK]> {
        let mut packed = vec![[0.0; BLOCK]; self.filters.div_ceil(BLOCK) * self.taps()];
        self.each_tap(|o, tap, turned| {
            packed[o / BLOCK * self.taps() + turned][o % BLOCK] = weight[o * self.taps() + tap]
        });
        packed
    }

    /// Weights `[o, c, u, v]` as `[u, (v, c) / 4, o, 4]`.
    fn packed_by_run(&self, weight: &[f32]) -> Vec<[f32; BLOCK]> {
        let blocks = self.run().div_ceil(BLOCK);
        let mut packed = vec![[0.0; BLOCK]; self.window.kernel[0] * blocks * self.filters];
        self.each_tap(|o, tap, turned| {
            let (u, q) = (turned / self.run(), turned % self.run());
            packed[(u * blocks + q / BLOCK) * self.filters + o][q % BLOCK] = weight[o * self.taps() + tap];
        });
        packed
    }

    /// Visits (filter, place of a weight in `[c, u, v]`, its place in `[u, v, c]`).
    fn each_tap(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ([channels, ..], [rows, columns]) = (self.input, self.window.kernel);
        for o in 0..self.filters {
            for c in 0..channels {
                for at in 0..rows * columns {
                    visit(o, c * rows * columns + at, at * channels + c);
                }
            }
        }
    }

    /// The output, after ReLU if `relu`.
    pub fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32], relu: bool) -> Vec<f32> {
        let packed = self.packed_by_filter(weight);
        let mut out = vec![0.0; x.len() / self.input_size() * self.output_size()];
        let least = if relu { 0.0 } else { f32::NEG_INFINITY };
        pieces(&mut out, LANES * self.output_size(), |k, out| {
            let x = &x[k * LANES * self.input_size()..][..out.len() / self.output_size() * self.input_size()];
            Arch::new().dispatch(Forward { geometry: self, x, packed: &packed, bias, least, out });
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
        pieces(&mut out, LANES * self.input_size(), |k, out| {
            let gradient = &y[k * LANES * self.output_size()..][..out.len() / self.input_size() * self.output_size()];
            Arch::new().dispatch(Backward {
                geometry: self,
                gradient,
                by_weight: None,
                by_input: Some((&packed, &mut *out)),
            });
            for (at, x) in out.chunks_exact_mut(self.input[1] * self.input[2]).enumerate() {
                let b = bias[at % self.input[0]];
                x.iter_mut().for_each(|x| *x = (*x + b).max(least));
            }
        });
        out
    }

    /// Gradients from that of the output before any ReLU.
    pub fn backward(&self, x: &[f32], weight: &[f32], gradient: &[f32], of_input: bool) -> Gradients {
        let (n, taps) = (x.len() / self.input_size(), self.taps());
        let packed = if of_input { self.packed_by_run(weight) } else { Vec::new() };
        let each = parts(n.div_ceil(LANES), |k| {
            let images = LANES.min(n - k * LANES);
            let x = &x[k * LANES * self.input_size()..][..images * self.input_size()];
            let gradient = &gradient[k * LANES * self.output_size()..][..images * self.output_size()];
            let mut bias = vec![0.0; self.filters];
            for (at, plane) in gradient.chunks_exact(self.plane()).enumerate() {
                bias[at % self.filters] += sum(plane);
            }
            let mut by_weight = vec![0.0; self.filters * taps];
            let mut input = vec![0.0; if of_input { images * self.input_size() } else { 0 }];
            let by_input = of_input.then_some((&packed[..], &mut input[..]));
            Arch::new().dispatch(Backward { geometry: self, gradient, by_weight: Some((x, &mut by_weight)), by_input });
            Gradients { input, weight: by_weight, bias }
        });
        let mut total = Gradients { input: Vec::new(), weight: vec![0.0; weight.len()], bias: vec![0.0; self.filters] };
        total.input.reserve_exact(if of_input { x.len() } else { 0 });
        let mut turned = vec![0.0; weight.len()];
        for part in each {
            turned.iter_mut().zip(&part.weight).for_each(|(t, p)| *t += p);
            total.bias.iter_mut().zip(&part.bias).for_each(|(t, p)| *t += p);
            total.input.extend_from_slice(&part.input);
        }
        self.each_tap(|o, tap, place| total.weight[o * taps + tap] = turned[o * taps + place]);
        total
    }
}

/// The forward pass of up to sixteen images.
struct Forward<'a> {
    geometry: &'a Geometry,
    x: &'a [f32],
    packed: &'a [[f32; BLOCK]],
    bias: &'a [f32],
    least: f32,
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let g = self.geometry;
        let ([rows, columns], filters, run, taps) = (g.output, g.filters, g.run(), g.taps());
        let x = g.turned(self.x);
        let mut y = vec![[0.0; LANES]; g.together() * columns * filters];
        for first in (0..rows).step_by(g.together()) {
            let count = g.together().min(rows - first);
            for at in 0..count * columns {
                let (i, j) = (first + at / columns, at % columns);
                for (block, y) in y[at * filters..][..filters].chunks_mut(BLOCK).enumerate() {
                    let weights = &self.packed[block * taps..][..taps];
                    for pair in 0..LANES / S::F32_LANES / 2 {
                        let mut sums = Pairs::new(simd);
                        for u in 0..g.window.kernel[0] {
                            sums.add(&x[g.corner(i, j, u)..][..run], &weights[u * run..][..run], pair);
                        }
                        for (k, y) in y.iter_mut().enumerate() {
                            sums.rectify(k, self.bias[block * BLOCK + k], self.least, pair, y);
                        }
                    }
                }
            }
            for o in 0..filters {
                let start = o * rows * columns + first * columns;
                scatter(&y[o..], filters, count * columns, &mut self.out[start..], g.output_size());
            }
        }
    }
}

/// The backward pass of up to sixteen images.
struct Backward<'a> {
    geometry: &'a Geometry,
    gradient: &'a [f32],
    /// The input, and where the gradient by the weights is added, `[o, u, v, c]`.
    by_weight: Option<(&'a [f32], &'a mut [f32])>,
    /// The weights by runs, and where the gradient by the input goes.
    by_input: Option<(&'a [[f32; BLOCK]], &'a mut [f32])>,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let g = self.geometry;
        let ([rows, columns], filters) = (g.output, g.filters);
        let x = self.by_weight.as_ref().map(|(x, _)| g.turned(x)).unwrap_or_default();
        let entries = g.padded()[0] * g.padded()[1] * g.input[0];
        let mut by_input = vec![[0.0; LANES]; if self.by_input.is_some() { entries } else { 0 }];
        let mut gradient = vec![[0.0; LANES]; g.together() * columns * filters];
        for first in (0..rows).step_by(g.together()) {
            let count = g.together().min(rows - first);
            for o in 0..filters {
                let start = o * rows * columns + first * columns;
                gather(&self.gradient[start..], g.output_size(), count * columns, &mut gradient[o..], filters);
            }
            let lines = Lines { geometry: g, gradient: &gradient[..count * columns * filters], first };
            if let Some((_, by_weight)) = &mut self.by_weight {
                lines.by_weight(simd, &x, by_weight);
            }
            if let Some((packed, _)) = &self.by_input {
                lines.by_input(simd, packed, &mut by_input);
            }
        }
        if let Some((_, out)) = self.by_input {
            for (to, from) in g.rows() {
                scatter(&by_input[from..], g.input[0], g.input[2], &mut out[to..], g.input_size());
            }
        }
    }
}

/// Some rows of the gradient by the output, `[i, j, o]`.
struct Lines<'a> {
    geometry: &'a Geometry,
    gradient: &'a [Lanes],
    /// The first row.
    first: usize,
}

impl Lines<'_> {
    #[inline(always)]
    fn by_weight<S: Simd>(&self, simd: S, x: &[Lanes], out: &mut [f32]) {
        let (filters, run) = (self.geometry.filters, self.geometry.run());
        // Filters outermost: the gradients of a block stay in the first-level cache.
        let mut o = 0;
        while o < filters {
            let block = if filters - o >= BLOCK { BLOCK } else { 1 };
            for u in 0..self.geometry.window.kernel[0] {
                for q in (0..run).step_by(3) {
                    let at = (o, u, q);
                    match (block, run - q) {
                        (BLOCK, 1) => self.block::<S, BLOCK, 1>(simd, x, at, out),
                        (BLOCK, 2) => self.block::<S, BLOCK, 2>(simd, x, at, out),
                        (BLOCK, _) => self.block::<S, BLOCK, 3>(simd, x, at, out),
                        (_, 1) => self.block::<S, 1, 1>(simd, x, at, out),
                        (_, 2) => self.block::<S, 1, 2>(simd, x, at, out),
                        (_, _) => self.block::<S, 1, 3>(simd, x, at, out),
                    }
                }
            }
            o += block;
        }
    }

    /// Adds the gradient by the weights of `FILTERS` filters from `o` on and `ENTRIES` entries of row `u` from `q` on.
    #[inline(always)]
    fn block<S: Simd, const FILTERS: usize, const ENTRIES: usize>(
        &self,
        simd: S,
        x: &[Lanes],
        (o, u, q): (usize, usize, usize),
        out: &mut [f32],
    ) {
        let (g, parts) = (self.geometry, LANES / S::F32_LANES);
        let (x, gradient) = (S::as_simd_f32s(x.as_flattened()).0, S::as_simd_f32s(self.gradient.as_flattened()).0);
        let mut sums = [[simd.splat_f32s(0.0); ENTRIES]; FILTERS];
        for (i, gradient) in gradient.chunks_exact(g.output[1] * g.filters * parts).enumerate() {
            for (j, gradient) in gradient.chunks_exact(g.filters * parts).enumerate() {
                let x = &x[(g.corner(self.first + i, j, u) + q) * parts..][..ENTRIES * parts];
                let gradient = &gradient[o * parts..][..FILTERS * parts];
                for part in 0..parts {
                    for f in 0..FILTERS {
                        for e in 0..ENTRIES {
                            let (g, x) = (gradient[f * parts + part], x[e * parts + part]);
                            sums[f][e] = simd.mul_add_e_f32s(g, x, sums[f][e]);
                        }
                    }
                }
            }
        }
        for f in 0..FILTERS {
            let out = &mut out[(o + f) * g.taps() + u * g.run() + q..][..ENTRIES];
            for e in 0..ENTRIES {
                out[e] += simd.reduce_sum_f32s(sums[f][e]);
            }
        }
    }

    #[inline(always)]
    fn by_input<S: Simd>(&self, simd: S, packed: &[[f32; BLOCK]], out: &mut [Lanes]) {
        let g = self.geometry;
        let (run, blocks) = (g.run(), g.run().div_ceil(BLOCK));
        for (at, gradient) in self.gradient.chunks_exact(g.filters).enumerate() {
            let (i, j) = (self.first + at / g.output[1], at % g.output[1]);
            for u in 0..g.window.kernel[0] {
                let covered = &mut out[g.corner(i, j, u)..][..run];
                for (block, covered) in covered.chunks_mut(BLOCK).enumerate() {
                    let weights = &packed[(u * blocks + block) * g.filters..][..g.filters];
                    for pair in 0..LANES / S::F32_LANES / 2 {
                        let mut sums = Pairs::new(simd);
                        sums.add(gradient, weights, pair);
                        for (k, x) in covered.iter_mut().enumerate() {
                            sums.add_to(k, pair, x);
                        }
                    }
                }
            }
        }
    }
}

/// Four sums of two vectors each: enough to keep the multipliers busy, few enough for the registers.
struct Pairs<S: Simd> {
    simd: S,
    sums: [[S::f32s; 2]; BLOCK],
}

impl<S: Simd> Pairs<S> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        Pairs { simd, sums: [[simd.splat_f32s(0.0); 2]; BLOCK] }
    }

    /// sums[k] += sum over the entries of weight k times a pair of the entry's vectors.
    #[inline(always)]
    fn add(&mut self, entries: &[Lanes], weights: &[[f32; BLOCK]], pair: usize) {
        let simd = self.simd;
        for (entry, weights) in entries.iter().zip(weights) {
            let entry = &S::as_simd_f32s(entry).0[2 * pair..][..2];
            for (sums, w) in self.sums.iter_mut().zip(weights) {
                let w = simd.splat_f32s(*w);
                for (sum, entry) in sums.iter_mut().zip(entry) {
                    *sum = simd.mul_add_e_f32s(w, *entry, *sum);
                }
            }
        }
    }

    /// y = max(sums[k] + b, least), in a pair of its vectors.
    #[inline(always)]
    fn rectify(&self, k: usize, b: f32, least: f32, pair: usize, y: &mut Lanes) {
        let simd = self.simd;
        let (b, least) = (simd.splat_f32s(b), simd.splat_f32s(least));
        for half in 0..2 {
            let sum = simd.add_f32s(self.sums[k][half], b);
            S::as_mut_simd_f32s(y).0[2 * pair + half] = simd.max_f32s(sum, least);
        }
    }

    /// x += sums[k], in a pair of its vectors.
    #[inline(always)]
    fn add_to(&self, k: usize, pair: usize, x: &mut Lanes) {
        for half in 0..2 {
            let x = &mut S::as_mut_simd_f32s(x).0[2 * pair + half];
            *x = self.simd.add_f32s(*x, self.sums[k][half]);
        }
    }
}
