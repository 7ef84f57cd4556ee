//! Drift alarm: whether what a device sees has moved away from what its network was calibrated on.
//!
//! Watched is the predictive entropy H of the last n = [`DRIFT_WINDOW`] images, as a control chart of moving means
//! (Shewhart 1931; Montgomery, Introduction to Statistical Quality Control, section 9.3, for the moving window):
//!
//! z = (mean(H) - mu) / (sigma / sqrt(n)), and an alarm where z > [`ALARM`].
//!
//! mu and sigma are mean and standard deviation of the entropy over images of the domain the network knows: the
//! trainer measures them and writes them into the file (`entropy.mean`, `entropy.deviation`), or the host sets them.
//! One-sided: images that are more certain than those are no reason for an alarm.
//!
//! What it cannot see: images on which the network is wrong but sure of itself. What it assumes: images that do not
//! depend on each other. Frames of one scene do, so their alarms come earlier and more often.
//!
//! Cost: one addition per place of the window and two divisions for each image.

use crate::limits::DRIFT_WINDOW;
use crate::math::sqrt;
use serde::{Deserialize, Serialize};

/// Above this z there is an alarm. Were the mean of a window normal, 1 window in 32,000 would give a false one; entropies
/// have a long upper tail, so it is more often.
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

/// What the chart shows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Images in the window; the chart says nothing before it is full.
    pub filled: u16,
    /// z, once the window is full, if there is a reference to compare with.
    pub score: Option<f32>,
    /// Whether z is above [`ALARM`].
    pub alarm: bool,
}

/// The last entropies and what they are compared with.
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
    ///     drift.see(0.5);
    /// }
    /// assert!(drift.state().alarm);
    /// ```
    pub fn new(reference: Option<Reference>) -> Self {
        Drift { reference, window: [0.0; DRIFT_WINDOW], next: 0, filled: 0 }
    }

    /// What the window is compared with.
    pub fn reference(&self) -> Option<Reference> {
        self.reference
    }

    /// Takes the entropy of one image; the oldest one leaves.
    pub fn see(&mut self, entropy: f32) {
        if let Some(place) = self.window.get_mut(self.next) {
            *place = entropy;
        }
        self.next = if self.next + 1 < DRIFT_WINDOW { self.next + 1 } else { 0 };
        self.filled = (self.filled + 1).min(DRIFT_WINDOW);
    }

    /// What the chart shows now.
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
            drift.see(0.5);
            blind.see(9.0);
        }
        assert_eq!(drift.state(), State { filled: DRIFT_WINDOW as u16, score: Some(0.0), alarm: false });
        assert_eq!(blind.state().score, None);
        // z = (0.6 - 0.5) sqrt(32) / 0.1 = 5.66 once all are new; the alarm comes when 23 of 32 are.
        let alarm = (1..=DRIFT_WINDOW).find(|_| {
            drift.see(0.6);
            drift.state().alarm
        });
        assert_eq!(alarm, Some(23));
    }

    #[test]
    fn less_entropy_is_no_alarm() {
        let mut drift = Drift::new(Some(Reference { mean: 0.5, deviation: 0.1 }));
        (0..DRIFT_WINDOW).for_each(|_| drift.see(0.0));
        assert!(!drift.state().alarm && drift.state().score.is_some_and(|z| z < -20.0));
    }

    #[test]
    fn references_that_mean_nothing_are_none() {
        for (mean, deviation) in [(f32::NAN, 1.0), (-0.1, 1.0), (0.1, 0.0), (0.1, f32::INFINITY), (0.1, f32::NAN)] {
            assert_eq!(Reference { mean, deviation }.checked(), None);
        }
    }
}
