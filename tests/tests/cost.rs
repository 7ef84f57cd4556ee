//! Predicted instructions of image networks (`sirocco-cost`) against counted ones.
//!
//! The check takes the counts of `instructions.csv`, which the test of that name keeps true. The fit counts random
//! networks in QEMU, about half a minute, and writes `costs.csv`; it runs with SIROCCO_FIT=1 only.

use sirocco::error::Key;
use sirocco::image::Network;
use sirocco::image::architecture::Architecture;
use sirocco::layer::kernel::Portable;
use sirocco::layer::shape::{Shape, Window};
use sirocco::model::Model;
use sirocco_cost::{Processor, Work};
use sirocco_tests::fixture::imported;
use sirocco_tests::program::{emulates, root};
use sirocco_tools::device::bench;
use sirocco_tools::device::board::Board;
use sirocco_tools::output::Output;
use sirocco_trainer::host::model_file::{self, ModelBytes};
use sirocco_trainer::host::random::{Purpose, Random};
use sirocco_trainer::image::benchmark::{self, Builder, export_random};
use sirocco_trainer::image::net::graph::{Floats, Graph};
use sirocco_trainer::image::quantize::winograd::Transformed;
use std::collections::BTreeMap;

/// Largest relative deviation of a whole network, and of a layer of at least [`LAYER_LEAST`] instructions.
const WHOLE: f64 = 0.02;
const LAYER: f64 = 0.06;
const LAYER_LEAST: f64 = 5_000.0;
/// Networks that are counted for the fit.
const NETWORKS: u64 = 60;
/// Networks that are counted for the check.
const UNSEEN: u64 = 6;

fn architecture(file: &[u8]) -> Architecture {
    let model = Model::open(file).unwrap();
    Architecture::parse(model.require(Key::Image).unwrap(), model.require(Key::Nodes).unwrap()).unwrap()
}

fn processor(name: &str) -> Option<Processor> {
    Processor::ALL.into_iter().find(|processor| processor.name() == name)
}

/// The file of a network of the table, unless it was imported and is not there.
fn file(name: &str) -> Option<ModelBytes> {
    let path = root().join(format!("tests/data/{name}.safetensors"));
    match benchmark::network(name, 0) {
        Some(exported) => Some(exported.unwrap().bytes),
        None if path.is_file() => Some(model_file::read(&path).unwrap()),
        None => imported(name).map(|network| network.bytes),
    }
}

#[test]
fn predicted_instructions_are_those_counted() {
    let table = std::fs::read_to_string(root().join("tests/instructions.csv")).unwrap();
    let mut networks: BTreeMap<&str, Architecture> = BTreeMap::new();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for line in table.lines().skip(1) {
        let [name, kernel, layer, _, counted] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let Some(processor) = processor(kernel) else { continue };
        let Some(file) = file(name) else { continue };
        let architecture = networks.entry(name).or_insert_with(|| architecture(&file));
        let counted: f64 = counted.parse().unwrap();
        let (predicted, limit) = match layer.split_once(' ') {
            None => (sirocco_cost::total(architecture, processor), WHOLE),
            Some((index, _)) => {
                let step = &architecture.steps[index.parse::<usize>().unwrap()];
                (sirocco_cost::instructions(step, processor), if counted < LAYER_LEAST { f64::INFINITY } else { LAYER })
            }
        };
        let deviation = predicted as f64 / counted - 1.0;
        println!("{line}: predicted {predicted}, {:+.2} %", 100.0 * deviation);
        compared += 1;
        if deviation.abs() > limit {
            wrong.push(format!("{line}: predicted {predicted}, {:+.2} %", 100.0 * deviation));
        }
    }
    let remedy = "after a change of the kernels: SIROCCO_FIT=1 cargo test -p sirocco-tests --test suites cost::";
    assert!(compared > 30 && wrong.is_empty(), "{remedy}\n{}", wrong.join("\n"));
}

/// The arena that a file states is what an evaluation takes: with a word less it refuses, and all of it is used but for the
/// row that is kept for windows at the border, where no window reaches it.
#[test]
fn stated_memory_is_what_is_taken() {
    for name in ["dense", "mnist-cnn", "resnet8", "resnet8-winograd", "digits-int8"] {
        let bytes = file(name).unwrap();
        let model = Model::open(&bytes).unwrap();
        let network = Network::open(&model).unwrap();
        let (words, image) = (network.arena(), vec![77; network.image().size()]);
        assert!(network.logits::<Portable>(&image, &mut vec![0; words - 1]).is_err(), "{name}");
        let (mut zeros, mut ones) = (vec![0; words], vec![u32::MAX; words]);
        network.logits::<Portable>(&image, &mut zeros).unwrap();
        network.logits::<Portable>(&image, &mut ones).unwrap();
        // A word that both runs leave as they found it was never written.
        let used = (0..words).rev().find(|k| zeros[*k] != 0 || ones[*k] != u32::MAX).map_or(0, |k| k + 1);
        println!("{name}: {words} words stated, {used} used");
        assert!((words - used) * 100 <= words, "{name}");
    }
}

/// A random network of every operation, larger than those that layers are tested on.
fn network(seed: u64) -> Graph<Floats> {
    let mut random = Random::new(seed, Purpose::Choice, 1);
    let mut draw = |lo: usize, hi: usize| lo + (random.bits() >> 32) as usize % (hi - lo + 1);
    let image = Shape { channels: draw(1, 3), height: draw(14, 36), width: draw(14, 36) };
    let mut net = Builder::new(image, seed);
    let kernel = [draw(1, 5), draw(1, 5)];
    let window = Window::even(kernel, [draw(1, 2); 2], [kernel[0] / 2 * draw(0, 1), kernel[1] / 2 * draw(0, 1)]);
    net = net.conv(draw(2, 12) * 2 - draw(0, 4) / 4, window, true);
    let size = draw(1, net.shape().height.min(net.shape().width).min(3));
    net = net.pool(Window::square(size, size, 0), draw(0, 1) == 0);
    net = net.depthwise(Window::square(3, draw(1, 2), 1), true);
    let kernel = draw(0, 1) * 2 + 1;
    net = net.conv(draw(1, 16) * 2, Window::square(kernel, 1, kernel / 2), true);
    if net.shape().height > 4 && draw(0, 1) == 1 {
        net = net.conv(draw(1, 32), Window::square(3, draw(1, 2), 1), true);
    }
    let (kernel, channels) = ([1, 3, 5][draw(0, 2)], draw(2, 16));
    let same = Window::square(kernel, 1, kernel / 2);
    net = net.conv(channels, same, true);
    let skip = net.value();
    net = net.conv(channels, same, false).add(skip, true);
    // The second one is transformed: channels in fours, and often in sixteens.
    let fours = if draw(0, 1) == 0 { draw(1, 12) } else { 4 * draw(1, 3) };
    net = net.conv(4 * fours, Window::square(1, 1, 0), true);
    net = net.conv(draw(1, 40), Window::square(3, 1, draw(1, 2)), draw(0, 1) == 0);
    if draw(0, 1) == 0 {
        net = net.global_average();
    } else if net.shape().height.min(net.shape().width) > 1 {
        net = net.pool(Window::square(2, 2, 0), draw(0, 2) == 0);
    }
    net.dense(draw(4, 96), true).logits(draw(2, 20))
}

/// One node that was counted.
struct Sample {
    work: Work,
    instructions: f64,
}

/// Counts a random network with both kernels, which have to agree in every bit.
fn counted(seed: u64) -> (Architecture, bench::Report) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let exported = export_random(&network(seed), seed, Transformed::Always).unwrap();
    std::fs::write(&path, &exported.bytes).unwrap();
    let report = bench::count(&path, bench::BOARD, Output { json: false, quiet: true }).unwrap();
    (architecture(&exported.bytes), report)
}

/// On networks of every operation that the fit never saw, borders and odd channels included.
#[test]
fn kernels_agree_and_predictions_hold_on_other_networks() {
    let target = Board::find(bench::BOARD).unwrap().target;
    if !emulates(&target) {
        return;
    }
    for seed in NETWORKS..NETWORKS + UNSEEN {
        let (architecture, report) = counted(seed);
        for kernel in &report.kernels {
            let predicted = sirocco_cost::total(&architecture, processor(&kernel.kernel).unwrap());
            let deviation = predicted as f64 / kernel.instructions as f64 - 1.0;
            println!(
                "network {seed}, {}: {} instructions, {:+.2} %",
                kernel.kernel,
                kernel.instructions,
                100.0 * deviation
            );
            assert!(deviation.abs() <= WHOLE, "network {seed}, {}: {deviation}", kernel.kernel);
        }
    }
}

#[test]
fn fit() {
    if std::env::var_os("SIROCCO_FIT").is_none() {
        return;
    }
    // By kernel and operation.
    let mut samples: BTreeMap<(String, &str), Vec<Sample>> = BTreeMap::new();
    for seed in 0..NETWORKS {
        let (architecture, report) = counted(seed);
        for kernel in report.kernels {
            for (row, step) in kernel.layers.iter().zip(&architecture.steps) {
                let sample = Sample { work: Work::of(step), instructions: row.instructions as f64 };
                samples.entry((kernel.kernel.clone(), step.operation.name())).or_default().push(sample);
            }
        }
    }
    let mut table = "processor,operation,work,thousandths\n".to_owned();
    for name in Processor::ALL.map(Processor::name) {
        for ((_, operation), nodes) in samples.iter().filter(|((kernel, _), _)| kernel == name) {
            let costs = least_squares(nodes);
            let worst =
                nodes.iter().map(|s| (predicted(&costs, &s.work) / s.instructions - 1.0).abs()).fold(0.0, f64::max);
            let all: f64 = nodes.iter().map(|s| s.instructions).sum();
            let sum: f64 = nodes.iter().map(|s| predicted(&costs, &s.work)).sum();
            println!(
                "{name} {operation}: {} nodes, sum {:+.3} %, worst {:.2} %",
                nodes.len(),
                100.0 * (sum / all - 1.0),
                100.0 * worst
            );
            for ((kind, _), cost) in nodes[0].work.counts.iter().zip(costs) {
                table += &format!("{name},{operation},{kind},{}\n", (1000.0 * cost).round() as u32);
            }
        }
    }
    let path = root().join("tests/costs.csv");
    std::fs::write(&path, table).unwrap();
    println!("wrote {}; build again and run the check", path.display());
}

fn predicted(costs: &[f64], work: &Work) -> f64 {
    costs.iter().zip(&work.counts).map(|(cost, (_, n))| cost * *n as f64).sum()
}

/// Costs, none negative, that minimize the sum of squared relative deviations: coordinate descent on the normal
/// equations. Counts are to the nearest 40, so short nodes weigh less.
fn least_squares(samples: &[Sample]) -> Vec<f64> {
    let kinds = samples[0].work.counts.len();
    let mut normal = vec![vec![0.0; kinds]; kinds];
    let mut right = vec![0.0; kinds];
    for sample in samples {
        let weight = 1.0 / (sample.instructions + 20_000.0).powi(2);
        let work: Vec<f64> = sample.work.counts.iter().map(|(_, n)| *n as f64).collect();
        for i in 0..kinds {
            right[i] += weight * work[i] * sample.instructions;
            for j in 0..kinds {
                normal[i][j] += weight * work[i] * work[j];
            }
        }
    }
    let mut costs = vec![0.0; kinds];
    for _ in 0..200_000 {
        for i in 0..kinds {
            if normal[i][i] > 0.0 {
                let rest: f64 = (0..kinds).map(|j| normal[i][j] * costs[j]).sum::<f64>() - normal[i][i] * costs[i];
                costs[i] = ((right[i] - rest) / normal[i][i]).max(0.0);
            }
        }
    }
    costs
}
