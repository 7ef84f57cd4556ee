//! TFLite files: their tables, and their operators as layers of a device.
//!
//! The numbers of fields are those of `tensorflow/compiler/mlir/lite/schema/schema.fbs`, version 3.

use super::error::ImportError;
use super::flatbuffer::{Damaged, Table};
use super::layers::{Activation, Layer, Network, Tensor, Type, Value};
use crate::image::net::graph::Operation;
use sirocco::layer::shape::{Shape, Window};
use std::collections::HashMap;

const FORMAT: &str = "TFLite";

/// Operators by their number, for messages, and for those that are read.
const NAMES: [(i32, &str); 33] = [
    (0, "ADD"),
    (1, "AVERAGE_POOL_2D"),
    (2, "CONCATENATION"),
    (3, "CONV_2D"),
    (4, "DEPTHWISE_CONV_2D"),
    (6, "DEQUANTIZE"),
    (9, "FULLY_CONNECTED"),
    (14, "LOGISTIC"),
    (16, "LSTM"),
    (17, "MAX_POOL_2D"),
    (18, "MUL"),
    (19, "RELU"),
    (21, "RELU6"),
    (22, "RESHAPE"),
    (23, "RESIZE_BILINEAR"),
    (25, "SOFTMAX"),
    (28, "TANH"),
    (32, "CUSTOM"),
    (34, "PAD"),
    (36, "GATHER"),
    (39, "TRANSPOSE"),
    (40, "MEAN"),
    (41, "SUB"),
    (42, "DIV"),
    (43, "SQUEEZE"),
    (45, "STRIDED_SLICE"),
    (49, "SPLIT"),
    (67, "TRANSPOSE_CONV"),
    (74, "SUM"),
    (97, "RESIZE_NEAREST_NEIGHBOR"),
    (98, "LEAKY_RELU"),
    (114, "QUANTIZE"),
    (117, "HARD_SWISH"),
];

fn damaged(what: &'static str) -> impl Fn(Damaged) -> ImportError {
    move |Damaged| ImportError::Damaged { format: FORMAT, what }
}

/// An operator, with what a message about it says.
struct Operator<'a> {
    index: usize,
    name: String,
    inputs: Vec<i32>,
    output: usize,
    options: Option<Table<'a>>,
}

impl Operator<'_> {
    fn refuse(&self, what: impl Into<String>, remedy: &'static str) -> ImportError {
        ImportError::Operator { index: self.index, name: self.name.clone(), what: what.into(), remedy }
    }

    fn damaged(&self) -> ImportError {
        self.refuse("its entry is damaged", "convert the network again")
    }

    /// A number of its options.
    fn number(&self, field: usize, default: i32) -> Result<usize, ImportError> {
        let number = self.options.map_or(Ok(default), |options| options.i32(field, default));
        number.ok().and_then(|number| usize::try_from(number).ok()).ok_or_else(|| self.damaged())
    }

    fn byte(&self, field: usize) -> Result<u8, ImportError> {
        self.options.map_or(Ok(0), |options| options.u8(field, 0)).map_err(|_| self.damaged())
    }

    fn activation(&self, field: usize) -> Result<Activation, ImportError> {
        match self.byte(field)? {
            0 => Ok(Activation::None),
            1 => Ok(Activation::Relu),
            3 => Ok(Activation::Relu6),
            other => Err(self.refuse(
                format!("ends with the activation {other}, devices have ReLU and ReLU6"),
                "train with one of these",
            )),
        }
    }

    /// The tensor of an input, if it is there.
    fn input(&self, which: usize) -> Option<usize> {
        self.inputs.get(which).and_then(|index| usize::try_from(*index).ok())
    }
}

/// Reads a file's only subgraph.
///
/// # Errors
/// [`ImportError`] if the file is damaged, or an operator is not one of those that a device computes.
pub fn read(file: &[u8]) -> Result<Network<'_>, ImportError> {
    let model = Table::root(file, b"TFL3").map_err(damaged("it does not begin as one"))?;
    let tables = |number, what| -> Result<Vec<Table<'_>>, ImportError> {
        model.vector(number).and_then(|tables| tables.tables()).map_err(damaged(what))
    };
    let (codes, graphs, buffers) = (tables(1, "operator codes")?, tables(2, "subgraphs")?, tables(4, "buffers")?);
    let [graph] = graphs[..] else {
        let what = format!("has {} subgraphs, an image network has one", graphs.len());
        return Err(ImportError::Network { what, remedy: "convert it without control flow" });
    };
    let list = |number, what| graph.vector(number).and_then(|list| list.i32()).map_err(damaged(what));
    let entries = |number, what| graph.vector(number).and_then(|list| list.tables()).map_err(damaged(what));
    let tensors: Result<Vec<_>, Damaged> = entries(0, "tensors")?.iter().map(|table| tensor(table, &buffers)).collect();
    let tensors = tensors.map_err(damaged("tensors"))?;
    let (inputs, outputs) = (list(1, "inputs")?, list(2, "outputs")?);
    let of = |list: &[i32]| match *list {
        [one] => usize::try_from(one).ok().filter(|index| *index < tensors.len()),
        _ => None,
    };
    let (Some(input), Some(output)) = (of(&inputs), of(&outputs)) else {
        let what = format!("has {} inputs and {} outputs, a device takes one of each", inputs.len(), outputs.len());
        return Err(ImportError::Network { what, remedy: "convert the part of it that has" });
    };
    let shape = image_shape(&tensors[input].shape).ok_or_else(|| ImportError::Network {
        what: format!("reads a tensor of shape {:?}, a device one image of up to 4 channels", tensors[input].shape),
        remedy: "convert it for one image at a time",
    })?;
    let mut reader = Reader {
        values: HashMap::from([(input, Value { number: 0, shape, padding: [[0; 2]; 2] })]),
        network: Network { input: shape, input_tensor: input, tensors, layers: vec![], output: 0, softmax: false },
    };
    for (index, table) in entries(3, "operators")?.iter().enumerate() {
        let operator = operator(index, table, &codes).map_err(damaged("operators"))?;
        reader.add(&operator)?;
    }
    let Reader { values, mut network } = reader;
    network.output = values.get(&output).map_or(0, |value| value.number);
    if network.output == 0 || network.output != network.layers.len() {
        let what = "does not end with the operator that gives its output".to_owned();
        return Err(ImportError::Network { what, remedy: "convert it without the operators that nothing reads" });
    }
    Ok(network)
}

fn tensor<'a>(table: &Table<'a>, buffers: &[Table<'a>]) -> Result<Tensor<'a>, Damaged> {
    let shape = table.vector(0)?.i32()?.into_iter().map(|n| usize::try_from(n).map_err(|_| Damaged));
    let buffer = usize::try_from(table.i32(2, 0)?).map_err(|_| Damaged)?;
    let kind = match table.u8(1, 0)? {
        0 => Type::F32,
        2 => Type::I32,
        3 => Type::U8,
        9 => Type::I8,
        other => Type::Other(other),
    };
    let (mut scales, mut zeros, mut axis) = (vec![], vec![], 0);
    if let Some(quantization) = table.table(4)? {
        (scales, zeros) = (quantization.vector(2)?.f32()?, quantization.vector(3)?.i64()?);
        axis = usize::try_from(quantization.i32(6, 0)?).map_err(|_| Damaged)?;
    }
    let data = buffers.get(buffer).ok_or(Damaged)?.vector(0)?.bytes()?;
    Ok(Tensor { shape: shape.collect::<Result<_, _>>()?, kind, data, scales, zeros, axis })
}

fn operator<'a>(index: usize, table: &Table<'a>, codes: &[Table<'a>]) -> Result<Operator<'a>, Damaged> {
    let code = usize::try_from(table.i32(0, 0)?).ok().and_then(|code| codes.get(code)).ok_or(Damaged)?;
    // Older files have the number in one byte, newer ones in four; the larger counts.
    let number = code.i32(3, 0)?.max(code.u8(0, 0)?.into());
    let name = NAMES.iter().find(|(of, _)| *of == number);
    let name = name.map_or_else(|| format!("number {number}"), |(_, name)| (*name).to_owned());
    let outputs = table.vector(2)?.i32()?;
    let output = outputs.first().and_then(|output| usize::try_from(*output).ok()).ok_or(Damaged)?;
    Ok(Operator { index, name, inputs: table.vector(1)?.i32()?, output, options: table.table(4)? })
}

/// An image of rows, columns and channels; a list of numbers is one row of one channel.
fn image_shape(shape: &[usize]) -> Option<Shape> {
    let [height, width, channels] = match *shape {
        [1, numbers] => [1, numbers, 1],
        [1, height, width] => [height, width, 1],
        [1, height, width, channels] => [height, width, channels],
        _ => return None,
    };
    (1..=4).contains(&channels).then_some(Shape { height, width, channels })
}

struct Reader<'a> {
    /// The values that tensors hold so far.
    values: HashMap<usize, Value>,
    network: Network<'a>,
}

impl<'a> Reader<'a> {
    fn add(&mut self, operator: &Operator<'a>) -> Result<(), ImportError> {
        if operator.output >= self.network.tensors.len() {
            return Err(operator.damaged());
        }
        let read = operator.input(0).and_then(|index| self.values.get(&index)).copied();
        let value = read.ok_or_else(|| operator.refuse("reads a tensor that no operator gives", "convert it again"))?;
        let padded = value.padding != [[0; 2]; 2];
        if padded && !matches!(operator.name.as_str(), "CONV_2D" | "DEPTHWISE_CONV_2D") {
            return Err(operator.refuse("reads what PAD gives, and only convolutions can", "pad within a convolution"));
        }
        if self.network.softmax && operator.name != "DEQUANTIZE" {
            return Err(operator.refuse("comes after SOFTMAX, which a device computes last", "end with SOFTMAX"));
        }
        match operator.name.as_str() {
            "CONV_2D" => self.convolution(operator, value, false),
            "DEPTHWISE_CONV_2D" => self.convolution(operator, value, true),
            "FULLY_CONNECTED" => self.dense(operator, value),
            "ADD" => self.sum(operator, value),
            "AVERAGE_POOL_2D" => self.pool(operator, value, true),
            "MAX_POOL_2D" => self.pool(operator, value, false),
            "MEAN" => self.mean(operator, value),
            "PAD" => self.pad(operator, value),
            "RELU" => self.rectify(operator, value),
            "RESHAPE" | "SQUEEZE" => self.reshape(operator, value),
            "QUANTIZE" | "DEQUANTIZE" => self.convert(operator, value),
            "SOFTMAX" => {
                self.network.softmax = true;
                self.values.insert(operator.output, value);
                Ok(())
            }
            _ => Err(operator.refuse(
                "is not one that a device computes",
                "use convolutions, dense layers, sums, pooling, ReLU and SOFTMAX",
            )),
        }
    }

    /// Appends a layer, whose output has this shape.
    fn push(&mut self, operator: &Operator<'_>, layer: Layer, shape: Shape) -> Result<(), ImportError> {
        self.network.layers.push(layer);
        let value = Value { number: self.network.layers.len(), shape, padding: [[0; 2]; 2] };
        self.values.insert(operator.output, value);
        let stated: usize = self.network.tensors[operator.output].shape.iter().product();
        if stated == shape.size() {
            return Ok(());
        }
        let what = format!("gives {:?}, which is not {shape}", self.network.tensors[operator.output].shape);
        Err(operator.refuse(what, "convert the network for one image at a time"))
    }

    fn layer(operator: &Operator<'_>, input: usize, operation: Operation, activation: Activation) -> Layer {
        let (index, name) = (operator.index, operator.name.clone());
        let (weight, bias) = (operator.input(1), operator.input(2));
        Layer { index, name, input, operation, activation, weight, bias, output: operator.output, transposed: false }
    }

    /// Kernel, stride and padding, of which the file states only a word.
    fn window(operator: &Operator<'_>, value: Value, kernel: [usize; 2]) -> Result<(Window, [usize; 2]), ImportError> {
        let stride = [operator.number(2, 1)?, operator.number(1, 1)?];
        let [padding, after] = value.padding;
        let window = match operator.byte(0)? {
            0 if value.padding == [[0; 2]; 2] && stride != [0; 2] => Window::same(kernel, stride, value.shape),
            1 => Window { kernel, stride, padding, after },
            _ => return Err(operator.refuse("pads twice", "pad in one way")),
        };
        let sides = window.output(value.shape).ok_or_else(|| {
            operator.refuse(format!("has a window {kernel:?} that does not fit {}", value.shape), "use a smaller one")
        })?;
        Ok((window, sides))
    }

    fn convolution(&mut self, operator: &Operator<'_>, value: Value, depthwise: bool) -> Result<(), ImportError> {
        let weight = operator.input(1).and_then(|index| self.network.tensors.get(index));
        let Some([first, rows, columns, last]) = weight.and_then(|weight| weight.shape.first_chunk()).copied() else {
            return Err(operator.refuse("has weights of another rank than 4", "convert the network again"));
        };
        let (activation, dilation) = if depthwise { (4, 5) } else { (3, 4) };
        let activation = operator.activation(activation)?;
        if [operator.number(dilation, 1)?, operator.number(dilation + 1, 1)?] != [1, 1] {
            return Err(operator.refuse("is dilated", "use a convolution without dilation"));
        }
        let (window, [height, width]) = Self::window(operator, value, [rows, columns])?;
        let channels = value.shape.channels;
        let relu = activation != Activation::None;
        // Of one channel, a depthwise convolution with several filters is a usual one.
        let (filters, groups, transposed) = match depthwise {
            true if channels == 1 => (last, 1, true),
            true if last == channels => (channels, channels, false),
            true => {
                let what = format!("makes {last} channels of {channels}");
                return Err(operator.refuse(what, "use a depth multiplier of 1"));
            }
            false if last == channels => (first, 1, false),
            false => {
                let what = format!("has weights for {last} channels of {channels}");
                return Err(operator.refuse(what, "use a convolution without groups"));
            }
        };
        let operation = Operation::Conv { filters, window, groups, relu };
        let layer = Layer { transposed, ..Self::layer(operator, value.number, operation, activation) };
        self.push(operator, layer, Shape { height, width, channels: filters })
    }

    fn dense(&mut self, operator: &Operator<'_>, value: Value) -> Result<(), ImportError> {
        let weight = operator.input(1).and_then(|index| self.network.tensors.get(index));
        let Some(&[outputs, inputs]) = weight.map(|weight| &weight.shape[..]) else {
            return Err(operator.refuse("has weights of another rank than 2", "convert the network again"));
        };
        if inputs != value.shape.size() || operator.byte(1)? != 0 {
            let what = format!("has weights for {inputs} numbers of {}", value.shape.size());
            return Err(operator.refuse(what, "flatten all of a value before it"));
        }
        let activation = operator.activation(0)?;
        let operation = Operation::Dense { outputs, relu: activation != Activation::None };
        let layer = Self::layer(operator, value.number, operation, activation);
        self.push(operator, layer, Shape::vector(outputs))
    }

    fn sum(&mut self, operator: &Operator<'_>, value: Value) -> Result<(), ImportError> {
        let other = operator.input(1).and_then(|index| self.values.get(&index)).copied();
        let Some(other) = other.filter(|other| other.shape == value.shape && other.padding == value.padding) else {
            return Err(operator.refuse("adds something of another shape, or constants", "add values of one shape"));
        };
        let activation = operator.activation(0)?;
        let operation = Operation::Add { other: other.number, relu: activation != Activation::None };
        let layer = Self::layer(operator, value.number, operation, activation);
        let layer = Layer { weight: None, bias: None, ..layer };
        self.push(operator, layer, value.shape)
    }

    fn pool(&mut self, operator: &Operator<'_>, value: Value, average: bool) -> Result<(), ImportError> {
        let kernel = [operator.number(4, 0)?, operator.number(3, 0)?];
        let (window, [height, width]) = Self::window(operator, value, kernel)?;
        if !window.is_bare() {
            return Err(operator.refuse("pads, which pooling on a device does not", "use pooling with padding VALID"));
        }
        if operator.activation(5)? != Activation::None {
            return Err(operator.refuse("ends with an activation", "put it after the convolution before"));
        }
        let operation = if average { Operation::AveragePool(window) } else { Operation::MaxPool(window) };
        let layer = Self::layer(operator, value.number, operation, Activation::None);
        self.push(operator, layer, Shape { height, width, ..value.shape })
    }

    /// The mean over rows and columns.
    fn mean(&mut self, operator: &Operator<'_>, value: Value) -> Result<(), ImportError> {
        let axes = operator.input(1).and_then(|index| self.network.tensors.get(index)).and_then(Tensor::i32);
        let mut axes = axes.unwrap_or_default();
        let rank = operator.input(0).map_or(0, |index| self.network.tensors[index].shape.len()) as i32;
        axes.iter_mut().filter(|axis| **axis < 0).for_each(|axis| *axis += rank);
        axes.sort_unstable();
        if axes != [1, 2] {
            return Err(operator.refuse(format!("is over the axes {axes:?}"), "use the mean over rows and columns"));
        }
        let operation = Operation::global_average(value.shape);
        let layer = Self::layer(operator, value.number, operation, Activation::None);
        let layer = Layer { weight: None, bias: None, ..layer };
        self.push(operator, layer, Shape::vector(value.shape.channels))
    }

    fn pad(&mut self, operator: &Operator<'_>, value: Value) -> Result<(), ImportError> {
        let widths = operator.input(1).and_then(|index| self.network.tensors.get(index)).and_then(Tensor::i32);
        let around = |[top, bottom, left, right]: [i32; 4]| {
            let side = |n: i32| usize::try_from(n).ok().filter(|n| *n <= sirocco::limits::MAX_SIDE);
            Some([[side(top)?, side(left)?], [side(bottom)?, side(right)?]])
        };
        let padding = match widths.as_deref() {
            Some(&[0, 0, top, bottom, left, right, 0, 0]) => around([top, bottom, left, right]),
            _ => None,
        };
        let padding =
            padding.ok_or_else(|| operator.refuse("pads more than rows and columns", "pad only rows and columns"))?;
        self.values.insert(operator.output, Value { padding, ..value });
        Ok(())
    }

    /// A ReLU of its own joins the layer before it.
    fn rectify(&mut self, operator: &Operator<'_>, value: Value) -> Result<(), ImportError> {
        let own = operator.input(0).zip(self.network.layers.last()).is_some_and(|(index, layer)| layer.output == index);
        let layer = self.network.layers.last_mut().filter(|layer| own && layer.activation == Activation::None);
        let relu = layer.and_then(|layer| match &mut layer.operation {
            Operation::Conv { relu, .. } | Operation::Dense { relu, .. } | Operation::Add { relu, .. } => {
                layer.activation = Activation::Relu;
                layer.output = operator.output;
                Some(relu)
            }
            _ => None,
        });
        let relu = relu.ok_or_else(|| {
            operator.refuse("does not follow a convolution, dense layer or sum", "put it right after one")
        })?;
        *relu = true;
        self.values.insert(operator.output, value);
        Ok(())
    }

    /// Another shape of the same numbers: of the image before anything is computed, or flat.
    fn reshape(&mut self, operator: &Operator<'_>, value: Value) -> Result<(), ImportError> {
        let shape = self.network.tensors[operator.output].shape.clone();
        let value = if value.number == 0 && self.network.layers.is_empty() {
            let shape = image_shape(&shape).filter(|shape| shape.size() == value.shape.size());
            let shape = shape.ok_or_else(|| operator.refuse("makes no image of the input", "read an image"))?;
            self.network.input = shape;
            Value { shape, ..value }
        } else if shape.iter().product::<usize>() == value.shape.size() && shape.iter().filter(|n| **n > 1).count() < 2
        {
            Value { shape: Shape::vector(value.shape.size()), ..value }
        } else {
            let what = format!("makes {shape:?} of {}, and devices only flatten", value.shape);
            return Err(operator.refuse(what, "flatten before a dense layer, or use a window of another shape"));
        };
        self.values.insert(operator.output, value);
        Ok(())
    }

    /// From floats to bytes at the beginning and back at the end.
    fn convert(&mut self, operator: &Operator<'_>, value: Value) -> Result<(), ImportError> {
        let index = operator.input(0).unwrap_or(operator.output);
        let (from, to) = (&self.network.tensors[index], &self.network.tensors[operator.output]);
        let bytes = |kind: Type| matches!(kind, Type::I8 | Type::U8);
        let begins = operator.name == "QUANTIZE" && value.number == 0 && from.kind == Type::F32 && bytes(to.kind);
        let same = bytes(from.kind) && bytes(to.kind) && from.byte_coding() == to.byte_coding();
        let ends = operator.name == "DEQUANTIZE" && bytes(from.kind) && to.kind == Type::F32;
        if !(begins || same || ends) {
            return Err(operator.refuse("changes the scale of a value", "convert the network with one scale there"));
        }
        if begins {
            self.network.input_tensor = operator.output;
        }
        self.values.insert(operator.output, value);
        Ok(())
    }
}
