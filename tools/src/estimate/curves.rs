//! The curves of an answer: what was to be counted, what is to come, and how good a forecast was.

use super::Question;
use super::draws::{Draws, Spread};
use super::question::Plan;
use crate::output::finite;
use crate::score::{self, Scores};
use jiff::civil::Date;
use serde::Serialize;
use sirocco::outbreak::{Observable, curve};

/// A forecast of a count.
#[derive(Debug, Clone, Serialize)]
pub struct Forecast {
    /// The end of its interval.
    pub t: f32,
    /// The day on which that begins.
    pub date: Option<Date>,
    /// What is expected.
    pub expected: Spread,
    /// What will be counted, with its scatter.
    pub counted: Spread,
    /// What was counted, where the table knows it.
    pub seen: Option<f32>,
}

/// How good a forecast was, beside the forecast that nothing changes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Judged {
    /// The scores of the fit's forecast.
    pub forecast: Scores,
    /// Those of persistence.
    pub persistence: Scores,
}

/// A count and what was expected.
#[derive(Debug, Clone, Serialize)]
pub struct Fitted {
    /// Place of the series.
    pub series: usize,
    /// Where its interval begins.
    pub from: f32,
    /// Where it ends.
    pub t: f32,
    /// The count.
    pub seen: Option<f32>,
    /// What is expected, with its uncertainty.
    pub expected: Spread,
}

/// The curves of all series.
pub(super) struct Curves<'p, 'q, 'a> {
    plan: &'p Plan,
    question: Question<'q, 'a>,
}

impl<'p, 'q, 'a> Curves<'p, 'q, 'a> {
    pub fn new(plan: &'p Plan, question: Question<'q, 'a>) -> Self {
        Curves { plan, question }
    }

    /// For each of the intervals, the means of all draws.
    fn means(&self, draws: &Draws, observable: Observable, start: f32, ends: &[f32]) -> Vec<Vec<f32>> {
        let mut all = vec![Vec::new(); ends.len()];
        for values in &draws.values {
            let mut places = all.iter_mut();
            let ends = ends.iter().copied();
            // A draw has answers, or it would not have been drawn.
            let _ = curve(self.question.bundle, self.question.setting, values, observable, start, ends, |mean| {
                if let Some(place) = places.next() {
                    place.push(mean);
                }
            });
        }
        all
    }

    pub fn fitted(&self, draws: &Draws) -> Vec<Fitted> {
        let mut all = Vec::new();
        for (number, (series, _, counts)) in self.question.setting.parts(self.question.counts).enumerate() {
            let ends: Vec<f32> = counts.iter().map(|count| count.t).collect();
            let mut from = series.start;
            for (count, means) in counts.iter().zip(self.means(draws, series.observable, series.start, &ends)) {
                if let Some(expected) = Spread::of(means) {
                    all.push(Fitted { series: number, from, t: count.t, seen: finite(count.value), expected });
                }
                from = count.t;
            }
        }
        all
    }

    /// Judges forecasts by what was counted later.
    pub fn judged(&self, forecast: &[Forecast]) -> Option<Judged> {
        let series = self.question.setting.series.first()?;
        let used = self.question.counts.get(..usize::from(series.counts))?;
        let history: Vec<f64> =
            used.iter().map(|count| f64::from(count.value)).filter(|value| !value.is_nan()).collect();
        let quantiles = |f: &Forecast| score::Forecast {
            median: f.counted.median.into(),
            half: [f.counted.half.0.into(), f.counted.half.1.into()],
            most: [f.counted.most.0.into(), f.counted.most.1.into()],
        };
        let pairs = forecast.iter().filter_map(|f| Some((quantiles(f), f.seen?.into())));
        let baseline = score::persistence(&history, forecast.len())?;
        let others = baseline.into_iter().zip(forecast).filter_map(|(other, f)| Some((other, f.seen?.into())));
        Some(Judged { forecast: Scores::of(pairs)?, persistence: Scores::of(others)? })
    }

    /// Forecasts of the first series: for the counts that the table has beyond those used, else of as many intervals as the last
    /// one is long.
    pub fn forecast(&self, draws: &Draws, horizon: f32) -> Vec<Forecast> {
        let Some(series) = self.question.setting.series.first() else { return Vec::new() };
        let used = self.question.counts.get(..usize::from(series.counts)).unwrap_or_default();
        let last = used.last().map_or(series.start, |count| count.t);
        let length = match used {
            [.., before, last] => last.t - before.t,
            _ => 1.0,
        };
        let rest = self.plan.rest.first().map_or(&[][..], Vec::as_slice);
        let mut ends: Vec<(f32, Option<f32>)> = rest.iter().map(|count| (count.t, finite(count.value))).collect();
        if ends.is_empty() {
            let number = ((horizon - last) / length).clamp(0.0, 400.0) as u16;
            ends = (1..=number).map(|k| (last + f32::from(k) * length, None)).collect();
        }
        let times: Vec<f32> = ends.iter().map(|(t, _)| *t).collect();
        let all = self.means(draws, series.observable, last, &times);
        let forecast = |((t, seen), means): ((f32, Option<f32>), Vec<f32>)| {
            let counted = Spread::of(draws.scattered(means.iter().copied()))?;
            let begins = if series.observable.is_flow() { t - length } else { t };
            Some(Forecast { t, date: self.plan.date(begins), expected: Spread::of(means)?, counted, seen })
        };
        ends.into_iter().zip(all).filter_map(forecast).collect()
    }
}
