//! From trained weights to a file that can be flashed: encode, check with the device evaluator, measure, write.
//!
//! The exporter trusts only the bytes it is about to write. It opens them with the device's evaluator, compares its
//! answers with the f64 network, measures its error against the reference, and puts these figures and golden answers
//! into the file. If any of these checks fails, it writes nothing.

use crate::bundle::equations::Scratch;
use crate::bundle::error::BundleError;
use crate::bundle::evaluate::{self, Measurement};
use crate::bundle::mlp::Mlp;
use crate::bundle::phase;
use crate::bundle::problem::{Form, Problem};
use crate::bundle::quantize;
use crate::bundle::residual::Batch;
use crate::host::model_file::{self, Metadata, ModelBytes, OwnedTensor};
use crate::host::{self, atomic};
use sirocco::bundle::{Bundle, FORMAT_VERSION, golden};
use sirocco::error::Key;
use sirocco::network::Scheme;
use sirocco::ode::State;
use sirocco::query::Query;
use sirocco::summary::ModelKind;
use std::path::Path;

/// Golden queries put into a file.
const GOLDEN: usize = 16;

/// Queries at which the evaluator is compared with the f64 network.
const ROUNDING_QUERIES: usize = 4096;

/// The file states this times the largest difference found as its rounding error, because the maximum of a sample
/// underestimates the maximum over the domain.
const ROUNDING_FACTOR: f64 = 1.5;

/// Largest difference of the f32 evaluator from the f64 network that rounding can explain: oscillators and steep
/// epidemics reach 3e-5 to 6e-5. It is a tenth of the error of the least accurate bundle worth shipping.
const F32_TOLERANCE: f64 = 1e-4;

/// The same for integer weights and 16-bit activations.
const INTEGER_TOLERANCE: f64 = 2e-3;

/// A trained network to export, and where it came from.
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
    /// Preset, seed, optimizer and the like, for the file's metadata.
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
    /// [`BundleError`], the first check that fails.
    pub fn export(&self) -> Result<Exported, BundleError> {
        let tensors = quantize::tensors(self.mlp, self.scheme, self.scales)?;
        let mut metadata = self.metadata();
        let draft = model_file::assemble(&tensors, &metadata)?;
        let bundle = Bundle::open(&draft)?;
        let rounding = self.compare(&bundle)?;
        let domain = evaluate::own_domain(&bundle);
        let samples = evaluate::samples(&bundle, &domain, self.queries, self.seed)?;
        let measurement = evaluate::measure(&bundle, &domain, &samples, self.seed)?;
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
            return Err(BundleError::Golden);
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
        metadata.remove(Key::ProvenError.key());
        // Certificates of earlier versions took it.
        metadata.remove("time_bounds");
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
        metadata.insert("software".into(), host::SOFTWARE.into());
        metadata
    }

    /// The f64 network's states.
    fn trained(&self, queries: &[Query]) -> Vec<State<f64>> {
        let width = self.problem.domain.len();
        let quantities = queries.iter().map(|query| query.quantities(self.problem.ode).map(f64::from));
        let flat: Vec<f64> = quantities.flat_map(|quantities| quantities[..width].to_vec()).collect();
        let mut states = Vec::new();
        let mut scratch = Scratch::default();
        for chunk in &Batch::new(self.problem, &flat).chunks {
            self.problem.for_each(self.mlp, chunk, &mut scratch, |state, _| states.push(state));
        }
        states
    }

    /// Largest difference of the evaluator's states from those of the f64 network.
    fn compare(&self, bundle: &Bundle<'_>) -> Result<f64, BundleError> {
        let queries: Vec<Query> =
            bundle.probes(self.seed).filter(|q| bundle.in_domain(q)).take(ROUNDING_QUERIES).collect();
        let trained = match self.problem.form {
            Form::Phase => queries.iter().map(|query| phase::state(self.mlp, query)).collect(),
            _ => self.trained(&queries),
        };
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
        if difference <= tolerance { Ok(difference) } else { Err(BundleError::Disagrees { difference, tolerance }) }
    }
}

/// Golden queries spread over the domain and around it, with the evaluator's own bits.
fn golden_tensors(bundle: &Bundle<'_>) -> Result<Vec<OwnedTensor>, BundleError> {
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
    /// The bundle in the file.
    ///
    /// # Errors
    /// [`BundleError::Refused`], which the exporter has ruled out.
    pub fn bundle(&self) -> Result<Bundle<'_>, BundleError> {
        Ok(Bundle::open(&self.bytes)?)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`BundleError::Write`].
    pub fn write(&self, path: &Path) -> Result<(), BundleError> {
        Ok(atomic::write(path, &self.bytes)?)
    }
}
