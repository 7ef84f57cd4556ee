//! The answer to a question: estimates with intervals, what follows from them, how well they fit, and a forecast.

use super::curves::{Curves, Fitted, Forecast, Judged};
use super::draws::{Draws, Spread};
use super::interval::{Interval, Profile};
use super::question::Plan;
use super::{Question, changes};
use crate::Error;
use crate::output::{finite, map};
use jiff::civil::Date;
use serde::Serialize;
use sirocco::limits::MAX_CHANGES;
use sirocco::outbreak::{
    BACKGROUND, Fit, INFECTED, Noise, Observable, Parameters, RECOVERY, REPRODUCTION, SCALE, Setting, Starts, curve,
    fit,
};

/// Intervals are wide if the counts set no limit within this factor of the estimate.
const OPEN: f32 = 10.0;
/// Pieces of the curve of people infected, in which the peak is looked for.
const CURVE: u16 = 60;

/// An estimate, or what is known.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    /// The value.
    pub value: f32,
    /// The interval that holds with 50 %.
    pub half: Option<Interval>,
    /// The interval that holds with 95 %.
    pub most: Option<Interval>,
    /// Whether it was given and not estimated.
    pub known: bool,
    /// Whether the counts tell it.
    pub identified: bool,
    /// Whether it lies at the end of the range in which it was sought.
    pub at_bound: bool,
    /// How the intervals were found.
    pub method: &'static str,
}

/// How well the fit meets the counts.
#[derive(Debug, Clone, Serialize)]
pub struct Quality {
    /// Number of counts.
    pub counts: usize,
    /// That, minus the number of unknowns.
    pub freedom: u16,
    /// How counts scatter.
    pub noise: &'static str,
    /// The dispersion of negative binomial counts, none for Poisson; or the standard deviation.
    pub dispersion: Option<f32>,
    /// The deviance.
    pub deviance: f32,
    /// The logarithm of the likelihood.
    pub log_likelihood: f32,
    /// The sum of squared residuals in standard deviations.
    pub pearson: f32,
    /// Standard deviations by which the residuals have more runs of one sign than chance makes.
    pub runs: f32,
    /// The largest residual, in standard deviations.
    pub worst_residual: f32,
    /// Its line in the table.
    pub worst_line: usize,
    /// Whether the model does not fit.
    pub misfits: bool,
    /// Whether the descent converged.
    pub converged: bool,
    /// Evaluations of the model at all counts.
    pub evaluations: u16,
}

/// A change of the reproduction number, or of what is counted.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// Its time.
    pub t: f32,
    /// Its date.
    pub date: Option<Date>,
}

/// The whole answer.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// The parameters.
    #[serde(serialize_with = "map")]
    pub estimates: Vec<(String, Estimate)>,
    /// The times at which the reproduction number changes.
    pub changes: Vec<Change>,
    /// The times from which on another fraction is counted.
    pub reporting_changes: Vec<Change>,
    /// What follows from the parameters.
    #[serde(serialize_with = "map")]
    pub derived: Vec<(String, Option<Spread>)>,
    /// How well the counts are met.
    pub fit: Quality,
    /// What the fit expects at every count, and what was counted.
    pub fitted: Vec<Fitted>,
    /// Counts to come.
    pub forecast: Vec<Forecast>,
    /// How good the forecast was, where the table knows what was counted later.
    pub judged: Option<Judged>,
    /// The question of the fit, with the changes that were found.
    #[serde(skip)]
    pub setting: Setting,
}

/// What takes long: for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A time of change was tried.
    Tried,
    /// A round of draws.
    Drawn,
}

/// How to answer.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How far to forecast.
    pub horizon: f32,
    /// Seed of the draws.
    pub seed: u64,
}

/// The names of the parameters of a plan, with their places.
pub fn names(plan: &Plan, setting: &Setting) -> Vec<(String, usize)> {
    let mut names = Vec::new();
    let pieces = setting.reproduction.len();
    for piece in 0..pieces {
        let name =
            if pieces == 1 { "reproduction_number".to_owned() } else { format!("reproduction_number_{}", piece + 1) };
        names.push((name, REPRODUCTION + piece));
    }
    names.push(("infectious_period".to_owned(), RECOVERY));
    names.push(("infected_at_start".to_owned(), INFECTED));
    let scale = if plan.population.is_some() { "fraction_counted" } else { "population_times_fraction_counted" };
    names.push((scale.to_owned(), SCALE));
    let ratios = setting.reporting.len();
    for change in 0..ratios {
        let name = if ratios == 1 { "reporting_ratio".to_owned() } else { format!("reporting_ratio_{}", change + 1) };
        names.push((name, setting.reporting_place() + change));
    }
    if setting.background.hi > 0.0 {
        names.push(("background".to_owned(), BACKGROUND));
    }
    names
}

/// Fits on this machine.
///
/// # Errors
/// [`Error::Outbreak`] if there is no estimate.
pub fn fitted(
    question: Question<'_, '_>,
    find_changes: bool,
    mut step: impl FnMut(Step),
) -> Result<(Setting, Fit), Error> {
    let failed = |source| Error::Outbreak { source };
    if find_changes {
        let found = changes::find(question, MAX_CHANGES, |_| step(Step::Tried)).map_err(failed)?;
        return Ok((found.setting, found.fit));
    }
    let fit = fit(question.bundle, question.counts, question.setting, Starts::Guessed).map_err(failed)?;
    Ok((question.setting.clone(), fit))
}

/// Answers a question from its fit: `fit` belongs to the setting of `question`.
///
/// # Errors
/// [`Error::Outbreak`] if the model has no answer.
pub fn answer(
    plan: &Plan,
    question: Question<'_, '_>,
    fit: Fit,
    manner: Manner,
    mut step: impl FnMut(Step),
) -> Result<Answer, Error> {
    let failed = |source| Error::Outbreak { source };
    let mut profile = Profile::new(question, fit);
    let mut intervals = Vec::new();
    let all = names(plan, question.setting);
    for (_, k) in &all {
        let free = profile.fit().is_free(*k);
        intervals.push(if free { Some(profile.intervals(*k, [0.5, 0.95]).map_err(failed)?) } else { None });
    }
    let fit = profile.fit().clone();
    let draws = Draws::new(question, &fit, manner.seed, |_| step(Step::Drawn)).map_err(failed)?;
    let mut estimates = Vec::new();
    for ((name, k), intervals) in all.into_iter().zip(intervals) {
        estimates.push((name, estimate(plan, &fit, k, intervals)));
    }
    let series = Curves::new(plan, question);
    let forecast = series.forecast(&draws, manner.horizon);
    let change = |t: f32| Change { t, date: plan.date(t) };
    let changes = question.setting.changes.iter().copied().map(change).collect();
    let reporting_changes = question.setting.reporting.iter().map(|other| change(other.from)).collect();
    Ok(Answer {
        estimates,
        changes,
        reporting_changes,
        derived: derived(question, &fit, &draws),
        fit: quality(plan, question, &fit),
        fitted: series.fitted(&draws),
        judged: series.judged(&forecast),
        forecast,
        setting: question.setting.clone(),
    })
}

/// The estimate of parameter `k` in the unit that people use: a period for a rate, a share of the population for the scale, people
/// for the share infected if the population is known.
fn estimate(plan: &Plan, fit: &Fit, k: usize, intervals: Option<[Interval; 2]>) -> Estimate {
    let shown = |value: f32| match (k, plan.population) {
        (RECOVERY, _) => 1.0 / value,
        (INFECTED, Some(population)) => value * population,
        (SCALE, Some(population)) => value / population,
        _ => value,
    };
    let turned = |interval: Interval| {
        let (low, high) = (interval.low.map(shown), interval.high.map(shown));
        if k == RECOVERY { Interval { low: high, high: low } } else { Interval { low, high } }
    };
    let at_bound = fit.is_free(k) && fit.at_bound & 1u16.checked_shl(k as u32).unwrap_or(0) != 0;
    let value = fit.values.get(k).copied().unwrap_or(f32::NAN);
    let [half, most] = intervals.map_or([None, None], |intervals| intervals.map(|interval| Some(turned(interval))));
    let wide = |interval: &Interval| match (interval.low, interval.high) {
        (Some(low), Some(high)) => high > OPEN * low,
        _ => true,
    };
    let known = !fit.is_free(k);
    Estimate {
        value: shown(value),
        half,
        identified: known || !most.as_ref().is_none_or(wide),
        most,
        known,
        at_bound,
        method: if known { "given" } else { "profile likelihood" },
    }
}

/// The share that is still susceptible at time `t`.
fn susceptible(question: Question<'_, '_>, values: &Parameters, t: f32) -> Option<f32> {
    let (unit, setting) = fully_counted(question, values)?;
    let mut share = None;
    curve(question.bundle, &setting, &unit, Observable::Susceptible, t, [t], |mean| share = Some(mean)).ok()?;
    share
}

/// The same epidemic where everything is counted.
fn fully_counted(question: Question<'_, '_>, values: &Parameters) -> Option<(Parameters, Setting)> {
    let mut unit = *values;
    *unit.get_mut(SCALE)? = 1.0;
    Some((unit, Setting { reporting: Default::default(), ..question.setting.clone() }))
}

fn derived(question: Question<'_, '_>, fit: &Fit, draws: &Draws) -> Vec<(String, Option<Spread>)> {
    let setting = question.setting;
    let last = question.counts.iter().fold(0.0f32, |last, count| last.max(count.t));
    let of = |values: &Parameters, k: usize| values.get(k).copied();
    let final_piece = REPRODUCTION + setting.changes.len();
    let growth = |values: &Parameters| {
        let free = 1.0 - setting.removed - of(values, INFECTED)?;
        Some(of(values, RECOVERY)? * (of(values, REPRODUCTION)? * free - 1.0))
    };
    let doubling = |values: &Parameters| {
        growth(values).filter(|growth| *growth > 0.0).map(|growth| std::f32::consts::LN_2 / growth)
    };
    let now = |values: &Parameters| Some(of(values, final_piece)? * susceptible(question, values, last)?);
    // Long enough that nobody is infected any more.
    let end = last + 50.0 / fit.values.get(RECOVERY).copied().unwrap_or(1.0);
    let ever = |values: &Parameters| Some(1.0 - setting.removed - susceptible(question, values, end)?);
    // Those infected before the first change of what is counted, then those until the next one, and so on.
    let counted = |values: &Parameters| {
        let (mut sum, mut before, mut ratio) = (0.0, 1.0 - setting.removed, 1.0);
        let nexts =
            setting.reporting.iter().enumerate().map(|(k, change)| (change.from, setting.reporting_place() + k));
        for (until, next) in nexts.map(|(until, place)| (until, Some(place))).chain([(end, None)]) {
            let left = susceptible(question, values, until)?;
            sum += ratio * (before - left);
            before = left;
            ratio = next.and_then(|place| of(values, place)).unwrap_or(ratio);
        }
        Some(of(values, SCALE)? * sum)
    };
    let peak = |values: &Parameters| {
        let (unit, setting) = fully_counted(question, values)?;
        // Coarsely at first, then between the two points beside the highest.
        let (mut from, mut to, mut top) = (0.0, end, None);
        for _ in 0..3 {
            let step = (to - from) / f32::from(CURVE);
            let times: Vec<f32> = (0..=CURVE).map(|k| from + f32::from(k) * step).collect();
            let mut heights = Vec::new();
            let sink = |mean| heights.push(mean);
            // Where almost nobody is infected any more, the model may have no answer; the peak is long before.
            let _ = curve(question.bundle, &setting, &unit, Observable::Infected, from, times.iter().copied(), sink);
            top = times.into_iter().zip(heights).max_by(|a, b| a.1.total_cmp(&b.1));
            let (t, _) = top?;
            (from, to) = ((t - step).max(0.0), t + step);
        }
        top
    };
    let named = |name: &str, spread: Option<Spread>| (name.to_owned(), spread);
    vec![
        named("growth_rate", draws.spread(growth)),
        named("doubling_time", draws.spread(doubling)),
        named("reproduction_number_at_the_end", draws.spread(now)),
        named("peak_time", draws.spread(|values| peak(values).map(|(t, _)| t))),
        named("peak_infected_share", draws.spread(|values| peak(values).map(|(_, height)| height))),
        named("share_ever_infected", draws.spread(ever)),
        named("counted_in_the_end", draws.spread(counted)),
    ]
}

fn quality(plan: &Plan, question: Question<'_, '_>, fit: &Fit) -> Quality {
    let noise = match question.setting.noise {
        Noise::Gaussian { .. } => "gaussian",
        Noise::NegativeBinomial { .. } if fit.dispersion.is_finite() => "negative binomial",
        Noise::NegativeBinomial { .. } | Noise::Poisson => "poisson",
    };
    Quality {
        counts: question.counts.iter().filter(|count| !count.value.is_nan()).count(),
        freedom: fit.check.freedom,
        noise,
        dispersion: finite(fit.dispersion),
        deviance: fit.deviance,
        log_likelihood: fit.log_likelihood,
        pearson: fit.check.pearson,
        runs: fit.check.runs,
        worst_residual: fit.check.residual,
        worst_line: plan.lines.get(usize::from(fit.check.worst)).copied().unwrap_or(0),
        misfits: fit.check.misfits(),
        converged: fit.converged,
        evaluations: fit.evaluations,
    }
}

impl Plan {
    /// The date of a time.
    pub fn date(&self, t: f32) -> Option<Date> {
        let days = (f64::from(t) * self.unit.days()).floor() as i64;
        self.start?.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
    }
}
