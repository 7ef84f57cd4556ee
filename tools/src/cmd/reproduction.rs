//! `sirocco reproduction`: the reproduction number by day, from new cases and the serial interval.

use crate::Error;
use crate::figure::{self, Format};
use crate::input::outbreak::{self, Observable, OutbreakOptions, Unit};
use crate::output::Output;
use crate::reproduction::{Day, Method, course};
use crate::table;
use serde::Serialize;
use std::path::PathBuf;

/// Estimate the reproduction number by day from new cases and the serial interval
///
/// How many others does one case infect, on that day? This takes no model of the outbreak, only its new cases and how long it
/// takes from one person's symptoms to those of the next: the serial interval. It is the method of Cori et al. (2013), as in the
/// R package EpiEstim: the mean over a sliding window, with a 95 % interval. The estimate lags behind a change by about half a
/// window, and all cases, or the same share of them on all days, must be in the table.
///
/// Prints CSV: the last day of the window, the new cases in it, and mean, standard deviation and intervals of the
/// reproduction number. What was understood of the table stands on stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco reproduction cases.csv --serial-interval 2.6,1.5
  sirocco reproduction cases.csv --new confirmed --serial-interval 5,2 --window 14 --out reproduction.svg
  sirocco reproduction weekly.csv --serial-interval 15,9 --window 21 --json
")]
pub struct Arguments {
    /// CSV table with new cases by day or week, or with a row for each case
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Mean and standard deviation of the serial interval, in days
    #[arg(long, value_name = "MEAN,SD", value_parser = pair)]
    serial_interval: (f32, f32),
    /// Length of the sliding window, in days
    #[arg(long, default_value_t = 7.0, value_name = "DAYS")]
    window: f32,
    /// Image file to write: NAME.svg or NAME.png
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Title above the plot; the name of the table if left out
    #[arg(long)]
    title: Option<String>,
    /// Width in pixels; a PNG image has twice as many, for high-resolution screens
    #[arg(long, default_value_t = 720, value_parser = clap::value_parser!(u32).range(200..=4000))]
    width: u32,
    #[command(flatten)]
    options: OutbreakOptions,
}

fn pair(text: &str) -> Result<(f32, f32), String> {
    let numbers = text
        .split_once(',')
        .and_then(|(mean, deviation)| Some((mean.trim().parse().ok()?, deviation.trim().parse().ok()?)));
    numbers.ok_or_else(|| "give mean and standard deviation in days, as 2.6,1.5".into())
}

#[derive(Serialize)]
struct Report {
    file: PathBuf,
    observable: Observable,
    unit: Unit,
    step_days: f64,
    serial_interval: SerialInterval,
    window_days: f32,
    estimates: Vec<Day>,
    remarks: Vec<String>,
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct SerialInterval {
    mean: f32,
    standard_deviation: f32,
}

/// Reads the table, estimates, and prints.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let image = arguments.out.as_deref().map(|path| Format::of(path).map(|format| (path, format))).transpose()?;
    let outbreak = outbreak::read(&arguments.file, &arguments.options)?;
    let (mean, deviation) = arguments.serial_interval;
    let method = Method { mean, deviation, window: arguments.window };
    let course = course(&arguments.file, &outbreak, method)?;
    if let Some((path, format)) = image {
        let name = || arguments.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let title = arguments.title.clone().unwrap_or_else(name);
        format.write(path, &figure::reproduction(&title, &course, outbreak.unit, outbreak.start, arguments.width))?;
    }
    let remarks = [outbreak.remarks, course.remarks].concat();
    for remark in &remarks {
        eprintln!("{remark}");
    }
    let report = Report {
        file: arguments.file.clone(),
        observable: course.observable,
        unit: outbreak.unit,
        step_days: course.step_days,
        serial_interval: SerialInterval { mean, standard_deviation: deviation },
        window_days: arguments.window,
        estimates: course.days,
        remarks,
        out: arguments.out.clone(),
    };
    output.result(&report, |report| {
        let dated = report.estimates.iter().any(|day| day.date.is_some());
        let columns = [
            if dated { "date" } else { "t" },
            "cases",
            "mean",
            "standard_deviation",
            "lower_95",
            "lower_50",
            "median",
            "upper_50",
            "upper_95",
        ];
        let mut lines = vec![columns.map(str::to_owned).to_vec()];
        for day in &report.estimates {
            let ([lower_95, upper_95], [lower_50, upper_50]) = (day.interval_95, day.interval_50);
            let numbers = [day.mean, day.standard_deviation, lower_95, lower_50, day.median, upper_50, upper_95]
                .map(|v| format!("{v:.3}"));
            let time = day.date.map_or_else(|| day.t.to_string(), |date| date.to_string());
            lines.push([time, day.cases.to_string()].into_iter().chain(numbers).collect());
        }
        crate::output::write(format_args!("{}", table::text(lines)));
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_interval_is_two_numbers() {
        assert_eq!(pair("2.6, 1.5"), Ok((2.6, 1.5)));
        for wrong in ["2.6", "2.6;1.5", "a,b", "2.6,", "1,2,3"] {
            assert!(pair(wrong).unwrap_err().contains("as 2.6,1.5"), "{wrong}");
        }
    }
}
