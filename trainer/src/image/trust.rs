//! How far answers can be trusted: temperature, calibration error, risk over coverage, thresholds, sets of classes.
//!
//! Everything that ends up in a file is fitted on held-out training images, and measured on test images.

use super::answers::Answer;
use serde::Serialize;
use sirocco::classify::{Classification, Logits};

/// Temperatures that are tried.
const TEMPERATURES: [f64; 2] = [0.25, 8.0];
/// What twice the difference of two log-likelihoods exceeds by chance in 5 % of all cases: chi-square with one degree of freedom.
const LIKELIHOOD_RATIO: f64 = 3.84;
/// Bins of the expected calibration error.
const BINS: usize = 15;
/// The part of the withheld answers that is withheld for the distance of the features.
const FAR: f64 = 0.2;

/// The probability of the label, and the answer, for logits divided by a temperature.
fn judged(answer: &Answer, label: u8, temperature: f64) -> (f64, Classification) {
    let mut logits = Logits::new(answer.logits.len());
    for (scaled, logit) in logits.values_mut().iter_mut().zip(&answer.logits) {
        *scaled = (f64::from(*logit) / temperature) as f32;
    }
    let classification = logits.classify(None);
    let probability = logits.probabilities().values().get(usize::from(label)).copied().unwrap_or(0.0);
    (f64::from(probability), classification)
}

/// The temperature whose probabilities predict the labels best: that of the lowest mean of -ln p (Guo et al. 2017), by golden
/// section over its logarithm, to a part in a thousand. It is 1 if the answers do not tell it from 1: few answers would give a
/// temperature that makes other images' probabilities worse.
pub fn temperature(answers: &[Answer], labels: &[u8]) -> f64 {
    let loss = |ln: f64| -> f64 {
        let each = answers.iter().zip(labels).map(|(a, l)| -judged(a, *l, ln.exp()).0.max(1e-12).ln());
        each.sum::<f64>()
    };
    let [mut low, mut high] = TEMPERATURES.map(f64::ln);
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    while high - low > 1e-3 {
        let (a, b) = (high - golden * (high - low), low + golden * (high - low));
        if loss(a) < loss(b) { high = b } else { low = a }
    }
    let found = 0.5 * (low + high);
    if 2.0 * (loss(0.0) - loss(found)) > LIKELIHOOD_RATIO { found.exp() } else { 1.0 }
}

/// The answers with their logits divided by a temperature.
pub fn cooled(answers: &[Answer], temperature: f64) -> Vec<Answer> {
    let one = |answer: &Answer| {
        let (_, Classification { probability, entropy, .. }) = judged(answer, 0, temperature);
        let logits = answer.logits.iter().map(|logit| (f64::from(*logit) / temperature) as f32).collect();
        Answer { probability, entropy, logits, ..answer.clone() }
    };
    answers.iter().map(one).collect()
}

/// The expected calibration error: the mean difference between probability and accuracy in 15 bins of equal width, weighted by
/// their images.
pub fn calibration_error(answers: &[Answer], labels: &[u8]) -> f64 {
    let mut bins = [(0.0, 0.0); BINS];
    for (answer, label) in answers.iter().zip(labels) {
        let probability = f64::from(answer.probability);
        let bin = &mut bins[((probability * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += probability;
        bin.1 += f64::from(u8::from(answer.class == usize::from(*label)));
    }
    bins.iter().map(|(probability, right)| (probability - right).abs()).sum::<f64>() / answers.len().max(1) as f64
}

/// A point of the risk-coverage curve, as shares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Risk {
    /// Answers given, those of the lowest entropy first.
    pub coverage: f64,
    /// Wrong ones among them.
    pub risk: f64,
}

/// The share of wrong answers over the share of answers that are given, at a hundred coverages.
pub fn risk_over_coverage(answers: &[Answer], labels: &[u8]) -> Vec<Risk> {
    let mut order: Vec<usize> = (0..answers.len()).collect();
    order.sort_by(|a, b| answers[*a].entropy.total_cmp(&answers[*b].entropy));
    let (mut wrong, mut risks) = (0usize, Vec::with_capacity(order.len()));
    for sample in order {
        wrong += usize::from(answers[sample].class != usize::from(labels[sample]));
        risks.push(wrong as f64 / (risks.len() + 1) as f64);
    }
    let count = risks.len().min(100);
    let at = |k: usize| (k + 1) * risks.len() / count;
    (0..count).map(|k| Risk { coverage: at(k) as f64 / risks.len() as f64, risk: risks[at(k) - 1] }).collect()
}

/// Above what an answer is withheld.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Predictive entropy in nats.
    pub entropy: f32,
    /// Relative distance of the features.
    pub distance: f32,
}

impl Thresholds {
    /// The thresholds that withhold this share of held-out answers, which have these relative distances: a fifth of them for their
    /// distance.
    pub fn of(answers: &[Answer], distances: &[f32], share: f64) -> Self {
        let rank = |values: &mut Vec<f32>, withheld: f64| {
            values.sort_by(f32::total_cmp);
            let kept = values.len().saturating_sub(withheld.round() as usize);
            values[kept.clamp(1, values.len()) - 1]
        };
        let n = answers.len() as f64;
        let distance = rank(&mut distances.to_vec(), FAR * share * n);
        let near = answers.iter().zip(distances).filter(|(_, d)| **d <= distance);
        let mut entropies: Vec<f32> = near.map(|(a, _)| a.entropy).collect();
        let far = n - entropies.len() as f64;
        Thresholds { entropy: rank(&mut entropies, share * n - far), distance }
    }

    /// Whether an answer of this relative distance is withheld.
    pub fn withhold(&self, answer: &Answer, distance: f32) -> bool {
        answer.entropy > self.entropy || distance > self.distance
    }
}

/// The sets of classes at a probability, measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sets {
    /// The coverage asked for.
    pub asked: f64,
    /// Classes of at least this probability belong to the set, and the most probable one always does.
    pub probability: f32,
    /// Share of the test images whose class is in its set.
    pub coverage: f64,
    /// Classes in a set, on average.
    pub size: f64,
}

/// The probability from which on a class belongs to the set, so that sets hold the right class with at least the probability
/// `coverage` for an image drawn like the held-out ones (split conformal prediction, Vovk et al. 2005).
pub fn set_probability(held: &[Answer], labels: &[u8], coverage: f64) -> f32 {
    let mut own: Vec<f32> = held.iter().zip(labels).map(|(a, l)| judged(a, *l, 1.0).0 as f32).collect();
    own.sort_by(f32::total_cmp);
    let missed = ((own.len() + 1) as f64 * (1.0 - coverage) + 1e-9).floor() as usize;
    missed.checked_sub(1).map_or(0.0, |k| own[k.min(own.len() - 1)])
}

/// Measures the sets on test images.
pub fn sets(answers: &[Answer], labels: &[u8], asked: f64, probability: f32) -> Sets {
    let (mut covered, mut size) = (0usize, 0usize);
    for (answer, label) in answers.iter().zip(labels) {
        let mut logits = Logits::new(answer.logits.len());
        logits.values_mut().copy_from_slice(&answer.logits);
        let all = logits.probabilities();
        let inside = |class: usize| class == answer.class || all.values()[class] >= probability;
        size += (0..all.values().len()).filter(|class| inside(*class)).count();
        covered += usize::from(inside(usize::from(*label)));
    }
    let n = answers.len().max(1) as f64;
    Sets { asked, probability, coverage: covered as f64 / n, size: size as f64 / n }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::host::random::{Purpose, Random};

    /// Answers of a network that is right with the probability it states, but for a factor on its logits; and the labels.
    pub fn overconfident(n: usize, factor: f64) -> (Vec<Answer>, Vec<u8>) {
        let mut random = Random::new(3, Purpose::Measurement, 0);
        let mut labels = Vec::new();
        let mut one = || {
            let mut logits = Logits::new(4);
            logits.values_mut().iter_mut().for_each(|l| *l = (2.0 * random.normal()) as f32);
            let (mut left, mut label) = (random.uniform(), 0);
            for (class, p) in logits.clone().probabilities().values().iter().enumerate() {
                if left >= 0.0 {
                    label = class;
                }
                left -= f64::from(*p);
            }
            labels.push(label as u8);
            logits.values_mut().iter_mut().for_each(|l| *l *= factor as f32);
            let Classification { class, probability, entropy, .. } = logits.classify(None);
            let logits = logits.values().to_vec();
            Answer { class, probability, entropy, abstain: false, logits, features: vec![] }
        };
        ((0..n).map(|_| one()).collect(), labels)
    }

    #[test]
    fn the_temperature_undoes_what_makes_a_network_too_certain() {
        let (answers, labels) = overconfident(4000, 2.5);
        let found = temperature(&answers, &labels);
        assert!((found - 2.5).abs() < 0.15, "{found}");
        let after = cooled(&answers, found);
        let errors = [&answers, &after].map(|answers| calibration_error(answers, &labels));
        assert!(errors[0] > 0.1 && errors[1] < 0.03, "{errors:?}");
        assert!(answers.iter().zip(&after).all(|(a, b)| a.class == b.class));
    }

    #[test]
    fn few_answers_of_a_network_that_is_as_certain_as_it_should_be_change_nothing() {
        let (answers, labels) = overconfident(4000, 1.0);
        let changed = answers.chunks(80).zip(labels.chunks(80)).filter(|(a, l)| temperature(a, l) != 1.0).count();
        // One of twenty by chance, of fifty.
        assert!(changed <= 6, "{changed}");
    }

    #[test]
    fn thresholds_withhold_the_share_that_was_asked_for() {
        let (answers, _) = overconfident(1000, 1.0);
        let mut random = Random::new(4, Purpose::Measurement, 0);
        let distances: Vec<f32> = (0..1000).map(|_| random.uniform() as f32).collect();
        for share in [0.0, 0.05, 0.5] {
            let thresholds = Thresholds::of(&answers, &distances, share);
            let withheld = answers.iter().zip(&distances).filter(|(a, d)| thresholds.withhold(a, **d)).count();
            assert_eq!(withheld, (1000.0 * share) as usize, "{thresholds:?}");
        }
    }

    #[test]
    fn sets_hold_the_right_class_as_often_as_asked() {
        let (answers, labels) = overconfident(8000, 1.7);
        let (held, test) = (&answers[..4000], &answers[4000..]);
        for asked in [0.8, 0.95] {
            let probability = set_probability(held, &labels[..4000], asked);
            let measured = sets(test, &labels[4000..], asked, probability);
            // Held-out and test images each leave about 0.6 points of chance at 80 %.
            assert!((measured.coverage - asked).abs() < 0.025 && measured.size < 4.0, "{measured:?}");
        }
        assert_eq!(set_probability(&held[..9], &labels[..9], 0.95), 0.0, "nine images vouch for no more than 90 %");
        assert!(set_probability(&held[..9], &labels[..9], 0.9) > 0.0);
    }

    #[test]
    fn risk_falls_with_the_answers_that_are_withheld() {
        let (answers, labels) = overconfident(2000, 1.0);
        let curve = risk_over_coverage(&answers, &labels);
        let wrong = answers.iter().zip(&labels).filter(|(a, l)| a.class != usize::from(**l)).count();
        assert_eq!(curve.last(), Some(&Risk { coverage: 1.0, risk: wrong as f64 / 2000.0 }));
        assert!(curve.len() == 100 && curve[29].risk < 0.5 * curve[99].risk, "{curve:?}");
        assert!(risk_over_coverage(&[], &[]).is_empty());
    }
}
