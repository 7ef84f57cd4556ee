//! Every integer image layer against plain loops in 64 bits, on networks of random shapes and weights; and against
//! the f32 network that was quantized.

use proptest::prelude::*;
use sirocco::error::Key;
use sirocco::image::Network;
use sirocco::layer::kernel::Portable;
use sirocco::layer::shape::{Shape, Window};
use sirocco::model::Model;
use sirocco_trainer::host::random::{Purpose, Random};
use sirocco_trainer::image::answers::image_bytes;
use sirocco_trainer::image::benchmark::{Builder, export_random};
use sirocco_trainer::image::export::{ExportedImage, ImageExportError};
use sirocco_trainer::image::net::graph::{Floats, Graph, Operation};
use sirocco_trainer::image::quantize::forms::{Integers, quantize};
use sirocco_trainer::image::quantize::range::{Range, ranges};
use sirocco_trainer::image::quantize::winograd::{Budget, Transformed};

/// Bytes of every value, channels last, and the logits: straight from the definitions in `sirocco::layer`.
fn plain(net: &Graph<Integers>, image: &[u8]) -> (Vec<Vec<u8>>, Vec<f32>) {
    let architecture = net.architecture().unwrap();
    let (mut values, mut logits) = (vec![image.to_vec()], vec![]);
    for (k, (node, step)) in net.nodes.iter().zip(&architecture.steps).enumerate() {
        let (shape, coding, x) = (step.geometry.input, net.coding(node.input), &values[node.input]);
        let zero = i64::from(net.coding(k + 1).byte(0));
        let requantised =
            |sum: i64, m: i32| ((sum * i64::from(m) + (1 << 31)).div_euclid(1 << 32) + zero).clamp(0, 255) as u8;
        let pixel = |row: usize, column: usize, window: &Window, c: usize| {
            let inside = |at: usize, padding: usize, n: usize| at.checked_sub(padding).filter(|at| *at < n);
            match (inside(row, window.padding[0], shape.height), inside(column, window.padding[1], shape.width)) {
                (Some(row), Some(column)) => i64::from(x[(row * shape.width + column) * shape.channels + c]),
                _ => i64::from(coding.byte(c)),
            }
        };
        let dot = |i: &Integers, o: usize| {
            i64::from(i.bias[o]) + i.weight[o].iter().zip(x).map(|(w, x)| i64::from(*w) * i64::from(*x)).sum::<i64>()
        };
        // (row, column, channel) of every output, channels last.
        let places = || {
            let out = step.geometry.output;
            (0..out.height)
                .flat_map(move |i| (0..out.width).flat_map(move |j| (0..out.channels).map(move |o| (i, j, o))))
        };
        let window_sum = |w: &Window, weights: &[i8], (i, j): (usize, usize), channels: &[usize]| -> i64 {
            let taps = (0..w.kernel[0]).flat_map(|u| (0..w.kernel[1]).map(move |v| (u, v)));
            let taps = taps.flat_map(|(u, v)| channels.iter().map(move |c| (u, v, *c)));
            taps.zip(weights)
                .map(|((u, v, c), q)| i64::from(*q) * pixel(i * w.stride[0] + u, j * w.stride[1] + v, w, c))
                .sum()
        };
        let all: Vec<usize> = (0..shape.channels).collect();
        let n = &node.weights;
        let value = match &node.operation {
            Operation::Conv { window: w, groups, .. } => places()
                .map(|(i, j, o)| {
                    let channels = if *groups == 1 { &all[..] } else { &[o] };
                    let sum = i64::from(n.bias[o]) + window_sum(w, &n.weight[o], (i, j), channels);
                    requantised(sum, n.multiplier[o])
                })
                .collect(),
            Operation::Dense { .. } if n.multiplier.is_empty() => {
                logits = (0..n.bias.len()).map(|o| dot(n, o) as f32 * n.unit[o] as f32).collect();
                vec![]
            }
            Operation::Dense { .. } => (0..n.bias.len()).map(|o| requantised(dot(n, o), n.multiplier[o])).collect(),
            Operation::MaxPool(w) => places()
                .map(|(i, j, c)| {
                    let taps = (0..w.kernel[0]).flat_map(|u| (0..w.kernel[1]).map(move |v| (u, v)));
                    taps.map(|(u, v)| pixel(i * w.stride[0] + u, j * w.stride[1] + v, w, c) as u8).max().unwrap()
                })
                .collect(),
            Operation::AveragePool(w) => places()
                .map(|(i, j, c)| {
                    let ones = vec![1; w.kernel[0] * w.kernel[1]];
                    requantised(i64::from(n.bias[0]) + window_sum(w, &ones, (i, j), &[c]), n.multiplier[0])
                })
                .collect(),
            Operation::Add { other, .. } => x
                .iter()
                .zip(&values[*other])
                .map(|(a, b)| {
                    let [by_a, by_b] = [n.multiplier[0], n.multiplier[1]].map(i64::from);
                    let sum = i64::from(n.bias[0]) + i64::from(*a) * by_a + i64::from(*b) * by_b;
                    sum.div_euclid(1 << 14).clamp(0, 255) as u8
                })
                .collect(),
        };
        values.push(value);
    }
    (values, logits)
}

/// A network that has every operation, with sizes drawn by seed. With `newer`, what version 2 of the format brought, too:
/// padding that differs between sides, and values for outputs.
fn network(seed: u64, newer: bool) -> Graph<Floats> {
    let mut random = Random::new(seed, Purpose::Choice, 0);
    let mut draw = |lo: usize, hi: usize| lo + (random.bits() >> 32) as usize % (hi - lo + 1);
    let image = Shape { channels: draw(1, 4), height: draw(7, 12), width: draw(7, 12) };
    let mut net = Builder::new(image, seed);
    let kernel = [draw(1, 4), draw(1, 4)];
    let padding = [draw(0, kernel[0] - 1), draw(0, kernel[1] - 1)];
    let relu = draw(0, 1) == 1;
    let after = if newer { kernel.map(|side| draw(0, side - 1)) } else { padding };
    net = net.conv(draw(1, 9), Window { kernel, stride: [draw(1, 2), draw(1, 2)], padding, after }, relu);
    if draw(0, 1) == 1 {
        let window = Window::square(3, draw(1, 2), 1);
        let window = if newer { Window::same([draw(1, 3), draw(1, 4)], window.stride, net.shape()) } else { window };
        net = net.depthwise(window, draw(0, 1) == 1);
    }
    let (skip, channels) = (net.value(), net.shape().channels);
    net = net.conv(draw(1, 6), Window::square(1, 1, 0), true).conv(channels, Window::square(3, 1, 1), false);
    net = net.add(skip, draw(0, 1) == 1);
    if draw(0, 1) == 1 {
        net = net.conv(4 * draw(1, 3), Window::square(1, 1, 0), draw(0, 1) == 1);
        let sides = [net.shape().height, net.shape().width];
        let padding = sides.map(|side| draw(usize::from(side < 3), 2));
        let after = if newer { sides.map(|side| draw(usize::from(side < 3), 2)) } else { padding };
        net = net.conv(draw(1, 9), Window { kernel: [3, 3], stride: [1, 1], padding, after }, draw(0, 1) == 1);
    }
    let (height, width) = (net.shape().height, net.shape().width);
    let window = Window::even([draw(1, height.min(3)), draw(1, width.min(3))], [draw(1, 2); 2], [0; 2]);
    net = net.pool(window, draw(0, 1) == 1);
    if draw(0, 1) == 1 {
        net = net.global_average();
    }
    net = net.dense(draw(1, 9), true);
    if newer && draw(0, 3) == 0 { net.values(draw(1, 300)) } else { net.logits(draw(1, 7)) }
}

fn noise(shape: Shape, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed, Purpose::HeldOut, 0);
    (0..shape.size()).map(|_| f32::from((random.bits() >> 56) as u8) / 255.0).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn the_device_computes_what_is_defined(seed: u64, transformed: bool, newer: bool) {
        let folded = network(seed, newer);
        let transformed = if transformed { Transformed::Always } else { Transformed::Never };
        let exported = export_random(&folded, seed, transformed).unwrap();
        let model = Model::open(&exported.bytes).unwrap();
        let device = Network::open(&model).unwrap();
        // The exporter calibrates on the same images: the same integers.
        let pixels: Vec<f32> = {
            let mut random = Random::new(seed, Purpose::Measurement, 0);
            (0..4 * folded.input.size()).map(|_| f32::from((random.bits() >> 56) as u8) / 255.0).collect()
        };
        let images: Vec<&[f32]> = pixels.chunks_exact(folded.input.size()).collect();
        let quantized = quantize(&folded, &ranges(&folded, &images, Range::MinMax).unwrap()).unwrap();
        let image = image_bytes(&noise(folded.input, seed), folded.input.channels);
        let mut arena = vec![0xdead_beef; device.arena()];
        let logits = device.logits::<Portable>(&image, &mut arena).unwrap();
        let (values, plain_logits) = plain(&quantized, &image);
        prop_assert_eq!(logits.values(), &plain_logits[..]);
        let outputs = values.last().unwrap();
        prop_assert_eq!(device.values::<Portable>(&image, &mut arena).unwrap(), &outputs[..]);
        prop_assert_eq!(device.value_count(), outputs.len());
        // What was left in the arena does not matter.
        prop_assert_eq!(device.logits::<Portable>(&image, &mut arena).unwrap(), logits);
    }
}

/// 3x3 convolutions of growing width: all but the first can be transformed.
fn deep() -> Graph<Floats> {
    let net = Builder::new(Shape { channels: 3, height: 12, width: 12 }, 3);
    let widths = [16, 16, 32, 32];
    widths.into_iter().fold(net, |net, width| net.conv(width, Window::square(3, 1, 1), true)).global_average().logits(4)
}

/// Exports a network within a budget; returns also its operations.
fn within(folded: &Graph<Floats>, budget: Budget) -> Result<(ExportedImage, String), ImageExportError> {
    let exported = export_random(folded, 3, Transformed::Within(budget))?;
    let model = Model::open(&exported.bytes).unwrap();
    let nodes = model.require(Key::Nodes).unwrap();
    let operations = nodes.split(';').map(|node| node.split(' ').next().unwrap());
    let operations = operations.collect::<Vec<_>>().join(" ");
    Ok((exported.clone(), operations))
}

#[test]
fn a_budget_decides_which_convolutions_are_transformed() {
    let folded = deep();
    let direct = export_random(&folded, 3, Transformed::Never).unwrap();
    let all = within(&folded, Budget { flash: usize::MAX, ram: usize::MAX }).unwrap();
    assert_eq!((all.1.as_str(), all.0.transformed), ("conv winograd winograd winograd average logits", 3));
    assert!(all.0.instructions[0] * 10 < direct.instructions[0] * 7, "{:?}", all.0.instructions);
    // Transformed convolutions give the same logits.
    let logits = |file: &[u8]| {
        let model = Model::open(file).unwrap();
        let network = Network::open(&model).unwrap();
        let image = image_bytes(&noise(folded.input, 9), folded.input.channels);
        network.logits::<Portable>(&image, &mut vec![0; network.arena()]).unwrap()
    };
    assert_eq!(logits(&all.0.bytes), logits(&direct.bytes));
    // Flash for the one convolution that saves the most for each byte; RAM for those that read 16 channels.
    let some = Budget { flash: direct.bytes.len() + 25_000, ram: usize::MAX };
    let little = Budget { flash: usize::MAX, ram: all.0.arena - 1 };
    for (budget, wanted) in [(some, "conv conv conv winograd"), (little, "conv winograd winograd conv")] {
        let (exported, operations) = within(&folded, budget).unwrap();
        assert!(operations.starts_with(wanted), "{budget:?}: {operations}");
        assert!(exported.bytes.len() <= budget.flash && exported.arena <= budget.ram);
        assert_eq!(logits(&exported.bytes), logits(&direct.bytes));
    }
    let exactly = Budget { flash: direct.bytes.len(), ram: direct.arena };
    assert_eq!(within(&folded, exactly).unwrap().1, "conv conv conv conv average logits");
    for (budget, what) in
        [(Budget { flash: exactly.flash - 1, ..exactly }, "flash"), (Budget { ram: exactly.ram - 1, ..exactly }, "RAM")]
    {
        let refused = within(&folded, budget).map(|(_, operations)| operations);
        assert!(matches!(&refused, Err(ImageExportError::Budget { what: w, .. }) if *w == what), "{refused:?}");
    }
}

#[test]
fn quantization_stays_near_the_network_it_came_from() {
    for seed in 0..20 {
        let folded = network(seed, false);
        let exported = export_random(&folded, seed, Transformed::Never).unwrap();
        let largest = folded.logits(&noise(folded.input, seed)).unwrap().iter().fold(1.0f32, |m, l| m.max(l.abs()));
        // About a dozen roundings, each by at most 1/255 of a range.
        let relative = exported.max_difference / f64::from(largest);
        assert!(relative < 0.08, "seed {seed}: {relative}");
    }
}
