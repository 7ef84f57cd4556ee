//! From a folded f32 image network to integers: bytes as activations, signed bytes per output channel as weights.
//!
//! | what | scale | zero point |
//! | --- | --- | --- |
//! | image | 1/255 of the pixel: its own bytes | 255 mean of the channel; 1/deviation goes into the next weights |
//! | value after ReLU | hi / 255 | 0 |
//! | other values | (hi - lo) / 255 | round(-lo / scale) |
//! | weights of output o | max abs w\[o\] / 127 | none |
//!
//! lo and hi are seen on calibration images ([`super::range`]). The arithmetic is that of `sirocco::layer`: the zero
//! point of the input is taken out of the bias once, here, so that the device never subtracts it.

use super::range::Interval;
use crate::image::net::graph::{Folded, FoldedError, Operation, Shape, Window};
use sirocco::layer::add;

/// Largest weight.
const WEIGHT_MAX: f64 = 127.0;
/// Largest magnitude of a bias; the reader accepts 2^30.
const BIAS_MAX: f64 = (1u32 << 29) as f64;
/// Multipliers are in units of 2^-32 and have 31 bits.
const MULTIPLIER_UNIT: f64 = 4_294_967_296.0;
/// Largest ratio of a sum's unit to its output's unit.
const RATIO_MAX: f64 = 0.499;

/// Why a network cannot be quantised.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ImageQuantiseError {
    /// The description is no network.
    #[error(transparent)]
    Folded(#[from] FoldedError),
    /// A weight or a value is not a finite number.
    #[error("node {node} holds or makes a number that is not finite; train again")]
    NotFinite {
        /// The node.
        node: usize,
    },
    /// No calibration images.
    #[error("calibration needs at least one image")]
    NoImages,
    /// Groups other than one or as many as channels.
    #[error("node {node} has {groups} groups of channels; devices take 1, or one per channel with one output each")]
    Groups {
        /// The node.
        node: usize,
        /// Its groups.
        groups: usize,
    },
    /// The image feeds something that has no weights to take up its normalisation.
    #[error("node {node} adds or averages the image itself; put a convolution before it")]
    BareImage {
        /// The node.
        node: usize,
    },
    /// The last node with an effect is no dense layer without ReLU.
    #[error("the last layer has to be a dense one without ReLU: its outputs are the logits")]
    NoLogits,
}

/// How the bytes of a value stand for numbers: real = spread\[c\] scale (byte - zero\[c\]).
#[derive(Debug, Clone, PartialEq)]
pub struct Coding {
    /// Numbers per byte.
    pub scale: f64,
    /// Zero point per channel, exact.
    pub zero: Vec<f64>,
    /// Factor per channel; 1 but for the image.
    pub spread: Vec<f64>,
}

impl Coding {
    /// The zero point of a channel as a byte.
    pub fn byte(&self, channel: usize) -> u8 {
        self.zero[channel % self.zero.len()].round().clamp(0.0, 255.0) as u8
    }

    fn at(&self, channel: usize) -> (f64, f64) {
        (self.spread[channel % self.spread.len()], self.zero[channel % self.zero.len()])
    }

    /// Whether one scale and one zero point do for all channels.
    fn is_plain(&self) -> bool {
        self.spread.iter().all(|s| *s == 1.0) && self.zero.iter().all(|z| *z == self.zero[0])
    }

    fn plain(scale: f64, zero: f64) -> Self {
        Coding { scale, zero: vec![zero], spread: vec![1.0] }
    }
}

/// Weights, biases and multipliers of a layer, per output.
#[derive(Debug, Clone, PartialEq)]
pub struct Integers {
    /// Rows of weights, in the device's order: (rows, columns, channels) of the window, or of the whole input.
    pub weight: Vec<Vec<i8>>,
    /// What the sums begin with.
    pub bias: Vec<i32>,
    /// Numbers per unit of a sum.
    pub unit: Vec<f64>,
    /// round(2^32 unit / output scale); empty for logits.
    pub multiplier: Vec<i32>,
}

/// How a device computes a convolution, to the same bytes: [`super::winograd`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Window by window.
    Direct,
    /// Tile by tile, on transformed weights.
    Winograd,
}

/// What a device node computes.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// A convolution over all channels.
    Conv(Form, Window, Integers),
    /// A convolution of every channel with itself.
    Depthwise(Window, Integers),
    /// A dense layer to bytes.
    Dense(Integers),
    /// Maximum of each window.
    Max(Window),
    /// Mean of each window: bias and multiplier.
    Average(Window, i32, i32),
    /// Sum with another value: its number, bias and multipliers.
    Add(usize, i32, [i32; 2]),
    /// The last dense layer.
    Logits(Integers),
}

/// A device node.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Number of the value it reads; value 0 is the image, value k + 1 what node k leaves.
    pub from: usize,
    /// What it computes.
    pub layer: Layer,
    /// Shape of what it leaves.
    pub output: Shape,
}

/// A network in integers.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantised {
    /// Shape of an image.
    pub input: Shape,
    /// The nodes in order of evaluation.
    pub nodes: Vec<Node>,
    /// Shape and coding of every value; the logits' coding says nothing.
    pub values: Vec<(Shape, Coding)>,
    /// Names of the classes.
    pub classes: Vec<String>,
}

/// Quantises a network whose values were seen to lie in `ranges`, one per value.
///
/// # Errors
/// [`ImageQuantiseError`].
pub fn quantise(folded: &Folded, ranges: &[Interval]) -> Result<Quantised, ImageQuantiseError> {
    let shapes = folded.shapes()?;
    let spread = folded.deviation.iter().map(|d| 1.0 / f64::from(*d)).collect();
    let zero = folded.mean.iter().map(|m| 255.0 * f64::from(*m)).collect();
    let image = (folded.input, Coding { scale: 1.0 / 255.0, zero, spread });
    let mut out =
        Quantised { input: folded.input, nodes: vec![], values: vec![image], classes: folded.classes.clone() };
    // The device's number of each folded value: flattening leaves none of its own.
    let mut places = vec![0];
    for (index, node) in folded.nodes.iter().enumerate() {
        let place = match &node.operation {
            Operation::Flatten => places[node.input],
            operation => {
                let last = folded.nodes[index + 1..].iter().all(|n| n.operation == Operation::Flatten);
                let step = Step { index, out: &out, places: &places, range: ranges[index + 1], last };
                let from = places[node.input];
                let (layer, coding) = step.layer(operation, from)?;
                out.nodes.push(Node { from, layer, output: shapes[index + 1] });
                out.values.push((shapes[index + 1], coding));
                out.nodes.len()
            }
        };
        places.push(place);
    }
    match out.nodes.last() {
        Some(Node { layer: Layer::Logits(_), .. }) => Ok(out),
        _ => Err(ImageQuantiseError::NoLogits),
    }
}

/// One node on its way.
struct Step<'a> {
    index: usize,
    out: &'a Quantised,
    places: &'a [usize],
    range: Interval,
    last: bool,
}

impl Step<'_> {
    fn layer(&self, operation: &Operation, from: usize) -> Result<(Layer, Coding), ImageQuantiseError> {
        let (shape, input) = &self.out.values[from];
        let plain = || if input.is_plain() { Ok(()) } else { Err(ImageQuantiseError::BareImage { node: self.index }) };
        Ok(match operation {
            Operation::Conv { weight, bias, window, groups, relu } => {
                let depthwise = *groups > 1 && *groups == shape.channels && bias.len() == shape.channels;
                if *groups != 1 && !depthwise {
                    return Err(ImageQuantiseError::Groups { node: self.index, groups: *groups });
                }
                let rows = weight.chunks_exact(weight.len() / bias.len());
                let rows = rows.enumerate().map(|(o, row)| {
                    if depthwise {
                        return row.iter().map(|w| (*w, o)).collect();
                    }
                    channels_last(row, [shape.channels, window.kernel[0], window.kernel[1]])
                });
                let (integers, coding) = self.weighted(rows.collect(), bias, input, *relu)?;
                let conv = |integers| Layer::Conv(Form::Direct, *window, integers);
                (if depthwise { Layer::Depthwise(*window, integers) } else { conv(integers) }, coding)
            }
            Operation::Dense { weight, bias, relu } => {
                let rows = weight.chunks_exact(shape.size());
                let rows = rows.map(|row| channels_last(row, [shape.channels, shape.height, shape.width])).collect();
                let (mut integers, coding) = self.weighted(rows, bias, input, *relu)?;
                if self.last && !relu {
                    integers.multiplier.clear();
                    return Ok((Layer::Logits(integers), coding));
                }
                (Layer::Dense(integers), coding)
            }
            Operation::MaxPool(window) => (Layer::Max(*window), input.clone()),
            Operation::AveragePool(window) => plain().map(|()| self.average(*window, input))?,
            Operation::GlobalAverage => {
                let window = Window { kernel: [shape.height, shape.width], stride: [1, 1], padding: [0, 0] };
                plain().map(|()| self.average(window, input))?
            }
            Operation::Add { other, relu } => {
                plain()?;
                let other = self.places[*other];
                let operands = [input, &self.out.values[other].1];
                if !operands[1].is_plain() {
                    return Err(ImageQuantiseError::BareImage { node: self.index });
                }
                let coarsest = operands[0].scale.max(operands[1].scale);
                let unit = f64::from(1 << add::SHIFT);
                let output = self.coding(*relu, coarsest * unit / f64::from(add::MAX_MULTIPLIER));
                let ratio = operands.map(|o| o.scale / output.scale);
                let zeros = ratio[0] * operands[0].zero[0] + ratio[1] * operands[1].zero[0];
                let bias = (unit * (output.zero[0] - zeros)).round() + unit / 2.0;
                (Layer::Add(other, bias as i32, ratio.map(|r| (unit * r).round() as i32)), output)
            }
            Operation::Flatten => unreachable!("flattening leaves no node"),
        })
    }

    /// Scale and zero point of the output; the scale is at least `least`.
    fn coding(&self, relu: bool, least: f64) -> Coding {
        let lo = if relu { 0.0 } else { self.range.lo.min(0.0) };
        let hi = self.range.hi.max(0.0);
        let scale = ((hi - lo) / 255.0).max(least).max(f64::from(f32::MIN_POSITIVE));
        Coding::plain(scale, (-lo / scale).round())
    }

    fn average(&self, window: Window, input: &Coding) -> (Layer, Coding) {
        let count = (window.kernel[0] * window.kernel[1]) as f64;
        let output = self.coding(false, input.scale / count / RATIO_MAX);
        let multiplier = input.scale / count / output.scale * MULTIPLIER_UNIT;
        (Layer::Average(window, -(count * input.zero[0]) as i32, multiplier.round() as i32), output)
    }

    /// Rows of weights, each with its input channel, as integers.
    fn weighted(
        &self,
        rows: Vec<Vec<(f32, usize)>>,
        bias: &[f32],
        input: &Coding,
        relu: bool,
    ) -> Result<(Integers, Coding), ImageQuantiseError> {
        let finite = rows.iter().flatten().all(|(w, _)| w.is_finite()) && bias.iter().all(|b| b.is_finite());
        if !finite || !self.range.lo.is_finite() || !self.range.hi.is_finite() {
            return Err(ImageQuantiseError::NotFinite { node: self.index });
        }
        let rows: Vec<Vec<(f64, f64)>> = rows
            .into_iter()
            .map(|row| row.into_iter().map(|(w, c)| (f64::from(w) * input.at(c).0, input.at(c).1)).collect())
            .collect();
        let largest = |row: &[(f64, f64)]| row.iter().fold(0.0f64, |m, (w, _)| m.max(w.abs()));
        // A unit in which the weights fit a byte, and the bias with the input's zero point fits as well.
        let unit = |(row, b): (&Vec<(f64, f64)>, &f32)| {
            let offset = f64::from(*b).abs() / input.scale;
            (largest(row) / WEIGHT_MAX).max(offset / BIAS_MAX).max(1e-20)
        };
        let units: Vec<f64> = rows.iter().zip(bias).map(unit).collect();
        let coarsest = units.iter().fold(0.0f64, |m, u| m.max(u * input.scale));
        let output = self.coding(relu, coarsest / RATIO_MAX);
        let mut integers = Integers { weight: vec![], bias: vec![], unit: vec![], multiplier: vec![] };
        for ((row, bias), unit) in rows.iter().zip(bias).zip(units) {
            let weight: Vec<i8> = row.iter().map(|(w, _)| (w / unit).round() as i8).collect();
            let zeros: f64 = weight.iter().zip(row).map(|(q, (_, zero))| f64::from(*q) * zero).sum();
            let sum_unit = unit * input.scale;
            integers.bias.push((f64::from(*bias) / sum_unit - zeros).round() as i32);
            integers.multiplier.push((sum_unit / output.scale * MULTIPLIER_UNIT).round() as i32);
            integers.weight.push(weight);
            integers.unit.push(sum_unit);
        }
        Ok((integers, output))
    }
}

/// A row of weights (c, h, w) in the order (h, w, c), each with its channel.
fn channels_last(row: &[f32], [channels, height, width]: [usize; 3]) -> Vec<(f32, usize)> {
    let plane = height * width;
    (0..plane).flat_map(|k| (0..channels).map(move |c| (row[c * plane + k], c))).collect()
}
