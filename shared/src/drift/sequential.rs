//! A sequential test for drift with a stated rate of false alarms, whatever the distribution of the scores.
//!
//! A bet b pays b(s) on an image of score s, and on images as usual it pays 1 on average, or less. The evidence of a bet is
//!
//! R = (1 + R before) b(s),
//!
//! the sum over all beginnings of what a gambler who began there has made of 1 (Shiryaev 1963, Roberts 1966). After n images as
//! usual it is at most n on average. The same holds for the mean over all bets, so an alarm where that reaches A comes at most once in
//! A images, on average (Shin, Ramdas and Rinaldo, E-detectors, 2023); A is the file's `usual.images`. Bets are made of bins, some
//! on scores above what is usual and some below, some for a strong drift and some for a weak one.
//!
//! The classes' frequencies have a test of their own: a class c that usually has at most the share p of the answers is bet on by
//! 1 - f + f / p if c is answered, or else 1 - f, with f = 0.2.
//!
//! Cost for each image: an addition and a multiplication for each bet and each class.

use super::reading::{Sign, State};
use super::usual::{Scores, Usual};
use crate::limits::{MAX_BETS, MAX_CLASSES};
use crate::math::ln;

/// The share of a gambler's wealth that is bet on a class.
const STAKE: f32 = 0.2;
/// Evidence is cut here, to stay finite.
const MAX_EVIDENCE: f32 = 1e30;

/// The evidence so far.
#[derive(Debug, Clone)]
pub struct Sequential {
    images: u16,
    /// Of the bets on the entropy, then of those on the distance.
    bets: [f32; MAX_BETS],
    classes: [f32; MAX_CLASSES],
}

/// The signs of the scores: below what is usual, and above.
const SIGNS: [[Sign; 2]; 2] = [[Sign::EntropyBelow, Sign::EntropyAbove], [Sign::DistanceBelow, Sign::DistanceAbove]];

impl Default for Sequential {
    fn default() -> Self {
        Self::new()
    }
}

impl Sequential {
    /// No evidence.
    pub fn new() -> Self {
        Sequential { images: 0, bets: [0.0; MAX_BETS], classes: [0.0; MAX_CLASSES] }
    }

    /// Adds an image.
    pub fn add(&mut self, scores: Scores, usual: &Usual<'_>) {
        let Some(relative) = scores.relative else { return };
        self.images = self.images.saturating_add(1);
        let mut evidence = self.bets.iter_mut();
        for (score, value) in relative.into_iter().enumerate() {
            let bin = usual.bin(score, value);
            for (bet, evidence) in usual.bets(score).zip(evidence.by_ref()) {
                *evidence = ((1.0 + *evidence) * bet.get(bin).copied().unwrap_or(1.0)).min(MAX_EVIDENCE);
            }
        }
        for (class, evidence) in self.classes.iter_mut().enumerate().take(usual.classes()) {
            let win = if class == scores.class { STAKE / usual.share(class) } else { 0.0 };
            *evidence = ((1.0 + *evidence) * (1.0 - STAKE + win)).min(MAX_EVIDENCE);
        }
    }

    /// The evidence for drift: the mean over all bets.
    pub fn evidence(&self, usual: &Usual<'_>) -> f32 {
        let mut sum = 0.0;
        for evidence in self.bets {
            sum += evidence;
        }
        sum / (usual.bets(0).count() + usual.bets(1).count()).max(1) as f32
    }

    /// The state now.
    pub fn state(&self, usual: &Usual<'_>) -> State {
        let evidence = self.evidence(usual);
        let score = (self.images > 0).then(|| ln(evidence.max(1e-3)) * core::f32::consts::LOG10_E);
        State { filled: self.images, score, alarm: evidence >= usual.images() }
    }

    /// What is most unusual, if the evidence is large enough for an alarm.
    pub fn sign(&self, usual: &Usual<'_>) -> Option<Sign> {
        if self.evidence(usual) < usual.images() {
            return None;
        }
        let (mut best, mut sign) = (-1.0, None);
        let mut evidence = self.bets.iter();
        for (score, [below, above]) in SIGNS.into_iter().enumerate() {
            for (bet, evidence) in usual.bets(score).zip(evidence.by_ref()) {
                if *evidence > best {
                    let rises = bet.last() > bet.first();
                    (best, sign) = (*evidence, Some(if rises { above } else { below }));
                }
            }
        }
        sign
    }

    /// The class that is most clearly more frequent than usual, if the evidence for that is large enough.
    pub fn frequent(&self, usual: &Usual<'_>) -> Option<u8> {
        let (mut sum, mut best, mut class) = (0.0, -1.0, 0);
        for (k, evidence) in (0u8..).zip(self.classes).take(usual.classes()) {
            sum += evidence;
            if evidence > best {
                (best, class) = (evidence, k);
            }
        }
        (sum >= usual.images() * usual.classes() as f32).then_some(class)
    }
}

#[cfg(test)]
mod tests {
    use super::super::usual::tests::TOY;
    use super::*;

    fn scores(class: usize, relative: [f32; 2]) -> Scores {
        Scores { class, entropy: 0.0, relative: Some(relative) }
    }

    /// The number of images up to the first alarm, and its sign.
    fn first(relative: [f32; 2]) -> (usize, Sign) {
        let mut test = Sequential::new();
        for k in 1.. {
            test.add(scores(k % 2, relative), &TOY);
            if let Some(sign) = test.sign(&TOY) {
                assert!(test.state(&TOY).alarm);
                return (k, sign);
            }
            assert!(!test.state(&TOY).alarm);
        }
        unreachable!()
    }

    #[test]
    fn every_direction_of_drift_raises_the_alarm_with_its_sign() {
        // One of four bets wins 1.5 each time: R = 3 (1.5^n - 1), a quarter of it is at least 100 from n = 13 on; where two win,
        // their mean is twice that, from 11 on.
        assert_eq!(first([2.0, 2.0]), (11, Sign::EntropyAbove));
        assert_eq!(first([0.5, 0.5]), (11, Sign::EntropyBelow));
        let mut mixed = Sequential::new();
        for k in 0..20 {
            mixed.add(scores(0, [if k % 2 == 0 { 2.0 } else { 0.5 }, 2.0]), &TOY);
        }
        assert_eq!(mixed.sign(&TOY), Some(Sign::DistanceAbove));
        let state = mixed.state(&TOY);
        assert!((state.score.unwrap() - mixed.evidence(&TOY).log10()).abs() < 1e-5 && state.filled == 20);
    }

    #[test]
    fn evidence_is_the_sum_over_all_beginnings() {
        let mut test = Sequential::new();
        for relative in [[2.0, 0.5], [2.0, 2.0], [0.5, 2.0]] {
            test.add(scores(0, relative), &TOY);
        }
        // The bet on high entropy: ((1.5 + 1) 1.5 + 1) 0.5 = 2.375; low: 0.875; high distance 3.375, low 1.125 ...
        let expected = [
            ((1.5f32 + 1.0) * 1.5 + 1.0) * 0.5,
            ((0.5 + 1.0) * 0.5 + 1.0) * 1.5,
            ((0.5 + 1.0) * 1.5 + 1.0) * 1.5,
            ((1.5 + 1.0) * 0.5 + 1.0) * 0.5,
        ];
        assert_eq!(test.bets[..4], expected);
        assert_eq!(test.evidence(&TOY), expected.iter().sum::<f32>() / 4.0);
        assert_eq!(Sequential::new().state(&TOY).score, None);
    }

    #[test]
    fn a_class_that_becomes_frequent_is_no_drift_of_the_images() {
        let mut test = Sequential::new();
        let mut found = None;
        for k in 0..60 {
            // Scores as usual: half of them above the bound.
            let score = if k % 2 == 0 { 2.0 } else { 0.5 };
            test.add(scores(1, [score, score]), &TOY);
            found = found.or(test.frequent(&TOY).map(|class| (k, class)));
        }
        assert!(matches!(found, Some((5..=20, 1))), "{found:?}");
        assert_eq!(test.sign(&TOY), None);
    }

    #[test]
    fn evidence_stays_finite_and_falls_again() {
        let mut test = Sequential::new();
        (0..2000).for_each(|_| test.add(scores(0, [2.0, 2.0]), &TOY));
        assert!(test.evidence(&TOY).is_finite() && test.sign(&TOY).is_some());
        (0..200).for_each(|_| test.add(scores(0, [0.5, 0.5]), &TOY));
        (0..2000).for_each(|k| test.add(scores(0, [if k % 2 == 0 { 0.5 } else { 2.0 }; 2]), &TOY));
        assert_eq!(test.sign(&TOY), None);
    }
}
