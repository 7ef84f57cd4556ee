//! From a trained network to the graph of inference: batch normalization goes into the convolution before it.
//!
//! `gain (W x + b - mean) / sqrt(variance + e) + shift = (s W) x + (s (b - mean) + shift)`, `s = gain / sqrt(variance + e)`.

use super::error::NetworkError;
use super::graph::{Floats, Graph, Node, Operation};
use super::kernel::norm::EPSILON;
use super::kernel::pool::{Kind, Pool};
use super::network::Network;
use super::steps::Step;
use sirocco::layer::shape::{Shape, Window};

impl Network {
    /// The network of inference, with names of the classes.
    ///
    /// # Errors
    /// [`NetworkError::Normalization`] if a normalization does not follow a convolution, [`NetworkError::Tensor`] if the weights
    /// cannot be read.
    pub fn fold(&self, classes: &[String]) -> Result<Graph<Floats>, NetworkError> {
        let mut nodes = Vec::new();
        self.fold_steps(&self.steps.list, 0, &mut nodes)?;
        Ok(Graph {
            input: self.architecture.shape(),
            mean: self.normalization.mean.clone(),
            deviation: self.normalization.deviation.clone(),
            nodes,
            classes: classes.to_vec(),
        })
    }

    fn values(&self, k: usize) -> Result<Vec<f32>, NetworkError> {
        Ok(self.variables[k].flatten_all()?.to_vec1()?)
    }

    /// Weights and biases that begin with variable `k`.
    fn floats(&self, k: usize) -> Result<Floats, NetworkError> {
        Ok(Floats { weight: self.values(k)?, bias: self.values(k + 1)? })
    }

    /// Appends nodes for `steps` on value `from`; returns the number of the last value.
    fn fold_steps(&self, steps: &[Step], from: usize, nodes: &mut Vec<Node<Floats>>) -> Result<usize, NetworkError> {
        let mut input = from;
        for step in steps {
            let (operation, weights) = match step {
                Step::Conv { geometry, weight, relu } => {
                    let (filters, window) = (geometry.output.channels, geometry.window);
                    (Operation::Conv { filters, window, groups: 1, relu: *relu }, self.floats(*weight)?)
                }
                Step::Dense { weight, relu } => {
                    let weights = self.floats(*weight)?;
                    (Operation::Dense { outputs: weights.bias.len(), relu: *relu }, weights)
                }
                Step::Norm { norm, gain, moments } => {
                    let before = nodes.last_mut().filter(|_| input != from);
                    let Some(Node { operation: Operation::Conv { relu: relu @ false, .. }, weights, .. }) = before
                    else {
                        return Err(NetworkError::Normalization(self.architecture.name.clone()));
                    };
                    *relu = norm.relu;
                    self.fold_norm(*gain, *moments, weights)?;
                    let Some(pool) = &norm.pool else { continue };
                    (pooling(pool), Floats::default())
                }
                Step::Pool(pool) => (pooling(pool), Floats::default()),
                // A dense layer reads its input in the order in which flattening leaves it.
                Step::Flatten | Step::Dropout(_) => continue,
                Step::Residual { body, shortcut } => {
                    let other = self.fold_steps(shortcut, input, nodes)?;
                    input = self.fold_steps(body, input, nodes)?;
                    (Operation::Add { other, relu: true }, Floats::default())
                }
            };
            nodes.push(Node { input, operation, weights });
            input = nodes.len();
        }
        Ok(input)
    }

    fn fold_norm(&self, gain: usize, moments: usize, weights: &mut Floats) -> Result<(), NetworkError> {
        let Floats { weight, bias } = weights;
        let (gain, shift, moments) = (self.values(gain)?, self.values(gain + 1)?, &self.moments[moments]);
        let taps = weight.len() / bias.len();
        for (o, weight) in weight.chunks_exact_mut(taps).enumerate() {
            let scale = gain[o] / (moments.variance[o] + EPSILON).sqrt();
            for w in weight {
                *w *= scale;
            }
            bias[o] = scale * (bias[o] - moments.mean[o]) + shift[o];
        }
        Ok(())
    }
}

fn pooling(&Pool { kind, size, height, width }: &Pool) -> Operation {
    let window = Window::square(size, size, 0);
    match kind {
        Kind::Average if [height, width] == window.kernel => {
            Operation::global_average(Shape { height, width, channels: 1 })
        }
        Kind::Average => Operation::AveragePool(window),
        Kind::Max => Operation::MaxPool(window),
    }
}
