//! Taking a trained network to another domain with the labels of a few chosen samples.
//!
//! The pool is target training data without its validation part. Samples are chosen once, in rounds (each round adds
//! its share with the network as it has become), or anew every few epochs. Every arm takes the same number of steps
//! and ends with its last weights; nothing is chosen on test data.

use super::training::{Settings, Stage, Training, TrainingError};
use crate::dataset::Images;
use crate::host::interrupt::Interrupt;
use crate::image::net::network::Network;
use crate::image::select::{self, Choice, Criterion, Ledger, View};
use std::cell::OnceCell;

/// How samples are chosen, and for how many steps the network is trained on them.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// The criterion.
    pub criterion: Criterion,
    /// Another one for the first round.
    pub opening: Option<Criterion>,
    /// Share of the pool that is trained on at the end.
    pub fraction: f64,
    /// The number of rounds of choice, each with the same share of samples and steps.
    pub rounds: usize,
    /// The number of epochs after which the whole subset is chosen anew, in place of rounds.
    pub recompute_every: Option<usize>,
    /// Steps in all.
    pub steps: usize,
}

impl Arm {
    /// An arm with a single choice, before training.
    pub fn once(criterion: Criterion, fraction: f64, steps: usize) -> Self {
        Arm { criterion, opening: None, fraction, rounds: 1, recompute_every: None, steps }
    }

    /// The same, chosen in rounds.
    #[must_use]
    pub fn in_rounds(self, rounds: usize) -> Self {
        Arm { rounds, ..self }
    }

    /// The same, with another criterion for the first round.
    #[must_use]
    pub fn opened_by(self, criterion: Criterion) -> Self {
        Arm { opening: Some(criterion), ..self }
    }

    /// The same, chosen anew every `epochs` of the subset.
    #[must_use]
    pub fn recomputed(self, epochs: usize) -> Self {
        Arm { recompute_every: Some(epochs), ..self }
    }

    /// Name in tables, without the fraction.
    pub fn name(&self) -> String {
        let opening = self.opening.map_or(String::new(), |o| format!("{}, then ", o.name));
        match self.recompute_every {
            Some(epochs) => format!("{}, every {epochs} epochs", self.criterion.name),
            None if self.rounds > 1 => format!("{opening}{}, {} rounds", self.criterion.name, self.rounds),
            None => self.criterion.name.to_string(),
        }
    }
}

/// The images of the target domain.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Samples that may be labeled.
    pub pool: &'a Images,
    /// Labeled samples that are never trained on, the same for all arms.
    pub validation: &'a Images,
}

/// The result of an adaptation.
#[derive(Debug)]
pub struct Adapted {
    /// The last weights.
    pub network: Network,
    /// All choices, in order.
    pub choices: Vec<Choice>,
    /// Samples that were trained on at the end.
    pub subset: Vec<usize>,
    /// The number of distinct labels that were read: of subsets, for scores, and of validation where a choice used it.
    pub labels_seen: usize,
}

/// Adapts `source` to the target. `watch` is called after every step, with its loss.
///
/// # Errors
/// [`TrainingError`] if the network cannot be computed, training diverges, or the user stops it.
pub fn adapt(
    source: &Network,
    target: Target<'_>,
    arm: &Arm,
    settings: &Settings,
    stop: &Interrupt,
    mut watch: impl FnMut(&Training, f32),
) -> Result<Adapted, TrainingError> {
    let n = target.pool.len();
    let budget = ((arm.fraction * n as f64).round() as usize).clamp(1, n.max(1));
    let mut training = Training::new(source.duplicate()?, settings)?;
    let mut ledger = Ledger::new(&target.pool.labels);
    let mut weights = vec![1.0 / n as f64; n];
    let (mut taken, mut subset, mut choices) = (vec![false; n], Vec::new(), Vec::new());
    while training.step < arm.steps {
        let number = choices.len();
        let (count, end) = match arm.recompute_every {
            None => {
                let (round, rounds) = (number + 1, arm.rounds.max(1));
                (budget * round / rounds - subset.len(), arm.steps * round / rounds)
            }
            Some(epochs) => {
                taken.fill(false);
                subset.clear();
                (budget, (training.step + epochs * budget.div_ceil(settings.batch)).min(arm.steps))
            }
        };
        let criterion = arm.opening.filter(|_| number == 0).unwrap_or(arm.criterion);
        let mut view = View {
            network: training.evaluated(),
            pool: target.pool,
            validation: target.validation,
            ledger: &mut ledger,
            budget: count,
            taken: &taken,
            weights: &mut weights,
            seed: settings.seed,
            round: number as u64,
            cache: OnceCell::new(),
        };
        let choice = select::choose(criterion, &mut view).map_err(TrainingError::Network)?;
        for sample in &choice.chosen {
            taken[*sample] = true;
            _ = ledger.label(*sample);
        }
        subset.extend_from_slice(&choice.chosen);
        choices.push(choice);
        let stage = Stage { number: number as u64, first: training.step, end, subset: &subset };
        training.run(target.pool, stage, stop, &mut watch)?;
    }
    Ok(Adapted { network: training.finish(), choices, subset, labels_seen: ledger.count() })
}

/// Trains a network on all of `images`. `watch` is called after every step, with its loss.
///
/// # Errors
/// [`TrainingError`] if the network cannot be computed, training diverges, or the user stops it.
pub fn pretrain(
    network: Network,
    images: &Images,
    steps: usize,
    settings: &Settings,
    stop: &Interrupt,
    watch: impl FnMut(&Training, f32),
) -> Result<Network, TrainingError> {
    let mut training = Training::new(network, settings)?;
    let all: Vec<usize> = (0..images.len()).collect();
    training.run(images, Stage { number: 0, first: 0, end: steps, subset: &all }, stop, watch)?;
    Ok(training.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::select::find;
    use crate::image::training::tests::{quarters, small};

    fn run(arm: &Arm) -> Adapted {
        let (pool, validation) = (quarters(100, 5, 0.3), quarters(20, 6, 0.3));
        let target = Target { pool: &pool, validation: &validation };
        let settings = Settings { batch: 10, ..Settings::usual(0) };
        let mut steps = 0;
        let adapted = adapt(&small(0), target, arm, &settings, &Interrupt::never(), |_, _| steps += 1).unwrap();
        assert_eq!(steps, arm.steps, "{}", arm.name());
        adapted
    }

    #[test]
    fn rounds_add_up_to_the_budget_and_never_repeat_a_sample() {
        let arm = Arm::once(find("margin").unwrap(), 0.3, 14).in_rounds(4).opened_by(find("badge").unwrap());
        let adapted = run(&arm);
        assert_eq!((adapted.choices.len(), adapted.subset.len(), adapted.labels_seen), (4, 30, 30));
        let mut distinct = adapted.subset.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 30);
        assert_eq!(arm.name(), "badge, then margin, 4 rounds");
    }

    #[test]
    fn choosing_anew_sees_more_labels_than_it_trains_on() {
        let arm = Arm::once(find("random").unwrap(), 0.2, 20).recomputed(2);
        let adapted = run(&arm);
        // 20 samples are 2 steps an epoch, so 5 choices of 20.
        assert_eq!((adapted.choices.len(), adapted.subset.len()), (5, 20));
        assert!((40..=100).contains(&adapted.labels_seen), "{}", adapted.labels_seen);
    }

    #[test]
    fn scores_that_need_the_truth_are_billed_for_it() {
        let seen = |name| run(&Arm::once(find(name).unwrap(), 0.1, 2)).labels_seen;
        assert_eq!((seen("entropy-most"), seen("random")), (10, 10));
        assert_eq!((seen("highest-loss"), seen("error")), (100, 100));
        assert_eq!((seen("differential"), seen("temperature")), (120, 30));
    }
}
