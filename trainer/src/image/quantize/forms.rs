//! From f32 to integers: bytes as activations, signed bytes per output channel as weights.
//!
//! | what | scale | zero point |
//! | --- | --- | --- |
//! | image | 1/255 of the pixel: its own bytes | 255 mean of the channel; 1/deviation goes into the next weights |
//! | value after ReLU | hi / 255 | 0 |
//! | other values | (hi - lo) / 255 | round(-lo / scale) |
//! | weights of output o | max abs w\[o\] / 127 | none |
//!
//! lo and hi are measured on calibration images ([`super::range`]). The arithmetic is that of `sirocco::layer`: the zero
//! point of the input is subtracted from the bias once, here, so that the device never subtracts it.

use super::error::QuantizeError;
use super::range::Interval;
use crate::image::net::graph::{Floats, Graph, Node, Operation};
use sirocco::error::ModelError;
use sirocco::image::architecture::{self, Architecture, Attributes};
use sirocco::layer::add;
use sirocco::layer::shape::{Shape, Window};

/// Largest weight.
const WEIGHT_MAX: f64 = 127.0;
/// Largest magnitude of a bias; the reader accepts 2^30.
const BIAS_MAX: f64 = (1u32 << 29) as f64;
/// Multipliers are in units of 2^-32 and have 31 bits.
const MULTIPLIER_UNIT: f64 = 4_294_967_296.0;
/// Largest ratio of a sum's unit to its output's unit.
const RATIO_MAX: f64 = 0.499;

/// The code of a value's bytes: real = spread\[c\] scale (byte - zero\[c\]).
#[derive(Debug, Clone, PartialEq)]
pub struct Coding {
    /// Numbers per byte.
    pub scale: f64,
    /// Zero point per channel, exact.
    pub zero: Vec<f64>,
    /// Factor per channel; 1 except for the image.
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

    /// Whether all channels have the same scale and zero point.
    fn is_uniform(&self) -> bool {
        self.spread.iter().all(|s| *s == 1.0) && self.zero.iter().all(|z| *z == self.zero[0])
    }

    /// One scale and one zero point for all channels.
    pub fn uniform(scale: f64, zero: f64) -> Self {
        Coding { scale, zero: vec![zero], spread: vec![1.0] }
    }

    /// The coding of an image by its own bytes.
    fn image<W>(graph: &Graph<W>) -> Self {
        Coding {
            scale: 1.0 / 255.0,
            zero: graph.mean.iter().map(|m| 255.0 * f64::from(*m)).collect(),
            spread: graph.deviation.iter().map(|d| 1.0 / f64::from(*d)).collect(),
        }
    }
}

/// The numbers of a node in the device's arithmetic. Convolutions and dense layers have one of each per output, an average has
/// one bias and one multiplier, a sum one bias and two multipliers, a maximum none.
#[derive(Debug, Clone, PartialEq)]
pub struct Integers {
    /// Rows of weights, in the device's order: (rows, columns, channels) of the window, or of the whole input.
    pub weight: Vec<Vec<i8>>,
    /// The initial values of the sums.
    pub bias: Vec<i32>,
    /// The real number that one unit of a sum stands for.
    pub unit: Vec<f64>,
    /// round(2^32 unit / output scale); empty for logits.
    pub multiplier: Vec<i32>,
    /// The coding of the output; without meaning for logits.
    pub coding: Coding,
}

impl Integers {
    /// The numbers of an operation without weights.
    pub fn without_weights(bias: Vec<i32>, multiplier: Vec<i32>, coding: Coding) -> Self {
        Integers { weight: vec![], bias, unit: vec![], multiplier, coding }
    }
}

impl Node<Integers> {
    /// The operation of a device. A convolution is computed window by window, unless [`super::winograd`] chooses otherwise.
    fn device_operation(&self) -> architecture::Operation {
        match self.operation {
            Operation::Conv { groups: 1, .. } => architecture::Operation::Conv,
            Operation::Conv { .. } => architecture::Operation::Depthwise,
            Operation::Dense { .. } if self.weights.multiplier.is_empty() => architecture::Operation::Logits,
            Operation::Dense { .. } => architecture::Operation::Dense,
            Operation::MaxPool(_) => architecture::Operation::Max,
            Operation::AveragePool(_) => architecture::Operation::Average,
            Operation::Add { .. } => architecture::Operation::Add,
        }
    }

    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes {
            from: self.input,
            other: self.input,
            out: None,
            window: Window::square(1, 1, 0),
            zero: self.weights.coding.byte(0),
        };
        match self.operation {
            Operation::Conv { filters, window, .. } => (attributes.out, attributes.window) = (Some(filters), window),
            Operation::Dense { outputs, .. } => attributes.out = Some(outputs),
            Operation::MaxPool(window) | Operation::AveragePool(window) => attributes.window = window,
            Operation::Add { other, .. } => attributes.other = other,
        }
        attributes
    }
}

impl Graph<Integers> {
    /// The coding of a value.
    pub fn coding(&self, value: usize) -> Coding {
        match value.checked_sub(1) {
            None => Coding::image(self),
            Some(node) => self.nodes[node].weights.coding.clone(),
        }
    }

    /// The architecture in the device's terms.
    ///
    /// # Errors
    /// [`ModelError`] if the network is too large for a device.
    pub fn architecture(&self) -> Result<Architecture, ModelError> {
        let mut architecture = Architecture::new(self.input)?;
        for (index, node) in self.nodes.iter().enumerate() {
            let operation = match node.operation {
                Operation::Dense { .. } if self.classes.is_empty() && index + 1 == self.nodes.len() => {
                    architecture::Operation::Values
                }
                _ => node.device_operation(),
            };
            architecture.push(operation, node.attributes())?;
        }
        Ok(architecture)
    }
}

/// Quantizes a network whose values lie in `ranges`, one per value.
///
/// # Errors
/// [`QuantizeError`] for the first node that a device cannot compute.
pub fn quantize(graph: &Graph<Floats>, ranges: &[Interval]) -> Result<Graph<Integers>, QuantizeError> {
    let shapes = graph.shapes()?;
    let mut codings = vec![Coding::image(graph)];
    let mut nodes: Vec<Node<Integers>> = vec![];
    for (index, node) in graph.nodes.iter().enumerate() {
        let logits = index + 1 == graph.nodes.len() && !graph.classes.is_empty();
        let (shape, range) = (shapes[node.input], ranges[index + 1]);
        let weights = Quantizer { index, codings: &codings, input: node.input, shape, range, logits }.integers(node)?;
        codings.push(weights.coding.clone());
        nodes.push(Node { input: node.input, operation: node.operation, weights });
    }
    match nodes.last() {
        Some(Node { operation: Operation::Dense { relu: false, .. }, .. }) => {}
        _ => return Err(QuantizeError::NoLogits),
    }
    let Graph { input, mean, deviation, classes, .. } = graph.clone();
    Ok(Graph { input, mean, deviation, nodes, classes })
}

/// The quantization of one node.
struct Quantizer<'a> {
    index: usize,
    /// Codings of the values so far.
    codings: &'a [Coding],
    /// The value that the node reads, and its shape.
    input: usize,
    shape: Shape,
    /// The range of the node's own value.
    range: Interval,
    /// Whether its outputs are logits.
    logits: bool,
}

impl Quantizer<'_> {
    fn integers(
        &self,
        Node { operation, weights: Floats { weight, bias }, .. }: &Node<Floats>,
    ) -> Result<Integers, QuantizeError> {
        let (shape, input) = (self.shape, &self.codings[self.input]);
        match operation {
            Operation::Conv { window, groups, relu, .. } => {
                let depthwise = *groups > 1 && *groups == shape.channels && bias.len() == shape.channels;
                if *groups != 1 && !depthwise {
                    return Err(QuantizeError::Groups { node: self.index, groups: *groups });
                }
                let rows = weight.chunks_exact(weight.len() / bias.len());
                let rows = rows.enumerate().map(|(o, row)| {
                    if depthwise {
                        return row.iter().map(|w| (*w, o)).collect();
                    }
                    channels_last(row, [shape.channels, window.kernel[0], window.kernel[1]])
                });
                self.weighted(rows.collect(), bias, input, *relu)
            }
            Operation::Dense { relu, .. } => {
                let rows = weight.chunks_exact(shape.size());
                let rows = rows.map(|row| channels_last(row, [shape.channels, shape.height, shape.width])).collect();
                let mut integers = self.weighted(rows, bias, input, *relu)?;
                if self.logits && !relu {
                    integers.multiplier.clear();
                }
                Ok(integers)
            }
            Operation::MaxPool(_) => Ok(Integers::without_weights(vec![], vec![], input.clone())),
            Operation::AveragePool(window) => {
                let count = (window.kernel[0] * window.kernel[1]) as f64;
                let scale = self.uniform(input)?.scale / count;
                let output = self.coding(false, scale / RATIO_MAX);
                let multiplier = (scale / output.scale * MULTIPLIER_UNIT).round() as i32;
                Ok(Integers::without_weights(vec![-(count * input.zero[0]) as i32], vec![multiplier], output))
            }
            Operation::Add { other, relu } => {
                let operands = [self.uniform(input)?, self.uniform(&self.codings[*other])?];
                let coarsest = operands[0].scale.max(operands[1].scale);
                let unit = f64::from(1 << add::SHIFT);
                let output = self.coding(*relu, coarsest * unit / f64::from(add::FIRST_MULTIPLIER));
                let ratio = operands.map(|o| o.scale / output.scale);
                let zeros = ratio[0] * operands[0].zero[0] + ratio[1] * operands[1].zero[0];
                let bias = (unit * (output.zero[0] - zeros)).round() + unit / 2.0;
                let multipliers = ratio.map(|r| (unit * r).round() as i32).to_vec();
                Ok(Integers::without_weights(vec![bias as i32], multipliers, output))
            }
        }
    }

    /// The coding, if it is the same for all channels.
    fn uniform<'c>(&self, coding: &'c Coding) -> Result<&'c Coding, QuantizeError> {
        if coding.is_uniform() { Ok(coding) } else { Err(QuantizeError::BareImage { node: self.index }) }
    }

    /// The coding of the output, with a scale of at least `least`.
    fn coding(&self, relu: bool, least: f64) -> Coding {
        let lo = if relu { 0.0 } else { self.range.lo.min(0.0) };
        let hi = self.range.hi.max(0.0);
        let scale = ((hi - lo) / 255.0).max(least).max(f64::from(f32::MIN_POSITIVE));
        Coding::uniform(scale, (-lo / scale).round())
    }

    /// The integers of rows of weights, each with its input channel.
    fn weighted(
        &self,
        rows: Vec<Vec<(f32, usize)>>,
        bias: &[f32],
        input: &Coding,
        relu: bool,
    ) -> Result<Integers, QuantizeError> {
        let finite = rows.iter().flatten().all(|(w, _)| w.is_finite()) && bias.iter().all(|b| b.is_finite());
        if !finite || !self.range.lo.is_finite() || !self.range.hi.is_finite() {
            return Err(QuantizeError::NotFinite { node: self.index });
        }
        let rows: Vec<Vec<(f64, f64)>> = rows
            .into_iter()
            .map(|row| row.into_iter().map(|(w, c)| (f64::from(w) * input.at(c).0, input.at(c).1)).collect())
            .collect();
        let largest = |row: &[(f64, f64)]| row.iter().fold(0.0f64, |m, (w, _)| m.max(w.abs()));
        // A unit in which the weights fit into a byte, and the bias with the input's zero point into its 32 bits.
        let unit = |(row, b): (&Vec<(f64, f64)>, &f32)| {
            let offset = f64::from(*b).abs() / input.scale;
            (largest(row) / WEIGHT_MAX).max(offset / BIAS_MAX).max(1e-20)
        };
        let units: Vec<f64> = rows.iter().zip(bias).map(unit).collect();
        let coarsest = units.iter().fold(0.0f64, |m, u| m.max(u * input.scale));
        let output = self.coding(relu, coarsest / RATIO_MAX);
        let mut integers = Integers::without_weights(vec![], vec![], output);
        for ((row, bias), unit) in rows.iter().zip(bias).zip(units) {
            let weight: Vec<i8> = row.iter().map(|(w, _)| (w / unit).round() as i8).collect();
            let zeros: f64 = weight.iter().zip(row).map(|(q, (_, zero))| f64::from(*q) * zero).sum();
            let sum_unit = unit * input.scale;
            integers.bias.push((f64::from(*bias) / sum_unit - zeros).round() as i32);
            integers.multiplier.push((sum_unit / integers.coding.scale * MULTIPLIER_UNIT).round() as i32);
            integers.weight.push(weight);
            integers.unit.push(sum_unit);
        }
        Ok(integers)
    }
}

/// A row of weights (c, h, w) in the order (h, w, c), each with its channel.
fn channels_last(row: &[f32], [channels, height, width]: [usize; 3]) -> Vec<(f32, usize)> {
    let plane = height * width;
    (0..plane).flat_map(|k| (0..channels).map(move |c| (row[c * plane + k], c))).collect()
}
