//! Highest cross-entropy with the true label. It reads every label of the pool.

use super::{Criterion, View};
use crate::image::net::error::NetworkError;
use crate::image::net::kernel::loss;

pub const CRITERION: Criterion =
    Criterion { name: "highest-loss", what: "highest cross-entropy with the true label", score };

fn score(view: &mut View<'_, '_>) -> Result<Vec<f64>, NetworkError> {
    let labels: Vec<u8> = (0..view.pool.len()).map(|i| view.ledger.label(i)).collect();
    let losses = loss::cross_entropy(&view.outputs()?.logits, &labels, view.pool.classes);
    Ok(losses.into_iter().map(f64::from).collect())
}
