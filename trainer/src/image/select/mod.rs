//! The selection of the samples of a pool that are worth a label: one criterion per file, one line in [`ALL`].
//!
//! A criterion gives every sample of the pool a score, and the samples of the highest scores are taken. Labels are read through
//! a [`Ledger`], which counts distinct ones, so that every label that a criterion uses is counted.

mod badge;
mod boosting;
mod class_balanced;
mod differential;
mod entropy;
mod highest_loss;
mod margin;
mod mixed;
mod random;
mod temperature;

use crate::dataset::Images;
use crate::host::names::{self, UnknownName};
use crate::image::net::error::NetworkError;
use crate::image::net::kernel::loss;
use crate::image::net::network::{Network, Outputs};
use std::cell::OnceCell;

/// A way to score samples.
#[derive(Debug, Clone, Copy)]
pub struct Criterion {
    /// Name on the command line and in tables.
    pub name: &'static str,
    /// The samples it prefers, in a line.
    pub what: &'static str,
    /// Scores all samples of the pool.
    pub score: fn(&mut View<'_, '_>) -> Result<Vec<f64>, NetworkError>,
}

impl PartialEq for Criterion {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Every criterion.
pub const ALL: &[Criterion] = &[
    random::CRITERION,
    entropy::MOST,
    entropy::LEAST,
    margin::CRITERION,
    class_balanced::CRITERION,
    mixed::CRITERION,
    badge::CRITERION,
    temperature::CRITERION,
    highest_loss::CRITERION,
    boosting::CRITERION,
    differential::CRITERION,
];

/// The criterion of this name.
///
/// # Errors
/// [`UnknownName`] if no criterion has it.
pub fn find(name: &str) -> Result<Criterion, UnknownName> {
    names::find("criterion", ALL, |criterion| criterion.name, name).copied()
}

/// The labels of a pool, and a count of those that were read.
#[derive(Debug, Clone)]
pub struct Ledger<'a> {
    labels: &'a [u8],
    /// Whether each was read.
    read: Vec<bool>,
    /// The number of validation labels that were used.
    validation: usize,
}

impl<'a> Ledger<'a> {
    /// A ledger of labels of which none was read.
    pub fn new(labels: &'a [u8]) -> Self {
        Ledger { labels, read: vec![false; labels.len()], validation: 0 }
    }

    /// The label of a sample, which from now on is counted.
    pub fn label(&mut self, sample: usize) -> u8 {
        self.read[sample] = true;
        self.labels[sample]
    }

    /// Counts the labels of a whole validation set, which were used for a choice.
    pub fn validated(&mut self, labels: usize) {
        self.validation = self.validation.max(labels);
    }

    /// The number of distinct labels that were read: of the pool, and of validation if a choice used them.
    pub fn count(&self) -> usize {
        self.read.iter().filter(|read| **read).count() + self.validation
    }
}

/// The data that a criterion scores by.
#[derive(Debug)]
pub struct View<'a, 'b> {
    /// The network as it is now.
    pub network: &'a Network,
    /// The pool. Criteria read its labels from the ledger only.
    pub pool: &'a Images,
    /// Labeled images of the target domain that are never trained on.
    pub validation: &'a Images,
    /// The pool's labels.
    pub ledger: &'a mut Ledger<'b>,
    /// The number of samples that will be taken.
    pub budget: usize,
    /// Samples that were taken in earlier rounds.
    pub taken: &'a [bool],
    /// Weights of the samples, which criteria may keep from round to round; equal at first.
    pub weights: &'a mut Vec<f64>,
    /// Seed of random choices.
    pub seed: u64,
    /// Number of the choice.
    pub round: u64,
    /// Outputs of the network for the pool, computed at the first use.
    pub cache: OnceCell<Outputs>,
}

impl View<'_, '_> {
    /// Logits and features of the pool.
    ///
    /// # Errors
    /// [`NetworkError::Tensor`] if the network cannot be computed.
    pub fn outputs(&self) -> Result<&Outputs, NetworkError> {
        if self.cache.get().is_none() {
            let outputs = self.network.outputs(&self.pool.pixels)?;
            _ = self.cache.set(outputs);
        }
        Ok(self.cache.get().expect("it was set right here"))
    }

    /// Class probabilities `[n, classes]` of the pool.
    ///
    /// # Errors
    /// [`NetworkError::Tensor`] if the network cannot be computed.
    pub fn probabilities(&self) -> Result<Vec<f32>, NetworkError> {
        Ok(loss::softmax(&self.outputs()?.logits, self.pool.classes))
    }
}

/// The scores of a pool and the samples that were taken by them.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// One score per sample of the pool.
    pub scores: Vec<f64>,
    /// The samples taken, in descending order of their scores.
    pub chosen: Vec<usize>,
}

/// Takes the `budget` samples with the highest scores among those not taken yet; equal scores in the pool's order.
///
/// # Errors
/// [`NetworkError::Tensor`] if the network cannot be computed.
pub fn choose(criterion: Criterion, view: &mut View<'_, '_>) -> Result<Choice, NetworkError> {
    let scores = (criterion.score)(view)?;
    let mut chosen: Vec<usize> = (0..scores.len()).filter(|i| !view.taken[*i]).collect();
    chosen.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    chosen.truncate(view.budget);
    Ok(Choice { scores, chosen })
}

/// Entropy of every row of probabilities, in nats.
pub fn entropies(probabilities: &[f32], classes: usize) -> Vec<f64> {
    let term = |p: &f32| if *p > 0.0 { -f64::from(*p) * f64::from(*p).ln() } else { 0.0 };
    probabilities.chunks_exact(classes).map(|row| row.iter().map(term).sum()).collect()
}

/// The class of the largest number of every row.
pub fn predictions(rows: &[f32], classes: usize) -> Vec<usize> {
    rows.chunks_exact(classes).map(loss::argmax).collect()
}

/// The place of every score in descending order: 0 for the highest.
fn places(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut places = vec![0; scores.len()];
    for (place, sample) in order.into_iter().enumerate() {
        places[sample] = place;
    }
    places
}

#[cfg(test)]
mod tests;
