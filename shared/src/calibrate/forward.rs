//! The models that a calibration fits: they give values at the observations and derivatives with respect to the unknowns.

use super::Observation;
use crate::bundle::{Bundle, Certificate, Free, Gradient, Range, TRUST_LIMIT};
use crate::limits::{MAX_QUANTITIES, MAX_STATE, MAX_UNKNOWNS};
use crate::math::abs;
use crate::network::Tape;
use crate::ode::{Ode, Rates, State};
use crate::query::{Prediction, Query, QueryError, unknowns};
use crate::rk4;
use crate::scalar::Dual;
use heapless::Vec;

/// A differentiable solution of the system over a domain.
pub trait Forward {
    /// The system.
    fn ode(&self) -> Ode;

    /// The domain in which the model holds, per quantity in the system's order.
    fn domain(&self) -> &[Range];

    /// Calls `sink` once for every observation, in any order, with the model's value and its derivatives with respect to
    /// the free quantities. The time of `problem` is ignored.
    ///
    /// # Errors
    /// [`QueryError`] if the model has no answer at one of the observations.
    fn observe(
        &self,
        problem: &Query,
        observations: &[Observation],
        free: Free,
        sink: impl FnMut(&Observation, f32, &Gradient),
    ) -> Result<(), QueryError>;

    /// One component at the time of `query`, and its derivatives.
    ///
    /// # Errors
    /// [`QueryError`] if the model has no answer.
    fn component(&self, query: &Query, component: u8, free: Free) -> Result<(f32, Gradient), QueryError> {
        let observation = Observation { t: query.t, component, value: 0.0, sigma: 1.0 };
        let mut answer = (0.0, Gradient::default());
        self.observe(query, &[observation], free, |_, value, gradient| answer = (value, *gradient))?;
        Ok(answer)
    }
}

/// An observation costs about two evaluations of the network, at any time. See [`Bundle::sensitivity`].
impl Forward for Bundle<'_> {
    fn ode(&self) -> Ode {
        Bundle::ode(self)
    }

    fn domain(&self) -> &[Range] {
        Bundle::domain(self)
    }

    fn observe(
        &self,
        problem: &Query,
        observations: &[Observation],
        free: Free,
        mut sink: impl FnMut(&Observation, f32, &Gradient),
    ) -> Result<(), QueryError> {
        let (mut linear, mut tape) = (self.linearize(problem, free)?, Tape::default());
        for observation in observations {
            let (value, gradient) = linear.at(observation.t, observation.component.into(), &mut tape)?;
            sink(observation, value, &gradient);
        }
        Ok(())
    }
}

/// The Runge-Kutta method of order four, differentiated exactly: the alternative to a bundle, for comparison and for domains
/// that no bundle covers.
///
/// One integration serves all observations. Its cost is the number of steps to the last observation, times one plus the
/// number of unknowns.
#[derive(Debug, Clone)]
pub struct Numerical {
    ode: Ode,
    domain: Vec<Range, MAX_QUANTITIES>,
    step: f32,
}

/// Largest number of steps between two observations, so that a step that is far too small does not take forever.
const MAX_STEPS: f32 = 1e5;

impl Numerical {
    /// Runge-Kutta for `ode` with steps of at most `step`, within `domain` (per quantity, in the system's order). `None` if
    /// the step is not positive, or if the domain does not have one finite, ordered range per quantity.
    pub fn new(ode: Ode, domain: &[Range], step: f32) -> Option<Self> {
        let sound = |r: &Range| r.lo.is_finite() && r.hi.is_finite() && r.lo <= r.hi;
        let fits = ode.quantity_names().count() == domain.len() && domain.iter().all(sound);
        let domain = Vec::from_slice(domain).ok()?;
        (fits && step.is_finite() && step > 0.0).then_some(Numerical { ode, domain, step })
    }

    /// The state at the time of `query`, computed with half the step, and its error: 1/15 of what halving the step changed, as for any
    /// method of order four. There is no bound.
    ///
    /// # Errors
    /// [`QueryError`] if the query is malformed, or if the solution is no finite number.
    pub fn certify(&self, query: &Query) -> Result<Certificate, QueryError> {
        query.check(self.ode)?;
        let initial = self.ode.initial(&query.initial);
        let steps = self.steps(query.t);
        let by = |steps| rk4::integrate(self.ode, &initial, &query.rates, query.t, steps);
        let (coarse, state) = (by(steps), by(2 * steps));
        let (mut error, mut corrected) = ([0.0; MAX_STATE], state);
        for ((error, corrected), (fine, coarse)) in error.iter_mut().zip(&mut corrected).zip(state.iter().zip(coarse)) {
            *error = (coarse - fine) / 15.0;
            *corrected = fine - *error;
        }
        let estimate = error.iter().fold(0.0f32, |most, error| most.max(abs(*error)));
        if !(estimate.is_finite() && state.iter().all(|value| value.is_finite())) {
            return Err(QueryError::Overflow);
        }
        let in_domain = self.domain.iter().zip(query.quantities(self.ode)).all(|(range, value)| range.contains(value));
        let plausible = self.ode.plausible(&query.initial, &query.rates, &state, TRUST_LIMIT);
        let derivative = self.ode.rhs(&state, &query.rates);
        let prediction = Prediction { state, derivative, residual: [0.0; MAX_STATE], in_domain, plausible };
        let trusted = plausible && estimate <= TRUST_LIMIT;
        Ok(Certificate { prediction, error, corrected, estimate, bound: None, trusted })
    }

    /// Steps to go this far in time.
    fn steps(&self, far: f32) -> u32 {
        let wanted = far / self.step;
        if wanted < MAX_STEPS { wanted as u32 + 1 } else { MAX_STEPS as u32 }
    }

    fn sweep<const N: usize>(
        &self,
        problem: &Query,
        observations: &[Observation],
        free: Free,
        mut sink: impl FnMut(&Observation, f32, &Gradient),
    ) -> Result<(), QueryError> {
        let (initial, rates) = seeded::<N>(self.ode, problem, free);
        let mut y = self.ode.initial(&initial);
        let mut now = 0.0;
        while let Some(next) = following(observations, now) {
            let steps = self.steps(next - now);
            let h = Dual::fixed((next - now) / steps as f32);
            for _ in 0..steps {
                y = rk4::step(self.ode, &y, &rates, h);
            }
            now = next;
            report(&y, now, observations, &mut sink)?;
        }
        // The observations at time zero, which is not later than `now` at the start.
        report(&self.ode.initial(&initial), 0.0, observations, &mut sink)
    }
}

/// The problem in dual numbers whose directions are the free quantities.
fn seeded<const N: usize>(ode: Ode, problem: &Query, free: Free) -> (State<Dual<f32, N>>, Rates<Dual<f32, N>>) {
    let (mut initial, mut rates) = (problem.initial.map(Dual::fixed), problem.rates.map(Dual::fixed));
    let unknowns = (1u8..).zip(unknowns(ode, &mut initial, &mut rates));
    for (direction, (_, dual)) in unknowns.filter(|(index, _)| free.contains(*index)).enumerate() {
        if let Some(derivative) = dual.derivatives.get_mut(direction) {
            *derivative = 1.0;
        }
    }
    (initial, rates)
}

/// The earliest time of an observation after `now`.
fn following(observations: &[Observation], now: f32) -> Option<f32> {
    let later = observations.iter().map(|o| o.t).filter(|t| *t > now);
    later.fold(None, |first: Option<f32>, t| Some(first.map_or(t, |f| if t < f { t } else { f })))
}

/// Calls `sink` for the observations at time `now`.
fn report<const N: usize>(
    y: &State<Dual<f32, N>>,
    now: f32,
    observations: &[Observation],
    sink: &mut impl FnMut(&Observation, f32, &Gradient),
) -> Result<(), QueryError> {
    for observation in observations.iter().filter(|o| o.t == now) {
        let dual = y.get(usize::from(observation.component)).ok_or(QueryError::Inadmissible)?;
        if !(dual.value.is_finite() && dual.derivatives.iter().all(|s| s.is_finite())) {
            return Err(QueryError::Overflow);
        }
        let mut gradient = Gradient::default();
        gradient.iter_mut().zip(dual.derivatives).for_each(|(to, from)| *to = from);
        sink(observation, dual.value, &gradient);
    }
    Ok(())
}

impl Forward for Numerical {
    fn ode(&self) -> Ode {
        self.ode
    }

    fn domain(&self) -> &[Range] {
        &self.domain
    }

    fn observe(
        &self,
        problem: &Query,
        observations: &[Observation],
        free: Free,
        sink: impl FnMut(&Observation, f32, &Gradient),
    ) -> Result<(), QueryError> {
        for observation in observations {
            Query { t: observation.t, ..*problem }.check(self.ode)?;
        }
        match free.count() {
            0..=2 => self.sweep::<2>(problem, observations, free, sink),
            3..=4 => self.sweep::<4>(problem, observations, free, sink),
            _ => self.sweep::<MAX_UNKNOWNS>(problem, observations, free, sink),
        }
    }
}
