//! The limits of a run, and why it ended.

use serde::{Deserialize, Serialize};

/// How long to train: whichever limit is reached first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Iterations, steps, or pieces of work.
    pub iterations: usize,
    /// Wall-clock seconds.
    pub seconds: Option<f64>,
}

impl Budget {
    /// So many iterations, however long they take.
    pub fn iterations(iterations: usize) -> Self {
        Budget { iterations, seconds: None }
    }

    /// The share of the budget that is spent, from 0 to 1.
    pub fn spent(&self, iterations: usize, seconds: f64) -> f64 {
        let by_iterations = iterations as f64 / self.iterations.max(1) as f64;
        by_iterations.max(self.seconds.map_or(0.0, |s| seconds / s)).min(1.0)
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// The budget is spent.
    Budget,
    /// No step lowers the loss any more, whatever the damping.
    Converged,
    /// The user asked to stop; the state is that of the last full round.
    Interrupted,
}
