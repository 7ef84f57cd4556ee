//! From logits to an answer: class, probabilities, predictive entropy, and whether to withhold it.
//!
//! p\[i\] = exp(l\[i\] - m) / Z with m = max l and Z = sum exp(l - m). The predictive entropy, in nats, is
//! H = - sum p ln p = ln Z - sum p (l - m): no logarithm of a probability, so none of zero.
//!
//! Absolute error of the f32 arithmetic over 20,000 draws of 2 to 128 classes, from flat to certain: probabilities at most
//! 4e-7, the entropy at most 1e-6 nats. What quantization does to the logits is larger by far: `image quantize` prints it.

use crate::limits::MAX_CLASSES;
use crate::math::{exp, ln};

/// One finite logit per class.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    values: [f32; MAX_CLASSES],
    count: usize,
}

/// An answer about an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Classification {
    /// The most probable class; the first of those, if there are several.
    pub class: usize,
    /// Its probability.
    pub probability: f32,
    /// Predictive entropy in nats: 0 if the network is certain, ln(classes) if all classes are equally probable.
    pub entropy: f32,
    /// Whether the answer is withheld, because the entropy is above the threshold.
    pub abstain: bool,
}

impl Logits {
    /// Zeros for this many classes, at most [`MAX_CLASSES`].
    pub fn new(count: usize) -> Self {
        Logits { values: [0.0; MAX_CLASSES], count: count.min(MAX_CLASSES) }
    }

    /// The logits.
    pub fn values(&self) -> &[f32] {
        self.values.get(..self.count).unwrap_or(&[])
    }

    /// The logits, for writing.
    pub fn values_mut(&mut self) -> &mut [f32] {
        self.values.get_mut(..self.count).unwrap_or(&mut [])
    }

    /// Converts the logits to probabilities.
    pub fn probabilities(mut self) -> Self {
        let (_, largest) = self.largest();
        let mut total = 0.0;
        for value in self.values_mut() {
            *value = exp(*value - largest);
            total += *value;
        }
        for value in self.values_mut() {
            *value /= total;
        }
        self
    }

    /// The answer, withheld if its entropy is above `threshold`. Cost: about 60 instructions per class.
    pub fn classify(&self, threshold: Option<f32>) -> Classification {
        let (class, largest) = self.largest();
        let (mut total, mut weighted) = (0.0, 0.0);
        for value in self.values() {
            let e = exp(value - largest);
            total += e;
            weighted += e * (value - largest);
        }
        let entropy = ln(total) - weighted / total;
        let abstain = threshold.is_some_and(|t| entropy > t);
        Classification { class, probability: 1.0 / total, entropy, abstain }
    }

    /// The index of the largest logit, the first of equal ones, and its value.
    fn largest(&self) -> (usize, f32) {
        let mut best = (0, f32::MIN);
        for (class, value) in self.values().iter().enumerate() {
            if *value > best.1 {
                best = (class, *value);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the module's documentation states.
    const PROBABILITY_ERROR: f64 = 4e-7;
    const ENTROPY_ERROR: f64 = 1e-6;

    fn logits(values: &[f32]) -> Logits {
        let mut logits = Logits::new(values.len());
        logits.values_mut().copy_from_slice(values);
        logits
    }

    #[test]
    fn certainty_and_ignorance() {
        let even = logits(&[3.0; 10]).classify(Some(2.3));
        assert_eq!((even.class, even.abstain), (0, true));
        assert!((even.entropy - 10f64.ln() as f32).abs() < 1e-6 && (even.probability - 0.1).abs() < 1e-7);
        let sure = logits(&[0.0, 500.0, -500.0]).classify(Some(2.3));
        assert_eq!(sure, Classification { class: 1, probability: 1.0, entropy: 0.0, abstain: false });
        assert!(!even.abstain || !logits(&[3.0; 10]).classify(None).abstain);
    }

    /// 20,000 draws of 2 to 128 classes, from flat to certain.
    #[test]
    fn errors_are_the_stated_ones() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut uniform = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u32 << 24) as f32
        };
        let mut worst = [0.0f64; 3];
        for draw in 0..20_000 {
            let (count, spread) = (2 + draw % 127, [0.1, 1.0, 5.0, 20.0, 100.0][draw % 5]);
            let values: std::vec::Vec<f32> = (0..count).map(|_| spread * (2.0 * uniform() - 1.0)).collect();
            let largest = values.iter().fold(f32::MIN, |m, v| m.max(*v));
            let exact: std::vec::Vec<f64> = values.iter().map(|v| (f64::from(*v) - f64::from(largest)).exp()).collect();
            let total: f64 = exact.iter().sum();
            let entropy: f64 = exact.iter().map(|e| e / total).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
            let found = logits(&values);
            let answer = found.classify(None);
            let probabilities = found.probabilities();
            let softmax = probabilities.values().iter().zip(&exact).map(|(a, e)| (f64::from(*a) - e / total).abs());
            worst[0] = worst[0].max(softmax.fold(0.0, f64::max));
            worst[1] = worst[1].max((f64::from(answer.probability) - 1.0 / total).abs());
            worst[2] = worst[2].max((f64::from(answer.entropy) - entropy).abs());
        }
        std::println!("softmax {:.2e}, probability {:.2e}, entropy {:.2e}", worst[0], worst[1], worst[2]);
        assert!(
            worst[0] <= PROBABILITY_ERROR && worst[1] <= PROBABILITY_ERROR && worst[2] <= ENTROPY_ERROR,
            "{worst:?}"
        );
    }

    #[test]
    fn agrees_with_f64() {
        let values: [f32; 7] = [1.5, -2.0, 0.25, 3.0, 2.9, -7.0, 0.0];
        let exponentials = values.map(|v| f64::from(v).exp());
        let total: f64 = exponentials.iter().sum();
        let p = exponentials.map(|e| e / total);
        let entropy: f64 = p.iter().map(|p| -p * p.ln()).sum();
        let got = logits(&values).classify(None);
        assert!((f64::from(got.entropy) - entropy).abs() < 1e-6);
        for (a, b) in logits(&values).probabilities().values().iter().zip(p) {
            assert!((f64::from(*a) - b).abs() < 1e-7);
        }
        assert_eq!(got.class, 3);
    }
}
