//! The settings of a training, and its stages.

use super::objective::Teacher;
use crate::image::augment::Augmentation;

/// The rule by which a step follows from gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Optimizer {
    /// Adam
    Adam,
    /// Stochastic gradient descent with momentum 0.9
    Sgd,
}

/// How the learning rate changes over a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Schedule {
    /// The same rate throughout
    Constant,
    /// Falls to zero along half a cosine
    Cosine,
}

impl Schedule {
    /// The factor of the learning rate after the share `done` of the stage.
    fn at(self, done: f64) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos()),
        }
    }
}

/// The settings of a training.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Images of a batch.
    pub batch: usize,
    /// Learning rate.
    pub rate: f64,
    /// How the learning rate changes over a stage.
    pub schedule: Schedule,
    /// Steps at the start of a stage over which the learning rate rises to `rate` in equal parts.
    pub warm_up: usize,
    /// The rule of a step.
    pub optimizer: Optimizer,
    /// Every step shrinks the weights by this share, times the learning rate.
    pub decay: f64,
    /// The share of every label that is spread over all classes.
    pub smoothing: f64,
    /// Whether the loss of an image is divided by the frequency of its class in the subset.
    pub balanced: bool,
    /// The result is a moving average of the weights, of which a step keeps this share; without it, the last weights.
    pub average: Option<f64>,
    /// Random changes of the images, drawn anew in every step.
    pub augmentation: Augmentation,
    /// A network whose answers are learned besides the labels.
    pub teacher: Option<Teacher>,
    /// Whether the loss takes probabilities for logits. That is a defect of public code for such experiments, here only for the
    /// study of what it changes.
    pub softmax_twice: bool,
    /// Seed of the order of images, of their changes and of dropout.
    pub seed: u64,
}

impl Settings {
    /// Adam at 1e-3 on batches of 64, and nothing else: what the studies use throughout.
    pub fn usual(seed: u64) -> Self {
        Settings {
            batch: 64,
            rate: 1e-3,
            schedule: Schedule::Constant,
            warm_up: 0,
            optimizer: Optimizer::Adam,
            decay: 0.0,
            smoothing: 0.0,
            balanced: false,
            average: None,
            augmentation: Augmentation::default(),
            teacher: None,
            softmax_twice: false,
            seed,
        }
    }

    /// The learning rate of step `step` of a stage of `steps`.
    pub(super) fn rate_at(&self, step: usize, steps: usize) -> f64 {
        let warm_up = self.warm_up.min(steps);
        if step < warm_up {
            return self.rate * (step + 1) as f64 / warm_up as f64;
        }
        self.rate * self.schedule.at((step - warm_up) as f64 / (steps - warm_up).max(1) as f64)
    }
}

/// A part of a training, on one subset of the images: steps from `first` to `end`.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    /// Number of the stage. Every stage has its own order of images.
    pub number: u64,
    /// First step.
    pub first: usize,
    /// Step before which it ends.
    pub end: usize,
    /// Indices of the images to train on.
    pub subset: &'a [usize],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_in_equal_parts_and_falls_along_a_cosine() {
        let settings = Settings { rate: 0.4, warm_up: 4, schedule: Schedule::Cosine, ..Settings::usual(0) };
        let rates: Vec<f64> = (0..=12).map(|step| settings.rate_at(step, 12)).collect();
        for (found, expected) in rates.iter().zip([0.1, 0.2, 0.3, 0.4, 0.4]) {
            assert!((found - expected).abs() < 1e-12, "{rates:?}");
        }
        assert!((rates[8] - 0.2).abs() < 1e-12 && rates[12].abs() < 1e-12, "{rates:?}");
        assert!(rates[4..].windows(2).all(|pair| pair[1] < pair[0]), "{rates:?}");
        // A warm-up longer than the stage never divides by zero.
        assert_eq!(Settings { warm_up: 10, ..settings }.rate_at(1, 2), 0.4);
    }
}
