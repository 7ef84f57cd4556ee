//! Does more flexibility help transfer? The same targets, reached from the network of one problem, from a bundle of
//! initial conditions and from a full bundle.
//!
//! In the generic form, where the three differ in their inputs: t; t, I0, R0; t, I0, R0, beta, gamma. (The reduced form
//! reads the same three numbers in both bundles.) Inputs that a source lacks start with zero weights.

use super::bench::Bench;
use super::draw::{self, Arm};
use super::run::{Run, Start, Trace};
use super::{NOTABLE, Study};
use crate::bundle::preset::{self, Recipe};
use crate::bundle::problem::Form;
use crate::report::csv;
use crate::statistics::median;
use crate::study::StudyError;
use crate::study::findings::Findings;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// The study; see the first lines of this file.
pub const STUDY: Study = Study { name: "flexibility", what: "Does more flexibility help transfer?", answer };

/// Sources from the least to the most flexible, then what they are compared with.
const ARMS: [&str; 4] = ["sir-single", "sir-initial", "sir-full", "random weights"];
const TARGETS: [&str; 3] = ["sir-single-shifted", "sir-initial-shifted", "sir-full-shifted"];
/// The network and the budget of every source, so that only their flexibility differs.
const RECIPE: Recipe = preset::recipe(&[16, 16], 300, 1024);

/// One target: values by arm and seed.
#[derive(Debug, Serialize)]
struct Outcome {
    target: &'static str,
    arms: [&'static str; 4],
    budgets: [usize; 2],
    before: Vec<Vec<f64>>,
    /// After each of the two budgets.
    after: [Vec<Vec<f64>>; 2],
    max_error: Vec<Vec<f64>>,
}

fn answer(bench: &Bench<'_>) -> Result<Findings, StudyError> {
    let setting = bench.setting;
    let form = setting.form(Form::Conserved);
    let sources = [preset::find(ARMS[0])?, preset::find(ARMS[1])?, preset::find(ARMS[2])?];
    let mut table = csv::Table::new(["target", "source", "seed", "iteration", "cpu_seconds", "logloss", "max_error"]);
    let (mut outcomes, mut plots) = (Vec::new(), Vec::new());
    for target in TARGETS {
        let target = preset::find(target)?;
        let traces = bench.arms(|seed| {
            let pretrained = |preset| setting.pretrained_by(preset, form, RECIPE, seed);
            let tuned = |preset| {
                let [tuned, _] = setting.pair(&pretrained(preset), target.domain);
                tuned
            };
            let [single, initial, full] = sources.map(tuned);
            let scratch = Run { start: Start::Random, iterations: setting.tune(), watched: true, ..pretrained(target) };
            [single, initial, full, scratch]
        })?;
        let arms = ARMS.into_iter().zip(&traces).map(|(name, traces)| Arm { key: name, name, traces });
        let arms: Vec<Arm<'_>> = arms.collect();
        draw::course_rows(&mut table, target.name, &setting.seeds, &arms);
        plots.push(draw::course(target.name, &arms, "iterations", format!("To {}: {}.", target.name, target.what)));
        outcomes.push(Outcome::new(target.name, setting.tune(), &traces));
    }
    let pretraining = RECIPE.iterations.min(setting.effort.pretrain);
    let verdicts = |o: &Outcome| [&o.before, &o.after[0], &o.after[1]].map(|losses| verdict(losses));
    let figures = context! { form => form.name(), targets => Serde(&outcomes) };
    let more = context! {
        hidden => format!("{:?}", RECIPE.hidden),
        pretraining,
        verdicts => outcomes.iter().map(verdicts).collect::<Vec<_>>(),
    };
    Ok(Findings {
        plots,
        tables: vec![("curves", table)],
        ..Findings::new(include_str!("flexibility.md"), figures, more)?
    })
}

impl Outcome {
    fn new(target: &'static str, whole: usize, traces: &[Vec<Trace>; 4]) -> Self {
        let budgets = [(whole / 12).max(1), whole];
        let each = |f: &dyn Fn(&Trace) -> f64| traces.iter().map(|t| t.iter().map(f).collect()).collect::<Vec<_>>();
        Outcome {
            target,
            arms: ARMS,
            budgets,
            before: each(&|t| t.logloss_at(0)),
            after: budgets.map(|b| each(&|t| t.logloss_at(b))),
            max_error: each(&Trace::max_error),
        }
    }
}

/// How the medians of the sources compare, from the least flexible one to the most flexible one.
fn verdict(losses: &[Vec<f64>]) -> &'static str {
    let medians: Vec<f64> = losses.iter().take(3).map(|l| median(l)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_can_be_any() {
        let said = |losses: [f64; 3]| verdict(&losses.map(|l| vec![l]));
        assert!(said([-10.0, -12.0, -14.0]).contains("helps"));
        assert!(said([-14.0, -12.0, -10.0]).contains("hurts"));
        assert!(said([-14.0, -14.2, -13.9]).contains("no notable"));
        assert!(said([-14.0, -10.0, -15.0]).contains("does not order"));
    }
}
