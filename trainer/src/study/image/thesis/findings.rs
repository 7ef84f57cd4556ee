//! What the parts of the study say: each statement by the protocol, with every defect, and by single seeds.

use super::run::Variant;
use super::{Measure, Part, STATEMENTS, Statement};
use crate::report::csv::{Table, cells};
use crate::report::plot::{Axis, Content, Figure, Line, Panel, Stroke};
use crate::statistics::mean;
use crate::study::StudyError;
use crate::study::findings::{Findings, Plot};
use crate::study::image::Outcome;
use crate::study::paired::{self, Paired};
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

/// Statements are called shown, or contradicted, below this p-value after Holm's correction over the statements of a variant.
const LEVEL: f64 = 0.05;
/// The name of the protocol in tables.
const PROTOCOL: &str = "none";

/// What a variant says of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is shown.
    Shown,
    /// Its contrary is shown.
    Contradicted,
    /// These seeds tell neither from chance.
    Open,
}

/// A statement in one variant of a part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgment {
    /// The part.
    pub part: &'static str,
    /// The defect's name, or `none`.
    pub defect: &'static str,
    /// The statement in words.
    pub statement: &'static str,
    /// Difference of the arms in the direction of the statement: points, or nats.
    pub paired: Paired,
    /// What it says.
    pub verdict: Verdict,
    /// Whether that differs from the protocol's.
    pub flips: bool,
    /// Seeds that alone would say the contrary of the mean over all seeds.
    pub contrary_seeds: usize,
    /// All seeds.
    pub seeds: usize,
}

/// The judgments of all statements in all variants of a part; the protocol is the first variant.
pub fn judged(part: &Part, variants: &[Variant]) -> Vec<Judgment> {
    let mut all: Vec<Judgment> = Vec::new();
    for variant in variants {
        let mut own: Vec<Judgment> =
            STATEMENTS.iter().filter_map(|statement| judgment(part, variant, statement)).collect();
        paired::holm(own.iter_mut().map(|judgment| &mut judgment.paired).collect());
        for judgment in &mut own {
            judgment.verdict = match judgment.paired {
                Paired { p_holm, .. } if p_holm >= LEVEL => Verdict::Open,
                Paired { difference, .. } if difference > 0.0 => Verdict::Shown,
                _ => Verdict::Contradicted,
            };
            let protocol = all.iter().find(|j| j.defect == PROTOCOL && j.statement == judgment.statement);
            judgment.flips = protocol.is_some_and(|protocol| protocol.verdict != judgment.verdict);
        }
        all.extend(own);
    }
    all
}

fn judgment(part: &Part, variant: &Variant, statement: &Statement) -> Option<Judgment> {
    let values = |arm: &str| -> Vec<f64> {
        let of = |o: &Outcome| match statement.measure {
            Measure::Accuracy => o.accuracy,
            Measure::TrainingLoss => o.curve.last().map_or(f64::NAN, |point| point.training_loss),
        };
        variant.outcomes.iter().filter(|o| o.arm == arm).map(|o| statement.sign * of(o)).collect()
    };
    let (own, other) = (values(statement.arm), values(statement.against));
    let paired = paired::compare(&own, &other)?;
    let contrary = own.iter().zip(&other).filter(|(a, b)| (*a - *b) * paired.difference < 0.0).count();
    Some(Judgment {
        part: part.name,
        defect: variant.defect.map_or(PROTOCOL, |defect| defect.name()),
        statement: statement.text,
        paired,
        verdict: Verdict::Open,
        flips: false,
        contrary_seeds: contrary,
        seeds: own.len(),
    })
}

/// Judgments of all parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgments {
    judgments: Vec<Judgment>,
    level: f64,
}

impl Judgments {
    /// These judgments.
    pub fn new(judgments: Vec<Judgment>) -> Self {
        Judgments { judgments, level: LEVEL }
    }

    /// Prose, tables and plots.
    ///
    /// # Errors
    /// [`StudyError::Prose`] if the template does not fit.
    pub fn findings(&self) -> Result<Findings, StudyError> {
        let prose = Findings::new(include_str!("findings.md"), Value::from(Serde(self)), minijinja::context! {})?;
        Ok(Findings { plots: vec![vec![self.plot()]], tables: vec![("statements", self.table())], ..prose })
    }

    fn table(&self) -> Table {
        let columns = ["part", "defect", "statement", "difference", "half_interval_95", "p", "p_holm", "verdict"];
        let mut table = Table::new(columns.into_iter().chain(["flips", "contrary_seeds", "seeds"]));
        for j in &self.judgments {
            let verdict = format!("{:?}", j.verdict).to_lowercase();
            let of = cells![j.part, j.defect, j.statement, j.paired.difference, j.paired.half_interval].into_iter();
            let rest = cells![j.paired.p, j.paired.p_holm, verdict, u64::from(j.flips), j.contrary_seeds, j.seeds];
            table.row(of.chain(rest));
        }
        table
    }

    /// Differences with each defect over those without: what lies in another quadrant has changed its sign.
    fn plot(&self) -> Plot {
        let protocol = |j: &Judgment| {
            let same =
                |other: &&Judgment| other.defect == PROTOCOL && other.part == j.part && other.statement == j.statement;
            self.judgments.iter().find(same).map(|other| other.paired.difference)
        };
        let mut lines: Vec<Line> = Vec::new();
        for j in self.judgments.iter().filter(|j| j.defect != PROTOCOL) {
            let Some(x) = protocol(j) else { continue };
            let point = (x, j.paired.difference);
            match lines.iter_mut().find(|line| line.name == j.defect) {
                Some(line) => line.points.push(point),
                None => {
                    let color = lines.len();
                    lines.push(Line { name: j.defect.into(), color, points: vec![point], stroke: Stroke::Dots });
                }
            }
        }
        let all: Vec<f64> = self.judgments.iter().map(|j| j.paired.difference).collect();
        let ends = [all.iter().copied().fold(0.0, f64::min), all.iter().copied().fold(0.0, f64::max)];
        lines.push(Line::dashed("no change", lines.len(), ends.map(|end| (end, end)).to_vec()));
        let axes = [Axis::linear("by the protocol"), Axis::linear("with the defect")];
        let [x, y] = axes;
        let panel = Panel::new(420, x, y, Content::Lines(lines));
        let caption = format!(
            "Differences in the direction of each statement, in points of accuracy or nats of loss; mean {:.2} in all.",
            mean(&all)
        );
        Plot::new("defects", Figure::single("What defects change", 720, panel), caption)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PARTS, defect::Defect};
    use super::*;
    use crate::study::image::Point;
    use crate::study::image::work::Before;

    fn outcomes(arms: &[(&str, [f64; 3], f64)]) -> Vec<Outcome> {
        let of = |(arm, accuracies, loss): &(&str, [f64; 3], f64)| {
            let outcome = |(seed, accuracy): (u64, f64)| Outcome {
                arm: arm.to_string(),
                fraction: 0.25,
                seed,
                accuracy,
                source_accuracy: 0.0,
                labels_seen: 1,
                class_counts: vec![1],
                curve: vec![Point { step: 1, training_loss: *loss + 0.001 * seed as f64, validation_accuracy: 0.0 }],
                cpu_seconds: 0.0,
            };
            (0..).zip(*accuracies).map(outcome).collect::<Vec<_>>()
        };
        arms.iter().flat_map(of).collect()
    }

    #[test]
    fn verdicts_follow_the_figures_and_flips_are_told() {
        let before = vec![Before { source: 90.0, target: 50.0 }];
        let protocol = Variant {
            defect: None,
            before: before.clone(),
            outcomes: outcomes(&[
                ("random", [80.0, 80.1, 79.9], 1.0),
                ("entropy-most", [70.0, 70.2, 69.9], 0.5),
                ("entropy-least", [70.1, 90.3, 78.0], 1.0),
            ]),
        };
        let inside = Variant {
            defect: Some(Defect::ValidationInside),
            before,
            outcomes: outcomes(&[
                ("random", [80.0, 80.1, 79.9], 1.0),
                ("entropy-most", [90.0, 90.2, 89.9], 0.5),
                ("entropy-least", [70.1, 90.3, 78.0], 1.0),
            ]),
        };
        let judgments = judged(&PARTS[0], &[protocol, inside]);
        assert_eq!(judgments.len(), 4);
        let verdicts: Vec<(Verdict, bool)> = judgments.iter().map(|j| (j.verdict, j.flips)).collect();
        assert_eq!(verdicts[0], (Verdict::Contradicted, false));
        assert_eq!(verdicts[1], (Verdict::Open, false));
        assert_eq!(verdicts[2], (Verdict::Shown, true));
        assert_eq!(judgments[1].contrary_seeds, 1);
        let findings = Judgments::new(judgments).findings().unwrap();
        let seen = findings.seen().join("\n");
        assert!(seen.contains("`validation inside the choice`"), "{seen}");
        assert!(seen.contains("The most uncertain samples are worth more than random ones"), "{seen}");
        assert_eq!(findings.tables[0].1.len(), 4);
    }
}
