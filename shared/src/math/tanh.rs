//! tanh by a table of cubics: one for every sixteenth, in any number format.

/// Nodes -9, ..., -1/16, 0, 1/16, ..., 9: beyond the last cubic tanh is nearer to 1 than half a unit of f32's last place.
const LAST: i32 = 9 * 16;
const NODES: usize = 2 * LAST as usize + 1;
/// Added to a number below 2^18 in magnitude, this leaves the nearest node in the last bits of the sum.
const SHIFT: f32 = 786_432.0;

/// tanh, to 15 digits, for the compiler.
pub(crate) const fn exact(x: f64) -> f64 {
    if x < 0.0 {
        return -exact(-x);
    }
    // e^(2x) by the Taylor series at 2x / 1024, squared ten times.
    let h = x / 512.0;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while k < 12.0 {
        term = term * h / k;
        sum += term;
        k += 1.0;
    }
    let mut squarings = 0;
    while squarings < 10 {
        sum *= sum;
        squarings += 1;
    }
    (sum - 1.0) / (sum + 1.0)
}

/// The cubic c0 + c1 d + c2 d^2 + c3 d^3, d within `outer`, nearest to tanh(`x` + d) among those that meet
/// it at both ends: so neighbors meet each other. It does at the inner zeros of the Chebyshev polynomial T4 as well,
/// stretched until its outer ones lie on the ends. Error at most 2.8e-8 for 1/32, 4.5e-7 for 1/16.
pub(crate) const fn cubic(x: f64, outer: f64) -> [f64; 4] {
    // tan(pi / 8) = cos(3 pi / 8) / cos(pi / 8).
    let inner = (core::f64::consts::SQRT_2 - 1.0) * outer;
    let even_outer = (exact(x + outer) + exact(x - outer)) / 2.0;
    let even_inner = (exact(x + inner) + exact(x - inner)) / 2.0;
    let odd_outer = (exact(x + outer) - exact(x - outer)) / (2.0 * outer);
    let odd_inner = (exact(x + inner) - exact(x - inner)) / (2.0 * inner);
    let c2 = (even_outer - even_inner) / (outer * outer - inner * inner);
    let c3 = (odd_outer - odd_inner) / (outer * outer - inner * inner);
    [even_inner - c2 * inner * inner, odd_inner - c3 * inner * inner, c2, c3]
}

/// The cubics in f32.
static CUBICS: [[f32; 4]; NODES] = {
    let mut table = [[0.0; 4]; NODES];
    let mut node = 0;
    while node < NODES {
        let [c0, c1, c2, c3] = cubic((node as i32 - LAST) as f64 / 16.0, 1.0 / 32.0);
        table[node] = [c0 as f32, c1 as f32, c2 as f32, c3 as f32];
        node += 1;
    }
    // Minus zero adds nothing to a zero of either sign.
    table[LAST as usize][0] = -0.0;
    table
};

/// Hyperbolic tangent. Absolute error at most 8.8e-8, relative 2.7e-7; odd in every bit, and monotonic but for a unit in the last
/// place; 1 from 9.03 on; NaN remains NaN. About 15 instructions; the table takes 4.6 kB.
///
/// A cubic in the distance to the nearest of 289 nodes.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let shifted = x + SHIFT;
    let node = shifted.to_bits().wrapping_sub(SHIFT.to_bits() - LAST as u32);
    let Some(&[c0, c1, c2, c3]) = CUBICS.get(node as usize) else { return beyond(x) };
    let d = x - (shifted - SHIFT);
    c0 + d * (c1 + d * (c2 + d * c3))
}

/// [`tanh`] beyond the last node.
#[cold]
fn beyond(x: f32) -> f32 {
    if x.is_nan() { f32::NAN } else { f32::from_bits(1f32.to_bits() | x.to_bits() & 0x8000_0000) }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests compare with the host's own functions")]
mod tests {
    use super::*;

    /// Every `step`th float from 2^-31 to where tanh is 1: below, the first cubic is its argument.
    fn floats(step: usize) -> impl Iterator<Item = f32> {
        (2f32.powi(-31).to_bits()..9.1f32.to_bits()).step_by(step).map(f32::from_bits)
    }

    #[test]
    fn tanh_is_within_its_stated_error() {
        for x in floats(97) {
            let exact = f64::from(x).tanh();
            let error = (f64::from(tanh(x)) - exact).abs();
            assert!(error <= 8.8e-8 && error <= 2.7e-7 * exact, "tanh({x}): {error:e}");
            assert_eq!((-tanh(x)).to_bits(), tanh(-x).to_bits(), "tanh({x})");
        }
    }

    /// Rounding may take back a unit of the last place, nothing more. SIROCCO_EVERY_FLOAT=1 takes every float instead of
    /// every 31st; where cubics meet, every one in any case.
    #[test]
    fn tanh_rises() {
        let step = if std::env::var_os("SIROCCO_EVERY_FLOAT").is_some() { 1 } else { 31 };
        let seams = (0..=LAST).map(|node| ((node as f32 + 0.5) / 16.0).to_bits());
        let around = seams.flat_map(|seam| (seam - 500..seam + 500).map(f32::from_bits));
        let falls = |a: f32, b: f32| b.to_bits() + 1 < a.to_bits();
        let mut last = 0.0;
        for x in floats(step) {
            assert!(!falls(last, tanh(x)), "tanh({x}) falls");
            last = tanh(x);
        }
        for (x, next) in around.map(|x| (x, f32::from_bits(x.to_bits() + 1))) {
            assert!(!falls(tanh(x), tanh(next)), "tanh({x}) falls");
        }
        assert_eq!(last, 1.0);
    }

    #[test]
    fn tanh_at_the_ends_of_its_domain() {
        for x in [0.0, f32::MIN_POSITIVE, f32::from_bits(1), -1e-30] {
            assert_eq!((tanh(x).to_bits(), tanh(-x).to_bits()), (x.to_bits(), (-x).to_bits()));
        }
        for x in [9.04, 1e4, f32::MAX, f32::INFINITY] {
            assert_eq!((tanh(x), tanh(-x)), (1.0, -1.0));
        }
        for bits in [0x7fc0_0000, 0xffc0_0000, 0x7f80_0001, 0xffff_ffff] {
            assert_eq!(tanh(f32::from_bits(bits)).to_bits(), f32::NAN.to_bits());
        }
    }

    #[test]
    fn cubics_are_near_and_meet() {
        for node in -160..=160 {
            for (half, largest) in [(1.0 / 32.0, 2.8e-8), (1.0 / 16.0, 4.5e-7)] {
                let at = |node: i32, d: f64| {
                    let [c0, c1, c2, c3] = cubic(f64::from(node) * 2.0 * half, half);
                    c0 + d * (c1 + d * (c2 + d * c3))
                };
                for k in -50..=50 {
                    let d = f64::from(k) / 50.0 * half;
                    let error = (at(node, d) - (f64::from(node) * 2.0 * half + d).tanh()).abs();
                    assert!(error <= largest, "node {node}, {d}: {error:e}");
                }
                assert!((at(node, half) - at(node + 1, -half)).abs() < 1e-14);
            }
        }
    }
}
