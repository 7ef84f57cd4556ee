//! What is behind the counts of an outbreak: reproduction number, infectious period, start and size, from counts as people
//! have them.
//!
//! The epidemic is SIR with S + I + R = 1, by a bundle, and with another reproduction number after each given time if need be:
//! the end of one piece is the beginning of the next, with all derivatives. With C(t) and D(t) the shares that were infected
//! and that recovered since time 0, an interval or a time has the expected count ([`Observable`])
//!
//! K (C(to) - C(from)) + b (to - from) for new cases, and alike for the others,
//!
//! where K is the number of people that a share of 1 would count (the population times the fraction that is reported) and b a
//! background. From given times on, K is multiplied by a ratio ([`ReportingChange`]), because more or fewer are tested. Counts scatter around it ([`Noise`]) with a constant variance, with the mean as variance (Poisson), or with
//! mean + mean^2 / k (negative binomial, dispersion k).
//!
//! The estimates maximize the likelihood over the logarithms of the unknowns, by Fisher scoring: Gauss-Newton with the inverse
//! variances as weights and the deviance as loss (McCullagh and Nelder, *Generalized Linear Models*, 2.5). The dispersion
//! maximizes the likelihood that is adjusted for the other unknowns ([`dispersion`]). Standard errors are those of the
//! logarithms, from the Fisher information.

mod check;
pub mod dispersion;
mod epidemic;
mod fit;
mod noise;
mod shape;

pub use check::Check;
pub use epidemic::{curve, expected};
pub use fit::{Starts, fit, fit_watched, least_deviance};

use crate::bundle::Range;
use crate::calibrate::Covariance;
use crate::limits::{MAX_CHANGES, MAX_COUNTS, MAX_PARAMETERS, MAX_REPORTING_CHANGES, MAX_SERIES, MAX_UNKNOWNS};
use crate::query::QueryError;
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observable {
    /// Incidence: those infected within an interval.
    NewCases,
    /// Those who recover or die within an interval.
    NewRemovals,
    /// Prevalence: those infected at a time.
    Infected,
    /// Those not infected until a time.
    Susceptible,
    /// Those recovered or dead at a time.
    Removed,
}

impl Observable {
    /// Whether an interval is counted, and not a state.
    pub fn is_flow(self) -> bool {
        matches!(self, Observable::NewCases | Observable::NewRemovals)
    }
}

/// What was counted until a time, or at it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// The time, or the end of an interval, which begins where that of the count before ends.
    pub t: f32,
    /// The count. NaN if nobody counted.
    pub value: f32,
}

/// The counts a device keeps: eight months of daily ones.
pub type Counts = Vec<Count, MAX_COUNTS>;

/// Consecutive counts of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What is counted.
    pub observable: Observable,
    /// Where the first interval begins.
    pub start: f32,
    /// How many counts there are.
    pub counts: u16,
}

/// How counts scatter around what is expected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Noise {
    /// All with this standard deviation, which the residuals tell if it is not given.
    Gaussian {
        /// The standard deviation.
        sigma: Option<f32>,
    },
    /// The variance is the mean.
    Poisson,
    /// The variance is mean + mean^2 / dispersion.
    NegativeBinomial {
        /// The dispersion, which is estimated if it is not given.
        dispersion: Option<f32>,
    },
}

/// From a time on, another fraction of cases is reported: testing began, or a laboratory was overwhelmed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReportingChange {
    /// The time. The counts whose intervals end later are concerned.
    pub from: f32,
    /// The fraction reported from then on, divided by that at the beginning.
    pub ratio: Range,
}

/// What is asked about the counts. A parameter with a range of one value is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// The counts in their order.
    pub series: Vec<Series, MAX_SERIES>,
    /// How they scatter.
    pub noise: Noise,
    /// The share infected at time 0.
    pub infected: Range,
    /// The recovery rate gamma: the inverse of the infectious period.
    pub recovery: Range,
    /// K: how many would be counted if all were infected.
    pub scale: Range,
    /// What is counted per unit of time without any epidemic. Zero only if it is known.
    pub background: Range,
    /// The basic reproduction number beta / gamma, before and after every change.
    pub reproduction: Vec<Range, { MAX_CHANGES + 1 }>,
    /// The times at which the reproduction number changes, ascending: one less than there are reproduction numbers.
    pub changes: Vec<f32, MAX_CHANGES>,
    /// The share that is immune from the beginning.
    pub removed: f32,
    /// The changes of what is reported, ascending.
    pub reporting: Vec<ReportingChange, MAX_REPORTING_CHANGES>,
}

/// The parameters in the order of [`Fit::values`]; from [`REPRODUCTION`] on, the reproduction numbers of the pieces, and then the
/// ratios of what is reported.
pub const INFECTED: usize = 0;
/// The recovery rate.
pub const RECOVERY: usize = 1;
/// K.
pub const SCALE: usize = 2;
/// The background.
pub const BACKGROUND: usize = 3;
/// The reproduction number of the first piece.
pub const REPRODUCTION: usize = 4;

/// Values of all parameters, padded with zeros.
pub type Parameters = [f32; MAX_PARAMETERS];

impl Setting {
    /// The ranges of the parameters, padded with zeros.
    fn ranges(&self) -> [Range; MAX_PARAMETERS] {
        let mut ranges = [Range { lo: 0.0, hi: 0.0 }; MAX_PARAMETERS];
        let first = [self.infected, self.recovery, self.scale, self.background];
        let pieces = self.reproduction.iter().copied();
        let ratios = self.reporting.iter().map(|change| change.ratio);
        ranges.iter_mut().zip(first.into_iter().chain(pieces).chain(ratios)).for_each(|(to, from)| *to = from);
        ranges
    }

    /// The place of the first ratio of what is reported among the parameters.
    pub fn reporting_place(&self) -> usize {
        REPRODUCTION + self.reproduction.len()
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.reporting_place() + self.reporting.len()
    }

    /// The series, each with the place of its first count and with its counts.
    pub fn parts<'s>(&'s self, counts: &'s [Count]) -> impl Iterator<Item = (&'s Series, usize, &'s [Count])> {
        let mut next = 0;
        self.series.iter().map(move |series| {
            let first = next;
            next += usize::from(series.counts);
            (series, first, counts.get(first..next).unwrap_or_default())
        })
    }
}

/// The estimates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// The parameters, estimated or known.
    pub values: Parameters,
    /// Bit k: parameter k is estimated.
    pub free: u16,
    /// Bit k: the estimate lies at an end of its range.
    pub at_bound: u16,
    /// Bit k: the counts leave the parameter open.
    pub open: u16,
    /// The covariance of the logarithms of the estimated parameters, in their order.
    pub covariance: Covariance,
    /// Twice the log-likelihood that is missing to a perfect fit; with Gaussian noise, the sum of squared residuals.
    pub deviance: f32,
    /// The logarithm of the likelihood, to compare fits of different settings to the same counts.
    pub log_likelihood: f32,
    /// The dispersion k of negative binomial noise, infinite for Poisson noise; of Gaussian noise the standard deviation.
    pub dispersion: f32,
    /// How well the counts are met.
    pub check: Check,
    /// Number of evaluations of the model at all counts.
    pub evaluations: u16,
    /// Whether the last step was negligible.
    pub converged: bool,
}

impl Fit {
    /// Whether parameter `k` is estimated.
    pub fn is_free(&self, k: usize) -> bool {
        bit(self.free, k)
    }

    /// The place of parameter `k` among those estimated.
    pub fn place(&self, k: usize) -> Option<usize> {
        self.is_free(k).then(|| (0..k).filter(|j| self.is_free(*j)).count())
    }

    /// The standard error of the logarithm of parameter `k`: zero if it is known, infinite if it is left open.
    pub fn spread(&self, k: usize) -> f32 {
        match self.place(k) {
            Some(_) if bit(self.open, k) => f32::INFINITY,
            Some(place) => self.covariance.standard_error(place),
            None => 0.0,
        }
    }
}

/// Whether bit `k` is set.
fn bit(bits: u16, k: usize) -> bool {
    u32::try_from(k).ok().and_then(|k| bits.checked_shr(k)).is_some_and(|bits| bits & 1 == 1)
}

/// Why counts tell nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OutbreakError {
    /// The model is not of SIR.
    #[error("counts of an outbreak need a model of SIR")]
    NotSir,
    /// There are not more counts than unknowns.
    #[error("{have} counts, at least {need} are needed")]
    TooFew {
        /// Number of counts.
        have: u16,
        /// Number of counts needed.
        need: u16,
    },
    /// A count is negative or infinite, or its time is not after that of the count before.
    #[error("count {0} is negative or not finite, or is not later than the one before")]
    Count(u16),
    /// The series name more or fewer counts than there are.
    #[error("the series have {named} counts, but there are {have}")]
    Series {
        /// Number of counts in the series.
        named: u16,
        /// Number of counts there are.
        have: u16,
    },
    /// A range is empty, not positive or not finite, or a share is above 1.
    #[error("the range of parameter {0} is empty or impossible")]
    Range(u8),
    /// Changes are not ascending from above 0, or there is not one reproduction number more than changes of it.
    #[error("the times of change are not ascending from above 0, or do not fit the reproduction numbers")]
    Changes,
    /// A standard deviation or dispersion is not positive.
    #[error("the standard deviation or dispersion is not positive")]
    Noise,
    /// Nothing is unknown, or more than a fit can hold.
    #[error("{0} unknowns; between 1 and {max} can be estimated", max = MAX_UNKNOWNS)]
    Unknowns(u8),
    /// The counts do not depend on any unknown.
    #[error("the counts do not depend on what is to be estimated")]
    Singular,
    /// The model has no answer at any start.
    #[error("{0}")]
    Query(QueryError),
}
