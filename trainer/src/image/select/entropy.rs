//! Predictive entropy `H = -sum over k of p_k ln p_k` of the softmax, highest or lowest first.

use super::{Criterion, View, entropies};
use crate::image::net::error::NetworkError;

pub const MOST: Criterion = Criterion { name: "entropy-most", what: "highest predictive entropy", score: most };
pub const LEAST: Criterion = Criterion { name: "entropy-least", what: "lowest predictive entropy", score: least };

pub fn most(view: &mut View<'_, '_>) -> Result<Vec<f64>, NetworkError> {
    Ok(entropies(&view.probabilities()?, view.pool.classes))
}

fn least(view: &mut View<'_, '_>) -> Result<Vec<f64>, NetworkError> {
    Ok(most(view)?.into_iter().map(|h| -h).collect())
}
