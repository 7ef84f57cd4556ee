//! What a study's outcomes say: sentences that follow from the numbers, tables, budget and learning curves.

use super::work::Before;
use super::{Outcome, Point, RANDOM, Row, rows};
use crate::report::ReportError;
use crate::report::csv;
use crate::report::html::{Block, Image, Section, Table};
use crate::report::plot::{Axis, Content, Figure, Line, Panel};
use crate::statistics::{deviation, mean};
use serde::Serialize;

/// Everything a study found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Findings {
    /// Test accuracy of the sources before adaptation, by seed.
    pub before: Vec<Before>,
    /// The arm that all are compared with.
    pub reference: String,
    /// One row per arm and fraction.
    pub rows: Vec<Row>,
    /// Arms that fit their samples better than random choice fits its own, and are worse on validation.
    pub misled: Vec<Misled>,
}

/// An arm at the end of its learning curve, beside random choice of as many samples; means over seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Misled {
    /// The arm's name.
    pub arm: String,
    /// Share of the pool.
    pub fraction: f64,
    /// Cross-entropy on what it trains on, in nats; then random's.
    pub training_loss: [f64; 2],
    /// Validation accuracy in percent; then random's.
    pub validation_accuracy: [f64; 2],
}

impl Findings {
    /// From finished outcomes; every arm is compared with the arm `reference`.
    pub fn new(before: Vec<Before>, outcomes: &[Outcome], reference: &str) -> Self {
        let rows = rows(outcomes, reference);
        let misled = misled(&rows, outcomes);
        Findings { before, reference: reference.to_owned(), rows, misled }
    }

    /// The table for machines.
    pub fn csv(&self) -> csv::Table {
        let columns = [
            "arm",
            "fraction",
            "accuracy",
            "accuracy_std",
            "seeds",
            "labels_seen",
            "against",
            "difference",
            "half_interval_95",
            "p",
            "p_holm",
        ];
        let mut table = csv::Table::new(columns);
        for row in &self.rows {
            let p = row.against.as_ref();
            table.row([
                row.arm.as_str().into(),
                row.fraction.into(),
                mean(&row.accuracies).into(),
                deviation(&row.accuracies).into(),
                row.accuracies.len().into(),
                row.labels_seen.into(),
                self.reference.as_str().into(),
                p.map(|p| p.difference).into(),
                p.map(|p| p.half_interval).into(),
                p.map(|p| p.p).into(),
                p.map(|p| p.p_holm).into(),
            ]);
        }
        table
    }

    /// The section of a report, with the outcomes' curves.
    ///
    /// # Errors
    /// A plot that cannot be drawn.
    pub fn section(&self, heading: &str, outcomes: &[Outcome]) -> Result<Section, ReportError> {
        let mut blocks: Vec<Block> = self.sentences().into_iter().map(Block::Prose).collect();
        let mut images = vec![self.budget_curve()?];
        images.extend(learning_curves(&self.rows, outcomes)?);
        blocks.push(Block::Figures(images));
        blocks.push(Block::Table(self.table()));
        blocks.push(Block::Note(PROTOCOL.to_owned()));
        Ok(Section { heading: heading.to_owned(), blocks })
    }

    /// What is seen, also where random choice wins.
    pub fn sentences(&self) -> Vec<String> {
        let targets: Vec<f64> = self.before.iter().map(|b| b.target).collect();
        let sources: Vec<f64> = self.before.iter().map(|b| b.source).collect();
        let mut said = vec![format!(
            "Trained on the source alone, the network is right on {:.1} % of the source's test images and on {:.1} % of the \
             target's.",
            mean(&sources),
            mean(&targets)
        )];
        let name = &self.reference;
        for fraction in self.fractions() {
            let at = |row: &&Row| row.fraction == fraction;
            let Some(reference) = self.rows.iter().filter(at).find(|r| r.arm == self.reference) else { continue };
            let others =
                || self.rows.iter().filter(at).filter(|r| r.arm != self.reference && !r.arm.contains("epochs"));
            let best = others().max_by(|a, b| mean(&a.accuracies).total_cmp(&mean(&b.accuracies)));
            let Some(best) = best else { continue };
            let ahead = best.against.map_or(String::new(), |p| {
                let certain = if p.p_holm < 0.05 { "" } else { ", which these seeds do not tell from chance" };
                format!(" ({:+.2} +/- {:.2}, p after Holm {:.3}{certain})", p.difference, p.half_interval, p.p_holm)
            });
            let worse: Vec<&str> = others()
                .filter(|r| mean(&r.accuracies) < mean(&reference.accuracies))
                .map(|r| r.arm.as_str())
                .collect();
            let losers = if worse.is_empty() { "none".to_string() } else { worse.join("; ") };
            said.push(format!(
                "With {:.0} % of the labels, `{name}` reaches {:.2} %; best of the others is `{}` with {:.2} %{ahead}. Below \
                 `{name}`: {losers}.",
                100.0 * fraction,
                mean(&reference.accuracies),
                best.arm,
                mean(&best.accuracies)
            ));
        }
        said.extend(self.misled.iter().map(|m| {
            format!(
                "With {:.0} % of the labels, `{}` fits its own samples better than random choice does (loss {:.2} against \
                 {:.2}) and is right on fewer validation images ({:.1} % against {:.1} %).",
                100.0 * m.fraction,
                m.arm,
                m.training_loss[0],
                m.training_loss[1],
                m.validation_accuracy[0],
                m.validation_accuracy[1]
            )
        }));
        said
    }

    fn fractions(&self) -> Vec<f64> {
        let mut fractions: Vec<f64> = self.rows.iter().map(|r| r.fraction).collect();
        fractions.sort_by(f64::total_cmp);
        fractions.dedup();
        fractions
    }

    fn table(&self) -> Table {
        let against = format!("against {}", self.reference);
        let header = ["samples chosen by", "labels trained on", "accuracy", "std", "labels seen", &against, "p (Holm)"];
        let cells = |row: &Row| {
            let p = row.against.as_ref();
            vec![
                row.arm.clone(),
                format!("{:.0} %", 100.0 * row.fraction),
                format!("{:.2}", mean(&row.accuracies)),
                format!("{:.2}", deviation(&row.accuracies)),
                format!("{:.0}", row.labels_seen),
                p.map_or(String::new(), |p| format!("{:+.2} +/- {:.2}", p.difference, p.half_interval)),
                p.map_or(String::new(), |p| format!("{:.3}", p.p_holm)),
            ]
        };
        let seeds = self.before.len();
        Table {
            caption: format!(
                "Test accuracy in percent over {seeds} seeds; +/- is a 95 % interval of the paired difference"
            ),
            header: header.map(str::to_owned).to_vec(),
            rows: self.rows.iter().map(cells).collect(),
        }
    }

    fn budget_curve(&self) -> Result<Image, ReportError> {
        let mut names: Vec<&str> = self.rows.iter().filter(|r| r.fraction < 1.0).map(|r| r.arm.as_str()).collect();
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(*name) && ON_CURVE.iter().any(|shown| name.contains(shown)));
        let lines = names.iter().enumerate().map(|(k, name)| {
            let rows = self.rows.iter().filter(|r| r.arm == *name);
            let points = rows.map(|r| (100.0 * r.fraction, mean(&r.accuracies))).collect();
            if *name == RANDOM { Line::dashed(*name, k, points) } else { Line::solid(*name, k, points) }
        });
        let content = Content::Lines(lines.collect());
        let panel =
            Panel::new(380, Axis::log("labels trained on (% of the pool)"), Axis::linear("test accuracy (%)"), content);
        let svg = Figure::single("Accuracy over labels", 720, panel).svg();
        Ok(Image { svg, caption: "Mean test accuracy over the labels trained on.".to_owned() })
    }
}

/// Arms that the budget curve shows.
const ON_CURVE: [&str; 4] = ["random", "entropy-most", "margin", "badge"];

/// Arms of the smallest fraction that learning curves show; of more, only those of the budget curve.
const LEARNERS: usize = 8;

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

fn misled(rows: &[Row], outcomes: &[Outcome]) -> Vec<Misled> {
    let end = |row: &Row| curve(row, outcomes).last().copied();
    let beside_random = |row: &Row| {
        let random = rows.iter().find(|r| r.arm == RANDOM && r.fraction == row.fraction)?;
        let (own, random) = (end(row)?, end(random)?);
        let fooled = own.training_loss < random.training_loss && own.validation_accuracy < random.validation_accuracy;
        fooled.then(|| Misled {
            arm: row.arm.clone(),
            fraction: row.fraction,
            training_loss: [own.training_loss, random.training_loss],
            validation_accuracy: [own.validation_accuracy, random.validation_accuracy],
        })
    };
    rows.iter().filter_map(beside_random).collect()
}

/// Training loss and validation accuracy over steps, mean over seeds, for the arms of the smallest fraction that have
/// curves.
fn learning_curves(rows: &[Row], outcomes: &[Outcome]) -> Result<Option<Image>, ReportError> {
    let with =
        || rows.iter().filter(|r| r.fraction < 1.0).map(|r| (r, curve(r, outcomes))).filter(|(_, c)| !c.is_empty());
    let Some(fraction) = with().map(|(r, _)| r.fraction).min_by(f64::total_cmp) else { return Ok(None) };
    let mut shown: Vec<(&Row, Vec<Point>)> = with().filter(|(r, _)| r.fraction == fraction).collect();
    if shown.len() > LEARNERS {
        shown.retain(|(row, _)| ON_CURVE.iter().any(|name| row.arm.contains(name)));
    }
    let panel = |axis: &str, value: fn(&Point) -> f64| {
        let lines = shown.iter().enumerate().map(|(k, (row, curve))| {
            let points = curve.iter().map(|p| (p.step as f64, value(p))).collect();
            if row.arm == RANDOM { Line::dashed(&*row.arm, k, points) } else { Line::solid(&*row.arm, k, points) }
        });
        Panel::new(340, Axis::linear("steps"), Axis::linear(axis), Content::Lines(lines.collect()))
    };
    let panels = vec![
        panel("loss on the chosen samples", |p| p.training_loss),
        panel("validation accuracy (%)", |p| p.validation_accuracy),
    ];
    let svg = Figure { title: "Learning curves".to_owned(), width: 720, panels }.svg();
    let caption = format!(
        "How well the chosen samples are fitted, and what that is worth on validation images, {:.0} % of the labels; it \
         decides nothing.",
        100.0 * fraction
    );
    Ok(Some(Image { svg, caption }))
}

const PROTOCOL: &str = "Every arm takes the same number of steps from the same source networks, one per seed, and ends \
    with its last weights. The validation part is split off the target's training data before anything is chosen, is the \
    same for all arms, and is never trained on. The test set is looked at once. `Labels seen` counts distinct labels that \
    anyone read, for training or for scores: choosing anew, and scores that need the truth, cost more than they train on.";
