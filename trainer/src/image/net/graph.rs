//! The graph of inference: the operations of an image network and their weights, without those of training.
//!
//! Batch normalization is folded into the convolutions, dropout is left out, ReLU belongs to the operation before it, and
//! softmax to the reader of the logits. Values are numbered: value 0 is the normalized image, value k + 1 the output of
//! node k. Every value is one image [c, h, w], row-major; a dense layer reads all numbers of its input in that order.
//!
//! Every node carries numbers of one kind: [`Floats`] out of training, or the integers that
//! [`quantize`](crate::image::quantize::forms::quantize) makes of them for a device.

use sirocco::layer::shape::{Shape, Window};

/// What a node computes from its input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    /// `y[o, i, j] = bias[o] + sum over c, u, v of weight[o, c, u, v] x[g + c, s i + u - p, s j + v - p]`, with zeros
    /// outside; then ReLU with `relu`.
    Conv {
        /// Channels of the output.
        filters: usize,
        /// Kernel, stride, padding.
        window: Window,
        /// Groups of channels that are convolved separately: 1, or the number of channels (depthwise).
        groups: usize,
        /// max(0, y) at the end.
        relu: bool,
    },
    /// y = W x + b over all numbers of the input; then ReLU with `relu`.
    Dense {
        /// Numbers in the output.
        outputs: usize,
        /// max(0, y) at the end.
        relu: bool,
    },
    /// Largest number of each window; without padding.
    MaxPool(Window),
    /// Mean of each window; without padding.
    AveragePool(Window),
    /// Sum of the input and another value of the same shape; then ReLU with `relu`.
    Add {
        /// The other value's number.
        other: usize,
        /// max(0, y) at the end.
        relu: bool,
    },
}

impl Operation {
    /// The mean of each channel of a value of this shape.
    pub fn global_average(input: Shape) -> Self {
        Operation::AveragePool(Window::even([input.height, input.width], [1, 1], [0, 0]))
    }

    /// Numbers of weights and biases and the shape of the output, for inputs of these shapes; or why they do not fit.
    fn output(&self, input: Shape, other: Option<Shape>) -> Result<(usize, usize, Shape), &'static str> {
        let slid = |window: &Window, channels| {
            let [height, width] = window.output(input).ok_or("the window does not fit in it")?;
            Ok::<_, &'static str>(Shape { channels, height, width })
        };
        match self {
            Operation::Conv { filters, window, groups, .. } => {
                let divides = |n: usize| *groups > 0 && n.is_multiple_of(*groups);
                if !divides(input.channels) || !divides(*filters) {
                    return Err("the groups do not divide the channels");
                }
                let taps = input.channels / groups * window.kernel[0] * window.kernel[1];
                Ok((filters * taps, *filters, slid(window, *filters)?))
            }
            Operation::Dense { outputs, .. } => Ok((outputs * input.size(), *outputs, Shape::vector(*outputs))),
            Operation::MaxPool(window) | Operation::AveragePool(window) if window.is_bare() => {
                Ok((0, 0, slid(window, input.channels)?))
            }
            Operation::MaxPool(_) | Operation::AveragePool(_) => Err("pooling takes no padding"),
            Operation::Add { .. } if other == Some(input) => Ok((0, 0, input)),
            Operation::Add { .. } => Err("the other value has another shape"),
        }
    }
}

/// Weights and biases in f32; none for operations without weights.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Floats {
    /// `[out][in / groups][kernel rows][kernel columns]`, or `[out][in]`.
    pub weight: Vec<f32>,
    /// `[out]`.
    pub bias: Vec<f32>,
}

/// One operation of a network and its numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<W> {
    /// Number of the value it reads.
    pub input: usize,
    /// What it computes.
    pub operation: Operation,
    /// Weights and the like.
    pub weights: W,
}

/// A network of inference. Its last value holds one logit per class, or numbers that are no classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph<W> {
    /// Shape of an image.
    pub input: Shape,
    /// Subtracted from the pixels (0 to 1) of each channel.
    pub mean: Vec<f32>,
    /// What each channel is then divided by.
    pub deviation: Vec<f32>,
    /// The nodes in order of evaluation.
    pub nodes: Vec<Node<W>>,
    /// Names of the classes, in the order of the logits; empty if the outputs are values and no classes.
    pub classes: Vec<String>,
}

/// Why nodes do not make a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A node reads a value that is not computed before it.
    #[error("node {node} reads value {value}, which is not computed before it; order the nodes")]
    Order {
        /// The node.
        node: usize,
        /// The value that it reads.
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
    #[error("normalization needs a mean and a positive deviation for each of {0} channels")]
    Normalization(usize),
    /// The last value is not one logit per class.
    #[error("the last value holds {logits} numbers for {classes} classes")]
    Classes {
        /// Numbers in the last value.
        logits: usize,
        /// Names of classes.
        classes: usize,
    },
}

impl Graph<Floats> {
    /// Shapes of all values, the image first.
    ///
    /// # Errors
    /// [`GraphError`] for the first node that does not fit.
    pub fn shapes(&self) -> Result<Vec<Shape>, GraphError> {
        let channels = self.input.channels;
        let normalized = self.mean.len() == channels && self.deviation.len() == channels;
        if !normalized || !self.deviation.iter().all(|d| *d > 0.0) {
            return Err(GraphError::Normalization(channels));
        }
        let mut shapes = vec![self.input];
        for (index, Node { input, operation, weights }) in self.nodes.iter().enumerate() {
            let value = |value: usize| shapes.get(value).copied().ok_or(GraphError::Order { node: index, value });
            let input = value(*input)?;
            let other = match operation {
                Operation::Add { other, .. } => Some(value(*other)?),
                _ => None,
            };
            let misfit = |what| GraphError::Shape { node: index, input, what };
            let (weight, bias, output) = operation.output(input, other).map_err(misfit)?;
            if (weights.weight.len(), weights.bias.len()) != (weight, bias) {
                return Err(misfit("wrong number of weights"));
            }
            shapes.push(output);
        }
        match shapes.last().map_or(0, Shape::size) {
            logits if logits == self.classes.len() || self.classes.is_empty() => Ok(shapes),
            logits => Err(GraphError::Classes { logits, classes: self.classes.len() }),
        }
    }

    /// The number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.nodes.iter().map(|node| node.weights.weight.len() + node.weights.bias.len()).sum()
    }

    /// Multiply-accumulates of convolutions and dense layers for one image.
    ///
    /// # Errors
    /// [`GraphError`] if the nodes do not fit together.
    pub fn macs(&self) -> Result<usize, GraphError> {
        let shapes = self.shapes()?;
        Ok(self.nodes.iter().zip(&shapes[1..]).map(|(node, output)| node.weights.weight.len() * output.pixels()).sum())
    }

    /// All values for one image of pixels [c, h, w] in 0 to 1: the normalized image first, the logits last.
    ///
    /// Straightforward loops: quantization is calibrated on them, and every faster path is tested against them.
    ///
    /// # Errors
    /// [`GraphError`] if the nodes do not fit together.
    ///
    /// # Panics
    /// If `pixels` is not one image.
    pub fn values(&self, pixels: &[f32]) -> Result<Vec<Vec<f32>>, GraphError> {
        let shapes = self.shapes()?;
        assert_eq!(pixels.len(), self.input.size(), "one image of {}", self.input);
        let plane = self.input.pixels();
        let normalize = |(i, p): (usize, &f32)| (p - self.mean[i / plane]) / self.deviation[i / plane];
        let mut values = vec![pixels.iter().enumerate().map(normalize).collect::<Vec<_>>()];
        for (node, output) in self.nodes.iter().zip(&shapes[1..]) {
            values.push(node.apply(&values, shapes[node.input], *output));
        }
        Ok(values)
    }

    /// The logits of one image; see [`Self::values`].
    ///
    /// # Errors
    /// [`GraphError`] if the nodes do not fit together.
    ///
    /// # Panics
    /// If `pixels` is not one image.
    pub fn logits(&self, pixels: &[f32]) -> Result<Vec<f32>, GraphError> {
        Ok(self.values(pixels)?.pop().unwrap_or_default())
    }
}

impl Node<Floats> {
    /// The output from the values so far.
    fn apply(&self, values: &[Vec<f32>], input: Shape, output: Shape) -> Vec<f32> {
        let (x, Floats { weight, bias }) = (values[self.input].as_slice(), &self.weights);
        let rectified = |y: f32, relu: bool| if relu { y.max(0.0) } else { y };
        match &self.operation {
            Operation::Conv { window, groups, relu, .. } => {
                let mut y = convolved(x, (weight, bias), window, (input, output), *groups);
                y.iter_mut().for_each(|y| *y = rectified(*y, *relu));
                y
            }
            Operation::Dense { relu, .. } => {
                let dot = |row: &[f32]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
                weight.chunks_exact(x.len()).zip(bias).map(|(row, b)| rectified(b + dot(row), *relu)).collect()
            }
            Operation::MaxPool(window) => pooled(x, input, output, window, |w| w.fold(f32::NEG_INFINITY, f32::max)),
            Operation::AveragePool(window) => {
                let n = (window.kernel[0] * window.kernel[1]) as f32;
                pooled(x, input, output, window, |w| w.sum::<f32>() / n)
            }
            Operation::Add { other, relu } => {
                x.iter().zip(&values[*other]).map(|(a, b)| rectified(a + b, *relu)).collect()
            }
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
    let (plane, size) = (output.pixels(), within * rows * columns);
    let mut y: Vec<f32> = bias.iter().flat_map(|b| std::iter::repeat_n(*b, plane)).collect();
    for (o, sums) in y.chunks_exact_mut(plane.max(1)).enumerate() {
        let first = o / (output.channels / groups) * within;
        for (k, w) in weight[o * size..][..size].iter().enumerate() {
            let (c, u, v) = (k / (rows * columns), k / columns % rows, k % columns);
            let (top, bottom) = covered(u, window.stride[0], window.padding[0], input.height, output.height);
            let (left, right) = covered(v, window.stride[1], window.padding[1], input.width, output.width);
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

/// The outputs, from first to end, whose windows have the weight at `at` on the image and not in the padding.
fn covered(at: usize, stride: usize, padding: usize, image: usize, outputs: usize) -> (usize, usize) {
    let first = padding.saturating_sub(at).div_ceil(stride);
    let end = (image + padding).saturating_sub(at).div_ceil(stride).min(outputs);
    (first.min(end), end)
}

/// A value of this shape, number by number, from channel, row and column.
fn value(shape: Shape, mut number: impl FnMut(usize, usize, usize) -> f32) -> Vec<f32> {
    let plane = shape.pixels();
    (0..shape.size()).map(|k| number(k / plane, k / shape.width % shape.height, k % shape.width)).collect()
}

/// The result of `reduce` for every window.
fn pooled(
    x: &[f32],
    input: Shape,
    output: Shape,
    window: &Window,
    reduce: impl Fn(&mut dyn Iterator<Item = f32>) -> f32,
) -> Vec<f32> {
    let [rows, columns] = window.kernel;
    value(output, |c, i, j| {
        let at = |k: usize| {
            let (row, column) = (i * window.stride[0] + k / columns, j * window.stride[1] + k % columns);
            x[(c * input.height + row) * input.width + column]
        };
        reduce(&mut (0..rows * columns).map(at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(input: [usize; 3], classes: usize, operations: Vec<(Operation, Floats)>) -> Graph<Floats> {
        let ([channels, height, width], operations) = (input, operations.into_iter().enumerate());
        Graph {
            input: Shape { channels, height, width },
            mean: vec![0.0; channels],
            deviation: vec![1.0; channels],
            nodes: operations.map(|(input, (operation, weights))| Node { input, operation, weights }).collect(),
            classes: (0..classes).map(|c| c.to_string()).collect(),
        }
    }

    fn conv(weight: Vec<f32>, bias: Vec<f32>, window: Window, groups: usize, relu: bool) -> (Operation, Floats) {
        (Operation::Conv { filters: bias.len(), window, groups, relu }, Floats { weight, bias })
    }

    fn plain(operation: Operation) -> (Operation, Floats) {
        (operation, Floats::default())
    }

    #[test]
    fn a_convolution_by_hand() {
        // 3x3 image, 2x2 kernel, padding 1, stride 2: the corners see one pixel each.
        let image: Vec<f32> = (1..=9u8).map(f32::from).collect();
        let window = Window::square(2, 2, 1);
        let net = network([1, 3, 3], 4, vec![conv(vec![1.0, 10.0, 100.0, 1000.0], vec![0.5], window, 1, false)]);
        assert_eq!(net.logits(&image).unwrap(), [1000.5, 3200.5, 7040.5, 9865.5]);
        assert_eq!(net.macs().unwrap(), 16);
        assert_eq!(net.parameters(), 5);
    }

    #[test]
    fn depthwise_channels_do_not_mix() {
        let window = Window::square(1, 1, 0);
        let net = network([2, 1, 2], 4, vec![conv(vec![2.0, -3.0], vec![0.0, 1.0], window, 2, true)]);
        assert_eq!(net.logits(&[1.0, 2.0, -1.0, 4.0]).unwrap(), [2.0, 4.0, 4.0, 0.0]);
    }

    #[test]
    fn pools_add_dense_and_normalization() {
        let pool = Window::square(2, 2, 0);
        let image: Vec<f32> = (0..16u8).map(f32::from).collect();
        let max = network([1, 4, 4], 4, vec![plain(Operation::MaxPool(pool))]);
        assert_eq!(max.logits(&image).unwrap(), [5.0, 7.0, 13.0, 15.0]);
        let whole = Operation::global_average(Shape { channels: 1, height: 2, width: 2 });
        let mean = network([1, 4, 4], 1, vec![plain(Operation::AveragePool(pool)), plain(whole)]);
        assert_eq!(mean.logits(&image).unwrap(), [7.5]);
        let floats = Floats { weight: vec![1.0, -1.0, 0.0, 2.0], bias: vec![0.0, -9.0] };
        let dense = (Operation::Dense { outputs: 2, relu: true }, floats);
        let mut sum = network([2, 1, 1], 2, vec![plain(Operation::Add { other: 0, relu: false }), dense]);
        (sum.mean, sum.deviation) = (vec![1.0, 0.0], vec![2.0, 1.0]);
        assert_eq!(sum.values(&[3.0, 0.5]).unwrap(), [vec![1.0, 0.5], vec![2.0, 1.0], vec![1.0, 0.0]]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let shape = [1, 3, 3];
        let window = Window::square(5, 1, 0);
        let error = |operations| network(shape, 1, operations).shapes().unwrap_err().to_string();
        assert!(error(vec![conv(vec![0.0; 25], vec![0.0], window, 1, false)]).contains("window does not fit"));
        let narrow = Window::square(3, 1, 0);
        assert!(error(vec![conv(vec![0.0; 8], vec![0.0], narrow, 1, false)]).contains("wrong number of weights"));
        assert!(error(vec![plain(Operation::Add { other: 1, relu: false })]).contains("reads value 1"));
        let whole = Operation::global_average(Shape { channels: 1, height: 3, width: 3 });
        assert!(error(vec![plain(whole), plain(Operation::Add { other: 0, relu: false })]).contains("another shape"));
        assert!(error(vec![]).contains("9 numbers for 1 classes"));
        assert!(error(vec![plain(Operation::MaxPool(Window::square(2, 1, 1)))]).contains("no padding"));
        assert!(error(vec![plain(Operation::MaxPool(Window::square(2, 0, 0)))]).contains("window does not fit"));
        let mut net = network(shape, 9, vec![]);
        net.deviation[0] = 0.0;
        assert_eq!(net.shapes(), Err(GraphError::Normalization(1)));
    }
}
