//! A moving average of the weights (Polyak and Juditsky 1992; in deep learning "EMA"): it is evaluated and saved in place of the
//! last weights, which still jump from step to step.

use crate::image::net::network::Network;
use crate::optimizer::approach;
use candle_core::Result;

/// The average of a training's weights and running moments.
#[derive(Debug)]
pub(super) struct Average {
    /// The network with averaged weights.
    pub network: Network,
    /// The share of the average that a step keeps, after the first steps.
    decay: f64,
}

impl Average {
    /// The average before the first step.
    pub fn new(network: &Network, decay: f64) -> Result<Self> {
        Ok(Average { network: network.duplicate()?, decay })
    }

    /// Takes in the weights after so many steps. The first steps keep less of the average, (1 + steps) / (10 + steps), so that
    /// the random first weights are soon forgotten.
    pub fn follow(&mut self, network: &Network, steps: usize) -> Result<()> {
        let share = 1.0 - self.decay.min((1 + steps) as f64 / (10 + steps) as f64);
        for (average, weights) in self.network.variables.iter().zip(&network.variables) {
            approach(average, weights.as_tensor(), share)?;
        }
        for (average, moments) in self.network.moments.iter_mut().zip(&network.moments) {
            let means = average.mean.iter_mut().zip(&moments.mean);
            for (average, new) in means.chain(average.variance.iter_mut().zip(&moments.variance)) {
                *average += share as f32 * (new - *average);
            }
        }
        Ok(())
    }
}
