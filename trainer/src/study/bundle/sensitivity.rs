//! Which perturbation hurts? One range of the box moves at a time, the others stay.
//!
//! The pretrained full bundle is measured, untrained, on boxes in which one range is shifted by a share of its width (for
//! t: the horizon is longer or shorter by that share), and again after a few iterations of finetuning.

use super::bench::Bench;
use super::draw::{Series, series};
use super::probe::Probe;
use super::run::{Run, Start};
use super::{Study, StudyError};
use crate::bundle::preset;
use crate::bundle::problem::Form;
use crate::report::plot::{Axis, Content, Figure, Panel};
use crate::report::{csv, figure, html};
use crate::statistics::median;
use crate::study::findings::{Findings, Plot};
use serde::Serialize;

/// See the file's first lines.
pub const STUDY: Study = Study { name: "sensitivity", what: "Which perturbation hurts?", run };

const PRESET: &str = "sir-full";
/// Shifts, in widths of the range; below -0.5 the ranges would leave what is possible.
const SHIFTS: [f64; 7] = [-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0];
/// The shift at which quantities are ranked, and from which the network is finetuned.
const RANKED: f64 = 0.5;
/// Iterations of finetuning.
const ITERATIONS: usize = 10;

/// What a shifted range does; the lists have one value per seed, in the seeds' order.
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

fn run(bench: &mut Bench<'_>) -> Result<Findings, StudyError> {
    let form = bench.setting.form(Form::Reduced);
    let preset = preset::find(PRESET)?;
    let sources: Vec<Run> =
        bench.setting.seeds.iter().map(|seed| bench.setting.pretrained(preset, form, *seed)).collect();
    let networks = bench.traces(&sources)?;
    let problem = sources[0].problem()?;
    let mut outcomes = Vec::new();
    let mut table = csv::Table::new(["quantity", "shift", "seed", "logloss", "max_error"]);
    for (q, name) in preset.ode.quantity_names().enumerate() {
        let (mut logloss, mut max_error) = (Vec::new(), Vec::new());
        for shift in SHIFTS {
            let probe = Probe::new(&problem.moved(&shifted(preset.domain, q, shift))?);
            let measured: Vec<_> = networks.iter().map(|n| probe.measure(&problem, &n.mlp)).collect();
            for (seed, (loss, error)) in bench.setting.seeds.iter().zip(&measured) {
                table.row([name.into(), shift.into(), (*seed).into(), (*loss).into(), (*error).into()]);
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
            logloss_tuned: tuned.iter().map(|t| t.logloss()).collect(),
            max_error_tuned: tuned.iter().map(|t| t.max_error()).collect(),
        });
    }
    Ok(Findings {
        about: format!(
            "The network of {PRESET}, form `{}`, on boxes in which one range is moved by a share of its width and the others \
             stay; for t the horizon of {} days is longer or shorter by that share. Dots: seeds; lines: their medians.",
            form.name(),
            preset.domain[0].1
        ),
        seen: seen(&outcomes),
        summary: vec![summary(&outcomes)],
        plots: vec![vec![Plot::new(
            "sensitivity",
            plot(&outcomes),
            "Without any finetuning. Zero is the training box.",
        )]],
        tables: vec![("sensitivity".into(), table)],
        figures: serde_json::json!({ "form": form.name(), "iterations": ITERATIONS, "quantities": outcomes }),
    })
}

/// The box with one range moved.
fn shifted(domain: &[(f64, f64)], q: usize, shift: f64) -> Vec<(f64, f64)> {
    let mut domain = domain.to_vec();
    let (lo, hi) = domain[q];
    let by = shift * (hi - lo);
    // Rounding must not carry a share below zero.
    domain[q] = if q == 0 { (lo, hi + by) } else { ((lo + by).max(0.0), hi + by) };
    domain
}

impl Outcome {
    /// Median over the seeds at a shift.
    fn at(column: &Series, shift: f64) -> f64 {
        column.iter().find(|(s, _)| *s == shift).map_or(f64::NAN, |(_, values)| median(values))
    }

    /// How much the LogLoss rises from the box to [`RANKED`].
    fn rise(&self) -> f64 {
        Self::at(&self.logloss, RANKED) - Self::at(&self.logloss, 0.0)
    }
}

fn seen(outcomes: &[Outcome]) -> Vec<String> {
    let mut ranked: Vec<&Outcome> = outcomes.iter().collect();
    ranked.sort_by(|a, b| b.rise().total_cmp(&a.rise()));
    let list = ranked.iter().map(|o| format!("{} ({:+.1})", o.quantity, o.rise())).collect::<Vec<_>>().join(", ");
    let (Some(worst), Some(least)) = (ranked.first(), ranked.last()) else { return Vec::new() };
    let mut by_error = ranked.clone();
    let error = |o: &Outcome| Outcome::at(&o.max_error, RANKED);
    by_error.sort_by(|a, b| error(b).total_cmp(&error(a)));
    let agree = if by_error[0].quantity == worst.quantity { "as by LogLoss" } else { "unlike by LogLoss" };
    let recovered = outcomes.iter().filter(|o| median(&o.logloss_tuned) <= Outcome::at(&o.logloss, 0.0)).count();
    vec![
        format!(
            "Moved up by half its width, {} hurts most and {} least; rises of LogLoss: {list}. By the largest error, {} hurts \
             most ({}), {agree}.",
            worst.quantity,
            least.quantity,
            by_error[0].quantity,
            figure(error(by_error[0]))
        ),
        format!(
            "{ITERATIONS} iterations of finetuning bring the LogLoss back to that of the training box, or below, for {recovered} \
             of the {} quantities.",
            outcomes.len()
        ),
    ]
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

fn summary(outcomes: &[Outcome]) -> html::Table {
    let row = |o: &Outcome| {
        vec![
            o.quantity.clone(),
            format!("{:.2}", Outcome::at(&o.logloss, -RANKED)),
            format!("{:.2}", Outcome::at(&o.logloss, 0.0)),
            format!("{:.2}", Outcome::at(&o.logloss, RANKED)),
            format!("{:.2}", Outcome::at(&o.logloss, 1.0)),
            format!("{:.1e}", Outcome::at(&o.max_error, 0.0)),
            format!("{:.1e}", Outcome::at(&o.max_error, RANKED)),
            format!("{:.2}", median(&o.logloss_tuned)),
            format!("{:.1e}", median(&o.max_error_tuned)),
        ]
    };
    let header =
        ["moved", "-0.5", "0", "+0.5", "+1", "error at 0", "error at +0.5", "+0.5 finetuned", "error finetuned"];
    html::Table {
        caption: format!(
            "LogLoss and largest error by shift, medians over the seeds; finetuned: {ITERATIONS} iterations."
        ),
        header: header.map(str::to_owned).into(),
        rows: outcomes.iter().map(row).collect(),
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
        let said = seen(&[outcome("a", 1.0, 1e-2), outcome("b", 3.0, 1e-3)]);
        assert!(said[0].contains("b hurts most and a least") && said[0].contains("a hurts most"), "{}", said[0]);
        assert!(said[0].contains("unlike by LogLoss") && said[1].contains("for 0 of the 2"), "{said:?}");
    }
}
