//! Augmentations: random changes of training images that leave their labels right, drawn anew in every step, so that a network
//! learns what does not matter.
//!
//! An augmentation is one file here and one line in [`KINDS`]. On the command line they are joined by commas, each with a number
//! or without: `flip,crop:4,noise:0.1`; they are applied in that order. The changes of an image are a function of the seed, the
//! step and the place in the batch alone, whatever the number of threads, so that a training can be resumed to the same bits.
//! Labels stay, but for mixup, which mixes them too. Pixels may leave 0 to 1, as under shifts.

mod affine;
mod blur;
mod brightness;
mod contrast;
mod crop;
mod cutout;
mod flip;
mod mixup;
mod noise;
mod rotation;
mod scale;
mod warp;

pub use affine::Affine;
pub use mixup::Mixing;

use crate::host::names::{self, UnknownName};
use crate::host::random::{Purpose, Random};
use crate::image::net::kernel::for_each_chunk;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Every kind of augmentation.
pub const KINDS: &[Kind] = &[
    flip::KIND,
    crop::KIND,
    affine::KIND,
    rotation::KIND,
    scale::KIND,
    brightness::KIND,
    contrast::KIND,
    noise::KIND,
    blur::KIND,
    cutout::KIND,
    mixup::KIND,
];

/// A kind of augmentation.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What it does with its number n.
    pub what: &'static str,
    /// The number unless another is given.
    pub usual: f64,
    /// The largest number; the smallest is 0.
    pub largest: f64,
    /// The augmentation with this number.
    build: fn(f64) -> Effect,
}

/// What an augmentation works on.
#[derive(Debug, Clone)]
enum Effect {
    /// Each image by itself.
    Image(Arc<dyn Change>),
    /// All images of a batch: shares of mixup's distribution.
    Batch(f64),
}

/// A random change of one image.
pub trait Change: fmt::Debug + Send + Sync {
    /// Changes `image`, whose shape is (channels, height, width).
    fn apply(&self, image: &mut [f32], shape: [usize; 3], random: &mut Random);
}

/// Augmentations in their order, as they were written; none by default.
#[derive(Debug, Clone, Default)]
pub struct Augmentation {
    text: String,
    changes: Vec<Arc<dyn Change>>,
    mixing: Option<f64>,
}

/// Why a text does not name augmentations.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AugmentationError {
    /// No kind has this name.
    #[error(transparent)]
    Unknown(#[from] UnknownName),
    /// The number is missing after a colon, or not in the range.
    #[error(
        "`{text}` is not an augmentation: the number of `{name}` is from 0 to {largest}; write for instance `{name}:{usual}`"
    )]
    Number {
        /// The text.
        text: String,
        /// The kind.
        name: &'static str,
        /// Its largest number.
        largest: f64,
        /// Its usual number.
        usual: f64,
    },
    /// One kind occurs twice.
    #[error("the augmentation `{0}` is named twice; give it one number that is large enough")]
    Twice(&'static str),
}

/// The place in a batch that stands for the batch as a whole; larger than any batch.
const WHOLE: u64 = (1 << 20) - 1;

impl Augmentation {
    /// Changes images `[n, channels, height, width]` at a step of a training. Returns how they were mixed with each other, if
    /// they were: their targets have to be mixed alike.
    pub fn apply(&self, pixels: &mut [f32], shape: [usize; 3], seed: u64, step: usize) -> Option<Mixing> {
        let random = |place: u64| Random::new(seed, Purpose::Augmentation, (step as u64) << 20 | place);
        if !self.changes.is_empty() {
            for_each_chunk(pixels, shape.iter().product(), |k, image| {
                let mut random = random(k as u64);
                self.changes.iter().for_each(|change| change.apply(image, shape, &mut random));
            });
        }
        let mixing = Mixing::drawn(self.mixing?, &mut random(WHOLE));
        mixing.mix(pixels, shape.iter().product());
        Some(mixing)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl fmt::Display for Augmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "none" } else { &self.text })
    }
}

impl FromStr for Augmentation {
    type Err = AugmentationError;

    fn from_str(text: &str) -> Result<Self, AugmentationError> {
        let mut augmentation = Augmentation::default();
        if text == "none" {
            return Ok(augmentation);
        }
        let mut seen = Vec::new();
        for part in text.split(',') {
            let (name, number) = part.split_once(':').map_or((part, None), |(name, number)| (name, Some(number)));
            let kind = names::find("augmentation", KINDS, |kind| kind.name, name)?;
            let Kind { name, usual, largest, .. } = *kind;
            let value = number.map_or(Some(usual), |text| text.parse().ok());
            let value = value.filter(|n: &f64| (0.0..=largest).contains(n));
            let value = value.ok_or_else(|| AugmentationError::Number { text: part.into(), name, largest, usual })?;
            if seen.contains(&name) {
                return Err(AugmentationError::Twice(name));
            }
            seen.push(name);
            match (kind.build)(value) {
                Effect::Image(change) => augmentation.changes.push(change),
                Effect::Batch(number) => augmentation.mixing = Some(number),
            }
        }
        augmentation.text = text.into();
        Ok(augmentation)
    }
}

/// The kinds with their numbers, one a line, for `--help`.
pub fn help() -> String {
    KINDS.iter().map(|kind| format!("  {:<16} {}\n", format!("{}:{}", kind.name, kind.usual), kind.what)).collect()
}

/// Uniform from -n to n.
fn around(random: &mut Random, n: f64) -> f64 {
    n * (2.0 * random.uniform() - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::net::kernel::tests::numbers;

    /// One image after the augmentation `text`, at this step.
    pub(super) fn changed(text: &str, image: &[f32], shape: [usize; 3], step: usize) -> Vec<f32> {
        let mut pixels = image.to_vec();
        text.parse::<Augmentation>().unwrap().apply(&mut pixels, shape, 5, step);
        pixels
    }

    #[test]
    fn images_depend_on_seed_step_and_place_and_not_on_threads() {
        let (shape, n) = ([3, 9, 8], 7);
        let images = numbers(n * 216, 1);
        let all = KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(",");
        for text in KINDS.iter().map(|kind| kind.name).chain([all.as_str()]) {
            let augmentation: Augmentation = text.parse().unwrap();
            let run = |threads: usize, seed: u64, step: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut pixels = images.clone();
                pool.install(|| augmentation.apply(&mut pixels, shape, seed, step));
                pixels
            };
            let first = run(1, 3, 40);
            assert_ne!(first, images, "{text} changes something");
            assert_eq!(run(3, 3, 40), first, "{text}");
            assert_ne!(run(1, 3, 41), first, "{text}: another step");
            assert_ne!(run(1, 4, 40), first, "{text}: another seed");
            assert!(first.iter().all(|pixel| pixel.is_finite()), "{text}");
        }
        // The place in the batch counts: equal images become different ones.
        let equal = images[..216].repeat(2);
        let mut pixels = equal.clone();
        "noise".parse::<Augmentation>().unwrap().apply(&mut pixels, shape, 0, 0);
        assert_ne!(pixels[..216], pixels[216..]);
    }

    #[test]
    fn the_number_zero_changes_nothing() {
        let image = numbers(192, 2);
        for kind in KINDS {
            let after = changed(&format!("{}:0", kind.name), &image, [3, 8, 8], 1);
            let farthest = after.iter().zip(&image).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(farthest < 1e-5, "{}: {farthest}", kind.name);
        }
    }

    #[test]
    fn mistakes_are_explained() {
        let error = |text: &str| text.parse::<Augmentation>().unwrap_err().to_string();
        assert!(error("flop").contains("there is no augmentation `flop`; did you mean `flip`?"), "{}", error("flop"));
        assert!(error("flip,,crop").contains("no augmentation ``"), "{}", error("flip,,crop"));
        for bad in ["crop:", "crop:x", "crop:-1", "crop:nan", "mixup:2", "flip:1.1"] {
            assert!(error(bad).contains("write for instance"), "{bad}: {}", error(bad));
        }
        assert!(error("flip,crop,flip").contains("named twice"));
        let both: Augmentation = "flip,crop:2".parse().unwrap();
        assert_eq!((both.to_string(), both.changes.len(), both.is_empty()), ("flip,crop:2".into(), 2, false));
        assert_eq!("none".parse::<Augmentation>().unwrap().to_string(), "none");
    }
}
