//! The reproduction number over the course of an outbreak, from a table of its new cases.

use crate::Error;
use crate::input::outbreak::{Observable, Outbreak, Series};
use jiff::ToSpan;
use jiff::civil::Date;
use serde::Serialize;
use sirocco::renewal::{self, RenewalError, SerialInterval};
use std::path::Path;

/// The reproduction number of the window that ends with a day (or with whatever the interval between rows is).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Day {
    /// The end of the window, in the table's unit.
    pub t: f32,
    /// The last day of the window, if the table has dates.
    #[serde(serialize_with = "text")]
    pub date: Option<Date>,
    /// New cases in the window.
    pub cases: f32,
    /// The mean of the reproduction number.
    pub mean: f32,
    /// Its standard deviation.
    pub standard_deviation: f32,
    /// The value that it is below with a probability of one half.
    pub median: f32,
    /// Ends of the interval that it lies in with a probability of one half.
    pub interval_50: [f32; 2],
    /// Ends of the interval that it lies in with a probability of 95 %.
    pub interval_95: [f32; 2],
}

fn text<S: serde::Serializer>(date: &Option<Date>, to: S) -> Result<S::Ok, S::Error> {
    match date {
        Some(date) => to.collect_str(date),
        None => to.serialize_none(),
    }
}

/// The reproduction number over the course of an outbreak.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// What stands for new cases.
    pub observable: Observable,
    /// Days between rows of the table: the step of the method.
    pub step_days: f64,
    /// New cases of all steps: the end of the step, in the table's unit, and the number.
    pub counts: Vec<(f32, f32)>,
    /// The estimates, in the order of time.
    pub days: Vec<Day>,
    /// What was assumed, as whole sentences.
    pub remarks: Vec<String>,
}

/// How to estimate the reproduction number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Method {
    /// Mean of the serial interval, in days.
    pub mean: f32,
    /// Standard deviation of the serial interval, in days.
    pub deviation: f32,
    /// Length of the sliding window, in days.
    pub window: f32,
}

/// Estimates the reproduction number from the new cases of an outbreak, read from the file at `path`.
///
/// # Errors
/// [`Error::Usage`] with the file and the remedy: no column of new cases, rows at unequal intervals, a serial interval or a
/// window that is not longer than one of them, or too few rows.
pub fn course(path: &Path, outbreak: &Outbreak, method: Method) -> Result<Course, Error> {
    let refused = |what: String| Error::Usage(format!("{}: {what}", path.display()));
    let mut remarks = Vec::new();
    let series = match (outbreak.series(Observable::NewCases), outbreak.series(Observable::Deaths)) {
        (Some(series), _) => series,
        (None, Some(deaths)) => {
            remarks.push(format!(
                "Deaths (column {}) stand for new cases; the reproduction number is that of days earlier by the time from falling ill to death.",
                deaths.column
            ));
            deaths
        }
        (None, None) => {
            let read =
                outbreak.series.iter().map(|series| format!("`{}` is read as {}", series.column, series.observable));
            return Err(refused(format!(
                "no column of new cases ({}); name it with --new COLUMN, or that of all cases so far with --cumulative COLUMN",
                read.collect::<Vec<_>>().join(", ")
            )));
        }
    };
    let step = step(series).map_err(|(line, what)| Error::Usage(format!("{}:{line}: {what}", path.display())))?;
    let step_days = f64::from(step) * outbreak.unit.days();
    if f64::from(method.mean) <= step_days {
        let what = format!(
            "a serial interval of {} days is not longer than the {step_days} days between rows; give a table with shorter intervals",
            method.mean
        );
        return Err(refused(what));
    }
    let steps = |days: f32| (f64::from(days) / step_days) as f32;
    let window = steps(method.window);
    if window < 1.0 || window.fract() != 0.0 {
        let what =
            format!("a window of {} days; it takes a multiple of the {step_days} days between rows", method.window);
        return Err(refused(what));
    }
    let advice = |error: RenewalError| match error {
        RenewalError::TooFew { have, need, .. } => {
            refused(format!("{have} rows, at least {need} are needed; take a shorter --window or a longer table"))
        }
        RenewalError::Narrow { least, .. } => refused(format!(
            "a serial interval of {} days with a standard deviation of {} days is too narrow; the deviation takes at least {}",
            method.mean,
            method.deviation,
            least * step_days as f32
        )),
        other => refused(other.to_string()),
    };
    let interval = SerialInterval::gamma(steps(method.mean), steps(method.deviation)).map_err(advice)?;
    let counts: Vec<f32> = series.points.iter().map(|point| point.value).collect();
    let estimates = renewal::reproduction(&counts, &interval, window as usize).map_err(advice)?;
    let days = estimates.filter_map(|estimate| {
        let t = series.points.get(estimate.day)?.to;
        let posterior = estimate.posterior;
        Some(Day {
            t,
            date: outbreak.start.and_then(|start| last_day(start, f64::from(t) * outbreak.unit.days())),
            cases: estimate.cases,
            mean: posterior.mean(),
            standard_deviation: posterior.deviation(),
            median: posterior.quantile(0.5),
            interval_50: [0.25, 0.75].map(|p| posterior.quantile(p)),
            interval_95: [0.025, 0.975].map(|p| posterior.quantile(p)),
        })
    });
    let days = days.collect();
    let counts = series.points.iter().map(|point| (point.to, point.value)).collect();
    Ok(Course { observable: series.observable, step_days, counts, days, remarks })
}

/// The interval that every row of the table has after the one before, in the table's unit.
///
/// # Errors
/// The line of the first row whose interval is another one, and what is wrong with it.
fn step(series: &Series) -> Result<f32, (usize, String)> {
    let step = series.points.first().map_or(1.0, |point| point.to - point.from);
    for (before, point) in series.points.iter().zip(series.points.iter().skip(1)) {
        if point.from != before.to {
            let what = format!(
                "nothing is known of the times from {} to {}; where no row means no cases, say --missing zero",
                before.to, point.from
            );
            return Err((point.line, what));
        }
        if point.to - point.from != step {
            let what = format!(
                "an interval of {} after intervals of {step}; the method takes equal intervals, so leave the other rows out",
                point.to - point.from
            );
            return Err((point.line, what));
        }
    }
    Ok(step)
}

/// The last day of a time that ends so many days after the beginning of `start`.
fn last_day(start: Date, days: f64) -> Option<Date> {
    start.checked_add((days.round() as i64 - 1).days()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::outbreak::{Point, Unit};

    /// A course of daily new cases that grow by a tenth a day.
    fn growing(rows: usize) -> Outbreak {
        let point = |k: usize| Point {
            line: k + 2,
            from: k as f32,
            to: (k + 1) as f32,
            value: (100.0 * 1.1_f64.powi(k as i32)).round() as f32,
        };
        let points = (0..rows).map(point).collect();
        let series = Series { observable: Observable::NewCases, column: "cases".into(), points };
        Outbreak {
            series: vec![series],
            unit: Unit::Day,
            start: Some(jiff::civil::date(2020, 2, 24)),
            population: None,
            remarks: Vec::new(),
        }
    }

    const METHOD: Method = Method { mean: 5.0, deviation: 2.0, window: 7.0 };

    fn refusal(outbreak: &Outbreak, method: Method) -> String {
        course(Path::new("seen.csv"), outbreak, method).unwrap_err().to_string()
    }

    #[test]
    fn steady_growth_gives_the_reproduction_number_of_its_rate() {
        let course = course(Path::new("seen.csv"), &growing(40), METHOD).unwrap();
        let last = course.days.last().unwrap();
        // 1 / sum of w(k) 1.1^-k.
        let interval = SerialInterval::gamma(5.0, 2.0).unwrap();
        let (mut factor, mut sum) = (1.0, 0.0);
        for weight in interval.weights() {
            factor /= 1.1;
            sum += weight * factor;
        }
        assert!((last.mean * sum - 1.0).abs() < 2e-3, "{} instead of {}", last.mean, 1.0 / sum);
        assert!(last.interval_95[0] < last.interval_50[0] && last.interval_50[0] < last.median);
        assert!(last.median < last.interval_50[1] && last.interval_50[1] < last.interval_95[1]);
        // The first window takes the days 1 to 7, counted from 0.
        let first = course.days.first().unwrap();
        assert_eq!((first.t, first.date.unwrap().to_string()), (8.0, "2020-03-02".into()));
        assert_eq!((last.t, last.date.unwrap().to_string()), (40.0, "2020-04-03".into()));
        assert_eq!(course.days.len(), 33);
    }

    #[test]
    fn weekly_rows_take_a_serial_interval_of_more_than_a_week() {
        let mut weekly = growing(40);
        weekly.unit = Unit::Week;
        let days = course(Path::new("seen.csv"), &growing(40), METHOD).unwrap().days;
        let method = Method { mean: 35.0, deviation: 14.0, window: 49.0 };
        let weeks = course(Path::new("seen.csv"), &weekly, method).unwrap();
        assert_eq!(weeks.step_days, 7.0);
        assert_eq!(weeks.days.last().unwrap().mean.to_bits(), days.last().unwrap().mean.to_bits());
        assert_eq!(weeks.days.first().unwrap().date.unwrap().to_string(), "2020-04-19");
        let short = refusal(&weekly, METHOD);
        assert!(short.contains("5 days is not longer than the 7 days between rows; "), "{short}");
        let window = refusal(&weekly, Method { window: 10.0, ..method });
        assert!(window.contains("a window of 10 days; it takes a multiple of the 7 days"), "{window}");
    }

    #[test]
    fn deaths_stand_in_for_new_cases_and_prevalence_does_not() {
        let mut deaths = growing(20);
        deaths.series[0].observable = Observable::Deaths;
        let course = course(Path::new("seen.csv"), &deaths, METHOD).unwrap();
        assert_eq!(course.observable, Observable::Deaths);
        assert!(course.remarks[0].contains("column cases"), "{:?}", course.remarks);
        deaths.series[0].observable = Observable::Infected;
        assert!(refusal(&deaths, METHOD).contains("no column of new cases (`cases` is read as infected); name it"));
    }

    #[test]
    fn what_the_method_cannot_take_is_refused_with_the_line() {
        let mut gap = growing(20);
        gap.series[0].points.remove(9);
        let refused = refusal(&gap, METHOD);
        assert!(refused.contains("seen.csv:12: nothing is known of the times from 9 to 10; "), "{refused}");
        let mut uneven = growing(20);
        uneven.series[0].points.truncate(10);
        uneven.series[0].points.push(Point { line: 12, from: 10.0, to: 17.0, value: 3.0 });
        let refused = refusal(&uneven, METHOD);
        assert!(refused.contains("seen.csv:12: an interval of 7 after intervals of 1; "), "{refused}");
        let refused = refusal(&growing(7), METHOD);
        assert!(refused.contains("7 rows, at least 8 are needed; take a shorter --window"), "{refused}");
        let refused = refusal(&growing(20), Method { deviation: 0.01, ..METHOD });
        assert!(refused.contains("too narrow; the deviation takes at least 0.04"), "{refused}");
        let refused = refusal(&growing(20), Method { deviation: -1.0, ..METHOD });
        assert!(refused.contains("standard deviation -1 days; "), "{refused}");
    }
}
