//! Asks the device in a thread of its own, so that the console never waits; reconnects to a device that was lost.

use super::state::{Answer, Event, Question};
use crate::Error;
use crate::client::ClientError;
use crate::solver::Solver;
use sirocco::query::Query;
use sirocco::trajectory::Trajectory;
use sirocco::wire::DeviceError;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

/// Points of the curve on the screen.
const POINTS: u16 = 41;
/// How often an idle device is asked whether it is still there.
const BEAT: Duration = Duration::from_secs(1);
/// Time between two attempts to reconnect to a device.
const AGAIN: Duration = Duration::from_millis(500);

/// Answers the newest question, again and again, until one of the two channels is closed. `reconnect` opens the device
/// again after it was lost.
pub fn work(
    mut solver: Solver,
    questions: &Receiver<Question>,
    events: &Sender<Event>,
    mut reconnect: impl FnMut() -> Result<Solver, Error>,
) {
    let mut waiting: Option<Question> = None;
    loop {
        waiting = match waiting.map_or_else(|| questions.recv_timeout(BEAT), Ok) {
            // Older questions are outdated.
            Ok(question) => Some(questions.try_iter().last().unwrap_or(question)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let result = match &waiting {
            Some(question) => answer(&mut solver, question, questions, events),
            None => solver.is_there().map(|()| None),
        };
        match result {
            Ok(newer) => waiting = newer,
            // A device that was reset meanwhile has forgotten the observations: the same question, from the start.
            Err(Error::Client(ClientError::Device { source: DeviceError::NotCalibrated, .. })) => {}
            Err(
                error @ (Error::Client(ClientError::Device { .. } | ClientError::Version { .. })
                | Error::Model { .. }
                | Error::Foreign { .. }),
            ) => {
                let number = waiting.take().map_or(0, |question| question.number);
                if events.send(Event::Answer { number, answer: Err(error.to_string()) }).is_err() {
                    return;
                }
            }
            Err(error) => {
                if events.send(Event::Lost(error.to_string())).is_err() {
                    return;
                }
                let Some(found) = find(&solver, events, &mut reconnect) else { return };
                solver = found;
            }
        }
    }
}

/// Waits until the device answers again, and returns it; `None` once the channel for events is closed.
fn find(
    lost: &Solver,
    events: &Sender<Event>,
    reconnect: &mut impl FnMut() -> Result<Solver, Error>,
) -> Option<Solver> {
    loop {
        std::thread::sleep(AGAIN);
        let event = match reconnect() {
            Ok(found) if found.ode() == lost.ode() && found.domain() == lost.domain() => {
                events.send(Event::Back(found.name().to_owned())).ok()?;
                return Some(found);
            }
            Ok(found) => Event::Lost(format!("{} holds another model", found.name())),
            Err(error) => Event::Lost(error.to_string()),
        };
        events.send(event).ok()?;
    }
}

/// Answers a question: first with estimates and forecast, then also with the curve. Stops early if there is a newer
/// question, and returns that.
fn answer(
    solver: &mut Solver,
    question: &Question,
    questions: &Receiver<Question>,
    events: &Sender<Event>,
) -> Result<Option<Question>, Error> {
    let number = question.number;
    // If the channel is closed, so is that of the questions, which ends the thread.
    let say = |answer: Result<Box<Answer>, String>| drop(events.send(Event::Answer { number, answer }));
    let calibration = match solver.calibrate(&question.observations, &question.task)? {
        Ok((calibration, _)) => calibration,
        Err(error) => {
            say(Err(error.to_string()));
            return Ok(None);
        }
    };
    let end = Query { t: question.until, ..calibration.problem };
    let forecast = match solver.forecast(&calibration, question.now, question.until)? {
        Ok(forecast) => forecast,
        Err(error) => {
            say(Err(error.to_string()));
            return Ok(None);
        }
    };
    let certificate = solver.certify(&end)?;
    let mut answer = Answer { calibration, forecast, certificate, curve: Vec::new() };
    say(Ok(Box::new(answer.clone())));
    let times = Trajectory { problem: Query { t: 0.0, ..end }, until: question.until, points: POINTS };
    for query in (0..POINTS).map_while(|k| times.query(k)) {
        if let Some(newer) = questions.try_iter().last() {
            return Ok(Some(newer));
        }
        if let Ok(forecast) = solver.forecast(&answer.calibration, question.now, query.t)? {
            answer.curve.push((query.t, forecast.state));
        }
    }
    say(Ok(Box::new(answer)));
    Ok(None)
}
