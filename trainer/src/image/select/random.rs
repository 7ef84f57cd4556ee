//! No preference: uniform random scores, the baseline of every other criterion.

use super::{Criterion, View};
use crate::host::random::{Purpose, Random};
use crate::image::net::error::NetworkError;

pub const CRITERION: Criterion = Criterion { name: "random", what: "no preference", score };

fn score(view: &mut View<'_, '_>) -> Result<Vec<f64>, NetworkError> {
    Ok(numbers(view))
}

/// A uniform number for every sample.
pub fn numbers(view: &View<'_, '_>) -> Vec<f64> {
    let mut random = Random::new(view.seed, Purpose::Selection, view.round);
    (0..view.pool.len()).map(|_| random.uniform()).collect()
}
