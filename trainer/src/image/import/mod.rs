//! Networks of other programs: [`tflite`] reads their files as `layers` of a device, `int8` takes over their integers.

mod error;
mod flatbuffer;
mod int8;
mod layers;
#[cfg(test)]
mod tests;
mod tflite;

pub use error::ImportError;

use crate::host::model_file::{self, Metadata, ModelBytes};
use crate::image::export::{GOLDEN, ImageExportError, verify};
use crate::image::net::graph::Graph;
use crate::image::pack::{golden, metadata, tensors};
use crate::image::quantize::forms::Integers;
use sirocco::image::Network;
use sirocco::layer::kernel::Portable;
use sirocco::layer::shape::Shape;
use sirocco::model::Model;
use sirocco_cost::Processor;

/// A file for a device.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The file.
    pub bytes: ModelBytes,
    /// Its network.
    pub graph: Graph<Integers>,
    /// Bytes of working memory.
    pub arena: usize,
    /// Multiply-accumulates of one image.
    pub macs: u32,
    /// Weights and biases.
    pub parameters: u32,
    /// Predicted instructions of one image on a Cortex-M4, with DSP instructions and without.
    pub instructions: [u64; 2],
}

impl Imported {
    /// The outputs of the device's evaluator for all images of these bytes, one after the other: a 32-bit float per class,
    /// little-endian, or a byte per value.
    ///
    /// # Errors
    /// [`ImportError`] if the file does not open, which it did when it was made.
    pub fn outputs(&self, images: &[u8]) -> Result<Vec<u8>, ImportError> {
        let model = Model::open(&self.bytes)?;
        let network = Network::open(&model)?;
        let (mut arena, mut outputs) = (vec![0; network.arena()], Vec::new());
        for image in images.chunks_exact(network.image().size().max(1)) {
            let logits = network.logits::<Portable>(image, &mut arena).map_err(ImageExportError::from)?;
            outputs.extend(logits.values().iter().flat_map(|logit| logit.to_le_bytes()));
            outputs.extend_from_slice(network.values::<Portable>(image, &mut arena).map_err(ImageExportError::from)?);
        }
        Ok(outputs)
    }
}

/// The file of a device for an 8-bit TFLite file.
///
/// # Errors
/// [`ImportError`] for the first operator that a device cannot compute.
pub fn tflite(file: &[u8], classes: Option<Vec<String>>, provenance: &Metadata) -> Result<Imported, ImportError> {
    export(int8::integers(&tflite::read(file)?, classes)?, provenance)
}

/// Packs a network, with golden images that are made up, and opens it as a device does.
fn export(graph: Graph<Integers>, provenance: &Metadata) -> Result<Imported, ImportError> {
    let architecture = graph.architecture()?;
    let instructions = [Processor::Dsp, Processor::Portable].map(|p| sirocco_cost::total(&architecture, p));
    let mut metadata = metadata(&graph, &architecture, provenance);
    metadata.insert("instructions".into(), format!("dsp={} portable={}", instructions[0], instructions[1]));
    let tensors = tensors(&graph, &architecture);
    let assemble = |tensors: &[_]| model_file::assemble(tensors, &metadata).map_err(ImageExportError::from);
    let draft = assemble(&tensors)?;
    let network = Network::open(&Model::open(&draft)?)?;
    let images = (0..GOLDEN).map(|k| made_up(graph.input, k));
    let golden = golden(&network, images).map_err(ImageExportError::from)?;
    let bytes = assemble(&[tensors, golden].concat())?;
    verify(&bytes)?;
    let (arena, macs, parameters) = (4 * network.arena(), network.macs(), network.parameters());
    Ok(Imported { bytes, graph, arena, macs, parameters, instructions })
}

/// An image of smooth waves with some noise: it drives more of a network than noise alone, which averages out.
fn made_up(shape: Shape, seed: usize) -> Vec<u8> {
    let byte = |k: usize| {
        let (row, column) = (k / shape.channels / shape.width, k / shape.channels % shape.width);
        let wave = (row * (3 + seed) + column * (5 + 2 * seed) + 40 * (k % shape.channels)) % 256;
        let noise = (k.wrapping_mul(2_654_435_761).wrapping_add(seed * 97) >> 7) % 64;
        ((if wave < 128 { 2 * wave } else { 510 - 2 * wave }) * 3 / 4 + noise).min(255) as u8
    };
    (0..shape.size()).map(byte).collect()
}
