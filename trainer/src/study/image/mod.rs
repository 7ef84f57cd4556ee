//! Studies of label selection under covariate shift: which samples are worth a label, how many, and in how many rounds.
//!
//! The protocol is the same for every arm: one source network per seed; one validation part of the target's training data,
//! split off before anything is chosen; equal steps; the last weights; one look at the test set. Labels are counted where
//! they are read. A finished arm and seed is one [`Trial`] in a file of its own.

pub mod digits;
pub mod findings;
pub mod thesis;
pub mod work;

use super::pieces::{self, Columns, Piece};
use crate::host::checkpoint::Identity;
use crate::host::names::UnknownName;
use crate::image::adaptation::Arm;

/// A study of label selection: its arms for a number of steps.
pub type Study = super::Study<fn(usize) -> Result<Vec<Arm>, UnknownName>>;

/// The arm that others are compared with unless the user names another.
pub const RANDOM: &str = "random";

/// One arm with one seed, as a piece of work.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// The arm.
    pub arm: &'a Arm,
    /// The seed.
    pub seed: u64,
    /// Everything else that the outcome depends on.
    pub setup: &'a str,
}

/// One arm with one seed, finished.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The arm's name.
    pub arm: String,
    /// Share of the pool that is trained on.
    pub fraction: f64,
    /// The seed.
    pub seed: u64,
    /// Test accuracy in percent, with the last weights.
    pub accuracy: f64,
    /// Accuracy on the source's test set afterwards, which shows what was forgotten.
    pub source_accuracy: f64,
    /// Distinct labels that were read.
    pub labels_seen: usize,
    /// Samples of every class in the final subset.
    pub class_counts: Vec<usize>,
    /// The learning curve; nothing depends on it.
    pub curve: Vec<Point>,
    /// CPU seconds of the arm.
    pub cpu_seconds: f64,
}

/// A point of a learning curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Steps done.
    pub step: usize,
    /// Mean cross-entropy of the batches since the last point, in nats: how well the chosen samples are fitted.
    pub training_loss: f64,
    /// Validation accuracy in percent: what that fit is worth on other samples.
    pub validation_accuracy: f64,
}

impl Piece for Trial<'_> {
    type Outcome = Outcome;

    fn identity(&self) -> Identity {
        pieces::identity([
            ("arm", self.arm.name()),
            ("fraction", self.arm.fraction.to_string()),
            ("steps", self.arm.steps.to_string()),
            ("seed", self.seed.to_string()),
            ("setup", self.setup.to_owned()),
        ])
    }

    fn label(&self) -> String {
        format!("{}-{}", self.arm.criterion.name, self.seed)
    }

    fn cpu_seconds(outcome: &Outcome) -> f64 {
        outcome.cpu_seconds
    }

    fn columns(outcome: &Outcome) -> Columns {
        let curve = |f: fn(&Point) -> f64| outcome.curve.iter().map(f).collect();
        let columns: [(&str, Vec<f64>); 8] = [
            ("accuracy", vec![outcome.accuracy]),
            ("source_accuracy", vec![outcome.source_accuracy]),
            ("labels_seen", vec![outcome.labels_seen as f64]),
            ("class_counts", outcome.class_counts.iter().map(|count| *count as f64).collect()),
            ("step", curve(|point| point.step as f64)),
            ("training_loss", curve(|point| point.training_loss)),
            ("validation_accuracy", curve(|point| point.validation_accuracy)),
            ("cpu_seconds", vec![outcome.cpu_seconds]),
        ];
        columns.map(|(name, values)| (name.to_owned(), values)).into()
    }

    fn outcome(&self, mut columns: Columns) -> Option<Outcome> {
        let mut take = |name: &str| columns.remove(name);
        let curve = take("step")?.into_iter().zip(take("training_loss")?).zip(take("validation_accuracy")?);
        let point = |((step, training_loss), validation_accuracy)| Point {
            step: step as usize,
            training_loss,
            validation_accuracy,
        };
        Some(Outcome {
            arm: self.arm.name(),
            fraction: self.arm.fraction,
            seed: self.seed,
            accuracy: take("accuracy")?.pop()?,
            source_accuracy: take("source_accuracy")?.pop()?,
            labels_seen: take("labels_seen")?.pop()? as usize,
            class_counts: take("class_counts")?.into_iter().map(|count| count as usize).collect(),
            curve: curve.map(point).collect(),
            cpu_seconds: take("cpu_seconds")?.pop()?,
        })
    }
}
