//! How early or late the corrected answers of a device's certificate can be, by the extent of the orbit: what is proven of
//! the weights, and what the integers add in which the device evaluates them there.

use super::{LARGEST_EXTENT, Proof};
use crate::bundle::mlp::Mlp;
use sirocco::bundle::Bundle;
use sirocco::layer::fine::Fine;
use sirocco::ode::sir::phase::{LARGEST, inputs};

/// The extents at which a range begins; the last one ends at [`LARGEST_EXTENT`]. On orbits below the first, so few are
/// infected that a bound by the time would say no more than the one for all.
const FROM: [f64; 13] = [0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0];
/// Orbits of a range on which the integers are compared with f64, and points of each.
const ORBITS: usize = 64;
const POINTS: usize = 400;
/// Factor of the largest difference on these orbits.
const CAUTION: f64 = 2.0;

/// (first extent, bound of the time in units of 1 / gamma) of every range. `None` where the integers are exceeded.
pub fn bounds(proof: &Proof, network: &Mlp, bundle: &Bundle<'_>) -> Option<Vec<(f64, f64)>> {
    let ends = FROM.iter().skip(1).copied().chain([LARGEST_EXTENT]);
    let bound = |(from, to): (f64, f64)| {
        let added = CAUTION * rounding(network, bundle, from, to)?;
        Some((from, proof.within(from, to).time + added))
    };
    FROM.into_iter().zip(ends).map(bound).collect()
}

/// The largest time, on an orbit of the range, by which the integers make any answer earlier or later.
fn rounding(network: &Mlp, bundle: &Bundle<'_>, from: f64, to: f64) -> Option<f64> {
    let mut largest = 0.0f64;
    for orbit in 0..=ORBITS {
        let extent = from + (to - from) * orbit as f64 / ORBITS as f64;
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for point in 0..=POINTS {
            let y = extent.min(LARGEST) * point as f64 / POINTS as f64;
            let input = inputs(y, extent - y, extent);
            let (fine, _) = bundle.network().fine(&Fine::inputs(input.iter().copied()))?;
            let off = fine - value(network, &input);
            (least, most) = (least.min(off), most.max(off));
        }
        largest = largest.max((most - least) / (1.0 + 0.5 * extent));
    }
    Some(largest)
}

/// The network's output.
fn value(network: &Mlp, input: &[f64]) -> f64 {
    let mut values = input.to_vec();
    for (depth, layer) in network.layers().enumerate() {
        let sum = |(row, bias): (&[f64], &f64)| bias + row.iter().zip(&values).map(|(w, v)| w * v).sum::<f64>();
        let sums = layer.weight.chunks(layer.inputs).zip(layer.bias).map(sum);
        values = if depth + 1 < network.depth() { sums.map(f64::tanh).collect() } else { sums.collect() };
    }
    values.first().copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::load;
    use std::path::Path;

    #[test]
    fn integers_move_an_answer_by_less_than_the_proof_allows_and_another_network_by_more() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware/app/assets/sir.safetensors");
        let loaded = load::bundle(&file).unwrap();
        let bundle = loaded.bundle().unwrap();
        // 3e-7 and more is proven for these orbits.
        let same = rounding(&loaded.mlp, &bundle, 10.0, 15.0).unwrap();
        assert!((1e-10..2e-8).contains(&same), "{same:e}");
        let mut other = loaded.mlp.clone();
        let first = other.parameters.first_mut().unwrap();
        *first += 1e-3;
        assert!(rounding(&other, &bundle, 10.0, 15.0).unwrap() > 1e3 * same);
    }
}
