//! From a folded image network to a file that can be flashed: quantize, pack, check with the device evaluator, measure.
//!
//! Temperature, thresholds and what is usual come from held-out training images, ranges from others; the test images only measure.
//!
//! As for bundles, everything is measured on the bytes that are about to be written. The exporter opens them with the device's
//! evaluator, compares its classes with those of the f32 network on labeled images, and puts both accuracies and golden
//! answers into the file. It refuses a file that loses more than [`Options::tolerance`].

use super::answers::{self, Answer, image_bytes};
use super::pack::{golden, metadata, tensors};
use super::trust::{self, Risk, Sets, Thresholds};
use super::usual::HeldOut;
use crate::host::model_file::{self, Metadata, ModelBytes};
use crate::image::net::graph::{Floats, Graph};
use crate::image::net::kernel::loss::argmax;
use crate::image::quantize::error::QuantizeError;
use crate::image::quantize::forms::{Integers, quantize};
use crate::image::quantize::range::{Range, ranges};
use crate::image::quantize::winograd::{self, Transformed};
use rayon::prelude::*;
use sirocco::error::{Key, ModelError};
use sirocco::image::architecture::{Architecture, Operation};
use sirocco::image::golden::Golden;
use sirocco::image::{ImageError, Network};
use sirocco::layer::kernel::Portable;
use sirocco::model::Model;
use sirocco_cost::Processor;

/// Golden images put into a file.
pub const GOLDEN: usize = 4;
/// Bytes for the measured metadata and for the names of the golden tensors.
const MEASURED: usize = 640;
/// Bytes for what is usual, without its features, and for thresholds.
const USUAL: usize = 3456;

/// Images with their classes.
#[derive(Debug, Clone, Copy)]
pub struct Labeled<'a> {
    /// Pixels \[n, c, h, w\] in 0 to 1.
    pub pixels: &'a [f32],
    /// A class per image.
    pub labels: &'a [u8],
}

impl<'a> Labeled<'a> {
    /// Pixels and labels.
    fn both(&self) -> (&'a [f32], &'a [u8]) {
        (self.pixels, self.labels)
    }

    /// The images one by one, with their labels.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [f32], u8)> + use<'a> {
        let size = self.pixels.len() / self.labels.len().max(1);
        self.pixels.chunks_exact(size.max(1)).zip(self.labels.iter().copied())
    }
}

/// The images that a network is exported with.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// They determine the ranges of values.
    pub calibration: Labeled<'a>,
    /// They determine the features that are usual for each class.
    pub learned: Labeled<'a>,
    /// Images that the network did not learn from and the ranges do not come from. Without any there is no temperature, no
    /// threshold and no reference for drift.
    pub held: Option<Labeled<'a>>,
    /// Test images.
    pub check: Labeled<'a>,
}

/// How a network is exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How the range of a value follows from the calibration images.
    pub range: Range,
    /// The largest loss of accuracy, as a fraction. A loss of two images is always allowed.
    pub tolerance: f64,
    /// The share of images like the held-out ones whose answers a device would withhold. It determines the thresholds on the
    /// predictive entropy and on the distance of the features.
    pub withhold: Option<f64>,
    /// The probability with which a set of classes is to hold the right one.
    pub coverage: Option<f64>,
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
            coverage: None,
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
    /// What the logits were divided by, so that probabilities are as large as the share of right answers.
    pub temperature: f64,
    /// Expected calibration error on the check images, without the temperature and with it.
    pub calibration_error: [f64; 2],
    /// Held-out images.
    pub held: usize,
    /// Above what the device withholds its answer.
    pub thresholds: Option<Thresholds>,
    /// Wrong answers among the check images over the answers given.
    pub risk: Vec<Risk>,
    /// Sets of classes.
    pub sets: Option<Sets>,
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

/// Quantizes, fits, checks and measures. It does not write to disk.
///
/// # Errors
/// [`ImageExportError`] for the first check that fails.
pub fn export(
    graph: &Graph<Floats>,
    material: Material<'_>,
    options: &Options,
) -> Result<ExportedImage, ImageExportError> {
    export_with_progress(graph, material, options, &|| ())
}

/// [`export`] that calls `on_image` twice per check image, once for each network, from any thread.
///
/// # Errors
/// [`ImageExportError`] for the first check that fails.
pub fn export_with_progress(
    graph: &Graph<Floats>,
    Material { calibration, learned, held, check }: Material<'_>,
    options: &Options,
    on_image: &(dyn Fn() + Sync),
) -> Result<ExportedImage, ImageExportError> {
    for set in [Some(calibration), Some(learned), held, Some(check)].into_iter().flatten() {
        let (images, size, pixels) = (set.labels.len(), graph.input.size(), set.pixels.len());
        if images * size != pixels || images == 0 {
            return Err(ImageExportError::Images { images, size, pixels });
        }
    }
    let images: Vec<&[f32]> = calibration.iter().map(|(image, _)| image).collect();
    let mut integers = quantize(graph, &ranges(graph, &images, options.range)?)?;
    let mut architecture = integers.architecture()?;
    let size = |a: &Architecture| file_size(&integers, a, check.labels.len(), held.is_some(), options);
    winograd::choose(&mut architecture, options.transformed, size)?;
    let instructions = [Processor::Dsp, Processor::Portable].map(|p| sirocco_cost::total(&architecture, p));
    let mut metadata = metadata(&integers, &architecture, &options.provenance);
    let draft = model_file::assemble(&tensors(&integers, &architecture), &metadata)?;
    let network = Network::open(&Model::open(&draft)?)?;
    let held = held.map(|held| HeldOut::of(&network, learned.both(), held.both())).transpose()?;
    // The temperature divides the scales of the logits, so that every device has it.
    let temperature = held.as_ref().map_or(1.0, |held| held.temperature);
    if let Some(logits) = integers.nodes.last_mut() {
        logits.weights.unit.iter_mut().for_each(|unit| *unit /= temperature);
    }
    let mut tensors = tensors(&integers, &architecture);
    let draft = model_file::assemble(&tensors, &metadata)?;
    let network = Network::open(&Model::open(&draft)?)?;

    let comparison = Comparison::of(graph, &network, check, temperature, on_image)?;
    let (accuracy_before, accuracy) = (comparison.right_before, comparison.right);
    // Two images of 400 are .005, and .895 - .890 is a little more than that in binary.
    if accuracy_before - accuracy > options.tolerance.max(2.0 / check.labels.len() as f64) + 1e-9 {
        return Err(ImageExportError::Loses { before: accuracy_before, after: accuracy });
    }
    let answers = &comparison.answers;
    let thresholds = held.as_ref().zip(options.withhold).map(|(held, share)| held.thresholds(share));
    let withheld = |answer: &Answer| match (&held, thresholds) {
        (Some(held), Some(thresholds)) => thresholds.withhold(answer, held.usual.relative(answer)[1]),
        _ => false,
    };
    let answered: Vec<_> = answers.iter().zip(check.labels).filter(|(answer, _)| !withheld(answer)).collect();
    let answered_count = answered.len();
    let right = answered.iter().filter(|(a, label)| a.class == usize::from(**label)).count();
    let sets = held.as_ref().zip(options.coverage).map(|(held, coverage)| {
        let probability = trust::set_probability(&held.answers, &held.labels, coverage);
        trust::sets(answers, check.labels, coverage, probability)
    });

    let mut set = |key: &str, value: String| metadata.insert(key.into(), value);
    set("accuracy", format!("{:.2}", 100.0 * accuracy));
    set("accuracy.f32", format!("{:.2}", 100.0 * accuracy_before));
    set("accuracy.images", check.labels.len().to_string());
    set("instructions", format!("dsp={} portable={}", instructions[0], instructions[1]));
    set("temperature", temperature.to_string());
    if let Some(held) = &held {
        for (key, value) in held.entries() {
            set(key, value);
        }
        tensors.extend(held.usual.tensors());
    }
    if let Some(thresholds) = thresholds {
        set(Key::Abstain.key(), thresholds.entropy.to_string());
        set(Key::AbstainDistance.key(), thresholds.distance.to_string());
    }
    if let Some(sets) = sets {
        set("set.coverage", sets.asked.to_string());
        set(Key::SetProbability.key(), sets.probability.to_string());
    }
    let images = check.iter().map(|(image, _)| image_bytes(image, graph.input.channels));
    let golden = golden(&network, images.take(GOLDEN))?;
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
    let raw = trust::cooled(answers, 1.0 / temperature);
    Ok(ExportedImage {
        accuracy_before,
        accuracy,
        agreement: comparison.same,
        max_difference: comparison.difference,
        temperature,
        calibration_error: [&raw, answers].map(|answers| trust::calibration_error(answers, check.labels)),
        held: held.map_or(0, |held| held.answers.len()),
        thresholds,
        risk: trust::risk_over_coverage(answers, check.labels),
        sets,
        withheld: 1.0 - answered_count as f64 / check.labels.len() as f64,
        accuracy_answered: right as f64 / answered_count.max(1) as f64,
        arena: 4 * network.arena(),
        transformed: architecture.steps.iter().filter(|step| step.operation == Operation::Winograd).count(),
        macs: network.macs(),
        instructions,
        bytes,
    })
}

/// The size of a network's file, golden images included, with room for the measured metadata, and for what is usual if the file is
/// to say it.
pub(super) fn file_size(
    integers: &Graph<Integers>,
    architecture: &Architecture,
    images: usize,
    usual: bool,
    options: &Options,
) -> Result<usize, ImageExportError> {
    let draft =
        model_file::assemble(&tensors(integers, architecture), &metadata(integers, architecture, &options.provenance))?;
    let golden = images.min(GOLDEN) * (integers.input.size() + 4 * architecture.classes());
    let features = architecture.steps.last().map_or(0, |step| step.geometry.input.size());
    let usual = if usual { USUAL + features * (architecture.classes() + 1) } else { 0 };
    Ok(draft.len() + golden + usual + MEASURED)
}

/// Opens the file as a device would, and replays its golden images.
///
/// # Errors
/// [`ImageExportError`] if a device would refuse it, or an answer differs.
pub fn verify(bytes: &[u8]) -> Result<(), ImageExportError> {
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
    /// Evaluates both networks on every image, on all cores. The file's logits are divided by `temperature`.
    fn of(
        graph: &Graph<Floats>,
        network: &Network<'_>,
        check: Labeled<'_>,
        temperature: f64,
        on_image: &(dyn Fn() + Sync),
    ) -> Result<Self, ImageExportError> {
        let answers = answers::answers(network, check.pixels, on_image)?;
        let images: Vec<_> = check.iter().zip(&answers).collect();
        let one = |((pixels, label), answer): ((&[f32], u8), &Answer)| -> Result<_, ImageExportError> {
            let before = graph.logits(pixels).map_err(QuantizeError::from)?;
            let difference = |(a, b): (&f32, &f32)| (f64::from(*a) - temperature * f64::from(*b)).abs();
            let differences = before.iter().zip(&answer.logits).map(difference);
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
