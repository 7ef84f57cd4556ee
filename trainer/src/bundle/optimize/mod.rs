//! Optimisers: each takes a network, a problem and a budget, and returns the weights that were best on held-out points.

pub mod adam;
mod adam_state;
pub mod lm;
pub mod normal;

use serde::{Deserialize, Serialize};

/// How long to train: whichever ends first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Iterations (LM) or steps (Adam).
    pub iterations: usize,
    /// Wall-clock seconds.
    pub seconds: Option<f64>,
}

impl Budget {
    /// How much of the budget is spent, 0 to 1.
    pub fn spent(&self, iterations: usize, seconds: f64) -> f64 {
        let by_iterations = iterations as f64 / self.iterations.max(1) as f64;
        by_iterations.max(self.seconds.map_or(0.0, |s| seconds / s)).min(1.0)
    }
}

/// Why an optimiser came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// The budget is spent.
    Budget,
    /// No step lowers the loss any more, whatever the damping.
    Converged,
    /// The user asked to stop; the last full round stands.
    Interrupted,
}
