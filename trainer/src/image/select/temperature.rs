//! Entropy of calibrated probabilities: softmax(z / T), T the minimum of the cross-entropy on the validation set
//! (Guo et al. 2017), found by golden section over ln T in [-3, 3]. Uses the labels of the whole validation set.

use super::{Criterion, View, entropies};
use crate::image::net::error::NetworkError;
use crate::image::net::kernel::loss;

pub const CRITERION: Criterion =
    Criterion { name: "temperature", what: "highest entropy after temperature scaling on validation", score };

const GOLDEN: f64 = 0.618_033_988_749_894_8;

fn score(view: &mut View<'_, '_>) -> Result<Vec<f64>, NetworkError> {
    view.ledger.validated(view.validation.len());
    let logits = view.network.outputs(&view.validation.pixels)?.logits;
    let scaled = |logits: &[f32], t: f64| -> Vec<f32> { logits.iter().map(|z| z / t as f32).collect() };
    let classes = view.pool.classes;
    let mean_loss = |log_t: f64| -> f64 {
        let each = loss::cross_entropy(&scaled(&logits, log_t.exp()), &view.validation.labels, classes);
        each.iter().map(|l| f64::from(*l)).sum()
    };
    let temperature = minimum(mean_loss, -3.0, 3.0).exp();
    let probabilities = loss::softmax(&scaled(&view.outputs()?.logits, temperature), classes);
    Ok(entropies(&probabilities, classes))
}

/// Where a function with one valley is lowest, within 1e-4.
fn minimum(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let inner = |low: f64, high: f64| (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
    while high - low > 1e-4 {
        let (a, b) = inner(low, high);
        if f(a) < f(b) { high = b } else { low = a }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_valley_is_found() {
        assert!((super::minimum(|x| (x - 0.7) * (x - 0.7), -3.0, 3.0) - 0.7).abs() < 1e-3);
    }
}
