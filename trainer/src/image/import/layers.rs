//! What importers of every format read: layers of a device, with the tensors of the file that hold their numbers.

use crate::image::net::graph::Operation;
use sirocco::layer::shape::Shape;

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// 32-bit floats.
    F32,
    /// 32-bit integers.
    I32,
    /// Signed bytes.
    I8,
    /// Unsigned bytes.
    U8,
    /// Any other, by its number in the file's format.
    Other(u8),
}

/// A tensor of the file.
#[derive(Debug, Clone)]
pub struct Tensor<'a> {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its type.
    pub kind: Type,
    /// Its elements, if they are constants.
    pub data: &'a [u8],
    /// Numbers per unit: one, or one for each element of the axis; none if it is not quantized.
    pub scales: Vec<f32>,
    /// Zero points, as many.
    pub zeros: Vec<i64>,
    /// The axis.
    pub axis: usize,
}

impl Tensor<'_> {
    /// Its elements, if they are constant 32-bit integers.
    pub fn i32(&self) -> Option<Vec<i32>> {
        let (elements, rest) = self.data.as_chunks();
        let whole = self.kind == Type::I32 && rest.is_empty() && elements.len() == self.shape.iter().product::<usize>();
        whole.then(|| elements.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
    }

    /// Its elements, if they are constant signed bytes.
    pub fn i8(&self) -> Option<Vec<i8>> {
        let whole = self.kind == Type::I8 && self.data.len() == self.shape.iter().product::<usize>();
        whole.then(|| self.data.iter().map(|byte| *byte as i8).collect())
    }

    /// Scale and zero point of an unsigned byte, if there is one of each: a signed byte is one that is 128 less.
    pub fn byte_coding(&self) -> Option<(f32, u8)> {
        let (&[scale], &[zero]) = (&self.scales[..], &self.zeros[..]) else { return None };
        let offset = if self.kind == Type::I8 { 128 } else { 0 };
        let zero = u8::try_from(zero.checked_add(offset)?).ok()?;
        (scale > 0.0 && scale.is_finite()).then_some((scale, zero))
    }
}

/// The activation that an operator ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None.
    None,
    /// max(0, y).
    Relu,
    /// max(0, min(6, y)).
    Relu6,
}

/// A value of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// 0 is the image, k + 1 the output of layer k.
    pub number: usize,
    /// Its shape.
    pub shape: Shape,
    /// Rows and columns of zeros before and after it, which the convolution that reads it has to put there.
    pub padding: [[usize; 2]; 2],
}

/// A layer of a device.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The place of its operator in the file.
    pub index: usize,
    /// The name of its operator.
    pub name: String,
    /// The value it reads.
    pub input: usize,
    /// What it computes.
    pub operation: Operation,
    /// What it ends with.
    pub activation: Activation,
    /// The tensor of its weights: (outputs, rows, columns, channels), (1, rows, columns, channels) if it is depthwise, or
    /// (outputs, inputs).
    pub weight: Option<usize>,
    /// The tensor of its biases.
    pub bias: Option<usize>,
    /// The tensor of its output.
    pub output: usize,
    /// Whether its weights are (1, rows, columns, outputs), for an input of one channel.
    pub transposed: bool,
}

/// A network of another program.
#[derive(Debug, Clone)]
pub struct Network<'a> {
    /// The shape of an image.
    pub input: Shape,
    /// The tensor of the image, as the first layer reads it.
    pub input_tensor: usize,
    /// All tensors.
    pub tensors: Vec<Tensor<'a>>,
    /// The layers in order of evaluation.
    pub layers: Vec<Layer>,
    /// The value of its output: that of the last layer.
    pub output: usize,
    /// Whether it ends with a softmax, so that its outputs are classes.
    pub softmax: bool,
}
