//! Parameters that the counts allow, drawn from the likelihood over the ranges of their logarithms.
//!
//! Forty walkers move by the stretch of Goodman and Weare (*Communications in Applied Mathematics and Computational Science* 5:65,
//! 2010), which needs no steps tuned to how strongly the parameters depend on each other. What follows from the parameters gets its
//! interval from the draws: peak, size, forecast.

use super::{Question, range_mut};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Gamma, Normal, Poisson};
use serde::Serialize;
use sirocco::bundle::Range;
use sirocco::outbreak::{Fit, Noise, OutbreakError, Parameters, Setting, Starts, least_deviance};

/// Walkers.
const WALKERS: usize = 40;
/// Rounds that are thrown away, and those that are kept.
const WARMUP: usize = 150;
const KEPT: usize = 50;
/// Rounds between two that are kept.
const APART: usize = 2;

/// Rounds of all walkers: what a progress bar counts.
pub const ROUNDS: u64 = (WARMUP + KEPT * APART) as u64;

/// Draws of the parameters.
#[derive(Debug, Clone)]
pub struct Draws {
    /// The parameters.
    pub values: Vec<Parameters>,
    noise: Noise,
    dispersion: f32,
    seed: u64,
}

/// The middle of draws, and what half and 95 % of them lie between.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f32,
    /// From the 25th to the 75th percentile.
    pub half: (f32, f32),
    /// From the 2.5th to the 97.5th percentile.
    pub most: (f32, f32),
}

impl Spread {
    /// The spread of numbers; `None` if there are none.
    pub fn of(mut numbers: Vec<f32>) -> Option<Self> {
        numbers.sort_unstable_by(f32::total_cmp);
        let last = numbers.len().checked_sub(1)?;
        let at = |share: f64| numbers.get((share * last as f64).round() as usize).copied().unwrap_or(f32::NAN);
        Some(Spread { median: at(0.5), half: (at(0.25), at(0.75)), most: (at(0.025), at(0.975)) })
    }
}

/// A walker: logarithms of the unknowns, and the deviance in units of the one that counts.
#[derive(Clone)]
struct Walker {
    at: Vec<f64>,
    deviance: f64,
}

/// What the walkers walk on.
struct Ground<'q, 'a> {
    question: Question<'q, 'a>,
    setting: Setting,
    unit: f32,
    unknowns: Vec<(usize, Range)>,
    best: Parameters,
}

impl Ground<'_, '_> {
    fn values(&self, at: &[f64]) -> Parameters {
        let mut values = self.best;
        for ((k, _), ln) in self.unknowns.iter().zip(at) {
            if let Some(value) = values.get_mut(*k) {
                *value = ln.exp() as f32;
            }
        }
        values
    }

    /// The deviance there; `None` outside the ranges, and where the model has no answer.
    fn deviance(&self, at: &[f64]) -> Option<f64> {
        let inside = |((_, range), ln): (&(usize, Range), &f64)| range.contains(ln.exp() as f32);
        if !self.unknowns.iter().zip(at).all(inside) {
            return None;
        }
        let (mut setting, values) = (self.setting.clone(), self.values(at));
        for (k, value) in values.iter().enumerate().take(self.setting.parameters()) {
            if let Some(range) = range_mut(&mut setting, k) {
                *range = Range { lo: *value, hi: *value };
            }
        }
        let (deviance, _) =
            least_deviance(self.question.bundle, self.question.counts, &setting, Starts::From(values)).ok()?;
        Some(f64::from(deviance / self.unit))
    }
}

impl Draws {
    /// Draws around a fit. `done` is called after every round with their number so far.
    ///
    /// # Errors
    /// [`OutbreakError::Singular`] if the likelihood cannot be evaluated anywhere near the fit.
    pub fn new(
        question: Question<'_, '_>,
        fit: &Fit,
        seed: u64,
        mut done: impl FnMut(u64),
    ) -> Result<Self, OutbreakError> {
        let (mut setting, unit) = question.settled(fit);
        let unknown = |k: usize| Some((k, *range_mut(&mut setting, k)?)).filter(|_| fit.is_free(k));
        let unknowns: Vec<_> = (0..question.setting.parameters()).filter_map(unknown).collect();
        let noise = setting.noise;
        let ground = Ground { question, setting, unit, unknowns, best: fit.values };
        let mut rng = StdRng::seed_from_u64(seed);
        let mut walkers = ground.start(fit, &mut rng);
        if walkers.len() < 2 * ground.unknowns.len() {
            return Err(OutbreakError::Singular);
        }
        let mut values = Vec::new();
        for round in 0..WARMUP + KEPT * APART {
            for mover in 0..walkers.len() {
                ground.stretch(&mut walkers, mover, &mut rng);
            }
            if round >= WARMUP && (round - WARMUP).is_multiple_of(APART) {
                values.extend(walkers.iter().map(|walker| ground.values(&walker.at)));
            }
            done(round as u64 + 1);
        }
        Ok(Draws { values, noise, dispersion: fit.dispersion, seed })
    }

    /// The spread of a function of the parameters, over the draws for which it has a value.
    pub fn spread(&self, function: impl FnMut(&Parameters) -> Option<f32>) -> Option<Spread> {
        Spread::of(self.values.iter().filter_map(function).filter(|value| value.is_finite()).collect())
    }

    /// Counts that scatter around these means as the noise of the fit does.
    pub fn scattered(&self, means: impl IntoIterator<Item = f32>) -> Vec<f32> {
        let mut rng = StdRng::seed_from_u64(self.seed ^ 0x5ca7);
        means.into_iter().map(|mean| self.count(mean, &mut rng)).collect()
    }

    fn count(&self, mean: f32, rng: &mut StdRng) -> f32 {
        let (mean, k) = (f64::from(mean), f64::from(self.dispersion));
        let poisson =
            |mean: f64, rng: &mut StdRng| Poisson::new(mean).map_or(0.0, |poisson| poisson.sample(rng)) as f32;
        match self.noise {
            Noise::Gaussian { .. } => {
                Normal::new(mean, k).map_or(f32::NAN, |normal| normal.sample(rng) as f32).max(0.0)
            }
            Noise::NegativeBinomial { .. } => {
                let rate = Gamma::new(k, mean / k).map_or(0.0, |gamma| gamma.sample(rng));
                poisson(rate, rng)
            }
            Noise::Poisson => poisson(mean, rng),
        }
    }
}

impl Ground<'_, '_> {
    /// Walkers around the best fit, a standard error away where that is known and not too far.
    fn start(&self, fit: &Fit, rng: &mut StdRng) -> Vec<Walker> {
        let mut walkers = Vec::new();
        for attempt in 0..20 * WALKERS {
            let shrink = 0.5 * 0.7f64.powi((attempt / WALKERS) as i32);
            let near = |(k, range): &(usize, Range), rng: &mut StdRng| {
                let spread = f64::from(fit.spread(*k).clamp(1e-4, 1.0)) * shrink;
                let best = f64::from(self.best.get(*k).copied().unwrap_or(f32::NAN)).ln();
                let ln = best + spread * (2.0 * rng.random::<f64>() - 1.0);
                // An estimate at the end of its range must not leave all walkers there.
                let (low, high) = (f64::from(range.lo).ln(), f64::from(range.hi).ln());
                if ln < low {
                    (2.0 * low - ln).min(high)
                } else if ln > high {
                    (2.0 * high - ln).max(low)
                } else {
                    ln
                }
            };
            let at: Vec<f64> = self.unknowns.iter().map(|unknown| near(unknown, rng)).collect();
            // Where the likelihood is a narrow ridge, walkers beside it would hardly find it.
            let near = f64::from(fit.deviance / self.unit) + 10.0 + 2.0 * at.len() as f64;
            if let Some(deviance) = self.deviance(&at).filter(|deviance| *deviance < near) {
                walkers.push(Walker { at, deviance });
            }
            if walkers.len() == WALKERS {
                break;
            }
        }
        walkers
    }

    /// Moves a walker along the line to another one.
    fn stretch(&self, walkers: &mut [Walker], mover: usize, rng: &mut StdRng) {
        let other = (mover + rng.random_range(1..walkers.len())) % walkers.len();
        // Of density 1 / sqrt z between a half and two.
        let z = (1.0 + rng.random::<f64>()).powi(2) / 2.0;
        let (Some(here), Some(there)) = (walkers.get(mover), walkers.get(other)) else { return };
        let at: Vec<f64> = here.at.iter().zip(&there.at).map(|(x, y)| y + z * (x - y)).collect();
        let Some(deviance) = self.deviance(&at) else { return };
        let odds = (at.len() as f64 - 1.0) * z.ln() + 0.5 * (here.deviance - deviance);
        if (odds >= 0.0 || rng.random::<f64>() < odds.exp())
            && let Some(walker) = walkers.get_mut(mover)
        {
            *walker = Walker { at, deviance };
        }
    }
}
