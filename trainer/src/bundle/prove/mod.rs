//! A proof of how far the answers of a phase network can be from the solutions, over all epidemics at all times.
//!
//! # Statement
//! Let N be the network with the file's weights, B_net = N(2x - 1, Y/15 - 1, g/5 - 1) / (1 + Y/2), and theta_net the
//! time along an orbit with B_net in place of B ([`sirocco::ode::sir::phase`]). For an epidemic that begins at y0 with
//! y0 + q = k (S0 + I0) <= 20 on an orbit of extent Y, and for every time T >= 0, there is exactly one y with
//! theta_net(y) = theta_net(y0) + T, and the S, I and R there differ from the solution's by at most [`Proof::error`],
//! whatever R(0).
//!
//! # Proof
//! In [`residual`], rho = dB_net/dx - Y b is what the network's slope is off. Let E be the integral of rho dx from y to
//! y0.
//!
//! 1. *Inversion.* Let y = xi min(Y, 20), and rho' = rho dx/dxi. As i is concave in y with slope lambda_+ < 1 at y = 0,
//!    i <= y, and theta_net has the slope -min(Y, 20) / i - rho' <= -1 - rho' in xi, which is negative if |rho'| < 1.
//!    It tends to infinity at y = 0, so y exists, is unique, and is at most y0.
//! 2. *Time.* The state at y lies on the orbit, at the true time T + E: theta and theta_net differ by B_net - B, whose
//!    slope is rho.
//! 3. *State.* |dS/dT|, |dI/dT| and |dR/dT| are at most r / k with r = max(s, 1) i, and k >= k (S0 + I0) = y0 + q. By
//!    the mean value theorem the error is at most |E| times the largest r / (y0 + q) between y and the true state.
//!    There |d ln r / dT| = |s - 1 - i| or |s - 1| <= min(Y, 20), so the largest r is at most r(y) exp(min(Y, 20) |E|).
//!    Also i(y) / (y0 + q) <= y / (y0 + q) <= 1.
//! 4. *Quadrature.* All (xi, Y) are covered by rectangles, [`strip`], that share their edges. On each, rho' is a Taylor
//!    polynomial in both variables plus Lagrange's remainder, [`jet`], in ball arithmetic, [`ball`]: this gives a range
//!    of rho' and one of its integral along every orbit of the strip. No analyticity is assumed: a denominator that may
//!    vanish gives no bound.
//! 5. *Orbits above Y = 40* are answered without network, by y = y0 e^-T. There i - i0 e^-T is at most s0 - s, so this
//!    y is off by at most s0 - q, and S, I and R by at most q (e^y0 - 1) (1 + q e^y0) / (y0 + q) < 5e-9.
//!
//! What is proven is about real numbers: rounding, and the Taylor step with which the evaluator solves for y, come on
//! top.

pub mod ball;
pub mod jet;
pub mod residual;
pub mod strip;
#[cfg(test)]
mod tests;

use crate::bundle::mlp::Mlp;
use rayon::prelude::*;
use serde::Serialize;

/// The largest extent of an orbit that is answered by the network.
pub const LARGEST_EXTENT: f64 = 40.0;
/// Below this extent, all orbits are one strip.
const SMALLEST: f64 = 1.0 / 1024.0;
/// Strips per doubling of Y, up to Y = 2.
const PER_OCTAVE: u32 = 16;
/// Strips per unit of Y, from there on.
const PER_UNIT: u32 = 8;
/// First largest width of a panel.
const WIDEST: f64 = 1.0 / 32.0;
/// In rounds, strips whose error is more than this share of the largest one in their range are cut into finer ones,
const NEAR_WORST: [f64; 4] = [0.85, 0.92, 0.96, 0.98];
/// but at most so many of them.
const FINER: usize = 8;
/// The ends of these ranges: what is trained and reachable at all y, what is trained, and what is answered.
pub const RANGES: [f64; 3] = [20.0, 30.0, LARGEST_EXTENT];
/// A strip narrower than this has no bound.
const NARROWEST: f64 = 1e-6;

/// What is known of a strip of orbits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Band {
    /// Smallest extent Y.
    pub from: f64,
    /// Largest extent Y.
    pub to: f64,
    /// Strips in it.
    pub strips: usize,
    /// Panels in them.
    pub panels: usize,
    /// Bound of |rho dx/dxi|.
    pub residual: f64,
    /// Bound of the time defect, in units of 1 / gamma.
    pub time: f64,
    /// Bound of the error of S, I and R.
    pub error: f64,
    #[serde(skip)]
    widest: f64,
}

/// Strips that cover all orbits, in order; each begins where the one before ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    strips: Vec<Band>,
}

/// No bound could be found.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("no bound of the error of orbits of extent {from} to {to}; train the network longer, or with another seed")]
pub struct NoBound {
    /// Smallest extent Y.
    pub from: f64,
    /// Largest extent Y.
    pub to: f64,
}

/// The edges of the first strips.
fn edges() -> Vec<f64> {
    let mut edges = vec![0.0, SMALLEST];
    let mut edge = SMALLEST;
    while edge < 2.0 {
        edges.extend((1..=PER_OCTAVE).map(|n| edge + edge * f64::from(n) / f64::from(PER_OCTAVE)));
        edge *= 2.0;
    }
    let units = 2 * PER_UNIT + 1..=LARGEST_EXTENT as u32 * PER_UNIT;
    edges.extend(units.map(|n| f64::from(n) / f64::from(PER_UNIT)));
    edges
}

/// How many strips [`prove`] begins with.
pub fn first_strips() -> usize {
    edges().len() - 1
}

/// Proves a bound. Calls `done` after each of the first strips, from any thread.
///
/// # Errors
/// [`NoBound`] for a network whose residual is too large, or too rough.
pub fn prove(network: &Mlp, done: impl Fn() + Sync) -> Result<Proof, NoBound> {
    let first: Vec<_> = edges().windows(2).map(|e| (e[0], e[1])).collect();
    let strips = first.par_iter().map(|range| {
        let bands = bands(network, *range, WIDEST);
        done();
        bands
    });
    let mut proof = Proof { strips: strips.collect::<Result<Vec<_>, _>>()?.concat() };
    for share in NEAR_WORST {
        let range = |band: &Band| RANGES.iter().filter(|end| band.to > **end).count();
        let limits: [f64; RANGES.len()] = std::array::from_fn(|k| {
            let mut errors: Vec<_> = proof.strips.iter().filter(|s| range(s) == k).map(|s| s.error).collect();
            errors.sort_by(|a, b| b.total_cmp(a));
            errors.get(FINER).map_or(0.0, |error| error.max(share * errors[0]))
        });
        let finer = proof.strips.par_iter().map(|band| {
            if band.error <= limits[range(band)] {
                return Ok(vec![band.clone()]);
            }
            let middle = 0.5 * (band.from + band.to);
            let halves = [(band.from, middle), (middle, band.to)].map(|half| bands(network, half, 0.5 * band.widest));
            let [a, b] = halves;
            Ok([a?, b?].concat())
        });
        proof = Proof { strips: finer.collect::<Result<Vec<_>, _>>()?.concat() };
    }
    Ok(proof)
}

/// A strip, or several narrower ones where it has no bound.
fn bands(network: &Mlp, (from, to): (f64, f64), widest: f64) -> Result<Vec<Band>, NoBound> {
    if let Some(strip) = strip::strip(network, (from, to), widest) {
        let (panels, strip::Strip { residual, time, error, .. }) = (strip.panels.len(), strip);
        return Ok(vec![Band { from, to, strips: 1, panels, residual, time, error, widest }]);
    }
    if to - from < NARROWEST {
        return Err(NoBound { from, to });
    }
    let middle = 0.5 * (from + to);
    Ok([bands(network, (from, middle), widest)?, bands(network, (middle, to), widest)?].concat())
}

impl Proof {
    /// The bound of the error of S, I and R for all orbits.
    pub fn error(&self) -> f64 {
        self.strips.iter().map(|s| s.error).fold(0.0, f64::max)
    }

    /// All strips.
    pub fn strips(&self) -> &[Band] {
        &self.strips
    }

    /// Places where a strip does not begin exactly where the one before ends, or the first and the last one do not
    /// reach the ends: none.
    pub fn gaps(&self) -> usize {
        let begins = self.strips.iter().map(|s| s.from).chain([LARGEST_EXTENT]);
        let ends = std::iter::once(0.0).chain(self.strips.iter().map(|s| s.to));
        begins.zip(ends).filter(|(begin, end)| begin != end).count()
    }

    /// All strips that end within the range, as one.
    pub fn within(&self, from: f64, to: f64) -> Band {
        let band = Band { from, to, strips: 0, panels: 0, residual: 0.0, time: 0.0, error: 0.0, widest: 0.0 };
        self.strips.iter().filter(|s| s.to > from && s.to <= to).fold(band, |band, s| Band {
            strips: band.strips + s.strips,
            panels: band.panels + s.panels,
            residual: band.residual.max(s.residual),
            time: band.time.max(s.time),
            error: band.error.max(s.error),
            ..band
        })
    }
}
