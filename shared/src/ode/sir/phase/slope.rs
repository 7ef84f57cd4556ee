//! dB/dx as the equations want it, free of cancellation: the residual of a network is the distance from it.

use super::orbit::Orbit;
use crate::scalar::Real;

/// dB/dx = Y (1 / i - 1 / (lambda_+ y) - 1 / (lambda_- (e^g - 1))) at the point of the orbit with these distances.
///
/// All three terms have poles where their sum is smooth, so the first half of the orbit uses one identical form, in which
/// the second and third term are bounded, and the rest another. With phi1(z) = (e^z - 1) / z, phi2(z) = (e^z - 1 - z) / z^2,
/// a = lambda_+ / Y and x = y / Y,
///
/// Y dB/dx = q phi2(y) / (a (a - q x phi2(y))) - 1 / ((1 - a) (1 - x) phi1(g))      for x < 1/2, otherwise
/// Y dB/dx = ((1 - a) Y phi2(g) + s_- phi2(-g)) / (((1 - a) - s_- (1 - x) phi2(-g)) (1 - a) phi1(g)) - 1 / (a x).
pub fn slope<R: Real>(orbit: &Orbit<R>, y: R, g: R) -> R {
    let (one, extent) = (R::one(), orbit.extent);
    let (a, b) = (orbit.decay / extent, orbit.growth / extent);
    let (x, rest) = (y / extent, g / extent);
    let both = if y < g {
        let early = orbit.q * phi2(y);
        early / (a * (a - x * early)) - one / (b * rest * phi1(g))
    } else {
        let late = (orbit.q + extent) * phi2(-g);
        (b * extent * phi2(g) + late) / ((b - rest * late) * b * phi1(g)) - one / (a * x)
    };
    both / extent
}

/// (e^z - 1) / z.
fn phi1<R: Real>(z: R) -> R {
    if z == R::zero() { R::one() } else { z.exp_m1() / z }
}

/// (e^z - 1 - z) / z^2.
fn phi2<R: Real>(z: R) -> R {
    if z.abs() >= R::constant(0.5) {
        return (z.exp_m1() - z) / (z * z);
    }
    polynomial!(
        z;
        1.0 / 2.0,
        1.0 / 6.0,
        1.0 / 24.0,
        1.0 / 120.0,
        1.0 / 720.0,
        1.0 / 5_040.0,
        1.0 / 40_320.0,
        1.0 / 362_880.0,
        1.0 / 3_628_800.0,
        1.0 / 39_916_800.0,
        1.0 / 479_001_600.0,
        1.0 / 6_227_020_800.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_what_remains_of_the_poles() {
        for extent in [0.3, 2.0, 7.0, 30.0] {
            let orbit = Orbit::<f64>::of_extent(extent);
            for k in 1..20 {
                let y = extent * f64::from(k) / 20.0;
                let g = extent - y;
                let i = y - orbit.q * libm::expm1(y);
                let plain = extent * (1.0 / i - 1.0 / (orbit.decay * y) - 1.0 / (orbit.growth * libm::expm1(g)));
                let found = slope(&orbit, y, g);
                assert!((found - plain).abs() < 1e-9 * (1.0 + 1.0 / i), "{extent} {y}: {found} {plain}");
            }
        }
    }

    #[test]
    fn single_precision_resolves_a_residual() {
        let mut worst = 0.0f64;
        for extent in [1e-3f32, 0.1, 0.299, 0.31, 1.0, 5.0, 20.0, 30.0] {
            let (single, double) = (Orbit::of_extent(extent), Orbit::of_extent(f64::from(extent)));
            for k in 0..=64 {
                let y = extent.min(20.0) * k as f32 / 64.0;
                let right = slope(&double, y.into(), f64::from(extent - y));
                // It enters as i / Y times this, and i is at most of the order of Y^2.
                let error = (f64::from(slope(&single, y, extent - y)) - right).abs() * f64::from(extent.min(1.0));
                worst = worst.max(error);
            }
        }
        assert!(worst < 5e-6, "{worst:e}");
    }
}
