//! When the reproduction number changed.
//!
//! One change after the other is added where it raises the likelihood most, as long as Bayes' information criterion falls: two more
//! unknowns, the time and a reproduction number, have to raise twice the log-likelihood by twice the logarithm of the number of
//! counts. All times are tried on a grid of every interval, coarsely at first.

use super::Question;
use sirocco::limits::MAX_CHANGES;
use sirocco::math::ln;
use sirocco::outbreak::{Fit, OutbreakError, REPRODUCTION, Setting, Starts, fit};

/// Times that are tried at first.
const COARSE: usize = 24;
/// Intervals between two changes, and from a change to either end.
const APART: usize = 4;

/// About how many times are tried: what a progress bar counts.
pub const TRIALS: u64 = 3 * COARSE as u64;

/// The changes found, with the fit that has them.
#[derive(Debug, Clone)]
pub struct Found {
    /// The setting with the changes.
    pub setting: Setting,
    /// Its fit.
    pub fit: Fit,
}

/// The criterion of a fit: the smaller the better. The time of a change is unknown, too.
fn criterion(setting: &Setting, fit: &Fit, counted: f32) -> f32 {
    let unknowns = fit.free.count_ones() as usize + setting.changes.len();
    unknowns as f32 * ln(counted) - 2.0 * fit.log_likelihood
}

/// Finds at most `most` changes.
///
/// # Errors
/// Those of the fit without any change.
pub fn find(question: Question<'_, '_>, most: usize, mut done: impl FnMut(usize)) -> Result<Found, OutbreakError> {
    let Question { bundle, counts, setting } = question;
    let counted = counts.iter().filter(|count| !count.value.is_nan()).count() as f32;
    let mut best = (setting.clone(), fit(bundle, counts, setting, Starts::Guessed)?);
    let mut least = criterion(&best.0, &best.1, counted);
    let mut times: Vec<f32> = counts.iter().map(|count| count.t).collect();
    times.sort_unstable_by(f32::total_cmp);
    times.dedup();
    while best.0.changes.len() < most.min(MAX_CHANGES) {
        let free: Vec<f32> = times
            .iter()
            .enumerate()
            .filter(|(place, time)| {
                let far = |other: &f32| times.iter().filter(|t| (**t - *other) * (**t - **time) <= 0.0).count() > APART;
                *place >= APART && place + APART < times.len() && best.0.changes.iter().all(far)
            })
            .map(|(_, time)| *time)
            .collect();
        let step = (free.len() / COARSE).max(1);
        let mut found: Option<(usize, Setting, Fit)> = None;
        let mut attempt = |place: usize, found: &mut Option<(usize, Setting, Fit)>| {
            let Some((setting, from)) = free.get(place).and_then(|time| with_change(&best, *time)) else { return };
            // The guesses may lead to another optimum than the fit with one change less.
            for starts in [from, Starts::Guessed] {
                let Ok(fit) = fit(bundle, counts, &setting, starts) else { continue };
                if found.as_ref().is_none_or(|(_, _, known)| fit.log_likelihood > known.log_likelihood) {
                    *found = Some((place, setting.clone(), fit));
                }
            }
            done(1);
        };
        for place in (0..free.len()).step_by(step) {
            attempt(place, &mut found);
        }
        if let Some((middle, ..)) = found {
            for place in middle.saturating_sub(step - 1)..middle + step {
                attempt(place, &mut found);
            }
        }
        let Some((_, setting, fit)) = found else { break };
        let next = criterion(&setting, &fit, counted);
        if next >= least {
            break;
        }
        least = next;
        best = (setting, fit);
    }
    Ok(Found { setting: best.0, fit: best.1 })
}

/// The setting with one more change, and the fit's values with the piece there split in two.
fn with_change((setting, fit): &(Setting, Fit), time: f32) -> Option<(Setting, Starts)> {
    let mut setting = setting.clone();
    let place = setting.changes.iter().filter(|change| **change < time).count();
    setting.changes.insert(place, time).ok()?;
    let range = *setting.reproduction.get(place)?;
    setting.reproduction.insert(place, range).ok()?;
    let mut values = fit.values;
    values.get_mut(REPRODUCTION + place..)?.rotate_right(1);
    let after = *values.get(REPRODUCTION + place + 1)?;
    *values.get_mut(REPRODUCTION + place)? = after;
    Some((setting, Starts::From(values)))
}
