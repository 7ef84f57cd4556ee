//! Weighted least squares over the quantities of a problem, each scaled to [-1, 1] over its range.

use super::covariance::{self, Reading};
use super::descent::{self, Loss, Meter, Point, at_bound};
use super::matrix::Vector;
use super::{Calibration, CalibrationError, Estimate, Forward, Observation, Task};
use crate::bundle::{Free, Range};
use crate::limits::MAX_UNKNOWNS;
use crate::math::{exp, ln, sqrt};
use crate::query::{Query, QueryError};
use heapless::Vec;

/// Limit of evaluations from one starting point.
const EVALUATIONS: u16 = 60;
/// With absolute weights, another start is tried if chi^2 is this many standard deviations above its expectation.
const MISFIT: f32 = 5.0;
/// A range whose ends are further apart than by this factor is searched by logarithms.
const WIDE: f32 = 30.0;
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
    calibrate_watched(model, observations, task, &mut || {})
}

/// As [`calibrate`], and calls `watch` before every evaluation of `model` at all observations: a device shows meanwhile that it is
/// still there.
///
/// # Errors
/// As for [`calibrate`].
pub fn calibrate_watched<F: Forward>(
    model: &F,
    observations: &[Observation],
    task: &Task,
    watch: &mut dyn FnMut(),
) -> Result<Calibration, CalibrationError> {
    let fit = Fit::new(model, observations, task)?;
    let mut best: Option<Point> = None;
    let (mut meter, mut starts) = (Meter::new(watch), 0);
    let mut refused = QueryError::Overflow;
    for (even, odd) in STARTS {
        let mut start = [0.0; MAX_UNKNOWNS];
        for (index, u) in start.iter_mut().enumerate().take(fit.unknowns) {
            *u = if index % 2 == 0 { even } else { odd };
        }
        starts += 1;
        match descent::descend(&fit, &start, EVALUATIONS, &mut meter) {
            Ok(point) => {
                if best.as_ref().is_none_or(|best| point.loss < best.loss) {
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
    fit.conclude(&best, meter.evaluations, starts)
}

/// A calibration under way.
struct Fit<'m, F> {
    model: &'m F,
    observations: &'m [Observation],
    free: Free,
    fixed: Query,
    relative: bool,
    unknowns: usize,
    scales: [Scale; MAX_UNKNOWNS],
}

/// How an unknown is scaled to [-1, 1]: itself, or its logarithm where its range spans orders of magnitude.
#[derive(Debug, Clone, Copy, Default)]
struct Scale {
    middle: f32,
    half: f32,
    logarithmic: bool,
}

impl Scale {
    fn of(range: &Range) -> Self {
        let logarithmic = range.lo > 0.0 && range.hi > WIDE * range.lo;
        let (lo, hi) = if logarithmic { (ln(range.lo), ln(range.hi)) } else { (range.lo, range.hi) };
        Scale { middle: 0.5 * (lo + hi), half: 0.5 * (hi - lo), logarithmic }
    }

    /// The quantity at a scaled unknown.
    fn quantity(&self, u: f32) -> f32 {
        let scaled = self.middle + self.half * u;
        if self.logarithmic { exp(scaled) } else { scaled }
    }

    /// Its derivative, where the quantity has this value.
    fn stretch(&self, quantity: f32) -> f32 {
        if self.logarithmic { self.half * quantity } else { self.half }
    }
}

impl<'m, F: Forward> Fit<'m, F> {
    /// Validates the question.
    fn new(model: &'m F, observations: &'m [Observation], task: &Task) -> Result<Self, CalibrationError> {
        let (ode, domain) = (model.ode(), model.domain());
        let free = task.free;
        if free.count() == 0 {
            return Err(CalibrationError::NothingFree);
        }
        let mut scales = [Scale::default(); MAX_UNKNOWNS];
        let mut places = scales.iter_mut();
        for index in free.indices() {
            let range = domain.get(usize::from(index)).filter(|range| index > 0 && range.lo < range.hi);
            let (range, scale) = range.zip(places.next()).ok_or(CalibrationError::NotFree(index))?;
            *scale = Scale::of(range);
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
        Ok(Fit { model, observations, free, fixed, relative, unknowns, scales })
    }

    /// The problem at the scaled unknowns `u`; its time is that of the last observation.
    fn problem(&self, u: &Vector) -> Query {
        let ode = self.model.ode();
        let mut quantities = self.fixed.quantities(ode);
        for (index, (u, scale)) in self.free.indices().zip(u.iter().zip(&self.scales)) {
            let range = self.model.domain().get(usize::from(index));
            if let (Some(quantity), Some(range)) = (quantities.get_mut(usize::from(index)), range) {
                // Rounding must not carry a value out of the domain.
                *quantity = scale.quantity(*u).max(range.lo).min(range.hi);
            }
        }
        let last = self.observations.iter().fold(0.0f32, |last, o| if o.t > last { o.t } else { last });
        if let Some(t) = quantities.first_mut() {
            *t = last;
        }
        Query::from_quantities(ode, &quantities)
    }

    /// The derivatives of the free quantities with respect to the scaled unknowns.
    fn stretches(&self, problem: &Query) -> Vector {
        let quantities = problem.quantities(self.model.ode());
        let mut stretches = [0.0; MAX_UNKNOWNS];
        for ((stretch, scale), index) in stretches.iter_mut().zip(&self.scales).zip(self.free.indices()) {
            *stretch = scale.stretch(quantities.get(usize::from(index)).copied().unwrap_or(0.0));
        }
        stretches
    }

    /// Whether the fit is good enough to try no other starting point.
    fn satisfied(&self, point: &Point) -> bool {
        let freedom = self.observations.len().saturating_sub(self.unknowns) as f32;
        let fits = if self.relative {
            point.u.iter().take(self.unknowns).all(|u| !at_bound(*u))
        } else {
            point.loss <= freedom + MISFIT * sqrt(2.0 * freedom) + MISFIT
        };
        point.converged && fits
    }

    fn conclude(&self, point: &Point, evaluations: u16, starts: u8) -> Result<Calibration, CalibrationError> {
        let variance = self.variance(point.loss);
        let problem = self.problem(&point.u);
        let reading = covariance::read(point.information, &self.stretches(&problem), self.unknowns, variance);
        let Reading { covariance, determined, condition } = reading.ok_or(CalibrationError::Singular)?;
        let quantities = problem.quantities(self.model.ode());
        let mut estimates = Vec::new();
        for (place, quantity) in self.free.indices().enumerate().take(MAX_UNKNOWNS) {
            let value = quantities.get(usize::from(quantity)).copied().unwrap_or(0.0);
            let standard_error = covariance.standard_error(place);
            let range = self.model.domain().get(usize::from(quantity)).map_or(0.0, |range| range.hi - range.lo);
            let at_bound = point.u.get(place).is_some_and(|u| at_bound(*u));
            let identified = determined.get(place).is_some_and(|d| *d) && 4.0 * standard_error <= range;
            // There is room for every unknown.
            let _ = estimates.push(Estimate { quantity, value, standard_error, at_bound, identified });
        }
        let observations = self.observations.len() as u16;
        let (chi_square, converged, relative) = (point.loss, point.converged, self.relative);
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

impl<F: Forward> Loss for Fit<'_, F> {
    fn unknowns(&self) -> usize {
        self.unknowns
    }

    fn absolute(&self) -> bool {
        !self.relative
    }

    fn variance(&self, loss: f32) -> f32 {
        let freedom = self.observations.len().saturating_sub(self.unknowns).max(1);
        if self.relative { loss / freedom as f32 } else { 1.0 }
    }

    fn evaluate(&self, u: &Vector) -> Result<Point, QueryError> {
        let mut point = Point::new(u);
        let n = self.unknowns.min(MAX_UNKNOWNS);
        let problem = self.problem(u);
        let stretches = self.stretches(&problem);
        self.model.observe(&problem, self.observations, self.free, |observation, value, slopes| {
            let weight = 1.0 / observation.sigma;
            let r = (observation.value - value) * weight;
            let mut row = [0.0; MAX_UNKNOWNS];
            for ((j, slope), stretch) in row.iter_mut().zip(slopes).zip(&stretches).take(n) {
                *j = slope * stretch * weight;
            }
            point.loss += r * r;
            point.add(n, &row, r, 1.0);
        })?;
        point.complete()
    }
}
