//! The autoencoder of the embedding shift: three convolutions of 4 x 4 with stride 2 to 48 channels, ReLU after each, and the
//! three transposed convolutions back, with a sigmoid at the end; trained to reproduce its input, by the mean squared error.
//!
//! `[c, h, w]` -> `[12, h/2, w/2]` -> `[24, h/4, w/4]` -> `[48, h/8, w/8]` and back. Images whose sides are not multiples of
//! eight are continued by their last row and column, and cut again. The input is not normalized, since a sigmoid can only
//! reproduce 0 to 1. 1.5 million multiplications for a color image of 32 x 32.

use super::ShiftError;
use crate::dataset::{Images, fingerprint};
use crate::host::checkpoint::{Checkpoint, CheckpointError, Identity};
use crate::host::heap;
use crate::host::interrupt::Interrupt;
use crate::host::random::{Purpose, Random};
use crate::image::net::operation;
use crate::image::training::{Stage, Stream, TrainingError};
use crate::optimizer::{Adam, Rates};
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::Optimizer;
use sirocco::layer::shape::{Geometry, Shape, Window};
use std::path::Path;

/// Channels after every convolution.
const CHANNELS: [usize; 3] = [12, 24, 48];
/// Sides of images are multiples of this.
const MULTIPLE: usize = 8;
/// Images of a training step, and of a batch that is reconstructed.
const BATCH: usize = 64;
/// Learning rate of Adam.
const RATE: f64 = 1e-3;

/// An autoencoder for images of one shape.
#[derive(Debug)]
pub struct Autoencoder {
    /// Channels, rows, columns of the images.
    shape: [usize; 3],
    /// The convolutions, from the image on.
    geometries: [Geometry; 3],
    /// Weight and bias of every convolution, then of every transposed one, from the image on.
    variables: Vec<Var>,
}

impl Autoencoder {
    /// An autoencoder with random weights, uniform within 1 / sqrt(inputs); `None` for images without pixels.
    fn random(shape: [usize; 3], seed: u64, device: &Device) -> Option<Result<Self>> {
        let [channels, height, width] = shape;
        let window = Window::square(4, 2, 1);
        let [height, width] = [height, width].map(|side| side.next_multiple_of(MULTIPLE));
        let mut input = Shape { channels, height, width };
        let mut geometries = Vec::new();
        for filters in CHANNELS {
            let geometry = Geometry::new(input, filters, window)?;
            input = geometry.output;
            geometries.push(geometry);
        }
        let geometries: [Geometry; 3] = geometries.try_into().ok()?;
        let mut random = Random::new(seed, Purpose::Autoencoder, 0);
        let mut variable = |shape: &[usize], inputs: usize| {
            let bound = 1.0 / (inputs as f64).sqrt();
            let count = shape.iter().product();
            let values = (0..count).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32).collect::<Vec<_>>();
            Var::from_vec(values, shape, device)
        };
        let mut variables = || {
            let mut all = Vec::new();
            for transposed in [false, true] {
                for g in &geometries {
                    let (channels, filters) = (g.input.channels, g.output.channels);
                    let weight = [filters, channels, 4, 4];
                    let (inputs, outputs) = if transposed { (filters * 4, channels) } else { (g.taps(), filters) };
                    all.push(variable(&weight, inputs)?);
                    all.push(variable(&[outputs], inputs)?);
                }
            }
            Ok(all)
        };
        Some(variables().map(|variables| Autoencoder { shape, geometries, variables }))
    }

    /// Trains an autoencoder for a number of steps of 64 images with Adam at 1e-3. On the CPU the result is the same for the same
    /// seed, on any number of threads. `watch` is called after every step, with its mean squared error.
    ///
    /// # Errors
    /// [`TrainingError`] if there are no images, the autoencoder cannot be computed, training diverges, or the user stops it.
    pub fn train(
        images: &Images,
        steps: usize,
        seed: u64,
        device: &Device,
        stop: &Interrupt,
        mut watch: impl FnMut(usize, f32),
    ) -> std::result::Result<Self, TrainingError> {
        heap::keep_freed_memory();
        let fresh = Self::random(images.shape(), seed, device).filter(|_| !images.is_empty());
        let autoencoder = fresh.ok_or(TrainingError::Empty)??;
        let mut adam = Adam::new(autoencoder.variables.clone(), Rates { learning: RATE, decay: 0.0 })?;
        let all: Vec<usize> = (0..images.len()).collect();
        let mut order = Stream::new(Stage { number: 0, first: 0, end: steps, subset: &all }, seed);
        for step in 0..steps {
            if stop.pressed() {
                return Err(TrainingError::Interrupted);
            }
            let batch: Vec<usize> = (step * BATCH..(step + 1) * BATCH).map(|k| order.at(k)).collect();
            let x = autoencoder.padded(&images.select(&batch).pixels);
            let tensor = autoencoder.tensor(&x)?;
            let loss = operation::squared_error(&autoencoder.decode(&autoencoder.encode(&tensor)?)?, x)?;
            let gradients = loss.backward()?;
            let error = loss.to_scalar::<f32>()?;
            if !error.is_finite() {
                return Err(TrainingError::Diverged { step, rate: RATE });
            }
            adam.step(&gradients)?;
            watch(step + 1, error);
        }
        Ok(autoencoder)
    }

    /// The autoencoder of [`Autoencoder::train`], read from a file in `folder` if there is one; else trained and written there.
    ///
    /// # Errors
    /// [`ShiftError::Training`] as for [`Autoencoder::train`]; [`ShiftError::File`] for a file that is damaged or cannot be
    /// written.
    pub fn cached(
        folder: Option<&Path>,
        images: &Images,
        steps: usize,
        seed: u64,
        device: &Device,
        stop: &Interrupt,
        watch: impl FnMut(usize, f32),
    ) -> std::result::Result<Self, ShiftError> {
        let Some(folder) = folder else { return Ok(Self::train(images, steps, seed, device, stop, watch)?) };
        let data = fingerprint(images);
        let pairs = [
            ("kind", "autoencoder".to_owned()),
            ("data", data.clone()),
            ("shape", format!("{:?}", images.shape())),
            ("steps", steps.to_string()),
            ("seed", seed.to_string()),
        ];
        let identity: Identity = pairs.map(|(k, v)| (k.to_owned(), v)).into();
        let [channels, height, width] = images.shape();
        let name = format!("autoencoder-{channels}x{height}x{width}-{}-{steps}-{seed}.safetensors", &data[..8]);
        let path = folder.join(name);
        match Checkpoint::load(&path, &identity) {
            Ok(checkpoint) => Self::restored(images.shape(), device, &checkpoint, &path),
            Err(CheckpointError::Missing(_)) => {
                crate::host::atomic::create_directory(folder).map_err(CheckpointError::Write)?;
                let autoencoder = Self::train(images, steps, seed, device, stop, watch)?;
                autoencoder.checkpoint(identity)?.save(&path)?;
                Ok(autoencoder)
            }
            Err(other) => Err(other.into()),
        }
    }

    fn checkpoint(&self, identity: Identity) -> std::result::Result<Checkpoint, TrainingError> {
        let mut checkpoint = Checkpoint { identity, ..Checkpoint::default() };
        for (k, variable) in self.variables.iter().enumerate() {
            let values = variable.flatten_all()?.to_vec1::<f32>()?;
            checkpoint.tensors.insert(name(k), values.iter().map(|v| f64::from(*v)).collect());
        }
        Ok(checkpoint)
    }

    fn restored(
        shape: [usize; 3],
        device: &Device,
        checkpoint: &Checkpoint,
        path: &Path,
    ) -> std::result::Result<Self, ShiftError> {
        let fresh = Self::random(shape, 0, device).ok_or(TrainingError::Empty)?;
        let autoencoder = fresh.map_err(TrainingError::from)?;
        for (k, variable) in autoencoder.variables.iter().enumerate() {
            let values = checkpoint.tensor(path, &name(k), variable.elem_count())?;
            let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
            let tensor = Tensor::from_vec(values, variable.shape(), device);
            tensor.and_then(|tensor| variable.set(&tensor)).map_err(TrainingError::from)?;
        }
        Ok(autoencoder)
    }

    /// The images that are decoded after `constant(image)` was added to each of their latent values. Groups of images run in
    /// parallel.
    ///
    /// # Errors
    /// If the tensors cannot be computed.
    pub fn reconstruct(&self, images: &Images, constant: impl Fn(usize) -> f32) -> Result<Images> {
        debug_assert_eq!(images.shape(), self.shape);
        let mut pixels = Vec::with_capacity(images.pixels.len());
        for first in (0..images.len()).step_by(BATCH) {
            let count = BATCH.min(images.len() - first);
            let size = images.image_len();
            let x = self.tensor(&self.padded(&images.pixels[first * size..][..count * size]))?;
            let constants: Vec<f32> = (first..first + count).map(&constant).collect();
            let latent =
                self.encode(&x.detach())?.broadcast_add(&Tensor::from_vec(constants, (count, 1, 1, 1), x.device())?)?;
            let y = self.decode(&latent)?.flatten_all()?.to_vec1::<f32>()?;
            pixels.extend(self.cut(&y).map(|z| 1.0 / (1.0 + (-z).exp())));
        }
        Ok(images.with_pixels(self.shape, pixels))
    }

    /// Channels, rows, columns of its images.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn encode(&self, x: &Tensor) -> Result<Tensor> {
        self.geometries.iter().enumerate().try_fold(x.clone(), |x, (k, geometry)| {
            operation::convolution(&x, &self.variables[2 * k], &self.variables[2 * k + 1], geometry, true)
        })
    }

    /// The reconstruction before the sigmoid.
    fn decode(&self, latent: &Tensor) -> Result<Tensor> {
        self.geometries.iter().enumerate().rev().try_fold(latent.clone(), |y, (k, geometry)| {
            let [weight, bias] = [6 + 2 * k, 7 + 2 * k].map(|k| self.variables[k].as_tensor());
            operation::transposed_convolution(&y, weight, bias, geometry, k > 0)
        })
    }

    fn tensor(&self, padded: &[f32]) -> Result<Tensor> {
        let Shape { channels, height, width } = self.geometries[0].input;
        let n = padded.len() / (channels * height * width);
        Tensor::from_slice(padded, (n, channels, height, width), self.variables[0].device())
    }

    /// Images continued to whole multiples of eight.
    fn padded(&self, pixels: &[f32]) -> Vec<f32> {
        let ([_, height, width], Shape { height: rows, width: columns, .. }) = (self.shape, self.geometries[0].input);
        let mut out = Vec::with_capacity(pixels.len() / (height * width) * rows * columns);
        for plane in pixels.chunks_exact(height * width) {
            for row in 0..rows {
                let row = &plane[row.min(height - 1) * width..][..width];
                out.extend((0..columns).map(|column| row[column.min(width - 1)]));
            }
        }
        out
    }

    /// Padded images without their padding.
    fn cut(&self, padded: &[f32]) -> impl Iterator<Item = f32> {
        let ([_, height, width], Shape { height: rows, width: columns, .. }) = (self.shape, self.geometries[0].input);
        let planes = padded.chunks_exact(rows * columns);
        planes
            .flat_map(move |plane| plane.chunks_exact(columns).take(height).flat_map(move |row| &row[..width]))
            .copied()
    }
}

fn name(k: usize) -> String {
    let kind = if k < 6 { "encoder" } else { "decoder" };
    format!("{kind}{}.{}", 1 + k % 6 / 2, if k.is_multiple_of(2) { "weight" } else { "bias" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{self, Folder, Split};

    fn digits() -> Images {
        dataset::find("fixture-usps").unwrap().load(&Folder::named(None), Split::Train).unwrap()
    }

    fn trained(images: &Images, steps: usize, seed: u64) -> (Autoencoder, Vec<f32>) {
        let mut errors = Vec::new();
        let stop = Interrupt::never();
        let autoencoder =
            Autoencoder::train(images, steps, seed, &Device::Cpu, &stop, |_, error| errors.push(error)).unwrap();
        (autoencoder, errors)
    }

    fn error(a: &Images, b: &Images) -> f32 {
        a.pixels.iter().zip(&b.pixels).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / a.pixels.len() as f32
    }

    #[test]
    fn it_learns_to_give_digits_back_and_never_saw_these() {
        let (digits, unseen) = digits().split(100, 1).unwrap();
        let (autoencoder, errors) = trained(&digits, 400, 0);
        let mean = unseen.pixels.iter().sum::<f32>() / unseen.pixels.len() as f32;
        let variance = unseen.pixels.iter().map(|p| (p - mean).powi(2)).sum::<f32>() / unseen.pixels.len() as f32;
        let found = error(&autoencoder.reconstruct(&unseen, |_| 0.0).unwrap(), &unseen);
        eprintln!("mean squared error {found}, variance {variance}, in training {:?}", errors.last());
        assert!(found < 0.5 * variance, "{found} of {variance}");
        // A constant moves images away, each by its own.
        let moved = autoencoder.reconstruct(&unseen, |k| if k == 3 { 2.0 } else { 0.0 }).unwrap();
        assert!(error(&moved.select(&[3]), &unseen.select(&[3])) > 1.5 * found);
        assert_eq!(moved.select(&[2, 4]), autoencoder.reconstruct(&unseen, |_| 0.0).unwrap().select(&[2, 4]));
    }

    #[test]
    fn the_same_seed_gives_the_same_bits_on_any_threads_and_from_a_file() {
        let digits = digits().first(70);
        let on = |threads: usize, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| trained(&digits, 3, seed).0.reconstruct(&digits, |_| 1.0).unwrap())
        };
        let alone = on(1, 5);
        assert_eq!(on(3, 5), alone);
        assert_ne!(on(1, 6), alone);

        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("made when needed");
        let stop = Interrupt::never();
        let mut steps = 0;
        for _ in 0..2 {
            let kept =
                Autoencoder::cached(Some(&folder), &digits, 3, 5, &Device::Cpu, &stop, |_, _| steps += 1).unwrap();
            assert_eq!(kept.reconstruct(&digits, |_| 1.0).unwrap(), alone);
        }
        assert_eq!(steps, 3, "trained once");
        let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        let mut bytes = std::fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let error =
            Autoencoder::cached(Some(&folder), &digits, 3, 5, &Device::Cpu, &stop, |_, _| {}).unwrap_err().to_string();
        assert!(error.contains(&file.display().to_string()) && error.contains("delete it"), "{error}");
    }

    #[test]
    fn sides_that_are_no_multiples_of_eight_are_continued_and_cut() {
        let pixels: Vec<f32> = (0..2 * 3 * 9 * 12).map(|k| (k % 17) as f32 / 17.0).collect();
        let images = Images::new([3, 9, 12], pixels, vec![0, 0], 1).unwrap();
        let autoencoder = Autoencoder::random(images.shape(), 0, &Device::Cpu).unwrap().unwrap();
        assert_eq!(autoencoder.geometries.map(|g| [g.output.height, g.output.width]), [[8, 8], [4, 4], [2, 2]]);
        let padded = autoencoder.padded(&images.pixels);
        assert_eq!(padded.len(), 2 * 3 * 16 * 16);
        assert_eq!(
            [padded[11], padded[15], padded[15 * 16]],
            [images.pixels[11], images.pixels[11], images.pixels[8 * 12]]
        );
        assert!(autoencoder.cut(&padded).eq(images.pixels.iter().copied()));
        assert_eq!(autoencoder.reconstruct(&images, |_| 0.0).unwrap().shape(), [3, 9, 12]);
    }
}
