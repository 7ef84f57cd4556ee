//! What is usual for a network, from training images that were held out of its training: `sirocco::drift::usual` has the format.
//!
//! A bet pays (u / (1 - u))^strength in a bin whose middle rank is u, divided by what that pays on average on images as usual. The probabilities of the bins are those of the ranks among n held-out images. A new image falls into
//! a bin with a probability that differs from them by chance, so all payments are divided by 1 + 2 s / sqrt(n) besides, where s is
//! the standard deviation of the payment: with few held-out images the test is slower, and its rate of false alarms still holds.

use super::answers::{Answer, answers};
use super::trust::{self, Thresholds};
use crate::host::model_file::OwnedTensor;
use crate::statistics::{deviation, mean, median};
use safetensors::Dtype;
use sirocco::drift::usual;
use sirocco::error::Key;
use sirocco::image::{ImageError, Network};

/// Images to a false alarm, at least, on average.
pub const IMAGES: f64 = 10_000.0;
/// Ranks between the bins, as shares. Outer bins that would hold fewer than [`LEAST`] held-out images are joined.
const RANKS: [f64; 10] = [0.005, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.995];
/// Least held-out images of a bin.
const LEAST: f64 = 5.0;
/// Strengths of the bets; negative ones are on scores below what is usual.
const STRENGTHS: [f64; 6] = [0.2, 0.45, 0.8, -0.2, -0.45, -0.8];
/// Variance that is added to that of each feature, as a share of the mean over features: so that a feature that never varies on
/// the training images does not decide alone.
const FLOOR: f64 = 0.2;

/// Means and weights of the features, from images with their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Center {
    /// The mean of every class.
    pub means: Vec<Vec<u8>>,
    /// The weight of every feature.
    pub weights: Vec<u8>,
}

impl Center {
    /// The mean features of each of so many classes, and weights inverse to the variance within classes.
    pub fn of(features: &[(&[u8], u8)], classes: usize) -> Self {
        let width = features.first().map_or(0, |(row, _)| row.len());
        let mut sums = vec![vec![0.0; width]; classes];
        let mut counts = vec![0usize; classes];
        for (row, label) in features {
            counts[usize::from(*label)] += 1;
            sums[usize::from(*label)].iter_mut().zip(*row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        for (sum, count) in sums.iter_mut().zip(&counts) {
            sum.iter_mut().for_each(|s| *s /= (*count).max(1) as f64);
        }
        let mut variances = vec![0.0; width];
        for (row, label) in features {
            let mean = &sums[usize::from(*label)];
            for ((variance, x), m) in variances.iter_mut().zip(*row).zip(mean) {
                *variance += (f64::from(*x) - m).powi(2) / features.len() as f64;
            }
        }
        let floor = FLOOR * variances.iter().sum::<f64>() / width.max(1) as f64 + 1e-3;
        let largest = variances.iter().map(|v| 1.0 / (v + floor)).fold(0.0, f64::max);
        let weights = variances.iter().map(|v| (255.0 / (v + floor) / largest).round() as u8).collect();
        let means = sums.iter().map(|row| row.iter().map(|m| m.round() as u8).collect()).collect();
        Center { means, weights }
    }

    /// The distance of the features from a class, as a device computes it.
    pub fn distance(&self, class: usize, features: &[u8]) -> f64 {
        let terms = features.iter().zip(&self.means[class]).zip(&self.weights);
        terms.map(|((x, m), w)| u64::from(*w) * u64::from(x.abs_diff(*m)).pow(2)).sum::<u64>() as f64
    }
}

/// The answers to held-out images, by the temperature that suits them, and what is usual in them.
#[derive(Debug)]
pub struct HeldOut {
    /// The temperature.
    pub temperature: f64,
    /// The answers.
    pub answers: Vec<Answer>,
    /// The right answers.
    pub labels: Vec<u8>,
    /// What is usual.
    pub usual: Usual,
}

impl HeldOut {
    /// Evaluates a network on other images, for the means of the features, and on held-out ones; both with their labels.
    ///
    /// # Errors
    /// [`ImageError`] if the pixels are not those of whole images.
    pub fn of(network: &Network<'_>, others: (&[f32], &[u8]), held: (&[f32], &[u8])) -> Result<Self, ImageError> {
        let seen = answers(network, others.0, &|| ())?;
        let features: Vec<(&[u8], u8)> =
            seen.iter().zip(others.1).map(|(a, label)| (&a.features[..], *label)).collect();
        let center = Center::of(&features, network.class_count());
        let raw = answers(network, held.0, &|| ())?;
        let temperature = trust::temperature(&raw, held.1);
        let answers = trust::cooled(&raw, temperature);
        Ok(HeldOut { temperature, usual: Usual::of(center, &answers), labels: held.1.to_vec(), answers })
    }

    /// The thresholds that withhold this share.
    pub fn thresholds(&self, share: f64) -> Thresholds {
        let distances: Vec<f32> = self.answers.iter().map(|answer| self.usual.relative(answer)[1]).collect();
        Thresholds::of(&self.answers, &distances, share)
    }

    /// What the file states; the moments of the entropy are for firmware that has no sequential test.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        let entropies: Vec<f64> = self.answers.iter().map(|a| f64::from(a.entropy)).collect();
        let deviation = deviation(&entropies);
        let mut entries =
            vec![("held_out.images", self.answers.len().to_string()), (Key::Usual.key(), IMAGES.to_string())];
        if deviation > 0.0 {
            entries.push((Key::EntropyMean.key(), format!("{:e}", mean(&entropies) as f32)));
            entries.push((Key::EntropyDeviation.key(), format!("{:e}", deviation as f32)));
        }
        entries
    }
}

/// What is usual, ready for the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Usual {
    center: Center,
    /// Median entropy and distance of every class; and its share of the answers, with two standard errors added, so that a class
    /// that is rare by chance among the held-out images does not seem to become frequent.
    scales: [Vec<f32>; 3],
    quantiles: [Vec<f32>; 2],
    bets: [Vec<Vec<f32>>; 2],
}

impl Usual {
    /// What is usual in the answers to held-out images.
    pub fn of(center: Center, answers: &[Answer]) -> Self {
        let classes = center.means.len();
        let of = |answer: &Answer| [f64::from(answer.entropy), center.distance(answer.class, &answer.features)];
        let scores: Vec<(usize, [f64; 2])> = answers.iter().map(|answer| (answer.class, of(answer))).collect();
        let scale = |score: usize, class: usize| {
            let all =
                |any: bool| scores.iter().filter(move |(c, _)| any || *c == class).map(|(_, s)| s[score]).collect();
            let own: Vec<f64> = all(false);
            // A class that is hardly ever answered is taken as the average one.
            let values = if own.len() < 10 { all(true) } else { own };
            median(&values).max(1e-6) as f32
        };
        let share = |class: usize| {
            let count = scores.iter().filter(|(c, _)| *c == class).count();
            let n = (scores.len() + classes) as f64;
            let found = (count as f64 + 1.0) / n;
            (found + 2.0 * (found * (1.0 - found) / n).sqrt()).min(1.0) as f32
        };
        let scales = [
            (0..classes).map(|class| scale(0, class)).collect::<Vec<f32>>(),
            (0..classes).map(|class| scale(1, class)).collect(),
            (0..classes).map(share).collect(),
        ];
        let mut quantiles = [Vec::new(), Vec::new()];
        let mut probabilities = Vec::new();
        for score in [0, 1] {
            let relative = |(class, values): &(usize, [f64; 2])| values[score] as f32 / scales[score][*class];
            let mut sorted: Vec<f32> = scores.iter().map(relative).collect();
            sorted.sort_by(f32::total_cmp);
            (quantiles[score], probabilities) = bins(&sorted);
        }
        let payments: Vec<Vec<f32>> =
            STRENGTHS.iter().map(|strength| payments(&probabilities, *strength, scores.len())).collect();
        Usual { center, scales, quantiles, bets: [payments.clone(), payments] }
    }

    /// Entropy and distance of an answer, divided by what is usual for its class.
    pub fn relative(&self, answer: &Answer) -> [f32; 2] {
        let distance = self.center.distance(answer.class, &answer.features) as f32;
        [answer.entropy / self.scales[0][answer.class], distance / self.scales[1][answer.class]]
    }

    /// The tensors of the file.
    pub fn tensors(&self) -> Vec<OwnedTensor> {
        let (classes, width) = (self.center.means.len(), self.center.weights.len());
        let rows = self.center.means.iter().chain([&self.center.weights]);
        let bytes: Vec<u8> = rows.flatten().copied().collect();
        let bins = self.quantiles[0].len() + 1;
        let payments: Vec<f32> = self.bets.iter().flatten().flatten().copied().collect();
        vec![
            OwnedTensor { name: usual::FEATURES.into(), dtype: Dtype::U8, shape: vec![classes + 1, width], bytes },
            OwnedTensor::f32(usual::SCALES.into(), &[3, classes], &self.scales.concat()),
            OwnedTensor::f32(usual::QUANTILES.into(), &[2, bins - 1], &self.quantiles.concat()),
            OwnedTensor::f32(usual::BETS.into(), &[2, STRENGTHS.len(), bins], &payments),
        ]
    }
}

/// Bounds between bins of a sorted sample, and the probability of each bin for one more draw of the same distribution.
fn bins(sorted: &[f32]) -> (Vec<f32>, Vec<f64>) {
    let n = sorted.len() as f64;
    let fits = |rank: &&f64| (**rank * n).min((1.0 - **rank) * n) >= LEAST;
    let ranks: Vec<usize> = RANKS.iter().filter(fits).map(|rank| (rank * n).round() as usize).collect();
    let bounds = ranks.iter().map(|rank| sorted[rank - 1]).collect();
    let edges: Vec<f64> = [0].iter().chain(&ranks).map(|rank| *rank as f64 / (n + 1.0)).chain([1.0]).collect();
    (bounds, edges.windows(2).map(|pair| pair[1] - pair[0]).collect())
}

/// What a bet of this strength pays in bins of these probabilities, by n images.
fn payments(probabilities: &[f64], strength: f64, n: usize) -> Vec<f32> {
    let mut below = 0.0;
    let raw: Vec<f64> = probabilities
        .iter()
        .map(|p| {
            let middle = below + 0.5 * p;
            below += p;
            (middle / (1.0 - middle)).powf(strength)
        })
        .collect();
    let mean: f64 = raw.iter().zip(probabilities).map(|(b, p)| b * p).sum();
    let square: f64 = raw.iter().zip(probabilities).map(|(b, p)| (b / mean).powi(2) * p).sum();
    let margin = 1.0 + 2.0 * ((square - 1.0).max(0.0) / n.max(1) as f64).sqrt();
    raw.iter().map(|b| (b / mean / margin) as f32).collect()
}
