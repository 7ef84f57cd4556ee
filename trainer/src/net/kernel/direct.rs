//! Convolutions of stride 1 without an unrolled matrix: products with shifted views of the padded image.
//!
//! The unrolled matrix of [`super::conv`] repeats every number once per tap, and for images of a few rows and columns
//! its making costs more than the product. With rows padded to the width W of the padded image, output (i, j) lies at
//! place p = i W + j, and what tap
//! (c, u, v) multiplies lies at p + c H W + u W + v: one offset per tap for all outputs. So the places are walked in
//! blocks of `LANES`, the W - columns of a row that are no outputs included; forward they are left out at the end,
//! backward the gradient is zero there. Every kernel holds its sums in registers: forward `FILTERS` filters by a
//! block, the gradient of the weights filters by `TAPS` taps, that of the input taps by a block.

use super::conv::{Geometry, Gradients};
use super::sum;
use pulp::{Arch, Simd, WithSimd};

/// Places are rounded up to this: two registers of at most sixteen numbers.
const LANES: usize = 32;
/// Filters of a block.
const FILTERS: usize = 4;
/// Taps of a block.
const TAPS: usize = 3;

/// A convolution of stride 1, made ready.
#[derive(Debug, Clone)]
pub struct Direct {
    geometry: Geometry,
    /// Columns of the padded image.
    width: usize,
    /// Numbers of the padded image, with what a block may read beyond its end.
    padded: usize,
    /// Places of one output channel: rows of `width`, rounded up to whole blocks.
    places: usize,
    /// Where the first output of every tap reads.
    offsets: Vec<usize>,
}

impl Direct {
    /// None where the stride is another.
    pub fn new(geometry: Geometry) -> Option<Self> {
        let Geometry { input: [channels, height, columns], output, window, .. } = geometry;
        let (height, width) = (height + 2 * window.padding[0], columns + 2 * window.padding[1]);
        let taps = (0..channels).flat_map(|c| (0..window.kernel[0]).map(move |u| (c * height + u) * width));
        let offsets = taps.flat_map(|row| (0..window.kernel[1]).map(move |v| row + v)).collect();
        let places = ((output[0] - 1) * width + output[1]).next_multiple_of(LANES);
        let padded = channels * height * width + LANES;
        (window.stride == [1, 1]).then_some(Direct { geometry, width, padded, places, offsets })
    }

    /// Numbers that one image takes in both directions.
    pub fn footprint(&self) -> usize {
        self.padded + self.geometry.filters.next_multiple_of(FILTERS) * self.places
    }

    /// Where row `row` of channel `c` begins in the padded image.
    fn row(&self, c: usize, row: usize) -> usize {
        let Geometry { input, window, .. } = &self.geometry;
        (c * (input[1] + 2 * window.padding[0]) + row + window.padding[0]) * self.width + window.padding[1]
    }

    fn pad(&self, image: &[f32], padded: &mut [f32]) {
        let [_, height, columns] = self.geometry.input;
        for (k, row) in image.chunks_exact(columns).enumerate() {
            padded[self.row(k / height, k % height)..][..columns].copy_from_slice(row);
        }
    }

    /// The gradient of one image's output, by places, zeros between; filters beyond the last stay zero.
    fn spread(&self, gradient: &[f32], spread: &mut [f32]) {
        let [rows, columns] = self.geometry.output;
        for (k, row) in gradient.chunks_exact(columns).enumerate() {
            spread[k / rows * self.places + k % rows * self.width..][..columns].copy_from_slice(row);
        }
    }

    /// The output, after ReLU if `relu`, into `out`.
    pub fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32], relu: bool, out: &mut [f32]) {
        let blocks = self.geometry.filters.div_ceil(FILTERS);
        let taps = self.offsets.len();
        // [block of filters, tap, filter]
        let mut packed = vec![[0.0; FILTERS]; blocks * taps];
        for (f, weight) in weight.chunks_exact(taps).enumerate() {
            for (t, w) in weight.iter().enumerate() {
                packed[f / FILTERS * taps + t][f % FILTERS] = *w;
            }
        }
        let mut padded = vec![0.0; self.padded];
        let mut product = vec![0.0; blocks * FILTERS * self.places];
        let least = if relu { 0.0 } else { f32::NEG_INFINITY };
        let [rows, columns] = self.geometry.output;
        for (x, out) in
            x.chunks_exact(self.geometry.input_size()).zip(out.chunks_exact_mut(self.geometry.output_size()))
        {
            self.pad(x, &mut padded);
            Arch::new().dispatch(Forward { direct: self, packed: &packed, padded: &padded, product: &mut product });
            for (k, out) in out.chunks_exact_mut(columns).enumerate() {
                let from = &product[k / rows * self.places + k % rows * self.width..][..columns];
                let b = bias[k / rows];
                out.iter_mut().zip(from).for_each(|(out, y)| *out = (y + b).max(least));
            }
        }
    }

    /// Gradients from that of the output before any ReLU.
    pub fn backward(&self, x: &[f32], weight: &[f32], gradient: &[f32], of_input: bool) -> Gradients {
        let Geometry { input: [_, height, columns], output, filters, .. } = self.geometry;
        let images = x.len() / self.geometry.input_size();
        let (taps, size) = (self.offsets.len(), filters.next_multiple_of(FILTERS) * self.places);
        let mut padded = vec![0.0; images * self.padded];
        let mut spread = vec![0.0; images * size];
        let mut bias = vec![0.0; filters];
        for (image, x) in x.chunks_exact(self.geometry.input_size()).enumerate() {
            self.pad(x, &mut padded[image * self.padded..][..self.padded]);
            let gradient = &gradient[image * self.geometry.output_size()..][..self.geometry.output_size()];
            self.spread(gradient, &mut spread[image * size..][..size]);
            let planes = gradient.chunks_exact(output[0] * output[1]);
            bias.iter_mut().zip(planes).for_each(|(b, plane)| *b += sum(plane));
        }
        let mut by_weight = vec![0.0; weight.len()];
        let by = ByWeight { direct: self, padded: &padded, spread: &spread, by_weight: &mut by_weight };
        Arch::new().dispatch(by);
        if !of_input {
            return Gradients { input: Vec::new(), weight: by_weight, bias };
        }
        // [block of taps, filter, tap]
        let blocks = taps.div_ceil(FILTERS);
        let mut packed = vec![[0.0; FILTERS]; blocks * filters];
        for (f, weight) in weight.chunks_exact(taps).enumerate() {
            for (t, w) in weight.iter().enumerate() {
                packed[t / FILTERS * filters + f][t % FILTERS] = *w;
            }
        }
        let mut input = vec![0.0; x.len()];
        for (image, out) in input.chunks_exact_mut(self.geometry.input_size()).enumerate() {
            let padded = &mut padded[..self.padded];
            padded.fill(0.0);
            let spread = &spread[image * size..][..size];
            Arch::new().dispatch(ByInput { direct: self, packed: &packed, spread, padded });
            for (k, row) in out.chunks_exact_mut(columns).enumerate() {
                row.copy_from_slice(&padded[self.row(k / height, k % height)..][..columns]);
            }
        }
        Gradients { input, weight: by_weight, bias }
    }
}

/// Two registers from `x[at..]`.
#[inline(always)]
fn pair<S: Simd>(x: &[f32], at: usize) -> [S::f32s; 2] {
    let registers = S::as_simd_f32s(&x[at..at + 2 * S::F32_LANES]).0;
    [registers[0], registers[1]]
}

#[inline(always)]
fn store<S: Simd>(x: &mut [f32], at: usize, pair: [S::f32s; 2]) {
    S::as_mut_simd_f32s(&mut x[at..at + 2 * S::F32_LANES]).0.copy_from_slice(&pair);
}

struct Forward<'a> {
    direct: &'a Direct,
    packed: &'a [[f32; FILTERS]],
    padded: &'a [f32],
    product: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Direct { offsets, places, .. } = self.direct;
        let products = self.product.chunks_exact_mut(FILTERS * places);
        for (packed, product) in self.packed.chunks_exact(offsets.len()).zip(products) {
            for at in (0..*places).step_by(2 * S::F32_LANES) {
                let mut sums = [[simd.splat_f32s(0.0); 2]; FILTERS];
                for (offset, weights) in offsets.iter().zip(packed) {
                    let x = pair::<S>(self.padded, offset + at);
                    for (sums, weight) in sums.iter_mut().zip(weights) {
                        let weight = simd.splat_f32s(*weight);
                        sums[0] = simd.mul_add_e_f32s(weight, x[0], sums[0]);
                        sums[1] = simd.mul_add_e_f32s(weight, x[1], sums[1]);
                    }
                }
                for (f, sums) in sums.into_iter().enumerate() {
                    store::<S>(product, f * places + at, sums);
                }
            }
        }
    }
}

struct ByWeight<'a> {
    direct: &'a Direct,
    padded: &'a [f32],
    spread: &'a [f32],
    by_weight: &'a mut [f32],
}

impl WithSimd for ByWeight<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Direct { geometry: Geometry { filters, .. }, offsets, places, padded, .. } = self.direct;
        let size = filters.next_multiple_of(FILTERS) * places;
        for first in (0..*filters).step_by(FILTERS) {
            for (k, taps) in offsets.chunks(TAPS).enumerate() {
                // The last block repeats a tap rather than being shorter.
                let taps: [usize; TAPS] = std::array::from_fn(|t| taps[t.min(taps.len() - 1)]);
                let mut sums = [[simd.splat_f32s(0.0); FILTERS]; TAPS];
                for (x, g) in self.padded.chunks_exact(*padded).zip(self.spread.chunks_exact(size)) {
                    let g = &g[first * places..][..FILTERS * places];
                    for at in (0..*places).step_by(S::F32_LANES) {
                        let one = |x: &[f32], at: usize| S::as_simd_f32s(&x[at..at + S::F32_LANES]).0[0];
                        let g = [one(g, at), one(g, places + at), one(g, 2 * places + at), one(g, 3 * places + at)];
                        for (sums, tap) in sums.iter_mut().zip(taps) {
                            let x = one(x, tap + at);
                            for (sum, g) in sums.iter_mut().zip(g) {
                                *sum = simd.mul_add_e_f32s(g, x, *sum);
                            }
                        }
                    }
                }
                for f in first..(first + FILTERS).min(*filters) {
                    let row = &mut self.by_weight[f * offsets.len()..][..offsets.len()];
                    for (w, sums) in row[k * TAPS..].iter_mut().zip(&sums) {
                        *w += simd.reduce_sum_f32s(sums[f - first]);
                    }
                }
            }
        }
    }
}

struct ByInput<'a> {
    direct: &'a Direct,
    packed: &'a [[f32; FILTERS]],
    spread: &'a [f32],
    padded: &'a mut [f32],
}

impl WithSimd for ByInput<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Direct { geometry: Geometry { filters, .. }, offsets, places, .. } = self.direct;
        for (offsets, packed) in offsets.chunks(FILTERS).zip(self.packed.chunks_exact(*filters)) {
            for at in (0..*places).step_by(2 * S::F32_LANES) {
                let mut sums = [[simd.splat_f32s(0.0); 2]; FILTERS];
                for (g, weights) in self.spread.chunks_exact(*places).zip(packed) {
                    let g = pair::<S>(g, at);
                    for (sums, weight) in sums.iter_mut().zip(weights) {
                        let weight = simd.splat_f32s(*weight);
                        sums[0] = simd.mul_add_e_f32s(weight, g[0], sums[0]);
                        sums[1] = simd.mul_add_e_f32s(weight, g[1], sums[1]);
                    }
                }
                for (offset, sums) in offsets.iter().zip(sums) {
                    let [low, high] = pair::<S>(self.padded, offset + at);
                    let sums = [simd.add_f32s(low, sums[0]), simd.add_f32s(high, sums[1])];
                    store::<S>(self.padded, offset + at, sums);
                }
            }
        }
    }
}
