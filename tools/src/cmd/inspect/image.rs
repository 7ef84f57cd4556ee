//! The report on an image network: its layers and what they cost a device.

use crate::Error;
use crate::input::model_file::ModelFile;
use serde::Serialize;
use sirocco::error::Key;
use sirocco::image::Network;
use sirocco::image::architecture::{Architecture, Operation, Step};
use sirocco::layer::shape::Shape;
use sirocco::model::Model;
use sirocco_cost::Processor;

/// The report.
#[derive(Serialize)]
pub struct Report {
    /// Rows, columns and channels of an image.
    pub image: [usize; 3],
    /// Names of the classes.
    pub classes: Vec<String>,
    /// The nodes of the network, in the order of their computation.
    pub nodes: Vec<Node>,
    /// Bytes of working memory, for intermediate values and scratch.
    pub arena_bytes: usize,
    /// Multiply-accumulates for one image.
    pub macs: u32,
    /// Instructions for one image.
    pub instructions: Instructions,
    /// Predictive entropy in nats above which an answer is withheld.
    pub abstain: Option<f32>,
}

/// A node of the network.
#[derive(Serialize)]
pub struct Node {
    /// The operation.
    pub operation: &'static str,
    /// Rows, columns and channels of its output.
    pub output: [usize; 3],
    /// Multiply-accumulates.
    pub macs: u32,
    /// Instructions.
    pub instructions: Instructions,
}

/// Predicted instructions on a Cortex-M4 (see `sirocco_cost`); `sirocco bench` counts the real ones.
#[derive(Serialize)]
pub struct Instructions {
    /// With the portable kernel.
    pub portable: u64,
    /// With the kernel that uses DSP instructions.
    pub dsp: u64,
}

impl Instructions {
    fn of(count: impl Fn(Processor) -> u64) -> Self {
        Instructions { portable: count(Processor::Portable), dsp: count(Processor::Dsp) }
    }
}

fn sides(shape: Shape) -> [usize; 3] {
    [shape.height, shape.width, shape.channels]
}

/// The report on the image network in a file.
///
/// # Errors
/// [`Error::Model`] if the file does not hold a valid one.
pub fn report(file: &ModelFile, model: &Model<'_>) -> Result<Report, Error> {
    let refused = |source| Error::Model { path: file.path().to_owned(), source };
    let network = Network::open(model).map_err(refused)?;
    let text = |key| model.require(key).map_err(refused);
    let architecture = Architecture::parse(text(Key::Image)?, text(Key::Nodes)?).map_err(refused)?;
    let node = |((operation, output, macs), step): ((Operation, Shape, u32), &Step)| Node {
        operation: operation.name(),
        output: sides(output),
        macs,
        instructions: Instructions::of(|processor| sirocco_cost::instructions(step, processor)),
    };
    Ok(Report {
        image: sides(network.image()),
        classes: network.classes().map(str::to_owned).collect(),
        nodes: network.nodes().zip(&architecture.steps).map(node).collect(),
        arena_bytes: 4 * network.arena(),
        macs: network.macs(),
        instructions: Instructions::of(|processor| sirocco_cost::total(&architecture, processor)),
        abstain: network.abstain(),
    })
}

/// Prints the report.
pub fn show(report: &Report) {
    let shape = |[height, width, channels]: [usize; 3]| format!("{height}x{width}x{channels}");
    say!("image  {}, {} classes: {}", shape(report.image), report.classes.len(), report.classes.join(", "));
    for (index, node) in report.nodes.iter().enumerate() {
        let Node { operation, output, macs, instructions } = node;
        let output = shape(*output);
        say!("node   {index:>2} {operation:<10} {output:<12} {macs:>10} MACs {:>11} instructions", instructions.dsp);
    }
    say!("arena  {} bytes of working memory", report.arena_bytes);
    let Instructions { portable, dsp } = report.instructions;
    say!("work   {} MACs, predicted {dsp} instructions on a Cortex-M4 with DSP, {portable} without", report.macs);
    if let Some(abstain) = report.abstain {
        say!("abstain above an entropy of {abstain} nats");
    }
}
