//! Reads a model file back into a problem and f64 weights, to train on or to write in another number format.

use crate::bundle::error::BundleError;
use crate::bundle::mlp::{Mlp, parameter_count};
use crate::bundle::problem::{Input, Problem};
use crate::bundle::quantize;
use crate::host::model_file::{self, Metadata, ModelBytes, ModelFileError};
use sirocco::bundle::{Bundle, named_range};
use sirocco::error::{Key, ModelError, TensorKind};
use sirocco::layer::kernel::Portable;
use sirocco::layer::weight::Weight;
use sirocco::model::{Model, Tensor};
use sirocco::network::Scheme;
use std::path::Path;

/// A bundle file's content, as the trainer works with it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// System, form, domain and inputs.
    pub problem: Problem,
    /// The weights, dequantized where the file holds integers.
    pub mlp: Mlp,
    /// The file's number format.
    pub scheme: Scheme,
    /// All metadata.
    pub metadata: Metadata,
    /// The file.
    pub bytes: ModelBytes,
}

impl Loaded {
    /// The bundle in the file.
    ///
    /// # Errors
    /// [`BundleError::Refused`], which [`bundle`] has ruled out.
    pub fn bundle(&self) -> Result<Bundle<'_>, BundleError> {
        Ok(Bundle::open(&self.bytes)?)
    }
}

/// Reads and checks a bundle file.
///
/// # Errors
/// [`ModelFileError::Read`] or [`ModelFileError::Model`], both naming the file.
pub fn bundle(path: &Path) -> Result<Loaded, ModelFileError> {
    let bytes = model_file::read(path)?;
    let (problem, mlp, scheme, metadata) =
        parts(&bytes).map_err(|source| ModelFileError::refused(path, &bytes, source))?;
    Ok(Loaded { problem, mlp, scheme, metadata, bytes })
}

fn parts(bytes: &[u8]) -> Result<(Problem, Mlp, Scheme, Metadata), ModelError> {
    let model = Model::open(bytes)?;
    let bundle = Bundle::from_model::<Portable>(&model)?;
    let domain = ranges(model.require(Key::Domain)?).into_iter().map(|(_, lo, hi)| (lo, hi)).collect();
    let inputs = ranges(model.require(Key::Inputs)?).into_iter();
    let inputs = inputs.map(|(name, lo, hi)| Input { name: name.into(), lo, hi }).collect();
    let problem = Problem { ode: bundle.ode(), form: bundle.form(), domain, inputs };

    let widths = bundle.network().widths().to_vec();
    let scheme = bundle.network().scheme();
    let mut parameters = Vec::with_capacity(parameter_count(&widths));
    for (layer, inputs) in widths[..widths.len() - 1].iter().enumerate() {
        let tensor = |kind: TensorKind| {
            let missing = ModelError::Tensor { layer: layer as u8, tensor: kind };
            model.tensor(&format!("layers.{layer}.{}", kind.name())).ok_or(missing)
        };
        let (weight, bias) = (tensor(TensorKind::Weight)?, tensor(TensorKind::Bias)?);
        match scheme {
            Scheme::F32 => parameters.extend(floats(&weight).chain(floats(&bias))),
            Scheme::I16 => parameters.extend(integers(weight.i16(), *inputs, &tensor(TensorKind::Scale)?, &bias)),
            Scheme::I8I16 => parameters.extend(integers(weight.i8(), *inputs, &tensor(TensorKind::Scale)?, &bias)),
        }
    }
    let mlp = Mlp { widths, activation: bundle.network().activation(), parameters };
    let metadata = model.metadata().iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    Ok((problem, mlp, scheme, metadata))
}

fn floats<'t>(tensor: &'t Tensor<'_>) -> impl Iterator<Item = f64> + 't {
    tensor.f32().unwrap_or_default().iter().map(|v| f64::from(*v))
}

/// A layer's weights, times their rows' scales, and its biases.
fn integers<'t, W: Weight>(
    weight: Option<&'t [W]>,
    inputs: usize,
    scale: &'t Tensor<'_>,
    bias: &'t Tensor<'_>,
) -> impl Iterator<Item = f64> + 't {
    let rows = weight.unwrap_or_default().chunks_exact(inputs).zip(floats(scale));
    let weights = rows.flat_map(|(row, s)| row.iter().map(move |q| f64::from(Into::<f32>::into(*q)) * s));
    weights.chain(bias.i32().unwrap_or_default().iter().map(|q| f64::from(*q) * quantize::bias_unit()))
}

/// Parses `name=lo:hi,...` in f64. The evaluator has checked the text already.
fn ranges(text: &str) -> Vec<(&str, f64, f64)> {
    let range = |part| {
        let (name, [lo, hi]) = named_range(part)?;
        Some((name, lo.parse().ok()?, hi.parse().ok()?))
    };
    text.split(',').filter_map(range).collect()
}
