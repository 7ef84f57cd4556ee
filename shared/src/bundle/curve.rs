//! The curve that a certificate follows: x(tau) of the reduced form and its derivative, both to 2e-8.
//!
//! The network is evaluated in the integers of [`crate::layer::fine`], everything around it in f64 with `libm`'s
//! exponential. The curve is smooth and starts at x(0) = 0 exactly. It differs from the bundle's answers by a few f32
//! roundings.

use super::{Bundle, Source};
use crate::layer::fine::Fine;
use crate::network::Network;
use crate::ode::sir::Reduced;
use crate::query::Query;

/// The curve of one problem.
#[derive(Debug)]
pub(super) struct Curve<'b, 'a> {
    network: &'b Network<'a>,
    /// The problem, computed in f64 from the query's numbers.
    pub reduced: Reduced<f64>,
    input: Fine,
    /// Index, middle and slope of the input that is tau, if there is one.
    time: Option<(usize, f64, f64)>,
}

impl<'a> Bundle<'a> {
    /// The curve of a query's problem.
    pub(super) fn curve(&self, query: &Query) -> Curve<'_, 'a> {
        let reduced = Reduced::new(&query.initial.map(f64::from), &query.rates.map(f64::from));
        let value = |source| match source {
            Source::InfectedShare => reduced.i0,
            Source::LnInfectedShare => libm::log(reduced.i0.max(f32::MIN_POSITIVE.into())),
            Source::InfectionShare => reduced.p,
            _ => 0.0,
        };
        let input = Fine::inputs(self.inputs.iter().map(|i| (value(i.source()) - i.middle()) * f64::from(i.slope())));
        let place = self.inputs.iter().position(|i| i.source().is_time());
        let time = place.and_then(|p| self.inputs.get(p).map(|i| (p, i.middle(), f64::from(i.slope()))));
        Curve { network: &self.network, reduced, input, time }
    }
}

impl Curve<'_, '_> {
    /// x and dx/dtau at `tau`, given e^-tau; `None` if the weights are too large.
    pub fn at(&self, tau: f64, decay: f64) -> Option<(f64, f64)> {
        let mut input = self.input;
        let (mut short, mut du) = (0.0, 0.0);
        if let Some((place, middle, slope)) = self.time {
            short = input.set_moving(place, (tau - middle) * slope);
            du = slope;
        }
        let (nn, dnn) = self.network.fine(&input)?;
        // The input was rounded by `short`. Without this correction, x would have steps that its derivative does not have.
        let nn = nn + dnn * short;
        let f = 1.0 - decay;
        Some((f * nn, decay * nn + f * dnn * du))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::kernel::Portable;
    use crate::model::{Model, Tensor};
    use std::vec::Vec;

    /// Value and derivative of the network in f64, with its weights cut to 2^-24 as in the integers.
    fn network(model: &Model<'_>, mut u: Vec<(f64, f64)>) -> (f64, f64) {
        let cut = |w: &f32| f64::from((w * (1 << 24) as f32) as i32) / f64::from(1 << 24);
        let tensor = |k: usize, kind| model.tensor(&std::format!("layers.{k}.{kind}")).and_then(Tensor::f32).unwrap();
        for k in 0..3 {
            let rows = tensor(k, "weight").chunks(u.len()).zip(tensor(k, "bias"));
            let z = rows.map(|(row, bias)| {
                let sum = |part: fn(&(f64, f64)) -> f64| row.iter().zip(&u).map(|(w, u)| cut(w) * part(u)).sum::<f64>();
                (cut(bias) + sum(|u| u.0), sum(|u| u.1))
            });
            let phi = |(z, dz)| (libm::tanh(z), (1.0 - libm::tanh(z) * libm::tanh(z)) * dz);
            u = z.map(|z| if k < 2 { phi(z) } else { z }).collect();
        }
        u[0]
    }

    #[test]
    fn the_curve_and_its_derivative_are_as_fine_as_stated() {
        let file: &[u8] = include_bytes!("../../../tests/data/sir-full.safetensors");
        let mut aligned = std::vec![0u64; file.len().div_ceil(8)];
        let bytes = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut aligned)[..file.len()];
        bytes.copy_from_slice(file);
        let model = Model::open(bytes).unwrap();
        let bundle = Bundle::from_model::<Portable>(&model).unwrap();
        let (mut value, mut derivative, mut differs) = (0.0f64, 0.0f64, 0);
        for query in bundle.probes(0).take(2000).filter(|query| query.check(bundle.ode()).is_ok()) {
            let curve = bundle.curve(&query);
            let tau = curve.reduced.k * f64::from(query.t);
            let (x, dx) = curve.at(tau, libm::exp(-tau)).unwrap();
            let scaled = |v: f64, i: usize| {
                let u = (v - bundle.inputs[i].middle()) * f64::from(bundle.inputs[i].slope());
                // The rounding of the problem is the same all along the curve.
                if i == 0 { u } else { libm::round(u * f64::from(1 << 28)) / f64::from(1 << 28) }
            };
            let u = [(tau, 1.0), (curve.reduced.i0, 0.0), (curve.reduced.p, 0.0)];
            let u = u.iter().enumerate().map(|(i, (v, du))| (scaled(*v, i), du * f64::from(bundle.inputs[i].slope())));
            let (nn, dnn) = network(&model, u.collect());
            let f = 1.0 - libm::exp(-tau);
            value = value.max((f * nn - x).abs());
            derivative = derivative.max(((1.0 - f) * nn + f * dnn - dx).abs());
            differs += u32::from(f * nn != x);
        }
        assert!(value < 2e-8 && derivative < 2.2e-8, "{value:e} {derivative:e}");
        assert!(differs > 1000, "integers cannot be as good as f64");
    }
}
