//! What the outcomes of a study of label selection say: comparisons of its arms, budget and learning curves.

use super::work::Before;
use super::{Outcome, Point, RANDOM};
use crate::report::csv::{Table, cells};
use crate::report::plot::{Axis, Content, Figure, Line, Panel};
use crate::statistics::{deviation, mean};
use crate::study::StudyError;
use crate::study::findings::{Findings, Plot};
use crate::study::paired::{self, Paired};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;
use std::collections::BTreeSet;

/// The figures of a study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Test accuracies of the source networks before adaptation, by seed.
    pub before: Vec<Before>,
    /// The arm that all others are compared with.
    pub reference: String,
    /// One row per arm and fraction.
    pub rows: Vec<Row>,
    /// Arms that fit their samples better than random choice fits its own, and are worse on validation.
    pub misled: Vec<Misled>,
}

/// The accuracies of an arm, one per seed in their order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The arm's name.
    pub arm: String,
    /// Share of the pool.
    pub fraction: f64,
    /// Test accuracies by seed.
    pub accuracies: Vec<f64>,
    /// Labels that were read, mean over the seeds.
    pub labels_seen: f64,
    /// Comparison with the reference arm of the same fraction.
    pub against: Option<Paired>,
}

/// An arm at the end of its learning curve, beside random choice of as many samples; means over seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Misled {
    /// The arm's name.
    pub arm: String,
    /// Share of the pool.
    pub fraction: f64,
    /// Cross-entropy on the samples that it trains on, in nats; then that of random choice.
    pub training_loss: [f64; 2],
    /// Validation accuracy in percent; then that of random choice.
    pub validation_accuracy: [f64; 2],
}

impl Figures {
    /// Compares the arms of these outcomes with the arm `reference`.
    pub fn new(before: Vec<Before>, outcomes: &[Outcome], reference: &str) -> Self {
        let rows = rows(outcomes, reference);
        let misled = rows.iter().filter_map(|row| misled(row, &rows, outcomes)).collect();
        Figures { before, reference: reference.to_owned(), rows, misled }
    }

    /// The comparisons as a table for machines.
    pub fn table(&self) -> Table {
        let columns = ["arm", "fraction", "accuracy", "accuracy_std", "seeds", "labels_seen", "against"];
        let mut table = Table::new(columns.into_iter().chain(["difference", "half_interval_95", "p", "p_holm"]));
        for row in &self.rows {
            let (accuracy, deviation) = (mean(&row.accuracies), deviation(&row.accuracies));
            let place = cells![row.arm.as_str(), row.fraction, accuracy, deviation, row.accuracies.len()].into_iter();
            let paired = row.against.map(|p| cells![p.difference, p.half_interval, p.p, p.p_holm]);
            let against = cells![row.labels_seen, self.reference.as_str()];
            table.row(place.chain(against).chain(paired.into_iter().flatten()));
        }
        table
    }

    /// The findings, with tables of all outcomes and learning curves.
    ///
    /// # Errors
    /// [`StudyError::Prose`].
    pub fn findings(&self, outcomes: &[Outcome]) -> Result<Findings, StudyError> {
        let mut fractions: Vec<f64> = self.rows.iter().map(|r| r.fraction).collect();
        fractions.sort_by(f64::total_cmp);
        fractions.dedup();
        let best: Vec<Value> = fractions.into_iter().filter_map(|fraction| self.best(fraction)).collect();
        let prose = Findings::new(include_str!("findings.md"), Value::from(Serde(self)), context! { best })?;
        let plots = [Some(self.budget_curve()), self.learning_curves(outcomes)];
        Ok(Findings {
            plots: vec![plots.into_iter().flatten().collect()],
            tables: vec![("table", self.table()), ("outcomes", table(outcomes)), ("curves", points(outcomes))],
            ..prose
        })
    }

    /// The best arm of a fraction beside the reference, and those that are worse than it in a paired test at [`LEVEL`]. Arms
    /// that choose anew are left out, since they read more labels than the fraction says.
    fn best(&self, fraction: f64) -> Option<Value> {
        let all = || self.rows.iter().filter(|r| r.fraction == fraction && !r.arm.contains("epochs"));
        let own = self.rows.iter().find(|r| r.fraction == fraction && r.arm == self.reference)?;
        let accuracy = |row: &Row| mean(&row.accuracies);
        let others = || all().filter(|r| r.arm != self.reference);
        let best = others().max_by(|a, b| accuracy(a).total_cmp(&accuracy(b)))?;
        let below = |row: &&Row| row.against.is_some_and(|p| p.difference < 0.0 && p.p_holm < LEVEL);
        let worse: Vec<String> = others().filter(below).map(|r| r.arm.clone()).collect();
        Some(context! { own => Serde(own), best => Serde(best), worse, level => LEVEL })
    }

    /// Test accuracy over the labels trained on.
    fn budget_curve(&self) -> Plot {
        let mut names: Vec<&str> = self.rows.iter().filter(|r| r.fraction < 1.0).map(|r| r.arm.as_str()).collect();
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(*name) && on_curve(name));
        let lines = names.iter().enumerate().map(|(k, name)| {
            let rows = self.rows.iter().filter(|r| r.arm == *name);
            line(name, k, rows.map(|r| (100.0 * r.fraction, mean(&r.accuracies))).collect())
        });
        let (x, y) = (Axis::log("labels trained on (% of the pool)"), Axis::linear("test accuracy (%)"));
        let panel = Panel::new(380, x, y, Content::Lines(lines.collect()));
        let figure = Figure::single("Accuracy over labels", 720, panel);
        Plot::new("budget", figure, "Mean test accuracy over the labels trained on.")
    }

    /// Training loss and validation accuracy over steps, mean over seeds, of the arms of the smallest fraction that have
    /// curves.
    fn learning_curves(&self, outcomes: &[Outcome]) -> Option<Plot> {
        let curves = self.rows.iter().filter(|r| r.fraction < 1.0).map(|r| (r, curve(r, outcomes)));
        let mut shown: Vec<(&Row, Vec<Point>)> = curves.filter(|(_, curve)| !curve.is_empty()).collect();
        let fraction = shown.iter().map(|(r, _)| r.fraction).min_by(f64::total_cmp)?;
        shown.retain(|(row, _)| row.fraction == fraction);
        if shown.len() > LEARNERS {
            shown.retain(|(row, _)| on_curve(&row.arm));
        }
        let panel = |axis: &str, value: fn(&Point) -> f64| {
            let lines = shown
                .iter()
                .enumerate()
                .map(|(k, (row, curve))| line(&row.arm, k, curve.iter().map(|p| (p.step as f64, value(p))).collect()));
            Panel::new(340, Axis::linear("steps"), Axis::linear(axis), Content::Lines(lines.collect()))
        };
        let panels = vec![
            panel("loss on the chosen samples", |p| p.training_loss),
            panel("validation accuracy (%)", |p| p.validation_accuracy),
        ];
        let caption = format!(
            "How well the chosen samples are fitted, and what that is worth on validation images, {:.0} % of the labels; it \
             decides nothing.",
            100.0 * fraction
        );
        Some(Plot::new("learning", Figure { title: "Learning curves".to_owned(), width: 720, panels }, caption))
    }
}

/// An arm is called better or worse than another below this p-value, after Holm's correction.
const LEVEL: f64 = 0.05;

/// Arms that the budget curve shows.
const ON_CURVE: [&str; 4] = ["random", "entropy-most", "margin", "badge"];

/// Most arms whose learning curves are shown; of more, only those that the budget curve shows.
const LEARNERS: usize = 8;

fn on_curve(name: &str) -> bool {
    ON_CURVE.iter().any(|shown| name.contains(shown))
}

fn line(name: &str, color: usize, points: Vec<(f64, f64)>) -> Line {
    if name == RANDOM { Line::dashed(name, color, points) } else { Line::solid(name, color, points) }
}

/// Rows of all arms in order, each compared with the arm `reference` at its fraction; p-values after Holm over all
/// comparisons.
fn rows(outcomes: &[Outcome], reference: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for outcome in outcomes {
        let same = |row: &&mut Row| row.arm == outcome.arm && row.fraction == outcome.fraction;
        if let Some(row) = rows.iter_mut().find(same) {
            row.accuracies.push(outcome.accuracy);
            row.labels_seen += outcome.labels_seen as f64;
        } else {
            let (arm, fraction) = (outcome.arm.clone(), outcome.fraction);
            let labels_seen = outcome.labels_seen as f64;
            rows.push(Row { arm, fraction, accuracies: vec![outcome.accuracy], labels_seen, against: None });
        }
    }
    let references: Vec<Row> = rows.iter().filter(|r| r.arm == reference).cloned().collect();
    for row in rows.iter_mut() {
        row.labels_seen /= row.accuracies.len() as f64;
        let other = references.iter().find(|r| r.fraction == row.fraction && r.arm != row.arm);
        row.against = other.and_then(|r| paired::compare(&row.accuracies, &r.accuracies));
    }
    paired::holm(rows.iter_mut().filter_map(|r| r.against.as_mut()).collect());
    rows
}

/// The learning curve of an arm, mean over seeds; empty if it has none.
fn curve(row: &Row, outcomes: &[Outcome]) -> Vec<Point> {
    let of_arm = outcomes.iter().filter(|o| o.arm == row.arm && o.fraction == row.fraction);
    let curves: Vec<&[Point]> = of_arm.map(|o| &o.curve[..]).collect();
    let points = curves.iter().map(|c| c.len()).min().unwrap_or(0);
    let at = |k: usize| {
        let over_seeds = |value: fn(&Point) -> f64| mean(&curves.iter().map(|c| value(&c[k])).collect::<Vec<_>>());
        Point {
            step: curves[0][k].step,
            training_loss: over_seeds(|p| p.training_loss),
            validation_accuracy: over_seeds(|p| p.validation_accuracy),
        }
    };
    (0..points).map(at).collect()
}

fn misled(row: &Row, rows: &[Row], outcomes: &[Outcome]) -> Option<Misled> {
    let random = rows.iter().find(|r| r.arm == RANDOM && r.fraction == row.fraction)?;
    let (own, random) = (*curve(row, outcomes).last()?, *curve(random, outcomes).last()?);
    let fooled = own.training_loss < random.training_loss && own.validation_accuracy < random.validation_accuracy;
    fooled.then(|| Misled {
        arm: row.arm.clone(),
        fraction: row.fraction,
        training_loss: [own.training_loss, random.training_loss],
        validation_accuracy: [own.validation_accuracy, random.validation_accuracy],
    })
}

/// Every outcome.
fn table(outcomes: &[Outcome]) -> Table {
    let columns =
        ["arm", "fraction", "seed", "accuracy", "source_accuracy", "labels_seen", "cpu_seconds", "class_counts"];
    let mut table = Table::new(columns);
    for o in outcomes {
        let counts = o.class_counts.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
        let place = cells![o.arm.as_str(), o.fraction, o.seed].into_iter();
        table.row(place.chain(cells![o.accuracy, o.source_accuracy, o.labels_seen, o.cpu_seconds, counts]));
    }
    table
}

/// Every point of every learning curve.
fn points(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(["arm", "fraction", "seed", "step", "training_loss", "validation_accuracy"]);
    for (o, point) in outcomes.iter().flat_map(|o| o.curve.iter().map(move |point| (o, point))) {
        let place = cells![o.arm.as_str(), o.fraction, o.seed].into_iter();
        table.row(place.chain(cells![point.step, point.training_loss, point.validation_accuracy]));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two seeds of an arm with a learning curve of one point.
    fn arm(name: &str, accuracies: [f64; 2], loss: f64, validation_accuracy: f64) -> Vec<Outcome> {
        let outcome = |(seed, accuracy)| Outcome {
            arm: name.to_owned(),
            fraction: 0.25,
            seed,
            accuracy,
            source_accuracy: 50.0,
            labels_seen: 100,
            class_counts: vec![50, 50],
            curve: vec![Point { step: 10, training_loss: loss, validation_accuracy }],
            cpu_seconds: 1.0,
        };
        (0..).zip(accuracies).map(outcome).collect()
    }

    #[test]
    fn findings_follow_the_figures() {
        let before = vec![Before { source: 97.0, target: 71.5 }; 2];
        let arms = [
            arm("random", [90.0, 91.0], 0.5, 89.0),
            arm("margin", [95.0, 96.5], 0.6, 95.0),
            arm("error", [60.0, 62.0], 0.1, 61.0),
            arm("error, every 5 epochs", [97.0, 98.0], 0.6, 97.0),
        ];
        let outcomes = arms.concat();
        let figures = Figures::new(before.clone(), &outcomes, RANDOM);
        let findings = figures.findings(&outcomes).unwrap();
        let seen = findings.seen();
        assert_eq!(seen.len(), 3, "{seen:?}");
        assert!(seen[0].contains("97.0 % of the source's test images and on 71.5 %"), "{}", seen[0]);
        assert!(
            seen[1].contains("best of the others is `margin` with 95.75 % (+5.25 +/- 3.18, p after Holm"),
            "{}",
            seen[1]
        );
        assert!(
            seen[1].ends_with("Below `random` in a paired t-test at the 5 % level after Holm: error."),
            "{}",
            seen[1]
        );
        assert!(
            seen[2].contains("`error` fits its own samples better than random choice does (loss 0.10 against 0.50)")
        );
        let against_worst = Figures::new(before, &outcomes, "error").findings(&outcomes).unwrap();
        assert!(against_worst.seen()[1].ends_with("after Holm: none."), "{:?}", against_worst.seen());
    }

    #[test]
    fn an_arm_whose_lower_mean_may_be_chance_is_not_called_worse() {
        let outcomes = [arm("random", [90.0, 91.0], 0.5, 89.0), arm("margin", [91.5, 86.0], 0.6, 95.0)].concat();
        let figures = Figures::new(vec![Before { source: 97.0, target: 71.5 }; 2], &outcomes, RANDOM);
        let margin = figures.rows[1].against.unwrap();
        assert!(margin.difference < -1.0 && margin.p > 0.5, "{margin:?}");
        let findings = figures.findings(&outcomes).unwrap();
        assert!(findings.seen()[1].ends_with("after Holm: none."), "{:?}", findings.seen());
    }
}
