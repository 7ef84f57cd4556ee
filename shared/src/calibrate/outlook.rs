//! The key figures of a calibrated SIR problem: reproduction numbers, peak and final size, with their standard errors.
//!
//! With rho = gamma / beta, the basic reproduction number is 1 / rho and the effective one at t is S(t) / rho. Infections
//! peak when S = rho. Since I + S - rho ln S is constant in time, the height of the peak is exactly
//! S0 + I0 - rho (1 + ln(S0 / rho)). S(inf) is the least root of s = S0 exp(-(S0 + I0 - s) / rho) (Kermack and McKendrick,
//! 1927). Newton's method finds it from zero and approaches it from below without overshooting.
//!
//! Standard errors are of first order, from the covariance of the estimates and exact gradients: by dual numbers for the
//! closed forms, by the implicit function theorem for the roots, through the model for S(t).

use super::{Calibration, Forward, Uncertain};
use crate::bundle::Gradient;
use crate::bundle::sensitivity::SeededProblem;
use crate::math::{abs, ln};
use crate::ode::Ode;
use crate::query::{Query, QueryError};
use crate::scalar::{Dual, Scalar};
use serde::{Deserialize, Serialize};

/// Steps of Newton's method. Near the threshold the root is almost double, and a step gains only one bit.
const STEPS: usize = 40;
/// Newton's method ends at a step shorter than this, as a fraction of the range.
const CLOSE: f32 = 1e-6;
/// Index of S.
const S: u8 = 0;
/// Index of I.
const I: u8 = 1;

/// The key figures of an epidemic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// beta / gamma: the number of people whom one case infects while everyone is susceptible.
    pub basic: Uncertain,
    /// beta S(t) / gamma at the time asked for: the number of people whom one case infects then.
    pub effective: Uncertain,
    /// The time when I is highest; `None` if that is after the model's times, and exactly zero if I only falls.
    pub peak_time: Option<Uncertain>,
    /// I at its peak.
    pub peak_height: Uncertain,
    /// S(inf): the share that is never infected. All others end in R.
    pub never_infected: Uncertain,
}

/// The outlook of a calibrated SIR problem, with the effective reproduction number at `now`.
///
/// Cost: three formulas in dual numbers per unknown, and about ten evaluations of the model for the time of the peak.
///
/// # Errors
/// [`QueryError::Inadmissible`] for other systems, [`QueryError::Overflow`] for gamma = 0, where infections never end, and
/// the errors of the model.
pub fn outlook<F: Forward>(model: &F, calibration: &Calibration, now: f32) -> Result<Outlook, QueryError> {
    if model.ode() != Ode::Sir {
        return Err(QueryError::Inadmissible);
    }
    let problem = &calibration.problem;
    let [beta, gamma, ..] = problem.rates;
    if !(gamma > 0.0 && (beta / gamma).is_finite()) {
        return Err(QueryError::Overflow);
    }
    let ratio = |m: &SeededProblem| m.rates[0] / m.rates[1];
    let basic = closed(calibration, ratio);

    let free = calibration.free();
    let (s, mut slopes) = model.component(&Query { t: now, ..*problem }, S, free)?;
    for (slope, index) in slopes.iter_mut().zip(free.indices()) {
        *slope = basic_slope(problem, index) * s + beta / gamma * *slope;
    }
    let effective = calibration.uncertain(beta / gamma * s, &slopes);
    Ok(Outlook {
        basic,
        effective,
        peak_time: peak_time(model, calibration)?,
        peak_height: closed(calibration, peak_height),
        never_infected: never_infected(calibration),
    })
}

/// d (beta / gamma) / d quantity.
fn basic_slope(problem: &Query, index: u8) -> f32 {
    let seeded = SeededProblem::new(Ode::Sir, problem, index);
    (seeded.rates[0] / seeded.rates[1]).derivatives[0]
}

/// The value of a closed formula with its standard error.
fn closed(calibration: &Calibration, formula: impl Fn(&SeededProblem) -> Dual<f32, 1>) -> Uncertain {
    let mut gradient = Gradient::default();
    for (slope, index) in gradient.iter_mut().zip(calibration.free().indices()) {
        *slope = formula(&SeededProblem::new(Ode::Sir, &calibration.problem, index)).derivatives[0];
    }
    // Quantity 0 is time, on which no formula depends.
    let value = formula(&SeededProblem::new(Ode::Sir, &calibration.problem, 0)).value;
    calibration.uncertain(value, &gradient)
}

/// rho, or infinity if beta is zero.
fn threshold(problem: &Query) -> f32 {
    let [beta, gamma, ..] = problem.rates;
    if beta > 0.0 { gamma / beta } else { f32::INFINITY }
}

fn peak_height(m: &SeededProblem) -> Dual<f32, 1> {
    let [s0, i0, ..] = Ode::Sir.initial(&m.initial);
    let [beta, gamma, ..] = m.rates;
    if s0.value * beta.value <= gamma.value {
        return i0;
    }
    let rho = gamma / beta;
    let share = s0 / rho;
    let logarithm = Dual { value: ln(share.value), derivatives: share.derivatives.map(|d| d / share.value) };
    s0 + i0 - rho * (Dual::one() + logarithm)
}

/// The time when S falls to rho.
fn peak_time<F: Forward>(model: &F, calibration: &Calibration) -> Result<Option<Uncertain>, QueryError> {
    let (problem, free) = (&calibration.problem, calibration.free());
    let rho = threshold(problem);
    let [s0, ..] = Ode::Sir.initial(&problem.initial);
    if s0 <= rho {
        return Ok(Some(Uncertain::default()));
    }
    let (mut low, mut high) = (0.0, model.domain().first().map_or(0.0, |times| times.hi));
    let tolerance = CLOSE * high;
    if model.component(&Query { t: high, ..*problem }, S, free)?.0 > rho {
        return Ok(None);
    }
    let mut t = 0.5 * high;
    let (mut slopes, mut fall) = (Gradient::default(), 0.0);
    for _ in 0..STEPS {
        let query = Query { t, ..*problem };
        let (s, gradient) = model.component(&query, S, free)?;
        let (i, _) = model.component(&query, I, free)?;
        let [beta, ..] = problem.rates;
        (slopes, fall) = (gradient, -(beta * s * i));
        if s > rho {
            low = t;
        } else {
            high = t;
        }
        let next = t - (s - rho) / fall;
        let next = if next > low && next < high { next } else { 0.5 * (low + high) };
        let moved = abs(next - t);
        t = next;
        if moved <= tolerance {
            break;
        }
    }
    // S(t*; q) = rho(q), hence dt* = (d rho - dS) / S'.
    for (slope, index) in slopes.iter_mut().zip(free.indices()) {
        let seeded = SeededProblem::new(Ode::Sir, problem, index);
        *slope = ((seeded.rates[1] / seeded.rates[0]).derivatives[0] - *slope) / fall;
    }
    Ok(Some(calibration.uncertain(t, &slopes)))
}

/// F(s) = s - S0 exp(-(S0 + I0 - s) / rho) and F'(s).
fn remaining<T: Scalar>(initial: &[T; 4], rates: &[T; 4], s: T) -> (T, T) {
    let [s0, i0, ..] = Ode::Sir.initial(initial);
    let basic = rates[0] / rates[1];
    let left = s0 * (-(basic * (s0 + i0 - s))).exp();
    (s - left, T::one() - basic * left)
}

fn never_infected(calibration: &Calibration) -> Uncertain {
    let problem = &calibration.problem;
    let mut s = 0.0f32;
    for _ in 0..STEPS {
        let (f, slope) = remaining(&problem.initial, &problem.rates, s);
        let step = f / slope;
        // F is concave and rises to the root, so a step back is rounding, and so is a step at a slope of zero.
        if !(step < -CLOSE && slope > 0.0) {
            break;
        }
        s -= step;
    }
    let step = |m: &SeededProblem| {
        let (f, slope) = remaining(&m.initial, &m.rates, Dual::fixed(s));
        // One step of Newton's method from the root has the derivative of the root.
        Dual::fixed(s) - f / slope
    };
    closed(calibration, step)
}
