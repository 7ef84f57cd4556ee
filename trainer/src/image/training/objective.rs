//! What a batch is trained towards: labels as shares of classes, and the answers of a teacher.
//!
//! `L = -(1 - a) sum_k t_k ln p_k - a T^2 sum_k q_k ln p'_k`, the mean over the batch, with the targets t, the network's
//! probabilities p, and for distillation (Hinton, Vinyals, Dean 2015) its probabilities p' and the teacher's q, both with logits
//! divided by the temperature T. T^2 keeps the gradient of the second sum as large as that of the first.

use crate::image::net::error::NetworkError;
use crate::image::net::kernel::loss::softmax;
use crate::image::net::network::Network;
use candle_core::{Result, Tensor};
use candle_nn::ops::log_softmax;
use std::sync::Arc;

/// A trained network whose answers are learned besides the labels.
#[derive(Debug, Clone)]
pub struct Teacher {
    /// The network. It takes images of the same shape and has the same classes.
    pub network: Arc<Network>,
    /// The number that logits are divided by before they are compared.
    pub temperature: f64,
    /// The share of the loss that the teacher's answers have; labels have the rest.
    pub share: f64,
}

impl Teacher {
    /// Its probabilities for every image at the temperature, `[n, classes]`.
    ///
    /// # Errors
    /// [`NetworkError::Tensor`] if the network cannot be computed.
    pub fn answers(&self, pixels: &[f32]) -> std::result::Result<Vec<f32>, NetworkError> {
        let mut logits = self.network.outputs(pixels)?.logits;
        logits.iter_mut().for_each(|z| *z /= self.temperature as f32);
        Ok(softmax(&logits, self.network.architecture.classes))
    }
}

/// The weight of every class that makes all classes count alike in a subset with these labels: images / (classes x images of the
/// class). Classes without an image do not count.
pub fn balance(labels: impl Iterator<Item = u8>, classes: usize) -> Vec<f32> {
    let mut counts = vec![0.0; classes];
    labels.for_each(|label| counts[usize::from(label)] += 1.0);
    let present = counts.iter().filter(|count| **count > 0.0).count();
    let total: f32 = counts.iter().sum();
    counts.iter().map(|count| if *count > 0.0 { total / (present as f32 * count) } else { 0.0 }).collect()
}

/// The targets of a batch, `[n, classes]`: 1 for the label, of which `smoothing` is spread over all classes, times the weight
/// of the label's class.
pub fn targets(labels: &[u8], classes: usize, smoothing: f64, weights: Option<&[f32]>) -> Vec<f32> {
    let mut rows = vec![(smoothing / classes as f64) as f32; labels.len() * classes];
    for (row, label) in rows.chunks_exact_mut(classes).zip(labels) {
        row[usize::from(*label)] += (1.0 - smoothing) as f32;
        if let Some(weights) = weights {
            row.iter_mut().for_each(|share| *share *= weights[usize::from(*label)]);
        }
    }
    rows
}

/// The mean over the batch of `-sum_k t_k ln p_k`, for targets t `[n, classes]` and logits divided by `temperature`.
pub fn cross_entropy(logits: &Tensor, targets: Vec<f32>, temperature: f64) -> Result<Tensor> {
    let n = logits.dim(0)?;
    let targets = Tensor::from_vec(targets, logits.shape(), logits.device())?;
    let logarithms = log_softmax(&(logits / temperature)?, 1)?;
    (targets * logarithms)?.sum_all()? * (-1.0 / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::net::kernel::tests::numbers;
    use crate::image::net::operation;
    use candle_core::{Device, Var};

    fn value(tensor: &Tensor) -> f32 {
        tensor.to_scalar().unwrap()
    }

    #[test]
    fn hard_targets_are_the_plain_loss_with_its_gradient() {
        let (labels, logits) = ([2, 0, 1, 1], Var::from_vec(numbers(12, 3), (4, 3), &Device::Cpu).unwrap());
        let plain = operation::cross_entropy(&logits, &labels).unwrap();
        let soft = cross_entropy(&logits, targets(&labels, 3, 0.0, None), 1.0).unwrap();
        assert!((value(&plain) - value(&soft)).abs() < 1e-6);
        let gradient = |loss: &Tensor| -> Vec<f32> {
            loss.backward().unwrap().get(&logits).unwrap().flatten_all().unwrap().to_vec1().unwrap()
        };
        for (a, b) in gradient(&plain).iter().zip(gradient(&soft)) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }

    /// Against differences of the loss, with smoothing, weights and a temperature.
    #[test]
    fn gradients_are_those_of_differences() {
        let (labels, z) = ([2, 0, 1, 1], numbers(12, 4));
        let wanted = targets(&labels, 3, 0.2, Some(&[0.5, 1.0, 3.0]));
        let loss = |z: Vec<f32>| {
            let logits = Var::from_vec(z, (4, 3), &Device::Cpu).unwrap();
            (cross_entropy(&logits, wanted.clone(), 2.5).unwrap(), logits)
        };
        let (at, logits) = loss(z.clone());
        let gradient: Vec<f32> = at.backward().unwrap().get(&logits).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        for k in 0..12 {
            let moved = |by: f32| {
                let mut z = z.clone();
                z[k] += by;
                value(&loss(z).0)
            };
            let slope = (moved(0.05) - moved(-0.05)) / 0.1;
            assert!((slope - gradient[k]).abs() < 1e-3, "{k}: {slope} {}", gradient[k]);
        }
    }

    #[test]
    fn smoothing_keeps_the_sum_and_balance_makes_classes_count_alike() {
        let rows = targets(&[1, 0], 4, 0.2, None);
        assert!(rows.chunks(4).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6));
        assert!((rows[1] - 0.85).abs() < 1e-6 && (rows[0] - 0.05).abs() < 1e-6);
        let labels = [0u8, 0, 0, 1, 3, 3];
        let weights = balance(labels.iter().copied(), 4);
        let of = |class: u8| {
            let own = labels.iter().filter(|label| **label == class).count();
            own as f32 * weights[usize::from(class)]
        };
        assert!([0, 1, 3].iter().all(|class| (of(*class) - 2.0).abs() < 1e-6), "{weights:?}");
        assert_eq!(weights[2], 0.0);
    }
}
