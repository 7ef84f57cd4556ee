//! The tensors of an image network's file: weights in the order of the device's inner loops.

use super::answers::image_bytes;
use crate::host::model_file::OwnedTensor;
use crate::image::net::graph::Graph;
use crate::image::quantize::forms::Integers;
use crate::image::quantize::winograd;
use safetensors::Dtype;
use sirocco::image::architecture::{Architecture, Operation};
use sirocco::image::{self, ImageError, Network};
use sirocco::layer::kernel::Portable;

/// Golden images and the logits that the device evaluator gives for them.
pub fn golden<'i>(
    network: &Network<'_>,
    check: impl Iterator<Item = &'i [f32]>,
) -> Result<Vec<OwnedTensor>, ImageError> {
    let shape = network.image();
    let (mut images, mut answers, mut count) = (Vec::new(), Vec::new(), 0);
    for pixels in check {
        let bytes = image_bytes(pixels, shape.channels);
        answers.extend_from_slice(network.logits::<Portable>(&bytes, &mut vec![0; network.arena()])?.values());
        images.extend(bytes);
        count += 1;
    }
    let of_images = vec![count, shape.height, shape.width, shape.channels];
    Ok(vec![
        OwnedTensor { name: image::golden::IMAGES.into(), dtype: Dtype::U8, shape: of_images, bytes: images },
        OwnedTensor::f32(image::golden::LOGITS.into(), &[count, answers.len() / count.max(1)], &answers),
    ])
}

/// The tensors of all nodes.
pub fn tensors(integers: &Graph<Integers>, architecture: &Architecture) -> Vec<OwnedTensor> {
    let mut tensors = Vec::new();
    for (index, (node, step)) in integers.nodes.iter().zip(&architecture.steps).enumerate() {
        let (name, numbers) = (|what: &str| format!("layers.{index}.{what}"), &node.weights);
        let [rows, columns] = step.geometry.window.kernel;
        match step.operation {
            Operation::Winograd => {
                let (shape, values) = winograd::packed(numbers);
                tensors.push(OwnedTensor::i16(name("weight"), &shape, &values));
            }
            Operation::Conv => tensors.push(packed(name("weight"), numbers, columns * step.geometry.input.channels)),
            Operation::Dense | Operation::Logits => {
                tensors.push(packed(name("weight"), numbers, step.geometry.input.size()));
            }
            Operation::Depthwise => {
                // Padded, so that the next tensor in the file is aligned to words, too.
                let channels = numbers.weight.len().next_multiple_of(4);
                let tap = |k: usize| numbers.weight.iter().map(move |row| row[k] as u8).chain([0; 3]).take(channels);
                let bytes = (0..rows * columns).flat_map(tap).collect();
                let shape = vec![rows, columns, channels];
                tensors.push(OwnedTensor { name: name("weight"), dtype: Dtype::I8, shape, bytes });
            }
            Operation::Max => continue,
            Operation::Average | Operation::Add => {}
        }
        tensors.push(OwnedTensor::i32(name("bias"), &[numbers.bias.len()], &numbers.bias));
        if step.operation == Operation::Logits {
            let scale: Vec<f32> = numbers.unit.iter().map(|u| *u as f32).collect();
            tensors.push(OwnedTensor::f32(name("scale"), &[scale.len()], &scale));
        } else {
            tensors.push(OwnedTensor::i32(name("multiplier"), &[numbers.multiplier.len()], &numbers.multiplier));
        }
    }
    tensors
}

/// Weights in the order of the device's inner loop (`sirocco::image`); a window's rows have `row` weights.
fn packed(name: String, integers: &Integers, row: usize) -> OwnedTensor {
    let padded = |weight: &[i8]| -> Vec<u8> {
        let rows = weight.chunks(row).map(|r| r.iter().map(|w| *w as u8).chain([0; 3]).take(row.next_multiple_of(4)));
        rows.flatten().collect()
    };
    let rows: Vec<Vec<u8>> = integers.weight.iter().map(|weight| padded(weight)).collect();
    let none = vec![0; rows[0].len()];
    let mut bytes = Vec::new();
    for pair in rows.chunks(2) {
        let (a, b) = (&pair[0], pair.get(1).unwrap_or(&none));
        for k in (0..a.len()).step_by(4) {
            for [i, j] in [[k, k + 2], [k + 1, k + 3]] {
                bytes.extend([a[i], b[i], a[j], b[j]]);
            }
        }
    }
    let shape = vec![integers.weight.len().div_ceil(2), none.len() / 2, 2, 2];
    OwnedTensor { name, dtype: Dtype::I8, shape, bytes }
}
