//! Drift alarm: detects that the images of a device differ from those its network was calibrated on.
//!
//! It is a control chart of moving means, of the predictive entropy H of the last n = [`DRIFT_WINDOW`] images
//! (Shewhart 1931; Montgomery, Introduction to Statistical Quality Control, section 9.3, for the moving window):
//!
//! z = (mean(H) - mu) / (sigma / sqrt(n)), and an alarm where z > [`ALARM`].
//!
//! mu and sigma are mean and standard deviation of the entropy over images of the domain the network knows: the
//! trainer measures them and writes them into the file (`entropy.mean`, `entropy.deviation`), or the host sets them.
//! The alarm is one-sided: lower entropy than in that domain does not raise it.
//!
//! It does not detect images on which the network is wrong but certain. It assumes that images are independent. Frames of one
//! scene are not, so false alarms are more frequent on them.
//!
//! Cost: one addition per entry of the window and two divisions for each reading of the chart.

use crate::limits::DRIFT_WINDOW;
use crate::math::sqrt;
use serde::{Deserialize, Serialize};

/// The alarm is raised above this z. If the mean of a window were normally distributed, 1 window in 32,000 would raise a false
/// one. Entropies have a long upper tail, so false alarms are more frequent.
pub const ALARM: f32 = 4.0;

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

/// A reading of the chart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Images in the window; the chart says nothing before it is full.
    pub filled: u16,
    /// z, once the window is full, if there is a reference to compare with.
    pub score: Option<f32>,
    /// Whether z is above [`ALARM`].
    pub alarm: bool,
}

/// The chart: the latest entropies and the reference.
#[derive(Debug, Clone)]
pub struct Drift {
    reference: Option<Reference>,
    window: [f32; DRIFT_WINDOW],
    next: usize,
    filled: usize,
}

impl Drift {
    /// An empty window.
    ///
    /// ```
    /// use sirocco::drift::{Drift, Reference};
    /// let mut drift = Drift::new(Some(Reference { mean: 0.1, deviation: 0.2 }));
    /// for _ in 0..sirocco::limits::DRIFT_WINDOW {
    ///     drift.add(0.5);
    /// }
    /// assert!(drift.state().alarm);
    /// ```
    pub fn new(reference: Option<Reference>) -> Self {
        Drift { reference, window: [0.0; DRIFT_WINDOW], next: 0, filled: 0 }
    }

    /// The reference that the window is compared with.
    pub fn reference(&self) -> Option<Reference> {
        self.reference
    }

    /// Adds the entropy of an image and drops the oldest one.
    pub fn add(&mut self, entropy: f32) {
        if let Some(place) = self.window.get_mut(self.next) {
            *place = entropy;
        }
        self.next = if self.next + 1 < DRIFT_WINDOW { self.next + 1 } else { 0 };
        self.filled = (self.filled + 1).min(DRIFT_WINDOW);
    }

    /// Reads the chart.
    pub fn state(&self) -> State {
        let full = self.filled == DRIFT_WINDOW;
        let score = self.reference.filter(|_| full).map(|reference| {
            let mut sum = 0.0;
            for entropy in self.window {
                sum += entropy;
            }
            let n = DRIFT_WINDOW as f32;
            (sum / n - reference.mean) * sqrt(n) / reference.deviation
        });
        State { filled: self.filled as u16, score, alarm: score.is_some_and(|z| z > ALARM) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_needs_a_full_window_a_reference_and_a_shift() {
        let reference = Reference { mean: 0.5, deviation: 0.1 };
        let (mut drift, mut blind) = (Drift::new(Some(reference)), Drift::new(None));
        for k in 0..DRIFT_WINDOW {
            assert_eq!(drift.state(), State { filled: k as u16, score: None, alarm: false });
            drift.add(0.5);
            blind.add(9.0);
        }
        assert_eq!(drift.state(), State { filled: DRIFT_WINDOW as u16, score: Some(0.0), alarm: false });
        assert_eq!(blind.state().score, None);
        // z = (0.6 - 0.5) sqrt(32) / 0.1 = 5.66 once all are new; the alarm comes when 23 of 32 are.
        let alarm = (1..=DRIFT_WINDOW).find(|_| {
            drift.add(0.6);
            drift.state().alarm
        });
        assert_eq!(alarm, Some(23));
    }

    #[test]
    fn less_entropy_is_no_alarm() {
        let mut drift = Drift::new(Some(Reference { mean: 0.5, deviation: 0.1 }));
        (0..DRIFT_WINDOW).for_each(|_| drift.add(0.0));
        assert!(!drift.state().alarm && drift.state().score.is_some_and(|z| z < -20.0));
    }

    #[test]
    fn references_that_mean_nothing_are_none() {
        for (mean, deviation) in [(f32::NAN, 1.0), (-0.1, 1.0), (0.1, 0.0), (0.1, f32::INFINITY), (0.1, f32::NAN)] {
            assert_eq!(Reference { mean, deviation }.checked(), None);
        }
    }
}
