//! From a trained network to what a device evaluates: batch normalisation goes into the convolution before it.
//!
//! `gain (W x + b - mean) / sqrt(variance + e) + shift = (s W) x + (s (b - mean) + shift)`, `s = gain / sqrt(variance + e)`.

use super::kernel::norm::EPSILON;
use super::kernel::pool::{Kind, Pool};
use super::network::Network;
use super::plan::Step;
use crate::image::net::graph::{Folded, Node, Operation, Window};

/// Why a network cannot be folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// Normalisation without a convolution of its own before it.
    #[error("batch normalisation folds into the convolution right before it, and here there is none; reorder `{0}`")]
    Normalisation(String),
    /// The tensors cannot be read.
    #[error("the weights cannot be read: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl Network {
    /// The network of inference, with names of the classes.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn fold(&self, classes: &[String]) -> Result<Folded, FoldError> {
        let mut nodes = Vec::new();
        self.fold_steps(&self.plan.steps, 0, &mut nodes)?;
        Ok(Folded {
            input: self.architecture.shape(),
            mean: self.normalisation.mean.clone(),
            deviation: self.normalisation.deviation.clone(),
            nodes,
            classes: classes.to_vec(),
        })
    }

    fn values(&self, k: usize) -> Result<Vec<f32>, FoldError> {
        Ok(self.variables[k].flatten_all()?.to_vec1()?)
    }

    /// Appends nodes for `steps` on value `from`; returns the number of the last value.
    fn fold_steps(&self, steps: &[Step], from: usize, nodes: &mut Vec<Node>) -> Result<usize, FoldError> {
        let mut input = from;
        for step in steps {
            let operation = match step {
                Step::Conv { geometry, weight, relu } => Operation::Conv {
                    weight: self.values(*weight)?,
                    bias: self.values(weight + 1)?,
                    window: geometry.window,
                    groups: 1,
                    relu: *relu,
                },
                Step::Dense { weight, relu } => {
                    Operation::Dense { weight: self.values(*weight)?, bias: self.values(weight + 1)?, relu: *relu }
                }
                Step::Norm { norm, gain, moments } => {
                    let whole = input != from;
                    let before = nodes.last_mut().filter(|_| whole).map(|node| &mut node.operation);
                    let Some(Operation::Conv { weight, bias, relu: bent @ false, .. }) = before else {
                        return Err(FoldError::Normalisation(self.architecture.name.clone()));
                    };
                    *bent = norm.relu;
                    self.fold_norm(*gain, *moments, weight, bias)?;
                    let Some(pool) = &norm.pool else { continue };
                    pooling(pool)
                }
                Step::Pool(pool) => pooling(pool),
                Step::Flatten => Operation::Flatten,
                Step::Dropout(_) => continue,
                Step::Residual { body, shortcut } => {
                    let other = self.fold_steps(shortcut, input, nodes)?;
                    input = self.fold_steps(body, input, nodes)?;
                    Operation::Add { other, relu: true }
                }
            };
            nodes.push(Node { input, operation });
            input = nodes.len();
        }
        Ok(input)
    }

    fn fold_norm(&self, gain: usize, moments: usize, weight: &mut [f32], bias: &mut [f32]) -> Result<(), FoldError> {
        let (gain, shift, moments) = (self.values(gain)?, self.values(gain + 1)?, &self.moments[moments]);
        let taps = weight.len() / bias.len();
        for (o, weight) in weight.chunks_exact_mut(taps).enumerate() {
            let scale = gain[o] / (moments.variance[o] + EPSILON).sqrt();
            weight.iter_mut().for_each(|w| *w *= scale);
            bias[o] = scale * (bias[o] - moments.mean[o]) + shift[o];
        }
        Ok(())
    }
}

fn pooling(pool: &Pool) -> Operation {
    let window = Window::square(pool.size, pool.size, 0);
    match pool.kind {
        Kind::Average if pool.output() == [1, 1] && pool.height == pool.width => Operation::GlobalAverage,
        Kind::Average => Operation::AveragePool(window),
        Kind::Max => Operation::MaxPool(window),
    }
}
