//! Weighted least squares in a box: Gauss-Newton, damped where it fails.
//!
//! Unknowns are scaled to u = (q - mid) / half over their range, so the box is [-1, 1]. An unknown at an end of its range
//! whose gradient points outward stays there (active set). The step of the others solves (J^T J + mu I) d = J^T r and is
//! cut at the box. The model gives its value and derivative together, so an accepted step needs no second evaluation.

#![allow(clippy::needless_range_loop, reason = "matrices are written with indices, each below MAX_UNKNOWNS")]

use super::covariance::{self, Reading};
use super::matrix::{self, Matrix, Vector};
use super::{Calibration, CalibrationError, Estimate, Forward, Observation, Task};
use crate::bundle::Free;
use crate::limits::MAX_UNKNOWNS;
use crate::math::{abs, sqrt};
use crate::query::{Query, QueryError};
use heapless::Vec;

/// The descent ends with the step after which no step can gain more than this fraction of the residual variance. The gain
/// of a step of s standard errors is s^2, so this is a tenth of a standard error.
const GAIN: f32 = 1e-2;
/// A step shorter than this, in half ranges, is negligible: f32 does not resolve it.
const STEP: f32 = 2e-6;
/// Limit of evaluations from one starting point.
const EVALUATIONS: u16 = 25;
/// Damping after the first failure, as a fraction of the mean diagonal, and its growth and decay.
const DAMPING: f32 = 1e-3;
const GROWTH: f32 = 8.0;
const DECAY: f32 = 0.1;
/// An unknown closer to the end of its range than this, in half ranges, is at the bound.
const BOUND: f32 = 1e-5;
/// With absolute weights, another start is tried if chi^2 is this many standard deviations above its expectation.
const MISFIT: f32 = 5.0;
/// Starting points: the values of the unknowns with even and with odd index.
const STARTS: [(f32, f32); 5] = [(0.0, 0.0), (0.6, -0.6), (-0.6, 0.6), (0.6, 0.6), (-0.6, -0.6)];

/// Estimates the free quantities of `task` from `observations`.
///
/// Cost: two to six evaluations of `model` at all observations, and n^3 operations for n unknowns each time. Two rates from
/// ten observations with `sir-full` and absolute weights take two or three evaluations, 0.13 or 0.19 million Cortex-M4F
/// instructions, 184,320 in the median (61 problems, `sirocco bench`); the firmware is compiled for size and takes about
/// 13 % more. Up to four more starting points are tried if the descent from the center of the domain does not converge, or
/// ends at a poor fit: with absolute weights by its chi^2, with relative ones if it ends at a bound.
///
/// # Errors
/// [`CalibrationError`] if the question is malformed, the observations do not depend on the unknowns, or the model has no
/// answer at any starting point.
///
/// ```no_run
/// # fn example(bundle: &sirocco::bundle::Bundle<'_>, observations: &[sirocco::calibrate::Observation]) {
/// use sirocco::calibrate::{Free, Task, calibrate};
/// use sirocco::query::Query;
/// // I0 = 0.3 and R0 = 0.2 are known, beta and gamma are not.
/// let fixed = Query { t: 0.0, initial: [0.3, 0.2, 0.0, 0.0], rates: [0.0; 4] };
/// let free = Free::of(bundle.ode(), &["beta", "gamma"]).unwrap();
/// let result = calibrate(bundle, observations, &Task { free, fixed, relative: false }).unwrap();
/// let [beta, gamma] = &result.estimates[..] else { unreachable!() };
/// # }
/// ```
pub fn calibrate<F: Forward>(
    model: &F,
    observations: &[Observation],
    task: &Task,
) -> Result<Calibration, CalibrationError> {
    let fit = Fit::new(model, observations, task)?;
    let mut best: Option<Point> = None;
    let (mut evaluations, mut starts) = (0, 0);
    let mut refused = QueryError::Overflow;
    for (even, odd) in STARTS {
        let mut start = [0.0; MAX_UNKNOWNS];
        for (index, u) in start.iter_mut().enumerate().take(fit.unknowns) {
            *u = if index % 2 == 0 { even } else { odd };
        }
        starts += 1;
        match fit.descend(start, &mut evaluations) {
            Ok(point) => {
                if best.as_ref().is_none_or(|best| point.chi_square < best.chi_square) {
                    best = Some(point);
                }
                if best.as_ref().is_some_and(|best| fit.satisfied(best)) {
                    break;
                }
            }
            Err(error) => refused = error,
        }
    }
    let best = best.ok_or(CalibrationError::Query(refused))?;
    fit.conclude(&best, evaluations, starts)
}

/// A calibration under way.
struct Fit<'m, F> {
    model: &'m F,
    observations: &'m [Observation],
    free: Free,
    fixed: Query,
    relative: bool,
    unknowns: usize,
    middles: Vector,
    halves: Vector,
}

/// A point of the descent, with the values of the model there.
struct Point {
    u: Vector,
    chi_square: f32,
    /// J^T J in units of half ranges.
    information: Matrix,
    /// J^T r.
    gradient: Vector,
    converged: bool,
}

impl<'m, F: Forward> Fit<'m, F> {
    /// Validates the question.
    fn new(model: &'m F, observations: &'m [Observation], task: &Task) -> Result<Self, CalibrationError> {
        let (ode, domain) = (model.ode(), model.domain());
        let free = task.free;
        if free.count() == 0 {
            return Err(CalibrationError::NothingFree);
        }
        let (mut middles, mut halves) = ([0.0; MAX_UNKNOWNS], [0.0; MAX_UNKNOWNS]);
        let mut places = middles.iter_mut().zip(&mut halves);
        for index in free.indices() {
            let range = domain.get(usize::from(index)).filter(|range| index > 0 && range.lo < range.hi);
            let (range, (middle, half)) = range.zip(places.next()).ok_or(CalibrationError::NotFree(index))?;
            (*middle, *half) = (0.5 * (range.lo + range.hi), 0.5 * (range.hi - range.lo));
        }
        for ((index, value), range) in (0u8..).zip(task.fixed.quantities(ode)).zip(domain).skip(1) {
            if !free.contains(index) && !range.contains(value) {
                return Err(CalibrationError::OutsideDomain(index));
            }
        }
        let need = free.count() as u16 + u16::from(task.relative);
        if observations.len() < need.into() {
            return Err(CalibrationError::TooFew { have: observations.len() as u16, need });
        }
        for (index, observation) in (0u16..).zip(observations) {
            let Observation { t, component, value, sigma } = *observation;
            let weight = 1.0 / (sigma * sigma);
            if !(t.is_finite() && value.is_finite() && sigma.is_finite()) {
                return Err(CalibrationError::NotFinite(index));
            }
            if !(sigma > 0.0 && weight.is_finite() && weight > 0.0) {
                return Err(CalibrationError::Sigma(index));
            }
            if usize::from(component) >= ode.state_names().len() {
                return Err(CalibrationError::Component(index));
            }
            if !domain.first().is_some_and(|times| times.contains(t)) || t < 0.0 {
                return Err(CalibrationError::OutsideTime(index));
            }
        }
        let unknowns = free.count().min(MAX_UNKNOWNS);
        let (fixed, relative) = (task.fixed, task.relative);
        Ok(Fit { model, observations, free, fixed, relative, unknowns, middles, halves })
    }

    /// The problem at the scaled unknowns `u`; its time is that of the last observation.
    fn problem(&self, u: &Vector) -> Query {
        let ode = self.model.ode();
        let mut quantities = self.fixed.quantities(ode);
        let values = u.iter().zip(&self.middles).zip(&self.halves);
        for (index, ((u, middle), half)) in self.free.indices().zip(values) {
            let range = self.model.domain().get(usize::from(index));
            if let (Some(quantity), Some(range)) = (quantities.get_mut(usize::from(index)), range) {
                // Rounding must not carry a value out of the domain.
                *quantity = (middle + half * u).max(range.lo).min(range.hi);
            }
        }
        let last = self.observations.iter().fold(0.0f32, |last, o| if o.t > last { o.t } else { last });
        if let Some(t) = quantities.first_mut() {
            *t = last;
        }
        Query::from_quantities(ode, &quantities)
    }

    fn evaluate(&self, u: &Vector) -> Result<Point, QueryError> {
        let (mut information, mut gradient) = ([[0.0; MAX_UNKNOWNS]; MAX_UNKNOWNS], [0.0; MAX_UNKNOWNS]);
        let mut chi_square = 0.0;
        let n = self.unknowns.min(MAX_UNKNOWNS);
        self.model.observe(&self.problem(u), self.observations, self.free, |observation, value, slopes| {
            let weight = 1.0 / observation.sigma;
            let r = (observation.value - value) * weight;
            let mut row = [0.0; MAX_UNKNOWNS];
            for ((j, slope), half) in row.iter_mut().zip(slopes).zip(&self.halves).take(n) {
                *j = slope * half * weight;
            }
            chi_square += r * r;
            for i in 0..n {
                gradient[i] += row[i] * r;
                for j in 0..=i {
                    information[i][j] += row[i] * row[j];
                }
            }
        })?;
        for i in 0..n {
            for j in 0..i {
                information[j][i] = information[i][j];
            }
        }
        let finite = chi_square.is_finite() && information.iter().flatten().all(|v| v.is_finite());
        if !finite || gradient.iter().any(|v| !v.is_finite()) {
            return Err(QueryError::Overflow);
        }
        Ok(Point { u: *u, chi_square, information, gradient, converged: false })
    }

    /// The residual variance, with which the gain of a step is compared.
    fn variance(&self, chi_square: f32) -> f32 {
        let freedom = self.observations.len().saturating_sub(self.unknowns).max(1);
        if self.relative { chi_square / freedom as f32 } else { 1.0 }
    }

    /// Descends from `start` until it converges or gives up, and returns the best point.
    fn descend(&self, start: Vector, evaluations: &mut u16) -> Result<Point, QueryError> {
        let mut here = self.evaluate(&start)?;
        *evaluations += 1;
        let mut damping = 0.0;
        // The expected gain of the last step, if that was undamped.
        let mut last_gain = None;
        for _ in 0..EVALUATIONS {
            let Some((u, gain)) = self.step(&here, damping) else {
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
                Some(last) if gain < last && !self.relative => gain * gain / last,
                _ => gain,
            };
            if next <= GAIN * self.variance(here.chi_square) && damping < DAMPING || length <= STEP {
                here.u = u;
                here.converged = true;
                break;
            }
            let trial = self.evaluate(&u);
            *evaluations += 1;
            match trial {
                Ok(trial) if trial.chi_square < here.chi_square => {
                    // Less damping if the linear model predicted the gain well, more if not.
                    let promised = here.chi_square - trial.chi_square > 0.25 * gain;
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
    fn step(&self, here: &Point, damping: f32) -> Option<(Vector, f32)> {
        let n = self.unknowns.min(MAX_UNKNOWNS);
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
                a[i][i] += damping * trace / n as f32;
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

    fn at_bound(u: f32) -> bool {
        abs(u) >= 1.0 - BOUND
    }

    /// Whether the fit is good enough to try no other starting point.
    fn satisfied(&self, point: &Point) -> bool {
        let freedom = self.observations.len().saturating_sub(self.unknowns) as f32;
        let fits = if self.relative {
            point.u.iter().take(self.unknowns).all(|u| !Self::at_bound(*u))
        } else {
            point.chi_square <= freedom + MISFIT * sqrt(2.0 * freedom) + MISFIT
        };
        point.converged && fits
    }

    fn conclude(&self, point: &Point, evaluations: u16, starts: u8) -> Result<Calibration, CalibrationError> {
        let variance = self.variance(point.chi_square);
        let reading = covariance::read(point.information, &self.halves, self.unknowns, variance);
        let Reading { covariance, determined, condition } = reading.ok_or(CalibrationError::Singular)?;
        let problem = self.problem(&point.u);
        let quantities = problem.quantities(self.model.ode());
        let mut estimates = Vec::new();
        for (place, quantity) in self.free.indices().enumerate().take(MAX_UNKNOWNS) {
            let value = quantities.get(usize::from(quantity)).copied().unwrap_or(0.0);
            let standard_error = covariance.standard_error(place);
            let half = self.halves.get(place).copied().unwrap_or(0.0);
            let at_bound = point.u.get(place).is_some_and(|u| Self::at_bound(*u));
            let identified = determined.get(place).is_some_and(|d| *d) && 4.0 * standard_error <= 2.0 * half;
            // There is room for every unknown.
            let _ = estimates.push(Estimate { quantity, value, standard_error, at_bound, identified });
        }
        let observations = self.observations.len() as u16;
        let (chi_square, converged, relative) = (point.chi_square, point.converged, self.relative);
        Ok(Calibration {
            problem,
            estimates,
            covariance,
            chi_square,
            observations,
            evaluations,
            starts,
            converged,
            condition,
            relative,
        })
    }
}
