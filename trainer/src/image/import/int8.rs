//! From the 8-bit integers of another program to those of a device.
//!
//! A signed byte q of theirs is the unsigned byte q + 128 of ours, with the same scale; weights are the same signed bytes. Theirs
//! sum w (x - zero) and ours w x, so zero times the sum of the weights moves into the bias. What is left are multipliers, 2^-32
//! M for their scale_in scale_w / scale_out, and roundings: a byte may differ by one step where an exact result lies near the
//! middle of two.

use super::error::ImportError;
use super::layers::{Activation, Layer, Network, Tensor, Type};
use crate::image::net::graph::{Graph, Node, Operation};
use crate::image::quantize::forms::{Coding, Integers};
use sirocco::layer::add;

/// Largest magnitude of a bias that a device takes.
const BIAS_MAX: i64 = 1 << 30;
/// Multipliers are in units of 2^-32.
const MULTIPLIER_UNIT: f64 = 4_294_967_296.0;
/// What to do about numbers that are not 8-bit integers as TensorFlow makes them.
const CONVERT: &str = "convert the network to int8 for inputs, outputs and operators, with representative data";

/// The network in a device's integers. Its outputs are classes if names are given, or if it ends with a softmax.
///
/// # Errors
/// [`ImportError`] for the first layer that a device cannot compute.
pub fn integers(network: &Network<'_>, names: Option<Vec<String>>) -> Result<Graph<Integers>, ImportError> {
    let (scale, zero) = network.tensors[network.input_tensor]
        .byte_coding()
        .ok_or_else(|| ImportError::Network { what: "reads no bytes with one scale".into(), remedy: CONVERT })?;
    let mut codings = vec![(scale, zero)];
    let mut nodes: Vec<Node<Integers>> = Vec::new();
    let last = network.layers.len();
    let outputs: usize = network.layers.last().map_or(0, |layer| network.tensors[layer.output].shape.iter().product());
    let names = names.or_else(|| network.softmax.then(|| (0..outputs).map(|class| class.to_string()).collect()));
    for (number, layer) in (1..).zip(&network.layers) {
        let importer = Importer { network, layer, codings: &codings };
        let output = importer.coding()?;
        let operation = if number == last { ends(layer.operation, outputs) } else { layer.operation };
        let mut weights = importer.integers(output)?;
        if number == last && names.is_some() {
            weights.multiplier.clear();
        }
        codings.push(output);
        nodes.push(Node { input: layer.input, operation, weights });
    }
    let classes = names.unwrap_or_default();
    if !matches!(nodes.last(), Some(Node { operation: Operation::Dense { relu: false, .. }, .. })) {
        let what = "does not end with a dense layer without activation".into();
        return Err(ImportError::Network { what, remedy: "give it one for its outputs" });
    }
    if !classes.is_empty() && classes.len() != outputs {
        let what = format!("has {outputs} outputs for {} names of classes", classes.len());
        return Err(ImportError::Network { what, remedy: "name each of them with --classes" });
    }
    let channels = network.input.channels;
    let mean = vec![(f64::from(zero) / 255.0) as f32; channels];
    let deviation = vec![(1.0 / (255.0 * f64::from(scale))) as f32; channels];
    Ok(Graph { input: network.input, mean, deviation, nodes, classes })
}

/// The last layer. A convolution whose window is all of its input is a dense layer.
fn ends(operation: Operation, outputs: usize) -> Operation {
    match operation {
        Operation::Conv { filters, window, groups: 1, relu } if filters == outputs && window.is_bare() => {
            Operation::Dense { outputs, relu }
        }
        operation => operation,
    }
}

struct Importer<'n> {
    network: &'n Network<'n>,
    layer: &'n Layer,
    codings: &'n [(f32, u8)],
}

impl Importer<'_> {
    fn refuse(&self, what: impl Into<String>, remedy: &'static str) -> ImportError {
        let Layer { index, name, .. } = self.layer;
        ImportError::Operator { index: *index, name: name.clone(), what: what.into(), remedy }
    }

    fn tensor(&self, index: Option<usize>) -> Option<&Tensor<'_>> {
        self.network.tensors.get(index?)
    }

    /// Scale and zero point of the output. A device clamps to 0 and 255, so an activation has to end there.
    fn coding(&self) -> Result<(f32, u8), ImportError> {
        let tensor = &self.network.tensors[self.layer.output];
        let coding = tensor.byte_coding().filter(|_| tensor.kind == Type::I8);
        let (scale, zero) = coding.ok_or_else(|| self.refuse("gives no signed bytes with one scale", CONVERT))?;
        let six = f64::from(zero) + (6.0 / f64::from(scale)).round();
        let inside = match self.layer.activation {
            Activation::None => false,
            Activation::Relu => zero > 0,
            Activation::Relu6 => zero > 0 || six < 255.0,
        };
        if inside {
            return Err(
                self.refuse("clamps within the range of its bytes", "calibrate it on data that reach the clamp")
            );
        }
        Ok((scale, zero))
    }

    fn integers(&self, (scale, zero): (f32, u8)) -> Result<Integers, ImportError> {
        let coding = Coding::uniform(scale.into(), zero.into());
        let input = self.codings[self.layer.input];
        match &self.layer.operation {
            Operation::Conv { .. } | Operation::Dense { .. } => self.weighted(input, coding),
            Operation::MaxPool(_) if input != (scale, zero) => Err(self.refuse("changes the scale", CONVERT)),
            Operation::MaxPool(_) => Ok(Integers::without_weights(vec![], vec![], coding)),
            Operation::AveragePool(window) => {
                let count = (window.kernel[0] * window.kernel[1]) as i32;
                let multiplier = self.multiplier(f64::from(input.0) / f64::from(scale) / f64::from(count))?;
                // TensorFlow rounds halves away from zero, and most averages are negative as signed bytes.
                let halves = i32::from(count % 2 == 0 && input == (scale, zero));
                Ok(Integers::without_weights(vec![-count * i32::from(input.1) - halves], vec![multiplier], coding))
            }
            Operation::Add { other, .. } => {
                let operands = [input, self.codings[*other]];
                let unit = f64::from(1 << add::SHIFT);
                let multipliers = operands.map(|(of, _)| (unit * f64::from(of) / f64::from(scale)).round() as i64);
                if multipliers.iter().any(|m| *m > i64::from(add::MAX_MULTIPLIER)) {
                    return Err(self.refuse("adds a value of more than 8 times its own scale", CONVERT));
                }
                let zeros: i64 = multipliers.iter().zip(operands).map(|(m, (_, zero))| m * i64::from(zero)).sum();
                let bias = (i64::from(zero) << add::SHIFT) - zeros + (1 << (add::SHIFT - 1));
                let multipliers = multipliers.map(|m| m as i32).to_vec();
                Ok(Integers::without_weights(vec![bias as i32], multipliers, coding))
            }
        }
    }

    /// The multiplier for a ratio of scales.
    fn multiplier(&self, ratio: f64) -> Result<i32, ImportError> {
        let multiplier = (ratio * MULTIPLIER_UNIT).round();
        if multiplier <= f64::from(i32::MAX) {
            return Ok(multiplier as i32);
        }
        Err(self.refuse(format!("makes {ratio:.2} steps of its output from one of its sum, at most 0.5 fit"), CONVERT))
    }

    fn weighted(&self, (scale, zero): (f32, u8), coding: Coding) -> Result<Integers, ImportError> {
        let (rows, tensor) = self.rows()?;
        let units = self.units(tensor, rows.len())?;
        let bias = match self.tensor(self.layer.bias) {
            None => vec![0; rows.len()],
            Some(bias) => bias.i32().unwrap_or_default(),
        };
        if bias.len() != rows.len() {
            return Err(self.refuse("has biases that are not one 32-bit integer for each output", CONVERT));
        }
        let mut integers = Integers::without_weights(vec![], vec![], coding);
        for ((row, bias), unit) in rows.into_iter().zip(bias).zip(units) {
            let unit = unit * f64::from(scale);
            let (weight, bias, unit) = within_limits(row, bias.into(), zero.into(), unit);
            integers.multiplier.push(self.multiplier(unit / integers.coding.scale)?);
            integers.weight.push(weight);
            integers.bias.push(bias);
            integers.unit.push(unit);
        }
        Ok(integers)
    }

    /// The weights of each output in the order (rows, columns, channels).
    fn rows(&self) -> Result<(Vec<Vec<i8>>, &Tensor<'_>), ImportError> {
        let tensor = self.tensor(self.layer.weight).ok_or_else(|| self.refuse("has no weights", CONVERT))?;
        let weights =
            tensor.i8().ok_or_else(|| self.refuse("has weights that are no constant signed bytes", CONVERT))?;
        if tensor.zeros.iter().any(|zero| *zero != 0) {
            return Err(self.refuse("has weights with a zero point", CONVERT));
        }
        let outputs = match self.layer.operation {
            Operation::Conv { filters, .. } => filters,
            Operation::Dense { outputs, .. } => outputs,
            _ => 0,
        };
        if outputs == 0 || weights.is_empty() {
            return Err(self.refuse("has no weights", CONVERT));
        }
        let strided = self.layer.transposed || matches!(self.layer.operation, Operation::Conv { groups: 2.., .. });
        let rows = if strided {
            (0..outputs).map(|o| weights.iter().skip(o).step_by(outputs).copied().collect()).collect()
        } else {
            weights.chunks_exact(weights.len() / outputs).map(<[i8]>::to_vec).collect()
        };
        Ok((rows, tensor))
    }

    /// The number that a weight of 1 stands for, for each output.
    fn units(&self, tensor: &Tensor<'_>, outputs: usize) -> Result<Vec<f64>, ImportError> {
        let scales: Vec<f64> = match tensor.scales[..] {
            [scale] => vec![scale.into(); outputs],
            ref scales => scales.iter().map(|scale| f64::from(*scale)).collect(),
        };
        let axis = tensor.scales.len() == 1 || tensor.shape.get(tensor.axis) == Some(&outputs);
        if scales.len() != outputs || !axis || !scales.iter().all(|scale| *scale > 0.0 && scale.is_finite()) {
            return Err(self.refuse("has weights without a positive scale, or one for each output", CONVERT));
        }
        Ok(scales)
    }
}

/// Weights, bias and unit with the zero point of the input in the bias. Where the bias is beyond what a device takes, all of
/// them are in a larger unit: this happens only where the weights are next to nothing.
fn within_limits(row: Vec<i8>, bias: i64, zero: i64, unit: f64) -> (Vec<i8>, i32, f64) {
    for shift in 0.. {
        let shrunk = |n: i64| if shift == 0 { n } else { (n + (1 << (shift - 1))) >> shift };
        let weight: Vec<i64> = row.iter().map(|w| shrunk((*w).into())).collect();
        let moved = shrunk(bias) - zero * weight.iter().sum::<i64>();
        if moved.abs() <= BIAS_MAX {
            let weight = weight.into_iter().map(|w| w as i8).collect();
            return (weight, moved as i32, unit * f64::from(1u32 << shift));
        }
    }
    unreachable!("a bias of 33 bits fits after a few shifts")
}
