//! How good forecasts were: the weighted interval score, coverage, and a baseline to compare with.
//!
//! A forecast here is a median with its 50 and 95 % prediction intervals. Lower scores are better, in the unit of what
//! is forecast: for a forecast without any spread, the score is its absolute error.

use serde::Serialize;

/// What is expected of one value that is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    /// Half of all outcomes are expected below it.
    pub median: f64,
    /// Lower and upper end of the interval that half of all outcomes are expected in.
    pub half: [f64; 2],
    /// Lower and upper end of the interval that 95 % of all outcomes are expected in.
    pub most: [f64; 2],
}

/// The intervals' shares of outcomes outside: alpha.
const HALF_OUTSIDE: f64 = 0.5;
const MOST_OUTSIDE: f64 = 0.05;

impl Forecast {
    /// The weighted interval score for the value that was `observed` (Bracher, Ray, Gneiting and Reich, PLoS Computational
    /// Biology 2021, 17:e1008618).
    ///
    /// It is (|y - m| / 2 + sum over intervals of alpha / 2 IS) / (K + 1/2) for K = 2 intervals, with
    /// IS = width + 2 / alpha times the distance of y from the interval. Among all forecasts, that of the true
    /// distribution's quantiles has the least expected score.
    pub fn score(&self, observed: f64) -> f64 {
        let interval = |[low, high]: [f64; 2], outside: f64| {
            let distance = (low - observed).max(observed - high).max(0.0);
            outside / 2.0 * (high - low) + distance
        };
        let median = (observed - self.median).abs() / 2.0;
        (median + interval(self.half, HALF_OUTSIDE) + interval(self.most, MOST_OUTSIDE)) / 2.5
    }
}

/// Scores of many forecasts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// Number of forecasts.
    pub count: usize,
    /// Mean of the weighted interval score.
    pub weighted_interval_score: f64,
    /// Mean of the absolute error of the median.
    pub absolute_error: f64,
    /// The share of outcomes inside the 50 % interval, its ends included.
    pub coverage_50: f64,
    /// The share of outcomes inside the 95 % interval, its ends included.
    pub coverage_95: f64,
}

impl Scores {
    /// The scores of forecasts, each with the value that was observed. None without any.
    pub fn of(pairs: impl IntoIterator<Item = (Forecast, f64)>) -> Option<Scores> {
        let inside = |[low, high]: [f64; 2], observed: f64| f64::from(u8::from((low..=high).contains(&observed)));
        let mut sums =
            Scores { count: 0, weighted_interval_score: 0.0, absolute_error: 0.0, coverage_50: 0.0, coverage_95: 0.0 };
        for (forecast, observed) in pairs {
            sums.count += 1;
            sums.weighted_interval_score += forecast.score(observed);
            sums.absolute_error += (forecast.median - observed).abs();
            sums.coverage_50 += inside(forecast.half, observed);
            sums.coverage_95 += inside(forecast.most, observed);
        }
        let n = sums.count as f64;
        (sums.count > 0).then(|| Scores {
            count: sums.count,
            weighted_interval_score: sums.weighted_interval_score / n,
            absolute_error: sums.absolute_error / n,
            coverage_50: sums.coverage_50 / n,
            coverage_95: sums.coverage_95 / n,
        })
    }
}

/// The baseline: whatever was last will stay. Forecasts of 1, 2, ... `steps` steps after `history`, a series of counts.
///
/// The median is the last value. The intervals are quantiles of the differences that the history has over as many steps,
/// taken with both signs, so that no trend is forecast; they end at zero. Where the history is too short to have
/// differences over so many steps, its longest ones stand in. None without at least two values.
pub fn persistence(history: &[f64], steps: usize) -> Option<Vec<Forecast>> {
    let last = *history.last().filter(|_| history.len() > 1)?;
    let forecast = |step: usize| {
        let lag = step.min(history.len() - 1);
        let mut differences: Vec<f64> =
            history.iter().zip(&history[lag..]).flat_map(|(before, after)| [after - before, before - after]).collect();
        differences.sort_by(f64::total_cmp);
        let at = |probability| (last + quantile(&differences, probability)).max(0.0);
        Forecast { median: last, half: [at(0.25), at(0.75)], most: [at(0.025), at(0.975)] }
    };
    Some((1..=steps).map(forecast).collect())
}

/// The quantile of `sorted` values, not empty, by linear interpolation between them.
fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let place = probability * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORECAST: Forecast = Forecast { median: 10.0, half: [8.0, 13.0], most: [4.0, 24.0] };

    fn close(is: f64, expected: f64) {
        assert!((is - expected).abs() < 1e-12, "{is} instead of {expected}");
    }

    #[test]
    fn scores_are_those_computed_by_hand() {
        // At the median only the widths count: 0.25 * 5 + 0.025 * 20 = 1.75.
        close(FORECAST.score(10.0), 1.75 / 2.5);
        // Two above the half's end, inside the other: 5 / 2 + 1.25 + 2 + 0.5.
        close(FORECAST.score(15.0), 6.25 / 2.5);
        // Outside both, below: 9 / 2 + 1.25 + 7 + 0.5 + 3.
        close(FORECAST.score(1.0), 16.25 / 2.5);
        // Outside both, above: 20 / 2 + 1.25 + 17 + 0.5 + 6.
        close(FORECAST.score(30.0), 34.75 / 2.5);
    }

    #[test]
    fn without_spread_the_score_is_the_absolute_error() {
        let point = Forecast { median: 5.0, half: [5.0; 2], most: [5.0; 2] };
        close(point.score(7.5), 2.5);
        close(point.score(5.0), 0.0);
    }

    #[test]
    fn the_true_quantiles_score_best_on_average() {
        // Outcomes 0, 1, ..., 1000 equally often.
        let mean = |forecast: Forecast| Scores::of((0..=1000).map(|y| (forecast, f64::from(y)))).unwrap();
        let right = Forecast { median: 500.0, half: [250.0, 750.0], most: [25.0, 975.0] };
        let best = mean(right);
        for change in [-50.0, 50.0] {
            let [low, high] = right.half;
            let [least, greatest] = right.most;
            for other in [
                Forecast { median: right.median + change, ..right },
                Forecast { half: [low - change, high], ..right },
                Forecast { half: [low, high + change], ..right },
                Forecast { most: [least - change, greatest], ..right },
                Forecast { most: [least, greatest + change], ..right },
            ] {
                assert!(mean(other).weighted_interval_score > best.weighted_interval_score, "{other:?}");
            }
        }
        close(best.coverage_50, 501.0 / 1001.0);
        close(best.coverage_95, 951.0 / 1001.0);
    }

    #[test]
    fn means_are_taken_over_all_forecasts() {
        let scores = Scores::of([(FORECAST, 10.0), (FORECAST, 15.0), (FORECAST, 30.0), (FORECAST, 13.0)]).unwrap();
        assert_eq!(scores.count, 4);
        close(scores.weighted_interval_score, (1.75 + 6.25 + 34.75 + 3.25) / 2.5 / 4.0);
        close(scores.absolute_error, (0.0 + 5.0 + 20.0 + 3.0) / 4.0);
        // 13 lies on the end of the half, which belongs to it.
        close(scores.coverage_50, 0.5);
        close(scores.coverage_95, 0.75);
        assert_eq!(Scores::of([]), None);
    }

    #[test]
    fn the_baseline_is_the_last_value_with_the_differences_of_the_history() {
        // Differences of one step: 1, 4, -2; with both signs and sorted: -4, -2, -1, 1, 2, 4.
        let forecasts = persistence(&[5.0, 6.0, 10.0, 8.0], 5).unwrap();
        assert_eq!(forecasts.len(), 5);
        let one = forecasts[0];
        close(one.median, 8.0);
        close(one.half[0], 8.0 - 1.75);
        close(one.half[1], 8.0 + 1.75);
        close(one.most[0], 8.0 - 3.75);
        close(one.most[1], 8.0 + 3.75);
        // Of two steps: 5 and 2. Sorted: -5, -2, 2, 5.
        close(forecasts[1].half[1], 8.0 + 2.75);
        // Of three steps and more: 3. Sorted: -3, 3.
        close(forecasts[2].half[1], 8.0 + 1.5);
        assert_eq!(forecasts[2], forecasts[4]);
    }

    #[test]
    fn the_baseline_expects_no_negative_counts_and_needs_two_values() {
        let one = persistence(&[9.0, 1.0], 1).unwrap()[0];
        assert_eq!((one.median, one.half[0], one.most[0]), (1.0, 0.0, 0.0));
        close(one.most[1], 1.0 + 7.6);
        assert_eq!(persistence(&[3.0], 1), None);
        assert_eq!(persistence(&[], 1), None);
        assert_eq!(persistence(&[1.0, 2.0], 0), Some(Vec::new()));
    }
}
