//! Residuals of a fit, summed up, so that a model that does not fit its counts can be recognized.

use crate::math::{abs, sqrt};
use serde::{Deserialize, Serialize};

/// Counts of which fewer are expected say nothing by their sign: they are zero, below what is expected, most of the time.
const EXPECTED: f32 = 1.0;
/// Runs that are this many standard deviations fewer than chance would make: one fit in 700 that is right has as few.
const FEW: f32 = -3.0;

/// Residuals of a fit: their size, and how long they stay on one side.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Check {
    /// The sum of squared residuals, each in units of its standard deviation.
    pub pearson: f32,
    /// Number of counts minus number of unknowns: about what `pearson` is if the noise is right.
    pub freedom: u16,
    /// How many standard deviations more runs of residuals of one sign there are than chance would make (Wald and Wolfowitz,
    /// 1940). Far below zero, the curve passes the counts by.
    pub runs: f32,
    /// The count with the largest residual.
    pub worst: u16,
    /// That residual in units of its standard deviation.
    pub residual: f32,
}

impl Check {
    /// Whether the residuals go together too much for a model that is right.
    pub fn misfits(&self) -> bool {
        self.runs < FEW
    }
}

/// Sums up residuals.
#[derive(Debug, Default)]
pub(super) struct Checker {
    check: Check,
    above: f32,
    below: f32,
    runs: f32,
    last: bool,
}

impl Checker {
    /// Adds count number `index`, its mean, and the inverse of its variance. `scatter` tells whether counts scatter as whole people
    /// do.
    pub fn add(&mut self, index: u16, (count, mean): (f32, f32), weight: f32, scatter: bool) {
        let residual = (count - mean) * sqrt(weight);
        self.check.pearson += residual * residual;
        if abs(residual) > abs(self.check.residual) {
            (self.check.worst, self.check.residual) = (index, residual);
        }
        if scatter && mean < EXPECTED {
            return;
        }
        let up = residual > 0.0;
        if self.above + self.below == 0.0 || up != self.last {
            self.runs += 1.0;
        }
        self.last = up;
        *(if up { &mut self.above } else { &mut self.below }) += 1.0;
    }

    /// The sums, for this many counts more than unknowns.
    pub fn end(self, freedom: u16) -> Check {
        let Checker { check, above, below, runs, .. } = self;
        let n = above + below;
        let pairs = 2.0 * above * below;
        let variance = pairs * (pairs - n) / (n * n * (n - 1.0));
        let runs = if variance > 0.0 { (runs - pairs / n - 1.0) / sqrt(variance) } else { 0.0 };
        Check { freedom, runs, ..check }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_against_chance() {
        let of = |signs: &[f32]| {
            let mut checker = Checker::default();
            for (index, sign) in signs.iter().enumerate() {
                checker.add(index as u16, (10.0 + sign, 10.0), 1.0, true);
            }
            checker.end(3)
        };
        // Ten of each sign: 11 runs are expected, with a variance of 4.737.
        let two: [f32; 20] = core::array::from_fn(|k| if k < 10 { 1.0 } else { -1.0 });
        assert!((of(&two).runs + 9.0 / sqrt(4.736_842)).abs() < 1e-5 && of(&two).misfits());
        let twenty: [f32; 20] = core::array::from_fn(|k| if k % 2 == 0 { 1.0 } else { -2.0 });
        let check = of(&twenty);
        assert!(check.runs > 4.0 && !check.misfits() && check.worst == 1 && check.residual == -2.0);
        assert_eq!(check.pearson, 50.0);
        assert_eq!(of(&[]).runs, 0.0);
    }
}
