//! The maximum of the likelihood: guesses, descents, and the dispersion in between.

use super::check::Checker;
use super::epidemic::{Epidemic, Moved, Places};
use super::noise::{LEAST, Scatter, missing};
use super::shape::Shape;
use super::{
    BACKGROUND, Count, Fit, INFECTED, Noise, OutbreakError, Parameters, RECOVERY, REPRODUCTION, SCALE, Setting,
    dispersion,
};
use crate::bundle::{Bundle, Range};
use crate::calibrate::covariance::{self, Reading};
use crate::calibrate::descent::{self, Loss, Meter, Point, at_bound};
use crate::calibrate::matrix::Vector;
use crate::limits::{MAX_COUNTS, MAX_PARAMETERS, MAX_UNKNOWNS};
use crate::math::{abs, exp, ln, sqrt};
use crate::ode::Ode;
use crate::query::QueryError;
use heapless::Vec;

/// Limit of evaluations from one start.
const EVALUATIONS: u16 = 40;
/// Reproduction numbers of the first guesses.
const GUESSES: [f32; 4] = [1.4, 2.5, 5.0, 12.0];
/// How often the dispersion and the rest are estimated in turn. They hardly depend on each other.
const TURNS: usize = 4;
/// A change of the overdispersion by less than this part of it ends the turns.
const SETTLED: f32 = 0.02;

/// Where the descent begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Starts {
    /// At guesses from the shape of the first series: all of them, and the best end counts.
    Guessed,
    /// At these values.
    From(Parameters),
}

/// Estimates the unknowns of `setting` from `counts`.
///
/// Cost: about ten evaluations of the epidemic at all counts from each of four guesses, about 5,000 instructions of a
/// Cortex-M4F per count and evaluation by phase.
///
/// # Errors
/// [`OutbreakError`] if the question is malformed, the counts do not depend on the unknowns, or the model has no answer at any
/// start.
#[inline(never)]
pub fn fit(bundle: &Bundle<'_>, counts: &[Count], setting: &Setting, starts: Starts) -> Result<Fit, OutbreakError> {
    fit_watched(bundle, counts, setting, starts, &mut || {})
}

/// As [`fit`], and calls `watch` before every evaluation of the epidemic at all counts: a device shows meanwhile that it is still
/// there.
///
/// # Errors
/// As for [`fit`].
#[inline(never)]
pub fn fit_watched(
    bundle: &Bundle<'_>,
    counts: &[Count],
    setting: &Setting,
    starts: Starts,
    watch: &mut dyn FnMut(),
) -> Result<Fit, OutbreakError> {
    let mut task = Task::new(bundle, counts, setting)?;
    if task.unknowns == 0 {
        return Err(OutbreakError::Unknowns(0));
    }
    let mut meter = Meter::new(watch);
    let mut best = task.best(starts, &mut meter)?;
    if setting.noise == (Noise::NegativeBinomial { dispersion: None }) {
        for _ in 0..TURNS {
            let before = task.scatter;
            task.scatter = Scatter::Counts(task.overdispersion(&best.u)?);
            best = descent::descend(&task, &best.u, EVALUATIONS, &mut meter).map_err(OutbreakError::Query)?;
            if let (Scatter::Counts(a), Scatter::Counts(b)) = (before, task.scatter)
                && abs(a - b) <= SETTLED * b
            {
                break;
            }
        }
    }
    task.conclude(&best, meter.evaluations)
}

/// The least deviance with the known parameters of `setting`, and where it is. For profiles: one unknown after the other is taken
/// as known.
///
/// # Errors
/// As for [`fit`].
pub fn least_deviance(
    bundle: &Bundle<'_>,
    counts: &[Count],
    setting: &Setting,
    starts: Starts,
) -> Result<(f32, Parameters), OutbreakError> {
    let task = Task::new(bundle, counts, setting)?;
    let point = task.best(starts, &mut Meter::new(&mut || {}))?;
    Ok((point.loss, task.values(&point.u)))
}

/// A fit under way.
struct Task<'m, 'a, 'c> {
    bundle: &'m Bundle<'a>,
    counts: &'c [Count],
    setting: &'c Setting,
    scatter: Scatter,
    ranges: [Range; MAX_PARAMETERS],
    places: Places,
    unknowns: usize,
    /// Half the width of each unknown's range of logarithms.
    halves: Vector,
    /// Number of counts that are numbers.
    counted: u16,
}

impl<'m, 'a, 'c> Task<'m, 'a, 'c> {
    /// Validates the question.
    fn new(bundle: &'m Bundle<'a>, counts: &'c [Count], setting: &'c Setting) -> Result<Self, OutbreakError> {
        if bundle.ode() != Ode::Sir {
            return Err(OutbreakError::NotSir);
        }
        let ranges = setting.ranges();
        let mut places: Places = [None; MAX_PARAMETERS];
        let (mut unknowns, mut halves) = (0, [0.0; MAX_UNKNOWNS]);
        for (k, (range, place)) in ranges.iter().zip(&mut places).enumerate().take(setting.parameters()) {
            let nothing = k == BACKGROUND && range.lo == 0.0 && range.hi == 0.0;
            let sound = range.lo > 0.0 && range.hi.is_finite() && range.lo <= range.hi;
            if !(sound || nothing) || k == INFECTED && range.hi + setting.removed > 1.0 {
                return Err(OutbreakError::Range(k as u8));
            }
            if range.lo < range.hi {
                *place = Some(unknowns);
                if let Some(half) = halves.get_mut(unknowns) {
                    *half = middle_and_half(range).1;
                }
                unknowns += 1;
            }
        }
        if unknowns > MAX_UNKNOWNS {
            return Err(OutbreakError::Unknowns(unknowns as u8));
        }
        if !(0.0..=1.0).contains(&setting.removed) {
            return Err(OutbreakError::Range(INFECTED as u8));
        }
        if setting.reproduction.len() != setting.changes.len() + 1 {
            return Err(OutbreakError::Changes);
        }
        let ascending = |mut times: &mut dyn Iterator<Item = f32>| {
            let mut last = 0.0;
            (&mut times).all(|time| core::mem::replace(&mut last, time) < time && time.is_finite())
        };
        if !ascending(&mut setting.changes.iter().copied())
            || !ascending(&mut setting.reporting.iter().map(|change| change.from))
        {
            return Err(OutbreakError::Changes);
        }
        let given = match setting.noise {
            Noise::Gaussian { sigma } => sigma,
            Noise::Poisson => None,
            Noise::NegativeBinomial { dispersion } => dispersion,
        };
        if given
            .is_some_and(|given| !(given > 0.0 && 1.0 / (given * given) > 0.0 && (1.0 / (given * given)).is_finite()))
        {
            return Err(OutbreakError::Noise);
        }
        let counted = sound_counts(counts, setting)?;
        let estimated = setting.noise == (Noise::Gaussian { sigma: None });
        let need = unknowns as u16 + u16::from(estimated);
        if counted < need {
            return Err(OutbreakError::TooFew { have: counted, need });
        }
        let scatter = Scatter::first(setting.noise);
        Ok(Task { bundle, counts, setting, scatter, ranges, places, unknowns, halves, counted })
    }

    /// The end of the best descent.
    #[inline(never)]
    fn best(&self, starts: Starts, meter: &mut Meter<'_>) -> Result<Point, OutbreakError> {
        let mut best: Option<Point> = None;
        let mut refused = QueryError::Overflow;
        let mut attempt = |start: &Vector| match descent::descend(self, start, EVALUATIONS, meter) {
            Ok(point) if best.as_ref().is_none_or(|best| point.loss < best.loss) => best = Some(point),
            Ok(_) => {}
            Err(error) => refused = error,
        };
        match starts {
            Starts::From(values) => attempt(&self.scaled(&values)),
            Starts::Guessed => {
                let shape = Shape::of(self.counts, self.setting);
                for reproduction in GUESSES {
                    attempt(&self.guess(&shape, reproduction));
                }
            }
        }
        best.ok_or(OutbreakError::Query(refused))
    }

    /// The parameters at scaled unknowns.
    fn values(&self, u: &Vector) -> Parameters {
        let mut values = [0.0; MAX_PARAMETERS];
        for ((value, range), place) in values.iter_mut().zip(&self.ranges).zip(&self.places) {
            *value = match place.and_then(|place| u.get(place)) {
                Some(u) => {
                    let (middle, half) = middle_and_half(range);
                    // Rounding must not carry a value out of its range.
                    exp(middle + half * u).max(range.lo).min(range.hi)
                }
                None => range.lo,
            };
        }
        values
    }

    /// The scaled unknowns at these parameters.
    fn scaled(&self, values: &Parameters) -> Vector {
        let mut u = [0.0; MAX_UNKNOWNS];
        for ((value, range), place) in values.iter().zip(&self.ranges).zip(&self.places) {
            if let Some(u) = place.and_then(|place| u.get_mut(place)) {
                let (middle, half) = middle_and_half(range);
                let scaled = (ln(value.max(range.lo).min(range.hi)) - middle) / half;
                *u = if scaled.is_finite() { scaled.clamp(-1.0, 1.0) } else { 0.0 };
            }
        }
        u
    }

    /// The parameters of an epidemic with this reproduction number that grows and peaks as the counts do.
    #[inline(never)]
    fn guess(&self, shape: &Shape, reproduction: f32) -> Vector {
        let within = |k: usize, value: f32| self.ranges.get(k).map_or(value, |range| value.max(range.lo).min(range.hi));
        let reproduction = within(REPRODUCTION, reproduction);
        let recovery = within(RECOVERY, shape.growth / (reproduction - 1.0).max(0.1));
        // How many are infected at the peak, and how long that took.
        let peak = (1.0 - (1.0 + ln(reproduction)) / reproduction).max(1e-3);
        let growth = recovery * (reproduction - 1.0).max(0.01);
        let infected = within(INFECTED, peak * exp(-(growth * shape.middle).min(60.0)));
        let mut values = [0.0; MAX_PARAMETERS];
        let first = [infected, recovery, within(SCALE, 1.0), within(BACKGROUND, shape.least)];
        let pieces = self.setting.reproduction.iter().map(|_| reproduction);
        let ratios = (self.setting.reporting_place()..).map(|k| within(k, 1.0));
        values.iter_mut().zip(first.into_iter().chain(pieces).chain(ratios)).for_each(|(to, from)| *to = from);
        // The scale that brings what is expected to what was counted.
        let (mut seen, mut expected) = (0.0, 0.0);
        let scaled = self.scaled(&values);
        let summed = self.visit(&self.values(&scaled), &mut |_, count, mean, _| {
            seen += count;
            expected += mean;
        });
        if let (Ok(()), Some(scale)) = (summed, values.get_mut(SCALE)) {
            *scale = within(SCALE, *scale * seen / expected.max(1e-20));
        }
        self.scaled(&values)
    }

    /// Calls `sink` for every count that is a number, with its index, its mean and the slopes of that.
    // Neither generic nor inlined: the epidemic takes kilobytes of stack and of flash, once.
    #[inline(never)]
    fn visit(&self, values: &Parameters, sink: &mut dyn FnMut(u16, f32, f32, &Vector)) -> Result<(), QueryError> {
        let mut epidemic = Epidemic::of(self.bundle);
        epidemic.begin(self.setting, values, &self.places)?;
        for (series, first, counts) in self.setting.parts(self.counts) {
            let mut from: (f32, Option<Moved>) = (series.start, None);
            for (index, count) in (first..).zip(counts) {
                if count.value.is_nan() {
                    from = (count.t, None);
                    continue;
                }
                let before = match from.1 {
                    Some(before) => before,
                    None => epidemic.moved(from.0)?,
                };
                let now = epidemic.moved(count.t)?;
                let mean = epidemic.count(series.observable, &before, &now, (from.0, count.t));
                sink(index as u16, count.value, mean.value, &mean.slopes);
                from = (count.t, Some(now));
            }
        }
        Ok(())
    }

    /// The most likely overdispersion around the means at `u`.
    #[inline(never)]
    fn overdispersion(&self, u: &Vector) -> Result<f32, OutbreakError> {
        let mut means = Vec::<f32, MAX_COUNTS>::new();
        // There is room: no more counts are accepted.
        self.visit(&self.values(u), &mut |_, _, mean, _| {
            let _ = means.push(mean.max(LEAST));
        })
        .map_err(OutbreakError::Query)?;
        let counted = || self.counts.iter().map(|count| count.value).filter(|value| !value.is_nan());
        Ok(dispersion::estimate(|| counted().zip(means.iter().copied()), self.unknowns, missing))
    }

    #[inline(never)]
    fn conclude(&self, point: &Point, evaluations: u16) -> Result<Fit, OutbreakError> {
        let variance = self.variance(point.loss);
        let reading = covariance::read(point.information, &self.halves, self.unknowns, variance);
        let Reading { covariance, determined, .. } = reading.ok_or(OutbreakError::Singular)?;
        let values = self.values(&point.u);
        let scatter = match self.scatter {
            Scatter::Gaussian(weight) => Scatter::Gaussian(weight / variance),
            counts => counts,
        };
        let (mut checker, mut log_likelihood) = (Checker::default(), 0.0);
        let people = matches!(scatter, Scatter::Counts(_));
        self.visit(&values, &mut |index, count, mean, _| {
            checker.add(index, (count, mean), scatter.of(count, mean).1, people);
            log_likelihood += scatter.log_likelihood(count, mean);
        })
        .map_err(OutbreakError::Query)?;
        let (mut free, mut bounds, mut open) = (0, 0, 0);
        for (k, place) in self.places.iter().enumerate() {
            let Some(place) = *place else { continue };
            let bit = 1u16 << k.min(15);
            free |= bit;
            if point.u.get(place).is_some_and(|u| at_bound(*u)) {
                bounds |= bit;
            }
            if determined.get(place) == Some(&false) {
                open |= bit;
            }
        }
        Ok(Fit {
            values,
            free,
            at_bound: bounds,
            open,
            covariance,
            deviance: point.loss,
            log_likelihood,
            dispersion: match scatter {
                Scatter::Gaussian(weight) => 1.0 / sqrt(weight),
                Scatter::Counts(a) => 1.0 / a,
            },
            check: checker.end(self.counted.saturating_sub(self.unknowns as u16)),
            evaluations,
            converged: point.converged,
        })
    }
}

/// Middle and half width of a range of logarithms.
fn middle_and_half(range: &Range) -> (f32, f32) {
    let (low, high) = (ln(range.lo), ln(range.hi));
    (0.5 * (low + high), 0.5 * (high - low))
}

/// Checks counts and series; the number of counts that are numbers.
fn sound_counts(counts: &[Count], setting: &Setting) -> Result<u16, OutbreakError> {
    let named: usize = setting.series.iter().map(|series| usize::from(series.counts)).sum();
    if named != counts.len() || named > MAX_COUNTS {
        return Err(OutbreakError::Series { named: named as u16, have: counts.len() as u16 });
    }
    let mut counted = 0;
    for (series, first, counts) in setting.parts(counts) {
        let mut last = series.start;
        let flow = series.observable.is_flow();
        for (index, count) in (first..).zip(counts) {
            // Only the first state may be at the very beginning.
            let later = count.t > last || !flow && index == first && count.t >= last;
            let sound = count.value.is_nan() || count.value >= 0.0 && count.value.is_finite();
            if !(later && count.t.is_finite() && last >= 0.0 && sound) {
                return Err(OutbreakError::Count(index as u16));
            }
            last = count.t;
            counted += u16::from(!count.value.is_nan());
        }
    }
    Ok(counted)
}

impl Loss for Task<'_, '_, '_> {
    fn unknowns(&self) -> usize {
        self.unknowns
    }

    fn absolute(&self) -> bool {
        self.setting.noise != (Noise::Gaussian { sigma: None })
    }

    fn variance(&self, loss: f32) -> f32 {
        let freedom = usize::from(self.counted).saturating_sub(self.unknowns).max(1);
        if self.absolute() { 1.0 } else { loss / freedom as f32 }
    }

    fn evaluate(&self, u: &Vector) -> Result<Point, QueryError> {
        let mut point = Point::new(u);
        self.visit(&self.values(u), &mut |_, count, mean, slopes| {
            let mut row = *slopes;
            row.iter_mut().zip(&self.halves).for_each(|(slope, half)| *slope *= half);
            let (part, weight) = self.scatter.of(count, mean);
            point.loss += part;
            point.add(self.unknowns, &row, count - mean, weight);
        })?;
        point.complete()
    }
}
