//! From a folded image network to a file that can be flashed: quantize, pack, check with the device evaluator, measure.
//!
//! As for bundles, everything is measured on the bytes that are about to be written. The exporter opens them with the device's
//! evaluator, compares its classes with those of the f32 network on labeled images, and puts both accuracies and golden
//! answers into the file. It refuses a file that loses more than [`Options::tolerance`].

use super::answers::{self, Answer, image_bytes};
use crate::host::model_file::{self, Metadata, ModelBytes, OwnedTensor};
use crate::image::net::graph::{Floats, Graph};
use crate::image::net::kernel::loss::argmax;
use crate::image::quantize::error::QuantizeError;
use crate::image::quantize::forms::{Integers, quantize};
use crate::image::quantize::range::{Range, ranges};
use crate::image::quantize::winograd::{self, Transformed};
use crate::statistics::{deviation, mean};
use rayon::prelude::*;
use safetensors::Dtype;
use sirocco::error::{Key, ModelError};
use sirocco::image::architecture::{Architecture, Operation};
use sirocco::image::arena::Arena;
use sirocco::image::golden::Golden;
use sirocco::image::{self, FORMAT_VERSION, ImageError, Network};
use sirocco::layer::kernel::Portable;
use sirocco::model::Model;
use sirocco::summary::ModelKind;
use sirocco_cost::Processor;

/// Golden images put into a file.
const GOLDEN: usize = 4;
/// Bytes for the measured metadata and for the names of the golden tensors.
const MEASURED: usize = 640;

/// Images with their classes.
#[derive(Debug, Clone, Copy)]
pub struct Labeled<'a> {
    /// Pixels \[n, c, h, w\] in 0 to 1.
    pub pixels: &'a [f32],
    /// A class per image.
    pub labels: &'a [u8],
}

impl<'a> Labeled<'a> {
    /// The images one by one, with their labels.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [f32], u8)> + use<'a> {
        let size = self.pixels.len() / self.labels.len().max(1);
        self.pixels.chunks_exact(size.max(1)).zip(self.labels.iter().copied())
    }
}

/// How a network is exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How the range of a value follows from the calibration images.
    pub range: Range,
    /// The largest loss of accuracy, as a fraction. A loss of two images is always allowed.
    pub tolerance: f64,
    /// The share of the calibration images whose answers a device would withhold. It determines the threshold on the predictive
    /// entropy.
    pub withhold: Option<f64>,
    /// The convolutions that are stored in Winograd's form, for fewer instructions and more memory.
    pub transformed: Transformed,
    /// Network, data, seed and similar facts, for the file's metadata.
    pub provenance: Metadata,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            range: Range::MinMax,
            tolerance: 0.003,
            withhold: None,
            transformed: Transformed::Never,
            provenance: Metadata::new(),
        }
    }
}

/// Why a network cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ImageExportError {
    /// The network cannot be quantized.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// The file cannot be assembled.
    #[error(transparent)]
    File(#[from] model_file::ModelFileError),
    /// The device evaluator refuses the file.
    #[error("a device would refuse this network: {0}; use fewer or smaller layers")]
    Refused(#[from] ModelError),
    /// The device evaluator cannot evaluate the images.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The pixels are not those of as many images as there are labels.
    #[error("{images} images of {size} numbers do not make {pixels} pixels; check the data set")]
    Images {
        /// The number of labels.
        images: usize,
        /// The number of pixels of an image.
        size: usize,
        /// The number of pixels.
        pixels: usize,
    },
    /// The file or its working memory is larger than the budget.
    #[error("the network takes {needed} bytes of {what}, of {budget}; use fewer or smaller layers, or give it more")]
    Budget {
        /// Flash or RAM.
        what: &'static str,
        /// Bytes needed.
        needed: usize,
        /// Bytes available.
        budget: usize,
    },
    /// The integers are less accurate than the tolerance allows.
    #[error("accuracy falls from {before:.4} to {after:.4}; calibrate on more images or on a percentile, or finetune")]
    Loses {
        /// Of the f32 network.
        before: f64,
        /// Of the file.
        after: f64,
    },
}

/// A checked and measured file.
#[derive(Debug, Clone)]
pub struct ExportedImage {
    /// The file.
    pub bytes: ModelBytes,
    /// Accuracy of the f32 network on the check images.
    pub accuracy_before: f64,
    /// Accuracy of the device evaluator with this file.
    pub accuracy: f64,
    /// Fraction of the check images that get the same class from both.
    pub agreement: f64,
    /// Largest difference between a logit of the file and that of the f32 network.
    pub max_difference: f64,
    /// Predictive entropy in nats above which the device withholds its answer.
    pub abstain: Option<f32>,
    /// Fraction of the check images whose answers are withheld.
    pub withheld: f64,
    /// Accuracy of the answers that are not.
    pub accuracy_answered: f64,
    /// Bytes of working memory.
    pub arena: usize,
    /// Convolutions with transformed weights.
    pub transformed: usize,
    /// Multiply-accumulates of one image.
    pub macs: u32,
    /// Predicted instructions of one image on a Cortex-M4, with DSP instructions and without.
    pub instructions: [u64; 2],
}

/// Quantizes by the ranges of the values on `calibration`; checks and measures on `check`. It does not write to disk.
///
/// # Errors
/// [`ImageExportError`] for the first check that fails.
pub fn export(
    graph: &Graph<Floats>,
    calibration: Labeled<'_>,
    check: Labeled<'_>,
    options: &Options,
) -> Result<ExportedImage, ImageExportError> {
    export_with_progress(graph, calibration, check, options, &|| ())
}

/// [`export`] that calls `on_image` twice per check image, once for each network, from any thread.
///
/// # Errors
/// [`ImageExportError`] for the first check that fails.
pub fn export_with_progress(
    graph: &Graph<Floats>,
    calibration: Labeled<'_>,
    check: Labeled<'_>,
    options: &Options,
    on_image: &(dyn Fn() + Sync),
) -> Result<ExportedImage, ImageExportError> {
    for set in [calibration, check] {
        let (images, size, pixels) = (set.labels.len(), graph.input.size(), set.pixels.len());
        if images * size != pixels || images == 0 {
            return Err(ImageExportError::Images { images, size, pixels });
        }
    }
    let images: Vec<&[f32]> = calibration.iter().map(|(image, _)| image).collect();
    let integers = quantize(graph, &ranges(graph, &images, options.range)?)?;
    let mut architecture = integers.architecture()?;
    winograd::choose(&mut architecture, options.transformed, |a| file_size(&integers, a, check.labels.len(), options))?;
    let tensors = tensors(&integers, &architecture);
    let instructions = [Processor::Dsp, Processor::Portable].map(|p| sirocco_cost::total(&architecture, p));
    let mut metadata = metadata(&integers, &architecture, options);
    let draft = model_file::assemble(&tensors, &metadata)?;
    let network = Network::open(&Model::open(&draft)?)?;

    let of_calibration = answers::answers(&network, calibration.pixels, &|| ())?;
    let mut entropies: Vec<f32> = of_calibration.iter().map(|answer| answer.entropy).collect();
    entropies.sort_by(f32::total_cmp);
    let abstain = options.withhold.map(|share| {
        let rank = ((1.0 - share) * entropies.len() as f64).ceil() as usize;
        entropies[rank.clamp(1, entropies.len()) - 1]
    });
    let comparison = Comparison::of(graph, &network, check, on_image)?;
    let (accuracy_before, accuracy) = (comparison.right_before, comparison.right);
    // Two images of 400 are .005, and .895 - .890 is a little more than that in binary.
    if accuracy_before - accuracy > options.tolerance.max(2.0 / check.labels.len() as f64) + 1e-9 {
        return Err(ImageExportError::Loses { before: accuracy_before, after: accuracy });
    }
    let answered: Vec<_> = comparison.answers.iter().zip(check.labels).collect();
    let answered: Vec<_> = answered.into_iter().filter(|(a, _)| abstain.is_none_or(|t| a.entropy <= t)).collect();
    let right = answered.iter().filter(|(a, label)| a.class == usize::from(**label)).count();
    // The drift alarm of a device compares with these: the network is less certain on images that it did not learn from.
    let unseen: Vec<f64> = comparison.answers.iter().map(|a| f64::from(a.entropy)).collect();
    let (entropy_mean, entropy_deviation) = (mean(&unseen), deviation(&unseen));

    let mut set = |key: &str, value: String| metadata.insert(key.into(), value);
    set("accuracy", format!("{:.2}", 100.0 * accuracy));
    set("accuracy.f32", format!("{:.2}", 100.0 * accuracy_before));
    set("accuracy.images", check.labels.len().to_string());
    set("instructions", format!("dsp={} portable={}", instructions[0], instructions[1]));
    if entropy_deviation > 0.0 {
        set(Key::EntropyMean.key(), format!("{:e}", entropy_mean as f32));
        set(Key::EntropyDeviation.key(), format!("{:e}", entropy_deviation as f32));
    }
    if let Some(threshold) = abstain {
        set(Key::Abstain.key(), threshold.to_string());
    }
    let golden = golden(&network, check)?;
    let bytes = model_file::assemble(&[tensors, golden].concat(), &metadata)?;
    verify(&bytes)?;
    if let Transformed::Within(budget) = options.transformed {
        let arena = 4 * network.arena();
        for (what, needed, budget) in [("flash", bytes.len(), budget.flash), ("RAM", arena, budget.ram)] {
            if needed > budget {
                return Err(ImageExportError::Budget { what, needed, budget });
            }
        }
    }
    Ok(ExportedImage {
        accuracy_before,
        accuracy,
        agreement: comparison.same,
        max_difference: comparison.difference,
        abstain,
        withheld: 1.0 - answered.len() as f64 / check.labels.len() as f64,
        accuracy_answered: right as f64 / answered.len().max(1) as f64,
        arena: 4 * network.arena(),
        transformed: architecture.steps.iter().filter(|step| step.operation == Operation::Winograd).count(),
        macs: network.macs(),
        instructions,
        bytes,
    })
}

/// The size of a network's file, golden images included, with room for the measured metadata.
fn file_size(
    integers: &Graph<Integers>,
    architecture: &Architecture,
    images: usize,
    options: &Options,
) -> Result<usize, ImageExportError> {
    let draft = model_file::assemble(&tensors(integers, architecture), &metadata(integers, architecture, options))?;
    let golden = images.min(GOLDEN) * (integers.input.size() + 4 * architecture.classes());
    Ok(draft.len() + golden + MEASURED)
}

/// Opens the file as a device would, and replays its golden images.
fn verify(bytes: &[u8]) -> Result<(), ImageExportError> {
    let model = Model::open(bytes)?;
    let network = Network::open(&model)?;
    let golden = Golden::open(&model, &network)?.ok_or(ModelError::Golden)?;
    match golden.replay::<Portable>(&network, &mut vec![0; network.arena()])? {
        (0, _) => Ok(()),
        _ => Err(ModelError::Golden.into()),
    }
}

/// The f32 network and the file on the check images.
struct Comparison {
    /// Shares of images that the f32 network and the file classify correctly.
    right_before: f64,
    right: f64,
    /// Share of images that both classify alike.
    same: f64,
    /// Largest difference of a logit.
    difference: f64,
    /// Answers of the file.
    answers: Vec<Answer>,
}

impl Comparison {
    /// Evaluates both networks on every image, on all cores.
    fn of(
        graph: &Graph<Floats>,
        network: &Network<'_>,
        check: Labeled<'_>,
        on_image: &(dyn Fn() + Sync),
    ) -> Result<Self, ImageExportError> {
        let answers = answers::answers(network, check.pixels, on_image)?;
        let images: Vec<_> = check.iter().zip(&answers).collect();
        let one = |((pixels, label), answer): ((&[f32], u8), &Answer)| -> Result<_, ImageExportError> {
            let before = graph.logits(pixels).map_err(QuantizeError::from)?;
            let differences = before.iter().zip(&answer.logits).map(|(a, b)| f64::from((a - b).abs()));
            on_image();
            let class = argmax(&before);
            Ok((class == usize::from(label), class == answer.class, differences.fold(0.0, f64::max)))
        };
        let each: Vec<_> = images.into_par_iter().map(one).collect::<Result<_, _>>()?;
        let share = |count: usize| count as f64 / check.labels.len() as f64;
        let right = answers.iter().zip(check.labels).filter(|(a, label)| a.class == usize::from(**label));
        Ok(Comparison {
            right_before: share(each.iter().filter(|e| e.0).count()),
            right: share(right.count()),
            same: share(each.iter().filter(|e| e.1).count()),
            difference: each.iter().fold(0.0, |m, e| m.max(e.2)),
            answers,
        })
    }
}

/// The first check images and the logits of the device evaluator.
fn golden(network: &Network<'_>, check: Labeled<'_>) -> Result<Vec<OwnedTensor>, ImageExportError> {
    let shape = network.image();
    let (mut images, mut answers) = (Vec::new(), Vec::new());
    for (pixels, _) in check.iter().take(GOLDEN) {
        let bytes = image_bytes(pixels, shape.channels);
        answers.extend_from_slice(network.logits::<Portable>(&bytes, &mut vec![0; network.arena()])?.values());
        images.extend(bytes);
    }
    let count = check.labels.len().min(GOLDEN);
    let of_images = vec![count, shape.height, shape.width, shape.channels];
    Ok(vec![
        OwnedTensor { name: image::golden::IMAGES.into(), dtype: Dtype::U8, shape: of_images, bytes: images },
        OwnedTensor::f32(image::golden::LOGITS.into(), &[count, answers.len() / count], &answers),
    ])
}

/// The metadata that the reader needs, and the provenance.
fn metadata(integers: &Graph<Integers>, architecture: &Architecture, options: &Options) -> Metadata {
    let mut metadata = options.provenance.clone();
    let mut set = |key: Key, value: String| metadata.insert(key.key().into(), value);
    let nodes: Vec<_> = architecture.steps.iter().map(|step| step.to_string()).collect();
    set(Key::Format, FORMAT_VERSION.to_string());
    set(Key::Kind, ModelKind::Image.name().into());
    set(Key::Image, architecture.image.to_string());
    set(Key::Nodes, nodes.join(";"));
    set(Key::Arena, Arena::new(architecture).bytes().to_string());
    set(Key::Classes, integers.classes.join(","));
    let image = integers.coding(0);
    let padding: Vec<_> = (0..integers.input.channels).map(|c| image.byte(c).to_string()).collect();
    set(Key::Padding, padding.join(","));
    // The scale of every value but the logits, for programs that read activations.
    let scales = (0..integers.nodes.len()).map(|value| format!("{:e}", integers.coding(value).scale as f32));
    metadata.insert("scales".into(), scales.collect::<Vec<_>>().join(","));
    metadata
}

/// The tensors of all nodes.
fn tensors(integers: &Graph<Integers>, architecture: &Architecture) -> Vec<OwnedTensor> {
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
