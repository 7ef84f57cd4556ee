//! How an answer depends on the problem: d y_c(t) / d (initial coordinates, rates), exactly, through the network.
//!
//! Generic forms, y = y0 + f(t) NN(u): d y_c = d y0_c + f(t) sum_j (d NN_c / d u_j) d u_j. Reduced form, x = f(tau) NN(u):
//! d x = f'(tau) NN d tau + f(tau) sum_j (d NN / d u_j) d u_j, with d tau, d i0, d p from [`Reduced::new`] over dual
//! numbers, and then y = [`Reduced::state`] over dual numbers again.
//!
//! One observation is one component, so one reverse pass through the network gives its derivative with respect to
//! every input at once, for about one more evaluation. Forward tangents would cost one for each input that moves:
//! three in the reduced form, up to eight in the generic ones.

use super::{Bundle, Form, Source};
use crate::calibrate::{Free, Gradient};
use crate::layer::Vector;
use crate::limits::{MAX_RATES, MAX_STATE, MAX_WIDTH};
use crate::math::exp;
use crate::ode::sir::Reduced;
use crate::ode::{Ode, Rates, State};
use crate::query::{Query, QueryError};
use crate::scalar::{Dual, Scalar};

/// The reduced form has one output.
static FIRST: Vector<f32> = {
    let mut seed = [0.0; MAX_WIDTH];
    seed[0] = 1.0;
    seed
};

impl Bundle<'_> {
    /// Component `component` of the state, to the same bits as [`Bundle::state`]'s, and its derivative with respect
    /// to the free quantities, in their order.
    ///
    /// Cost: about two evaluations of the network, and a small chain rule per free quantity.
    ///
    /// # Errors
    /// As for [`Bundle::predict`].
    pub fn sensitivity(&self, query: &Query, component: usize, free: Free) -> Result<(f32, Gradient), QueryError> {
        query.check(self.ode)?;
        let (value, gradient) = match self.form {
            Form::Generic | Form::Conserved => self.sensitivity_generic(query, component, free),
            Form::Reduced => self.sensitivity_reduced(query, component, free),
        };
        if value.is_finite() && gradient.iter().all(|v| v.is_finite()) {
            Ok((value, gradient))
        } else {
            Err(QueryError::Overflow)
        }
    }

    fn sensitivity_generic(&self, query: &Query, component: usize, free: Free) -> (f32, Gradient) {
        let input = self.scale(|source| source.of_query(query));
        let (nn, slopes) = self.network.gradient(&input, &self.seed(component));
        let f = 1.0 - exp(-query.t);
        let value = at(&self.ode.initial(&query.initial), component) + f * at(&self.expand(nn), component);
        let mut gradient = Gradient::default();
        for (entry, index) in gradient.iter_mut().zip(free.indices()) {
            let moving = Moving::new(self.ode, query, index);
            let initial = at(&self.ode.initial(&moving.initial), component).derivative;
            let mut through = 0.0;
            for (input, slope) in self.inputs.iter().zip(&slopes) {
                let direction = match input.source() {
                    Source::Initial(i) => at(&moving.initial, i.into()).derivative,
                    Source::Rate(i) => at(&moving.rates, i.into()).derivative,
                    _ => 0.0,
                };
                through += slope * input.slope() * direction;
            }
            *entry = initial + f * through;
        }
        (value, gradient)
    }

    fn sensitivity_reduced(&self, query: &Query, component: usize, free: Free) -> (f32, Gradient) {
        let (reduced, tau) = super::reduce(query);
        let input = self.scale(|source| source.of_reduced(&reduced, tau));
        let ([nn, ..], slopes) = self.network.gradient(&input, &FIRST);
        let e = exp(-tau);
        let f = 1.0 - e;
        let x = f * nn;
        let mut gradient = Gradient::default();
        for (entry, index) in gradient.iter_mut().zip(free.indices()) {
            let moving = Moving::new(self.ode, query, index);
            let reduced = Reduced::new(&moving.initial, &moving.rates);
            let dtau = reduced.k.derivative * query.t;
            let mut through = 0.0;
            for (input, slope) in self.inputs.iter().zip(&slopes) {
                let direction = match input.source() {
                    Source::InfectedShare => reduced.i0.derivative,
                    Source::LnInfectedShare => logarithmic(reduced.i0),
                    Source::InfectionShare => reduced.p.derivative,
                    _ => dtau,
                };
                through += slope * input.slope() * direction;
            }
            let dx = e * nn * dtau + f * through;
            *entry = at(&reduced.state(Dual { value: x, derivative: dx }), component).derivative;
        }
        (at(&reduced.state(x), component), gradient)
    }

    /// Which combination of the network's outputs a component is.
    fn seed(&self, component: usize) -> Vector<f32> {
        let mut seed = [0.0; MAX_WIDTH];
        let outputs = self.form.outputs(self.ode);
        match (self.form, component.checked_sub(1)) {
            (Form::Conserved, None) => seed.iter_mut().take(outputs).for_each(|s| *s = -1.0),
            (Form::Conserved, Some(output)) => set(&mut seed, output),
            (Form::Generic | Form::Reduced, _) => set(&mut seed, component),
        }
        seed
    }
}

/// A problem with one quantity seeded: duals whose derivative is with respect to that quantity.
pub(crate) struct Moving {
    /// Free initial coordinates.
    pub initial: State<Dual<f32>>,
    /// Rates.
    pub rates: Rates<Dual<f32>>,
}

impl Moving {
    /// The problem of `query`, moving along quantity `index` (in the system's order, time is 0).
    pub fn new(ode: Ode, query: &Query, index: u8) -> Self {
        let still = |value| Dual { value, derivative: 0.0 };
        let mut moving = Moving { initial: query.initial.map(still), rates: query.rates.map(still) };
        let coordinates = ode.initial_names().len();
        if let Some(index) = usize::from(index).checked_sub(1) {
            let initial = moving.initial.iter_mut().take(coordinates.min(MAX_STATE));
            let rates = moving.rates.iter_mut().take(ode.rate_names().len().min(MAX_RATES));
            if let Some(dual) = initial.chain(rates).nth(index) {
                dual.derivative = 1.0;
            }
        }
        moving
    }
}

/// d ln i0, as [`Source::LnInfectedShare`] has it: no slope where the share is held at the smallest number.
fn logarithmic(i0: Dual<f32>) -> f32 {
    if i0.value > f32::MIN_POSITIVE { i0.derivative / i0.value } else { 0.0 }
}

/// Entry `index`, or zero.
fn at<S: Scalar, const N: usize>(values: &[S; N], index: usize) -> S {
    values.get(index).copied().unwrap_or_else(S::zero)
}

/// Entry `index` becomes one.
fn set(values: &mut Vector<f32>, index: usize) {
    if let Some(value) = values.get_mut(index) {
        *value = 1.0;
    }
}
