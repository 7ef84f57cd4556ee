//! Estimates from the counts of an outbreak: intervals, changes of the reproduction number, forecasts, and what all of it means.

pub mod interval;

use sirocco::bundle::Bundle;
use sirocco::outbreak::{Count, Noise, Setting};

/// What is asked, and of which model.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q, 'a> {
    /// A model of SIR.
    pub bundle: &'q Bundle<'a>,
    /// The counts of all series.
    pub counts: &'q [Count],
    /// What they count, and what is unknown.
    pub setting: &'q Setting,
}

impl Question<'_, '_> {
    /// Number of counts that are numbers.
    pub fn counted(&self) -> usize {
        self.counts.iter().filter(|count| !count.value.is_nan()).count()
    }

    /// Whether the scatter is estimated from the residuals.
    pub fn estimates_scatter(&self) -> bool {
        matches!(self.setting.noise, Noise::Gaussian { sigma: None } | Noise::NegativeBinomial { dispersion: None })
    }
}
