//! Highest entropy within every predicted class, the classes in turn, since entropy alone may leave classes out.
//!
//! The score is minus the place within the class, so that the first of every class come before all seconds.

use super::{Criterion, View, entropies, places, predictions};
use crate::image::net::error::NetworkError;

pub const CRITERION: Criterion =
    Criterion { name: "class-balanced", what: "highest entropy of every predicted class in turn", score };

fn score(view: &mut View<'_, '_>) -> Result<Vec<f64>, NetworkError> {
    let (probabilities, classes) = (view.probabilities()?, view.pool.classes);
    let predicted = predictions(&probabilities, classes);
    let entropy = entropies(&probabilities, classes);
    let overall = places(&entropy);
    let mut order: Vec<usize> = (0..entropy.len()).collect();
    order.sort_by_key(|sample| overall[*sample]);
    let (mut within, mut scores) = (vec![0usize; classes], vec![0.0; entropy.len()]);
    for sample in order.into_iter().filter(|sample| !view.taken[*sample]) {
        let place = &mut within[predicted[sample]];
        // Among samples of the same place, the more uncertain one first.
        scores[sample] = entropy[sample] / (2.0 * (classes as f64).ln()) - *place as f64;
        *place += 1;
    }
    Ok(scores)
}
