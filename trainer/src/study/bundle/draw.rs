//! What the plots of several studies share: one faint line per seed under the median, maps of one scale.

use super::run::Trace;
use crate::report::plot::{Axis, Content, Figure, Line, Panel, Stroke};
use crate::statistics::median;

/// One arm of a comparison: its name and its traces, one per seed.
#[derive(Debug, Clone, Copy)]
pub struct Arm<'a> {
    /// Name in the legend.
    pub name: &'a str,
    /// One trace per seed.
    pub traces: &'a [Trace],
}

/// LogLoss above, largest error below, against iterations or CPU seconds.
pub fn progress_figure(title: &str, arms: &[Arm<'_>], label: &str, x: fn(&Trace) -> &[f64]) -> Figure {
    let lines = |y: fn(&Trace) -> &[f64], named: bool| {
        arms.iter().enumerate().flat_map(|(k, arm)| fan(arm, k, named, x, y)).collect::<Vec<_>>()
    };
    let loss = lines(|t| &t.logloss, true);
    let error = lines(|t| &t.max_error, false);
    Figure {
        title: title.to_owned(),
        width: 620,
        panels: vec![
            Panel::new(270, Axis::linear(""), Axis::linear("LogLoss"), Content::Lines(loss)),
            Panel::new(230, Axis::linear(label), Axis::log("largest error"), Content::Lines(error)),
        ],
    }
}

/// Faint lines of the seeds and the solid line of their medians.
fn fan(arm: &Arm<'_>, colour: usize, named: bool, x: fn(&Trace) -> &[f64], y: fn(&Trace) -> &[f64]) -> Vec<Line> {
    let pairs = |t: &Trace| x(t).iter().copied().zip(y(t).iter().copied()).collect::<Vec<_>>();
    let faint = |t: &Trace| Line { stroke: Stroke::Faint, ..Line::solid("", colour, pairs(t)) };
    let mut lines: Vec<Line> = arm.traces.iter().map(faint).collect();
    let longest = arm.traces.iter().map(|t| t.iteration.len()).max().unwrap_or(0);
    let at = |k: usize| {
        let column = |f: fn(&Trace) -> &[f64]| -> Vec<f64> {
            arm.traces.iter().filter_map(|t| f(t).get(k.min(f(t).len().saturating_sub(1))).copied()).collect()
        };
        (median(&column(x)), median(&column(y)))
    };
    let name = if named { arm.name } else { "" };
    lines.push(Line::solid(name, colour, (0..longest).map(at).collect()));
    lines
}

/// (x, one value per seed) of something measured step by step.
pub type Series = Vec<(f64, Vec<f64>)>;

/// One line of medians over a series, with the seeds as dots.
pub fn series(name: &str, colour: usize, values: &Series) -> Vec<Line> {
    let dots = values.iter().flat_map(|(x, ys)| ys.iter().map(|y| (*x, *y))).collect();
    vec![
        Line { stroke: Stroke::Dots, ..Line::solid("", colour, dots) },
        Line::solid(name, colour, values.iter().map(|(x, ys)| (*x, median(ys))).collect()),
    ]
}
