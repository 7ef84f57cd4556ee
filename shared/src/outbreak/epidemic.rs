//! What a setting expects to be counted, with derivatives along the logarithms of its unknowns.

use super::{BACKGROUND, Fit, INFECTED, Observable, Parameters, RECOVERY, REPRODUCTION, SCALE, Setting};
use crate::bundle::sensitivity::Linearization;
use crate::bundle::{Bundle, Free, Gradient};
use crate::calibrate::Uncertain;
use crate::limits::{MAX_CHANGES, MAX_PARAMETERS, MAX_REPORTING_CHANGES, MAX_UNKNOWNS};
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
struct Piece {
    begin: f32,
    /// What moved before.
    before: Moved,
    /// I, R, beta and gamma at the beginning.
    problem: [Mean; 4],
}

/// An epidemic, piece by piece. Of these, one at a time is linearized, because a linearization takes a kilobyte of stack.
pub(super) struct Epidemic<'b, 'a> {
    bundle: &'b Bundle<'a>,
    pieces: Vec<Piece, { MAX_CHANGES + 1 }>,
    linear: Option<(usize, Linearization<'b, 'a>)>,
    infected: Mean,
    removed: f32,
    scale: (f32, Option<usize>),
    background: (f32, Option<usize>),
    /// From these times on, this ratio of what is reported, with its place.
    reporting: Vec<(f32, f32, Option<usize>), MAX_REPORTING_CHANGES>,
    tape: Tape,
}

/// An entry of an array of parameters.
fn entry<T: Copy + Default>(values: &[T; MAX_PARAMETERS], k: usize) -> T {
    values.get(k).copied().unwrap_or_default()
}

impl<'b, 'a> Epidemic<'b, 'a> {
    /// No epidemic yet: [`Self::begin`] comes next. In two steps, so that four kilobytes need not be moved.
    pub fn of(bundle: &'b Bundle<'a>) -> Self {
        Epidemic {
            bundle,
            pieces: Vec::new(),
            linear: None,
            infected: Mean::fixed(0.0),
            removed: 0.0,
            scale: (0.0, None),
            background: (0.0, None),
            reporting: Vec::new(),
            tape: Tape::default(),
        }
    }

    /// Begins the epidemic with these values of the parameters.
    ///
    /// # Errors
    /// [`QueryError`] if the model has no answer.
    #[inline(never)]
    pub fn begin(&mut self, setting: &Setting, values: &Parameters, places: &Places) -> Result<(), QueryError> {
        let of = |k: usize| (entry(values, k), entry(places, k));
        (self.infected, self.removed) = (Mean::power(of(INFECTED).0, of(INFECTED).1), setting.removed);
        (self.scale, self.background) = (of(SCALE), of(BACKGROUND));
        for (k, change) in setting.reporting.iter().enumerate() {
            let (ratio, along) = of(setting.reporting_place() + k);
            // There is as much room as in the setting.
            let _ = self.reporting.push((change.from, ratio, along));
        }
        let (gamma, along_gamma) = of(RECOVERY);
        let begins = core::iter::once(0.0).chain(setting.changes.iter().copied());
        for (k, begin) in begins.enumerate() {
            let before = self.moved(begin)?;
            let (reproduction, along) = of(REPRODUCTION + k);
            let mut beta = Mean::power(reproduction * gamma, along);
            beta.bend(along_gamma, reproduction * gamma);
            let mut now = self.infected.plus(1.0, &before.infected).plus(-1.0, &before.removed);
            now.value = now.value.max(0.0);
            let mut gone = Mean::fixed(self.removed).plus(1.0, &before.removed);
            // Rounding must not carry the sum above 1.
            gone.value = gone.value.min(1.0 - now.value);
            let problem = [now, gone, beta, Mean::power(gamma, along_gamma)];
            // There is room for one piece more than changes.
            let _ = self.pieces.push(Piece { begin, before, problem });
        }
        Ok(())
    }

    /// What moved until time `t`.
    #[inline(never)]
    pub fn moved(&mut self, t: f32) -> Result<Moved, QueryError> {
        let place = self.pieces.iter().rposition(|piece| piece.begin <= t).unwrap_or(0);
        let Some(Piece { begin, before, problem }) = self.pieces.get(place) else {
            return Ok(Moved { infected: Mean::fixed(0.0), removed: Mean::fixed(0.0) });
        };
        let linear = match &mut self.linear {
            Some((known, linear)) if *known == place => linear,
            other => {
                let [i0, r0, beta, gamma] = problem.map(|mean| mean.value);
                let query = Query { t: 0.0, initial: [i0, r0, 0.0, 0.0], rates: [beta, gamma, 0.0, 0.0] };
                &mut other.insert((place, self.bundle.linearize(&query, ALL)?)).1
            }
        };
        let [infected, removed] = linear.since(t - *begin, &mut self.tape)?;
        let through = |(value, slopes): (f32, Gradient), before: &Mean| {
            let mut mean = Mean { value: before.value + value, slopes: before.slopes };
            for (slope, quantity) in slopes.iter().zip(problem.iter()) {
                mean.slopes.iter_mut().zip(quantity.slopes).for_each(|(to, from)| *to += slope * from);
            }
            mean
        };
        Ok(Moved { infected: through(infected, &before.infected), removed: through(removed, &before.removed) })
    }

    /// The expected count at the end of an interval, or in it. It begins with `from` and ends with `to`.
    #[inline(never)]
    pub fn count(&self, observable: Observable, from: &Moved, to: &Moved, (begin, end): (f32, f32)) -> Mean {
        let share = match observable {
            Observable::NewCases => to.infected.plus(-1.0, &from.infected),
            Observable::NewRemovals => to.removed.plus(-1.0, &from.removed),
            Observable::Infected => self.infected.plus(1.0, &to.infected).plus(-1.0, &to.removed),
            Observable::Removed => Mean::fixed(self.removed).plus(1.0, &to.removed),
            Observable::Susceptible => {
                Mean::fixed(1.0 - self.removed).plus(-1.0, &self.infected).plus(-1.0, &to.infected)
            }
        };
        let (mut scale, along_scale) = self.scale;
        let changed = self.reporting.iter().rfind(|(from, ..)| *from < end);
        if let Some((_, ratio, _)) = changed {
            scale *= ratio;
        }
        let value = scale * share.value;
        let mut mean = Mean { value, slopes: share.slopes.map(|slope| slope * scale) };
        mean.bend(along_scale, value);
        mean.bend(changed.and_then(|(.., along)| *along), value);
        if observable.is_flow() {
            let (background, along) = self.background;
            mean = mean.plus(end - begin, &Mean::power(background, along));
        }
        mean
    }
}

/// What is expected to be counted in (from, to], or at `to`, with the standard error that follows from that of the estimates.
/// It does not include the scatter of counts.
///
/// # Errors
/// [`QueryError`] if the model has no answer.
#[inline(never)]
pub fn expected(
    bundle: &Bundle<'_>,
    setting: &Setting,
    fit: &Fit,
    observable: Observable,
    (from, to): (f32, f32),
) -> Result<Uncertain, QueryError> {
    let places: Places = core::array::from_fn(|k| fit.place(k).filter(|place| *place < MAX_UNKNOWNS));
    let mut epidemic = Epidemic::of(bundle);
    epidemic.begin(setting, &fit.values, &places)?;
    let (begin, end) = (epidemic.moved(from)?, epidemic.moved(to)?);
    let mean = epidemic.count(observable, &begin, &end, (from, to));
    Ok(Uncertain { value: mean.value, standard_error: fit.covariance.propagate(&mean.slopes) })
}

/// What these values of the parameters lead one to count, in consecutive intervals from `start` on, or at their ends. `sink` gets one
/// mean after the other.
///
/// # Errors
/// [`QueryError`] if the model has no answer.
pub fn curve(
    bundle: &Bundle<'_>,
    setting: &Setting,
    values: &Parameters,
    observable: Observable,
    start: f32,
    ends: impl IntoIterator<Item = f32>,
    mut sink: impl FnMut(f32),
) -> Result<(), QueryError> {
    let mut epidemic = Epidemic::of(bundle);
    epidemic.begin(setting, values, &[None; MAX_PARAMETERS])?;
    let mut from = (start, epidemic.moved(start)?);
    for to in ends {
        let now = epidemic.moved(to)?;
        sink(epidemic.count(observable, &from.1, &now, (from.0, to)).value);
        from = (to, now);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests compute in f64 on the host")]
mod tests {
    use super::*;
    use crate::bundle::Range;
    use crate::outbreak::{Noise, ReportingChange};

    #[repr(C, align(8))]
    struct Aligned<B: ?Sized>(B);
    static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../firmware/app/assets/sir.safetensors"));

    const PLACES: Places = [Some(0), Some(1), Some(2), Some(3), Some(4), Some(5), Some(6), Some(7), None, None, None];

    fn setting(changes: &[f32]) -> Setting {
        let any = Range { lo: 1e-9, hi: 10.0 };
        Setting {
            series: Vec::new(),
            noise: Noise::Poisson,
            infected: any,
            recovery: any,
            scale: any,
            background: any,
            reproduction: (0..=changes.len()).map(|_| any).collect(),
            changes: Vec::from_slice(changes).unwrap(),
            removed: 0.0,
            reporting: Vec::new(),
        }
    }

    const ALL_KINDS: [Observable; 5] = [
        Observable::NewCases,
        Observable::NewRemovals,
        Observable::Infected,
        Observable::Susceptible,
        Observable::Removed,
    ];

    fn count(setting: &Setting, values: &Parameters, observable: Observable, (from, to): (f32, f32)) -> Mean {
        let bundle = Bundle::open(&FILE.0).unwrap();
        let mut epidemic = Epidemic::of(&bundle);
        epidemic.begin(setting, values, &PLACES).unwrap();
        let (begin, end) = (epidemic.moved(from).unwrap(), epidemic.moved(to).unwrap());
        epidemic.count(observable, &begin, &end, (from, to))
    }

    #[test]
    fn slopes_are_derivatives_through_all_pieces() {
        let mut setting = setting(&[12.0, 30.0]);
        let ratio = Range { lo: 0.1, hi: 10.0 };
        setting.reporting = [ReportingChange { from: 25.0, ratio }].into_iter().collect();
        let values = [1e-4, 0.15, 5000.0, 0.7, 3.0, 1.2, 2.2, 2.5, 0.0, 0.0, 0.0];
        for observable in ALL_KINDS {
            for interval in [(4.0, 5.0), (11.5, 12.5), (20.0, 27.0), (40.0, 41.0)] {
                let mean = count(&setting, &values, observable, interval);
                for k in 0..setting.parameters() {
                    let at = |step: f32| {
                        let mut values = values;
                        values[k] *= step.exp();
                        count(&setting, &values, observable, interval).value
                    };
                    let difference = (at(0.02) - at(-0.02)) / 0.04;
                    let allowed = 6e-3 * mean.value.abs().max(difference.abs()) + 0.02;
                    let slope = mean.slopes[k];
                    assert!(
                        (slope - difference).abs() < allowed,
                        "{observable:?} {interval:?} {k}: {slope} {difference}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_change_to_the_same_number_changes_nothing() {
        let values = [1e-6, 0.3, 1e6, 0.0, 2.5, 2.5, 2.5, 0.0, 0.0, 0.0, 0.0];
        for observable in ALL_KINDS {
            for interval in [(3.0, 4.0), (19.0, 22.0), (39.0, 40.0), (60.0, 61.0)] {
                let whole = count(&setting(&[]), &values, observable, interval).value;
                let parts = count(&setting(&[20.0, 38.0]), &values, observable, interval).value;
                assert!((whole - parts).abs() <= 1e-5 * whole + 2.0, "{observable:?} {interval:?}: {whole} {parts}");
            }
        }
    }

    #[test]
    fn a_change_of_what_is_reported_multiplies_the_counts_that_end_later() {
        let (plain, values) = (setting(&[]), [1e-4, 0.15, 5000.0, 7.0, 3.0, 1.0, 0.25, 0.0, 0.0, 0.0, 0.0]);
        let mut changed = plain.clone();
        let ratio = Range { lo: 0.01, hi: 10.0 };
        changed.reporting = [5.0, 30.0].map(|from| ReportingChange { from, ratio }).into_iter().collect();
        for observable in ALL_KINDS {
            for (interval, ratio) in [((4.0, 5.0), 1.0), ((5.0, 6.0), 1.0), ((29.5, 30.5), 0.25), ((40.0, 41.0), 0.25)]
            {
                let background = if observable.is_flow() { 7.0 } else { 0.0 };
                let (before, after) = [&plain, &changed]
                    .map(|setting| count(setting, &values, observable, interval).value - background)
                    .into();
                assert!((after - ratio * before).abs() <= 1e-5 * before.abs(), "{observable:?} {interval:?}");
            }
        }
    }

    #[test]
    fn the_far_tail_has_derivatives() {
        for k in 0..4000u16 {
            let t = f32::from(k) * 0.25;
            for (i0, gamma, big) in [(1.17e-6, 0.1468, 3.922), (1e-4, 0.5, 1.3), (1e-2, 0.2, 15.0)] {
                let values = [i0, gamma, 1.0, 0.0, big, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
                let mean = count(&setting(&[]), &values, Observable::Infected, (0.0, t));
                assert!(mean.value.is_finite() && mean.slopes.iter().all(|slope| slope.is_finite()), "{t} {values:?}");
            }
        }
    }

    /// Runge-Kutta in f64 with ln I in place of I, and C in place of S, so that few infected keep their digits.
    fn truth(i0: f64, beta: f64, gamma: f64, t: f64) -> [f64; 2] {
        let rhs = |[c, ln_i, _]: [f64; 3]| {
            let (s, i) = (1.0 - i0 - c, ln_i.exp());
            [beta * s * i, beta * s - gamma, gamma * i]
        };
        let (mut y, steps) = ([0.0, i0.ln(), 0.0], 20_000);
        let h = t / f64::from(steps);
        for _ in 0..steps {
            let moved = |k: [f64; 3], h: f64| core::array::from_fn(|j| y[j] + h * k[j]);
            let a = rhs(y);
            let b = rhs(moved(a, 0.5 * h));
            let c = rhs(moved(b, 0.5 * h));
            let d = rhs(moved(c, h));
            y = core::array::from_fn(|j| y[j] + h / 6.0 * (a[j] + 2.0 * b[j] + 2.0 * c[j] + d[j]));
        }
        [y[0], y[2]]
    }

    #[test]
    fn few_cases_in_many_people_keep_their_digits() {
        let mut worst = 0.0f64;
        for (i0, big, gamma) in
            [(1e-8f32, 2.0, 0.2), (1e-7, 1.2, 0.5), (3e-8, 8.0, 0.1), (1e-6, 3.0, 1.0), (1e-5, 0.8, 0.2)]
        {
            let values = [i0, gamma, 1.0, 0.0, big, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
            for t in [0.01f32, 0.5, 3.0, 10.0, 20.0, 40.0] {
                let right = truth(i0.into(), f64::from(big * gamma), gamma.into(), t.into());
                for (observable, right) in [Observable::NewCases, Observable::NewRemovals].into_iter().zip(right) {
                    let found = count(&setting(&[]), &values, observable, (0.0, t)).value;
                    worst = worst.max((f64::from(found) / right - 1.0).abs());
                }
            }
        }
        std::println!("largest relative error of the cases since the beginning: {worst:e}");
        assert!(worst < 2e-5, "{worst:e}");
    }
}
