//! Integer image networks, read in place from a model file.
//!
//! The file is plain safetensors like every model file ([`crate::model`]), with `sirocco.kind` = `image`. Metadata:
//! `image` and `nodes` ([`architecture`]), `padding`, `arena`, and `classes` and optionally `abstain`, or `values` for a network
//! whose outputs are numbers and no classes. Activations are
//! unsigned bytes, real = scale (byte - zero point), channels last; weights are signed bytes with a scale per output
//! channel and no zero point. An image's own bytes are the first activations: nothing is converted.
//!
//! | tensors of node K | of | shape |
//! | --- | --- | --- |
//! | `layers.K.weight` `I8` | `conv`, `dense`, `logits`, `values` | (pairs of outputs, words, 2, 2), see below |
//! | `layers.K.weight` `I16` | `winograd` | (pairs of outputs, 16, words, 4), see [`crate::layer::winograd`] |
//! | `layers.K.weight` `I8` | `depthwise` | (rows, columns, channels rounded up to a multiple of 4) |
//! | `layers.K.bias` `I32` | all of these | (outputs) |
//! | | `average`, `add` | (1) |
//! | `layers.K.multiplier` `I32` | `conv`, `winograd`, `depthwise`, `dense`, `values` | (outputs) |
//! | | `average`; `add` | (1); (2) |
//! | `layers.K.scale` `F32` | `logits` | (outputs) |
//!
//! Weights are packed for the inner loop ([`crate::layer::kernel`]): outputs 2q and 2q + 1 share block q; rows of a
//! window, (columns, channels) in a row, are padded with zeros to a multiple of four; the four places 0, 1, 2, 3 make
//! two words, 0 with 2 and 1 with 3, each word (place, output).
//!
//! [`Network::open`] checks everything once; evaluation can then only fail for a caller's slice of the wrong length.

pub mod architecture;
pub mod arena;
pub mod golden;

use crate::classify::{Classification, Logits};
use crate::error::{Key, ModelError, NodeDefect};
use crate::layer::add::{self, Add};
use crate::layer::conv::{Conv, Zeros};
use crate::layer::dense_bytes::{self, Dense};
use crate::layer::depthwise::Depthwise;
use crate::layer::kernel::Kernel;
use crate::layer::pool::{AveragePool, MaxPool};
use crate::layer::shape::Shape;
use crate::layer::winograd::Winograd;
use crate::limits::{MAX_NODES, MAX_WORK};
use crate::model::Model;
use crate::summary::ModelKind;
use crate::text::{number, split};
use architecture::{Architecture, Operation, Step};
use arena::Arena;
use core::ops::Range;
use heapless::Vec;

/// Newest version of the format of image networks that this build reads. A file states the oldest that has all it uses.
pub const FORMAT_VERSION: u16 = 2;

/// Why an image could not be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The image has the wrong number of bytes.
    #[error("the image has {got} bytes, the network wants {wanted}")]
    Size {
        /// Bytes of an image.
        wanted: usize,
        /// Bytes there are.
        got: usize,
    },
    /// The arena is too small.
    #[error("the arena has {got} words, the network needs {wanted}")]
    Arena {
        /// Words needed.
        wanted: usize,
        /// Words there are.
        got: usize,
    },
}

/// The computation of a node, with its weights.
#[derive(Debug, Clone, Copy)]
enum Layer<'a> {
    Conv(Conv<'a>),
    Winograd(Winograd<'a>),
    Depthwise(Depthwise<'a>),
    Dense(Dense<'a>),
    Max(MaxPool),
    Average(AveragePool<'a>),
    Add(Add),
    Logits(dense_bytes::Logits<'a>),
}

impl<'a> Layer<'a> {
    fn open(model: &Model<'a>, index: u8, step: &Step, zeros: Zeros, version: u16) -> Result<Self, ModelError> {
        let (geometry, zero) = (step.geometry, step.zero);
        let largest = if version < 2 { add::FIRST_MULTIPLIER } else { add::MAX_MULTIPLIER };
        let (inputs, outputs) = (geometry.input.size(), geometry.output.channels);
        Ok(match step.operation {
            Operation::Conv => Layer::Conv(Conv::open(model, index, geometry, zeros, zero)?),
            Operation::Winograd => Layer::Winograd(Winograd::open(model, index, geometry, zeros, zero)?),
            Operation::Depthwise => Layer::Depthwise(Depthwise::open(model, index, geometry, zeros, zero)?),
            Operation::Dense | Operation::Values => Layer::Dense(Dense::open(model, index, inputs, outputs, zero)?),
            Operation::Max => Layer::Max(MaxPool::new(geometry)),
            Operation::Average => Layer::Average(AveragePool::open(model, index, geometry, zero)?),
            Operation::Add => Layer::Add(Add::open(model, index, largest)?),
            Operation::Logits => Layer::Logits(dense_bytes::Logits::open(model, index, inputs, outputs)?),
        })
    }

    fn macs(&self) -> u32 {
        match self {
            Layer::Conv(layer) => layer.macs(),
            Layer::Winograd(layer) => layer.macs(),
            Layer::Depthwise(layer) => layer.macs(),
            Layer::Dense(layer) => layer.macs(),
            Layer::Logits(layer) => layer.macs(),
            Layer::Max(_) | Layer::Average(_) | Layer::Add(_) => 0,
        }
    }
}

/// A layer, and the places in the arena that it reads and writes.
#[derive(Debug, Clone)]
struct Node<'a> {
    layer: Layer<'a>,
    operation: Operation,
    /// Rows, columns and channels of its output.
    output: [u16; 3],
    /// What it reads.
    from: Place,
    other: Place,
    /// The bytes of the arena that it writes.
    to: Place,
}

/// Bytes of the arena, or the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    start: u32,
    end: u32,
}

impl Place {
    /// The image; the bytes of no arena.
    const IMAGE: Self = Place { start: u32::MAX, end: u32::MAX };
    const NONE: Self = Place { start: 0, end: 0 };

    /// The bytes of the arena, unless it is the image.
    fn range(self) -> Option<Range<usize>> {
        if self == Self::IMAGE { None } else { Some(self.start as usize..self.end as usize) }
    }

    fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }
}

impl Node<'_> {
    fn output(&self) -> Shape {
        let [height, width, channels] = self.output.map(usize::from);
        Shape { height, width, channels }
    }
}

/// An image network that borrows its weights from the model file.
#[derive(Debug, Clone)]
pub struct Network<'a> {
    image: Shape,
    nodes: Vec<Node<'a>, MAX_NODES>,
    values: usize,
    words: usize,
    classes: &'a str,
    class_count: usize,
    abstain: Option<f32>,
    values_of: Option<Values>,
}

/// What the bytes of a network's image and of its outputs stand for: real = scale (byte - zero).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Values {
    scales: [f32; 2],
    zeros: (Zeros, u8),
}

impl<'a> Network<'a> {
    /// Opens the network of a file.
    ///
    /// # Errors
    /// [`ModelError`], the first defect found, if the file is not one of a valid image network.
    #[inline(never)]
    pub fn open(model: &Model<'a>) -> Result<Self, ModelError> {
        let version = model.require(Key::Format)?.parse().unwrap_or(0);
        if !(1..=FORMAT_VERSION).contains(&version) {
            return Err(ModelError::Version { supported: FORMAT_VERSION });
        }
        if model.require(Key::Kind)? != ModelKind::Image.name() {
            return Err(ModelError::Metadata(Key::Kind));
        }
        // Looked at where it was parsed: moved out of the result it would lie on the stack twice.
        let parsed = Architecture::parse(model.require(Key::Image)?, model.require(Key::Nodes)?);
        let architecture = match &parsed {
            Ok(architecture) => architecture,
            Err(defect) => return Err(*defect),
        };
        // What an older reader would refuse is not in a file that it may take.
        if architecture.version() > version {
            return Err(ModelError::Version { supported: version });
        }
        let work = architecture.work();
        if work > MAX_WORK {
            return Err(ModelError::Work { thousands: u32::try_from(work / 1000).unwrap_or(u32::MAX) });
        }
        let arena = Arena::new(architecture);
        let stated = model.require(Key::Arena)?.parse::<u32>().map_err(|_| ModelError::Metadata(Key::Arena))?;
        let needed = arena.bytes() as u32;
        if stated != needed {
            return Err(ModelError::Arena { stated, needed });
        }
        let classes = if architecture.has_values() { "" } else { model.require(Key::Classes)? };
        let class_count = split(classes, b',').filter(|name| !name.is_empty()).count();
        if class_count != architecture.classes() {
            let node = architecture.steps.len().saturating_sub(1) as u8;
            return Err(ModelError::Node { node, defect: NodeDefect::Logits });
        }
        let padding = parse_padding(model.require(Key::Padding)?, architecture.image.channels);
        let padding = padding.ok_or(ModelError::Metadata(Key::Padding))?;
        // Pooling keeps its input's zero points, so they are followed value by value.
        let mut zeros: Vec<Zeros, { MAX_NODES + 1 }> = Vec::new();
        // There is room for one.
        let _ = zeros.push(padding);
        let mut nodes = Vec::new();
        let bytes = |value: usize| match value.checked_sub(1) {
            None => Place::IMAGE,
            Some(node) => {
                let start = arena.places.get(node).map_or(0, |place| 4 * place.start);
                let size = architecture.value(value).map_or(0, |shape| shape.size());
                Place { start: start as u32, end: (start + size) as u32 }
            }
        };
        for (index, step) in (0u8..).zip(&architecture.steps) {
            let read = zeros.get(step.from).copied().unwrap_or(padding);
            let left = if step.operation == Operation::Max { read } else { Zeros([step.zero; 4]) };
            let output = step.geometry.output;
            let node = Node {
                layer: Layer::open(model, index, step, read, version)?,
                operation: step.operation,
                output: [output.height, output.width, output.channels].map(|n| n as u16),
                from: bytes(step.from),
                other: bytes(step.other),
                to: if step.operation == Operation::Logits { Place::NONE } else { bytes(index as usize + 1) },
            };
            // As many nodes as steps: there is room.
            let _ = (nodes.push(node), zeros.push(left));
        }
        let abstain = match model.entry(Key::Abstain.key()) {
            None => None,
            Some(text) => {
                let threshold = number(text).filter(|t| *t >= 0.0 && t.is_finite());
                Some(threshold.ok_or(ModelError::Metadata(Key::Abstain))?)
            }
        };
        let values_of = match architecture.steps.last() {
            Some(Step { operation: Operation::Values, zero, .. }) => {
                let scales = parse_scales(model.require(Key::Values)?).ok_or(ModelError::Metadata(Key::Values))?;
                Some(Values { scales, zeros: (padding, *zero) })
            }
            _ => None,
        };
        let (image, values, words) = (architecture.image, 4 * arena.values, arena.words());
        Ok(Network { image, nodes, values, words, classes, class_count, abstain, values_of })
    }

    /// Shape of an image.
    pub fn image(&self) -> Shape {
        self.image
    }

    /// Words that hold an image.
    pub fn image_words(&self) -> usize {
        self.image.size().div_ceil(4)
    }

    /// Divides `memory` into room for an image and an arena; `None` if there is too little.
    pub fn workspace<'w>(&self, memory: &'w mut [u32]) -> Option<(&'w mut [u8], &'w mut [u32])> {
        let (image, arena) = memory.split_at_mut_checked(self.image_words())?;
        let image = bytes_mut(image).get_mut(..self.image.size())?;
        Some((image, arena.get_mut(..self.words)?))
    }

    /// Weights and biases.
    pub fn parameters(&self) -> u32 {
        let of = |node: &Node<'_>| match node.layer.macs() {
            0 => 0,
            macs => {
                let output = node.output();
                let pixels = output.pixels() as u32;
                macs.checked_div(pixels).unwrap_or(0) + output.channels as u32
            }
        };
        self.nodes.iter().map(of).fold(0, u32::saturating_add)
    }

    /// The number of words that [`Self::logits`] needs as its arena.
    pub fn arena(&self) -> usize {
        self.words
    }

    /// Names of the classes, in the order of the logits.
    pub fn classes(&self) -> impl Iterator<Item = &'a str> {
        split(self.classes, b',').filter(|name| !name.is_empty())
    }

    /// Number of classes.
    pub fn class_count(&self) -> usize {
        self.class_count
    }

    /// Predictive entropy above which an answer is withheld.
    pub fn abstain(&self) -> Option<f32> {
        self.abstain
    }

    /// The operation, the shape of the output, and the multiply-accumulates of each node.
    pub fn nodes(&self) -> impl Iterator<Item = (Operation, Shape, u32)> {
        self.nodes.iter().map(|node| (node.operation, node.output(), node.layer.macs()))
    }

    /// Multiply-accumulates of one image.
    pub fn macs(&self) -> u32 {
        self.nodes.iter().map(|node| node.layer.macs()).fold(0, u32::saturating_add)
    }

    /// The logits of an image, rows x columns x channels bytes. The arena's content does not matter.
    ///
    /// # Errors
    /// [`ImageError`] if a slice has the wrong length.
    pub fn logits<K: Kernel>(&self, image: &[u8], arena: &mut [u32]) -> Result<Logits, ImageError> {
        self.logits_with_progress::<K>(image, arena, |_| ())
    }

    /// Class, probability and entropy of an image; see [`Self::logits`].
    ///
    /// # Errors
    /// [`ImageError`] if a slice has the wrong length.
    pub fn classify<K: Kernel>(&self, image: &[u8], arena: &mut [u32]) -> Result<Classification, ImageError> {
        Ok(self.logits::<K>(image, arena)?.classify(self.abstain))
    }

    /// The number of outputs that are values and no classes; 0 if the network has classes.
    pub fn value_count(&self) -> usize {
        match (&self.values_of, self.nodes.last()) {
            (Some(_), Some(node)) => node.to.len(),
            _ => 0,
        }
    }

    /// The outputs of a network that has values and no classes, one byte each; none of any other network. [`Self::value`] says
    /// what number a byte stands for.
    ///
    /// # Errors
    /// [`ImageError`] if a slice has the wrong length.
    pub fn values<'x, K: Kernel>(&self, image: &[u8], arena: &'x mut [u32]) -> Result<&'x [u8], ImageError> {
        self.logits::<K>(image, arena)?;
        let place = self.nodes.last().and_then(|node| node.to.range()).unwrap_or(0..0);
        Ok(bytemuck::try_cast_slice(arena).unwrap_or(&[]).get(place).unwrap_or(&[]))
    }

    /// The number that a byte of the outputs stands for, if they are values.
    pub fn value(&self, byte: u8) -> Option<f32> {
        self.values_of.map(|Values { scales: [_, scale], zeros: (_, zero) }| scale * difference(byte, zero))
    }

    /// Mean squared difference between an image and its reconstruction, the network's outputs, both as real numbers: how
    /// unusual the image is to an autoencoder. `None` unless the network has as many values as an image has bytes.
    ///
    /// Summed in f32 in the order of the bytes; five operations for each.
    pub fn reconstruction_error(&self, image: &[u8], outputs: &[u8]) -> Option<f32> {
        let Values { scales: [of_image, of_output], zeros: (Zeros(zeros), zero) } = self.values_of?;
        if image.len() != outputs.len() || image.is_empty() {
            return None;
        }
        let zeros = zeros.iter().take(self.image.channels).cycle();
        let mut sum = 0.0;
        for ((x, y), image_zero) in image.iter().zip(outputs).zip(zeros) {
            let error = of_image * difference(*x, *image_zero) - of_output * difference(*y, zero);
            sum += error * error;
        }
        Some(sum / image.len() as f32)
    }

    /// The bytes that the last layer reads, as the evaluation of `image` has left them in its arena.
    pub fn features<'x>(&self, image: &'x [u8], arena: &'x [u32]) -> &'x [u8] {
        match self.nodes.last().and_then(|node| node.from.range()) {
            Some(place) => bytemuck::try_cast_slice(arena).unwrap_or(&[]).get(place).unwrap_or(&[]),
            None => image,
        }
    }

    /// The number of bytes that the last layer reads.
    pub fn feature_count(&self) -> usize {
        match self.nodes.last().and_then(|node| node.from.range()) {
            Some(place) => place.len(),
            None => self.image.size(),
        }
    }

    /// [`Self::logits`], calling `done` with the number of each node after it was computed.
    ///
    /// # Errors
    /// [`ImageError`] if a slice has the wrong length.
    pub fn logits_with_progress<K: Kernel>(
        &self,
        image: &[u8],
        arena: &mut [u32],
        mut done: impl FnMut(usize),
    ) -> Result<Logits, ImageError> {
        if image.len() != self.image.size() {
            return Err(ImageError::Size { wanted: self.image.size(), got: image.len() });
        }
        let got = arena.len();
        let parts = arena.get_mut(..self.words).and_then(|arena| arena.split_at_mut_checked(self.values / 4));
        let Some((values, scratch)) = parts else { return Err(ImageError::Arena { wanted: self.words, got }) };
        let values = bytes_mut(values);
        let mut logits = Logits::new(self.class_count);
        for (index, node) in self.nodes.iter().enumerate() {
            node.evaluate::<K>(image, values, scratch, &mut logits);
            done(index);
        }
        Ok(logits)
    }
}

impl Node<'_> {
    /// Computes the node's output from its inputs, which lie elsewhere in the arena or are the image.
    fn evaluate<K: Kernel>(&self, image: &[u8], values: &mut [u8], scratch: &mut [u32], logits: &mut Logits) {
        let Some(to) = self.to.range() else { return };
        let Some((before, rest)) = values.split_at_mut_checked(to.start) else { return };
        let Some((output, after)) = rest.split_at_mut_checked(to.len()) else { return };
        let (before, after) = (&*before, &*after);
        let read = |place: Place| match place.range() {
            None => image,
            Some(place) if place.end <= to.start => before.get(place).unwrap_or(&[]),
            Some(place) => {
                let (start, end) = (place.start.wrapping_sub(to.end), place.end.wrapping_sub(to.end));
                after.get(start..end).unwrap_or(&[])
            }
        };
        let x = read(self.from);
        match &self.layer {
            Layer::Conv(layer) => layer.evaluate::<K>(x, output, scratch),
            Layer::Winograd(layer) => layer.evaluate::<K>(x, output, scratch),
            Layer::Depthwise(layer) => layer.evaluate(x, output),
            Layer::Dense(layer) => layer.evaluate::<K>(x, output, scratch),
            Layer::Max(layer) => layer.evaluate::<K>(x, output),
            Layer::Average(layer) => layer.evaluate(x, output, scratch),
            Layer::Add(layer) => layer.evaluate(x, read(self.other), output),
            Layer::Logits(layer) => layer.evaluate::<K>(x, logits.values_mut(), scratch),
        }
    }
}

/// byte - zero.
fn difference(byte: u8, zero: u8) -> f32 {
    f32::from(i16::from(byte) - i16::from(zero))
}

/// `0.39,0.36`: two positive numbers.
fn parse_scales(text: &str) -> Option<[f32; 2]> {
    let mut parts = split(text, b',').map(|part| number(part).filter(|scale| *scale > 0.0 && scale.is_finite()));
    let scales = [parts.next()??, parts.next()??];
    parts.next().is_none().then_some(scales)
}

/// Memory as bytes.
pub fn bytes_mut(memory: &mut [u32]) -> &mut [u8] {
    bytemuck::try_cast_slice_mut(memory).unwrap_or(&mut [])
}

/// `33` or `125,123,114`: a byte per channel.
fn parse_padding(text: &str, channels: usize) -> Option<Zeros> {
    let mut zeros = [0; architecture::MAX_IMAGE_CHANNELS];
    let mut parts = split(text, b',');
    for zero in zeros.iter_mut().take(channels) {
        *zero = parts.next()?.parse::<u8>().ok()?;
    }
    if channels == 1 {
        // Rows of one byte are filled at once.
        zeros = [zeros[0]; architecture::MAX_IMAGE_CHANNELS];
    }
    parts.next().is_none().then_some(Zeros(zeros))
}
