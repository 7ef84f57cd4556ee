//! Studies of label selection under shift: which samples are worth a label, how many, and in how many rounds.
//!
//! Protocol, the same for every arm: one source network per seed; one validation part of the target's training data,
//! split off before anything is chosen; equal steps; the last weights; one look at the test set. Labels are counted
//! where they are read. A finished (arm, seed) is one small file, so an interrupted study goes on where it was.

pub mod digits;
pub mod findings;
pub mod paired;
pub mod work;

use crate::image::adaptation::Arm;
use serde::{Deserialize, Serialize};

/// The arm that others are measured by unless a user names another.
pub const RANDOM: &str = "random";

/// One arm with one seed, finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The arm's name.
    pub arm: String,
    /// Share of the pool that is trained on.
    pub fraction: f64,
    /// The seed.
    pub seed: u64,
    /// Test accuracy in percent, of the last weights.
    pub accuracy: f64,
    /// Accuracy on the source's test set afterwards: what was forgotten.
    pub source_accuracy: f64,
    /// Distinct labels anyone looked at.
    pub labels_seen: usize,
    /// Samples of every class in the final subset.
    pub class_counts: Vec<usize>,
    /// Along the way; for curves, and decides nothing.
    pub curve: Vec<Point>,
    /// CPU seconds of the arm.
    pub cpu_seconds: f64,
}

/// A point of a learning curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps done.
    pub step: usize,
    /// Mean cross-entropy of the batches since the last point, in nats: how well the chosen samples are fitted.
    pub training_loss: f64,
    /// Validation accuracy in percent: what that is worth elsewhere.
    pub validation_accuracy: f64,
}

/// Why a study has no findings.
#[derive(Debug, thiserror::Error)]
pub enum ImageStudyError {
    /// A training failed, or was interrupted.
    #[error(transparent)]
    Training(#[from] crate::image::training::TrainingError),
    /// A network cannot be built or evaluated.
    #[error(transparent)]
    Network(#[from] crate::image::net::network::NetworkError),
    /// Data are missing or damaged.
    #[error(transparent)]
    Data(#[from] crate::dataset::DataError),
    /// Too few images for the split.
    #[error(transparent)]
    Images(#[from] crate::dataset::images::ImagesError),
    /// A folder or file cannot be written.
    #[error(transparent)]
    Write(#[from] crate::host::atomic::WriteError),
    /// A table, plot or page cannot be made.
    #[error(transparent)]
    Report(#[from] crate::report::ReportError),
    /// A preset or criterion that is not there: a defect of the study itself.
    #[error(transparent)]
    Preset(#[from] crate::image::net::architecture::UnknownNetwork),
}

/// Accuracies of an arm, one per seed in their order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The arm's name.
    pub arm: String,
    /// Share of the pool.
    pub fraction: f64,
    /// Test accuracies by seed.
    pub accuracies: Vec<f64>,
    /// Mean of labels seen.
    pub labels_seen: f64,
    /// Against the reference arm with as many labels trained on.
    pub against: Option<paired::Paired>,
}

/// Rows of all arms in order, each compared with the arm `reference` at its fraction; p-values after Holm over all
/// comparisons.
pub fn rows(outcomes: &[Outcome], reference: &str) -> Vec<Row> {
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

/// What identifies an outcome among the finished pieces, apart from the data.
pub fn key(arm: &Arm, seed: u64) -> String {
    format!("{} | {} | {} steps | seed {seed}", arm.name(), arm.fraction, arm.steps)
}
