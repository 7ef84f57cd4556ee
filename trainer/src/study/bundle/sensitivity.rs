//! Which perturbation hurts? One range of the box moves at a time, the others stay.
//!
//! The pretrained full bundle is measured, without further training, on boxes in which one range is shifted by a share of
//! its width (for t the horizon is longer or shorter by that share), and again after a few iterations of finetuning.

use super::Study;
use super::bench::Bench;
use super::draw::{Series, series};
use super::probe::Probe;
use super::run::{Run, Start, Trace};
use crate::bundle::preset;
use crate::bundle::problem::Form;
use crate::report::csv::{self, cells};
use crate::report::plot::{Axis, Content, Figure, Panel};
use crate::statistics::median;
use crate::study::StudyError;
use crate::study::findings::{Findings, Plot};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// The study; see the first lines of this file.
pub const STUDY: Study = Study { name: "sensitivity", what: "Which perturbation hurts?", answer };

const PRESET: &str = "sir-full";
/// Shifts, in widths of the range; below -0.5 some problems of the box would be impossible.
const SHIFTS: [f64; 7] = [-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0];
/// The shift at which quantities are ranked, and from which the network is finetuned.
const RANKED: f64 = 0.5;
/// Iterations of finetuning.
const ITERATIONS: usize = 10;

/// The effect of shifting a range; the lists have one value per seed, in the order of the seeds.
#[derive(Debug, Serialize)]
struct Outcome {
    quantity: String,
    /// (shift, LogLoss per seed)
    logloss: Series,
    /// (shift, largest error per seed)
    max_error: Series,
    /// After finetuning at [`RANKED`].
    logloss_tuned: Vec<f64>,
    max_error_tuned: Vec<f64>,
}

fn answer(bench: &Bench<'_>) -> Result<Findings, StudyError> {
    let setting = bench.setting;
    let form = setting.form(Form::Reduced);
    let preset = preset::find(PRESET)?;
    let sources: Vec<Run> = setting.seeds.iter().map(|seed| setting.pretrained(preset, form, *seed)).collect();
    let networks = bench.traces(&sources)?;
    let problem = sources[0].problem()?;
    let mut outcomes = Vec::new();
    let mut table = csv::Table::new(["quantity", "shift", "seed", "logloss", "max_error"]);
    for (q, name) in preset.ode.quantity_names().enumerate() {
        let (mut logloss, mut max_error) = (Vec::new(), Vec::new());
        for shift in SHIFTS {
            let probe = Probe::new(&problem.moved(&shifted(preset.domain, q, shift))?);
            let measured: Vec<_> = networks.iter().map(|n| probe.measure(&problem, &n.mlp)).collect();
            for (seed, (loss, error)) in setting.seeds.iter().zip(&measured) {
                table.row(cells![name, shift, *seed, *loss, *error]);
            }
            logloss.push((shift, measured.iter().map(|m| m.0).collect()));
            max_error.push((shift, measured.iter().map(|m| m.1).collect()));
        }
        let tuned = |source: &Run| Run {
            start: Start::From(Box::new(source.clone())),
            domain: shifted(preset.domain, q, RANKED),
            iterations: ITERATIONS,
            ..source.clone()
        };
        let tuned = bench.traces(&sources.iter().map(tuned).collect::<Vec<_>>())?;
        outcomes.push(Outcome {
            quantity: name.to_owned(),
            logloss,
            max_error,
            logloss_tuned: tuned.iter().map(Trace::logloss).collect(),
            max_error_tuned: tuned.iter().map(Trace::max_error).collect(),
        });
    }
    let plot = Plot::new("sensitivity", plot(&outcomes), "Without any finetuning. Zero is the training box.");
    Ok(Findings {
        plots: vec![vec![plot]],
        tables: vec![("sensitivity", table)],
        ..findings(form, &outcomes, preset.domain[0].1)?
    })
}

fn findings(form: Form, outcomes: &[Outcome], horizon: f64) -> Result<Findings, StudyError> {
    // The quantities whose shift raises a figure most come first; medians over the seeds.
    let ranked = |f: fn(&Outcome) -> f64| {
        let mut all: Vec<(&str, f64)> = outcomes.iter().map(|o| (o.quantity.as_str(), f(o))).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all
    };
    let by_rise = ranked(|o| Outcome::at(&o.logloss, RANKED) - Outcome::at(&o.logloss, 0.0));
    let by_error = ranked(|o| Outcome::at(&o.max_error, RANKED));
    let recovered = outcomes.iter().filter(|o| median(&o.logloss_tuned) <= Outcome::at(&o.logloss, 0.0)).count();
    let shifts = outcomes.iter().map(|o| {
        let at = |column, shifts: &[f64]| shifts.iter().map(|s| Outcome::at(column, *s)).collect::<Vec<_>>();
        (at(&o.logloss, &[-RANKED, 0.0, RANKED, 1.0]), at(&o.max_error, &[0.0, RANKED]))
    });
    let more = context! {
        preset => PRESET, horizon, by_rise => Serde(by_rise), by_error => Serde(by_error), recovered,
        shifts => Serde(shifts.collect::<Vec<_>>()),
    };
    let figures = context! { form => form.name(), iterations => ITERATIONS, quantities => Serde(outcomes) };
    Findings::new(include_str!("sensitivity.md"), figures, more)
}

/// The box with one range moved.
fn shifted(domain: &[(f64, f64)], q: usize, shift: f64) -> Vec<(f64, f64)> {
    let mut domain = domain.to_vec();
    let (lo, hi) = domain[q];
    let by = shift * (hi - lo);
    // Rounding must not make a share negative.
    domain[q] = if q == 0 { (lo, hi + by) } else { ((lo + by).max(0.0), hi + by) };
    domain
}

impl Outcome {
    /// Median over the seeds at a shift.
    fn at(column: &Series, shift: f64) -> f64 {
        column.iter().find(|(s, _)| *s == shift).map_or(f64::NAN, |(_, values)| median(values))
    }
}

fn plot(outcomes: &[Outcome]) -> Figure {
    let lines = |named: bool, column: fn(&Outcome) -> &Series| {
        let line = |(k, o): (usize, &Outcome)| series(if named { &o.quantity } else { "" }, k, column(o));
        Content::Lines(outcomes.iter().enumerate().flat_map(line).collect())
    };
    let (loss, error) = (lines(true, |o| &o.logloss), lines(false, |o| &o.max_error));
    Figure {
        title: "One range moved at a time".into(),
        width: 760,
        panels: vec![
            Panel::new(300, Axis::linear(""), Axis::linear("LogLoss"), loss),
            Panel::new(270, Axis::linear("shift of the range, in its widths"), Axis::log("largest error"), error),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::problem::Problem;

    #[test]
    fn every_shifted_box_is_possible_and_moves_one_range() {
        let preset = preset::find(PRESET).unwrap();
        for q in 0..preset.domain.len() {
            for shift in SHIFTS {
                let domain = shifted(preset.domain, q, shift);
                Problem::new(preset.ode, Form::Reduced, &domain).unwrap();
                let moved = domain.iter().zip(preset.domain).filter(|(a, b)| a != b).count();
                assert_eq!(moved, usize::from(shift != 0.0));
            }
        }
    }

    #[test]
    fn the_ranking_follows_the_figures() {
        let outcome = |quantity: &str, rise: f64, error: f64| Outcome {
            quantity: quantity.into(),
            logloss: vec![(0.0, vec![-20.0]), (RANKED, vec![-20.0 + rise])],
            max_error: vec![(0.0, vec![1e-6]), (RANKED, vec![error])],
            logloss_tuned: vec![-19.0],
            max_error_tuned: vec![1e-6],
        };
        let found = findings(Form::Reduced, &[outcome("a", 1.0, 1e-2), outcome("b", 3.0, 1e-3)], 20.0).unwrap();
        let said = found.seen();
        assert!(said[0].contains("b hurts most and a least") && said[0].contains("a hurts most"), "{}", said[0]);
        assert!(said[0].contains("unlike by LogLoss") && said[1].contains("for 0 of the 2"), "{said:?}");
    }
}
