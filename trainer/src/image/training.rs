//! Training of image networks: stochastic gradients on batches of a subset, a function of seed and step alone.
//!
//! Batch number s of a stage holds samples s b to (s + 1) b of an endless stream of permutations of the subset, so that
//! any subset gives full batches and equal numbers of steps are equal work. Adam (Kingma and Ba 2015) or SGD with
//! momentum. A training resumed from its checkpoint repeats the unbroken one bit for bit.

use crate::dataset::Images;
use crate::host::checkpoint::{Checkpoint, CheckpointError, Identity};
use crate::host::heap;
use crate::host::interrupt::Interrupt;
use crate::host::random::{Purpose, Random};
use crate::image::net::error::NetworkError;
use crate::image::net::kernel::loss::argmax;
use crate::image::net::kernel::norm::Moments;
use crate::image::net::network::Network;
use crate::image::net::operation;
use crate::optimizer::{Adam, Rates, Sgd, all_finite};
use candle_core::Tensor;
use candle_core::backprop::GradStore;
use candle_nn::Optimizer as _;
use std::path::Path;

/// The rule by which a step follows from gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Optimizer {
    /// Adam
    Adam,
    /// Stochastic gradient descent with momentum 0.9
    Sgd,
}

/// How the learning rate changes over a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Schedule {
    /// The same rate throughout
    Constant,
    /// Falls to zero along half a cosine
    Cosine,
}

impl Schedule {
    /// The factor of the learning rate after the share `done` of the stage.
    fn at(self, done: f64) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos()),
        }
    }
}

/// The settings of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Images of a batch.
    pub batch: usize,
    /// Learning rate.
    pub rate: f64,
    /// How the learning rate changes over a stage.
    pub schedule: Schedule,
    /// The rule of a step.
    pub optimizer: Optimizer,
    /// Every step shrinks the weights by this share, times the learning rate.
    pub decay: f64,
    /// Seed of the order of images and of dropout.
    pub seed: u64,
}

impl Settings {
    /// Adam at 1e-3 on batches of 64: what the studies use throughout.
    pub fn usual(seed: u64) -> Self {
        let (schedule, optimizer) = (Schedule::Constant, Optimizer::Adam);
        Settings { batch: 64, rate: 1e-3, schedule, optimizer, decay: 0.0, seed }
    }
}

/// A part of a training, on one subset of the images: steps from `first` to `end`.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    /// Number of the stage. Every stage has its own order of images.
    pub number: u64,
    /// First step.
    pub first: usize,
    /// Step before which it ends.
    pub end: usize,
    /// Indices of the images to train on.
    pub subset: &'a [usize],
}

/// Why a training failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The network could not be computed.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The loss or a weight became infinite or NaN.
    #[error("the training diverged at step {step} with learning rate {rate}; use a smaller --rate")]
    Diverged {
        /// The step.
        step: usize,
        /// The learning rate.
        rate: f64,
    },
    /// The stage has no images.
    #[error("there are no images to train on; raise --fraction or check the data")]
    Empty,
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl From<candle_core::Error> for TrainingError {
    fn from(error: candle_core::Error) -> Self {
        NetworkError::from(error).into()
    }
}

/// The optimizer of a run, with its moments.
#[derive(Debug)]
enum Stepper {
    Adam(Adam),
    Sgd(Sgd),
}

impl Stepper {
    fn new(network: &Network, settings: &Settings) -> candle_core::Result<Self> {
        let (variables, rates) = (network.variables.clone(), Rates { learning: settings.rate, decay: settings.decay });
        Ok(match settings.optimizer {
            Optimizer::Adam => Stepper::Adam(Adam::new(variables, rates)?),
            Optimizer::Sgd => Stepper::Sgd(Sgd::new(variables, rates)?),
        })
    }

    fn step(&mut self, gradients: &GradStore, rate: f64) -> candle_core::Result<()> {
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
    fn moments(&self, k: usize) -> candle_core::Result<[Vec<f32>; 2]> {
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
    fn restore(&mut self, steps: usize, moments: Vec<[Vec<f32>; 2]>) -> candle_core::Result<()> {
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

/// A network in training.
#[derive(Debug)]
pub struct Training {
    /// The network.
    pub network: Network,
    /// The number of steps done.
    pub step: usize,
    settings: Settings,
    stepper: Stepper,
    anchor: Option<Anchor>,
}

/// Weights that every step pulls the network's back to.
#[derive(Debug)]
struct Anchor {
    weights: Vec<Tensor>,
    /// The share of the distance that a step takes off, divided by the learning rate.
    pull: f64,
}

impl Training {
    /// A training before its first step.
    ///
    /// # Errors
    /// [`NetworkError::Tensor`] if the device has no memory for the moments.
    pub fn new(network: Network, settings: &Settings) -> Result<Self, NetworkError> {
        let stepper = Stepper::new(&network, settings)?;
        Ok(Training { step: 0, settings: *settings, stepper, network, anchor: None })
    }

    /// From now on every step takes `pull` times the learning rate off the distance of the weights from where they are now. A
    /// checkpoint does not keep this.
    ///
    /// # Errors
    /// [`NetworkError::Tensor`] if the device has no memory for a copy of the weights.
    pub fn pull_towards_start(&mut self, pull: f64) -> Result<(), NetworkError> {
        let copies = self.network.variables.iter().map(|variable| variable.as_tensor().copy());
        self.anchor = Some(Anchor { weights: copies.collect::<Result<_, _>>()?, pull });
        Ok(())
    }

    /// Runs the steps of a stage that are not done yet. `watch` is called after every step, with its loss.
    ///
    /// # Errors
    /// [`TrainingError`] if the stage has no images, the network cannot be computed, or training diverges. After
    /// [`TrainingError::Interrupted`] another call continues.
    pub fn run(
        &mut self,
        images: &Images,
        stage: Stage<'_>,
        stop: &Interrupt,
        watch: impl FnMut(&Training, f32),
    ) -> Result<(), TrainingError> {
        self.run_until(stage.end, images, stage, stop, watch)
    }

    /// Runs the steps of a stage that are not done yet before step `until`.
    ///
    /// # Errors
    /// As [`Training::run`].
    pub fn run_until(
        &mut self,
        until: usize,
        images: &Images,
        stage: Stage<'_>,
        stop: &Interrupt,
        mut watch: impl FnMut(&Training, f32),
    ) -> Result<(), TrainingError> {
        heap::keep_freed_memory();
        let until = until.min(stage.end);
        if stage.subset.is_empty() && self.step < until {
            return Err(TrainingError::Empty);
        }
        let settings = self.settings;
        let mut stream = Stream::new(stage, settings.seed);
        while self.step < until {
            if stop.pressed() {
                return Err(TrainingError::Interrupted);
            }
            let at = (self.step - stage.first) * settings.batch;
            let batch: Vec<usize> = (at..at + settings.batch).map(|k| stream.at(k)).collect();
            let share = (self.step - stage.first) as f64 / (stage.end - stage.first) as f64;
            let loss = self.batch(images, &batch, settings.rate * settings.schedule.at(share))?;
            watch(self, loss);
        }
        Ok(())
    }

    /// Takes one step on the images of `batch` and returns their mean loss before it.
    fn batch(&mut self, images: &Images, batch: &[usize], rate: f64) -> Result<f32, TrainingError> {
        let chosen = images.select(batch);
        let x = self.network.input(&chosen.pixels, batch.len())?;
        let dropout = Random::new(self.settings.seed, Purpose::Dropout, self.step as u64);
        let logits = self.network.train(&x, dropout)?;
        let loss = operation::cross_entropy(&logits, &chosen.labels)?;
        let gradients = loss.backward()?;
        let loss = loss.to_scalar::<f32>()?;
        if !loss.is_finite() {
            return Err(TrainingError::Diverged { step: self.step, rate: self.settings.rate });
        }
        self.step += 1;
        self.stepper.step(&gradients, rate)?;
        if let Some(anchor) = &self.anchor {
            let share = (rate * anchor.pull).min(1.0);
            for (variable, start) in self.network.variables.iter().zip(&anchor.weights) {
                variable.set(&((variable.as_tensor() * (1.0 - share))? + (start * share)?)?)?;
            }
        }
        if !all_finite(&self.network.variables)? {
            return Err(TrainingError::Diverged { step: self.step, rate: self.settings.rate });
        }
        Ok(loss)
    }

    /// The state as a checkpoint of the run `identity`.
    ///
    /// # Errors
    /// If the weights or moments cannot be read from the device.
    pub fn checkpoint(&self, identity: Identity) -> candle_core::Result<Checkpoint> {
        let to_f64 = |values: &[f32]| -> Vec<f64> { values.iter().map(|v| f64::from(*v)).collect() };
        let mut tensors = std::collections::BTreeMap::new();
        for (k, slot) in self.network.steps.slots.iter().enumerate() {
            let weights = self.network.variables[k].flatten_all()?.to_vec1::<f32>()?;
            tensors.insert(slot.name.clone(), to_f64(&weights));
            let [first, second] = self.stepper.moments(k)?;
            tensors.insert(format!("first.{}", slot.name), to_f64(&first));
            tensors.insert(format!("second.{}", slot.name), to_f64(&second));
        }
        for (k, moments) in self.network.moments.iter().enumerate() {
            tensors.insert(format!("mean.{k}"), to_f64(&moments.mean));
            tensors.insert(format!("variance.{k}"), to_f64(&moments.variance));
        }
        Ok(Checkpoint { identity, counters: [("step".to_string(), self.step as u64)].into(), tensors })
    }

    /// Continues from a checkpoint read from `path`.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if a number is missing or the weights are not those of this network.
    pub fn restore(&mut self, checkpoint: &Checkpoint, path: &Path) -> Result<(), CheckpointError> {
        let to_f32 = |name: &str, count: usize| -> Result<Vec<f32>, CheckpointError> {
            Ok(checkpoint.tensor(path, name, count)?.iter().map(|v| *v as f32).collect())
        };
        let damaged = |e: candle_core::Error| CheckpointError::Damaged { path: path.into(), reason: e.to_string() };
        let mut moments = Vec::new();
        for (k, slot) in self.network.steps.slots.iter().enumerate() {
            let variable = &self.network.variables[k];
            let weights = to_f32(&slot.name, variable.elem_count())?;
            let tensor = Tensor::from_vec(weights, variable.shape(), variable.device()).map_err(damaged)?;
            variable.set(&tensor).map_err(damaged)?;
            let moment = |which: &str| to_f32(&format!("{which}.{}", slot.name), variable.elem_count());
            moments.push([moment("first")?, moment("second")?]);
        }
        for (k, moments) in self.network.moments.iter_mut().enumerate() {
            let count = moments.mean.len();
            *moments = Moments {
                mean: to_f32(&format!("mean.{k}"), count)?,
                variance: to_f32(&format!("variance.{k}"), count)?,
            };
        }
        self.step = checkpoint.counter(path, "step")? as usize;
        self.stepper.restore(self.step, moments).map_err(damaged)
    }
}

/// An endless stream of permutations of a subset.
pub(crate) struct Stream<'a> {
    stage: Stage<'a>,
    seed: u64,
    epoch: Option<usize>,
    order: Vec<usize>,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(stage: Stage<'a>, seed: u64) -> Self {
        Stream { stage, seed, epoch: None, order: Vec::new() }
    }

    /// Number `k` of the stream.
    pub(crate) fn at(&mut self, k: usize) -> usize {
        let n = self.stage.subset.len();
        let epoch = k / n;
        if self.epoch != Some(epoch) {
            self.epoch = Some(epoch);
            self.order = self.stage.subset.to_vec();
            let round = self.stage.number << 32 | epoch as u64;
            Random::new(self.seed, Purpose::Batches, round).shuffle(&mut self.order);
        }
        self.order[k % n]
    }
}

/// Share of images whose largest logit is that of their label, in percent.
///
/// # Errors
/// [`NetworkError::Tensor`] if the network cannot be computed.
pub fn accuracy(network: &Network, images: &Images) -> Result<f64, NetworkError> {
    let logits = network.outputs(&images.pixels)?.logits;
    let answers = logits.chunks_exact(images.classes).map(argmax).zip(&images.labels);
    let right = answers.filter(|(class, label)| *class == usize::from(**label));
    Ok(100.0 * right.count() as f64 / images.len().max(1) as f64)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::image::net::architecture::{Architecture, Layer};
    use crate::image::net::network::Normalization;
    use candle_core::Device;

    /// Images of 8 x 8 whose class is the quarter that is bright, with noise.
    pub fn quarters(n: usize, seed: u64, noise: f64) -> Images {
        let mut random = Random::new(seed, Purpose::Weights, 1);
        let labels: Vec<u8> = (0..n).map(|k| (k % 4) as u8).collect();
        let mut pixels = Vec::new();
        for label in &labels {
            for at in 0..64 {
                let quarter = (at / 8 / 4) * 2 + at % 8 / 4;
                let bright = if quarter == usize::from(*label) { 0.8 } else { 0.2 };
                pixels.push((bright + noise * random.normal()) as f32);
            }
        }
        Images::new([1, 8, 8], pixels, labels, 4).unwrap()
    }

    /// A small network with every kind of layer but a residual.
    pub fn small(seed: u64) -> Network {
        let conv = Layer::Conv { filters: 4, kernel: 3, stride: 1, padding: 1 };
        let head = [Layer::Flatten, Layer::Dropout(0.2), Layer::Dense(4)];
        let layers = [conv, Layer::BatchNorm, Layer::Relu, Layer::MaxPool(4)].into_iter().chain(head).collect();
        let architecture = Architecture { name: "small".into(), input: [1, 8, 8], classes: 4, layers };
        let normalization = Normalization { mean: vec![0.35], deviation: vec![0.3] };
        Network::random(&architecture, normalization, seed, &Device::Cpu).unwrap()
    }

    fn settings(optimizer: Optimizer) -> Settings {
        let (schedule, rate) = (Schedule::Cosine, if optimizer == Optimizer::Adam { 1e-2 } else { 0.05 });
        Settings { batch: 16, rate, schedule, optimizer, decay: 1e-4, seed: 1 }
    }

    fn train(training: &mut Training, images: &Images, end: usize, to: usize) -> Vec<f32> {
        let subset: Vec<usize> = (0..images.len()).collect();
        let stop = Interrupt::never();
        let mut losses = Vec::new();
        let stage = Stage { number: 0, first: 0, end, subset: &subset };
        let ending = training.run(images, stage, &stop, |training, loss| {
            losses.push(loss);
            if training.step == to {
                _ = stop.press();
            }
        });
        assert_eq!(ending.is_err(), to < end, "{ending:?}");
        losses
    }

    #[test]
    fn both_optimizers_learn() {
        let (images, test) = (quarters(200, 1, 0.3), quarters(200, 2, 0.3));
        for optimizer in [Optimizer::Adam, Optimizer::Sgd] {
            let mut training = Training::new(small(0), &settings(optimizer)).unwrap();
            assert!(accuracy(&training.network, &test).unwrap() < 70.0);
            train(&mut training, &images, 60, 60);
            let reached = accuracy(&training.network, &test).unwrap();
            assert!(reached > 95.0, "{optimizer:?}: {reached}");
        }
    }

    #[test]
    fn a_resumed_training_is_the_unbroken_one() {
        let images = quarters(50, 1, 0.2);
        let settings = settings(Optimizer::Adam);
        let mut unbroken = Training::new(small(3), &settings).unwrap();
        let losses = train(&mut unbroken, &images, 20, 20);

        let mut stopped = Training::new(small(3), &settings).unwrap();
        train(&mut stopped, &images, 20, 7);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.checkpoint");
        let identity: Identity = [("seed".to_string(), "3".to_string())].into();
        stopped.checkpoint(identity.clone()).unwrap().save(&path).unwrap();
        let mut resumed = Training::new(small(9), &settings).unwrap();
        resumed.restore(&Checkpoint::load(&path, &identity).unwrap(), &path).unwrap();
        assert_eq!(train(&mut resumed, &images, 20, 20), losses[7..]);
        assert_eq!(
            resumed.checkpoint(identity.clone()).unwrap(),
            unbroken.checkpoint(identity).unwrap(),
            "weights, moments and statistics"
        );
    }

    #[test]
    fn an_epoch_sees_every_sample_of_its_subset_once() {
        let subset = [3, 5, 8, 13, 21];
        let stage = Stage { number: 2, first: 0, end: 9, subset: &subset };
        let mut stream = Stream::new(stage, 4);
        let drawn: Vec<usize> = (0..10).map(|k| stream.at(k)).collect();
        for epoch in drawn.chunks(5) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, subset);
        }
        assert_ne!(drawn[..5], drawn[5..]);
    }

    #[test]
    fn what_cannot_be_trained_says_so() {
        let images = quarters(8, 1, 0.1);
        let usual = Settings::usual(0);
        let mut training = Training::new(small(0), &usual).unwrap();
        let stage = Stage { number: 0, first: 0, end: 5, subset: &[] };
        let nothing = training.run(&images, stage, &Interrupt::never(), |_, _| {});
        assert!(matches!(nothing, Err(TrainingError::Empty)));
        // Batch normalization hides any finite scale of the weights before it, so the rate must leave f32.
        let wild = Settings { rate: 1e39, optimizer: Optimizer::Sgd, ..usual };
        let stage = Stage { number: 0, first: 0, end: 50, subset: &[0, 1, 2, 3] };
        let mut training = Training::new(small(0), &wild).unwrap();
        let error = training.run(&images, stage, &Interrupt::never(), |_, _| {}).unwrap_err();
        assert!(error.to_string().contains("--rate"), "{error}");
    }
}
