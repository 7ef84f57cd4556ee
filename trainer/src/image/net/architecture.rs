//! Image networks as lists of layers, and the presets: the networks of the thesis, and networks that fit a board.
//!
//! `y = layers(x)` on `[c, h, w]`; the last value holds one logit per class. Softmax belongs to the loss.

use crate::host::names::{self, UnknownName};
use serde::{Deserialize, Serialize};
use sirocco::layer::shape::Shape;
use sirocco::limits::MAX_SIDE;

/// One layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Convolution with square kernels, and bias.
    Conv {
        /// Channels of the output.
        filters: usize,
        /// Rows and columns of the kernel.
        kernel: usize,
        /// Step between outputs.
        stride: usize,
        /// Zeros around the image.
        padding: usize,
    },
    /// Normalizes every channel by the batch in training, by running moments otherwise.
    BatchNorm,
    /// max(0, x), after a convolution, a normalization or a dense layer.
    Relu,
    /// Largest value of windows of this size, which do not overlap.
    MaxPool(usize),
    /// Mean of windows of this size, which do not overlap.
    AveragePool(usize),
    /// `[c, h, w]` to `[c h w]`.
    Flatten,
    /// In training, zeroes this share of the values and scales the others up.
    Dropout(f32),
    /// Dense layer with this many outputs.
    Dense(usize),
    /// max(0, body(x) + shortcut(x)); an empty shortcut is x itself.
    Residual {
        /// The layers.
        body: Vec<Layer>,
        /// The layers of the summand.
        shortcut: Vec<Layer>,
    },
}

/// A network without weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// Name, such as `lenet16`.
    pub name: String,
    /// Channels, rows, columns of an image.
    pub input: [usize; 3],
    /// Classes.
    pub classes: usize,
    /// In order of evaluation.
    pub layers: Vec<Layer>,
}

impl Architecture {
    /// Shape of an image.
    pub fn shape(&self) -> Shape {
        let [channels, height, width] = self.input;
        Shape { height, width, channels }
    }
}

/// A network that the program knows by name.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `--help`.
    pub what: &'static str,
    build: fn() -> (Vec<Layer>, [usize; 3]),
}

/// All presets.
pub const PRESETS: [Preset; 5] = [
    Preset { name: "lenet16", what: "16x16 digits on boards: 8,234 parameters, 107 kMAC", build: lenet16 },
    Preset { name: "thesis-digits", what: "28x28 digits, two convolutions with batch norm", build: thesis_digits },
    Preset { name: "thesis-mlp", what: "28x28 digits, 784-16-10", build: thesis_mlp },
    Preset { name: "thesis-cifar", what: "32x32 color, two convolutions with batch norm", build: thesis_cifar },
    Preset { name: "resnet8", what: "32x32 color on boards, as in MLPerf Tiny: 12.5 MMAC", build: resnet8 },
];

/// The architecture of a preset, for this many classes. `compactW-CxHxW`, such as `compact16-3x32x20`, is a small one for images
/// of any shape (channels, rows, columns): three convolutions with W, 2 W and 4 W filters.
///
/// # Errors
/// [`UnknownName`] if no preset has this name.
pub fn preset(name: &str, classes: usize) -> Result<Architecture, UnknownName> {
    let (mut layers, input) = match compact(name) {
        Some(compact) => compact,
        None => (names::find("network", &PRESETS, |preset| preset.name, name)?.build)(),
    };
    layers.push(Layer::Dense(classes));
    Ok(Architecture { name: name.into(), input, classes, layers })
}

/// A small network for images of any shape, by a name such as `compact16-3x32x20`.
fn compact(name: &str) -> Option<(Vec<Layer>, [usize; 3])> {
    use Layer::{BatchNorm, Dropout, Flatten, MaxPool, Relu};
    let (filters, shape) = name.strip_prefix("compact")?.split_once('-')?;
    let number = |text: &str, most: usize| text.parse().ok().filter(|n| (1..=most).contains(n));
    let filters = number(filters, 64)?;
    let sides: Vec<usize> = shape.split('x').map(|side| number(side, MAX_SIDE)).collect::<Option<_>>()?;
    let input: [usize; 3] = sides.try_into().ok()?;
    if !(input[0] == 1 || input[0] == 3) || input[1] < 8 || input[2] < 8 {
        return None;
    }
    let block = |filters| [conv(filters, 3, 1, 1), BatchNorm, Relu];
    let layers = block(filters).into_iter().chain([MaxPool(2)]).chain(block(2 * filters)).chain([MaxPool(2)]);
    Some((layers.chain(block(4 * filters)).chain([Flatten, Dropout(0.3)]).collect(), input))
}

fn conv(filters: usize, kernel: usize, stride: usize, padding: usize) -> Layer {
    Layer::Conv { filters, kernel, stride, padding }
}

fn lenet16() -> (Vec<Layer>, [usize; 3]) {
    use Layer::{Dense, Flatten, MaxPool, Relu};
    let layers =
        vec![conv(8, 5, 1, 2), Relu, MaxPool(2), conv(16, 5, 1, 0), Relu, MaxPool(2), Flatten, Dense(64), Relu];
    (layers, [1, 16, 16])
}

fn thesis_digits() -> (Vec<Layer>, [usize; 3]) {
    use Layer::{BatchNorm, Dense, Flatten, MaxPool, Relu};
    let first = [conv(16, 3, 1, 1), BatchNorm, Relu];
    let second = [conv(32, 3, 1, 1), BatchNorm, Relu, MaxPool(2), Flatten, Dense(32), Relu];
    (first.into_iter().chain(second).collect(), [1, 28, 28])
}

fn thesis_mlp() -> (Vec<Layer>, [usize; 3]) {
    (vec![Layer::Flatten, Layer::Dense(16), Layer::Relu], [1, 28, 28])
}

fn thesis_cifar() -> (Vec<Layer>, [usize; 3]) {
    use Layer::{BatchNorm, Dense, Dropout, Flatten, MaxPool, Relu};
    let block = |filters| [conv(filters, 3, 1, 1), BatchNorm, Relu, MaxPool(2)];
    let head = [Flatten, Dense(128), Relu, Dropout(0.5)];
    (block(32).into_iter().chain(block(16)).chain(head).collect(), [3, 32, 32])
}

fn resnet8() -> (Vec<Layer>, [usize; 3]) {
    use Layer::{AveragePool, BatchNorm, Flatten, Relu};
    let residual = |filters, stride| Layer::Residual {
        body: vec![conv(filters, 3, stride, 1), BatchNorm, Relu, conv(filters, 3, 1, 1), BatchNorm],
        shortcut: if stride == 1 { Vec::new() } else { vec![conv(filters, 1, stride, 0)] },
    };
    let stem = [conv(16, 3, 1, 1), BatchNorm, Relu];
    let rest = [residual(16, 1), residual(32, 2), residual(64, 2), AveragePool(8), Flatten];
    (stem.into_iter().chain(rest).collect(), [3, 32, 32])
}
