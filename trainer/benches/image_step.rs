//! CPU time of a training step of an image network: 64 images drawn from 2,048 in memory, normalization, forward pass,
//! cross-entropy, backward pass, Adam at 1e-3.
//!
//! ```text
//! cargo bench -p sirocco-trainer --bench image_step                         # lenet16 and thesis-cifar, 300 steps each
//! cargo bench -p sirocco-trainer --bench image_step -- lenet16 500          # one network, so many steps
//! cargo bench -p sirocco-trainer --bench image_step -- lenet16 20 run.safetensors
//! ```
//!
//! For each network a line of JSON states the CPU-seconds of the steps, after 20 that are not counted. With
//! RAYON_NUM_THREADS=1 they are those of one thread.
//!
//! The reference is PyTorch: `tests/compare/images` runs the same steps there, in turns with these, and prints the ratio;
//! `tests/compare/RESULTS.md` has what was measured last. A file name makes the two comparable: dropout is left out, every
//! step takes the same 64 images, and images, labels, first weights and losses are written into the file. Nothing is timed
//! then.

use candle_core::Device;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use sirocco_trainer::dataset::Images;
use sirocco_trainer::host::clock::cpu_seconds;
use sirocco_trainer::host::interrupt::Interrupt;
use sirocco_trainer::host::random::{Purpose, Random};
use sirocco_trainer::image::net::architecture::{Architecture, Layer, preset};
use sirocco_trainer::image::net::network::{Network, Normalization};
use sirocco_trainer::image::training::{Settings, Stage, Training};
use std::error::Error;

/// Images of a step, and all images.
const BATCH: usize = 64;
const IMAGES: usize = 2048;
/// Networks and steps unless others are named.
const NETWORKS: [&str; 2] = ["lenet16", "thesis-cifar"];
const STEPS: usize = 300;
/// Steps before the clock starts.
const WARM_UP: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo appends `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match &arguments[..] {
        [] => NETWORKS.iter().try_for_each(|name| time(name, STEPS)),
        [name, steps] => time(name, steps.parse()?),
        [name, steps, file] => compare(name, steps.parse()?, file),
        _ => Err("give nothing; or a network and a number of steps, and perhaps a file to write".into()),
    }
}

/// A training at its first step.
fn training(architecture: &Architecture) -> Result<Training, Box<dyn Error>> {
    let channels = architecture.input[0];
    let normalization = Normalization { mean: vec![0.5; channels], deviation: vec![0.25; channels] };
    Ok(Training::new(Network::random(architecture, normalization, 1, &Device::Cpu)?, &Settings::usual(0))?)
}

/// Writes `steps` steps on the same images, without dropout, into a file.
fn compare(name: &str, steps: usize, file: &str) -> Result<(), Box<dyn Error>> {
    let mut architecture = preset(name, 10)?;
    architecture.layers.retain(|layer| !matches!(layer, Layer::Dropout(_)));
    let (images, mut training) = (noise(architecture.input)?.first(BATCH), training(&architecture)?);
    let before = weights(&training.network)?;
    let subset: Vec<usize> = (0..BATCH).collect();
    let stage = Stage { number: 0, first: 0, end: steps, subset: &subset };
    let mut losses = Vec::new();
    training.run(&images, stage, &Interrupt::never(), |_, loss| losses.push(loss))?;
    write(file, &images, before, &losses)
}

/// Prints the CPU time of `steps` steps.
fn time(name: &str, steps: usize) -> Result<(), Box<dyn Error>> {
    let architecture = preset(name, 10)?;
    let (images, mut training) = (noise(architecture.input)?, training(&architecture)?);
    let subset: Vec<usize> = (0..images.len()).collect();
    let stage = Stage { number: 0, first: 0, end: WARM_UP + steps, subset: &subset };
    let (mut begin, mut last) = (None, f32::NAN);
    training.run(&images, stage, &Interrupt::never(), |training, loss| {
        last = loss;
        if training.step == WARM_UP {
            begin = cpu_seconds();
        }
    })?;
    let cpu = cpu_seconds().zip(begin).map(|(end, begin)| end - begin);
    let cpu = cpu.ok_or("this system does not tell the CPU time of a process")?;
    println!("{{\"network\": \"{name}\", \"steps\": {steps}, \"cpu_seconds\": {cpu}, \"loss\": {last}}}");
    Ok(())
}

/// Images without anything to learn.
fn noise([channels, height, width]: [usize; 3]) -> Result<Images, Box<dyn Error>> {
    let mut random = Random::new(0, Purpose::Measurement, 0);
    let pixels = (0..IMAGES * channels * height * width).map(|_| (0.5 + 0.25 * random.normal()) as f32).collect();
    let labels = (0..IMAGES).map(|_| (10.0 * random.uniform()) as u8).collect();
    Ok(Images::new([channels, height, width], pixels, labels, 10)?)
}

/// Names, shapes and numbers of all weights.
type Weights = Vec<(String, Vec<usize>, Vec<f32>)>;

fn weights(network: &Network) -> Result<Weights, Box<dyn Error>> {
    let slots = network.steps.slots.iter().zip(&network.variables);
    slots.map(|(slot, v)| Ok((slot.name.clone(), slot.shape.clone(), v.flatten_all()?.to_vec1()?))).collect()
}

fn write(file: &str, images: &Images, mut tensors: Weights, losses: &[f32]) -> Result<(), Box<dyn Error>> {
    let [channels, height, width] = images.shape();
    tensors.push(("images".into(), vec![images.len(), channels, height, width], images.pixels.clone()));
    tensors.push(("labels".into(), vec![images.len()], images.labels.iter().map(|l| f32::from(*l)).collect()));
    tensors.push(("losses".into(), vec![losses.len()], losses.to_vec()));
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| Ok((name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
    serialize_to_file(views.collect::<Result<Vec<_>, Box<dyn Error>>>()?, None, file.as_ref())?;
    Ok(())
}
