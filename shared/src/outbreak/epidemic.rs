//! What a setting expects to be counted, with derivatives along the logarithms of its unknowns.

use super::{BACKGROUND, Fit, INFECTED, Observable, Parameters, RECOVERY, REPRODUCTION, SCALE, Setting};
use crate::bundle::sensitivity::Linearization;
use crate::bundle::{Bundle, Free, Gradient};
use crate::calibrate::Uncertain;
use crate::limits::{MAX_CHANGES, MAX_PARAMETERS, MAX_UNKNOWNS};
use crate::network::Tape;
use crate::query::{Query, QueryError};
use heapless::Vec;

/// I0, R0, beta and gamma.
const ALL: Free = Free(0b1_1110);

/// The place of each parameter among the unknowns; `None` where it is known.
pub(super) type Places = [Option<usize>; MAX_PARAMETERS];

/// A number with its derivatives along the logarithms of the unknowns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mean {
    pub value: f32,
    pub slopes: Gradient,
}

impl Mean {
    fn fixed(value: f32) -> Self {
        Mean { value, slopes: Gradient::default() }
    }

    /// A value that is proportional to a parameter, along whose logarithm its derivative is the value itself.
    fn power(value: f32, place: Option<usize>) -> Self {
        let mut mean = Mean::fixed(value);
        mean.bend(place, value);
        mean
    }

    fn bend(&mut self, place: Option<usize>, by: f32) {
        if let Some(slope) = place.and_then(|place| self.slopes.get_mut(place)) {
            *slope += by;
        }
    }

    fn plus(&self, factor: f32, other: &Self) -> Self {
        let mut sum = Mean { value: self.value + factor * other.value, slopes: self.slopes };
        sum.slopes.iter_mut().zip(other.slopes).for_each(|(to, from)| *to += factor * from);
        sum
    }
}

/// The shares that were infected and that recovered since time 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    infected: Mean,
    removed: Mean,
}

/// A part of the epidemic with constant rates.
struct Piece<'b, 'a> {
    begin: f32,
    linear: Linearization<'b, 'a>,
    /// What moved before.
    before: Moved,
    /// I, R, beta and gamma at the beginning.
    problem: [Mean; 4],
}

/// An epidemic, piece by piece.
pub(super) struct Epidemic<'b, 'a> {
    pieces: Vec<Piece<'b, 'a>, { MAX_CHANGES + 1 }>,
    infected: Mean,
    removed: f32,
    scale: (f32, Option<usize>),
    background: (f32, Option<usize>),
    tape: Tape,
}

/// An entry of an array of parameters.
fn entry<T: Copy + Default>(values: &[T; MAX_PARAMETERS], k: usize) -> T {
    values.get(k).copied().unwrap_or_default()
}

impl<'b, 'a> Epidemic<'b, 'a> {
    /// The epidemic with these values of the parameters.
    ///
    /// # Errors
    /// [`QueryError`] if the model has no answer.
    pub fn new(
        bundle: &'b Bundle<'a>,
        setting: &Setting,
        values: &Parameters,
        places: &Places,
    ) -> Result<Self, QueryError> {
        let of = |k: usize| (entry(values, k), entry(places, k));
        let (infected, removed) = (Mean::power(of(INFECTED).0, of(INFECTED).1), setting.removed);
        let mut epidemic = Epidemic {
            pieces: Vec::new(),
            infected,
            removed,
            scale: of(SCALE),
            background: of(BACKGROUND),
            tape: Tape::default(),
        };
        let (gamma, along_gamma) = of(RECOVERY);
        let begins = core::iter::once(0.0).chain(setting.changes.iter().copied());
        for (k, begin) in begins.enumerate() {
            let before = epidemic.moved(begin)?;
            let (reproduction, along) = of(REPRODUCTION + k);
            let mut beta = Mean::power(reproduction * gamma, along);
            beta.bend(along_gamma, reproduction * gamma);
            let mut now = infected.plus(1.0, &before.infected).plus(-1.0, &before.removed);
            now.value = now.value.max(0.0);
            let mut gone = Mean::fixed(removed).plus(1.0, &before.removed);
            // Rounding must not carry the sum above 1.
            gone.value = gone.value.min(1.0 - now.value);
            let problem = [now, gone, beta, Mean::power(gamma, along_gamma)];
            let [i0, r0, beta, gamma] = problem.map(|mean| mean.value);
            let query = Query { t: 0.0, initial: [i0, r0, 0.0, 0.0], rates: [beta, gamma, 0.0, 0.0] };
            let linear = bundle.linearize(&query, ALL)?;
            // There is room for one piece more than changes.
            let _ = epidemic.pieces.push(Piece { begin, linear, before, problem });
        }
        Ok(epidemic)
    }

    /// What moved until time `t`.
    pub fn moved(&mut self, t: f32) -> Result<Moved, QueryError> {
        let Epidemic { pieces, tape, .. } = self;
        let last = pieces.iter_mut().rev().find(|piece| piece.begin <= t || piece.begin == 0.0);
        let Some(Piece { begin, linear, before, problem }) = last else {
            return Ok(Moved { infected: Mean::fixed(0.0), removed: Mean::fixed(0.0) });
        };
        let [infected, removed] = linear.since(t - *begin, tape)?;
        let through = |(value, slopes): (f32, Gradient), before: &Mean| {
            let mut mean = Mean { value: before.value + value, slopes: before.slopes };
            for (slope, quantity) in slopes.iter().zip(problem.iter()) {
                mean.slopes.iter_mut().zip(quantity.slopes).for_each(|(to, from)| *to += slope * from);
            }
            mean
        };
        Ok(Moved { infected: through(infected, &before.infected), removed: through(removed, &before.removed) })
    }

    /// The expected count at a time, or in an interval that begins with `from` and ends with `to` at time `t`.
    pub fn count(&self, observable: Observable, from: &Moved, to: &Moved, length: f32) -> Mean {
        let share = match observable {
            Observable::NewCases => to.infected.plus(-1.0, &from.infected),
            Observable::NewRemovals => to.removed.plus(-1.0, &from.removed),
            Observable::Infected => self.infected.plus(1.0, &to.infected).plus(-1.0, &to.removed),
            Observable::Removed => Mean::fixed(self.removed).plus(1.0, &to.removed),
            Observable::Susceptible => {
                Mean::fixed(1.0 - self.removed).plus(-1.0, &self.infected).plus(-1.0, &to.infected)
            }
        };
        let (scale, along_scale) = self.scale;
        let value = scale * share.value;
        let mut mean = Mean { value, slopes: share.slopes.map(|slope| slope * scale) };
        mean.bend(along_scale, value);
        if observable.is_flow() {
            let (background, along) = self.background;
            mean = mean.plus(length, &Mean::power(background, along));
        }
        mean
    }
}

/// What is expected to be counted in (from, to], or at `to`, with the standard error that follows from that of the estimates.
/// It does not include the scatter of counts.
///
/// # Errors
/// [`QueryError`] if the model has no answer.
pub fn expected(
    bundle: &Bundle<'_>,
    setting: &Setting,
    fit: &Fit,
    observable: Observable,
    (from, to): (f32, f32),
) -> Result<Uncertain, QueryError> {
    let places: Places = core::array::from_fn(|k| fit.place(k).filter(|place| *place < MAX_UNKNOWNS));
    let mut epidemic = Epidemic::new(bundle, setting, &fit.values, &places)?;
    let (begin, end) = (epidemic.moved(from)?, epidemic.moved(to)?);
    let mean = epidemic.count(observable, &begin, &end, to - from);
    Ok(Uncertain { value: mean.value, standard_error: fit.covariance.propagate(&mean.slopes) })
}
