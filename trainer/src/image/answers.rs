//! The answers of a device to many images: the evaluator of `sirocco::image` on all cores of the workstation.

use rayon::prelude::*;
use sirocco::image::{ImageError, Network};
use sirocco::layer::kernel::Portable;

/// The answer to one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The most probable class.
    pub class: usize,
    /// Its probability.
    pub probability: f32,
    /// Predictive entropy in nats.
    pub entropy: f32,
    /// Whether the entropy is above the file's threshold, so that a device withholds the answer.
    pub abstain: bool,
    /// The logits.
    pub logits: Vec<f32>,
    /// The bytes that the last layer reads.
    pub features: Vec<u8>,
}

/// The answers to images of pixels \[n, c, h, w\], in their order. `on_image` is called once per image, from any thread.
///
/// # Errors
/// [`ImageError`] if the pixels are not those of whole images.
pub fn answers(network: &Network<'_>, pixels: &[f32], on_image: &(dyn Fn() + Sync)) -> Result<Vec<Answer>, ImageError> {
    let shape = network.image();
    let (size, arena) = (shape.size().max(1), network.arena());
    let one = |arena: &mut Vec<u32>, pixels: &[f32]| {
        let image = image_bytes(pixels, shape.channels);
        let logits = network.logits::<Portable>(&image, arena)?;
        let answer = logits.classify(network.abstain());
        on_image();
        Ok(Answer {
            class: answer.class,
            probability: answer.probability,
            entropy: answer.entropy,
            abstain: answer.abstain,
            logits: logits.values().to_vec(),
            features: network.features(&image, arena).to_vec(),
        })
    };
    pixels.par_chunks(size).map_init(|| vec![0; arena], one).collect()
}

/// An image's pixels \[c, h, w\] in 0 to 1 as the device takes them: bytes, channels last. Pixels outside of 0 to 1 saturate.
pub fn image_bytes(pixels: &[f32], channels: usize) -> Vec<u8> {
    let plane = pixels.len() / channels.max(1);
    let byte = |p: f32| (p * 255.0).round().clamp(0.0, 255.0) as u8;
    (0..plane).flat_map(|k| (0..channels).map(move |c| byte(pixels[c * plane + k]))).collect()
}
