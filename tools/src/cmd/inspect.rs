//! `sirocco inspect`: what a model file holds.

mod image;

use crate::Error;
use crate::input::model_file::ModelFile;
use crate::output::{Output, map};
use serde::Serialize;
use sirocco::bundle::Bundle;
use sirocco::error::Key;
use sirocco::limits::MAX_WIDTH;
use sirocco::model::{Dtype, Tensor};
use sirocco::summary::ModelKind;
use std::path::PathBuf;

/// Check a model file, and show what it holds and what it costs a device
///
/// Verifies the file as a device does: checksum, tensors, metadata. Then prints the network, its domain or its classes,
/// the memory it needs, its multiply-accumulates (MACs), and for an image network the predicted instructions of each
/// layer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco inspect model.safetensors
  sirocco inspect model.safetensors --json")]
pub struct Arguments {
    /// Model file
    file: PathBuf,
}

#[derive(Serialize)]
struct Report {
    file: PathBuf,
    bytes: usize,
    header_bytes: usize,
    crc32: String,
    #[serde(serialize_with = "map")]
    metadata: Vec<(String, String)>,
    tensors: Vec<TensorRow>,
    #[serde(flatten)]
    content: Content,
}

/// The model in the file.
#[derive(Serialize)]
#[serde(untagged)]
enum Content {
    Bundle(BundleReport),
    Image(image::Report),
}

#[derive(Serialize)]
struct BundleReport {
    ode: &'static str,
    form: &'static str,
    scheme: &'static str,
    layers: Vec<usize>,
    #[serde(serialize_with = "map")]
    domain: Vec<(String, (f32, f32))>,
    #[serde(serialize_with = "map")]
    inputs: Vec<(String, (f32, f32))>,
    golden: u16,
    memory: Memory,
}

#[derive(Serialize)]
struct TensorRow {
    name: String,
    dtype: String,
    shape: Vec<u32>,
    bytes: usize,
}

/// What a device needs. There is no more: it has no heap, and reads the file in place.
#[derive(Serialize)]
struct Memory {
    /// Flash for the file.
    flash_bytes: usize,
    /// Stack for the buffers of an evaluation: value and tangent, each before and after a layer.
    stack_bytes: usize,
    parameters: u32,
    macs: u32,
}

/// Checks the file and prints what it holds.
///
/// # Errors
/// [`Error::File`] if the file cannot be read, [`Error::Model`] if it is damaged or not a model.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let file = ModelFile::read(&arguments.file)?;
    let report = report(&file)?;
    output.result(&report, |report| {
        say!("{}: {} bytes, crc32 {} verified", report.file.display(), report.bytes, report.crc32);
        say!("flash  {} bytes, of which {} header\n", report.bytes, report.header_bytes);
        match &report.content {
            Content::Bundle(bundle) => show(bundle),
            Content::Image(image) => image::show(image),
        }
        if let Some((_, bound)) = report.metadata.iter().find(|(key, _)| key == Key::ProvenError.key()) {
            say!("proven error at most {bound} for every problem and time, but for rounding");
        }
        say!("\nmetadata");
        for (key, value) in &report.metadata {
            say!("  {key} = {value}");
        }
        say!("tensors");
        for tensor in &report.tensors {
            say!("  {:<20} {:<4} {:?} {} bytes", tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
        }
    });
    Ok(())
}

/// Prints a bundle and its costs.
fn show(bundle: &BundleReport) {
    say!("system {}, form {}, weights {}", bundle.ode, bundle.form, bundle.scheme);
    let layers: Vec<String> = bundle.layers.iter().map(ToString::to_string).collect();
    say!("layers {}", layers.join(" - "));
    for (what, ranges) in [("domain", &bundle.domain), ("input", &bundle.inputs)] {
        for (name, (lo, hi)) in ranges {
            say!("{what:<6} {name:<6} {lo} to {hi}");
        }
    }
    say!("golden {} queries", bundle.golden);
    say!("stack  {} bytes of buffers in an evaluation", bundle.memory.stack_bytes);
    say!("work   {} MACs, {} parameters", bundle.memory.macs, bundle.memory.parameters);
}

fn report(file: &ModelFile) -> Result<Report, Error> {
    let model = file.model()?;
    let data: usize = model.tensors().map(|t| t.bytes.len()).sum();
    let content = match model.entry(Key::Kind.key()).and_then(ModelKind::from_name) {
        Some(ModelKind::Image) => Content::Image(image::report(file, &model)?),
        _ => Content::Bundle(bundle(file)?),
    };
    Ok(Report {
        file: file.path().to_owned(),
        bytes: model.file().len(),
        header_bytes: model.file().len() - data,
        crc32: format!("{:08x}", model.crc32()),
        metadata: model.metadata().iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        tensors: model.tensors().map(|t| tensor(&t)).collect(),
        content,
    })
}

fn bundle(file: &ModelFile) -> Result<BundleReport, Error> {
    let bundle = file.bundle()?;
    let names = bundle.ode().quantity_names().map(str::to_owned);
    let inputs = bundle.inputs().iter();
    Ok(BundleReport {
        ode: bundle.ode().name(),
        form: bundle.form().name(),
        scheme: bundle.network().scheme().name(),
        layers: bundle.network().widths().to_vec(),
        domain: names.zip(bundle.domain().iter().map(|r| (r.lo, r.hi))).collect(),
        inputs: inputs.map(|i| (i.source().name(bundle.ode()).to_owned(), (i.range().lo, i.range().hi))).collect(),
        golden: bundle.model_info(false).golden,
        memory: memory(&bundle, file.bytes().len()),
    })
}

fn memory(bundle: &Bundle<'_>, flash_bytes: usize) -> Memory {
    let (parameters, macs) = (bundle.network().parameters(), bundle.network().macs());
    Memory { flash_bytes, stack_bytes: 4 * MAX_WIDTH * size_of::<f32>(), parameters, macs }
}

fn tensor(tensor: &Tensor<'_>) -> TensorRow {
    let dtype = match tensor.dtype {
        Dtype::Other(bytes) => format!("other, {bytes} B"),
        known => format!("{known:?}"),
    };
    let (name, bytes) = (tensor.name.to_owned(), tensor.bytes.len());
    TensorRow { name, dtype, shape: tensor.shape.to_vec(), bytes }
}
