//! Half by entropy, half at random: uncertain samples and typical ones.
//!
//! The samples of both orders are taken in turn; the score is minus the earlier of a sample's two places.

use super::{Criterion, View, entropy, places, random};
use crate::image::net::error::NetworkError;

pub const CRITERION: Criterion = Criterion { name: "mixed", what: "half by entropy, half at random", score };

fn score(view: &mut View<'_, '_>) -> Result<Vec<f64>, NetworkError> {
    let taken = view.taken;
    let free = |scores: Vec<f64>| -> Vec<f64> {
        scores.into_iter().zip(taken).map(|(s, taken)| if *taken { f64::NEG_INFINITY } else { s }).collect()
    };
    let drawn = places(&free(random::numbers(view)));
    let wanted = places(&free(entropy::most(view)?));
    let turn = |(w, d): (&usize, &usize)| -((2 * w).min(2 * d + 1) as f64);
    Ok(wanted.iter().zip(&drawn).map(turn).collect())
}
