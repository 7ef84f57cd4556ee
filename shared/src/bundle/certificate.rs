//! The error of an answer: the residual along the trajectory, propagated by the error equation.
//!
//! The bundle's y and the true solution z of the same problem differ by e = y - z, with e(0) = 0 and
//! e' = Dg(y) e + r + O(e^2), where r is the residual y' - g(y). So the error of the answer at t follows from the answers
//! and residuals of the network at times from 0 to t, without knowing z. Subtracting it corrects the answer.
//!
//! In the reduced form the error equation is integrated along a curve finer than f32 (`curve`), so that the residual
//! contains no rounding. The distance of the answer from the curve, due to rounding and to the quantization of its
//! activations, is added at the end. The equation is scalar: e' = F'(x) e + r - F''(xi) e^2 / 2. F is concave with
//! |F''| <= p^2 s0 exp(-p x), so the term that linearization neglects has a majorant, which is integrated too. Together
//! with the difference between two quadratures and the rounding of the curve, this gives a bound and not only an
//! estimate. The quadrature part of the bound assumes that the steps resolve the residual, so the bound is tested, not
//! proven.
//!
//! By phase, the answer is compared with the same closed form in f64, through the network in fine integers. What then remains
//! is what a proof bounds (`sirocco-train bundle prove`), if the file states it: the largest error of all epidemics, and by how
//! much any of them can be too early or too late. The latter, times the rate of change at the answer, bounds its error.
//!
//! No bound was broken over 100,000 queries in the domain and 100,000 up to 30 % around it, each of `sir-full` in f32
//! (median bound/error 1.39 in the domain, 1.35 around it) and in 16-bit integers (1.35, 1.45), two other seeds, and
//! `sir-field` (1.26, 1.45). The correction brings an error of 1e-5, from f32 rounding and training, down to 9e-8, in
//! 16-bit integers too.

use super::{Bundle, Form};
use crate::limits::MAX_STATE;
use crate::math::{abs, exp};
use crate::ode::State;
use crate::ode::sir::Reduced;
use crate::query::{Prediction, Query, QueryError};
use serde::{Deserialize, Serialize};

/// Steps along the trajectory. A certificate evaluates the network at their ends, once more than there are steps.
pub const STEPS: u16 = 32;

/// Length of the first step as a fraction of the mean length.
const FIRST: f64 = 0.3;

/// Above this estimate the linearization is not accurate enough, and the answer is not trusted.
pub const TRUST_LIMIT: f32 = 1e-2;

/// Rounding of the curve and, per unit of tau, of its residual: the largest in 2,000 queries, see the test of `curve`.
const CURVE_ROUNDING: f32 = 2e-8;

/// What the fine integers, with weights cut to 2^-24, can make of a state by phase: twice the largest of 20,000 epidemics,
/// see the test of `solution`.
const PHASE_ROUNDING: f32 = 5e-8;

/// What the closed forms of `phase` make of a state in f64: their series have ten digits where orbits are short.
const PHASE_ARITHMETIC: f32 = 2e-9;

/// The same where no orbit is followed; with an extent above 40, infections are left out, which changes a state by 5e-9.
const CLOSED_FORM: f32 = 1e-8;

/// Factor from the difference of two quadratures to a bound of the quadrature error. Where the steps resolve the residual,
/// the error of the trapezoidal rule is a third of its difference from the rule with twice the step. Where they do not, the
/// error may exceed the difference: a factor of 2 would cover all but a few of 1.4 million queries. (With equal steps, 2 of
/// 50,000 over the wide `sir-field` were not covered, one by a factor of four.)
const GAP_FACTOR: f32 = 4.0;

/// An answer with the error that the network's residual implies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// The answer itself.
    pub prediction: Prediction,
    /// Estimated error of each component, with its sign: answer minus truth.
    pub error: State<f32>,
    /// The answer minus its estimated error.
    pub corrected: State<f32>,
    /// Largest absolute estimated error of a component; `f32::MAX` if the weights are too large for an estimate.
    pub estimate: f32,
    /// An upper bound of the largest absolute error. The reduced form has one, and the form by phase if the file states what
    /// was proven; and only if the answer is trusted.
    pub bound: Option<f32>,
    /// Whether the answer is plausible, and its estimate, its bound if the form has one, and the estimates at all times
    /// before are below [`TRUST_LIMIT`].
    pub trusted: bool,
}

impl Bundle<'_> {
    /// Answers a query, and estimates and bounds the error of the answer.
    ///
    /// Cost: [`STEPS`] + 1 evaluations of the network with its tangent in fine integers or, in the generic forms, in the
    /// network's own numbers, with as many small linear solves. On a Cortex-M4F `sir-full` takes 0.77 million instructions
    /// (0.67 with 16-bit weights), about as much as 145 (77) predictions; a generic form takes 34 predictions. By phase, two
    /// evaluations of the network and some twenty functions in f64: 0.11 million instructions, 24 predictions.
    ///
    /// # Errors
    /// As for [`Bundle::predict`].
    pub fn certify(&self, query: &Query) -> Result<Certificate, QueryError> {
        let prediction = self.predict(query)?;
        let findings = match self.form {
            Form::Reduced => self.propagate_reduced(query, &prediction.state),
            Form::Generic | Form::Conserved => Some(self.propagate_generic(query, &prediction.state)),
            Form::Phase => Some(self.compare_phase(query, &prediction.state)),
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

    /// Signed error of the answer `state`, the corrected state, and a bound of the largest component of the error.
    ///
    /// The error has two parts: the distance of the answer from the curve, which is computed at the end, and the distance of
    /// the curve from the solution, which is propagated.
    fn propagate_reduced(&self, query: &Query, state: &State<f32>) -> Option<Findings> {
        let curve = self.curve(query);
        let reduced = &curve.reduced;
        let mut walk = Walk::new(reduced.k * f64::from(query.t));
        let mut last = Node::new(reduced, curve.at(walk.tau, walk.decay)?);
        let mut last_even = last;
        let (mut fine, mut coarse, mut majorant, mut noise) = (0.0, 0.0, 0.0, 0.0);
        let (mut gap, mut before_last) = (0.0f32, 0.0);
        // An error of x is one of at most n times as much of S, I and R.
        let mut farthest = 0.0f32;
        for j in 1..=STEPS {
            let step = walk.advance();
            let next = Node::new(reduced, curve.at(walk.tau, walk.decay)?);
            let before = fine;
            fine = last.carry(&next, step, fine, last.residual, next.residual);
            let square = |bend: f32, e: f32| bend * (abs(e) + majorant) * (abs(e) + majorant);
            majorant = last.carry(&next, step, majorant, square(last.bend, before), square(next.bend, fine));
            noise = last.carry(&next, step, noise, CURVE_ROUNDING, CURVE_ROUNDING);
            farthest = farthest.max(abs(fine) + majorant);
            if j.is_multiple_of(2) {
                coarse = last_even.carry(&next, before_last + step, coarse, last_even.residual, next.residual);
                last_even = next;
                gap = gap.max(abs(fine - coarse));
            }
            (last, before_last) = (next, step);
        }
        // Richardson extrapolation: the error of the trapezoidal rule falls by four when the step is halved.
        let e = fine + (fine - coarse) / 3.0;
        let (x, k) = (last.x, reduced.k);
        let (on_curve, off) = (reduced.state(x), reduced.derivative(x, f64::from(e) / k));
        let (mut error, mut corrected) = ([0.0; MAX_STATE], [0.0; MAX_STATE]);
        for (((error, corrected), y), (c, off)) in
            error.iter_mut().zip(&mut corrected).zip(state).zip(on_curve.iter().zip(off))
        {
            *corrected = (c - off) as f32;
            *error = (f64::from(*y) - c + off) as f32;
        }
        let doubt = GAP_FACTOR * gap + majorant + noise + CURVE_ROUNDING;
        let reach = abs(e) + doubt;
        let curvature = (reduced.n * reduced.p * reduced.p) as f32 * reach * reach;
        let doubt = largest(&reduced.derivative(x, f64::from(doubt) / k).map(|v| v as f32));
        let bound = (largest(&error) + doubt + curvature) * (1.0 + 1e-6);
        Some(Findings { error, corrected, bound: Some(bound), reach: farthest * reduced.n as f32 })
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

    /// Signed error of an answer by phase: its distance from the same closed form in f64, whose own error is the proven one.
    fn compare_phase(&self, query: &Query, state: &State<f32>) -> Findings {
        let (exact, extent) = self.fine_phase(query);
        let (mut error, mut corrected) = ([0.0; MAX_STATE], [0.0; MAX_STATE]);
        for ((error, corrected), (y, exact)) in error.iter_mut().zip(&mut corrected).zip(state.iter().zip(exact)) {
            *error = (f64::from(*y) - exact) as f32;
            *corrected = exact as f32;
        }
        let doubt = self.proven_error.map(|proven| self.phase_doubt(query, &corrected, extent as f32, proven));
        let bound = doubt.map(|doubt| (largest(&error) + doubt) * (1.0 + 1e-6));
        Findings { error, corrected, bound, reach: 0.0 }
    }

    /// How far the closed form in fine numbers can be from the solution.
    ///
    /// Its state lies on the orbit of the solution, but too early or too late by the time that the file bounds. S, I and R
    /// change by at most max(s, 1) I in a unit of 1 / gamma, and that rate itself by a factor of at most e^(Y time) within
    /// this time (`sirocco-train bundle prove`).
    fn phase_doubt(&self, query: &Query, &[s, i, ..]: &State<f32>, extent: f32, proven: f32) -> f32 {
        if extent == 0.0 {
            return CLOSED_FORM;
        }
        let whole = proven + PHASE_ROUNDING;
        let Some(time) = self.time_bounds.iter().rev().find(|time| time.from <= extent) else { return whole };
        let [beta, gamma, ..] = query.rates;
        let level = beta / gamma * s;
        let rate = if level > 1.0 { level * i } else { i };
        // e^x < 1 + 2 x for x < 1/2.
        let growth = extent * time.bound;
        let doubt = time.bound * rate * (1.001 + 2.0 * growth) + PHASE_ARITHMETIC;
        if growth < 0.5 && doubt < whole { doubt } else { whole }
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

/// Times from 0 to the end, denser at the start: tau_j = end (g u + (1 - g) u^2), u = j / [`STEPS`], g = [`FIRST`].
///
/// At the start f(tau) rises and the solution leaves its initial value, so the residual changes fastest there, and an error
/// made there has the longest time to grow.
struct Walk {
    tau: f64,
    /// e^-tau.
    decay: f64,
    /// The next step and its e^-step, and the change of both from step to step.
    step: f64,
    factor: f64,
    longer: f64,
    longer_factor: f64,
}

impl Walk {
    fn new(end: f64) -> Self {
        let u = 1.0 / f64::from(STEPS);
        let (step, longer) = (end * u * (FIRST + (1.0 - FIRST) * u), 2.0 * end * (1.0 - FIRST) * u * u);
        Walk { tau: 0.0, decay: 1.0, step, factor: libm::exp(-step), longer, longer_factor: libm::exp(-longer) }
    }

    /// Advances to the next time and returns the length of the step.
    fn advance(&mut self) -> f32 {
        let step = self.step;
        self.tau += step;
        self.decay *= self.factor;
        self.step += self.longer;
        self.factor *= self.longer_factor;
        step as f32
    }
}

/// The terms of the error equation of the reduced form at one point of the trajectory.
#[derive(Debug, Clone, Copy)]
struct Node {
    x: f64,
    /// F'(x).
    slope: f32,
    /// |F''(x)| / 2.
    bend: f32,
    /// r = dx/dtau - F(x).
    residual: f32,
}

impl Node {
    fn new(reduced: &Reduced<f64>, (x, dx): (f64, f64)) -> Self {
        let share = 1.0 - reduced.p;
        let susceptible = (1.0 - reduced.i0) * libm::exp(-reduced.p * x);
        let drive = (reduced.p * susceptible) as f32;
        let residual = (dx - (1.0 - susceptible - share * x)) as f32;
        Node { x, slope: drive - share as f32, bend: 0.5 * reduced.p as f32 * drive, residual }
    }

    /// One step of e' = slope e + q by the exponential trapezoidal rule.
    fn carry(&self, next: &Node, h: f32, e: f32, q0: f32, q1: f32) -> f32 {
        let growth = exp(0.5 * h * (self.slope + next.slope));
        growth * e + 0.5 * h * (growth * q0 + q1)
    }
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

    /// Far outside the domain the linearized error equation does not hold: errors were .24 to .89 there, bounds lower or
    /// meaningless.
    #[test]
    fn what_cannot_be_bounded_is_not_trusted() {
        let bundle = Bundle::open(&FULL.0).unwrap();
        for quantities in [
            [51.721_977, 0.0, 0.446_786_67, 0.879_794_84, 0.312_200_6],
            [55.241_962, 1e-6, 0.595_547_44, 1.119_889_1, 0.289_014_1],
            [48.032_66, 1e-7, 0.280_456, 0.692_914_96, 0.376_644_25],
            [7.8, 0.0, 0.11, 1.0, 0.0],
            [20.0, 0.3, 0.2, 0.6, 0.0],
        ] {
            let certificate = bundle.certify(&Query::from_quantities(Ode::Sir, &quantities)).unwrap();
            assert!(!certificate.trusted && certificate.bound.is_none(), "{quantities:?}: {certificate:?}");
        }
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
