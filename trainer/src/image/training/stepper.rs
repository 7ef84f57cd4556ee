//! The optimizer of a run, with its moments.

use super::settings::{Optimizer, Settings};
use crate::image::net::network::Network;
use crate::optimizer::{Adam, Rates, Sgd};
use candle_core::backprop::GradStore;
use candle_nn::Optimizer as _;

/// The optimizer of a run, with its moments.
#[derive(Debug)]
pub(super) enum Stepper {
    Adam(Adam),
    Sgd(Sgd),
}

impl Stepper {
    pub fn new(network: &Network, settings: &Settings) -> candle_core::Result<Self> {
        let (variables, rates) = (network.variables.clone(), Rates { learning: settings.rate, decay: settings.decay });
        Ok(match settings.optimizer {
            Optimizer::Adam => Stepper::Adam(Adam::new(variables, rates)?),
            Optimizer::Sgd => Stepper::Sgd(Sgd::new(variables, rates)?),
        })
    }

    pub fn step(&mut self, gradients: &GradStore, rate: f64) -> candle_core::Result<()> {
        match self {
            Stepper::Adam(adam) => {
                adam.set_learning_rate(rate);
                adam.step(gradients)
            }
            Stepper::Sgd(sgd) => {
                sgd.set_learning_rate(rate);
                sgd.step(gradients)
            }
        }
    }

    /// Both moments of variable `k`. SGD has a velocity only; its second moment is zero.
    pub fn moments(&self, k: usize) -> candle_core::Result<[Vec<f32>; 2]> {
        match self {
            Stepper::Adam(adam) => adam.weights[k].moments(),
            Stepper::Sgd(sgd) => {
                let [velocity] = sgd.weights[k].moments()?;
                let zeros = vec![0.0; velocity.len()];
                Ok([velocity, zeros])
            }
        }
    }

    /// Continues after `steps` steps, which left these moments of all variables.
    pub fn restore(&mut self, steps: usize, moments: Vec<[Vec<f32>; 2]>) -> candle_core::Result<()> {
        match self {
            Stepper::Adam(adam) => {
                adam.set_steps(steps);
                for (weights, moments) in adam.weights.iter_mut().zip(moments) {
                    weights.set_moments(moments)?;
                }
            }
            Stepper::Sgd(sgd) => {
                for (weights, [velocity, _]) in sgd.weights.iter_mut().zip(moments) {
                    weights.set_moments([velocity])?;
                }
            }
        }
        Ok(())
    }
}
