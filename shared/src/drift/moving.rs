//! The chart of files that state no more than a mean and a standard deviation, or of a host that sets them: moving means of
//! the predictive entropy.
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

use super::reading::{Reference, State};
use crate::limits::DRIFT_WINDOW;
use crate::math::sqrt;

/// The alarm is raised above this z. If the mean of a window were normally distributed, 1 window in 32,000 would raise a false
/// one. Entropies have a long upper tail, so false alarms are more frequent.
pub const ALARM: f32 = 4.0;

/// The chart: the latest entropies and the reference.
#[derive(Debug, Clone)]
pub struct Moving {
    reference: Option<Reference>,
    window: [f32; DRIFT_WINDOW],
    next: usize,
    filled: usize,
}

impl Moving {
    /// An empty window.
    ///
    /// ```
    /// use sirocco::drift::Reference;
    /// use sirocco::drift::moving::Moving;
    /// let mut drift = Moving::new(Some(Reference { mean: 0.1, deviation: 0.2 }));
    /// for _ in 0..sirocco::limits::DRIFT_WINDOW {
    ///     drift.add(0.5);
    /// }
    /// assert!(drift.state().alarm);
    /// ```
    pub fn new(reference: Option<Reference>) -> Self {
        Moving { reference, window: [0.0; DRIFT_WINDOW], next: 0, filled: 0 }
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
        let (mut drift, mut blind) = (Moving::new(Some(reference)), Moving::new(None));
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
        let mut drift = Moving::new(Some(Reference { mean: 0.5, deviation: 0.1 }));
        (0..DRIFT_WINDOW).for_each(|_| drift.add(0.0));
        assert!(!drift.state().alarm && drift.state().score.is_some_and(|z| z < -20.0));
    }
}
