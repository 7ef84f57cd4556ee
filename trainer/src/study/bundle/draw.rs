//! What the plots and tables of several studies share: the course of training, and measurements step by step.

use super::run::Trace;
use crate::report::csv::{self, cells};
use crate::report::plot::{Axis, Content, Figure, Line, Panel, Stroke};
use crate::statistics::median;
use crate::study::findings::Plot;

/// One arm of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Arm<'a> {
    /// Name in tables.
    pub key: &'a str,
    /// Name in legends.
    pub name: &'a str,
    /// One trace per seed.
    pub traces: &'a [Trace],
}

/// Adds every measurement of the arms to a table of the columns target, arm, seed, iteration, CPU seconds, LogLoss,
/// largest error.
pub fn course_rows(table: &mut csv::Table, target: &str, seeds: &[u64], arms: &[Arm<'_>]) {
    for arm in arms {
        for (seed, trace) in seeds.iter().zip(arm.traces) {
            for k in 0..trace.iteration.len() {
                let measured = [trace.iteration[k], trace.cpu[k], trace.logloss[k], trace.max_error[k]];
                table.row(cells![target, arm.key, *seed].into_iter().chain(measured.map(csv::Cell::from)));
            }
        }
    }
}

/// The course of training of the arms, against iterations (called `unit`) and against CPU seconds.
pub fn course(target: &str, arms: &[Arm<'_>], unit: &str, caption: String) -> Vec<Plot> {
    let against_cpu = "The same against the CPU seconds of training, all cores together, pretraining left out.";
    vec![
        Plot::new(format!("{target}-iterations"), course_figure(target, arms, unit, |t| &t.iteration), caption),
        Plot::new(
            format!("{target}-cpu"),
            course_figure(target, arms, "CPU seconds of training", |t| &t.cpu),
            against_cpu,
        ),
    ]
}

/// LogLoss above, largest error below.
fn course_figure(title: &str, arms: &[Arm<'_>], label: &str, x: fn(&Trace) -> &[f64]) -> Figure {
    let lines = |y: fn(&Trace) -> &[f64], named: bool| {
        Content::Lines(arms.iter().enumerate().flat_map(|(k, arm)| fan(arm, k, named, x, y)).collect())
    };
    Figure {
        title: title.to_owned(),
        width: 620,
        panels: vec![
            Panel::new(270, Axis::linear(""), Axis::linear("LogLoss"), lines(|t| &t.logloss, true)),
            Panel::new(230, Axis::linear(label), Axis::log("largest error"), lines(|t| &t.max_error, false)),
        ],
    }
}

/// Faint lines of the seeds and the solid line of their medians.
fn fan(arm: &Arm<'_>, color: usize, named: bool, x: fn(&Trace) -> &[f64], y: fn(&Trace) -> &[f64]) -> Vec<Line> {
    let pairs = |t: &Trace| x(t).iter().copied().zip(y(t).iter().copied()).collect::<Vec<_>>();
    let faint = |t: &Trace| Line { stroke: Stroke::Faint, ..Line::solid("", color, pairs(t)) };
    let mut lines: Vec<Line> = arm.traces.iter().map(faint).collect();
    let longest = arm.traces.iter().map(|t| t.iteration.len()).max().unwrap_or(0);
    let at = |k: usize| {
        let column = |f: fn(&Trace) -> &[f64]| -> Vec<f64> {
            arm.traces.iter().filter_map(|t| f(t).get(k.min(f(t).len().saturating_sub(1))).copied()).collect()
        };
        (median(&column(x)), median(&column(y)))
    };
    let name = if named { arm.name } else { "" };
    lines.push(Line::solid(name, color, (0..longest).map(at).collect()));
    lines
}

/// Pairs of a step and one value per seed.
pub type Series = Vec<(f64, Vec<f64>)>;

/// The medians of a series as a line, the seeds as dots.
pub fn series(name: &str, color: usize, values: &Series) -> Vec<Line> {
    let dots = values.iter().flat_map(|(x, ys)| ys.iter().map(|y| (*x, *y))).collect();
    vec![
        Line { stroke: Stroke::Dots, ..Line::solid("", color, dots) },
        Line::solid(name, color, values.iter().map(|(x, ys)| (*x, median(ys))).collect()),
    ]
}
