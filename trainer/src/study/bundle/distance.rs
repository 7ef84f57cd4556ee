//! How far can transfer go? The target box moves away, or widens, step by step.
//!
//! At every step the pretrained full bundle and random weights get the same iterations. Transfer pays as long as the
//! finetuned network is better by more than twice the standard error of the differences over the seeds.

use super::Study;
use super::bench::Bench;
use super::draw::series;
use super::run::Trace;
use crate::bundle::preset;
use crate::bundle::problem::Form;
use crate::report::csv::{self, cells};
use crate::report::plot::{Axis, Content, Figure, Line, Panel};
use crate::statistics::{deviation, mean};
use crate::study::StudyError;
use crate::study::findings::{Findings, Plot};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// The study; see the first lines of this file.
pub const STUDY: Study = Study { name: "distance", what: "How far can transfer go?", answer };

const PRESET: &str = "sir-full";

/// (lo, hi) per quantity.
type Ranges = [(f64, f64)];

/// A way in which the box changes, step by step.
struct Path {
    name: &'static str,
    /// What happens to the box, for captions.
    what: &'static str,
    /// What the steps count.
    unit: &'static str,
    steps: &'static [f64],
    to: fn(f64, &Ranges) -> Vec<(f64, f64)>,
}

const PATHS: [Path; 3] = [
    Path {
        name: "together",
        what: "all four ranges move up by so many half widths; one is near the step of sir-full-shifted, and beyond 1.5 \
               the shares would exceed one",
        unit: "distance (half widths)",
        steps: &[0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5],
        to: |by, domain| {
            domain.iter().enumerate().map(|(q, range)| if q > 0 { up(*range, by) } else { *range }).collect()
        },
    },
    Path {
        name: "infection",
        what: "the range of beta alone moves up by so many half widths",
        unit: "distance of beta (half widths)",
        steps: &[0.0, 1.0, 2.0, 4.0, 6.0, 9.0, 12.0],
        to: |by, domain| {
            domain.iter().enumerate().map(|(q, range)| if q == 3 { up(*range, by) } else { *range }).collect()
        },
    },
    Path {
        name: "widening",
        what: "all four ranges widen about their middles by this factor",
        unit: "width (1 is the training box)",
        steps: &[1.0, 1.25, 1.5, 1.75, 2.0],
        to: |by, domain| {
            domain.iter().enumerate().map(|(q, range)| if q > 0 { wide(*range, by) } else { *range }).collect()
        },
    },
];

fn up((lo, hi): (f64, f64), by: f64) -> (f64, f64) {
    let step = by * 0.5 * (hi - lo);
    (lo + step, hi + step)
}

fn wide((lo, hi): (f64, f64), by: f64) -> (f64, f64) {
    let (middle, half) = (0.5 * (lo + hi), 0.5 * (hi - lo) * by);
    // Rounding must not make a share negative.
    ((middle - half).max(0.0), middle + half)
}

/// One step of a path; the lists have one value per seed, and one list per budget where there are two levels.
#[derive(Debug, Serialize)]
struct Outcome {
    step: f64,
    logloss_before: Vec<f64>,
    error_before: Vec<f64>,
    logloss_tuned: Vec<Vec<f64>>,
    logloss_scratch: Vec<Vec<f64>>,
}

/// A path with its steps.
#[derive(Debug, Serialize)]
struct Walk {
    path: &'static str,
    budgets: Vec<usize>,
    outcomes: Vec<Outcome>,
    /// Per budget: the first step at which transfer does not pay.
    stops_paying: Vec<Option<f64>>,
}

fn answer(bench: &Bench<'_>) -> Result<Findings, StudyError> {
    let setting = bench.setting;
    let form = setting.form(Form::Reduced);
    let preset = preset::find(PRESET)?;
    let whole = setting.tune();
    let budgets = [(whole / 12).max(1), whole / 3, whole];
    let mut table = csv::Table::new(["path", "step", "seed", "iterations", "arm", "logloss", "max_error"]);
    let (mut walks, mut plots) = (Vec::new(), Vec::new());
    for path in &PATHS {
        let mut outcomes = Vec::new();
        for step in path.steps.iter().step_by(setting.effort.stride) {
            let domain = (path.to)(*step, preset.domain);
            let [tuned, scratch] = bench.arms(|seed| setting.pair(&setting.pretrained(preset, form, seed), &domain))?;
            for (arm, traces) in [("pretrained", &tuned), ("scratch", &scratch)] {
                for (seed, trace) in setting.seeds.iter().zip(traces) {
                    for budget in [0].into_iter().chain(budgets) {
                        let (loss, error) = (trace.logloss_at(budget), trace.max_error_at(budget));
                        table.row(cells![path.name, *step, *seed, budget, arm, loss, error]);
                    }
                }
            }
            outcomes.push(Outcome::new(*step, &budgets, &tuned, &scratch));
        }
        let walk = Walk::new(path, &budgets, outcomes);
        plots.push(walk.plots(path));
        walks.push(walk);
    }
    let pays: Vec<Vec<Vec<bool>>> = walks.iter().map(|w| w.outcomes.iter().map(Outcome::pays_at).collect()).collect();
    let figures = context! { form => form.name(), paths => Serde(&walks) };
    let units = PATHS.each_ref().map(|path| path.unit);
    let more = context! { preset => PRESET, budgets, units, pays };
    Ok(Findings {
        plots,
        tables: vec![("distance", table)],
        ..Findings::new(include_str!("distance.md"), figures, more)?
    })
}

impl Outcome {
    fn new(step: f64, budgets: &[usize], tuned: &[Trace], scratch: &[Trace]) -> Self {
        let at = |traces: &[Trace]| -> Vec<Vec<f64>> {
            budgets.iter().map(|b| traces.iter().map(|t| t.logloss_at(*b)).collect()).collect()
        };
        Outcome {
            step,
            logloss_before: tuned.iter().map(|t| t.logloss_at(0)).collect(),
            error_before: tuned.iter().map(|t| t.max_error_at(0)).collect(),
            logloss_tuned: at(tuned),
            logloss_scratch: at(scratch),
        }
    }

    /// LogLoss from random weights minus that of the finetuned network, per seed: positive if transfer helped.
    fn gains(&self, budget: usize) -> Vec<f64> {
        self.logloss_scratch[budget].iter().zip(&self.logloss_tuned[budget]).map(|(s, t)| s - t).collect()
    }

    fn pays(&self, budget: usize) -> bool {
        let gains = self.gains(budget);
        mean(&gains) > 2.0 * deviation(&gains) / (gains.len() as f64).sqrt()
    }

    /// Per budget: whether transfer pays.
    fn pays_at(&self) -> Vec<bool> {
        (0..self.logloss_tuned.len()).map(|budget| self.pays(budget)).collect()
    }
}

impl Walk {
    fn new(path: &Path, budgets: &[usize], outcomes: Vec<Outcome>) -> Self {
        let stops = |b: usize| outcomes.iter().find(|o| !o.pays(b)).map(|o| o.step);
        let stops_paying = (0..budgets.len()).map(stops).collect();
        Walk { path: path.name, budgets: budgets.to_vec(), outcomes, stops_paying }
    }

    fn plots(&self, path: &Path) -> Vec<Plot> {
        let column =
            |f: &dyn Fn(&Outcome) -> Vec<f64>| self.outcomes.iter().map(|o| (o.step, f(o))).collect::<Vec<_>>();
        let figure = |title: &str, axis: &str, lines: Vec<Line>| {
            let panel = Panel::new(400, Axis::linear(path.unit), Axis::linear(axis), Content::Lines(lines));
            Figure::single(title, 620, panel)
        };
        let ends = [(0, 4, 3), (self.budgets.len() - 1, 0, 1)];
        let mut lines = series("before", 2, &column(&|o| o.logloss_before.clone()));
        for (b, color, _) in ends {
            let name = format!("finetuned, {}", self.budgets[b]);
            lines.extend(series(&name, color, &column(&|o| o.logloss_tuned[b].clone())));
        }
        for (b, _, color) in ends {
            let name = format!("scratch, {}", self.budgets[b]);
            lines.extend(series(&name, color, &column(&|o| o.logloss_scratch[b].clone())));
        }
        let losses = figure("Before, finetuned, from scratch", "LogLoss", lines);

        let ends = [self.outcomes.first(), self.outcomes.last()].into_iter().flatten();
        let mut lines = vec![Line::dashed("no gain", 3, ends.map(|o| (o.step, 0.0)).collect())];
        for (b, budget) in self.budgets.iter().enumerate() {
            lines.extend(series(&format!("{budget} iterations"), [4, 2, 0][b], &column(&|o| o.gains(b))));
        }
        let gains = figure("What transfer gains", "LogLoss of scratch less finetuned", lines);
        vec![
            Plot::new(format!("{}-logloss", path.name), losses, format!("The box's way: {}.", path.what)),
            Plot::new(format!("{}-gain", path.name), gains, "Gain at equal budgets; above zero transfer helps."),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::problem::Problem;

    #[test]
    fn every_step_is_a_possible_box() {
        let preset = preset::find(PRESET).unwrap();
        for path in &PATHS {
            for step in path.steps {
                Problem::new(preset.ode, Form::Reduced, &(path.to)(*step, preset.domain)).unwrap();
            }
            let first = (path.to)(path.steps[0], preset.domain);
            let near = first.iter().zip(preset.domain).all(|(a, b)| (a.0 - b.0).abs() + (a.1 - b.1).abs() < 1e-12);
            assert!(near, "{} begins at the training box", path.name);
        }
    }

    #[test]
    fn transfer_stops_paying_where_the_seeds_disagree() {
        let outcome = |step, tuned: [f64; 3], scratch: [f64; 3]| Outcome {
            step,
            logloss_before: vec![0.0; 3],
            error_before: vec![0.0; 3],
            logloss_tuned: vec![tuned.to_vec()],
            logloss_scratch: vec![scratch.to_vec()],
        };
        let near = outcome(0.0, [-20.0, -21.0, -22.0], [-10.0, -11.0, -12.5]);
        let far = outcome(1.0, [-10.0, -12.0, -9.0], [-10.5, -10.0, -11.0]);
        assert!(near.pays(0) && !far.pays(0));
        let stops = |outcomes| Walk::new(&PATHS[0], &[10], outcomes).stops_paying;
        assert_eq!(stops(vec![near, far]), [Some(1.0)]);
        assert_eq!(stops(vec![outcome(0.0, [-20.0; 3], [-10.0; 3])]), [None]);
        assert!(!outcome(0.0, [-10.0; 3], [-20.0; 3]).pays(0), "worse is not paying, however sure");
    }
}
