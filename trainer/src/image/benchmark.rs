//! The networks whose instructions are counted: published shapes with random weights.
//!
//! | name | layers | MACs |
//! | --- | --- | --- |
//! | `mnist-cnn` | 28x28x1: 3x3x8, 3x3x16 stride 2, 3x3x32 stride 2, dense 10 | 337,760 |
//! | `dense` | 784-128-10 | 101,632 |
//! | `resnet8` | MLPerf Tiny's for 32x32x3: 16, then residual 16, 32, 64, mean, dense 10 | 12.5 million |
//! | `resnet8-winograd` | the same, its 3x3 convolutions of stride 1 in Winograd's form but for the image's | as many |
//!
//! Counts depend on shapes and not on weights, so training would change nothing.

use super::export::{self, ExportedImage, ImageExportError, Labeled, Material, Options};
use crate::host::random::{Purpose, Random};
use crate::image::net::graph::{Floats, Graph, Node, Operation};
use crate::image::quantize::winograd::Transformed;
use sirocco::layer::shape::{Shape, Window};

/// Images that random networks are calibrated on.
const IMAGES: usize = 4;

/// Names of the benchmark networks.
pub const NAMES: [&str; 4] = ["mnist-cnn", "dense", "resnet8", "resnet8-winograd"];

/// The benchmark network of that name, quantized, with random weights.
///
/// # Errors
/// [`ImageExportError`] if the exporter refuses it, which it does not.
pub fn network(name: &str, seed: u64) -> Option<Result<ExportedImage, ImageExportError>> {
    let (graph, transformed) = match name {
        "mnist-cnn" => (mnist_cnn(seed), Transformed::Never),
        "dense" => (dense(seed), Transformed::Never),
        "resnet8" => (resnet8(seed), Transformed::Never),
        "resnet8-winograd" => (resnet8(seed), Transformed::Always),
        _ => return None,
    };
    Some(export_random(&graph, seed, transformed))
}

/// Exports a network with random weights, calibrated on noise, whose labels are its own answers.
///
/// # Errors
/// [`ImageExportError`] if the nodes do not fit together, or a device would refuse the network.
pub fn export_random(
    graph: &Graph<Floats>,
    seed: u64,
    transformed: Transformed,
) -> Result<ExportedImage, ImageExportError> {
    let mut random = Random::new(seed, Purpose::Measurement, 0);
    let pixels: Vec<f32> =
        (0..IMAGES * graph.input.size()).map(|_| f32::from((random.bits() >> 56) as u8) / 255.0).collect();
    let noise = Labeled { pixels: &pixels, labels: &[0; IMAGES] };
    let options = Options { tolerance: 1.0, transformed, ..Options::default() };
    export::export(graph, Material { calibration: noise, learned: noise, held: None, check: noise }, &options)
}

/// A network under construction: every layer gets normal weights of variance 2 / inputs.
#[derive(Debug)]
pub struct Builder {
    graph: Graph<Floats>,
    shape: Shape,
    random: Random,
}

impl Builder {
    /// A network without nodes, which normalizes its image by 0.5 and 0.25.
    pub fn new(input: Shape, seed: u64) -> Self {
        let (mean, deviation) = (vec![0.5; input.channels], vec![0.25; input.channels]);
        let graph = Graph { input, mean, deviation, nodes: vec![], classes: vec![] };
        Builder { graph, shape: input, random: Random::new(seed, Purpose::Weights, 0) }
    }

    /// The number of the last value.
    pub fn value(&self) -> usize {
        self.graph.nodes.len()
    }

    /// The shape of the last value.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    fn weights(&mut self, outputs: usize, inputs: usize) -> Floats {
        let deviation = (2.0 / inputs as f64).sqrt();
        let weight = (0..outputs * inputs).map(|_| (deviation * self.random.normal()) as f32).collect();
        Floats { weight, bias: (0..outputs).map(|_| (0.1 * self.random.normal()) as f32).collect() }
    }

    /// An operation on a value, whose output has this shape.
    fn node(mut self, input: usize, shape: Shape, operation: Operation, weights: Floats) -> Self {
        self.graph.nodes.push(Node { input, operation, weights });
        self.shape = shape;
        self
    }

    /// The shape of a window's output. It is empty if the window does not fit, and the exporter then refuses it.
    fn output(window: Window, input: Shape, channels: usize) -> Shape {
        let [height, width] = window.output(input).unwrap_or([0, 0]);
        Shape { channels, height, width }
    }

    /// A convolution of the value `input`, of this shape.
    #[must_use]
    pub fn conv_of(mut self, input: usize, shape: Shape, outputs: usize, window: Window, relu: bool) -> Self {
        let weights = self.weights(outputs, shape.channels * window.kernel[0] * window.kernel[1]);
        let operation = Operation::Conv { filters: outputs, window, groups: 1, relu };
        self.node(input, Self::output(window, shape, outputs), operation, weights)
    }

    /// A convolution of the last value.
    #[must_use]
    pub fn conv(self, outputs: usize, window: Window, relu: bool) -> Self {
        let (input, shape) = (self.value(), self.shape);
        self.conv_of(input, shape, outputs, window, relu)
    }

    /// A depthwise convolution of the last value.
    #[must_use]
    pub fn depthwise(mut self, window: Window, relu: bool) -> Self {
        let (input, channels) = (self.value(), self.shape.channels);
        let weights = self.weights(channels, window.kernel[0] * window.kernel[1]);
        let operation = Operation::Conv { filters: channels, window, groups: channels, relu };
        let shape = Self::output(window, self.shape, channels);
        self.node(input, shape, operation, weights)
    }

    /// A pool of the last value.
    #[must_use]
    pub fn pool(self, window: Window, average: bool) -> Self {
        let (input, shape) = (self.value(), Self::output(window, self.shape, self.shape.channels));
        let operation = if average { Operation::AveragePool(window) } else { Operation::MaxPool(window) };
        self.node(input, shape, operation, Floats::default())
    }

    /// The mean of every channel.
    #[must_use]
    pub fn global_average(self) -> Self {
        let (input, shape) = (self.value(), self.shape);
        self.node(input, Shape::vector(shape.channels), Operation::global_average(shape), Floats::default())
    }

    /// The sum of the last value and another.
    #[must_use]
    pub fn add(self, other: usize, relu: bool) -> Self {
        let (input, shape) = (self.value(), self.shape);
        self.node(input, shape, Operation::Add { other, relu }, Floats::default())
    }

    /// A dense layer.
    #[must_use]
    pub fn dense(mut self, outputs: usize, relu: bool) -> Self {
        let (input, weights) = (self.value(), self.weights(outputs, self.shape.size()));
        self.node(input, Shape::vector(outputs), Operation::Dense { outputs, relu }, weights)
    }

    /// The network, with a last dense layer whose outputs are values and no classes.
    pub fn values(self, outputs: usize) -> Graph<Floats> {
        self.dense(outputs, false).graph
    }

    /// The network, with a last dense layer.
    pub fn logits(self, classes: usize) -> Graph<Floats> {
        let mut graph = self.dense(classes, false).graph;
        graph.classes = (0..classes).map(|class| class.to_string()).collect();
        graph
    }
}

fn mnist_cnn(seed: u64) -> Graph<Floats> {
    let net = Builder::new(Shape { channels: 1, height: 28, width: 28 }, seed).conv(8, Window::square(3, 1, 0), true);
    net.conv(16, Window::square(3, 2, 0), true).conv(32, Window::square(3, 2, 0), true).logits(10)
}

fn dense(seed: u64) -> Graph<Floats> {
    Builder::new(Shape { channels: 1, height: 28, width: 28 }, seed).dense(128, true).logits(10)
}

fn resnet8(seed: u64) -> Graph<Floats> {
    let same = Window::square(3, 1, 1);
    let mut net = Builder::new(Shape { channels: 3, height: 32, width: 32 }, seed).conv(16, same, true);
    let skip = net.value();
    net = net.conv(16, same, true).conv(16, same, false).add(skip, true);
    for channels in [32, 64] {
        let (input, shape) = (net.value(), net.shape());
        net = net.conv(channels, Window::square(3, 2, 1), true).conv(channels, same, false);
        let main = net.value();
        net = net.conv_of(input, shape, channels, Window::square(1, 2, 0), false).add(main, true);
    }
    net.global_average().logits(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_are_the_published_ones() {
        assert_eq!(mnist_cnn(0).macs().unwrap(), 337_760);
        assert_eq!(dense(0).macs().unwrap(), 101_632);
        assert_eq!(resnet8(0).macs().unwrap(), 12_501_632);
        assert_eq!(resnet8(0).parameters(), 77_706);
    }
}
