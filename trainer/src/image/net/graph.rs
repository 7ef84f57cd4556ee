//! A folded image network: plain f32 weights and the operations of inference, nothing of training.
//!
//! Batch normalisation is folded into the convolutions, dropout is gone, ReLU belongs to the layer before it, softmax
//! to the reader of the logits. Values are numbered: value 0 is the normalised image, value k + 1 the output of node
//! k. Every value is one image [c, h, w], row-major; after [`Operation::Flatten`] or a dense layer it is [n, 1, 1].

use std::fmt;

/// Channels, height and width of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// A shape [c, h, w].
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        Shape { channels, height, width }
    }

    /// Numbers in it.
    pub fn size(&self) -> usize {
        self.channels * self.height * self.width
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// What a window slides by and how far it reaches: rows first, then columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// Step between outputs.
    pub stride: [usize; 2],
    /// Zeros put around the image on each side.
    pub padding: [usize; 2],
}

impl Window {
    /// A square window.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Window { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2] }
    }

    /// Rows and columns of the output: floor((n + 2 padding - kernel) / stride) + 1, if the window fits at all.
    pub fn output(&self, height: usize, width: usize) -> Option<[usize; 2]> {
        let along = |axis: usize, n: usize| {
            let room = (n + 2 * self.padding[axis]).checked_sub(self.kernel[axis])?;
            (self.kernel[axis] > 0).then_some(room.checked_div(self.stride[axis])? + 1)
        };
        Some([along(0, height)?, along(1, width)?])
    }
}

/// What a node computes from its input.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// `y[o, i, j] = bias[o] + sum over c, u, v of weight[o, c, u, v] x[g + c, s i + u - p, s j + v - p]`, with zeros
    /// outside; then ReLU, if asked for.
    Conv {
        /// `[out][in / groups][kernel rows][kernel columns]`.
        weight: Vec<f32>,
        /// `[out]`.
        bias: Vec<f32>,
        /// Kernel, stride, padding.
        window: Window,
        /// Groups of channels that do not see each other: 1, or the number of channels (depthwise).
        groups: usize,
        /// max(0, y) at the end.
        relu: bool,
    },
    /// y = W x + b over all numbers of the input in [c, h, w] order; then ReLU, if asked for.
    Dense {
        /// `[out][in]`.
        weight: Vec<f32>,
        /// `[out]`.
        bias: Vec<f32>,
        /// max(0, y) at the end.
        relu: bool,
    },
    /// Largest number of each window; without padding.
    MaxPool(Window),
    /// Mean of each window; without padding.
    AveragePool(Window),
    /// Mean of each channel: [c, h, w] to [c, 1, 1].
    GlobalAverage,
    /// Sum of the input and another value of the same shape; then ReLU, if asked for.
    Add {
        /// The other value's number.
        other: usize,
        /// max(0, y) at the end.
        relu: bool,
    },
    /// [c, h, w] to [c h w, 1, 1].
    Flatten,
}

/// One step of the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Number of the value it reads.
    pub input: usize,
    /// What it computes.
    pub operation: Operation,
}

/// A folded network. Its last value holds one logit per class.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// Shape of an image.
    pub input: Shape,
    /// Subtracted from the pixels (0 to 1) of each channel.
    pub mean: Vec<f32>,
    /// What each channel is then divided by.
    pub deviation: Vec<f32>,
    /// Steps in order of evaluation.
    pub nodes: Vec<Node>,
    /// Names of the classes, in the order of the logits.
    pub classes: Vec<String>,
}

/// Why a description is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldedError {
    /// A node reads a value that is not there yet.
    #[error("node {node} reads value {value}, which is not computed before it; order the nodes")]
    Order {
        /// The node.
        node: usize,
        /// The value it wants.
        value: usize,
    },
    /// A node's weights, window or operand do not fit its input.
    #[error("node {node} does not fit its input of shape {input}: {what}")]
    Shape {
        /// The node.
        node: usize,
        /// Its input.
        input: Shape,
        /// What does not fit.
        what: &'static str,
    },
    /// Mean and deviation are not one per channel, or a deviation is not positive.
    #[error("normalisation needs a mean and a positive deviation for each of {0} channels")]
    Normalisation(usize),
    /// The last value is not one logit per class.
    #[error("the last value holds {logits} numbers for {classes} classes")]
    Classes {
        /// Numbers in the last value.
        logits: usize,
        /// Names of classes.
        classes: usize,
    },
}

impl Folded {
    /// Shapes of all values, the image first.
    ///
    /// # Errors
    /// [`FoldedError`]: the first thing that does not fit.
    pub fn shapes(&self) -> Result<Vec<Shape>, FoldedError> {
        let channels = self.input.channels;
        let normalised = self.mean.len() == channels && self.deviation.len() == channels;
        if !normalised || !self.deviation.iter().all(|d| *d > 0.0) {
            return Err(FoldedError::Normalisation(channels));
        }
        let mut shapes = vec![self.input];
        for (index, node) in self.nodes.iter().enumerate() {
            let value = |value: usize| shapes.get(value).copied().ok_or(FoldedError::Order { node: index, value });
            let input = value(node.input)?;
            let other = match node.operation {
                Operation::Add { other, .. } => Some(value(other)?),
                _ => None,
            };
            let output = node.operation.output(input, other);
            shapes.push(output.map_err(|what| FoldedError::Shape { node: index, input, what })?);
        }
        match shapes.last().map_or(0, Shape::size) {
            logits if logits == self.classes.len() => Ok(shapes),
            logits => Err(FoldedError::Classes { logits, classes: self.classes.len() }),
        }
    }

    /// Weights and biases.
    pub fn parameters(&self) -> usize {
        let of = |node: &Node| match &node.operation {
            Operation::Conv { weight, bias, .. } | Operation::Dense { weight, bias, .. } => weight.len() + bias.len(),
            _ => 0,
        };
        self.nodes.iter().map(of).sum()
    }

    /// Multiply-accumulates of convolutions and dense layers for one image.
    ///
    /// # Errors
    /// [`FoldedError`] if the nodes do not fit together.
    pub fn macs(&self) -> Result<usize, FoldedError> {
        let shapes = self.shapes()?;
        let of = |(node, output): (&Node, &Shape)| match &node.operation {
            Operation::Conv { weight, .. } => weight.len() * output.height * output.width,
            Operation::Dense { weight, .. } => weight.len(),
            _ => 0,
        };
        Ok(self.nodes.iter().zip(&shapes[1..]).map(of).sum())
    }

    /// All values for one image of pixels [c, h, w] in 0 to 1: the normalised image first, the logits last.
    ///
    /// The straightforward loops: the reference that quantisation is calibrated on and every faster path is tested
    /// against.
    ///
    /// # Errors
    /// [`FoldedError`] if the nodes do not fit together.
    ///
    /// # Panics
    /// If `pixels` is not one image.
    pub fn values(&self, pixels: &[f32]) -> Result<Vec<Vec<f32>>, FoldedError> {
        let shapes = self.shapes()?;
        assert_eq!(pixels.len(), self.input.size(), "one image of {}", self.input);
        let plane = self.input.height * self.input.width;
        let normalise = |(i, p): (usize, &f32)| (p - self.mean[i / plane]) / self.deviation[i / plane];
        let mut values = vec![pixels.iter().enumerate().map(normalise).collect::<Vec<_>>()];
        for (node, output) in self.nodes.iter().zip(&shapes[1..]) {
            values.push(node.operation.apply(&values, node.input, shapes[node.input], *output));
        }
        Ok(values)
    }

    /// The logits of one image; see [`Self::values`].
    ///
    /// # Errors
    /// [`FoldedError`] if the nodes do not fit together.
    ///
    /// # Panics
    /// If `pixels` is not one image.
    pub fn logits(&self, pixels: &[f32]) -> Result<Vec<f32>, FoldedError> {
        Ok(self.values(pixels)?.pop().unwrap_or_default())
    }
}

impl Operation {
    /// Shape of the output, or what does not fit.
    fn output(&self, input: Shape, other: Option<Shape>) -> Result<Shape, &'static str> {
        let slid = |window: &Window, channels| {
            let [height, width] = window.output(input.height, input.width).ok_or("the window does not fit in it")?;
            Ok(Shape { channels, height, width })
        };
        match self {
            Operation::Conv { weight, bias, window, groups, .. } => {
                let divides = |n: usize| *groups > 0 && n.is_multiple_of(*groups);
                if !divides(input.channels) || !divides(bias.len()) {
                    return Err("the groups do not divide the channels");
                }
                if weight.len() != bias.len() * (input.channels / groups) * window.kernel[0] * window.kernel[1] {
                    return Err("wrong number of weights");
                }
                slid(window, bias.len())
            }
            Operation::Dense { weight, bias, .. } if weight.len() == bias.len() * input.size() => {
                Ok(Shape::new(bias.len(), 1, 1))
            }
            Operation::Dense { .. } => Err("wrong number of weights"),
            Operation::MaxPool(window) | Operation::AveragePool(window) if window.padding == [0, 0] => {
                slid(window, input.channels)
            }
            Operation::MaxPool(_) | Operation::AveragePool(_) => Err("pooling takes no padding"),
            Operation::GlobalAverage => Ok(Shape::new(input.channels, 1, 1)),
            Operation::Add { .. } if other == Some(input) => Ok(input),
            Operation::Add { .. } => Err("the other value has another shape"),
            Operation::Flatten => Ok(Shape::new(input.size(), 1, 1)),
        }
    }

    /// The output from the values so far.
    fn apply(&self, values: &[Vec<f32>], from: usize, input: Shape, output: Shape) -> Vec<f32> {
        let x = values[from].as_slice();
        let bent = |y: f32, relu: bool| if relu { y.max(0.0) } else { y };
        match self {
            Operation::Conv { weight, bias, window, groups, relu } => {
                let mut y = convolved(x, (weight, bias), window, (input, output), *groups);
                y.iter_mut().for_each(|y| *y = bent(*y, *relu));
                y
            }
            Operation::Dense { weight, bias, relu } => {
                let dot = |row: &[f32]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
                weight.chunks_exact(x.len()).zip(bias).map(|(row, b)| bent(b + dot(row), *relu)).collect()
            }
            Operation::MaxPool(window) => pooled(x, input, output, window, |w| w.fold(f32::NEG_INFINITY, f32::max)),
            Operation::AveragePool(window) => {
                let n = (window.kernel[0] * window.kernel[1]) as f32;
                pooled(x, input, output, window, |w| w.sum::<f32>() / n)
            }
            Operation::GlobalAverage => {
                let n = input.height * input.width;
                x.chunks_exact(n).map(|plane| plane.iter().sum::<f32>() / n as f32).collect()
            }
            Operation::Add { other, relu } => x.iter().zip(&values[*other]).map(|(a, b)| bent(a + b, *relu)).collect(),
            Operation::Flatten => x.to_vec(),
        }
    }
}

/// A convolution, one weight at a time over a whole plane of outputs: the sums have the order of the weights.
fn convolved(
    x: &[f32],
    (weight, bias): (&[f32], &[f32]),
    window: &Window,
    (input, output): (Shape, Shape),
    groups: usize,
) -> Vec<f32> {
    let (within, [rows, columns]) = (input.channels / groups, window.kernel);
    let (plane, size) = (output.height * output.width, within * rows * columns);
    let mut y: Vec<f32> = bias.iter().flat_map(|b| std::iter::repeat_n(*b, plane)).collect();
    for (o, sums) in y.chunks_exact_mut(plane.max(1)).enumerate() {
        let first = o / (output.channels / groups) * within;
        for (k, w) in weight[o * size..][..size].iter().enumerate() {
            let (c, u, v) = (k / (rows * columns), k / columns % rows, k % columns);
            let (top, bottom) = seen(u, window.stride[0], window.padding[0], input.height, output.height);
            let (left, right) = seen(v, window.stride[1], window.padding[1], input.width, output.width);
            for i in top..bottom {
                let row = i * window.stride[0] + u - window.padding[0];
                let from = ((first + c) * input.height + row) * input.width;
                let line = &x[from..from + input.width];
                let sums = &mut sums[i * output.width..][left..right];
                if sums.is_empty() {
                    continue;
                }
                let line = &line[left * window.stride[1] + v - window.padding[1]..];
                sums.iter_mut().zip(line.iter().step_by(window.stride[1])).for_each(|(sum, x)| *sum += w * x);
            }
        }
    }
    y
}

/// Outputs for which the weight at `at` in the window lies on the image and not in the padding: first and end.
fn seen(at: usize, stride: usize, padding: usize, image: usize, outputs: usize) -> (usize, usize) {
    let first = padding.saturating_sub(at).div_ceil(stride);
    let end = (image + padding).saturating_sub(at).div_ceil(stride).min(outputs);
    (first.min(end), end)
}

/// Every number of a value, by channel, row and column.
fn each(shape: Shape, mut number: impl FnMut(usize, usize, usize) -> f32) -> Vec<f32> {
    let plane = shape.height * shape.width;
    (0..shape.size()).map(|k| number(k / plane, k / shape.width % shape.height, k % shape.width)).collect()
}

/// What `reduce` makes of every window.
fn pooled(
    x: &[f32],
    input: Shape,
    output: Shape,
    window: &Window,
    reduce: impl Fn(&mut dyn Iterator<Item = f32>) -> f32,
) -> Vec<f32> {
    let [rows, columns] = window.kernel;
    each(output, |c, i, j| {
        let at = |k: usize| {
            let (y, x_) = (i * window.stride[0] + k / columns, j * window.stride[1] + k % columns);
            x[(c * input.height + y) * input.width + x_]
        };
        reduce(&mut (0..rows * columns).map(at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(input: Shape, classes: usize, operations: Vec<Operation>) -> Folded {
        let nodes = operations.into_iter().enumerate().map(|(input, operation)| Node { input, operation }).collect();
        Folded {
            input,
            mean: vec![0.0; input.channels],
            deviation: vec![1.0; input.channels],
            nodes,
            classes: (0..classes).map(|c| c.to_string()).collect(),
        }
    }

    fn conv(weight: Vec<f32>, bias: Vec<f32>, window: Window, groups: usize, relu: bool) -> Operation {
        Operation::Conv { weight, bias, window, groups, relu }
    }

    #[test]
    fn a_convolution_by_hand() {
        // 3x3 image, 2x2 kernel, padding 1, stride 2: the corners see one pixel each.
        let image: Vec<f32> = (1..=9u8).map(f32::from).collect();
        let window = Window { kernel: [2, 2], stride: [2, 2], padding: [1, 1] };
        let net =
            network(Shape::new(1, 3, 3), 4, vec![conv(vec![1.0, 10.0, 100.0, 1000.0], vec![0.5], window, 1, false)]);
        assert_eq!(net.logits(&image).unwrap(), [1000.5, 3200.5, 7040.5, 9865.5]);
        assert_eq!(net.macs().unwrap(), 16);
        assert_eq!(net.parameters(), 5);
    }

    #[test]
    fn depthwise_channels_do_not_mix() {
        let window = Window::square(1, 1, 0);
        let net = network(Shape::new(2, 1, 2), 4, vec![conv(vec![2.0, -3.0], vec![0.0, 1.0], window, 2, true)]);
        assert_eq!(net.logits(&[1.0, 2.0, -1.0, 4.0]).unwrap(), [2.0, 4.0, 4.0, 0.0]);
    }

    #[test]
    fn pools_add_dense_and_normalisation() {
        let pool = Window::square(2, 2, 0);
        let image: Vec<f32> = (0..16u8).map(f32::from).collect();
        let max = network(Shape::new(1, 4, 4), 4, vec![Operation::MaxPool(pool), Operation::Flatten]);
        assert_eq!(max.logits(&image).unwrap(), [5.0, 7.0, 13.0, 15.0]);
        let mean = network(Shape::new(1, 4, 4), 1, vec![Operation::AveragePool(pool), Operation::GlobalAverage]);
        assert_eq!(mean.logits(&image).unwrap(), [7.5]);
        let dense = Operation::Dense { weight: vec![1.0, -1.0, 0.0, 2.0], bias: vec![0.0, -9.0], relu: true };
        let mut sum = network(Shape::new(2, 1, 1), 2, vec![Operation::Add { other: 0, relu: false }, dense]);
        (sum.mean, sum.deviation) = (vec![1.0, 0.0], vec![2.0, 1.0]);
        assert_eq!(sum.values(&[3.0, 0.5]).unwrap(), [vec![1.0, 0.5], vec![2.0, 1.0], vec![1.0, 0.0]]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let shape = Shape::new(1, 3, 3);
        let window = Window::square(5, 1, 0);
        let error = |operations| network(shape, 1, operations).shapes().unwrap_err().to_string();
        assert!(error(vec![conv(vec![0.0; 25], vec![0.0], window, 1, false)]).contains("window does not fit"));
        assert!(error(vec![conv(vec![0.0; 24], vec![0.0], window, 1, false)]).contains("wrong number of weights"));
        assert!(error(vec![Operation::Add { other: 1, relu: false }]).contains("reads value 1"));
        assert!(
            error(vec![Operation::GlobalAverage, Operation::Add { other: 0, relu: false }]).contains("another shape")
        );
        assert!(error(vec![Operation::Flatten]).contains("9 numbers for 1 classes"));
        assert!(error(vec![Operation::MaxPool(Window::square(2, 1, 1))]).contains("no padding"));
        assert!(error(vec![Operation::MaxPool(Window::square(2, 0, 0))]).contains("window does not fit"));
        let mut net = network(shape, 9, vec![Operation::Flatten]);
        net.deviation[0] = 0.0;
        assert_eq!(net.shapes(), Err(FoldedError::Normalisation(1)));
    }
}
