//! An image network with weights, on a candle device: logits, features, training passes.

use super::architecture::Architecture;
use super::error::NetworkError;
use super::kernel::norm::Moments;
use super::operation;
use super::steps::{Step, Steps};
use crate::host::random::{Purpose, Random};
use candle_core::{Device, Result, Tensor, Var};

/// How much of the running moments a batch replaces.
pub const MOMENTUM: f32 = 0.1;
/// Images evaluated together.
const BATCH: usize = 256;

/// How images become the network's input: (pixel - mean) / deviation, per channel; done here and nowhere else.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    /// Mean of every channel.
    pub mean: Vec<f32>,
    /// Standard deviation of every channel.
    pub deviation: Vec<f32>,
}

impl Normalization {
    /// Of the images `[n, channels, plane]` it was measured on.
    pub fn of(pixels: &[f32], channels: usize, plane: usize) -> Self {
        let moments = Moments::of(pixels, channels, plane);
        let deviation = moments.variance.iter().map(|v| v.sqrt().max(1e-3)).collect();
        Normalization { mean: moments.mean, deviation }
    }

    /// Images as the network sees them.
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
    /// What it is made of.
    pub architecture: Architecture,
    /// The same, ready to run.
    pub steps: Steps,
    /// How images enter.
    pub normalization: Normalization,
    /// Weights, one per slot of the steps.
    pub variables: Vec<Var>,
    /// Running moments of the normalizations.
    pub moments: Vec<Moments>,
}

/// What a pass is for.
enum Mode<'a> {
    /// Running moments, no dropout; `track`: gradients may be asked for.
    Evaluate { track: bool },
    /// Batch moments, which are noted, and dropout.
    Train { dropout: Random, seen: &'a mut Vec<(usize, Moments)> },
}

/// Logits of many images, and what the last layer sees of them.
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
    /// Weights and biases uniform within 1 / sqrt(inputs), as PyTorch begins; gains 1, shifts 0.
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

    /// A copy with weights of its own, on the same device.
    ///
    /// # Errors
    /// What the device says.
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

    /// Where it lives.
    pub fn device(&self) -> Device {
        self.variables.first().map_or(Device::Cpu, |v| v.device().clone())
    }

    /// Images `[n, c, h, w]` of pixels in 0 to 1, as its input.
    ///
    /// # Errors
    /// If the number of pixels is not that of `n` images.
    pub fn input(&self, pixels: &[f32], n: usize) -> Result<Tensor> {
        let [channels, height, width] = self.architecture.input;
        let normalized = self.normalization.apply(pixels, height * width);
        Tensor::from_vec(normalized, (n, channels, height, width), &self.device())
    }

    /// Logits of `x`, which [`Self::input`] made, with running moments and without dropout; gradients can be asked for.
    ///
    /// # Errors
    /// What the device says.
    pub fn evaluate(&self, x: &Tensor) -> Result<Tensor> {
        self.run(&self.steps.list, x, &mut Mode::Evaluate { track: true })
    }

    /// Logits of `x` with the batch's own moments and with dropout drawn from `dropout`; updates the running moments.
    ///
    /// # Errors
    /// What the device says.
    pub fn train(&mut self, x: &Tensor, dropout: Random) -> Result<Tensor> {
        let mut seen = Vec::new();
        let logits = self.run(&self.steps.list, x, &mut Mode::Train { dropout, seen: &mut seen })?;
        for (k, batch) in seen {
            let count = (x.dim(0)? * self.plane(k)) as f32;
            let unbiased = count / (count - 1.0).max(1.0);
            let running = &mut self.moments[k];
            let means = running.mean.iter_mut().zip(&batch.mean).map(|(r, b)| (r, *b));
            let variances = running.variance.iter_mut().zip(&batch.variance).map(|(r, b)| (r, b * unbiased));
            means.chain(variances).for_each(|(running, batch)| *running += MOMENTUM * (batch - *running));
        }
        Ok(logits)
    }

    /// Logits and features of images, in batches, without gradients.
    ///
    /// # Errors
    /// What the device says.
    pub fn outputs(&self, pixels: &[f32]) -> Result<Outputs> {
        let size: usize = self.architecture.input.iter().product();
        let mut outputs = Outputs::default();
        let (last, body) = self.steps.list.split_last().expect("the last step gives the logits");
        for part in pixels.chunks(BATCH * size) {
            let x = self.input(part, part.len() / size)?;
            let features = self.run(body, &x, &mut Mode::Evaluate { track: false })?;
            let logits = self.run(std::slice::from_ref(last), &features, &mut Mode::Evaluate { track: false })?;
            outputs.logits.extend(logits.flatten_all()?.to_vec1::<f32>()?);
            let features = features.flatten_from(1)?;
            outputs.width = features.dim(1)?;
            outputs.features.extend(features.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(outputs)
    }

    /// Sets the running moments to those of `pixels`, layer by layer: what is free of labels in another domain
    /// (AdaBN, Li et al. 2016). Moments are averaged over batches.
    ///
    /// # Errors
    /// What the device says.
    pub fn recalibrate(&mut self, pixels: &[f32]) -> Result<()> {
        let size: usize = self.architecture.input.iter().product();
        let zero = |m: &Moments| Moments { mean: vec![0.0; m.mean.len()], variance: vec![0.0; m.mean.len()] };
        let mut sums: Vec<Moments> = self.moments.iter().map(zero).collect();
        let total = (pixels.len() / size).max(1) as f32;
        for part in pixels.chunks(BATCH * size) {
            let images = part.len() / size;
            let mut seen = Vec::new();
            // Dropout stands after every normalization of the presets, so what is drawn here touches no moment.
            let dropout = Random::new(0, Purpose::Dropout, 0);
            self.run(&self.steps.list, &self.input(part, images)?, &mut Mode::Train { dropout, seen: &mut seen })?;
            let share = images as f32 / total;
            for (k, batch) in seen {
                sums[k].mean.iter_mut().zip(batch.mean).for_each(|(s, b)| *s += share * b);
                sums[k].variance.iter_mut().zip(batch.variance).for_each(|(s, b)| *s += share * b);
            }
        }
        self.moments = sums;
        Ok(())
    }

    /// Numbers of one channel that normalization `k` sees.
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
                    Mode::Train { seen, .. } => {
                        let own = operation::moments(x)?;
                        let y = operation::normalization(x, &gain, &shift, &own, true, norm);
                        seen.push((*moments, own));
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
