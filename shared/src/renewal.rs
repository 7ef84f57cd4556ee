//! The instantaneous reproduction number: how many others one case infects while conditions stay as they are on that day.
//!
//! It comes from new cases by day and the serial interval alone, without a model of how the outbreak ends, by the method
//! of Cori, Ferguson, Fraser and Cauchemez (Am J Epidemiol 2013, 178:1505), as their R package EpiEstim has it. The
//! serial interval is the time from a person's symptoms to those of the persons infected by them. With w(k) the
//! probability that it is k days, and I(t) the new cases of day t, the infectivity of day t is
//!
//! L(t) = w(1) I(t - 1) + w(2) I(t - 2) + ...,
//!
//! and I(t) is Poisson distributed with mean R L(t). Where R is the same on all days of a window and has the prior
//! [`PRIOR`], its posterior is a gamma distribution: shape 1 + sum of I, scale 1 / (1/5 + sum of L).
//!
//! The estimate of a day belongs to the window that ends there, so it lags behind a change by about half a window. It
//! assumes that every case is observed, or the same share of them on all days, and that none but the first came from
//! elsewhere.
//!
//! All of it is f32 in a fixed order, so host and device give the same bits. Against f64 the tests measure a relative error
//! of 2e-6 at most, in means and in quantiles.

use crate::gamma::{Gamma, cumulative};
use crate::limits::MAX_SERIAL_INTERVAL;
use crate::math::sqrt;
use serde::{Deserialize, Serialize};

/// The distribution of R before anything is observed: mean 5 and standard deviation 5, so that an outbreak is not taken to
/// be under control for lack of data.
pub const PRIOR: Gamma = Gamma { shape: 1.0, scale: 5.0 };

/// Largest shape of the gamma distribution of a serial interval, which [`cumulative`] is made for.
const MAX_SHAPE: f32 = 1e4;
/// Largest probability of a serial interval that is longer than [`MAX_SERIAL_INTERVAL`].
const MAX_TAIL: f32 = 1e-3;
/// The distribution ends where less than this is left.
const NEGLIGIBLE: f32 = 1e-7;

/// Why there is no estimate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RenewalError {
    /// Mean or standard deviation of the serial interval is unusable.
    #[error(
        "a serial interval of mean {mean} and standard deviation {deviation} days; it takes a mean above 1 and a positive deviation"
    )]
    SerialInterval {
        /// The mean, in days.
        mean: f32,
        /// The standard deviation, in days.
        deviation: f32,
    },
    /// The standard deviation is too small for the mean.
    #[error(
        "a serial interval of mean {mean} and standard deviation {deviation} days is too narrow; the deviation must be at least {least}"
    )]
    Narrow {
        /// The mean, in days.
        mean: f32,
        /// The standard deviation, in days.
        deviation: f32,
        /// The smallest standard deviation for this mean.
        least: f32,
    },
    /// More than one serial interval in a thousand is longer than the limit, or more weights are given.
    #[error("a serial interval of more than {MAX_SERIAL_INTERVAL} days; count in weeks instead of days")]
    Long,
    /// A given probability is negative or not a number, or they do not add up to 1.
    #[error("the probabilities of the serial interval add up to {sum}; none may be negative, and their sum must be 1")]
    Weights {
        /// Their sum.
        sum: f32,
    },
    /// A window of no days.
    #[error("a window of 0 days; it takes at least 1")]
    Window,
    /// The counts end before the first estimate.
    #[error("{have} days of counts; a window of {window} days with this serial interval takes at least {need}")]
    TooFew {
        /// Days given.
        have: usize,
        /// Days of the window.
        window: usize,
        /// Days needed.
        need: usize,
    },
    /// A count is negative, infinite or NaN.
    #[error("{count} new cases on day {day}, counted from 0; it takes a number of 0 or more")]
    Count {
        /// The day, counted from 0.
        day: usize,
        /// The count.
        count: f32,
    },
}

/// The distribution of the serial interval over days.
#[derive(Debug, Clone, PartialEq)]
pub struct SerialInterval {
    /// Probabilities of 1, 2, ... days. Nobody infects another within the same day.
    weights: heapless::Vec<f32, MAX_SERIAL_INTERVAL>,
}

impl SerialInterval {
    /// A gamma distribution, shifted by one day and discretized as by EpiEstim's `discr_si`: absolute error of a
    /// probability at most 3e-6. Two evaluations of the gamma distribution a day.
    ///
    /// With X the interval less one day, and a second case within its day as likely at any hour, the probability of k days
    /// is the second difference of the mean of max(0, x - X) in x = k - 2, k - 1, k.
    ///
    /// # Errors
    /// A mean of 1 day or less, a deviation that is not positive or below a hundredth of the mean, or a distribution that is
    /// longer than [`MAX_SERIAL_INTERVAL`].
    ///
    /// ```
    /// // Influenza: 2.6 days, give or take 1.5.
    /// let interval = sirocco::renewal::SerialInterval::gamma(2.6, 1.5)?;
    /// assert!((interval.weights()[1] - 0.3586).abs() < 1e-4);
    /// # Ok::<(), sirocco::renewal::RenewalError>(())
    /// ```
    pub fn gamma(mean: f32, deviation: f32) -> Result<Self, RenewalError> {
        let usable = mean > 1.0 && mean.is_finite() && deviation > 0.0 && deviation.is_finite();
        if !usable {
            return Err(RenewalError::SerialInterval { mean, deviation });
        }
        let root = (mean - 1.0) / deviation;
        let shape = root * root;
        if shape > MAX_SHAPE {
            let least = (mean - 1.0) / sqrt(MAX_SHAPE);
            return Err(RenewalError::Narrow { mean, deviation, least });
        }
        let scale = deviation * deviation / (mean - 1.0);
        let mut weights = heapless::Vec::new();
        // What is left of the distribution after the day before, and the points k - 2 and k - 1.
        let (mut before, mut last) = (Overshoot::at(shape, scale, -1.0), Overshoot::at(shape, scale, 0.0));
        for k in 1..=MAX_SERIAL_INTERVAL {
            let next = Overshoot::at(shape, scale, k as f32);
            let weight = Overshoot::second_difference(&before, &last, &next).max(0.0);
            if weights.push(weight).is_err() {
                break;
            }
            (before, last) = (last, next);
            // The probability of an interval of more than k days.
            let left = before.beyond - last.beyond;
            if last.x > mean && left < NEGLIGIBLE {
                return Ok(SerialInterval { weights });
            }
        }
        let left = before.beyond - last.beyond;
        if left > MAX_TAIL { Err(RenewalError::Long) } else { Ok(SerialInterval { weights }) }
    }

    /// Given probabilities of 1, 2, ... days.
    ///
    /// # Errors
    /// A probability that is negative or not a number, a sum that is not 1 within 1 %, or more than
    /// [`MAX_SERIAL_INTERVAL`] of them.
    pub fn from_weights(weights: &[f32]) -> Result<Self, RenewalError> {
        let mut sum = 0.0;
        for weight in weights {
            sum += if *weight >= 0.0 { *weight } else { f32::NAN };
        }
        let whole = sum > 0.99 && sum < 1.01;
        if !whole {
            return Err(RenewalError::Weights { sum });
        }
        let weights = heapless::Vec::from_slice(weights).map_err(|_| RenewalError::Long)?;
        Ok(SerialInterval { weights })
    }

    /// Probabilities of 1, 2, ... days.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The mean, in days.
    pub fn mean(&self) -> f32 {
        let (mut sum, mut days) = (0.0, 0.0);
        for weight in &self.weights {
            days += 1.0;
            sum += days * weight;
        }
        sum
    }

    /// The infectivity of the day after `earlier`, whose last entry is the day before: a weighted sum of the cases so far.
    fn infectivity(&self, earlier: &[f32]) -> f32 {
        let mut sum = 0.0;
        for (weight, count) in self.weights.iter().zip(earlier.iter().rev()) {
            sum += weight * count;
        }
        sum
    }
}

/// How far a gamma variable X lies beside a point x: both means are kept, because one of them is small where the other
/// would lose its digits.
struct Overshoot {
    x: f32,
    mean: f32,
    /// Mean of max(0, x - X).
    within: f32,
    /// Mean of max(0, X - x).
    beyond: f32,
}

impl Overshoot {
    fn at(shape: f32, scale: f32, x: f32) -> Self {
        let mean = shape * scale;
        if x <= 0.0 {
            return Overshoot { x, mean, within: 0.0, beyond: mean - x };
        }
        let at = cumulative(shape, x / scale);
        let common = mean * at.step;
        Overshoot { x, mean, within: (x - mean) * at.below + common, beyond: (mean - x) * at.above + common }
    }

    /// The second difference of either mean is the same; this takes the smaller one.
    fn second_difference(before: &Self, middle: &Self, after: &Self) -> f32 {
        let of = |first: f32, second: f32, third: f32| (third - second) - (second - first);
        if middle.x <= middle.mean {
            of(before.within, middle.within, after.within)
        } else {
            of(before.beyond, middle.beyond, after.beyond)
        }
    }
}

/// The reproduction number of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reproduction {
    /// The last day of the window, counted from 0: the position in the counts.
    pub day: usize,
    /// New cases in the window.
    pub cases: f32,
    /// Sum of the infectivity over the window.
    pub infectivity: f32,
    /// What is known of the reproduction number: mean, standard deviation and quantiles.
    pub posterior: Gamma,
}

/// The estimates of all windows, in order: see [`reproduction`].
#[derive(Debug, Clone)]
pub struct Estimates<'a> {
    counts: &'a [f32],
    interval: &'a SerialInterval,
    window: usize,
    day: usize,
}

impl Iterator for Estimates<'_> {
    type Item = Reproduction;

    fn next(&mut self) -> Option<Reproduction> {
        let day = self.day;
        let first = (day + 1).checked_sub(self.window)?;
        let inside = self.counts.get(first..=day)?;
        let (mut cases, mut infectivity) = (0.0, 0.0);
        for (earlier, count) in (first..).zip(inside) {
            cases += count;
            infectivity += self.interval.infectivity(self.counts.get(..earlier)?);
        }
        self.day += 1;
        let scale = 1.0 / (1.0 / PRIOR.scale + infectivity);
        let posterior = Gamma { shape: PRIOR.shape + cases, scale };
        Some(Reproduction { day, cases, infectivity, posterior })
    }
}

/// The reproduction number over a sliding window of `window` days, by its last day, from the new cases of all days.
///
/// As in EpiEstim, the first window begins on the second day, for the first cases have no source among the counts, and no
/// window ends before one mean serial interval has passed. Cost: `window` times the length of the serial interval
/// multiply-accumulates for each estimate.
///
/// # Errors
/// A window of no days, counts that end before the first estimate, or a count that is negative or not a number.
///
/// ```
/// use sirocco::renewal::{SerialInterval, reproduction};
/// // Cases that double every two serial intervals of exactly 2 days: R is the square root of 2 ... in the long run.
/// let interval = SerialInterval::from_weights(&[0.0, 1.0])?;
/// let counts = [100.0, 119.0, 141.0, 168.0, 200.0, 238.0, 283.0, 336.0, 400.0];
/// let last = reproduction(&counts, &interval, 7)?.last().unwrap();
/// assert!((last.posterior.mean() - 1.414).abs() < 0.05);
/// assert!(last.posterior.quantile(0.025) < 1.414 && last.posterior.quantile(0.975) > 1.414);
/// # Ok::<(), sirocco::renewal::RenewalError>(())
/// ```
pub fn reproduction<'a>(
    counts: &'a [f32],
    interval: &'a SerialInterval,
    window: usize,
) -> Result<Estimates<'a>, RenewalError> {
    if window == 0 {
        return Err(RenewalError::Window);
    }
    for (day, &count) in counts.iter().enumerate() {
        let usable = count >= 0.0 && count.is_finite();
        if !usable {
            return Err(RenewalError::Count { day, count });
        }
    }
    // Day d is the (d + 1)-th, and must come after the mean; the mean is below MAX_SERIAL_INTERVAL.
    let first = window.max(interval.mean() as usize);
    if first >= counts.len() {
        return Err(RenewalError::TooFew { have: counts.len(), window, need: first.saturating_add(1) });
    }
    Ok(Estimates { counts, interval, window, day: first })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const COUNTS: [f32; 43] = [3.0; 43];

    #[test]
    fn discretized_serial_intervals_are_those_of_epiestim() {
        let table = include_str!("../../tests/data/renewal/serial_intervals.csv");
        let mut checked = 0;
        for line in table.lines().skip(1) {
            let numbers: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
            let [mean, deviation, days, probability] = numbers[..] else { panic!("{line}") };
            let interval = SerialInterval::gamma(mean as f32, deviation as f32).unwrap();
            // What is left out at the end is below NEGLIGIBLE.
            let is = interval.weights().get(days as usize - 1).copied().unwrap_or(0.0);
            let error = (f64::from(is) - probability).abs();
            assert!(error < 3e-6, "{line}: {is}");
            checked += 1;
        }
        assert!(checked > 200);
        let sum: f32 = SerialInterval::gamma(14.9, 3.9).unwrap().weights().iter().sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    }

    #[test]
    fn the_first_window_begins_on_the_second_day_and_ends_after_the_mean_interval() {
        let days = |mean: f32, window| {
            let interval = SerialInterval::gamma(mean, 2.0).unwrap();
            reproduction(&COUNTS, &interval, window).unwrap().map(|estimate| estimate.day).collect::<Vec<_>>()
        };
        assert_eq!(days(2.6, 7), (7..43).collect::<Vec<_>>());
        assert_eq!(days(2.6, 1), (2..43).collect::<Vec<_>>());
        assert_eq!(days(12.5, 7), (12..43).collect::<Vec<_>>());
    }

    #[test]
    fn without_cases_the_prior_is_left() {
        let interval = SerialInterval::gamma(2.0, 0.5).unwrap();
        let counts = [3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let last = reproduction(&counts, &interval, 2).unwrap().last().unwrap();
        assert_eq!((last.cases, last.infectivity, last.posterior), (0.0, 0.0, PRIOR));
    }

    #[test]
    fn a_distribution_that_is_none_is_refused() {
        for (mean, deviation) in [
            (1.0, 0.5),
            (0.3, 0.1),
            (-2.0, 1.0),
            (5.0, 0.0),
            (5.0, -1.0),
            (f32::NAN, 1.0),
            (5.0, f32::NAN),
            (f32::INFINITY, 1.0),
        ] {
            let refused = SerialInterval::gamma(mean, deviation).unwrap_err();
            assert!(matches!(refused, RenewalError::SerialInterval { .. }), "{mean}, {deviation}: {refused}");
        }
        assert!(
            matches!(SerialInterval::gamma(11.0, 0.09), Err(RenewalError::Narrow { least, .. }) if (least - 0.1).abs() < 1e-6)
        );
        assert!(SerialInterval::gamma(11.0, 0.11).is_ok());
        assert_eq!(SerialInterval::gamma(100.0, 30.0), Err(RenewalError::Long));
        for weights in [&[][..], &[0.5, 0.4], &[1.5, -0.5], &[f32::NAN, 1.0], &[f32::INFINITY]] {
            assert!(matches!(SerialInterval::from_weights(weights), Err(RenewalError::Weights { .. })), "{weights:?}");
        }
        let even = [1.0 / (MAX_SERIAL_INTERVAL + 1) as f32; MAX_SERIAL_INTERVAL + 1];
        assert_eq!(SerialInterval::from_weights(&even), Err(RenewalError::Long));
    }

    #[test]
    fn counts_that_allow_no_estimate_are_refused() {
        let interval = SerialInterval::gamma(9.5, 2.0).unwrap();
        let refused = |counts: &[f32], window| reproduction(counts, &interval, window).map(|_| ()).unwrap_err();
        assert_eq!(refused(&COUNTS, 0), RenewalError::Window);
        assert_eq!(refused(&COUNTS[..9], 7), RenewalError::TooFew { have: 9, window: 7, need: 10 });
        assert_eq!(refused(&COUNTS[..12], 12), RenewalError::TooFew { have: 12, window: 12, need: 13 });
        assert_eq!(
            refused(&COUNTS, usize::MAX),
            RenewalError::TooFew { have: 43, window: usize::MAX, need: usize::MAX }
        );
        assert_eq!(refused(&[1.0, -2.0, 3.0], 1), RenewalError::Count { day: 1, count: -2.0 });
        assert!(matches!(refused(&[1.0, f32::NAN], 1), RenewalError::Count { day: 1, .. }));
    }
}
