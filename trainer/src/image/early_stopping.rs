//! Early stopping (Prechelt 1998): a training ends when the mean cross-entropy of validation images has not fallen for a number
//! of checks, and the weights of the lowest one are restored.
//!
//! Studies of label selection do not use it: their arms take equal numbers of steps and end with their last weights.

use super::training::{Stage, Training, TrainingError};
use crate::dataset::Images;
use crate::host::checkpoint::{Checkpoint, CheckpointError};
use crate::host::interrupt::Interrupt;
use crate::image::net::error::NetworkError;
use crate::image::net::kernel::loss;
use crate::image::net::kernel::norm::Moments;
use serde::Serialize;
use std::path::Path;

/// The interval of the checks, their number before the end, and the best network so far.
#[derive(Debug)]
pub struct EarlyStopping {
    /// Steps between two checks.
    interval: usize,
    /// Checks without improvement before the end.
    patience: usize,
    best: Option<Best>,
    /// Checks since the best one.
    since_best: usize,
    /// Step of the last check.
    last_check: usize,
}

#[derive(Debug)]
struct Best {
    step: usize,
    loss: f64,
    weights: Vec<Vec<f32>>,
    moments: Vec<Moments>,
}

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ending {
    /// The step of the restored weights.
    pub best_step: usize,
    /// Their mean cross-entropy on the validation images.
    pub validation_loss: f64,
    /// The number of steps done.
    pub steps: usize,
    /// Whether it ended before its last step.
    pub early: bool,
}

impl EarlyStopping {
    /// A check every `interval` steps, and the end after `patience` checks without improvement.
    pub fn new(interval: usize, patience: usize) -> Self {
        EarlyStopping { interval: interval.max(1), patience: patience.max(1), best: None, since_best: 0, last_check: 0 }
    }

    /// Runs the steps of a stage that are not done yet, until its end or until validation has not improved for long enough.
    /// `images` must not hold `validation`. `watch` is called after every step, with its loss.
    ///
    /// # Errors
    /// [`TrainingError`] if the network cannot be computed or training diverges. After [`TrainingError::Interrupted`] another
    /// call continues.
    pub fn run(
        &mut self,
        training: &mut Training,
        [images, validation]: [&Images; 2],
        stage: Stage<'_>,
        stop: &Interrupt,
        mut watch: impl FnMut(&Self, &Training, f32),
    ) -> Result<(), TrainingError> {
        loop {
            // A checkpoint may have been written between a step and the check after it.
            let due = training.step.is_multiple_of(self.interval) || training.step == stage.end;
            if due && training.step > self.last_check {
                self.check(training, validation)?;
            }
            if training.step >= stage.end || self.since_best >= self.patience {
                return Ok(());
            }
            let until = stage.end.min((training.step / self.interval + 1) * self.interval);
            training.run_until(until, images, stage, stop, |training, loss| watch(self, training, loss))?;
        }
    }

    fn check(&mut self, training: &Training, validation: &Images) -> Result<(), NetworkError> {
        let logits = training.evaluated().outputs(&validation.pixels)?.logits;
        let each = loss::cross_entropy(&logits, &validation.labels, validation.classes);
        let loss = each.iter().map(|l| f64::from(*l)).sum::<f64>() / each.len().max(1) as f64;
        (self.since_best, self.last_check) = (self.since_best + 1, training.step);
        if self.best.as_ref().is_none_or(|best| loss < best.loss) {
            let network = training.evaluated();
            let weights = network.variables.iter().map(|v| v.flatten_all()?.to_vec1::<f32>());
            let weights = weights.collect::<Result<_, candle_core::Error>>()?;
            self.best = Some(Best { step: training.step, loss, weights, moments: network.moments.clone() });
            self.since_best = 0;
        }
        Ok(())
    }

    /// Restores the best weights. Returns `None`, and changes nothing, if there was no check yet.
    ///
    /// # Errors
    /// [`NetworkError::Tensor`] if the device cannot store the weights.
    pub fn finish(self, training: &mut Training, end: usize) -> Result<Option<Ending>, NetworkError> {
        let Some(Best { step, loss, weights, moments }) = self.best else { return Ok(None) };
        training.end_with(weights, moments)?;
        let steps = training.step;
        Ok(Some(Ending { best_step: step, validation_loss: loss, steps, early: steps < end }))
    }

    /// Adds the best network so far to a checkpoint of the training.
    pub fn store(&self, checkpoint: &mut Checkpoint) {
        let Some(best) = &self.best else { return };
        let to_f64 = |values: &[f32]| -> Vec<f64> { values.iter().map(|v| f64::from(*v)).collect() };
        let tensors = &mut checkpoint.tensors;
        for (k, weights) in best.weights.iter().enumerate() {
            tensors.insert(format!("best.{k}"), to_f64(weights));
        }
        for (k, moments) in best.moments.iter().enumerate() {
            tensors.insert(format!("best.mean.{k}"), to_f64(&moments.mean));
            tensors.insert(format!("best.variance.{k}"), to_f64(&moments.variance));
        }
        tensors.insert("best.loss".into(), vec![best.loss]);
        checkpoint.counters.insert("best.step".into(), best.step as u64);
        checkpoint.counters.insert("best.since".into(), self.since_best as u64);
        checkpoint.counters.insert("best.looked".into(), self.last_check as u64);
    }

    /// Takes the best network so far from a checkpoint read from `path`, where [`EarlyStopping::store`] put it.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if a number is missing or the weights are not those of this network.
    pub fn restore(
        &mut self,
        checkpoint: &Checkpoint,
        path: &Path,
        training: &Training,
    ) -> Result<(), CheckpointError> {
        if !checkpoint.counters.contains_key("best.step") {
            return Ok(());
        }
        let to_f32 = |name: String, count: usize| -> Result<Vec<f32>, CheckpointError> {
            Ok(checkpoint.tensor(path, &name, count)?.iter().map(|v| *v as f32).collect())
        };
        let variables = training.network.variables.iter().enumerate();
        let weights = variables.map(|(k, v)| to_f32(format!("best.{k}"), v.elem_count())).collect::<Result<_, _>>()?;
        let moments = training.network.moments.iter().enumerate().map(|(k, m)| {
            let count = m.mean.len();
            Ok(Moments {
                mean: to_f32(format!("best.mean.{k}"), count)?,
                variance: to_f32(format!("best.variance.{k}"), count)?,
            })
        });
        let moments = moments.collect::<Result<_, CheckpointError>>()?;
        let loss = checkpoint.tensor(path, "best.loss", 1)?[0];
        self.best = Some(Best { step: checkpoint.counter(path, "best.step")? as usize, loss, weights, moments });
        self.since_best = checkpoint.counter(path, "best.since")? as usize;
        self.last_check = checkpoint.counter(path, "best.looked")? as usize;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::training::tests::{quarters, small};
    use super::*;
    use crate::image::training::{Optimizer, Settings};

    /// Few noisy images with many wrong labels, which a network can only learn by heart.
    fn misleading() -> (Images, Images) {
        let mut images = quarters(24, 1, 0.4);
        images.labels.iter_mut().step_by(3).for_each(|l| *l = (*l + 1) % 4);
        (images, quarters(200, 2, 0.4))
    }

    fn settings() -> Settings {
        Settings { batch: 8, rate: 1e-2, optimizer: Optimizer::Adam, ..Settings::usual(3) }
    }

    fn fresh(seed: u64) -> Training {
        Training::new(small(seed), &settings()).unwrap()
    }

    fn validation_loss(training: &Training, validation: &Images) -> f64 {
        let mut now = EarlyStopping::new(1, 1);
        now.check(training, validation).unwrap();
        now.best.unwrap().loss
    }

    #[test]
    fn learning_by_heart_ends_early_with_the_best_weights() {
        let (images, validation) = misleading();
        let all: Vec<usize> = (0..images.len()).collect();
        let stage = Stage { number: 0, first: 0, end: 2000, subset: &all };
        let (mut training, mut early) = (fresh(0), EarlyStopping::new(5, 6));
        let never = Interrupt::never();
        early.run(&mut training, [&images, &validation], stage, &never, |_, _, _| {}).unwrap();
        let last = validation_loss(&training, &validation);
        let ending = early.finish(&mut training, stage.end).unwrap().unwrap();
        eprintln!("{ending:?}, last {last}");
        assert!(ending.early && ending.steps < 2000);
        assert_eq!(ending.steps, ending.best_step + 5 * 6, "patience");
        assert!(ending.validation_loss < last);
        assert_eq!(validation_loss(&training, &validation), ending.validation_loss, "weights and moments came back");

        // What is kept is what a training of just so many steps gives.
        let mut short = fresh(0);
        short.run_until(ending.best_step, &images, stage, &never, |_, _| {}).unwrap();
        assert_eq!(validation_loss(&short, &validation), ending.validation_loss);
    }

    #[test]
    fn patience_that_lasts_changes_nothing_but_the_weights_kept() {
        let (images, validation) = misleading();
        let all: Vec<usize> = (0..images.len()).collect();
        let stage = Stage { number: 0, first: 0, end: 12, subset: &all };
        let (mut training, mut early, mut steps) = (fresh(0), EarlyStopping::new(5, 9), 0);
        let never = Interrupt::never();
        early.run(&mut training, [&images, &validation], stage, &never, |_, _, _| steps += 1).unwrap();
        let ending = early.finish(&mut training, stage.end).unwrap().unwrap();
        assert_eq!((steps, ending.steps, ending.early), (12, 12, false), "the last look is at the end");
        let nothing = EarlyStopping::new(5, 9).finish(&mut training, 12).unwrap();
        assert_eq!(nothing, None);
    }

    #[test]
    fn a_resumed_one_ends_as_the_unbroken_one() {
        let (images, validation) = misleading();
        let all: Vec<usize> = (0..images.len()).collect();
        let stage = Stage { number: 0, first: 0, end: 60, subset: &all };
        let run = |training: &mut Training, early: &mut EarlyStopping, to: usize| {
            let stop = Interrupt::never();
            // At a step of a look, too, which comes after the step.
            let ending = early.run(training, [&images, &validation], stage, &stop, |_, training, _| {
                if training.step == to {
                    _ = stop.press();
                }
            });
            assert_eq!(ending.is_err(), to > 0);
        };
        let (mut unbroken, mut whole) = (fresh(0), EarlyStopping::new(5, 4));
        run(&mut unbroken, &mut whole, 0);

        let (mut stopped, mut half) = (fresh(0), EarlyStopping::new(5, 4));
        for to in [8, 10, 17] {
            run(&mut stopped, &mut half, to);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.checkpoint");
        let mut checkpoint = stopped.checkpoint(Default::default()).unwrap();
        half.store(&mut checkpoint);
        checkpoint.save(&path).unwrap();
        let checkpoint = Checkpoint::load(&path, &Default::default()).unwrap();
        let (mut resumed, mut rest) = (fresh(9), EarlyStopping::new(5, 4));
        resumed.restore(&checkpoint, &path).unwrap();
        rest.restore(&checkpoint, &path, &resumed).unwrap();
        run(&mut resumed, &mut rest, 0);
        assert_eq!(rest.finish(&mut resumed, 60).unwrap(), whole.finish(&mut unbroken, 60).unwrap());
        assert_eq!(validation_loss(&resumed, &validation), validation_loss(&unbroken, &validation));
    }
}
