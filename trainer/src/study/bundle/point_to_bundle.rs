//! One network for one problem, or one for a whole box: how do they move?
//!
//! The target is a moved box of starts. Point to point: the network of one problem is finetuned anew for every problem of
//! a grid in the box. Point to bundle: the same network is finetuned once for the whole box. Bundle to bundle: a bundle of
//! starts is finetuned once for the whole box. All have the same hidden units and iterations.

use super::bench::Bench;
use super::field::{Field, Grid};
use super::run::{Method, Run, Start, Trace};
use super::{NOTABLE, Study};
use crate::bundle::optimize::lm::Schedule;
use crate::bundle::preset::{self, Recipe};
use crate::bundle::problem::Form;
use crate::report::csv::{self, cells};
use crate::report::plot::Axis;
use crate::statistics::{median, quantile};
use crate::study::StudyError;
use crate::study::findings::{Findings, Plot};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;

/// The study; see the first lines of this file.
pub const STUDY: Study =
    Study { name: "point-to-bundle", what: "One network per problem, or one for a whole box?", answer };

const POINT: &str = "sir-single";
const BUNDLE: &str = "sir-initial";
const TARGET: &str = "sir-initial-shifted";
/// Iterations of every finetuning.
const ITERATIONS: usize = 10;
/// Points of a round for the whole box, and for one problem of it.
const RECIPE: Recipe = preset::recipe(&[16, 16], 400, 2048);
const POINTS_OF_ONE: usize = 256;

const ARMS: [&str; 3] = ["point to point", "point to bundle", "bundle to bundle"];

/// One arm of one seed.
#[derive(Debug, Serialize)]
struct Outcome {
    arm: &'static str,
    seed: u64,
    before: Field,
    after: Field,
    /// CPU seconds of all finetuning that the box took.
    cpu_seconds: f64,
}

fn answer(bench: &Bench<'_>) -> Result<Findings, StudyError> {
    let setting = bench.setting;
    let form = setting.form(Form::Reduced);
    let (point, bundle, target) = (preset::find(POINT)?, preset::find(BUNDLE)?, preset::find(TARGET)?);
    let grid = Grid::new(&target.problem(form)?, setting.effort.cells)?;
    let moved = |source: &Run, domain: &[(f64, f64)], points: usize| Run {
        start: Start::From(Box::new(source.clone())),
        domain: domain.to_vec(),
        iterations: ITERATIONS,
        method: Method::Lm { points: points.min(setting.effort.points), schedule: Schedule::Gain },
        ..source.clone()
    };
    let cpu = |trace: &Trace| trace.cpu.last().copied().unwrap_or(f64::NAN);
    let mut outcomes = Vec::new();
    for seed in setting.seeds.iter().copied() {
        let [of_point, of_bundle] = [point, bundle].map(|p| setting.pretrained_by(p, form, RECIPE, seed));
        let each: Vec<Run> = grid.cells.iter().map(|cell| moved(&of_point, cell, POINTS_OF_ONE)).collect();
        let traces = bench.traces(&each)?;
        let before = traces.iter().map(|t| (t.logloss_at(0), t.max_error_at(0))).collect();
        let after = traces.iter().map(|t| (t.logloss(), t.max_error())).collect();
        outcomes.push(Outcome { arm: ARMS[0], seed, before, after, cpu_seconds: traces.iter().map(cpu).sum() });
        for (arm, source) in ARMS[1..].iter().zip([of_point, of_bundle]) {
            let run = moved(&source, target.domain, RECIPE.points);
            let (first, trained) = (bench.trace(&source)?, bench.trace(&run)?);
            let before = grid.measure(&source.problem()?, &first.mlp);
            let after = grid.measure(&run.problem()?, &trained.mlp);
            outcomes.push(Outcome { arm, seed, before, after, cpu_seconds: cpu(&trained) });
        }
    }
    let about = context! {
        target => TARGET, what => target.what, point => POINT, bundle => BUNDLE, cells => grid.cells.len(),
        hidden => format!("{:?}", RECIPE.hidden),
    };
    Ok(Findings {
        plots: plots(&grid, &outcomes, setting.seeds[0]),
        tables: vec![("cells", table(&grid, &outcomes))],
        ..findings(form, &outcomes, about)?
    })
}

fn findings(form: Form, outcomes: &[Outcome], about: Value) -> Result<Findings, StudyError> {
    let arms = ARMS.map(|arm| ArmFigures::new(arm, outcomes));
    let worst = ARMS.map(|arm| over_seeds(outcomes, arm, |o| quantile(&o.after.logloss, 1.0)));
    let figures = context! { form => form.name(), iterations => ITERATIONS, arms => Serde(arms) };
    Findings::new(include_str!("point_to_bundle.md"), figures, context! { worst, notable => NOTABLE, ..about })
}

/// Median over the seeds of a figure of an arm.
fn over_seeds(outcomes: &[Outcome], arm: &str, f: impl Fn(&Outcome) -> f64) -> f64 {
    median(&outcomes.iter().filter(|o| o.arm == arm).map(f).collect::<Vec<_>>())
}

/// An arm, median over the seeds: LogLoss of the median cell, largest error over all cells.
#[derive(Debug, Serialize)]
struct ArmFigures {
    arm: &'static str,
    logloss_before: f64,
    logloss_after: f64,
    max_error_before: f64,
    max_error_after: f64,
    cpu_seconds: f64,
}

impl ArmFigures {
    fn new(arm: &'static str, outcomes: &[Outcome]) -> Self {
        let of = |f: fn(&Outcome) -> f64| over_seeds(outcomes, arm, f);
        ArmFigures {
            arm,
            logloss_before: of(|o| median(&o.before.logloss)),
            logloss_after: of(|o| median(&o.after.logloss)),
            max_error_before: of(|o| quantile(&o.before.max_error, 1.0)),
            max_error_after: of(|o| quantile(&o.after.max_error, 1.0)),
            cpu_seconds: of(|o| o.cpu_seconds),
        }
    }
}

fn plots(grid: &Grid, outcomes: &[Outcome], seed: u64) -> Vec<Vec<Plot>> {
    let shown: Vec<&Outcome> = outcomes.iter().filter(|o| o.seed == seed).collect();
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values.filter(|v| v.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
    };
    let mut rows = Vec::new();
    for (when, field) in [("before", (|o| &o.before) as fn(&Outcome) -> &Field), ("after", |o| &o.after)] {
        // Before any finetuning both arms of the point are the same network.
        let shown: Vec<_> = shown.iter().filter(|o| when == "after" || o.arm != ARMS[1]).collect();
        let loss = range(&mut shown.iter().flat_map(|o| field(o).logloss.iter().copied()));
        let error = range(&mut shown.iter().flat_map(|o| field(o).max_error.iter().copied()));
        let file = |o: &Outcome, what: &str| format!("{}-{when}-{what}", o.arm.replace(' ', "-"));
        let title = |o: &Outcome| format!("{}, {when}", o.arm);
        let losses = shown.iter().map(|o| {
            let color = Axis::linear("LogLoss").over(loss.0, loss.1);
            let figure = grid.map(&title(o), &field(o).logloss, color);
            Plot::new(file(o, "logloss"), figure, "LogLoss per problem; one scale for the row.")
        });
        rows.push(losses.collect());
        let errors = shown.iter().map(|o| {
            let color = Axis::log("largest error").over(error.0.max(1e-12), error.1);
            let figure = grid.map(&title(o), &field(o).max_error, color);
            Plot::new(file(o, "error"), figure, "Largest error per problem; one scale for the row.")
        });
        rows.push(errors.collect());
    }
    rows
}

fn table(grid: &Grid, outcomes: &[Outcome]) -> csv::Table {
    let columns = ["arm", "seed", "I0", "R0", "logloss_before", "logloss", "max_error_before", "max_error"];
    let mut table = csv::Table::new(columns);
    for o in outcomes {
        for (k, cell) in grid.cells.iter().enumerate() {
            let (loss, error) =
                ([&o.before, &o.after].map(|f| f.logloss[k]), [&o.before, &o.after].map(|f| f.max_error[k]));
            table.row(cells![o.arm, o.seed, cell[1].0, cell[2].0, loss[0], loss[1], error[0], error[1]]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comparison_can_go_either_way() {
        let outcome = |arm, logloss: f64| {
            let field = |v: f64| Field { logloss: vec![v; 4], max_error: vec![1e-3; 4] };
            Outcome { arm, seed: 0, before: field(0.0), after: field(logloss), cpu_seconds: 1.0 }
        };
        let about = || context! { target => "", what => "", point => "", bundle => "", cells => 4, hidden => "" };
        let said = |point, moved, bundle| {
            let outcomes = [outcome(ARMS[0], point), outcome(ARMS[1], moved), outcome(ARMS[2], bundle)];
            findings(Form::Reduced, &outcomes, about()).unwrap().seen().concat()
        };
        assert!(said(-10.0, -5.0, -12.0).contains("is better than point to point"));
        assert!(said(-15.0, -5.0, -12.0).contains("is worse than point to point"));
        assert!(said(-15.0, -12.1, -12.0).contains("is as good as point to bundle"));
    }
}
