//! States over time, as plots show them: each with its certificate, or with the standard error that follows from a
//! calibration.

use crate::Error;
use crate::solver::Solver;
use sirocco::bundle::Certificate;
use sirocco::calibrate::{Calibration, Forecast, Observation, Task, Uncertain};
use sirocco::query::{Query, QueryError};
use sirocco::trajectory::Trajectory;

/// The certified state at a time, or why there is none.
pub struct Certified {
    /// The time.
    pub t: f32,
    /// The state with its certificate.
    pub answer: Result<Certificate, QueryError>,
}

/// Asks for the certified states of a trajectory one by one; `done` is called after each with their number so far.
///
/// # Errors
/// [`Error::Query`] if none of them has an answer, [`Error::Client`] if the device fails.
pub fn certified(
    solver: &mut Solver,
    trajectory: &Trajectory,
    mut done: impl FnMut(u16),
) -> Result<Vec<Certified>, Error> {
    let mut points = Vec::new();
    for (k, query) in (0..trajectory.points).map_while(|k| Some((k, trajectory.query(k)?))) {
        points.push(Certified { t: query.t, answer: solver.certify(&query)? });
        done(k + 1);
    }
    let unanswered = points.iter().all(|point| point.answer.is_err());
    match points.first().map(|point| &point.answer) {
        Some(Err(source)) if unanswered => Err(solver.unanswered(&trajectory.problem, *source)),
        _ => Ok(points),
    }
}

/// The ranges of time in which all points hold (`true`); each reaches halfway to the points beside it.
pub fn spans(points: &[(f32, bool)]) -> Vec<(f32, f32)> {
    let mut spans: Vec<(f32, f32)> = Vec::new();
    let mut open = false;
    for (k, &(t, holds)) in points.iter().enumerate() {
        let halfway = |other: Option<&(f32, bool)>| other.map_or(t, |(other, _)| 0.5 * (t + other));
        let (before, after) = (halfway(k.checked_sub(1).and_then(|k| points.get(k))), halfway(points.get(k + 1)));
        match spans.last_mut() {
            Some(last) if open && holds => last.1 = after,
            _ if holds => spans.push((before, after)),
            _ => {}
        }
        open = holds;
    }
    spans
}

/// A calibration and what follows from it.
pub struct Fit {
    /// The observations.
    pub observations: Vec<Observation>,
    /// The estimates.
    pub calibration: Calibration,
    /// The fitted state at the time of each observation, in the same order.
    pub fitted: Vec<[f32; sirocco::limits::MAX_STATE]>,
    /// The state at equally spaced times, with its standard errors.
    pub curve: Vec<(f32, [Uncertain; sirocco::limits::MAX_STATE])>,
    /// The reproduction number at the last observation, and the state at the end of the curve.
    pub outlook: Forecast,
}

/// Calibrates, and asks for the fitted state at `points` times from zero to `until`; `done` is called after each with
/// their number so far.
///
/// # Errors
/// [`Error::Calibration`] if there is no estimate, [`Error::Query`] if the fit has no answer at a time,
/// [`Error::Client`] if the device fails.
pub fn fit(
    solver: &mut Solver,
    observations: &[Observation],
    task: &Task,
    until: f32,
    points: u16,
    mut done: impl FnMut(u16),
) -> Result<Fit, Error> {
    let calibration = solver.calibrate(observations, task)?;
    let (calibration, _) = calibration.map_err(|source| Error::Calibration { source })?;
    let now = observations.iter().fold(0.0, |last: f32, o| last.max(o.t));
    let mut at = |t: f32| {
        let query = Query { t, ..calibration.problem };
        let forecast = solver.forecast(&calibration, now, t)?;
        forecast.map_err(|source| solver.unanswered(&query, source))
    };
    let times = Trajectory { problem: Query { t: 0.0, ..calibration.problem }, until, points };
    let mut curve = Vec::new();
    for (k, query) in (0..points).map_while(|k| Some((k, times.query(k)?))) {
        curve.push((query.t, at(query.t)?.state));
        done(k + 1);
    }
    let mut fitted = Vec::new();
    for observation in observations {
        fitted.push(at(observation.t)?.state.map(|u| u.value));
    }
    let outlook = at(until)?;
    Ok(Fit { observations: observations.to_vec(), calibration, fitted, curve, outlook })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_reach_halfway_to_the_points_beside_them() {
        let marked = |marks: &[u8]| -> Vec<(f32, bool)> {
            marks.iter().enumerate().map(|(k, mark)| (k as f32, *mark == 1)).collect()
        };
        assert_eq!(spans(&marked(&[0, 0])), []);
        assert_eq!(spans(&marked(&[1, 1, 0, 0, 1, 1])), [(0.0, 1.5), (3.5, 5.0)]);
        assert_eq!(spans(&marked(&[0, 1, 0])), [(0.5, 1.5)]);
        assert_eq!(spans(&marked(&[1])), [(0.0, 0.0)]);
    }
}
