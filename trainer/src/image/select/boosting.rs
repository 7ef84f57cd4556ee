//! Boosting (`error`, after AdaBoost): every sample has a weight, which grows if the network errs on it.
//!
//! `w *= exp(+lambda)` where it is wrong, `exp(-lambda)` where it is right, then normalized, at every choice;
//! `lambda = ln((1 - e) / e) / 2` with e the weight of the wrong ones. It reads every label of the pool.

use super::{Criterion, View, predictions};
use crate::image::net::error::NetworkError;

pub const CRITERION: Criterion =
    Criterion { name: "error", what: "boosting: weights that grow where the network errs", score };

/// Keeps lambda finite for a network that is always or never right.
const CLAMP: (f64, f64) = (1e-3, 3.0);

fn score(view: &mut View<'_, '_>) -> Result<Vec<f64>, NetworkError> {
    let predicted = predictions(&view.outputs()?.logits, view.pool.classes);
    let wrong: Vec<bool> =
        predicted.iter().enumerate().map(|(i, class)| usize::from(view.ledger.label(i)) != *class).collect();
    let error: f64 = view.weights.iter().zip(&wrong).filter(|(_, wrong)| **wrong).map(|(w, _)| w).sum();
    let lambda = (0.5 * ((1.0 - error) / error).ln()).clamp(CLAMP.0, CLAMP.1);
    for (weight, wrong) in view.weights.iter_mut().zip(&wrong) {
        *weight *= if *wrong { lambda.exp() } else { (-lambda).exp() };
    }
    let total: f64 = view.weights.iter().sum();
    for weight in view.weights.iter_mut() {
        *weight /= total;
    }
    Ok(view.weights.clone())
}
