//! The tensors and the metadata of an image network's file: weights in the order of the device's inner loops.

use crate::host::model_file::{Metadata, OwnedTensor};
use crate::image::net::graph::{self, Graph};
use crate::image::quantize::forms::Integers;
use crate::image::quantize::winograd;
use safetensors::Dtype;
use sirocco::error::Key;
use sirocco::image::architecture::{Architecture, Operation};
use sirocco::image::arena::Arena;
use sirocco::image::{self, FORMAT_VERSION, ImageError, Network};
use sirocco::layer::add::FIRST_MULTIPLIER;
use sirocco::layer::kernel::Portable;
use sirocco::summary::ModelKind;

/// The metadata that the reader needs, beside those of the network's provenance.
pub fn metadata(integers: &Graph<Integers>, architecture: &Architecture, provenance: &Metadata) -> Metadata {
    let mut metadata = provenance.clone();
    let mut set = |key: Key, value: String| metadata.insert(key.key().into(), value);
    let nodes: Vec<_> = architecture.steps.iter().map(|step| step.to_string()).collect();
    set(Key::Format, version(integers, architecture).to_string());
    set(Key::Kind, ModelKind::Image.name().into());
    set(Key::Image, architecture.image.to_string());
    set(Key::Nodes, nodes.join(";"));
    set(Key::Arena, Arena::new(architecture).bytes().to_string());
    let image = integers.coding(0);
    if architecture.has_values() {
        // All channels have the same scale: a network of values is imported, and imported images have one.
        let (scale, output) = (image.scale * image.spread[0], integers.coding(integers.nodes.len()).scale);
        set(Key::Values, format!("{:e},{:e}", scale as f32, output as f32));
    } else {
        set(Key::Classes, integers.classes.join(","));
    }
    let padding: Vec<_> = (0..integers.input.channels).map(|c| image.byte(c).to_string()).collect();
    set(Key::Padding, padding.join(","));
    // The scale of every value but the logits, for programs that read activations.
    let scales = (0..integers.nodes.len()).map(|value| format!("{:e}", integers.coding(value).scale as f32));
    metadata.insert("scales".into(), scales.collect::<Vec<_>>().join(","));
    metadata
}

/// The oldest version of the format that has all this network uses.
fn version(integers: &Graph<Integers>, architecture: &Architecture) -> u16 {
    let sums = integers.nodes.iter().filter(|node| matches!(node.operation, graph::Operation::Add { .. }));
    let steep = sums.flat_map(|node| &node.weights.multiplier).any(|m| *m > FIRST_MULTIPLIER);
    if steep { FORMAT_VERSION } else { architecture.version() }
}

/// Golden images, and the logits or values that the device evaluator gives for them.
///
/// # Errors
/// [`ImageError`] if an image has the wrong number of bytes.
pub fn golden(network: &Network<'_>, check: impl Iterator<Item = Vec<u8>>) -> Result<Vec<OwnedTensor>, ImageError> {
    let shape = network.image();
    let (mut images, mut logits, mut values, mut count) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut arena = vec![0; network.arena()];
    for bytes in check {
        logits.extend_from_slice(network.logits::<Portable>(&bytes, &mut arena)?.values());
        values.extend_from_slice(network.values::<Portable>(&bytes, &mut arena)?);
        images.extend(bytes);
        count += 1;
    }
    let tensor = |name: &str, shape, bytes| OwnedTensor { name: name.into(), dtype: Dtype::U8, shape, bytes };
    let images = tensor(image::golden::IMAGES, vec![count, shape.height, shape.width, shape.channels], images);
    let answers = match network.value_count() {
        0 => OwnedTensor::f32(image::golden::LOGITS.into(), &[count, logits.len() / count.max(1)], &logits),
        outputs => tensor(image::golden::VALUES, vec![count, outputs], values),
    };
    Ok(vec![images, answers])
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
            Operation::Dense | Operation::Logits | Operation::Values => {
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
