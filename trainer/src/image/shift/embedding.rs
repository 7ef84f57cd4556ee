//! Embedding shift: an autoencoder's latent values plus a constant, decoded again; the constant 0 is reconstruction alone.

use super::autoencoder::Autoencoder;
use super::{FitInput, Kind, ShiftError, Step, Transform};
use crate::dataset::Images;
use crate::image::training::TrainingError;
use std::sync::Arc;

/// Steps of the autoencoder's training: its error falls little afterwards.
const STEPS: usize = 2000;

/// One constant for all images.
pub const EMBEDDING: Kind = Kind {
    name: "embedding",
    numbers: "a constant, or constant,steps of the autoencoder's training (2000 unless given)",
    what: "an autoencoder's latent values plus a constant; 0 is reconstruction alone",
    example: "embedding:2",
    levels: &["embedding:0", "embedding:1", "embedding:2"],
    build: |numbers| match *numbers {
        [constant] => Some(Arc::new(Plan { constants: vec![constant as f32], steps: STEPS })),
        [constant, steps] if steps >= 1.0 && steps.fract() == 0.0 => {
            Some(Arc::new(Plan { constants: vec![constant as f32], steps: steps as usize }))
        }
        _ => None,
    },
};

/// A constant for every class.
pub const BY_CLASS: Kind = Kind {
    name: "embedding-by-class",
    numbers: "a constant for every class",
    what: "an autoencoder's latent values plus their class's constant",
    example: "embedding-by-class:0,2",
    levels: &[],
    build: |numbers| match numbers {
        [_, _, ..] => Some(Arc::new(Plan { constants: numbers.iter().map(|c| *c as f32).collect(), steps: STEPS })),
        _ => None,
    },
};

/// The shift before its autoencoder is trained.
#[derive(Debug)]
struct Plan {
    /// One constant for all classes, or one for each.
    constants: Vec<f32>,
    steps: usize,
}

impl Step for Plan {
    fn learns(&self) -> bool {
        true
    }

    fn fit(&self, input: &FitInput<'_>) -> Result<Arc<dyn Transform>, ShiftError> {
        let FitInput { images, device, seed, cache, stop, watch } = *input;
        if ![1, images.classes].contains(&self.constants.len()) {
            return Err(ShiftError::Constants { constants: self.constants.len(), classes: images.classes });
        }
        let progress = |step: usize, error: f32| watch(step as f64 / self.steps as f64, error);
        let autoencoder = Autoencoder::cached(cache, images, self.steps, seed, device, stop, progress)?;
        Ok(Arc::new(Embedding { autoencoder, constants: self.constants.clone() }))
    }
}

/// The shift of these constants, with an autoencoder trained for so many steps.
#[cfg(test)]
pub(super) fn fitted(constants: Vec<f32>, steps: usize, input: &FitInput<'_>) -> Result<super::Fitted, ShiftError> {
    Ok(super::Fitted(vec![Plan { constants, steps }.fit(input)?]))
}

#[derive(Debug)]
struct Embedding {
    autoencoder: Autoencoder,
    constants: Vec<f32>,
}

impl Transform for Embedding {
    fn apply(&self, images: &Images, _: u64) -> Result<Images, ShiftError> {
        let constant = |k: usize| {
            let own = self.constants.get(usize::from(images.labels[k]));
            own.filter(|_| self.constants.len() > 1).or(self.constants.first()).copied().unwrap_or(0.0)
        };
        let learned = self.autoencoder.shape();
        if images.shape() != learned {
            return Err(ShiftError::Shape { learned, found: images.shape() });
        }
        self.autoencoder.reconstruct(images, constant).map_err(|e| TrainingError::from(e).into())
    }
}
