//! From f64 weights to the tensors of a number format.
//!
//! - `f32`: rounded to nearest.
//! - `i16`: per output row a scale 2^-e, the finest at which every weight fits 16 bits; at most 2^-10, in the last layer
//!   2^-8.
//! - `i8i16`: per output row a scale of 22 significant bits.
//!
//! [`rounding`] finds the integers, and the scales of `i8i16`, that cost the least accuracy. Biases of the integer formats
//! are in units of 2^-24, in hidden layers multiples of 2^-18, which is the precision that a device keeps of them.
//! `sirocco::layer::dense_integer` defines the arithmetic.

pub mod rounding;
pub mod search;

use crate::bundle::error::BundleError;
use crate::bundle::mlp::{Layer, Mlp};
use crate::host::model_file::OwnedTensor;
use sirocco::layer::dense_integer::NARROW;
use sirocco::layer::row_scale::{BIAS_BITS, BIAS_LIMIT, BIAS_STEP, MAX_EXPONENT, multiplier, nearest_scale};
use sirocco::layer::rows::SHORT_ROW;
use sirocco::layer::weight::Weight;
use sirocco::network::Scheme;

/// The integers to which a format rounds weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// 8 bits, scales of 22 significant bits.
    I8,
    /// 16 bits, scales that are powers of two.
    I16,
}

/// Rounding moves weights, so only this share of the sum that 32 bits hold is used before it.
const SHARE_OF_SHORT_ROW: f64 = 0.875;

impl Grid {
    /// The grid of a number format's weights, if they are integers.
    pub fn of(scheme: Scheme) -> Option<Self> {
        match scheme {
            Scheme::F32 => None,
            Scheme::I16 => Some(Grid::I16),
            Scheme::I8I16 => Some(Grid::I8),
        }
    }

    /// Largest magnitude of a weight: symmetric, so -128 and -32768 are not used.
    pub fn limit(self) -> f64 {
        match self {
            Grid::I8 => i8::MAX.into(),
            Grid::I16 => i16::MAX.into(),
        }
    }

    /// The finest scale at which the integers hold all weights of a row; the coarsest one if none does. Rows of wide layers
    /// with 16-bit weights must also have sums that fit 32 bits.
    fn scale(self, row: &[f64], last: bool) -> f32 {
        let largest = row.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
        let integers = |e: u32| row.iter().map(move |w| (w.abs() * 2f64.powi(e as i32)).round());
        // The last layer takes 32-bit activations, however wide it is.
        let short = |e: u32| {
            last || row.len() <= NARROW || integers(e).sum::<f64>() < SHARE_OF_SHORT_ROW * f64::from(SHORT_ROW)
        };
        let fits = |e: &u32| integers(*e).all(|w| w <= self.limit()) && short(*e);
        match self {
            Grid::I8 => nearest_scale::<i8>((largest / self.limit()) as f32),
            Grid::I16 => (0..=MAX_EXPONENT)
                .rev()
                .find(fits)
                .map_or(f32::INFINITY, |e| 2f32.powi(-(e as i32)))
                .min(if last { i16::LARGEST_OUTPUT_SCALE } else { i16::LARGEST_SCALE }),
        }
    }

    /// Per output row of all layers, the finest scale that holds every weight.
    pub fn row_scales(self, mlp: &Mlp) -> Vec<f32> {
        let scales = |(index, layer): (usize, Layer<'_>)| {
            let rows = layer.weight.chunks_exact(layer.inputs);
            rows.map(|row| self.scale(row, index + 1 == mlp.depth())).collect::<Vec<_>>()
        };
        mlp.layers().enumerate().flat_map(scales).collect()
    }
}

/// The tensors of a network in a number format. Integer weights have the row scales `scales`, which are those of all
/// layers one after the other, by default those of [`Grid::row_scales`].
///
/// # Errors
/// [`BundleError::TooLarge`] or [`BundleError::NotFinite`] if a number does not fit.
pub fn tensors(mlp: &Mlp, scheme: Scheme, scales: Option<&[f32]>) -> Result<Vec<OwnedTensor>, BundleError> {
    let finite = |layer: Layer<'_>| layer.weight.iter().chain(layer.bias).all(|v| (*v as f32).is_finite());
    if let Some(layer) = mlp.layers().position(|layer| !finite(layer)) {
        return Err(BundleError::NotFinite { layer });
    }
    let Some(grid) = Grid::of(scheme) else {
        return Ok(mlp.layers().enumerate().flat_map(|(index, layer)| float_layer(index, layer)).collect());
    };
    let own = grid.row_scales(mlp);
    let mut scales = scales.unwrap_or(&own);
    let mut tensors = Vec::new();
    for (index, layer) in mlp.layers().enumerate() {
        let (own, rest) = scales.split_at(layer.outputs);
        tensors.extend(integer_layer(index, index + 1 == mlp.depth(), layer, grid, own)?);
        scales = rest;
    }
    Ok(tensors)
}

/// Unit of an integer bias.
pub fn bias_unit() -> f64 {
    2f64.powi(-(BIAS_BITS as i32))
}

fn float_layer(index: usize, layer: Layer<'_>) -> [OwnedTensor; 2] {
    let round = |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<_>>();
    [
        OwnedTensor::f32(format!("layers.{index}.weight"), &[layer.outputs, layer.inputs], &round(layer.weight)),
        OwnedTensor::f32(format!("layers.{index}.bias"), &[layer.outputs], &round(layer.bias)),
    ]
}

fn integer_layer(
    index: usize,
    last: bool,
    layer: Layer<'_>,
    grid: Grid,
    scales: &[f32],
) -> Result<[OwnedTensor; 4], BundleError> {
    let (mut weights, mut biases) = (Vec::new(), Vec::new());
    let step = f64::from(if last { 1 } else { BIAS_STEP });
    for (row, (weight, scale)) in layer.weight.chunks_exact(layer.inputs).zip(scales).enumerate() {
        let bounded = |value: f64, unit: f64, limit: f64| {
            let integer = (value / unit).round();
            if integer.abs() <= limit { Ok(integer) } else { Err(BundleError::TooLarge { layer: index, row, value }) }
        };
        for w in weight {
            weights.push(bounded(*w, f64::from(*scale), grid.limit())? as i16);
        }
        biases.push((step * bounded(layer.bias[row], step * bias_unit(), f64::from(BIAS_LIMIT) / step)?) as i32);
    }
    let (name, shape) = (format!("layers.{index}.weight"), [layer.outputs, layer.inputs]);
    let multiplier = match grid {
        Grid::I8 => multiplier::<i8>,
        Grid::I16 => multiplier::<i16>,
    };
    // A scale without a multiplier is refused when the file is opened.
    let multipliers: Vec<i32> = scales.iter().map(|scale| multiplier(*scale).unwrap_or(0)).collect();
    let narrow = || weights.iter().map(|w| *w as i8).collect::<Vec<_>>();
    Ok([
        match grid {
            Grid::I8 => OwnedTensor::i8(name, &shape, &narrow()),
            Grid::I16 => OwnedTensor::i16(name, &shape, &weights),
        },
        OwnedTensor::i32(format!("layers.{index}.bias"), &[layer.outputs], &biases),
        OwnedTensor::f32(format!("layers.{index}.scale"), &[layer.outputs], scales),
        OwnedTensor::i32(format!("layers.{index}.multiplier"), &[layer.outputs], &multipliers),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::mlp::Activation;

    #[test]
    fn integers_are_within_half_a_unit() {
        let mlp = Mlp::random(&[3, 8, 2], Activation::Tanh, 0.5, 1);
        let tensors = tensors(&mlp, Scheme::I16, None).unwrap();
        for (l, layer) in mlp.layers().enumerate() {
            let i16s = |b: &[u8]| b.as_chunks::<2>().0.iter().map(|c| i16::from_le_bytes(*c)).collect::<Vec<_>>();
            let f32s = |b: &[u8]| b.as_chunks::<4>().0.iter().map(|c| f32::from_le_bytes(*c)).collect::<Vec<_>>();
            let (weight, scale) = (i16s(&tensors[4 * l].bytes), f32s(&tensors[4 * l + 2].bytes));
            for (k, (q, w)) in weight.iter().zip(layer.weight).enumerate() {
                let scale = f64::from(scale[k / layer.inputs]);
                assert!((f64::from(*q) * scale - w).abs() <= 0.5 * scale);
            }
            // The scale is the finest: with one bit more a weight would not fit.
            for row in weight.chunks(layer.inputs) {
                assert!(row.iter().any(|q| q.abs() >= 1 << 14));
            }
            let i32s = |b: &[u8]| b.as_chunks::<4>().0.iter().map(|c| i32::from_le_bytes(*c)).collect::<Vec<_>>();
            for (q, b) in i32s(&tensors[4 * l + 1].bytes).iter().zip(layer.bias) {
                let step = if l == 0 { BIAS_STEP } else { 1 };
                assert!(
                    q % step == 0 && (f64::from(*q) * bias_unit() - b).abs() <= 0.5 * f64::from(step) * bias_unit()
                );
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut mlp = Mlp::random(&[1, 2, 1], Activation::Tanh, 0.0, 1);
        mlp.parameters[0] = 1e6;
        assert!(matches!(tensors(&mlp, Scheme::I16, None), Err(BundleError::TooLarge { layer: 0, row: 0, .. })));
        assert!(tensors(&mlp, Scheme::F32, None).is_ok());
        mlp.parameters[1] = f64::NAN;
        assert!(matches!(tensors(&mlp, Scheme::F32, None), Err(BundleError::NotFinite { layer: 0 })));
    }
}
