//! From trained weights to a file that can be flashed: encode, check with the device evaluator, measure, write.
//!
//! The exporter believes nothing but the bytes it is about to write: it opens them with the evaluator of the device,
//! compares with the f64 network, measures the error against the reference, puts the figures and golden answers into
//! the file, and refuses to write a file that fails any of this.

use crate::bundle::evaluate::{self, Measurement};
use crate::bundle::mlp::Mlp;
use crate::bundle::problem::Problem;
use crate::bundle::quantize;
use crate::bundle::residual::{Batch, Scratch};
use crate::host::atomic;
use crate::host::model_file::{self, Metadata, ModelBytes, OwnedTensor};
use sirocco::bundle::{Bundle, FORMAT_VERSION, golden};
use sirocco::error::{Key, ModelError};
use sirocco::network::Scheme;
use sirocco::query::Query;
use sirocco::summary::ModelKind;
use std::path::Path;

/// Golden queries put into a file.
const GOLDEN: usize = 16;

/// Queries at which the evaluator is compared with the f64 network.
const ROUNDING_QUERIES: usize = 4096;

/// The largest difference seen, times this, is stated as the file's rounding error: a sample's maximum falls short.
const ROUNDING_FACTOR: f64 = 1.5;

/// Largest difference of the f32 evaluator from the f64 network that rounding explains: oscillators and steep epidemics
/// reach 3e-5 to 6e-5. A tenth of the error of the poorest bundle worth shipping.
const F32_TOLERANCE: f64 = 1e-4;

/// The same for integer weights and 16-bit activations.
const INTEGER_TOLERANCE: f64 = 2e-3;

/// Why a model was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The weights do not fit the number format.
    #[error(transparent)]
    Quantise(#[from] quantize::QuantiseError),
    /// The file cannot be put together.
    #[error(transparent)]
    File(#[from] model_file::ModelFileError),
    /// The device evaluator refuses the file.
    #[error("the exported bytes fail the device's own check: {0}; this is a defect of the exporter")]
    Refused(#[from] ModelError),
    /// The device evaluator cannot answer a query of the domain.
    #[error("{0}; the network is not usable, train again")]
    Unanswered(#[from] evaluate::Unanswered),
    /// The device evaluator disagrees with the trained network.
    #[error(
        "the device evaluator differs from the trained network by {difference:e}, more than {tolerance:e}: \
         the weights are too large for this number format; train longer or with another seed"
    )]
    Disagrees {
        /// Largest absolute difference of a state component.
        difference: f64,
        /// What rounding explains.
        tolerance: f64,
    },
    /// The golden answers do not repeat.
    #[error("the golden answers of the exported bytes do not repeat; this is a defect of the exporter")]
    Golden,
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] atomic::WriteError),
}

/// What is exported: a trained network and where it came from.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The problem it was trained on.
    pub problem: &'a Problem,
    /// The trained weights.
    pub mlp: &'a Mlp,
    /// Number format of the file.
    pub scheme: Scheme,
    /// Row scales of 8-bit weights that were rounded to them; see [`quantize::tensors`].
    pub scales: Option<&'a [f32]>,
    /// Preset, seed, optimiser and the like, for the file's metadata.
    pub provenance: &'a Metadata,
    /// Seed of the measurement's queries.
    pub seed: u64,
    /// Queries compared with the reference.
    pub queries: usize,
}

/// A checked and measured file.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The file.
    pub bytes: ModelBytes,
    /// Its errors, as the device would make them.
    pub measurement: Measurement,
    /// Weights and biases.
    pub parameters: u32,
    /// Multiply-accumulates of one evaluation.
    pub macs: u32,
}

impl Candidate<'_> {
    /// Encodes, checks and measures; writes nothing.
    ///
    /// # Errors
    /// [`ExportError`], the first check that fails.
    pub fn export(&self) -> Result<Exported, ExportError> {
        let tensors = quantize::tensors(self.mlp, self.scheme, self.scales)?;
        let mut metadata = self.metadata();
        let draft = model_file::assemble(&tensors, &metadata)?;
        let bundle = Bundle::open(&draft)?;
        let rounding = self.compare(&bundle)?;
        let measurement = evaluate::measure(&bundle, self.queries, self.seed)?;
        let mut set = |key: Key, value: f64| metadata.insert(key.key().into(), format!("{:e}", value as f32));
        set(Key::LogLoss, measurement.logloss);
        set(Key::MaxError, measurement.max_error);
        set(Key::RmsError, measurement.rms_error);
        set(Key::Rounding, ROUNDING_FACTOR * rounding);
        metadata.insert("queries".into(), measurement.queries.to_string());
        let golden = golden_tensors(&bundle)?;
        let bytes = model_file::assemble(&[tensors, golden].concat(), &metadata)?;
        let (parameters, macs) = (bundle.network().parameters(), bundle.network().macs());
        let replay = Bundle::open(&bytes)?.self_test();
        if usize::from(replay.queries) != GOLDEN || replay.mismatches > 0 {
            return Err(ExportError::Golden);
        }
        Ok(Exported { bytes, measurement, parameters, macs })
    }

    /// What describes the model, before measurement.
    fn metadata(&self) -> Metadata {
        let range = |name: &str, lo: f64, hi: f64| format!("{name}={}:{}", lo as f32, hi as f32);
        let domain: Vec<_> = self
            .problem
            .ode
            .quantity_names()
            .zip(&self.problem.domain)
            .map(|(n, &(lo, hi))| range(n, lo, hi))
            .collect();
        let inputs: Vec<_> = self.problem.inputs.iter().map(|i| range(&i.name, i.lo, i.hi)).collect();
        let widths: Vec<_> = self.mlp.widths.iter().map(usize::to_string).collect();
        let mut metadata = self.provenance.clone();
        let mut set = |key: Key, value: String| metadata.insert(key.key().into(), value);
        set(Key::Format, FORMAT_VERSION.to_string());
        set(Key::Kind, ModelKind::Bundle.name().into());
        set(Key::Ode, self.problem.ode.name().into());
        set(Key::Form, self.problem.form.name().into());
        set(Key::Domain, domain.join(","));
        set(Key::Inputs, inputs.join(","));
        set(Key::Layers, widths.join(","));
        set(Key::Activation, self.mlp.activation.name().into());
        set(Key::Scheme, self.scheme.name().into());
        metadata.insert("software".into(), concat!("sirocco-trainer ", env!("CARGO_PKG_VERSION")).into());
        metadata
    }

    /// Largest difference of the evaluator's states from those of the f64 network.
    fn compare(&self, bundle: &Bundle<'_>) -> Result<f64, ExportError> {
        let queries: Vec<Query> =
            bundle.probes(self.seed).filter(|q| bundle.in_domain(q)).take(ROUNDING_QUERIES).collect();
        let width = self.problem.domain.len();
        let flat: Vec<f64> =
            queries.iter().flat_map(|q| q.quantities(bundle.ode()).map(f64::from)[..width].to_vec()).collect();
        let batch = Batch::new(self.problem, &flat);
        let mut trained = Vec::new();
        let mut scratch = Scratch::default();
        for chunk in batch.chunks() {
            self.problem.for_each(self.mlp, chunk, &mut scratch, |state, _| trained.push(state));
        }
        let mut difference = 0.0f64;
        for (query, trained) in queries.iter().zip(trained) {
            let Ok(state) = bundle.state(query) else { continue };
            for (a, b) in state.iter().zip(trained) {
                difference = difference.max((f64::from(*a) - b).abs());
            }
        }
        let tolerance = match self.scheme {
            Scheme::F32 => F32_TOLERANCE,
            Scheme::I16 | Scheme::I8I16 => INTEGER_TOLERANCE,
        };
        if difference <= tolerance { Ok(difference) } else { Err(ExportError::Disagrees { difference, tolerance }) }
    }
}

/// Golden queries spread over the domain and around it, with the evaluator's own bits.
fn golden_tensors(bundle: &Bundle<'_>) -> Result<Vec<OwnedTensor>, ExportError> {
    let (quantities, components) = (bundle.ode().quantity_names().count(), bundle.ode().state_names().len());
    let answered: Vec<_> =
        bundle.probes(1).filter_map(|q| bundle.predict(&q).ok().map(|p| (q, p))).take(GOLDEN).collect();
    let queries: Vec<f32> =
        answered.iter().flat_map(|(q, _)| q.quantities(bundle.ode())[..quantities].to_vec()).collect();
    let answer = |p: &sirocco::query::Prediction| [&p.state[..components], &p.residual[..components]].concat();
    let answers: Vec<f32> = answered.iter().flat_map(|(_, p)| answer(p)).collect();
    Ok(vec![
        OwnedTensor::f32(golden::QUERIES.into(), &[GOLDEN, quantities], &queries),
        OwnedTensor::f32(golden::ANSWERS.into(), &[GOLDEN, 2 * components], &answers),
    ])
}

impl Exported {
    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`ExportError::Write`].
    pub fn write(&self, path: &Path) -> Result<(), ExportError> {
        Ok(atomic::write(path, &self.bytes)?)
    }
}
