//! A multilayer perceptron read from a model file: its value, tangent and gradient.
//!
//! Tensors `layers.K.weight` (outputs, inputs), `layers.K.bias` (outputs), with integer weights also `layers.K.scale` and
//! `layers.K.multiplier` (outputs). All hidden layers share one activation; the last layer is linear.

mod float;
mod integer;

use crate::error::{Countable, Key, ModelError};
use crate::layer::activation::Activation;
use crate::layer::dense_f32::DenseF32;
use crate::layer::dense_integer::{DenseInteger, Place};
use crate::layer::rows::RowLoops;
use crate::layer::{Activations, Vector};
use crate::limits::{MAX_LAYERS, MAX_QUANTITIES, MAX_STATE, MAX_WIDTH};
use crate::model::Model;
use crate::ode::State;
use heapless::Vec;

/// A network's inputs, at most as many as a problem has quantities.
pub type Inputs = Vec<f32, MAX_QUANTITIES>;
/// Derivatives with respect to a network's inputs.
pub type Slopes = [f32; MAX_QUANTITIES];

/// Memory of a reverse pass for activations and derivatives: 2 KiB, reusable.
#[derive(Debug, Clone)]
pub struct Tape {
    values: [Activations<f32>; MAX_LAYERS],
    slopes: [Vector<f32>; 2],
}

impl Default for Tape {
    fn default() -> Self {
        Tape { values: Default::default(), slopes: [[0.0; MAX_WIDTH]; 2] }
    }
}

/// Number format of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// 32-bit floats throughout.
    F32,
    /// 16-bit weights; activations of 16 bits into wide layers, of 32 bits elsewhere.
    I16,
    /// 8-bit weights, the same activations.
    I8I16,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Scheme; 3] = [Scheme::F32, Scheme::I16, Scheme::I8I16];

    /// Name in model files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::F32 => "f32",
            Scheme::I16 => "i16",
            Scheme::I8I16 => "i8i16",
        }
    }

    /// The scheme of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Scheme::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// The layers from input to output.
#[derive(Debug, Clone)]
enum Layers<'a> {
    F32(Vec<DenseF32<'a>, MAX_LAYERS>),
    I16(Vec<DenseInteger<'a, i16>, MAX_LAYERS>),
    I8(Vec<DenseInteger<'a, i8>, MAX_LAYERS>),
}

/// A network that borrows its weights from the model file. Once open, evaluation cannot fail.
#[derive(Debug, Clone)]
pub struct Network<'a> {
    widths: Vec<usize, { MAX_LAYERS + 1 }>,
    activation: Activation,
    layers: Layers<'a>,
}

impl<'a> Network<'a> {
    /// Opens the network of a file for a processor with the loops of `K`: metadata `layers`, `activation`, `scheme` and the
    /// layers' tensors.
    ///
    /// # Errors
    /// [`ModelError::Metadata`] if an entry is missing or invalid, [`ModelError::TooMany`] if there are more layers or units
    /// than the limits allow, [`ModelError::Tensor`] if a tensor is missing or has another type or shape, [`ModelError::Value`]
    /// if a number is out of range.
    pub fn open<K: RowLoops>(model: &Model<'a>) -> Result<Self, ModelError> {
        let widths = parse_widths(model.require(Key::Layers)?)?;
        let fits = |width: Option<&usize>, most: usize| width.is_some_and(|width| *width <= most);
        if !fits(widths.first(), MAX_QUANTITIES) || !fits(widths.last(), MAX_STATE) {
            return Err(ModelError::Metadata(Key::Layers));
        }
        let activation = Activation::from_name(model.require(Key::Activation)?);
        let activation = activation.ok_or(ModelError::Metadata(Key::Activation))?;
        let scheme = Scheme::from_name(model.require(Key::Scheme)?).ok_or(ModelError::Metadata(Key::Scheme))?;
        let layers = match scheme {
            Scheme::F32 => Layers::F32(each_layer(&widths, |k, i, o| DenseF32::open::<K>(model, k.index, i, o))?),
            Scheme::I16 => Layers::I16(each_layer(&widths, |k, i, o| DenseInteger::open::<K>(model, k, i, o))?),
            Scheme::I8I16 => Layers::I8(each_layer(&widths, |k, i, o| DenseInteger::open::<K>(model, k, i, o))?),
        };
        Ok(Network { widths, activation, layers })
    }

    /// Widths from input to output, at least two.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// Activation of the hidden layers.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Number format of the weights.
    pub fn scheme(&self) -> Scheme {
        match self.layers {
            Layers::F32(_) => Scheme::F32,
            Layers::I16(_) => Scheme::I16,
            Layers::I8(_) => Scheme::I8I16,
        }
    }

    /// Multiply-accumulates of one evaluation of the value.
    pub fn macs(&self) -> u32 {
        match &self.layers {
            Layers::F32(layers) => layers.iter().map(DenseF32::macs).sum(),
            Layers::I16(layers) => layers.iter().map(DenseInteger::macs).sum(),
            Layers::I8(layers) => layers.iter().map(DenseInteger::macs).sum(),
        }
    }

    /// Weights and biases.
    pub fn parameters(&self) -> u32 {
        self.macs() + self.widths.iter().skip(1).map(|w| *w as u32).sum::<u32>()
    }

    /// The outputs at `input`; entries beyond the last layer's width are zero.
    ///
    /// Stack: two vectors of [`MAX_WIDTH`] numbers.
    pub fn value(&self, input: &[f32]) -> State<f32> {
        match &self.layers {
            Layers::F32(layers) => float::value(layers, input, self.activation),
            Layers::I16(layers) => integer::value(layers, input, self.activation),
            Layers::I8(layers) => integer::value(layers, input, self.activation),
        }
    }

    /// The outputs at `input`, to the same bits as [`Self::value`], and their derivative along `direction`.
    ///
    /// Costs twice the multiply-accumulates of the value; stack: four vectors of [`MAX_WIDTH`] numbers.
    pub fn tangent(&self, input: &[f32], direction: &[f32]) -> (State<f32>, State<f32>) {
        match &self.layers {
            Layers::F32(layers) => float::tangent(layers, input, direction, self.activation),
            Layers::I16(layers) => integer::tangent(layers, input, direction, self.activation),
            Layers::I8(layers) => integer::tangent(layers, input, direction, self.activation),
        }
    }

    /// The outputs at `input`, to the same bits as [`Self::value`], and the derivative of the sum of `seed` times the outputs
    /// with respect to every input, by one reverse pass. Entries beyond the width of the first layer are undefined.
    ///
    /// Costs about twice the value for all inputs together; a tangent costs as much for a single direction. In integers it takes
    /// 2.5 KiB of stack; floats use the `tape`, whose content does not matter.
    pub fn gradient(&self, input: &[f32], seed: &State<f32>, tape: &mut Tape) -> (State<f32>, Slopes) {
        match &self.layers {
            Layers::F32(layers) => float::gradient(layers, input, seed, self.activation, tape),
            Layers::I16(layers) => integer::gradient(layers, input, seed, self.activation),
            Layers::I8(layers) => integer::gradient(layers, input, seed, self.activation),
        }
    }
}

/// The first entries of a vector.
fn head<const N: usize>(vector: &Vector<f32>) -> [f32; N] {
    vector.first_chunk().copied().unwrap_or([0.0; N])
}

/// `3,16,16,1` as widths: at least one layer, each width in 1..=[`MAX_WIDTH`].
fn parse_widths(text: &str) -> Result<Vec<usize, { MAX_LAYERS + 1 }>, ModelError> {
    let mut widths = Vec::new();
    for part in crate::text::split(text, b',') {
        let width = part.parse::<usize>().map_err(|_| ModelError::Metadata(Key::Layers))?;
        if width == 0 {
            return Err(ModelError::Metadata(Key::Layers));
        }
        if width > MAX_WIDTH {
            return Err(ModelError::TooMany(Countable::Units));
        }
        widths.push(width).map_err(|_| ModelError::TooMany(Countable::Layers))?;
    }
    if widths.len() < 2 { Err(ModelError::Metadata(Key::Layers)) } else { Ok(widths) }
}

/// Opens every layer: `open(place, inputs, outputs)`.
fn each_layer<L>(
    widths: &[usize],
    open: impl Fn(Place, usize, usize) -> Result<L, ModelError>,
) -> Result<Vec<L, MAX_LAYERS>, ModelError> {
    let mut layers = Vec::new();
    let last = widths.len().saturating_sub(2) as u8;
    for (index, (inputs, outputs)) in (0u8..).zip(widths.iter().zip(widths.iter().skip(1))) {
        let place = Place { index, last };
        layers.push(open(place, *inputs, *outputs)?).map_err(|_| ModelError::TooMany(Countable::Layers))?;
    }
    Ok(layers)
}
