//! The error of an answer, by an error equation or by solving the problem anew.
//!
//! *Epidemics (SIR), in any form.* The device computes the solution itself to about 1e-9, by quadrature along the orbit
//! ([`crate::ode::sir::phase::quadrature`]), without the network. The distance of the answer from it is its error, whatever gave
//! the answer, and with what rounding can have made of the solution a bound.
//!
//! *Other systems.* The bundle's y and the true solution z of the same problem differ by e = y - z, with e(0) = 0 and
//! e' = Dg(y) e + r + O(e^2), where r is the residual y' - g(y). So the error of the answer at t follows from the answers
//! and residuals of the network at times from 0 to t, without knowing z. This is an estimate and no bound.
//!
//! Subtracting the error corrects the answer.

use super::Bundle;
use crate::limits::MAX_STATE;
use crate::math::abs;
use crate::ode::sir::phase::Problem;
use crate::ode::sir::phase::quadrature::{LARGEST_EXTENT, Solved};
use crate::ode::{Ode, State};
use crate::query::{Prediction, Query, QueryError};
use crate::wide::Wide;
use serde::{Deserialize, Serialize};

/// Steps along the trajectory of other systems than SIR. A certificate evaluates the network at their ends, once more than there
/// are steps.
pub const STEPS: u16 = 32;

/// Above this estimate the linearization is not accurate enough, and the answer is not trusted.
pub const TRUST_LIMIT: f32 = 1e-2;

/// The unit in which the rounding of an epidemic's solution is counted: a unit in the last place of a number near one.
const UNIT: f32 = 1.0 / (1 << 30) as f32;
/// Rounding moves the solution by at most so many units in S, I and R, and so many in time, for each unit of the time since the
/// beginning and of the time in which the epidemic grows or falls: 1.5 times the largest of 2.4 million epidemics.
const SHARES: f32 = 8.0;
const TIMES: f32 = 4.0;

/// An answer with its error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// The answer itself.
    pub prediction: Prediction,
    /// Estimated error of each component, with its sign: answer minus truth.
    pub error: State<f32>,
    /// The answer minus its estimated error.
    pub corrected: State<f32>,
    /// Largest absolute estimated error of a component; `f32::MAX` if there is no estimate.
    pub estimate: f32,
    /// An upper bound of the largest absolute error. Epidemics (SIR) have one, if the answer is trusted.
    pub bound: Option<f32>,
    /// Whether the answer is plausible, and its estimate, its bound if the system has one, and the estimates at all times
    /// before are below [`TRUST_LIMIT`].
    pub trusted: bool,
}

impl Bundle<'_> {
    /// Answers a query, and estimates and bounds the error of the answer.
    ///
    /// Cost, besides the prediction: for an epidemic 13,000 to 16,000 instructions on a Cortex-M4F, as much as three or four
    /// predictions; for other systems [`STEPS`] + 1 predictions, with as many small linear solves.
    ///
    /// # Errors
    /// As for [`Bundle::predict`].
    pub fn certify(&self, query: &Query) -> Result<Certificate, QueryError> {
        let prediction = self.predict(query)?;
        let findings = match self.ode {
            Ode::Sir => self.compare(query, &prediction.state),
            _ => Some(self.propagate_generic(query, &prediction.state)),
        };
        let Some(Findings { error, corrected, bound, reach }) = findings else {
            let (error, corrected) = ([0.0; MAX_STATE], prediction.state);
            return Ok(Certificate { prediction, error, corrected, estimate: f32::MAX, bound: None, trusted: false });
        };
        let estimate = largest(&error);
        if !(estimate.is_finite() && corrected.iter().all(|v| v.is_finite())) {
            return Err(QueryError::Overflow);
        }
        let low = |error: f32| error <= TRUST_LIMIT;
        let trusted = prediction.plausible && low(estimate) && low(reach) && bound.is_none_or(low);
        let bound = bound.filter(|_| trusted);
        Ok(Certificate { prediction, error, corrected, estimate, bound, trusted })
    }

    /// Signed error of the answer `state` to an epidemic: its distance from the solution, which needs no network.
    fn compare(&self, query: &Query, state: &State<f32>) -> Option<Findings> {
        let course = self.any_course(query, LARGEST_EXTENT);
        let problem = Problem::new(&query.initial.map(Wide::from_f32), &query.rates.map(Wide::from_f32));
        let Solved { state: [s, i, r], rate, time } = problem.solve(&course, Wide::from_f32(query.t))?;
        let (mut error, mut corrected) = ([0.0; MAX_STATE], [0.0; MAX_STATE]);
        for ((error, corrected), (y, right)) in error.iter_mut().zip(&mut corrected).zip(state.iter().zip([s, i, r])) {
            *error = (Wide::from_f32(*y) - right).to_f32();
            *corrected = right.to_f32();
        }
        let doubt = UNIT * (SHARES + TIMES * rate * time);
        let bound = (largest(&error) + doubt) * (1.0 + 1e-6);
        Some(Findings { error, corrected, bound: Some(bound), reach: 0.0 })
    }

    /// Signed error of the state by the Crank-Nicolson method for the full linearized system.
    fn propagate_generic(&self, query: &Query, state: &State<f32>) -> Findings {
        let h = query.t / f32::from(STEPS);
        let node = |j: u16| {
            let at = Query { t: h * f32::from(j), ..*query };
            let (state, _, residual) = self.predict_generic(&at);
            (self.ode.jacobian(&state, &query.rates), residual)
        };
        let (mut e, mut reach) = ([0.0; MAX_STATE], 0.0f32);
        let mut last = node(0);
        for j in 1..=STEPS {
            let next = node(j);
            // (1 - h/2 A1) e1 = (1 + h/2 A0) e0 + h/2 (r0 + r1)
            let mut right = e;
            for (((right, row), r0), r1) in right.iter_mut().zip(&last.0).zip(&last.1).zip(&next.1) {
                let a0e: f32 = row.iter().zip(&e).map(|(a, e)| a * e).sum();
                *right += 0.5 * h * (a0e + r0 + r1);
            }
            let mut left = next.0.map(|row| row.map(|a| -0.5 * h * a));
            for (i, row) in left.iter_mut().enumerate() {
                if let Some(diagonal) = row.get_mut(i) {
                    *diagonal += 1.0;
                }
            }
            e = solve(left, right);
            reach = reach.max(largest(&e));
            last = next;
        }
        let mut corrected = *state;
        for (y, e) in corrected.iter_mut().zip(e) {
            *y -= e;
        }
        Findings { error: e, corrected, bound: None, reach }
    }
}

/// The result of the integration along the trajectory, for the answer at its end.
struct Findings {
    error: State<f32>,
    corrected: State<f32>,
    bound: Option<f32>,
    /// The largest estimate at the times before.
    reach: f32,
}

/// Largest absolute component.
fn largest(state: &State<f32>) -> f32 {
    state.iter().fold(0.0, |largest, v| if abs(*v) > largest { abs(*v) } else { largest })
}

/// Solves a x = b by Gaussian elimination. It needs no pivoting: `a` is the identity plus a matrix of order h.
fn solve(mut a: [State<f32>; MAX_STATE], mut b: State<f32>) -> State<f32> {
    for k in 0..MAX_STATE {
        let (pivot_row, pivot_b) = (a[k], b[k]);
        for i in k + 1..MAX_STATE {
            let factor = a[i][k] / pivot_row[k];
            for (to, from) in a[i].iter_mut().zip(pivot_row) {
                *to -= factor * from;
            }
            b[i] -= factor * pivot_b;
        }
    }
    for k in (0..MAX_STATE).rev() {
        let known: f32 = (k + 1..MAX_STATE).map(|j| a[k][j] * b[j]).sum();
        b[k] = (b[k] - known) / a[k][k];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ode::Ode;

    #[repr(C, align(8))]
    struct Aligned<B: ?Sized>(B);
    static FULL: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../tests/data/sir-full.safetensors"));

    /// Far outside the domain, where errors are .24 to .89, or nobody is infected or recovers.
    #[test]
    fn what_is_far_off_is_not_trusted() {
        let bundle = Bundle::open(&FULL.0).unwrap();
        for quantities in [
            [51.721_977, 0.0, 0.446_786_67, 0.879_794_84, 0.312_200_6],
            [55.241_962, 1e-6, 0.595_547_44, 1.119_889_1, 0.289_014_1],
            [48.032_66, 1e-7, 0.280_456, 0.692_914_96, 0.376_644_25],
            [7.8, 0.0, 0.11, 1.0, 0.0],
            // An orbit that is too long to be followed.
            [20.0, 0.3, 0.2, 0.6, 0.001],
        ] {
            let certificate = bundle.certify(&Query::from_quantities(Ode::Sir, &quantities)).unwrap();
            assert!(!certificate.trusted && certificate.bound.is_none(), "{quantities:?}: {certificate:?}");
        }
        // Logistic growth, which the network was not trained for either.
        let outside = bundle.certify(&Query::from_quantities(Ode::Sir, &[20.0, 0.3, 0.2, 0.6, 0.0])).unwrap();
        let s = 0.8 * 0.5 / (0.5 + 0.3 * libm::exp(f64::from(0.6f32) * 0.8 * 20.0));
        let error = (f64::from(outside.prediction.state[0]) - s).abs();
        let bound = f64::from(outside.bound.unwrap());
        assert!(error > 1e-4 && error <= bound && bound < 1.001 * error, "{error:e} {outside:?}");
        let inside = bundle.certify(&Query::from_quantities(Ode::Sir, &[10.0, 0.3, 0.2, 0.6, 0.5])).unwrap();
        assert!(inside.trusted && inside.bound.is_some_and(|bound| bound < 2e-5), "{inside:?}");
    }

    #[test]
    fn elimination_solves() {
        let a = [[1.1, 0.2, -0.1, 0.0], [0.05, 0.9, 0.3, 0.0], [0.0, -0.2, 1.2, 0.1], [0.0, 0.0, 0.0, 1.0]];
        let x = [0.3, -0.7, 0.2, 0.5];
        let b = a.map(|row| row.iter().zip(x).map(|(a, x)| a * x).sum());
        for (found, expected) in solve(a, b).iter().zip(x) {
            assert!((found - expected).abs() < 1e-6);
        }
    }
}
