//! An image network with weights, on a candle device: logits, features, training passes.

use super::architecture::Architecture;
use super::error::NetworkError;
use super::kernel::norm::Moments;
use super::operation;
use super::steps::{Step, Steps};
use crate::host::random::{Purpose, Random};
use candle_core::{Device, Result, Tensor, Var};

/// The share of the running moments that a batch replaces.
pub const MOMENTUM: f32 = 0.1;
/// Images evaluated together.
const BATCH: usize = 256;

/// From images to the network's input: (pixel - mean) / deviation, per channel. It is part of the network; no other code
/// normalizes.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    /// Mean of every channel.
    pub mean: Vec<f32>,
    /// Standard deviation of every channel.
    pub deviation: Vec<f32>,
}

impl Normalization {
    /// The normalization by mean and deviation of images `[n, channels, plane]`.
    pub fn of(pixels: &[f32], channels: usize, plane: usize) -> Self {
        let moments = Moments::of(pixels, channels, plane);
        let deviation = moments.variance.iter().map(|v| v.sqrt().max(1e-3)).collect();
        Normalization { mean: moments.mean, deviation }
    }

    /// The network's input for these images.
    pub fn apply(&self, pixels: &[f32], plane: usize) -> Vec<f32> {
        let mut out = Vec::with_capacity(pixels.len());
        for (k, x) in pixels.chunks_exact(plane).enumerate() {
            let c = k % self.mean.len();
            let (mean, scale) = (self.mean[c], 1.0 / self.deviation[c]);
            out.extend(x.iter().map(|x| (x - mean) * scale));
        }
        out
    }
}

/// A network: architecture, weights, running moments.
#[derive(Debug)]
pub struct Network {
    /// Its layers.
    pub architecture: Architecture,
    /// The steps of its evaluation.
    pub steps: Steps,
    /// The normalization of its input.
    pub normalization: Normalization,
    /// Weights, one per slot of the steps.
    pub variables: Vec<Var>,
    /// Running moments of the normalizations.
    pub moments: Vec<Moments>,
}

/// The purpose of a pass.
enum Mode<'a> {
    /// Running moments, no dropout. With `track`, gradients can be computed afterwards.
    Evaluate { track: bool },
    /// Dropout, and the moments of the batch, which are added to `moments` with the number of their normalization.
    Train { dropout: Random, moments: &'a mut Vec<(usize, Moments)> },
}

/// Logits of many images, and the input of the last layer for each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outputs {
    /// `[n, classes]`.
    pub logits: Vec<f32>,
    /// `[n, features]`: the input of the last layer.
    pub features: Vec<f32>,
    /// Features of one image.
    pub width: usize,
}

impl Network {
    /// A network whose weights and biases are uniform within 1 / sqrt(inputs), as in PyTorch; gains are 1, shifts 0.
    ///
    /// # Errors
    /// [`NetworkError`] if the layers do not fit together, or if the device has no memory for the weights.
    pub fn random(
        architecture: &Architecture,
        normalization: Normalization,
        seed: u64,
        device: &Device,
    ) -> std::result::Result<Self, NetworkError> {
        let steps = Steps::new(architecture)?;
        let mut random = Random::new(seed, Purpose::Weights, 0);
        let mut variables = Vec::new();
        for slot in &steps.slots {
            let count: usize = slot.shape.iter().product();
            let values: Vec<f32> = if slot.fan_in == 0 {
                vec![if slot.name.ends_with("gain") { 1.0 } else { 0.0 }; count]
            } else {
                let bound = 1.0 / (slot.fan_in as f64).sqrt();
                (0..count).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32).collect()
            };
            variables.push(Var::from_vec(values, slot.shape.as_slice(), device)?);
        }
        let fresh = |channels: &usize| Moments { mean: vec![0.0; *channels], variance: vec![1.0; *channels] };
        let moments = steps.normalized.iter().map(fresh).collect();
        Ok(Network { architecture: architecture.clone(), steps, normalization, variables, moments })
    }

    /// A copy with its own weights, on the same device.
    ///
    /// # Errors
    /// If the device has no memory for the weights.
    pub fn duplicate(&self) -> Result<Self> {
        let variables = self.variables.iter().map(|v| Var::from_tensor(&v.as_tensor().copy()?));
        Ok(Network {
            architecture: self.architecture.clone(),
            steps: self.steps.clone(),
            normalization: self.normalization.clone(),
            variables: variables.collect::<Result<_>>()?,
            moments: self.moments.clone(),
        })
    }

    /// The device of the weights.
    pub fn device(&self) -> Device {
        self.variables.first().map_or(Device::Cpu, |v| v.device().clone())
    }

    /// Its input for images `[n, c, h, w]` of pixels in 0 to 1.
    ///
    /// # Errors
    /// If the number of pixels is not that of `n` images.
    pub fn input(&self, pixels: &[f32], n: usize) -> Result<Tensor> {
        let [channels, height, width] = self.architecture.input;
        let normalized = self.normalization.apply(pixels, height * width);
        Tensor::from_vec(normalized, (n, channels, height, width), &self.device())
    }

    /// Logits of `x` from [`Self::input`], with running moments and without dropout. Gradients can be computed afterwards.
    ///
    /// # Errors
    /// If the device cannot compute a tensor.
    pub fn evaluate(&self, x: &Tensor) -> Result<Tensor> {
        self.run(&self.steps.list, x, &mut Mode::Evaluate { track: true })
    }

    /// Logits of `x` with the batch's own moments and with dropout drawn from `dropout`; updates the running moments.
    ///
    /// # Errors
    /// If the device cannot compute a tensor.
    pub fn train(&mut self, x: &Tensor, dropout: Random) -> Result<Tensor> {
        let mut moments = Vec::new();
        let logits = self.run(&self.steps.list, x, &mut Mode::Train { dropout, moments: &mut moments })?;
        for (k, batch) in moments {
            let count = (x.dim(0)? * self.plane(k)) as f32;
            let unbiased = count / (count - 1.0).max(1.0);
            let running = &mut self.moments[k];
            let means = running.mean.iter_mut().zip(&batch.mean).map(|(r, b)| (r, *b));
            let variances = running.variance.iter_mut().zip(&batch.variance).map(|(r, b)| (r, b * unbiased));
            for (running, batch) in means.chain(variances) {
                *running += MOMENTUM * (batch - *running);
            }
        }
        Ok(logits)
    }

    /// Logits and features of images, in batches, without gradients.
    ///
    /// # Errors
    /// If the device cannot compute a tensor.
    pub fn outputs(&self, pixels: &[f32]) -> Result<Outputs> {
        let size: usize = self.architecture.input.iter().product();
        let mut outputs = Outputs::default();
        let (last, body) = self.steps.list.split_last().expect("the last step gives the logits");
        for batch in pixels.chunks(BATCH * size) {
            let x = self.input(batch, batch.len() / size)?;
            let features = self.run(body, &x, &mut Mode::Evaluate { track: false })?;
            let logits = self.run(std::slice::from_ref(last), &features, &mut Mode::Evaluate { track: false })?;
            outputs.logits.extend(logits.flatten_all()?.to_vec1::<f32>()?);
            let features = features.flatten_from(1)?;
            outputs.width = features.dim(1)?;
            outputs.features.extend(features.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(outputs)
    }

    /// Sets the running moments to those of `pixels`, averaged over batches: an adaptation to another domain that needs no
    /// labels (AdaBN, Li et al. 2016).
    ///
    /// # Errors
    /// If the device cannot compute a tensor.
    pub fn recalibrate(&mut self, pixels: &[f32]) -> Result<()> {
        let size: usize = self.architecture.input.iter().product();
        let zero = |m: &Moments| Moments { mean: vec![0.0; m.mean.len()], variance: vec![0.0; m.mean.len()] };
        let mut sums: Vec<Moments> = self.moments.iter().map(zero).collect();
        let total = (pixels.len() / size).max(1) as f32;
        for batch in pixels.chunks(BATCH * size) {
            let images = batch.len() / size;
            let mut moments = Vec::new();
            // In the presets dropout comes after every normalization, so its draws do not change a moment.
            let dropout = Random::new(0, Purpose::Dropout, 0);
            let mode = &mut Mode::Train { dropout, moments: &mut moments };
            self.run(&self.steps.list, &self.input(batch, images)?, mode)?;
            let share = images as f32 / total;
            for (k, of_batch) in moments {
                let Moments { mean, variance } = &mut sums[k];
                let (means, variances) =
                    (mean.iter_mut().zip(of_batch.mean), variance.iter_mut().zip(of_batch.variance));
                for (sum, moment) in means.chain(variances) {
                    *sum += share * moment;
                }
            }
        }
        self.moments = sums;
        Ok(())
    }

    /// The size of one channel of the input of normalization `k`.
    fn plane(&self, k: usize) -> usize {
        fn find(steps: &[Step], k: usize) -> Option<usize> {
            steps.iter().find_map(|step| match step {
                Step::Norm { norm, moments, .. } if *moments == k => Some(norm.plane),
                Step::Residual { body, shortcut } => find(body, k).or_else(|| find(shortcut, k)),
                _ => None,
            })
        }
        find(&self.steps.list, k).unwrap_or(1)
    }

    fn run(&self, steps: &[Step], x: &Tensor, mode: &mut Mode<'_>) -> Result<Tensor> {
        steps.iter().try_fold(x.clone(), |x, step| self.step(step, &x, mode))
    }

    fn step(&self, step: &Step, x: &Tensor, mode: &mut Mode<'_>) -> Result<Tensor> {
        let track = !matches!(mode, Mode::Evaluate { track: false });
        let variable = |k: usize| {
            let tensor = self.variables[k].as_tensor();
            if track { tensor.clone() } else { tensor.detach() }
        };
        match step {
            Step::Conv { geometry, weight, relu } => {
                operation::convolution(x, &variable(*weight), &variable(weight + 1), geometry, *relu)
            }
            Step::Norm { norm, gain, moments } => {
                let (gain, shift) = (variable(*gain), variable(gain + 1));
                match mode {
                    Mode::Evaluate { .. } => {
                        operation::normalization(x, &gain, &shift, &self.moments[*moments], false, norm)
                    }
                    Mode::Train { moments: of_batch, .. } => {
                        let own = operation::moments(x)?;
                        let y = operation::normalization(x, &gain, &shift, &own, true, norm);
                        of_batch.push((*moments, own));
                        y
                    }
                }
            }
            Step::Pool(pool) => operation::pool(x, *pool),
            Step::Flatten => x.flatten_from(1),
            Step::Dropout(share) => match mode {
                Mode::Evaluate { .. } => Ok(x.clone()),
                Mode::Train { dropout, .. } => {
                    let kept = 1.0 / (1.0 - share);
                    let mask: Vec<f32> = (0..x.elem_count())
                        .map(|_| if dropout.uniform() < f64::from(*share) { 0.0 } else { kept })
                        .collect();
                    x.mul(&Tensor::from_vec(mask, x.shape(), x.device())?)
                }
            },
            Step::Dense { weight, relu } => operation::dense(x, &variable(*weight), &variable(weight + 1), *relu),
            Step::Residual { body, shortcut } => {
                let other = self.run(shortcut, x, mode)?;
                operation::add_relu(&self.run(body, x, mode)?, &other)
            }
        }
    }
}
