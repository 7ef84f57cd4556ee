//! Training of image networks: stochastic gradients on batches of a subset, a function of seed and step alone.
//!
//! Batch number s of a stage holds samples s b to (s + 1) b of an endless stream of permutations of the subset, so that
//! any subset gives full batches and equal numbers of steps are equal work. Adam (Kingma and Ba 2015) or SGD with
//! momentum. Images may be changed at random ([`crate::image::augment`]), and the result may be an average of the weights
//! (`--average`). A training resumed from its checkpoint repeats the unbroken one bit for bit.

mod average;
pub mod log;
pub mod objective;
mod settings;
mod stepper;

pub use objective::Teacher;
pub use settings::{Optimizer, Schedule, Settings, Stage};

use crate::dataset::Images;
use crate::host::checkpoint::{Checkpoint, CheckpointError, Identity};
use crate::host::heap;
use crate::host::interrupt::Interrupt;
use crate::host::random::{Purpose, Random};
use crate::image::augment::Mixing;
use crate::image::net::error::NetworkError;
use crate::image::net::kernel::loss::argmax;
use crate::image::net::kernel::norm::Moments;
use crate::image::net::network::Network;
use crate::image::net::operation;
use crate::optimizer::all_finite;
use average::Average;
use candle_core::Tensor;
use candle_nn::ops::softmax;
use std::collections::BTreeMap;
use std::path::Path;
use stepper::Stepper;

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

/// A network in training.
#[derive(Debug)]
pub struct Training {
    /// The network.
    pub network: Network,
    /// The number of steps done.
    pub step: usize,
    /// The learning rate of the last step of this process.
    pub rate: f64,
    settings: Settings,
    stepper: Stepper,
    average: Option<Average>,
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
        let average = settings.average.map(|decay| Average::new(&network, decay)).transpose()?;
        let settings = settings.clone();
        Ok(Training { step: 0, rate: 0.0, settings, stepper, average, network, anchor: None })
    }

    /// The network as it would be saved now: with the average of the weights if there is one, else with the last ones.
    pub fn evaluated(&self) -> &Network {
        self.average.as_ref().map_or(&self.network, |average| &average.network)
    }

    /// The network as it is saved.
    pub fn finish(self) -> Network {
        self.average.map_or(self.network, |average| average.network)
    }

    /// Ends the training with these weights and running moments.
    ///
    /// # Errors
    /// [`NetworkError::Tensor`] if the device cannot store the weights.
    pub fn end_with(&mut self, weights: Vec<Vec<f32>>, moments: Vec<Moments>) -> Result<(), NetworkError> {
        for (variable, weights) in self.network.variables.iter().zip(weights) {
            variable.set(&Tensor::from_vec(weights, variable.shape(), variable.device())?)?;
        }
        (self.network.moments, self.average) = (moments, None);
        Ok(())
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
        let (size, seed, steps) = (self.settings.batch, self.settings.seed, stage.end - stage.first);
        let labels = stage.subset.iter().map(|k| images.labels[*k]);
        let weights = self.settings.balanced.then(|| objective::balance(labels, images.classes));
        let mut stream = Stream::new(stage, seed);
        while self.step < until {
            if stop.pressed() {
                return Err(TrainingError::Interrupted);
            }
            let done = self.step - stage.first;
            let batch: Vec<usize> = (done * size..(done + 1) * size).map(|k| stream.at(k)).collect();
            self.rate = self.settings.rate_at(done, steps);
            let loss = self.batch(images.select(&batch), weights.as_deref())?;
            watch(self, loss);
        }
        Ok(())
    }

    /// Takes one step on these images and returns their mean loss before it. Losses are multiplied by the weight of the label's
    /// class, if there are weights.
    fn batch(&mut self, mut batch: Images, weights: Option<&[f32]>) -> Result<f32, TrainingError> {
        let (shape, seed, rate) = (batch.shape(), self.settings.seed, self.rate);
        let mixing = self.settings.augmentation.apply(&mut batch.pixels, shape, seed, self.step);
        let x = self.network.input(&batch.pixels, batch.len())?;
        let dropout = Random::new(self.settings.seed, Purpose::Dropout, self.step as u64);
        let logits = self.network.train(&x, dropout)?;
        let loss = self.loss(&logits, &batch, mixing, weights)?;
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
        if let Some(average) = &mut self.average {
            average.follow(&self.network, self.step)?;
        }
        Ok(loss)
    }

    /// The mean loss of a batch whose images were mixed so.
    fn loss(
        &self,
        logits: &Tensor,
        batch: &Images,
        mixing: Option<Mixing>,
        weights: Option<&[f32]>,
    ) -> Result<Tensor, TrainingError> {
        let Settings { smoothing, teacher, .. } = &self.settings;
        let logits = &(if self.settings.softmax_twice { softmax(logits, 1)? } else { logits.clone() });
        let by_label = if *smoothing == 0.0 && mixing.is_none() && weights.is_none() {
            operation::cross_entropy(logits, &batch.labels)?
        } else {
            let mut targets = objective::targets(&batch.labels, batch.classes, *smoothing, weights);
            if let Some(mixing) = mixing {
                mixing.mix(&mut targets, batch.classes);
            }
            objective::cross_entropy(logits, targets, 1.0)?
        };
        let Some(teacher) = teacher else { return Ok(by_label) };
        let by_teacher = objective::cross_entropy(logits, teacher.answers(&batch.pixels)?, teacher.temperature)?;
        let shares = [1.0 - teacher.share, teacher.share * teacher.temperature.powi(2)];
        Ok(((by_label * shares[0])? + (by_teacher * shares[1])?)?)
    }

    /// The state as a checkpoint of the run `identity`.
    ///
    /// # Errors
    /// If the weights or moments cannot be read from the device.
    pub fn checkpoint(&self, identity: Identity) -> candle_core::Result<Checkpoint> {
        let mut tensors = BTreeMap::new();
        store(&self.network, "", &mut tensors)?;
        if let Some(average) = &self.average {
            store(&average.network, AVERAGE, &mut tensors)?;
        }
        for (k, slot) in self.network.steps.slots.iter().enumerate() {
            let [first, second] = self.stepper.moments(k)?;
            tensors.insert(format!("first.{}", slot.name), to_f64(&first));
            tensors.insert(format!("second.{}", slot.name), to_f64(&second));
        }
        Ok(Checkpoint { identity, counters: [("step".to_string(), self.step as u64)].into(), tensors })
    }

    /// Continues from a checkpoint read from `path`.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if a number is missing or the weights are not those of this network.
    pub fn restore(&mut self, checkpoint: &Checkpoint, path: &Path) -> Result<(), CheckpointError> {
        let damaged = |e: candle_core::Error| CheckpointError::Damaged { path: path.into(), reason: e.to_string() };
        load(&mut self.network, "", checkpoint, path)?;
        if let Some(average) = &mut self.average {
            load(&mut average.network, AVERAGE, checkpoint, path)?;
        }
        let mut moments = Vec::new();
        for (slot, variable) in self.network.steps.slots.iter().zip(&self.network.variables) {
            let moment =
                |which: &str| to_f32(checkpoint, path, &format!("{which}.{}", slot.name), variable.elem_count());
            moments.push([moment("first")?, moment("second")?]);
        }
        self.step = checkpoint.counter(path, "step")? as usize;
        self.stepper.restore(self.step, moments).map_err(damaged)
    }
}

/// What the names of averaged weights begin with in a checkpoint.
const AVERAGE: &str = "average.";

/// Adds weights and running moments of a network to the tensors of a checkpoint.
fn store(network: &Network, prefix: &str, tensors: &mut BTreeMap<String, Vec<f64>>) -> candle_core::Result<()> {
    for (slot, variable) in network.steps.slots.iter().zip(&network.variables) {
        let weights = variable.flatten_all()?.to_vec1::<f32>()?;
        tensors.insert(format!("{prefix}{}", slot.name), to_f64(&weights));
    }
    for (k, moments) in network.moments.iter().enumerate() {
        tensors.insert(format!("{prefix}mean.{k}"), to_f64(&moments.mean));
        tensors.insert(format!("{prefix}variance.{k}"), to_f64(&moments.variance));
    }
    Ok(())
}

/// Takes weights and running moments from where [`store`] put them.
fn load(network: &mut Network, prefix: &str, checkpoint: &Checkpoint, path: &Path) -> Result<(), CheckpointError> {
    let damaged = |e: candle_core::Error| CheckpointError::Damaged { path: path.into(), reason: e.to_string() };
    for (slot, variable) in network.steps.slots.iter().zip(&network.variables) {
        let weights = to_f32(checkpoint, path, &format!("{prefix}{}", slot.name), variable.elem_count())?;
        let tensor = Tensor::from_vec(weights, variable.shape(), variable.device()).map_err(damaged)?;
        variable.set(&tensor).map_err(damaged)?;
    }
    for (k, moments) in network.moments.iter_mut().enumerate() {
        let count = moments.mean.len();
        *moments = Moments {
            mean: to_f32(checkpoint, path, &format!("{prefix}mean.{k}"), count)?,
            variance: to_f32(checkpoint, path, &format!("{prefix}variance.{k}"), count)?,
        };
    }
    Ok(())
}

fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

fn to_f32(checkpoint: &Checkpoint, path: &Path, name: &str, count: usize) -> Result<Vec<f32>, CheckpointError> {
    Ok(checkpoint.tensor(path, name, count)?.iter().map(|v| *v as f32).collect())
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
    use log::RunLog;
    use std::sync::Arc;

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
        Settings { batch: 16, rate, schedule, optimizer, decay: 1e-4, ..Settings::usual(1) }
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

    /// Everything that a training can have besides labels and steps.
    fn full(optimizer: Optimizer) -> Settings {
        let kinds = crate::image::augment::KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(",");
        Settings {
            warm_up: 5,
            smoothing: 0.1,
            balanced: true,
            average: Some(0.9),
            augmentation: kinds.parse().unwrap(),
            teacher: Some(Teacher { network: Arc::new(small(5)), temperature: 2.0, share: 0.3 }),
            ..settings(optimizer)
        }
    }

    #[test]
    fn a_resumed_training_is_the_unbroken_one() {
        for settings in [settings(Optimizer::Adam), full(Optimizer::Adam), full(Optimizer::Sgd)] {
            resumed_is_unbroken(&settings);
        }
    }

    fn resumed_is_unbroken(settings: &Settings) {
        let images = quarters(50, 1, 0.2);
        let mut unbroken = Training::new(small(3), settings).unwrap();
        let losses = train(&mut unbroken, &images, 20, 20);

        let mut stopped = Training::new(small(3), settings).unwrap();
        train(&mut stopped, &images, 20, 7);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.checkpoint");
        let identity: Identity = [("seed".to_string(), "3".to_string())].into();
        stopped.checkpoint(identity.clone()).unwrap().save(&path).unwrap();
        let mut resumed = Training::new(small(9), settings).unwrap();
        resumed.restore(&Checkpoint::load(&path, &identity).unwrap(), &path).unwrap();
        assert_eq!(train(&mut resumed, &images, 20, 20), losses[7..]);
        assert_eq!(
            resumed.checkpoint(identity.clone()).unwrap(),
            unbroken.checkpoint(identity).unwrap(),
            "weights, moments and statistics"
        );
        let logits = |training: Training| training.finish().outputs(&images.pixels).unwrap().logits;
        assert_eq!(logits(resumed), logits(unbroken), "what is saved");
    }

    #[test]
    fn results_do_not_depend_on_threads() {
        let images = quarters(50, 1, 0.2);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut training = Training::new(small(3), &full(Optimizer::Sgd)).unwrap();
            pool.install(|| train(&mut training, &images, 6, 6));
            training.checkpoint(Identity::new()).unwrap()
        };
        assert_eq!(run(1), run(2));
    }

    #[test]
    fn the_average_is_that_of_the_weights_and_is_what_is_saved() {
        let images = quarters(50, 1, 0.2);
        let averaging = Settings { average: Some(0.5), ..settings(Optimizer::Sgd) };
        let mut training = Training::new(small(3), &averaging).unwrap();
        let weights = |network: &Network| network.variables[0].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let mut expected = weights(&training.network);
        for step in 1..=8 {
            train(&mut training, &images, step, step);
            // The first steps keep less.
            let kept = 0.5f32.min((1 + step) as f32 / (10 + step) as f32);
            expected.iter_mut().zip(weights(&training.network)).for_each(|(e, w)| *e += (1.0 - kept) * (w - *e));
        }
        let found = weights(training.evaluated());
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {expected:?}");
        assert_ne!(found, weights(&training.network));
        assert_eq!(weights(&training.finish()), found);
    }

    #[test]
    fn a_teacher_alone_teaches_its_answers_and_not_the_labels() {
        let (images, test) = (quarters(200, 1, 0.3), quarters(200, 2, 0.3));
        let mut teacher = Training::new(small(0), &settings(Optimizer::Adam)).unwrap();
        train(&mut teacher, &images, 60, 60);
        // Labels that say nothing.
        let mut wrong = images.clone();
        wrong.labels.iter_mut().enumerate().for_each(|(k, label)| *label = (k / 7 % 4) as u8);
        let teacher = Teacher { network: Arc::new(teacher.finish()), temperature: 4.0, share: 1.0 };
        let taught = Settings { teacher: Some(teacher), ..settings(Optimizer::Adam) };
        let reached = [taught, settings(Optimizer::Adam)].map(|settings| {
            let mut student = Training::new(small(1), &settings).unwrap();
            train(&mut student, &wrong, 60, 60);
            accuracy(&student.network, &test).unwrap()
        });
        assert!(reached[0] > 95.0 && reached[1] < 60.0, "{reached:?}");
    }

    #[test]
    fn balanced_classes_are_not_forgotten_where_images_are_few() {
        let (all, test) = (quarters(400, 1, 0.5), quarters(400, 2, 0.5));
        // Of two classes only every fortieth image.
        let few: Vec<usize> = (0..400).filter(|k| k % 4 > 1 || k % 160 < 4).collect();
        let images = all.select(&few);
        let rare = test.select(&(0..400).filter(|k| k % 4 < 2).collect::<Vec<_>>());
        let reached = [false, true].map(|balanced| {
            let settings = Settings { balanced, ..settings(Optimizer::Sgd) };
            let mut training = Training::new(small(4), &settings).unwrap();
            train(&mut training, &images, 60, 60);
            accuracy(&training.network, &rare).unwrap()
        });
        assert!(reached[1] > reached[0] + 5.0, "{reached:?}");
    }

    #[test]
    fn the_log_of_a_resumed_training_is_that_of_the_unbroken_one() {
        let (images, held_out) = (quarters(48, 1, 0.2), quarters(20, 2, 0.2));
        let settings = full(Optimizer::Adam);
        let subset: Vec<usize> = (0..48).collect();
        let stage = Stage { number: 0, first: 0, end: 12, subset: &subset };
        let run = |training: &mut Training, log: &mut RunLog, to: usize| {
            let stop = Interrupt::never();
            _ = training.run(&images, stage, &stop, |training, loss| {
                assert_eq!(log.watch(training, loss, &held_out).unwrap(), training.step % 3 == 0);
                if training.step == to {
                    _ = stop.press();
                }
            });
        };
        let (mut unbroken, mut whole) = (Training::new(small(3), &settings).unwrap(), RunLog::new(3));
        run(&mut unbroken, &mut whole, 12);
        let (mut stopped, mut half) = (Training::new(small(3), &settings).unwrap(), RunLog::new(3));
        run(&mut stopped, &mut half, 7);
        let mut checkpoint = stopped.checkpoint(Identity::new()).unwrap();
        half.store(&mut checkpoint);
        let (mut resumed, mut rest) = (Training::new(small(8), &settings).unwrap(), RunLog::new(3));
        resumed.restore(&checkpoint, Path::new("")).unwrap();
        rest.restore(&checkpoint, Path::new("")).unwrap();
        run(&mut resumed, &mut rest, 12);
        assert_eq!(rest, whole);
        let steps: Vec<usize> = rest.entries().iter().map(|entry| entry.step).collect();
        assert_eq!(steps, [3, 6, 9, 12]);
        assert_eq!(rest.entries()[3].accuracy, accuracy(resumed.evaluated(), &held_out).unwrap());
        assert!(rest.table().text().starts_with("epoch,step,loss,rate,held_out_accuracy\n1,3,"));
        assert_eq!(rest.figure("curves").panels.len(), 3);
        let mut without = RunLog::new(3);
        run(&mut Training::new(small(3), &settings).unwrap(), &mut without, 4);
        checkpoint.tensors.remove("log.loss");
        assert!(without.restore(&checkpoint, Path::new("x")).is_err());
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
