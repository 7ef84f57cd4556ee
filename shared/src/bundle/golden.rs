//! Golden queries: a file carries queries with the bits of their answers, so that any device can test itself.
//!
//! `golden.queries` F32 (n, quantities) and `golden.answers` F32 (n, 2 * state): state and residual.

use super::Bundle;
use crate::error::ModelError;
use crate::limits::MAX_GOLDEN;
use crate::model::Model;
use crate::ode::Ode;
use crate::query::{Prediction, Query};
use crate::summary::SelfTest;

/// Name of the queries' tensor.
pub const QUERIES: &str = "golden.queries";
/// Name of the answers' tensor.
pub const ANSWERS: &str = "golden.answers";

/// The golden queries of a file; empty if the file has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Golden<'a> {
    queries: &'a [f32],
    answers: &'a [f32],
    quantities: usize,
    state: usize,
}

impl<'a> Golden<'a> {
    pub fn open(model: &Model<'a>, ode: Ode) -> Result<Self, ModelError> {
        let (quantities, state) = (ode.quantity_names().count(), ode.state_names().len());
        let (queries, answers) = match (model.tensor(QUERIES), model.tensor(ANSWERS)) {
            (None, None) => return Ok(Golden { queries: &[], answers: &[], quantities, state }),
            (Some(queries), Some(answers)) => (queries, answers),
            _ => return Err(ModelError::Golden),
        };
        let rows = queries.shape.first().map_or(0, |n| *n as usize);
        let shaped = queries.has_shape(&[rows, quantities]) && answers.has_shape(&[rows, 2 * state]);
        match (queries.f32(), answers.f32()) {
            (Some(queries), Some(answers)) if shaped && rows <= MAX_GOLDEN => {
                Ok(Golden { queries, answers, quantities, state })
            }
            _ => Err(ModelError::Golden),
        }
    }

    pub fn len(&self) -> usize {
        self.queries.len() / self.quantities.max(1)
    }

    pub fn queries(&self, ode: Ode) -> impl Iterator<Item = Query> + '_ {
        self.queries.chunks_exact(self.quantities.max(1)).map(move |q| Query::from_quantities(ode, q))
    }

    pub fn replay(&self, bundle: &Bundle<'_>) -> SelfTest {
        let mut result = SelfTest { queries: 0, mismatches: 0, first_mismatch: None };
        let answers = self.answers.chunks_exact((2 * self.state).max(1));
        for (query, expected) in self.queries(bundle.ode()).zip(answers) {
            let same = bundle.predict(&query).is_ok_and(|p| self.agrees(&p, expected));
            if !same {
                result.mismatches = result.mismatches.saturating_add(1);
                result.first_mismatch = result.first_mismatch.or(Some(result.queries));
            }
            result.queries = result.queries.saturating_add(1);
        }
        result
    }

    fn agrees(&self, prediction: &Prediction, expected: &[f32]) -> bool {
        let own = prediction.state.iter().take(self.state).chain(prediction.residual.iter().take(self.state));
        own.zip(expected).all(|(own, golden)| own.to_bits() == golden.to_bits())
    }
}
