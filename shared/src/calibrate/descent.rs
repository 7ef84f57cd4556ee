//! Gauss-Newton in a box, damped where it fails, for whatever is a sum of squares near its minimum.
//!
//! Unknowns are scaled so that the box is [-1, 1]. An unknown at an end of its range whose gradient points outward stays
//! there (active set). The step of the others solves (J^T J + mu I) d = J^T r and is cut at the box. The loss comes together
//! with its gradient and information, so an accepted step needs no second evaluation.

#![allow(clippy::needless_range_loop, reason = "matrices are written with indices, each below MAX_UNKNOWNS")]

use super::matrix::{self, Matrix, Vector};
use crate::limits::MAX_UNKNOWNS;
use crate::math::abs;
use crate::query::QueryError;

/// The descent ends with the step after which no step can gain more than this fraction of the residual variance. The gain
/// of a step of s standard errors is s^2, so this is a tenth of a standard error.
const GAIN: f32 = 1e-2;
/// A step shorter than this, in half ranges, is negligible: f32 does not resolve it.
const STEP: f32 = 2e-6;
/// A step longer than this, in half ranges, is not made without an evaluation.
const LONG: f32 = 0.1;
/// Damping after the first failure, as a fraction of the mean diagonal, and its growth and decay.
const DAMPING: f32 = 1e-3;
const GROWTH: f32 = 8.0;
const DECAY: f32 = 0.1;
/// An unknown closer to the end of its range than this, in half ranges, is at the bound.
const BOUND: f32 = 1e-5;

/// A function of the scaled unknowns that a descent minimizes: chi^2, or the deviance of counts.
pub trait Loss {
    /// Number of unknowns.
    fn unknowns(&self) -> usize;

    /// Whether the loss is in units of a variance that is known. Otherwise the variance is [`Self::variance`].
    fn absolute(&self) -> bool;

    /// The residual variance at a point of this loss, with which the gain of a step is compared.
    fn variance(&self, loss: f32) -> f32;

    /// The loss at these scaled unknowns, with its slopes.
    ///
    /// # Errors
    /// [`QueryError`] where the model has no answer.
    fn evaluate(&self, u: &Vector) -> Result<Point, QueryError>;
}

/// Counts the evaluations of a loss, and calls its owner before each: a device shows meanwhile that it is still there.
pub struct Meter<'w> {
    /// Evaluations so far.
    pub evaluations: u16,
    watch: &'w mut dyn FnMut(),
}

impl<'w> Meter<'w> {
    /// A meter at zero that calls `watch` before every evaluation.
    pub fn new(watch: &'w mut dyn FnMut()) -> Self {
        Meter { evaluations: 0, watch }
    }

    fn evaluate(&mut self, loss: &impl Loss, u: &Vector) -> Result<Point, QueryError> {
        (self.watch)();
        self.evaluations = self.evaluations.saturating_add(1);
        loss.evaluate(u)
    }
}

/// A point of a descent. Near it, the loss is that of the point, minus 2 gradient d, plus d information d.
#[derive(Debug, Clone)]
pub struct Point {
    /// The scaled unknowns.
    pub u: Vector,
    /// The loss: chi^2, or a deviance.
    pub loss: f32,
    /// J^T J: half the curvature of the loss.
    pub information: Matrix,
    /// J^T r: half the steepest descent of the loss.
    pub gradient: Vector,
    /// True if the descent ended because a further step would gain next to nothing, and not at the limit of evaluations.
    pub converged: bool,
}

impl Point {
    /// A point without any observations yet.
    pub fn new(u: &Vector) -> Self {
        let (information, gradient) = ([[0.0; MAX_UNKNOWNS]; MAX_UNKNOWNS], [0.0; MAX_UNKNOWNS]);
        Point { u: *u, loss: 0.0, information, gradient, converged: false }
    }

    /// Adds an observation with this gradient of its mean along the `n` unknowns, this residual, and this weight (the inverse of
    /// its variance). Of the information, only the lower triangle is filled.
    #[inline(always)]
    pub fn add(&mut self, n: usize, row: &Vector, residual: f32, weight: f32) {
        let n = n.min(MAX_UNKNOWNS);
        for i in 0..n {
            let weighted = row[i] * weight;
            self.gradient[i] += weighted * residual;
            for j in 0..=i {
                self.information[i][j] += weighted * row[j];
            }
        }
    }

    /// The point with both triangles of the information.
    ///
    /// # Errors
    /// [`QueryError::Overflow`] if a number is not finite.
    pub fn complete(mut self) -> Result<Self, QueryError> {
        for i in 0..MAX_UNKNOWNS {
            for j in 0..i {
                self.information[j][i] = self.information[i][j];
            }
        }
        let finite = self.loss.is_finite() && self.information.iter().flatten().all(|v| v.is_finite());
        if finite && self.gradient.iter().all(|v| v.is_finite()) { Ok(self) } else { Err(QueryError::Overflow) }
    }
}

/// True for a scaled unknown at an end of its range, -1 or 1: the data may fit better beyond.
pub fn at_bound(u: f32) -> bool {
    abs(u) >= 1.0 - BOUND
}

/// Descends from `start` until it converges or gives up, and returns the best point.
///
/// The loss of the last point is that of the one before minus the expected gain, because a negligible step is not worth an
/// evaluation.
///
/// # Errors
/// [`QueryError`] if the model has no answer at the start.
pub fn descend(loss: &impl Loss, start: &Vector, most: u16, meter: &mut Meter<'_>) -> Result<Point, QueryError> {
    let mut here = meter.evaluate(loss, start)?;
    let mut damping = 0.0;
    // The expected gain of the last step, if that was undamped.
    let mut last_gain = None;
    for _ in 0..most {
        let Some((u, gain)) = step(loss.unknowns(), &here, damping) else {
            damping = (damping * GROWTH).max(DAMPING);
            continue;
        };
        let length = u.iter().zip(&here.u).fold(0.0f32, |m, (new, old)| m.max(abs(new - old)));
        // A negative gain is not convergence: the cut at the box has turned the step uphill.
        if gain < -STEP {
            damping = (damping * GROWTH).max(DAMPING);
            continue;
        }
        // Undamped steps shrink at least as fast as the last one did, which limits the gain of the next. This holds only
        // if the variance is known: with relative weights it changes from one point to the next.
        let next = match last_gain {
            Some(last) if gain < last && loss.absolute() => gain * gain / last,
            _ => gain,
        };
        if next <= GAIN * loss.variance(here.loss) && damping < DAMPING || length <= STEP {
            // A long step for a negligible gain runs along what the data leave open, beyond where the gain can be foreseen.
            if length <= LONG {
                here.u = u;
                here.loss = (here.loss - gain).max(0.0);
            }
            here.converged = true;
            break;
        }
        match meter.evaluate(loss, &u) {
            Ok(trial) if trial.loss < here.loss => {
                // Less damping if the linear model predicted the gain well, more if not.
                let promised = here.loss - trial.loss > 0.25 * gain;
                damping = if promised { damping * DECAY } else { (damping * GROWTH).max(DAMPING) };
                last_gain = (damping == 0.0).then_some(gain);
                here = trial;
            }
            _ if length <= 16.0 * STEP => {
                // Any further gain would be lost in rounding.
                here.converged = true;
                break;
            }
            _ => damping = (damping * GROWTH).max(DAMPING),
        }
    }
    Ok(here)
}

/// The next point and the gain that the linear model expects there; `None` if the equations are singular.
fn step(n: usize, here: &Point, damping: f32) -> Option<(Vector, f32)> {
    let n = n.min(MAX_UNKNOWNS);
    let trace: f32 = (0..n).map(|i| here.information[i][i]).sum();
    let mut held = [false; MAX_UNKNOWNS];
    for i in 0..n {
        let b = here.gradient[i];
        let outwards = here.u[i] >= 1.0 && b > 0.0 || here.u[i] <= -1.0 && b < 0.0;
        held[i] = outwards || here.information[i][i] <= f32::EPSILON * trace;
    }
    let mut d = [0.0; MAX_UNKNOWNS];
    // Clamp the unknowns that would leave the box, and solve again for the rest.
    for _ in 0..=n {
        let (mut a, mut b) = (here.information, here.gradient);
        for i in 0..n {
            a[i][i] += damping * here.information[i][i];
            for k in 0..n {
                if held[k] && !held[i] {
                    b[i] -= here.information[i][k] * d[k];
                    a[i][k] = 0.0;
                } else if held[i] {
                    a[i][k] = 0.0;
                }
            }
            if held[i] {
                (a[i][i], b[i]) = (1.0, d[i]);
            }
        }
        let solution = matrix::solve(&a, &b, n)?;
        let mut cut = false;
        for i in 0..n {
            d[i] = if held[i] { d[i] } else { solution[i] };
            let u = here.u[i] + d[i];
            if !(-1.0..=1.0).contains(&u) && !held[i] {
                d[i] = u.clamp(-1.0, 1.0) - here.u[i];
                (held[i], cut) = (true, true);
            }
        }
        if !cut {
            break;
        }
    }
    let mut u = here.u;
    let mut gain = 0.0;
    for i in 0..n {
        u[i] = (u[i] + d[i]).clamp(-1.0, 1.0);
        let ad: f32 = (0..n).map(|j| here.information[i][j] * d[j]).sum();
        gain += d[i] * (2.0 * here.gradient[i] - ad);
    }
    Some((u, gain))
}
