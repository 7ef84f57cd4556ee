//! The inner loops of convolution, for up to sixteen images side by side.

use super::super::{LANES, Lanes, gather, scatter};
use super::{BLOCK, Conv};
use pulp::{Simd, WithSimd};

/// The forward pass of up to sixteen images.
pub(super) struct Forward<'a> {
    pub(super) conv: &'a Conv,
    pub(super) x: &'a [f32],
    pub(super) packed: &'a [[f32; BLOCK]],
    pub(super) bias: &'a [f32],
    pub(super) least: f32,
    pub(super) out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let g = self.conv;
        let ([rows, columns], filters, run, taps) = (g.output(), g.filters(), g.run(), g.taps());
        let x = g.interleaved(self.x);
        let mut y = vec![[0.0; LANES]; g.strip() * columns * filters];
        for first in (0..rows).step_by(g.strip()) {
            let count = g.strip().min(rows - first);
            for at in 0..count * columns {
                let (i, j) = (first + at / columns, at % columns);
                for (block, y) in y[at * filters..][..filters].chunks_mut(BLOCK).enumerate() {
                    let weights = &self.packed[block * taps..][..taps];
                    for pair in 0..LANES / S::F32_LANES / 2 {
                        let mut sums = Pairs::new(simd);
                        for u in 0..g.kernel_rows() {
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
pub(super) struct Backward<'a> {
    pub(super) conv: &'a Conv,
    pub(super) gradient: &'a [f32],
    /// The input, and the sum to which the gradient by the weights is added, `[o, u, v, c]`.
    pub(super) by_weight: Option<(&'a [f32], &'a mut [f32])>,
    /// The weights by runs, and the destination of the gradient by the input.
    pub(super) by_input: Option<(&'a [[f32; BLOCK]], &'a mut [f32])>,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let g = self.conv;
        let ([rows, columns], filters) = (g.output(), g.filters());
        let x = self.by_weight.as_ref().map(|(x, _)| g.interleaved(x)).unwrap_or_default();
        let entries = g.padded()[0] * g.padded()[1] * g.channels();
        let mut by_input = vec![[0.0; LANES]; if self.by_input.is_some() { entries } else { 0 }];
        let mut gradient = vec![[0.0; LANES]; g.strip() * columns * filters];
        for first in (0..rows).step_by(g.strip()) {
            let count = g.strip().min(rows - first);
            for o in 0..filters {
                let start = o * rows * columns + first * columns;
                gather(&self.gradient[start..], g.output_size(), count * columns, &mut gradient[o..], filters);
            }
            let lines = Lines { conv: g, gradient: &gradient[..count * columns * filters], first };
            if let Some((_, by_weight)) = &mut self.by_weight {
                lines.by_weight(simd, &x, by_weight);
            }
            if let Some((packed, _)) = &self.by_input {
                lines.by_input(simd, packed, &mut by_input);
            }
        }
        if let Some((_, out)) = self.by_input {
            for (to, from) in g.rows() {
                scatter(&by_input[from..], g.channels(), g.0.input.width, &mut out[to..], g.input_size());
            }
        }
    }
}

/// Some rows of the gradient by the output, `[i, j, o]`.
struct Lines<'a> {
    conv: &'a Conv,
    gradient: &'a [Lanes],
    /// The first row.
    first: usize,
}

impl Lines<'_> {
    #[inline(always)]
    fn by_weight<S: Simd>(&self, simd: S, x: &[Lanes], out: &mut [f32]) {
        let (filters, run) = (self.conv.filters(), self.conv.run());
        // Filters outermost: the gradients of a block stay in the first-level cache.
        let mut o = 0;
        while o < filters {
            let block = if filters - o >= BLOCK { BLOCK } else { 1 };
            for u in 0..self.conv.kernel_rows() {
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
        let (g, vectors) = (self.conv, LANES / S::F32_LANES);
        let (x, gradient) = (S::as_simd_f32s(x.as_flattened()).0, S::as_simd_f32s(self.gradient.as_flattened()).0);
        let mut sums = [[simd.splat_f32s(0.0); ENTRIES]; FILTERS];
        for (i, gradient) in gradient.chunks_exact(g.output()[1] * g.filters() * vectors).enumerate() {
            for (j, gradient) in gradient.chunks_exact(g.filters() * vectors).enumerate() {
                let x = &x[(g.corner(self.first + i, j, u) + q) * vectors..][..ENTRIES * vectors];
                let gradient = &gradient[o * vectors..][..FILTERS * vectors];
                for vector in 0..vectors {
                    for f in 0..FILTERS {
                        for e in 0..ENTRIES {
                            let (g, x) = (gradient[f * vectors + vector], x[e * vectors + vector]);
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
        let g = self.conv;
        let (run, blocks) = (g.run(), g.run().div_ceil(BLOCK));
        for (at, gradient) in self.gradient.chunks_exact(g.filters()).enumerate() {
            let (i, j) = (self.first + at / g.output()[1], at % g.output()[1]);
            for u in 0..g.kernel_rows() {
                let covered = &mut out[g.corner(i, j, u)..][..run];
                for (block, covered) in covered.chunks_mut(BLOCK).enumerate() {
                    let weights = &packed[(u * blocks + block) * g.filters()..][..g.filters()];
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
