//! The state of a run of Adam: weights, moments, the best weights so far; its update and its checkpoint.

use crate::bundle::mlp::Mlp;
use crate::host::checkpoint::{Checkpoint, CheckpointError, Identity};
use std::path::Path;

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// The state of a run, complete enough to resume from: a checkpoint holds all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Current weights, in the order of [`Mlp::parameters`].
    pub parameters: Vec<f32>,
    /// Running mean of the gradient.
    pub first: Vec<f32>,
    /// Running mean of the squared gradient.
    pub second: Vec<f32>,
    /// Steps done.
    pub step: usize,
    /// Epochs done.
    pub epoch: u64,
    /// Wall-clock seconds spent.
    pub seconds: f64,
    /// LogLoss on the points of the last epoch, each minibatch before its step.
    pub loss: f64,
    /// Weights with the best held-out score; the first weights until four fifths of the budget are spent.
    pub best: Mlp,
    /// Score of `best`: LogLoss on the held-out points; infinite until four fifths of the budget are spent.
    pub best_score: f64,
}

impl State {
    /// The start of a run from `mlp`, whose weights are rounded to f32.
    pub fn new(mlp: Mlp) -> Self {
        let parameters: Vec<f32> = mlp.parameters.iter().map(|p| *p as f32).collect();
        let zeros = vec![0.0; parameters.len()];
        State {
            first: zeros.clone(),
            second: zeros,
            parameters,
            step: 0,
            epoch: 0,
            seconds: 0.0,
            loss: f64::NAN,
            best: mlp,
            best_score: f64::INFINITY,
        }
    }

    /// The state as a checkpoint of the run `identity`.
    pub fn checkpoint(&self, identity: Identity) -> Checkpoint {
        let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect();
        let tensors = [
            ("parameters", wide(&self.parameters)),
            ("first", wide(&self.first)),
            ("second", wide(&self.second)),
            ("best", self.best.parameters.clone()),
            ("scalars", vec![self.seconds, self.loss, self.best_score]),
        ];
        let counters = [("step".to_string(), self.step as u64), ("epoch".to_string(), self.epoch)];
        let tensors = tensors.into_iter().map(|(name, values)| (name.to_string(), values)).collect();
        Checkpoint { identity, counters: counters.into(), tensors }
    }

    /// Goes on from a checkpoint read from `path`, of a network of the same widths.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if a number or tensor is missing, or has another length.
    pub fn restore(&mut self, checkpoint: &Checkpoint, path: &Path) -> Result<(), CheckpointError> {
        let count = self.parameters.len();
        let narrow = |name: &str| -> Result<Vec<f32>, CheckpointError> {
            Ok(checkpoint.tensor(path, name, count)?.iter().map(|v| *v as f32).collect())
        };
        let scalars = checkpoint.tensor(path, "scalars", 3)?;
        *self = State {
            parameters: narrow("parameters")?,
            first: narrow("first")?,
            second: narrow("second")?,
            step: checkpoint.counter(path, "step")? as usize,
            epoch: checkpoint.counter(path, "epoch")?,
            seconds: scalars[0],
            loss: scalars[1],
            best: Mlp { parameters: checkpoint.tensor(path, "best", count)?.to_vec(), ..self.best.clone() },
            best_score: scalars[2],
        };
        Ok(())
    }

    /// The network with the current weights.
    pub fn mlp(&self) -> Mlp {
        Mlp { parameters: self.parameters.iter().map(|p| f64::from(*p)).collect(), ..self.best.clone() }
    }

    /// The network to use: the best one, or the current one if the run was interrupted before there was a best one.
    pub fn answer(&self) -> Mlp {
        if self.best_score.is_finite() { self.best.clone() } else { self.mlp() }
    }

    /// One step along the gradient.
    pub(super) fn update(&mut self, gradient: &[f32], learning_rate: f64) {
        self.step += 1;
        let moments = (&mut self.first[..], &mut self.second[..]);
        update(&mut self.parameters, gradient, moments, learning_rate, self.step);
    }
}

/// The update of Adam that makes step number `step` (the first is 1), with both corrections of its moments put into the
/// rate.
fn update(weights: &mut [f32], gradient: &[f32], (first, second): (&mut [f32], &mut [f32]), rate: f64, step: usize) {
    let power = |beta: f32| 1.0 - f64::from(beta).powf(step as f64);
    let rate = (rate * power(BETA_2).sqrt() / power(BETA_1)) as f32;
    let epsilon = EPSILON * power(BETA_2).sqrt() as f32;
    for ((w, g), (m, v)) in weights.iter_mut().zip(gradient).zip(first.iter_mut().zip(second)) {
        *m = BETA_1 * *m + (1.0 - BETA_1) * g;
        *v = BETA_2 * *v + (1.0 - BETA_2) * g * g;
        *w -= rate * *m / (v.sqrt() + epsilon);
    }
}
