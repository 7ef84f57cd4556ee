//! Training steps of an image network for `tests/compare/images`, which does the same ones in PyTorch:
//! `cargo run --release -p sirocco-trainer --example image_step -- lenet16 500` prints the CPU-seconds of 500 steps of 64
//! images after 20 that are not counted; with a FILE behind it, no dropout and the same 64 images in every step, and
//! writes images, labels, first weights and losses into it.

use candle_core::Device;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use sirocco_trainer::dataset::Images;
use sirocco_trainer::host::clock::cpu_seconds;
use sirocco_trainer::host::interrupt::Interrupt;
use sirocco_trainer::host::random::{Purpose, Random};
use sirocco_trainer::image::net::architecture::{Layer, preset};
use sirocco_trainer::image::net::network::{Network, Normalization};
use sirocco_trainer::image::training::{Settings, Stage, Training};
use std::error::Error;

/// Images of a step, and all there are.
const BATCH: usize = 64;
const IMAGES: usize = 2048;
/// Steps before the clock starts.
const WARM_UP: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, steps, file @ ..] = &arguments[..] else { return Err("give a network, steps, perhaps a file".into()) };
    let steps: usize = steps.parse()?;
    let mut architecture = preset(name, 10)?;
    let mut images = noise(architecture.input)?;
    if !file.is_empty() {
        architecture.layers.retain(|layer| !matches!(layer, Layer::Dropout(_)));
        images = images.first(BATCH);
    }
    let channels = architecture.input[0];
    let normalization = Normalization { mean: vec![0.5; channels], deviation: vec![0.25; channels] };
    let mut training =
        Training::new(Network::random(&architecture, normalization, 1, &Device::Cpu)?, &Settings::usual(0))?;
    let subset: Vec<usize> = (0..images.len()).collect();
    if let [file] = file {
        let before = weights(&training.network)?;
        let mut losses = Vec::new();
        let stage = Stage { number: 0, first: 0, end: steps, subset: &subset };
        training.run(&images, stage, &Interrupt::never(), |_, loss| losses.push(loss))?;
        return write(file, &images, before, &losses);
    }
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
