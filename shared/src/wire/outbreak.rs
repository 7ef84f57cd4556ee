//! Requests about an outbreak: the host sends counts, the device fits an epidemic to them and tells what it expects.
//!
//! Counts are kept until they are cleared, also when another model is activated; the last fit belongs to the model.

use crate::calibrate::Uncertain;
use crate::limits::COUNTS_PER_FRAME;
use crate::outbreak::{Count, Fit, Observable, Setting};
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// A request about an outbreak.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put a setting on")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum OutbreakRequest {
    /// Keep these counts from this place on.
    Add {
        /// The place of the first. The next free place is the number of counts kept so far; earlier places are overwritten.
        place: u16,
        /// The counts.
        counts: Vec<Count, COUNTS_PER_FRAME>,
    },
    /// Forget all counts and the last fit.
    Clear,
    /// Estimate the unknowns of this setting from the counts kept, and keep the result.
    Fit(Setting),
    /// Tell what the last fit expects to be counted in an interval, or at its end.
    Expect {
        /// What is counted.
        observable: Observable,
        /// Where the interval begins.
        from: f32,
        /// Where it ends.
        to: f32,
    },
}

/// An answer about an outbreak.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put a fit on")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum OutbreakAnswer {
    /// Answers [`OutbreakRequest::Add`] and [`OutbreakRequest::Clear`]: how many counts the device keeps now.
    Kept(u16),
    /// Answers [`OutbreakRequest::Fit`].
    Fit {
        /// The estimates.
        fit: Fit,
        /// How many ticks of the board's clock they took, where the board has a clock.
        ticks: Option<u32>,
    },
    /// Answers [`OutbreakRequest::Expect`].
    Expected(Uncertain),
}
