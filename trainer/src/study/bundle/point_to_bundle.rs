//! One network for one problem, or one for a whole box: how do they move?
//!
//! The target is a moved box of starts. Point to point: the network of one problem is finetuned anew for every problem of
//! a grid in the box. Point to bundle: the same network is finetuned once for the whole box. Bundle to bundle: a bundle of
//! starts is finetuned once for the whole box. All with the same hidden units and iterations.

use super::bench::Bench;
use super::field::{Field, Grid};
use super::run::{Run, Start};
use super::{Study, StudyError};
use crate::bundle::preset::{self, Recipe};
use crate::bundle::problem::Form;
use crate::report::plot::Axis;
use crate::report::{csv, figure, html};
use crate::statistics::{median, quantile};
use crate::study::findings::{Findings, Plot};
use serde::Serialize;

/// See the file's first lines.
pub const STUDY: Study =
    Study { name: "point-to-bundle", what: "One network per problem, or one for a whole box?", run };

const POINT: &str = "sir-single";
const BUNDLE: &str = "sir-initial";
const TARGET: &str = "sir-initial-shifted";
/// Iterations of every finetuning.
const ITERATIONS: usize = 10;
/// Points of a round for the whole box, and for one problem of it.
const RECIPE: Recipe = Recipe { hidden: &[16, 16], iterations: 400, points: 2048, damping: None, growth: 0 };
const POINTS_OF_ONE: usize = 256;
/// How much lower a LogLoss must be to be called lower.
const NOTABLE: f64 = 0.5;

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

fn run(bench: &mut Bench<'_>) -> Result<Findings, StudyError> {
    let form = bench.setting.form(Form::Reduced);
    let (point, bundle, target) = (preset::find(POINT)?, preset::find(BUNDLE)?, preset::find(TARGET)?);
    let grid = Grid::new(&target.problem(form)?, bench.setting.effort.cells)?;
    let mut outcomes = Vec::new();
    for seed in bench.setting.seeds.clone() {
        let [of_point, of_bundle] = [point, bundle].map(|p| bench.setting.pretrained_by(p, form, RECIPE, seed));
        let moved = |source: &Run, domain: &[(f64, f64)], points: usize| Run {
            start: Start::From(Box::new(source.clone())),
            domain: domain.to_vec(),
            iterations: ITERATIONS,
            method: super::run::Method::Lm {
                points: points.min(bench.setting.effort.points),
                schedule: crate::bundle::optimize::lm::Schedule::Gain,
            },
            ..source.clone()
        };
        let each: Vec<Run> = grid.cells.iter().map(|cell| moved(&of_point, cell, POINTS_OF_ONE)).collect();
        let once = [&of_point, &of_bundle].map(|source| moved(source, target.domain, RECIPE.points));

        let traces = bench.traces(&each)?;
        let at = |last: bool| {
            let pick = |column: &[f64]| if last { column.last() } else { column.first() }.copied().unwrap_or(f64::NAN);
            traces.iter().map(|t| (pick(&t.logloss), pick(&t.max_error))).collect::<Field>()
        };
        let cpu = |trace: &super::run::Trace| trace.cpu.last().copied().unwrap_or(f64::NAN);
        let cpu_seconds = traces.iter().map(cpu).sum();
        outcomes.push(Outcome { arm: ARMS[0], seed, before: at(false), after: at(true), cpu_seconds });
        for ((arm, source), run) in ARMS[1..].iter().zip([&of_point, &of_bundle]).zip(&once) {
            let (first, trained) = (bench.trace(source)?, bench.trace(run)?);
            let before = grid.measure(&source.problem()?, &first.mlp);
            let after = grid.measure(&run.problem()?, &trained.mlp);
            outcomes.push(Outcome { arm, seed, before, after, cpu_seconds: cpu(&trained) });
        }
    }
    let first = bench.setting.seeds[0];
    Ok(Findings {
        about: format!(
            "The target is {TARGET}: {}. Form `{}`, {:?} hidden units, {ITERATIONS} iterations. Point to point: the network \
             of {POINT} finetuned anew for each of the {} problems of a grid. Point to bundle: finetuned once for the \
             box. Bundle to bundle: the network of {BUNDLE} finetuned once for the box.",
            target.what,
            form.name(),
            RECIPE.hidden,
            grid.cells.len()
        ),
        seen: seen(&outcomes),
        summary: vec![summary(&outcomes)],
        plots: plots(&grid, &outcomes, first),
        tables: vec![("cells".into(), table(&grid, &outcomes))],
        figures: serde_json::json!({ "form": form.name(), "iterations": ITERATIONS, "arms": figures(&outcomes) }),
    })
}

/// Median over the seeds of a figure of the outcomes of an arm.
fn over_seeds(outcomes: &[Outcome], arm: &str, f: impl Fn(&Outcome) -> f64) -> f64 {
    median(&outcomes.iter().filter(|o| o.arm == arm).map(f).collect::<Vec<_>>())
}

fn figures(outcomes: &[Outcome]) -> Vec<serde_json::Value> {
    let arm = |arm: &&str| {
        let of = |f: fn(&Outcome) -> f64| over_seeds(outcomes, arm, f);
        serde_json::json!({
            "arm": arm,
            "logloss_before": of(|o| median(&o.before.logloss)),
            "logloss_after": of(|o| median(&o.after.logloss)),
            "max_error_before": of(|o| quantile(&o.before.max_error, 1.0)),
            "max_error_after": of(|o| quantile(&o.after.max_error, 1.0)),
            "cpu_seconds": of(|o| o.cpu_seconds),
        })
    };
    ARMS.iter().map(arm).collect()
}

fn seen(outcomes: &[Outcome]) -> Vec<String> {
    let loss = |arm: &str| over_seeds(outcomes, arm, |o| median(&o.after.logloss));
    let error = |arm: &str| over_seeds(outcomes, arm, |o| quantile(&o.after.max_error, 1.0));
    let cpu = |arm: &str| over_seeds(outcomes, arm, |o| o.cpu_seconds);
    let compare = |a: &str, b: &str| {
        let verdict = match loss(a) - loss(b) {
            gap if gap < -NOTABLE => "is better than",
            gap if gap > NOTABLE => "is worse than",
            _ => "is as good as",
        };
        format!(
            "After {ITERATIONS} iterations {a} {verdict} {b}: LogLoss {:.1} and {:.1} in the median cell, largest error {} and \
             {} over the box, {:.2} and {:.2} CPU seconds of finetuning.",
            loss(a),
            loss(b),
            figure(error(a)),
            figure(error(b)),
            cpu(a),
            cpu(b)
        )
    };
    vec![compare(ARMS[2], ARMS[0]), compare(ARMS[2], ARMS[1])]
}

fn summary(outcomes: &[Outcome]) -> html::Table {
    let row = |arm: &&str| {
        let of = |f: fn(&Outcome) -> f64| over_seeds(outcomes, arm, f);
        vec![
            (*arm).to_owned(),
            format!("{:.2}", of(|o| median(&o.before.logloss))),
            format!("{:.2}", of(|o| median(&o.after.logloss))),
            format!("{:.2}", of(|o| quantile(&o.after.logloss, 1.0))),
            format!("{:.1e}", of(|o| quantile(&o.before.max_error, 1.0))),
            format!("{:.1e}", of(|o| quantile(&o.after.max_error, 1.0))),
            format!("{:.3}", of(|o| o.cpu_seconds)),
        ]
    };
    let header =
        ["arm", "LogLoss before", "after", "after, worst cell", "largest error before", "after", "CPU s of finetuning"];
    html::Table {
        caption: "Medians over the seeds; LogLoss of the median cell, largest error over all cells.".into(),
        header: header.map(str::to_owned).into(),
        rows: ARMS.iter().map(row).collect(),
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
        let name = |arm: &str| arm.replace(' ', "-");
        let losses = shown.iter().map(|o| {
            let figure = grid.map(
                &format!("{}, {when}", o.arm),
                &field(o).logloss,
                Axis::linear("LogLoss").over(loss.0, loss.1),
            );
            Plot::new(format!("{}-{when}-logloss", name(o.arm)), figure, "LogLoss per problem; one scale for the row.")
        });
        rows.push(losses.collect());
        let errors = shown.iter().map(|o| {
            let colour = Axis::log("largest error").over(error.0.max(1e-12), error.1);
            let figure = grid.map(&format!("{}, {when}", o.arm), &field(o).max_error, colour);
            Plot::new(
                format!("{}-{when}-error", name(o.arm)),
                figure,
                "Largest error per problem; one scale for the row.",
            )
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
            let values = [o.before.logloss[k], o.after.logloss[k], o.before.max_error[k], o.after.max_error[k]];
            let numbers = [cell[1].0, cell[2].0].into_iter().chain(values).map(csv::Cell::from);
            table.row([o.arm.into(), o.seed.into()].into_iter().chain(numbers));
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
        let said =
            |point, moved, bundle| seen(&[outcome(ARMS[0], point), outcome(ARMS[1], moved), outcome(ARMS[2], bundle)]);
        assert!(said(-10.0, -5.0, -12.0)[0].contains("is better than point to point"));
        assert!(said(-15.0, -5.0, -12.0)[0].contains("is worse than point to point"));
        assert!(said(-15.0, -12.1, -12.0)[1].contains("is as good as point to bundle"));
    }
}
