//! What a watch is compared with, and what it says.

use serde::{Deserialize, Serialize};

/// Predictive entropies of the domain a network knows, in nats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Their mean.
    pub mean: f32,
    /// Their standard deviation.
    pub deviation: f32,
}

impl Reference {
    /// The reference, if its numbers make sense: finite, the mean not negative, the deviation positive.
    pub fn checked(self) -> Option<Self> {
        let sound = self.mean.is_finite() && self.mean >= 0.0 && self.deviation.is_finite() && self.deviation > 0.0;
        sound.then_some(self)
    }
}

/// A reading of the chart or of the test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Images since the watch began, at most 65,535; the chart counts no further than its window, and says nothing before that is
    /// full.
    pub filled: u16,
    /// The decimal logarithm of the evidence for drift, or z of the chart; if there is anything to compare with.
    pub score: Option<f32>,
    /// Whether the evidence, or z, is large enough for an alarm.
    pub alarm: bool,
}

/// What was unusual when an alarm was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sign {
    /// The network is less certain than usual.
    EntropyAbove,
    /// The network is more certain than usual.
    EntropyBelow,
    /// The features are farther than usual from those of the training images.
    DistanceAbove,
    /// The features are nearer than usual.
    DistanceBelow,
}

/// The first alarm since the watch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// The image's number.
    pub number: u32,
    /// What was unusual.
    pub sign: Sign,
}

/// A class that is more frequent than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frequent {
    /// The image whose answer was the last evidence that was needed.
    pub number: u32,
    /// The class.
    pub class: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_that_mean_nothing_are_none() {
        for (mean, deviation) in [(f32::NAN, 1.0), (-0.1, 1.0), (0.1, 0.0), (0.1, f32::INFINITY), (0.1, f32::NAN)] {
            assert_eq!(Reference { mean, deviation }.checked(), None);
        }
    }
}
