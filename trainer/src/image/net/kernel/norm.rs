//! Batch normalization: `y = gain (x - mean) / sqrt(variance + EPSILON) + shift`, per channel; then ReLU and
//! pooling, as far as they follow.
//!
//! In training mean and variance are the batch's own, and the gradient flows through them (Ioffe and Szegedy 2015);
//! otherwise they are fixed numbers. Values between normalization and pooling are not stored: the backward pass computes
//! them again, a plane at a time, which stays in the first-level cache.

use super::pool::Pool;
use super::{for_each_chunk, map_items, sum, sum_of, vectorized};

/// Keeps the square root away from zero.
pub const EPSILON: f32 = 1e-5;
/// The number of planes of a chunk.
const PLANES: usize = 64;

/// Mean and variance of every channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Means.
    pub mean: Vec<f32>,
    /// Variances, divided by the count.
    pub variance: Vec<f32>,
}

impl Moments {
    /// The moments of a batch `[n, channels, plane]`, in two passes. Sums within a plane are f32, sums of planes f64.
    pub fn of(x: &[f32], channels: usize, plane: usize) -> Self {
        let count = (x.len() / channels.max(1)) as f64;
        let average = |of_plane: &(dyn Fn(usize, &[f32]) -> f32 + Sync)| -> Vec<f32> {
            let chunks: Vec<&[f32]> = x.chunks(PLANES * plane).collect();
            let sums = map_items(chunks, |k, chunk| {
                let planes = (k * PLANES..).zip(chunk.chunks_exact(plane));
                planes.map(|(at, plane)| of_plane(at % channels, plane)).collect::<Vec<_>>()
            });
            per_channel(sums.into_iter().flatten(), channels).iter().map(|total| (total / count) as f32).collect()
        };
        let mean = average(&|_, x| {
            vectorized(
                #[inline(always)]
                || sum(x),
            )
        });
        let square = |m: f32| move |x: f32, _| (x - m) * (x - m);
        let variance = average(&|c, x| {
            vectorized(
                #[inline(always)]
                || sum_of(x, x, square(mean[c])),
            )
        });
        Moments { mean, variance }
    }

    fn inverse(&self, c: usize) -> f32 {
        1.0 / (self.variance[c] + EPSILON).sqrt()
    }
}

/// The sums of every channel over those of its planes, `[n, channels]`, in f64 and in this order.
fn per_channel(of_planes: impl Iterator<Item = f32>, channels: usize) -> Vec<f64> {
    let mut totals = vec![0.0; channels];
    for (at, of_plane) in of_planes.enumerate() {
        totals[at % channels] += f64::from(of_plane);
    }
    totals
}

/// A normalization, with the ReLU and the pooling that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Norm {
    /// Numbers of one channel of the input.
    pub plane: usize,
    /// max(0, y).
    pub relu: bool,
    /// Pooling at the end.
    pub pool: Option<Pool>,
}

/// A channel's normalization: `max(slope x + offset, least)`.
struct Line {
    slope: f32,
    offset: f32,
    least: f32,
}

impl Line {
    #[inline(always)]
    fn apply(&self, x: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = (x * self.slope + self.offset).max(self.least));
    }
}

impl Norm {
    /// The size of one channel of the output.
    fn pooled_plane(&self) -> usize {
        self.pool.map_or(self.plane, |pool| pool.planes().1)
    }

    fn line(&self, c: usize, moments: &Moments, gain: &[f32], shift: &[f32]) -> Line {
        let slope = gain[c] * moments.inverse(c);
        let least = if self.relu { 0.0 } else { f32::NEG_INFINITY };
        Line { slope, offset: shift[c] - moments.mean[c] * slope, least }
    }

    /// The output for `x [n, channels, plane]`.
    pub fn forward(&self, x: &[f32], moments: &Moments, gain: &[f32], shift: &[f32]) -> Vec<f32> {
        let (plane, after) = (self.plane, self.pooled_plane());
        let mut out = vec![0.0; x.len() / plane * after];
        for_each_chunk(&mut out, PLANES * after, |k, out| {
            let mut whole = vec![0.0; self.pool.map_or(0, |_| plane)];
            for (at, out) in (k * PLANES..).zip(out.chunks_exact_mut(after)) {
                let line = self.line(at % gain.len(), moments, gain, shift);
                let x = &x[at * plane..][..plane];
                vectorized(
                    #[inline(always)]
                    || match self.pool {
                        None => line.apply(x, out),
                        Some(pool) => {
                            line.apply(x, &mut whole);
                            pool.forward_plane(&whole, out);
                        }
                    },
                );
            }
        });
        out
    }

    /// Gradients by input, gain and shift from that by the output `y`; `own`: the moments are the batch's.
    pub fn backward(
        &self,
        [x, y, gradient]: [&[f32]; 3],
        moments: &Moments,
        [gain, shift]: [&[f32]; 2],
        own: bool,
    ) -> [Vec<f32>; 3] {
        let (plane, after, channels) = (self.plane, self.pooled_plane(), gain.len());
        let mut by_input = vec![0.0; x.len()];
        let sums = map_items(by_input.chunks_mut(PLANES * plane).collect(), |k, chunk: &mut [f32]| {
            let mut scratch = vec![0.0; self.pool.map_or(0, |pool| plane + pool.scratch_len())];
            let planes = (k * PLANES..).zip(chunk.chunks_exact_mut(plane));
            let of_plane = |(at, g): (usize, &mut [f32])| {
                let (mean, inverse) = (moments.mean[at % channels], moments.inverse(at % channels));
                let line = self.line(at % channels, moments, gain, shift);
                let x = &x[at * plane..][..plane];
                let (y, gradient) = (&y[at * after..][..after], &gradient[at * after..][..after]);
                vectorized(
                    #[inline(always)]
                    || {
                        self.before_pooling(&line, x, y, gradient, &mut scratch, g);
                        (sum_of(x, g, |x, g| (x - mean) * g) * inverse, sum(g))
                    },
                )
            };
            planes.map(of_plane).collect::<Vec<_>>()
        });
        let total = |of: fn(&(f32, f32)) -> f32| -> Vec<f32> {
            per_channel(sums.iter().flatten().map(of), channels).iter().map(|total| *total as f32).collect()
        };
        let (by_gain, by_shift) = (total(|s| s.0), total(|s| s.1));
        let count = (x.len() / channels.max(1)) as f32;
        for_each_chunk(&mut by_input, PLANES * plane, |k, chunk| {
            for (at, g) in (k * PLANES..).zip(chunk.chunks_exact_mut(plane)) {
                let (c, x) = (at % channels, &x[at * plane..][..plane]);
                let (mean, inverse) = (moments.mean[c], moments.inverse(c));
                let slope = gain[c] * inverse;
                let (level, tilt) = if own { (by_shift[c] / count, by_gain[c] / count * inverse) } else { (0.0, 0.0) };
                vectorized(
                    #[inline(always)]
                    || {
                        g.iter_mut().zip(x).for_each(|(g, x)| *g = slope * (*g - level - (x - mean) * tilt));
                    },
                );
            }
        });
        [by_input, by_gain, by_shift]
    }

    /// Writes the gradient of one plane before pooling and ReLU into `out`, which is zero. `scratch` takes the plane before
    /// pooling.
    #[inline(always)]
    fn before_pooling(
        &self,
        line: &Line,
        x: &[f32],
        y: &[f32],
        gradient: &[f32],
        scratch: &mut [f32],
        out: &mut [f32],
    ) {
        let Some(pool) = self.pool else {
            let kept = |(y, g): (&f32, &f32)| if !self.relu || *y > 0.0 { *g } else { 0.0 };
            return out.iter_mut().zip(y.iter().zip(gradient).map(kept)).for_each(|(out, g)| *out = g);
        };
        let (whole, scratch) = scratch.split_at_mut(self.plane);
        line.apply(x, whole);
        pool.backward_plane(whole, y, gradient, scratch, out);
        if self.relu {
            out.iter_mut().zip(whole.iter()).for_each(|(g, y)| *g = if *y > 0.0 { *g } else { 0.0 });
        }
    }
}
