//! The forecast of a calibrated problem, with the uncertainty of its estimates.

use super::outlook::{Outlook, outlook};
use super::{Calibration, Forward, Uncertain};
use crate::limits::MAX_STATE;
use crate::ode::Ode;
use crate::query::{Query, QueryError};
use serde::{Deserialize, Serialize};

/// The future of a calibrated problem.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The time of `state`.
    pub horizon: f32,
    /// The state at the horizon, component by component.
    pub state: [Uncertain; MAX_STATE],
    /// The epidemic's key figures; only for SIR.
    pub outlook: Option<Outlook>,
}

/// The state at `horizon`, with standard errors through the model's exact derivatives; for SIR also the outlook, with the
/// effective reproduction number at `now`.
///
/// # Errors
/// [`QueryError`] if the model has no answer at one of these times, or for SIR if gamma is zero.
pub fn forecast<F: Forward>(
    model: &F,
    calibration: &Calibration,
    now: f32,
    horizon: f32,
) -> Result<Forecast, QueryError> {
    let query = Query { t: horizon, ..calibration.problem };
    let mut state = [Uncertain::default(); MAX_STATE];
    for (component, entry) in (0u8..).zip(&mut state).take(model.ode().state_names().len()) {
        let (value, gradient) = model.component(&query, component, calibration.free())?;
        *entry = calibration.uncertain(value, &gradient);
    }
    let outlook = if model.ode() == Ode::Sir { Some(outlook(model, calibration, now)?) } else { None };
    Ok(Forecast { horizon, state, outlook })
}
