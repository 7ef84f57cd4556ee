//! Margin: the difference of the two largest probabilities, smallest first (Scheffer et al. 2001).

use super::{Criterion, View};
use crate::image::net::error::NetworkError;

pub const CRITERION: Criterion =
    Criterion { name: "margin", what: "smallest difference of the two largest probabilities", score };

fn score(view: &mut View<'_, '_>) -> Result<Vec<f64>, NetworkError> {
    let margin = |row: &[f32]| {
        let (first, second) =
            row.iter().fold(
                (f32::MIN, f32::MIN),
                |(first, second), p| {
                    if *p > first { (*p, first) } else { (first, second.max(*p)) }
                },
            );
        -f64::from(first - second)
    };
    Ok(view.probabilities()?.chunks_exact(view.pool.classes).map(margin).collect())
}
