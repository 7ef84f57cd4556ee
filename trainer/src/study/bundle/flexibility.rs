//! Does more flexibility help transfer? The same targets, reached from one problem's network, from a bundle of initial
//! conditions and from a full bundle.
//!
//! In the generic form, where the three differ in their inputs: t; t, I0, R0; t, I0, R0, beta, gamma. (The reduced form
//! reads the same three numbers in both bundles.) An input that a source lacks starts with zero weights.

use super::bench::Bench;
use super::draw::{Arm, progress_figure};
use super::run::{Run, Start, Trace};
use super::{Study, StudyError};
use crate::bundle::preset::{self, Recipe};
use crate::bundle::problem::Form;
use crate::report::{csv, html};
use crate::statistics::median;
use crate::study::findings::{Findings, Plot};
use serde::Serialize;

/// See the file's first lines.
pub const STUDY: Study = Study { name: "flexibility", what: "Does more flexibility help transfer?", run };

/// Sources from the least to the most flexible.
const SOURCES: [&str; 3] = ["sir-single", "sir-initial", "sir-full"];
const TARGETS: [&str; 3] = ["sir-single-shifted", "sir-initial-shifted", "sir-full-shifted"];
/// One network and one budget for all sources, so that only their flexibility differs.
const RECIPE: Recipe = Recipe { hidden: &[16, 16], iterations: 300, points: 1024, damping: None, growth: 0 };
/// How much lower a LogLoss must be to be called lower.
const NOTABLE: f64 = 0.5;

/// One target: per arm (the sources, then random weights) and seed, LogLoss.
#[derive(Debug, Serialize)]
struct Outcome {
    target: &'static str,
    arms: Vec<&'static str>,
    budgets: [usize; 2],
    before: Vec<Vec<f64>>,
    /// After each of the two budgets.
    after: [Vec<Vec<f64>>; 2],
    max_error: Vec<Vec<f64>>,
}

fn run(bench: &mut Bench<'_>) -> Result<Findings, StudyError> {
    let form = bench.setting.form(Form::Conserved);
    let seeds = bench.setting.seeds.clone();
    let mut findings = Findings {
        about: format!(
            "Three sources in the form `{}`, {:?} hidden units, {} iterations each, taken to the same targets; beside them \
             random weights. Faint: single seeds; solid: their median.",
            form.name(),
            RECIPE.hidden,
            RECIPE.iterations.min(bench.setting.effort.pretrain)
        ),
        ..Findings::default()
    };
    let mut table = csv::Table::new(["target", "source", "seed", "iteration", "cpu_seconds", "logloss", "max_error"]);
    let mut outcomes = Vec::new();
    for name in TARGETS {
        let target = preset::find(name)?;
        let mut arms: Vec<(&'static str, Vec<Trace>)> = Vec::new();
        for source in SOURCES {
            let preset = preset::find(source)?;
            let tuned = |seed: &u64| {
                let [tuned, _] =
                    bench.setting.pair(&bench.setting.pretrained_by(preset, form, RECIPE, *seed), target.domain);
                tuned
            };
            let runs: Vec<Run> = seeds.iter().map(tuned).collect();
            arms.push((source, bench.traces(&runs)?));
        }
        let scratch = |seed: &u64| {
            let fresh = bench.setting.pretrained_by(target, form, RECIPE, *seed);
            Run { start: Start::Random, iterations: bench.setting.tune(), watched: true, ..fresh }
        };
        let runs: Vec<Run> = seeds.iter().map(scratch).collect();
        arms.push(("random weights", bench.traces(&runs)?));
        for (source, traces) in &arms {
            for (seed, trace) in seeds.iter().zip(traces) {
                for k in 0..trace.iteration.len() {
                    let numbers = [trace.iteration[k], trace.cpu[k], trace.logloss[k], trace.max_error[k]];
                    let cells = [name.into(), (*source).into(), (*seed).into()].into_iter();
                    table.row(cells.chain(numbers.map(csv::Cell::from)));
                }
            }
        }
        let shown: Vec<Arm<'_>> = arms.iter().map(|(name, traces)| Arm { name, traces }).collect();
        findings.plots.push(vec![
            Plot::new(
                format!("{name}-iterations"),
                progress_figure(name, &shown, "iterations", |t| &t.iteration),
                format!("To {name}: {}.", target.what),
            ),
            Plot::new(
                format!("{name}-cpu"),
                progress_figure(name, &shown, "CPU seconds of training", |t| &t.cpu),
                "The same against the CPU seconds of training, pretraining left out.",
            ),
        ]);
        let outcome = Outcome::new(name, bench.setting.tune(), &arms);
        findings.seen.push(outcome.seen());
        outcomes.push(outcome);
    }
    findings.summary.push(summary(&outcomes));
    findings.tables.push(("curves".into(), table));
    findings.figures = serde_json::json!({ "form": form.name(), "targets": outcomes });
    Ok(findings)
}

impl Outcome {
    fn new(target: &'static str, whole: usize, arms: &[(&'static str, Vec<Trace>)]) -> Self {
        let budgets = [(whole / 12).max(1), whole];
        let each = |f: &dyn Fn(&Trace) -> f64| -> Vec<Vec<f64>> {
            arms.iter().map(|(_, traces)| traces.iter().map(f).collect()).collect()
        };
        Outcome {
            target,
            arms: arms.iter().map(|(name, _)| *name).collect(),
            budgets,
            before: each(&|t| t.logloss_at(0)),
            after: budgets.map(|b| each(&|t| t.logloss_at(b))),
            max_error: each(&Trace::max_error),
        }
    }

    /// Whether each more flexible source is lower than the one before, at least as low, or not.
    fn verdict(&self, losses: &[Vec<f64>]) -> &'static str {
        let medians: Vec<f64> = losses.iter().take(SOURCES.len()).map(|l| median(l)).collect();
        if medians.windows(2).all(|w| w[1] < w[0] - NOTABLE) {
            "more flexibility helps at every step"
        } else if medians.windows(2).all(|w| w[1] > w[0] + NOTABLE) {
            "more flexibility hurts at every step"
        } else if medians.iter().all(|m| (m - medians[0]).abs() <= NOTABLE) {
            "flexibility makes no notable difference"
        } else {
            "flexibility does not order the sources"
        }
    }

    fn seen(&self) -> String {
        let list = |losses: &[Vec<f64>]| {
            let pairs = self.arms.iter().zip(losses).map(|(arm, l)| format!("{arm} {:.1}", median(l)));
            pairs.collect::<Vec<_>>().join(", ")
        };
        let part = |what: String, losses: &[Vec<f64>]| format!("{what} {} ({})", self.verdict(losses), list(losses));
        let [few, many] = [0, 1].map(|b| part(format!("after {} iterations", self.budgets[b]), &self.after[b]));
        format!("To {}: {}; {few}; {many}.", self.target, part("before finetuning".to_owned(), &self.before))
    }
}

fn summary(outcomes: &[Outcome]) -> html::Table {
    let rows = outcomes.iter().flat_map(|o| {
        o.arms.iter().enumerate().map(|(k, arm)| {
            vec![
                o.target.to_owned(),
                (*arm).to_owned(),
                format!("{:.2}", median(&o.before[k])),
                format!("{:.2}", median(&o.after[0][k])),
                format!("{:.2}", median(&o.after[1][k])),
                format!("{:.1e}", median(&o.max_error[k])),
            ]
        })
    });
    let budgets = outcomes.first().map_or([0, 0], |o| o.budgets);
    let header = ["target", "from", "LogLoss before", "after few", "after all", "largest error after all"];
    html::Table {
        caption: format!("Medians over the seeds; few: {} iterations, all: {}.", budgets[0], budgets[1]),
        header: header.map(str::to_owned).into(),
        rows: rows.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_can_be_any() {
        let outcome = Outcome {
            target: "t",
            arms: vec!["a", "b", "c", "random"],
            budgets: [1, 2],
            before: Vec::new(),
            after: [Vec::new(), Vec::new()],
            max_error: Vec::new(),
        };
        let said = |losses: [f64; 3]| outcome.verdict(&losses.map(|l| vec![l]));
        assert!(said([-10.0, -12.0, -14.0]).contains("helps"));
        assert!(said([-14.0, -12.0, -10.0]).contains("hurts"));
        assert!(said([-14.0, -14.2, -13.9]).contains("no notable"));
        assert!(said([-14.0, -10.0, -15.0]).contains("does not order"));
    }
}
