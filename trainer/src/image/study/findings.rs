//! What a study's outcomes say: sentences that follow from the numbers, tables, budget and learning curves.

use super::work::Before;
use super::{Outcome, Row, rows};
use crate::report::ReportError;
use crate::report::csv;
use crate::report::html::{Block, Image, Section, Table};
use crate::report::plot::{Axis, Content, Figure, Line, Panel};
use crate::study::statistics::{deviation, mean};
use serde::Serialize;

/// Everything a study found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Findings {
    /// Test accuracy of the sources before adaptation, by seed.
    pub before: Vec<Before>,
    /// One row per arm and fraction.
    pub rows: Vec<Row>,
}

impl Findings {
    /// From finished outcomes.
    pub fn new(before: Vec<Before>, outcomes: &[Outcome]) -> Self {
        Findings { before, rows: rows(outcomes) }
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
            "against_random",
            "half_interval_95",
            "p",
            "p_holm",
        ];
        let mut table = csv::Table::new(columns);
        for row in &self.rows {
            let p = row.against_random.as_ref();
            table.row([
                row.arm.as_str().into(),
                row.fraction.into(),
                mean(&row.accuracies).into(),
                deviation(&row.accuracies).into(),
                row.accuracies.len().into(),
                row.labels_seen.into(),
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
        images.extend(learning_curves(outcomes)?);
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
        for fraction in self.fractions() {
            let at = |row: &&Row| row.fraction == fraction;
            let Some(random) = self.rows.iter().filter(at).find(|r| r.arm == "random") else { continue };
            let others = || self.rows.iter().filter(at).filter(|r| r.arm != "random" && !r.arm.contains("epochs"));
            let best = others().max_by(|a, b| mean(&a.accuracies).total_cmp(&mean(&b.accuracies)));
            let Some(best) = best else { continue };
            let ahead = best.against_random.map_or(String::new(), |p| {
                let certain = if p.p_holm < 0.05 { "" } else { ", which these seeds do not tell from chance" };
                format!(" ({:+.2} +/- {:.2}, p after Holm {:.3}{certain})", p.difference, p.half_interval, p.p_holm)
            });
            let worse: Vec<&str> =
                others().filter(|r| mean(&r.accuracies) < mean(&random.accuracies)).map(|r| r.arm.as_str()).collect();
            let losers = if worse.is_empty() { "none".to_string() } else { worse.join("; ") };
            said.push(format!(
                "With {:.0} % of the labels, random choice reaches {:.1} %; best is `{}` with {:.1} %{ahead}. Below random: \
                 {losers}.",
                100.0 * fraction,
                mean(&random.accuracies),
                best.arm,
                mean(&best.accuracies)
            ));
        }
        said
    }

    fn fractions(&self) -> Vec<f64> {
        let mut fractions: Vec<f64> = self.rows.iter().map(|r| r.fraction).collect();
        fractions.sort_by(f64::total_cmp);
        fractions.dedup();
        fractions
    }

    fn table(&self) -> Table {
        let header =
            ["samples chosen by", "labels trained on", "accuracy", "std", "labels seen", "against random", "p (Holm)"];
        let cells = |row: &Row| {
            let p = row.against_random.as_ref();
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
            if *name == "random" { Line::dashed(*name, k, points) } else { Line::solid(*name, k, points) }
        });
        let content = Content::Lines(lines.collect());
        let panel =
            Panel::new(380, Axis::log("labels trained on (% of the pool)"), Axis::linear("test accuracy (%)"), content);
        let svg = Figure::single("Accuracy over labels", 720, panel).svg()?;
        Ok(Image { svg, caption: "Mean test accuracy over the labels trained on.".to_owned() })
    }
}

/// Arms that the budget curve shows.
const ON_CURVE: [&str; 4] = ["random", "entropy-most", "margin", "badge"];

/// Validation accuracy over steps, mean over seeds, for the arms of the smallest fraction that have curves.
fn learning_curves(outcomes: &[Outcome]) -> Result<Option<Image>, ReportError> {
    let with: Vec<&Outcome> = outcomes.iter().filter(|o| !o.curve.is_empty() && o.fraction < 1.0).collect();
    let Some(fraction) = with.iter().map(|o| o.fraction).min_by(f64::total_cmp) else { return Ok(None) };
    let mut names: Vec<&str> = Vec::new();
    for outcome in with.iter().filter(|o| o.fraction == fraction) {
        if !names.contains(&outcome.arm.as_str()) && ON_CURVE.iter().any(|shown| outcome.arm.contains(shown)) {
            names.push(&outcome.arm);
        }
    }
    let line = |(k, name): (usize, &&str)| {
        let seeds: Vec<&&Outcome> = with.iter().filter(|o| o.arm == **name && o.fraction == fraction).collect();
        let points = (0..seeds[0].curve.len()).map(|at| {
            let values: Vec<f64> = seeds.iter().filter_map(|o| o.curve.get(at).map(|p| p.1)).collect();
            (seeds[0].curve[at].0 as f64, mean(&values))
        });
        Line::solid(*name, k, points.collect())
    };
    let content = Content::Lines(names.iter().enumerate().map(line).collect());
    let panel = Panel::new(380, Axis::linear("steps"), Axis::linear("validation accuracy (%)"), content);
    let svg = Figure::single("Learning curves", 720, panel).svg()?;
    let caption =
        format!("Validation accuracy along the way, {:.0} % of the labels; it decides nothing.", 100.0 * fraction);
    Ok(Some(Image { svg, caption }))
}

const PROTOCOL: &str = "Every arm takes the same number of steps from the same source networks, one per seed, and ends \
    with its last weights. The validation part is split off the target's training data before anything is chosen, is the \
    same for all arms, and is never trained on. The test set is looked at once. `Labels seen` counts distinct labels that \
    anyone read, for training or for scores: choosing anew, and scores that need the truth, cost more than they train on.";
