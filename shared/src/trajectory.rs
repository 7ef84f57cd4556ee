//! Many states of one problem at equally spaced times.

use crate::limits::MAX_TRAJECTORY;
use crate::ode::State;
use crate::query::{Prediction, Query};
use serde::{Deserialize, Serialize};

/// A problem and `points` times, from the problem's own `t` to `until`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trajectory {
    /// The problem; its `t` is the first time.
    pub problem: Query,
    /// The last time.
    pub until: f32,
    /// Number of points, 1 to [`MAX_TRAJECTORY`].
    pub points: u16,
}

/// A state of a trajectory, with the flags of its prediction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The state.
    pub state: State<f32>,
    /// As in [`crate::query::Prediction`].
    pub in_domain: bool,
    /// As in [`crate::query::Prediction`].
    pub plausible: bool,
}

impl Trajectory {
    /// The query of point k: t_k = t + (until - t) k / (points - 1), in f32, hence with the same bits on every machine.
    ///
    /// `None` if there is no such point.
    pub fn query(&self, k: u16) -> Option<Query> {
        if self.points > MAX_TRAJECTORY || k >= self.points {
            return None;
        }
        let last = self.points - 1;
        let share = if last == 0 { 0.0 } else { f32::from(k) / f32::from(last) };
        // The last time is exact: rounding must not carry it beyond the domain.
        let t = if k == last && last > 0 { self.until } else { self.problem.t + (self.until - self.problem.t) * share };
        Some(Query { t, initial: self.problem.initial, rates: self.problem.rates })
    }
}

impl From<Prediction> for Point {
    fn from(Prediction { state, in_domain, plausible, .. }: Prediction) -> Self {
        Point { state, in_domain, plausible }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trajectory(points: u16) -> Trajectory {
        Trajectory { problem: Query { t: 1.0, initial: [0.25; 4], rates: [0.5; 4] }, until: 4.0, points }
    }

    #[test]
    fn times_are_equally_spaced_and_end_at_the_last() {
        let times: std::vec::Vec<f32> = (0..4).map(|k| trajectory(4).query(k).unwrap().t).collect();
        assert_eq!(times, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(trajectory(1).query(0).unwrap(), trajectory(1).problem);
        for points in 2..=MAX_TRAJECTORY {
            assert_eq!(trajectory(points).query(points - 1).unwrap().t, 4.0);
        }
    }

    #[test]
    fn there_are_no_points_beyond_the_last_and_not_too_many() {
        assert_eq!(trajectory(4).query(4), None);
        assert_eq!(trajectory(0).query(0), None);
        assert_eq!(trajectory(MAX_TRAJECTORY + 1).query(0), None);
    }
}
