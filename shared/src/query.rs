//! A query to a solution bundle, and its answer.

use crate::limits::{MAX_QUANTITIES, MAX_RATES, MAX_STATE};
use crate::math::all_finite;
use crate::ode::{Ode, Rates, State};
use serde::{Deserialize, Serialize};

/// One query: a problem (initial coordinates and rates) and a time.
///
/// The arrays are padded with zeros; their order is the system's own
/// ([`Ode::initial_names`], [`Ode::rate_names`]).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// Time, in the rates' unit (days for SIR).
    pub t: f32,
    /// Free initial coordinates; SIR: (I0, R0).
    pub initial: State<f32>,
    /// Rates; SIR: (beta, gamma).
    pub rates: Rates<f32>,
}

/// Why a query has no answer. (A query outside the training domain has one, with a flag.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum QueryError {
    /// A quantity is NaN or infinite.
    #[error("quantity {0} of the query is not a finite number")]
    NotFinite(u8),
    /// The time is before the initial state.
    #[error("the time is negative")]
    NegativeTime,
    /// The initial values and rates are not a problem of this system: a share is negative, shares add up to more than one,
    /// or a rate is negative.
    #[error("initial values and rates are not a problem of this system")]
    Inadmissible,
    /// The query is so far outside the domain that the answer is not a finite number.
    #[error("the answer is not a finite number this far outside the domain")]
    Overflow,
    /// More infections per infected than the phase of SIR is trained for: beta (S0 + I0) / gamma is above 20.
    #[error("beta (S0 + I0) / gamma is above 20, beyond the epidemics that the network was trained on")]
    TooSteep,
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The state at time t; SIR: (S, I, R).
    pub state: State<f32>,
    /// Its time derivative, by the network's tangent.
    pub derivative: State<f32>,
    /// The residual dy/dt - g(y): how badly the equations are violated here, per unit of time.
    pub residual: State<f32>,
    /// Whether every quantity lies in the domain the network was trained on.
    pub in_domain: bool,
    /// Whether the state is one that a solution can reach (SIR: shares in [0, 1], S <= S0, R >= R0).
    pub plausible: bool,
}

impl Query {
    /// A query from its quantities in the system's order (`t`, initial coordinates, rates); the rest is zero.
    pub fn from_quantities(ode: Ode, quantities: &[f32]) -> Self {
        let mut query = Query { t: 0.0, initial: [0.0; MAX_STATE], rates: [0.0; MAX_RATES] };
        if let [t, rest @ ..] = quantities {
            query.t = *t;
            for (to, from) in unknowns(ode, &mut query.initial, &mut query.rates).zip(rest) {
                *to = *from;
            }
        }
        query
    }

    /// The quantities in the system's order, padded with zeros.
    pub fn quantities(&self, ode: Ode) -> [f32; MAX_QUANTITIES] {
        let mut quantities = [0.0; MAX_QUANTITIES];
        let initial = self.initial.iter().take(ode.initial_names().len());
        let rates = self.rates.iter().take(ode.rate_names().len());
        for (to, from) in quantities.iter_mut().zip(core::iter::once(&self.t).chain(initial).chain(rates)) {
            *to = *from;
        }
        quantities
    }

    /// Checks that the query can be answered.
    ///
    /// # Errors
    /// [`QueryError::NotFinite`], [`QueryError::NegativeTime`] or [`QueryError::Inadmissible`].
    #[inline]
    pub fn check(&self, ode: Ode) -> Result<(), QueryError> {
        if !all_finite(core::iter::once(&self.t).chain(&self.initial).chain(&self.rates)) {
            self.check_finite(ode)?;
        }
        if self.t < 0.0 {
            return Err(QueryError::NegativeTime);
        }
        if !ode.admissible(&self.initial, &self.rates) {
            return Err(QueryError::Inadmissible);
        }
        Ok(())
    }

    /// Finds the quantity that is not finite, if it is one of the system's.
    #[cold]
    fn check_finite(&self, ode: Ode) -> Result<(), QueryError> {
        for (index, value) in (0u8..).zip(self.quantities(ode)) {
            if !value.is_finite() {
                return Err(QueryError::NotFinite(index));
            }
        }
        Ok(())
    }
}

/// The quantities of a problem that may be unknown: its initial coordinates and rates, in the system's order.
pub(crate) fn unknowns<'q, S>(
    ode: Ode,
    initial: &'q mut State<S>,
    rates: &'q mut Rates<S>,
) -> impl Iterator<Item = &'q mut S> {
    initial.iter_mut().take(ode.initial_names().len()).chain(rates.iter_mut().take(ode.rate_names().len()))
}
