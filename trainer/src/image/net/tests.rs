//! Image networks: our operations against candle's own, gradients, both modes, folding.

use super::architecture::{PRESETS, preset};
use super::kernel::conv::Conv;
use super::kernel::norm::{Moments, Norm};
use super::kernel::pool::{Kind, Pool};
use super::kernel::tests::numbers;
use super::network::{Network, Normalization};
use super::{kernel, operation};
use crate::host::random::{Purpose, Random};
use candle_core::{Device, Tensor, Var};
use sirocco::layer::shape::{Geometry, Shape, Window};

fn variable(shape: &[usize], seed: u64) -> Var {
    Var::from_vec(numbers(shape.iter().product(), seed), shape, &Device::Cpu).unwrap()
}

fn far(a: &Tensor, b: &Tensor) -> f32 {
    let (a, b) = (a.flatten_all().unwrap().to_vec1::<f32>().unwrap(), b.flatten_all().unwrap().to_vec1().unwrap());
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).map(|(a, b): (&f32, &f32)| (a - b).abs()).fold(0.0, f32::max)
}

/// Values and gradients of `ours` and `theirs`, both weighted by the same numbers, agree.
fn same(variables: &[&Var], ours: &Tensor, theirs: &Tensor, tolerance: f32) {
    assert!(far(ours, theirs) < tolerance, "value {}", far(ours, theirs));
    let weights = Tensor::from_vec(numbers(ours.elem_count(), 99), ours.shape(), &Device::Cpu).unwrap();
    let gradients = |y: &Tensor| (y * &weights).unwrap().sum_all().unwrap().backward().unwrap();
    let (ours, theirs) = (gradients(ours), gradients(theirs));
    for (k, v) in variables.iter().enumerate() {
        let distance = far(ours.get(v).unwrap(), theirs.get(v).unwrap());
        assert!(distance < tolerance, "gradient of variable {k}: {distance}");
    }
}

#[test]
fn convolutions_are_candles() {
    for (kernel, stride, padding, relu) in [
        (3, 1, 1, true),
        (5, 1, 0, false),
        (3, 2, 1, true),
        (1, 2, 0, false),
        (5, 1, 2, true),
        (1, 1, 0, false),
        (3, 1, 3, false),
    ] {
        // Neither rows, columns, filters nor taps fill a block.
        let (x, w, b) = (variable(&[7, 3, 9, 11], 1), variable(&[5, 3, kernel, kernel], 2), variable(&[5], 3));
        // Written out: the last one has more padding than networks may have.
        let (window, shape) =
            (Window::square(kernel, stride, padding), |channels, height, width| Shape { channels, height, width });
        let [rows, columns] = [9, 11].map(|n| (n + 2 * padding - kernel) / stride + 1);
        let geometry = Geometry { input: shape(3, 9, 11), output: shape(5, rows, columns), window };
        let ours = operation::convolution(&x, &w, &b, &geometry, relu).unwrap();
        let theirs = x.conv2d(&w, padding, stride, 1, 1).unwrap();
        let theirs = theirs.broadcast_add(&b.reshape((1, 5, 1, 1)).unwrap()).unwrap();
        let theirs = if relu { theirs.relu().unwrap() } else { theirs };
        same(&[&x, &w, &b], &ours, &theirs, 3e-4);
    }
}

#[test]
fn transposed_convolutions_are_candles() {
    for (kernel, stride, padding, relu) in [(4, 2, 1, true), (3, 1, 1, false), (2, 2, 0, true), (3, 2, 1, false)] {
        let input = Shape { channels: 3, height: 8, width: 8 };
        let geometry = Geometry::new(input, 5, Window::square(kernel, stride, padding)).unwrap();
        let [rows, columns] = [geometry.output.height, geometry.output.width];
        let (x, w, b) = (variable(&[6, 5, rows, columns], 1), variable(&[5, 3, kernel, kernel], 2), variable(&[3], 3));
        let ours = operation::transposed_convolution(&x, &w, &b, &geometry, relu).unwrap();
        let beyond = 8 - ((rows - 1) * stride + kernel - 2 * padding);
        let theirs = x.conv_transpose2d(&w, padding, beyond, stride, 1).unwrap();
        let theirs = theirs.broadcast_add(&b.reshape((1, 3, 1, 1)).unwrap()).unwrap();
        let theirs = if relu { theirs.relu().unwrap() } else { theirs };
        same(&[&x, &w, &b], &ours, &theirs, 3e-4);
    }
}

#[test]
fn the_squared_error_of_a_sigmoid_is_candles() {
    let z = variable(&[3, 2, 4, 4], 1);
    let target: Vec<f32> = numbers(96, 2).iter().map(|x| x.abs().min(1.0)).collect();
    let theirs = Tensor::from_vec(target.clone(), z.shape(), &Device::Cpu).unwrap();
    let theirs = candle_nn::loss::mse(&candle_nn::ops::sigmoid(&z).unwrap(), &theirs).unwrap();
    same(&[&z], &operation::squared_error(&z, target).unwrap(), &theirs, 1e-6);
}

#[test]
fn dense_pooling_and_loss_are_candles() {
    let (x, w, b) = (variable(&[5, 6], 1), variable(&[4, 6], 2), variable(&[4], 3));
    let theirs = x.matmul(&w.t().unwrap()).unwrap().broadcast_add(&b).unwrap().relu().unwrap();
    same(&[&x, &w, &b], &operation::dense(&x, &w, &b, true).unwrap(), &theirs, 1e-5);

    let image = variable(&[3, 2, 6, 8], 4);
    let pool = |kind| Pool { kind, size: 2, height: 6, width: 8 };
    same(
        &[&image],
        &operation::pool(&image, pool(Kind::Max)).unwrap(),
        &operation::max_of_windows(&image, 2).unwrap(),
        1e-6,
    );
    same(&[&image], &operation::pool(&image, pool(Kind::Average)).unwrap(), &image.avg_pool2d(2).unwrap(), 1e-6);

    let labels = [0u8, 3, 2, 5, 1];
    let wanted = Tensor::new(&[0u32, 3, 2, 5, 1], &Device::Cpu).unwrap();
    let theirs = candle_nn::loss::cross_entropy(&x, &wanted).unwrap();
    same(&[&x], &operation::cross_entropy(&x, &labels).unwrap(), &theirs, 1e-6);
}

#[test]
fn pooling_drops_what_is_left_over_and_gives_a_tie_to_the_first() {
    let pool = Pool { kind: Kind::Max, size: 2, height: 3, width: 3 };
    let x = [1.0, 1.0, 9.0, 0.0, 1.0, 9.0, 9.0, 9.0, 9.0];
    let y = pool.forward(&x);
    assert_eq!(y, [1.0]);
    assert_eq!(pool.backward(&x, &y, &[5.0]), [5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn normalization_is_the_formula_with_its_gradient() {
    let (x, gain, shift) = (variable(&[4, 3, 5, 7], 1), variable(&[3], 2), variable(&[3], 3));
    let channel = |t: &Tensor| t.reshape((1, 3, 1, 1)).unwrap();
    let formula = |mean: &Tensor, variance: &Tensor| {
        let root = (variance + f64::from(kernel::norm::EPSILON)).unwrap().sqrt().unwrap();
        let y = x.broadcast_sub(mean).unwrap().broadcast_div(&root).unwrap();
        y.broadcast_mul(&channel(&gain)).unwrap().broadcast_add(&channel(&shift)).unwrap()
    };
    let mean = x.mean_keepdim((0, 2, 3)).unwrap();
    let variance = x.broadcast_sub(&mean).unwrap().sqr().unwrap().mean_keepdim((0, 2, 3)).unwrap();
    let own = operation::moments(&x).unwrap();
    let fixed = Moments { mean: vec![0.5, -0.5, 0.0], variance: vec![0.3, 2.0, 1.0] };
    let constant = |v: &[f32]| channel(&Tensor::new(v, &Device::Cpu).unwrap());
    let of_fixed = formula(&constant(&fixed.mean), &constant(&fixed.variance));

    // Neither rows nor columns are a multiple of a window.
    let pool = |kind, size| Some(Pool { kind, size, height: 5, width: 7 });
    for pool in [None, pool(Kind::Max, 2), pool(Kind::Max, 3), pool(Kind::Average, 2)] {
        for relu in [true, false] {
            let norm = Norm { plane: 35, relu, pool };
            let then = |y: Tensor| {
                let y = if relu { y.relu().unwrap() } else { y };
                match pool {
                    None => y,
                    Some(Pool { kind: Kind::Max, size, .. }) => operation::max_of_windows(&y, size).unwrap(),
                    Some(Pool { size, .. }) => {
                        y.narrow(2, 0, 4).unwrap().narrow(3, 0, 6).unwrap().avg_pool2d(size).unwrap()
                    }
                }
            };
            let ours = operation::normalization(&x, &gain, &shift, &own, true, &norm).unwrap();
            same(&[&x, &gain, &shift], &ours, &then(formula(&mean, &variance)), 1e-3);
            let ours = operation::normalization(&x, &gain, &shift, &fixed, false, &norm).unwrap();
            same(&[&x, &gain, &shift], &ours, &then(of_fixed.clone()), 1e-3);
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let input = Shape { channels: 3, height: 16, width: 16 };
    let conv = Conv(Geometry::new(input, 8, Window::square(5, 1, 2)).unwrap());
    let (x, w) = (numbers(40 * 3 * 256, 1), numbers(8 * 75, 2));
    let gradient = numbers(40 * 8 * 256, 3);
    let pool = Pool { kind: Kind::Max, size: 2, height: 16, width: 16 };
    let norm = Norm { plane: 256, relu: true, pool: Some(pool) };
    let all = |threads| {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        threads.install(|| {
            let found = conv.backward(&x, &w, &gradient, true);
            let y = conv.forward(&x, &w, &[0.1; 8], true);
            let moments = Moments::of(&y, 8, 256);
            let z = norm.forward(&y, &moments, &[1.2; 8], &[0.3; 8]);
            let by_z = &gradient[..z.len()];
            let back = norm.backward([&y, &z, by_z], &moments, [&[1.2; 8], &[0.3; 8]], true);
            let pooled = pool.forward(&y);
            let by_y = pool.backward(&y, &pooled, by_z);
            (y, found.input, found.weight, found.bias, (moments, z, back, pooled, by_y))
        })
    };
    assert_eq!(all(1), all(3));
}

/// A preset with random weights.
fn network(name: &str) -> Network {
    network_on(name, &Device::Cpu)
}

fn network_on(name: &str, device: &Device) -> Network {
    let architecture = preset(name, 10).unwrap();
    let channels = architecture.input[0];
    let normalization = Normalization { mean: vec![0.4; channels], deviation: vec![0.3; channels] };
    Network::random(&architecture, normalization, 5, device).unwrap()
}

#[test]
fn folded_networks_answer_as_the_unfolded_ones() {
    for p in PRESETS {
        let mut network = network(p.name);
        let size: usize = network.architecture.input.iter().product();
        let pixels: Vec<f32> = numbers(2 * size, 8).iter().map(|x| 0.5 + 0.2 * x).collect();
        for seed in 0..3 {
            network.train(&network.input(&pixels, 2).unwrap(), Random::new(seed, Purpose::Dropout, 0)).unwrap();
        }
        let classes: Vec<String> = (0..10).map(|c| c.to_string()).collect();
        let folded = network.fold(&classes).unwrap();
        let logits = network.outputs(&pixels).unwrap().logits;
        for (image, logits) in pixels.chunks(size).zip(logits.chunks(10)) {
            let device = folded.logits(image).unwrap();
            let distance = device.iter().zip(logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(distance < 1e-5, "{}: {distance}", p.name);
        }
        assert_eq!(folded.macs().unwrap(), network.steps.macs, "{}", p.name);
    }
}

#[test]
fn dropout_and_batch_moments_belong_to_training() {
    let mut network = network("thesis-cifar");
    let x = network.input(&numbers(4 * 3 * 1024, 2), 4).unwrap();
    let (first, second) = (network.evaluate(&x).unwrap(), network.evaluate(&x).unwrap());
    assert_eq!(far(&first, &second), 0.0);
    let mut train = |seed| network.train(&x, Random::new(seed, Purpose::Dropout, 0)).unwrap();
    let (a, b, c) = (train(1), train(1), train(2));
    assert_eq!(far(&a, &b), 0.0, "the same draw gives the same");
    assert!(far(&a, &c) > 1e-3, "another draw gives another");
    assert!(far(&first, &network.evaluate(&x).unwrap()) > 1e-3, "the running moments moved");
}

#[test]
fn recalibration_takes_the_moments_of_the_new_domain() {
    let mut network = network("thesis-digits");
    let pixels: Vec<f32> = numbers(32 * 784, 3).iter().map(|x| 0.9 + 0.05 * x).collect();
    network.recalibrate(&pixels).unwrap();
    let batch = network.input(&pixels, 32).unwrap();
    let by_batch = network.duplicate().unwrap().train(&batch, Random::new(0, Purpose::Dropout, 0)).unwrap();
    assert!(far(&network.evaluate(&batch).unwrap(), &by_batch) < 1e-4);
}

/// Logits, every gradient, and the running moments of one training pass; on a machine with a GPU.
#[cfg(feature = "cuda")]
#[test]
fn a_gpu_trains_as_the_cpu_does() {
    let numbers_of = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for p in PRESETS {
        let pass = |device: &Device| {
            let mut network = network_on(p.name, device);
            let size: usize = network.architecture.input.iter().product();
            let pixels: Vec<f32> = numbers(6 * size, 8).iter().map(|x| 0.5 + 0.2 * x).collect();
            let x = network.input(&pixels, 6).unwrap();
            let logits = network.train(&x, Random::new(1, Purpose::Dropout, 0)).unwrap();
            let loss = operation::cross_entropy(&logits, &[0, 9, 3, 3, 1, 7]).unwrap();
            let gradients = loss.backward().unwrap();
            let mut found = vec![numbers_of(&logits), numbers_of(&loss)];
            found.extend(network.variables.iter().map(|v| numbers_of(gradients.get(v).unwrap())));
            found.extend(network.moments.iter().flat_map(|m| [m.mean.clone(), m.variance.clone()]));
            found.push(numbers_of(&network.evaluate(&x).unwrap()));
            found
        };
        let (ours, theirs) = (pass(&Device::Cpu), pass(&Device::new_cuda(0).unwrap()));
        for (k, (a, b)) in ours.iter().zip(&theirs).enumerate() {
            let largest = a.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
            let distance = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest;
            assert!(a.len() == b.len() && distance < 2e-3, "{}, number {k}: {distance}", p.name);
        }
    }
}
