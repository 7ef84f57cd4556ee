//! Differential (influence of first order): the decrease of the validation loss by a small step on a sample.
//!
//! `s_i = grad L_i . v`, `v` the gradient of the mean validation loss. One directional derivative along v scores all
//! samples at once: `s_i = (L_i(w + h v) - L_i(w - h v)) / 2 h + O(h^2)`, two forward passes instead of a gradient per
//! sample; `h |v| = 1e-3 |w|`. It reads every label of the pool and of the validation set.

use super::{Criterion, View};
use crate::image::net::error::NetworkError;
use crate::image::net::kernel::loss;
use crate::image::net::network::Network;
use crate::image::net::operation;
use candle_core::Tensor;

pub const CRITERION: Criterion =
    Criterion { name: "differential", what: "largest first-order decrease of the validation loss", score };

/// Length of the step, relative to the weights.
const STEP: f64 = 1e-3;
/// Validation images of one gradient.
const BATCH: usize = 256;

fn score(view: &mut View<'_, '_>) -> Result<Vec<f64>, NetworkError> {
    view.ledger.validated(view.validation.len());
    let labels: Vec<u8> = (0..view.pool.len()).map(|i| view.ledger.label(i)).collect();
    let gradient = validation_gradient(view)?;
    let length = |tensors: &[Tensor]| -> Result<f64, NetworkError> {
        let mut sum = 0.0;
        for t in tensors {
            sum += f64::from(t.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        Ok(sum.sqrt())
    };
    let weights: Vec<Tensor> = view.network.variables.iter().map(|v| v.as_tensor().clone()).collect();
    let h = STEP * length(&weights)? / length(&gradient)?.max(f64::MIN_POSITIVE);
    let losses = |h: f64| -> Result<Vec<f32>, NetworkError> {
        let moved = shifted(view.network, &gradient, h)?;
        Ok(loss::cross_entropy(&moved.outputs(&view.pool.pixels)?.logits, &labels, view.pool.classes))
    };
    let (forward, backward) = (losses(h)?, losses(-h)?);
    Ok(forward.iter().zip(&backward).map(|(a, b)| f64::from(a - b) / (2.0 * h)).collect())
}

/// The gradient of the mean validation loss by every variable.
fn validation_gradient(view: &View<'_, '_>) -> Result<Vec<Tensor>, NetworkError> {
    let (network, images) = (view.network, view.validation);
    let mut sums: Vec<Tensor> = network.variables.iter().map(|v| v.zeros_like()).collect::<Result<_, _>>()?;
    for first in (0..images.len()).step_by(BATCH) {
        let batch = images.select(&(first..images.len().min(first + BATCH)).collect::<Vec<_>>());
        let logits = network.evaluate(&network.input(&batch.pixels, batch.len())?)?;
        let gradients = operation::cross_entropy(&logits, &batch.labels)?.backward()?;
        let share = batch.len() as f64 / images.len() as f64;
        for (sum, variable) in sums.iter_mut().zip(&network.variables) {
            if let Some(gradient) = gradients.get(variable) {
                *sum = (&*sum + (gradient * share)?)?;
            }
        }
    }
    Ok(sums)
}

/// The network with weights moved by h times `direction`.
fn shifted(network: &Network, direction: &[Tensor], h: f64) -> Result<Network, NetworkError> {
    let moved = network.duplicate()?;
    for (variable, direction) in moved.variables.iter().zip(direction) {
        variable.set(&(variable.as_tensor() + (direction * h)?)?.detach())?;
    }
    Ok(moved)
}
