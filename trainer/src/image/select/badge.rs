//! BADGE (Ash et al. 2020): uncertain and different from one another.
//!
//! A sample is represented by the gradient of its loss by the last layer, as if its predicted class were right:
//! `g_i = (p_i - onehot(argmax p_i)) x f_i`. Samples are drawn as k-means++ draws its centers, each with probability
//! proportional to the squared distance to the nearest one taken. Distances need no outer product:
//! `|g_i - g_j|^2 = |a_i|^2 |f_i|^2 + |a_j|^2 |f_j|^2 - 2 (a_i . a_j)(f_i . f_j)`.

use super::{Criterion, View, predictions};
use crate::host::random::{Purpose, Random};
use crate::image::net::error::NetworkError;
use crate::image::net::kernel::loss::argmax;
use crate::image::net::kernel::sum_of;

pub const CRITERION: Criterion =
    Criterion { name: "badge", what: "uncertain and diverse: k-means++ on gradients of the last layer", score };

fn score(view: &mut View<'_, '_>) -> Result<Vec<f64>, NetworkError> {
    let classes = view.pool.classes;
    let mut errors = view.probabilities()?;
    let outputs = view.outputs()?;
    for (row, best) in errors.chunks_exact_mut(classes).zip(predictions(&outputs.logits, classes)) {
        row[best] -= 1.0;
    }
    let points = Points { errors: &errors, classes, features: &outputs.features, width: outputs.width };
    let n = view.pool.len();
    let mut nearest: Vec<f64> = (0..n).map(|i| points.product(i, i)).collect();
    let norms = nearest.clone();
    let approach = |nearest: &mut [f64], center: usize| {
        for (i, distance) in nearest.iter_mut().enumerate() {
            let apart = norms[i] + norms[center] - 2.0 * points.product(i, center);
            *distance = distance.min(apart.max(0.0));
        }
        nearest[center] = 0.0;
    };
    for sample in (0..n).filter(|i| view.taken[*i]) {
        approach(&mut nearest, sample);
    }
    let mut random = Random::new(view.seed, Purpose::Selection, view.round);
    let mut scores = vec![f64::NEG_INFINITY; n];
    for place in 0..view.budget.min(n) {
        let total: f64 = nearest.iter().sum();
        if total <= 0.0 {
            break;
        }
        let mut left = random.uniform() * total;
        let found = nearest.iter().position(|d| {
            left -= d;
            left < 0.0
        });
        // Rounding may leave a remainder; then the farthest sample is taken.
        let center = found.unwrap_or_else(|| argmax(&nearest));
        scores[center] = -(place as f64);
        approach(&mut nearest, center);
    }
    Ok(scores)
}

struct Points<'a> {
    errors: &'a [f32],
    classes: usize,
    features: &'a [f32],
    width: usize,
}

impl Points<'_> {
    /// g_i . g_j.
    fn product(&self, i: usize, j: usize) -> f64 {
        let row = |values: &'_ [f32], width: usize, i: usize| -> std::ops::Range<usize> {
            debug_assert!((i + 1) * width <= values.len());
            i * width..(i + 1) * width
        };
        let dot = |values: &[f32], width| {
            sum_of(&values[row(values, width, i)], &values[row(values, width, j)], |a, b| a * b)
        };
        f64::from(dot(self.errors, self.classes)) * f64::from(dot(self.features, self.width))
    }
}
