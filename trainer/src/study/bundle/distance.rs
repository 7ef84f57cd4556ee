//! How far can transfer go? The target box moves away, or widens, step by step.
//!
//! At every step the pretrained full bundle and random weights get the same iterations. Transfer pays while the
//! finetuned network is better by more than twice the standard error of the seeds' differences.

use super::bench::Bench;
use super::draw::series;
use super::run::Trace;
use super::{Study, StudyError};
use crate::bundle::preset;
use crate::bundle::problem::Form;
use crate::report::plot::{Axis, Content, Figure, Line, Panel};
use crate::report::{csv, html};
use crate::statistics::{deviation, mean, median};
use crate::study::findings::{Findings, Plot};
use serde::Serialize;

/// See the file's first lines.
pub const STUDY: Study = Study { name: "distance", what: "How far can transfer go?", run };

const PRESET: &str = "sir-full";

/// (lo, hi) per quantity.
type Ranges = [(f64, f64)];

/// A way for the box to go.
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
    // Rounding must not carry a share below zero.
    ((middle - half).max(0.0), middle + half)
}

/// One step of a path; one value per seed, and per budget where there are two levels.
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

fn run(bench: &mut Bench<'_>) -> Result<Findings, StudyError> {
    let form = bench.setting.form(Form::Reduced);
    let preset = preset::find(PRESET)?;
    let whole = bench.setting.tune();
    let budgets = vec![(whole / 12).max(1), whole / 3, whole];
    let mut findings = Findings {
        about: format!(
            "The network of {PRESET}, form `{}`, and random weights, each for {} iterations at every step of the target box. \
             Transfer counts as paying while the finetuned network has the lower LogLoss by more than twice the standard \
             error of the seeds' differences. Dots: seeds; lines: their medians.",
            form.name(),
            budgets.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
        ),
        ..Findings::default()
    };
    let mut table = csv::Table::new(["path", "step", "seed", "iterations", "arm", "logloss", "max_error"]);
    let mut walks = Vec::new();
    for path in &PATHS {
        let mut walk =
            Walk { path: path.name, budgets: budgets.clone(), outcomes: Vec::new(), stops_paying: Vec::new() };
        for step in path.steps.iter().step_by(bench.setting.effort.stride) {
            let domain = (path.to)(*step, preset.domain);
            let seeds = bench.setting.seeds.clone();
            let pairs: Vec<_> = seeds
                .iter()
                .map(|seed| bench.setting.pair(&bench.setting.pretrained(preset, form, *seed), &domain))
                .collect();
            let tuned = bench.traces(&pairs.iter().map(|p| p[0].clone()).collect::<Vec<_>>())?;
            let scratch = bench.traces(&pairs.iter().map(|p| p[1].clone()).collect::<Vec<_>>())?;
            for (arm, traces) in [("pretrained", &tuned), ("scratch", &scratch)] {
                for (seed, trace) in seeds.iter().zip(traces) {
                    for budget in std::iter::once(0).chain(budgets.iter().copied()) {
                        let cells = [path.name.into(), (*step).into(), (*seed).into(), budget.into(), arm.into()];
                        let numbers = [trace.logloss_at(budget), trace.max_error_at(budget)].map(csv::Cell::from);
                        table.row(cells.into_iter().chain(numbers));
                    }
                }
            }
            walk.outcomes.push(Outcome::new(*step, &budgets, &tuned, &scratch));
        }
        walk.stops_paying = (0..budgets.len()).map(|b| walk.stops(b)).collect();
        findings.seen.push(walk.seen(path));
        findings.plots.push(walk.plots(path));
        findings.summary.push(walk.summary(path));
        walks.push(walk);
    }
    findings.tables.push(("distance".into(), table));
    findings.figures = serde_json::json!({ "form": form.name(), "paths": walks });
    Ok(findings)
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

    /// LogLoss of scratch less that of finetuned, per seed: positive where transfer helped.
    fn gains(&self, budget: usize) -> Vec<f64> {
        self.logloss_scratch[budget].iter().zip(&self.logloss_tuned[budget]).map(|(s, t)| s - t).collect()
    }

    fn pays(&self, budget: usize) -> bool {
        let gains = self.gains(budget);
        mean(&gains) > 2.0 * deviation(&gains) / (gains.len() as f64).sqrt()
    }
}

fn verdict((budget, stops): (&usize, &Option<f64>)) -> String {
    match stops {
        Some(step) => format!("at equal budgets of {budget} iterations transfer stops paying at {step}"),
        None => format!("at equal budgets of {budget} iterations it pays at every step tried"),
    }
}

impl Walk {
    fn stops(&self, budget: usize) -> Option<f64> {
        self.outcomes.iter().find(|o| !o.pays(budget)).map(|o| o.step)
    }

    fn seen(&self, path: &Path) -> String {
        let (Some(first), Some(last)) = (self.outcomes.first(), self.outcomes.last()) else { return String::new() };
        let verdicts: Vec<String> = match self.stops_paying.iter().all(Option::is_none) {
            true => vec!["transfer pays at every step tried, at every budget".to_owned()],
            false => self.budgets.iter().zip(&self.stops_paying).map(verdict).collect(),
        };
        let verdicts = verdicts.join("; ");
        format!(
            "{}, from {} to {}: the untouched network goes from LogLoss {:.1} to {:.1}; {verdicts}.",
            capital(path.unit),
            first.step,
            last.step,
            median(&first.logloss_before),
            median(&last.logloss_before)
        )
    }

    fn plots(&self, path: &Path) -> Vec<Plot> {
        let column =
            |f: &dyn Fn(&Outcome) -> Vec<f64>| self.outcomes.iter().map(|o| (o.step, f(o))).collect::<Vec<_>>();
        let mut lines = series("before", 2, &column(&|o| o.logloss_before.clone()));
        for (b, colour) in [(0, 4), (self.budgets.len() - 1, 0)] {
            let name = format!("finetuned, {}", self.budgets[b]);
            lines.extend(series(&name, colour, &column(&|o| o.logloss_tuned[b].clone())));
        }
        for (b, colour) in [(0, 3), (self.budgets.len() - 1, 1)] {
            let name = format!("scratch, {}", self.budgets[b]);
            lines.extend(series(&name, colour, &column(&|o| o.logloss_scratch[b].clone())));
        }
        let panel = Panel::new(400, Axis::linear(path.unit), Axis::linear("LogLoss"), Content::Lines(lines));
        let losses = Figure::single("Before, finetuned, from scratch", 620, panel);

        let ends = [self.outcomes.first(), self.outcomes.last()].into_iter().flatten();
        let mut lines = vec![Line::dashed("no gain", 3, ends.map(|o| (o.step, 0.0)).collect())];
        for (b, budget) in self.budgets.iter().enumerate() {
            lines.extend(series(&format!("{budget} iterations"), [4, 2, 0][b], &column(&|o| o.gains(b))));
        }
        let gain = Axis::linear("LogLoss of scratch less finetuned");
        let gains = Figure::single(
            "What transfer gains",
            620,
            Panel::new(400, Axis::linear(path.unit), gain, Content::Lines(lines)),
        );
        vec![
            Plot::new(format!("{}-logloss", path.name), losses, format!("The box's way: {}.", path.what)),
            Plot::new(format!("{}-gain", path.name), gains, "Gain at equal budgets; above zero transfer helps."),
        ]
    }

    fn summary(&self, path: &Path) -> html::Table {
        let mut header = vec!["step".to_owned(), "before".into(), "error before".into()];
        for budget in &self.budgets {
            header.extend([format!("tuned {budget}"), format!("scratch {budget}"), "pays".into()]);
        }
        let row = |o: &Outcome| {
            let mut cells = vec![
                o.step.to_string(),
                format!("{:.2}", median(&o.logloss_before)),
                format!("{:.1e}", median(&o.error_before)),
            ];
            for b in 0..self.budgets.len() {
                let (tuned, scratch) = (median(&o.logloss_tuned[b]), median(&o.logloss_scratch[b]));
                let pays = if o.pays(b) { "yes" } else { "no" };
                cells.extend([format!("{tuned:.2}"), format!("{scratch:.2}"), pays.to_owned()]);
            }
            cells
        };
        html::Table {
            caption: format!("{}: LogLoss, medians over the seeds.", capital(path.unit)),
            header,
            rows: self.outcomes.iter().map(row).collect(),
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
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
    fn transfer_stops_paying_where_the_seeds_no_longer_agree() {
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
        let walk = |outcomes| Walk { path: "p", budgets: vec![10], outcomes, stops_paying: Vec::new() };
        assert_eq!(walk(vec![near, far]).stops(0), Some(1.0));
        assert_eq!(walk(vec![outcome(0.0, [-20.0; 3], [-10.0; 3])]).stops(0), None);
        assert!(!outcome(0.0, [-10.0; 3], [-20.0; 3]).pays(0), "worse is not paying, however sure");
    }
}
