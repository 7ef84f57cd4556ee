//! Confidence intervals by the profile of the likelihood.
//!
//! The ends of an interval are where the least deviance with the parameter held there is above the least of all by the square of
//! a quantile: Student's with as many degrees of freedom as the residuals have if these tell the scatter, else the normal one.
//! Unlike an estimate plus and minus standard errors this needs no quadratic likelihood, and does not depend on how the parameter
//! is written (Venzon and Moolgavkar, *Applied Statistics* 37:87, 1988).

use super::{Question, range_mut};
use serde::Serialize;
use sirocco::bundle::Range;
use sirocco::math::{exp, ln, sqrt};
use sirocco::outbreak::{Fit, OutbreakError, Parameters, Setting, Starts, fit, least_deviance};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// An interval whose ends are `None` where the counts set no limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: Option<f32>,
    /// The upper end.
    pub high: Option<f32>,
}

/// The quantile to both sides of which `level` of the distribution lies.
pub fn quantile(level: f64, freedom: Option<u16>) -> f32 {
    let place = 0.5 + 0.5 * level;
    let student = freedom.and_then(|freedom| StudentsT::new(0.0, 1.0, freedom.max(1).into()).ok());
    let normal = || Normal::new(0.0, 1.0).map_or(f64::NAN, |normal| normal.inverse_cdf(place));
    student.map_or_else(normal, |student| student.inverse_cdf(place)) as f32
}

/// Most evaluations for one end.
const EVALUATIONS: usize = 14;
/// The square root of the rise of the deviance may miss its aim by this.
const TOLERANCE: f32 = 0.02;
/// A profile that falls below the best deviance by this has found a better fit.
const BETTER: f32 = 0.05;

/// A profile under way: the noise is that of the fit.
pub struct Profile<'q, 'a> {
    question: Question<'q, 'a>,
    setting: Setting,
    fit: Fit,
    /// The deviance of a rise by 1.
    unit: f32,
    freedom: Option<u16>,
}

/// The end of a profile.
enum End {
    At(f32),
    Open,
    Better(Parameters),
}

impl<'q, 'a> Profile<'q, 'a> {
    /// The profile of a fit.
    pub fn new(question: Question<'q, 'a>, fit: Fit) -> Self {
        let (setting, unit) = question.settled(&fit);
        let freedom = question.estimates_scatter().then_some(fit.check.freedom);
        Profile { question, setting, fit, unit, freedom }
    }

    /// The fit: a better one than at the beginning if the profile has met one.
    pub fn fit(&self) -> &Fit {
        &self.fit
    }

    /// The intervals of parameter `k` at these levels, such as 0.5 and 0.95.
    ///
    /// # Errors
    /// Those of a fit.
    pub fn intervals<const N: usize>(&mut self, k: usize, levels: [f64; N]) -> Result<[Interval; N], OutbreakError> {
        'again: for _ in 0..4 {
            let mut intervals = [Interval { low: None, high: None }; N];
            for (interval, level) in intervals.iter_mut().zip(levels) {
                for (side, end) in [(-1.0, &mut interval.low), (1.0, &mut interval.high)] {
                    match self.end(k, side, quantile(level, self.freedom))? {
                        End::At(value) => *end = Some(value),
                        End::Open => {}
                        End::Better(from) => {
                            let better =
                                fit(self.question.bundle, self.question.counts, &self.setting, Starts::From(from))?;
                            self.fit = Fit { dispersion: self.fit.dispersion, ..better };
                            continue 'again;
                        }
                    }
                }
            }
            return Ok(intervals);
        }
        Ok([Interval { low: None, high: None }; N])
    }

    fn end(&self, k: usize, side: f32, aim: f32) -> Result<End, OutbreakError> {
        let mut setting = self.setting.clone();
        let range = range_mut(&mut setting, k).filter(|range| range.lo < range.hi);
        let Some(&mut range) = range else { return Ok(End::Open) };
        let value = self.fit.values.get(k).copied().unwrap_or(f32::NAN);
        let (start, limit) = (ln(value), ln(if side < 0.0 { range.lo } else { range.hi }));
        let spread = self.fit.spread(k).clamp(0.01, 0.7);
        // Within these two, which have these rises, the end lies; the outer one is not known at first.
        let (mut inner, mut outer) = ((start, 0.0), None::<(f32, f32)>);
        let mut from = self.fit.values;
        let mut x = start + side * spread * aim;
        for _ in 0..EVALUATIONS {
            let beyond = side * (x - limit) >= 0.0;
            x = if beyond { limit } else { x };
            let (rise, values) = match self.at(k, exp(x), &from, self.fit.deviance + aim * aim * self.unit) {
                Ok((deviance, values)) => ((deviance - self.fit.deviance) / self.unit, values),
                // The descent could not even begin there. A value between will do.
                Err(OutbreakError::Query(_)) => (f32::INFINITY, from),
                Err(error) => return Err(error),
            };
            if rise < -BETTER {
                return Ok(End::Better(values));
            }
            let rise = sqrt(rise.max(0.0));
            if (rise - aim).abs() < TOLERANCE {
                return Ok(End::At(exp(x)));
            }
            if rise < aim {
                if beyond {
                    return Ok(End::Open);
                }
                (inner, from) = ((x, rise), values);
            } else {
                outer = Some((x, rise));
            }
            x = match outer {
                // Between both, in proportion, but never next to one of them.
                Some((far, high)) => {
                    let part = ((aim - inner.1) / (high - inner.1)).clamp(0.15, 0.85);
                    inner.0 + part * (far - inner.0)
                }
                None => {
                    let farther = (aim / rise.max(0.3 * aim)).clamp(1.2, 3.0);
                    start + (inner.0 - start) * farther
                }
            };
        }
        Ok(outer.map_or(End::Open, |_| End::At(exp(x))))
    }

    /// The least deviance with parameter `k` at `value`, or one that is below `enough`.
    fn at(&self, k: usize, value: f32, from: &Parameters, enough: f32) -> Result<(f32, Parameters), OutbreakError> {
        let mut setting = self.setting.clone();
        let mut from = *from;
        if let Some(place) = from.get_mut(k) {
            *place = value;
        }
        if let Some(range) = range_mut(&mut setting, k) {
            *range = Range { lo: value, hi: value };
        }
        let least = |starts| least_deviance(self.question.bundle, self.question.counts, &setting, starts);
        let near = least(Starts::From(from));
        // From a neighbor's optimum the descent may end too early; from the guesses it may find the way.
        match near {
            Ok((deviance, _)) if deviance <= enough => near,
            _ => match (near, least(Starts::Guessed)) {
                (Ok(near), Ok(far)) => Ok(if near.0 <= far.0 { near } else { far }),
                (Err(_), far) => far,
                (near, Err(_)) => near,
            },
        }
    }
}
