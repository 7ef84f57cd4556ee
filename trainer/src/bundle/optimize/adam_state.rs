//! The state of a run of Adam: weights, moments, the best weights so far; its update and its checkpoint.

use crate::bundle::mlp::Mlp;
use crate::host::checkpoint::{Checkpoint, CheckpointError, Identity};
use crate::optimizer::{Adam, Rates};
use candle_core::{Device, Tensor, Var};
use candle_nn::Optimizer;
use std::mem;
use std::path::Path;

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

    /// One step along the gradient. It is computed on the CPU, wherever the gradient was.
    pub(super) fn update(&mut self, gradient: &[f32], learning_rate: f64) -> candle_core::Result<()> {
        let tensor = |values: &[f32]| Tensor::from_slice(values, values.len(), &Device::Cpu);
        let weights = Var::from_tensor(&tensor(&self.parameters)?)?;
        let mut adam = Adam::new(vec![weights.clone()], Rates { learning: learning_rate, decay: 0.0 })?;
        adam.set_steps(self.step);
        adam.weights[0].set_moments([mem::take(&mut self.first), mem::take(&mut self.second)])?;
        let gradient = tensor(gradient)?;
        adam.step_along(|_| Some(&gradient))?;
        self.step += 1;
        self.parameters = weights.to_vec1()?;
        [self.first, self.second] = adam.weights[0].moments()?;
        Ok(())
    }
}
