//! Batch normalisation: `y = gain (x - mean) / sqrt(variance + EPSILON) + shift`, per channel.
//!
//! In training mean and variance are the batch's own, and the gradient flows through them (Ioffe and Szegedy 2015);
//! otherwise they are fixed numbers.

use super::{sum, sum_of};

/// Keeps the root away from zero.
pub const EPSILON: f32 = 1e-5;

/// Mean and variance of every channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Means.
    pub mean: Vec<f32>,
    /// Variances, divided by the count.
    pub variance: Vec<f32>,
}

impl Moments {
    /// Of a batch `[n, channels, plane]`; two passes, sums of planes in f32 and their sum in f64.
    pub fn of(x: &[f32], channels: usize, plane: usize) -> Self {
        let count = (x.len() / channels.max(1)) as f64;
        let total = |c: usize, f: &dyn Fn(&[f32]) -> f32| {
            x.chunks_exact(plane).skip(c).step_by(channels).map(|p| f64::from(f(p))).sum::<f64>() / count
        };
        let mean: Vec<f32> = (0..channels).map(|c| total(c, &sum) as f32).collect();
        let square = |m: f32| move |p: &[f32]| sum_of(p, p, |x, _| (x - m) * (x - m));
        let variance = (0..channels).map(|c| total(c, &square(mean[c])) as f32).collect();
        Moments { mean, variance }
    }

    fn inverse(&self, c: usize) -> f32 {
        1.0 / (self.variance[c] + EPSILON).sqrt()
    }
}

/// The output, after ReLU if `relu`.
pub fn forward(x: &[f32], plane: usize, moments: &Moments, gain: &[f32], shift: &[f32], relu: bool) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    let least = if relu { 0.0 } else { f32::NEG_INFINITY };
    for (k, x) in x.chunks_exact(plane).enumerate() {
        let c = k % gain.len();
        let slope = gain[c] * moments.inverse(c);
        let offset = shift[c] - moments.mean[c] * slope;
        out.extend(x.iter().map(|x| (x * slope + offset).max(least)));
    }
    out
}

/// Gradients by input, gain and shift from that of the output before any ReLU; `own`: the moments are the batch's.
pub fn backward(
    x: &[f32],
    plane: usize,
    moments: &Moments,
    gain: &[f32],
    gradient: &[f32],
    own: bool,
) -> [Vec<f32>; 3] {
    let channels = gain.len();
    let (mut by_gain, mut by_shift) = (vec![0.0f64; channels], vec![0.0f64; channels]);
    for (k, (x, g)) in x.chunks_exact(plane).zip(gradient.chunks_exact(plane)).enumerate() {
        let c = k % channels;
        let mean = moments.mean[c];
        by_gain[c] += f64::from(sum_of(x, g, |x, g| (x - mean) * g) * moments.inverse(c));
        by_shift[c] += f64::from(sum(g));
    }
    let narrow = |v: Vec<f64>| v.into_iter().map(|v| v as f32).collect::<Vec<f32>>();
    let (by_gain, by_shift) = (narrow(by_gain), narrow(by_shift));
    let count = (x.len() / channels.max(1)) as f32;
    let mut by_input = Vec::with_capacity(x.len());
    for (k, (x, g)) in x.chunks_exact(plane).zip(gradient.chunks_exact(plane)).enumerate() {
        let c = k % channels;
        let (mean, inverse) = (moments.mean[c], moments.inverse(c));
        let slope = gain[c] * inverse;
        let (level, tilt) = if own { (by_shift[c] / count, by_gain[c] / count * inverse) } else { (0.0, 0.0) };
        by_input.extend(x.iter().zip(g).map(|(x, g)| slope * (g - level - (x - mean) * tilt)));
    }
    [by_input, by_gain, by_shift]
}
