//! Covariate shifts: changes of images between the place where a network was trained and the place where it is used.
//!
//! A shift is one file here and one line in [`KINDS`]. On the command line it is `name:numbers`, several joined by `+`:
//! `awgn:0.5`, `blur:2.5`, `channel:0.1,0,-0.1+contrast:0.5`. Labels never change. Pixels may leave 0 to 1, which a network
//! that normalizes its own input accepts. Some shifts learn from training images before they can be applied ([`Shift::fit`]).

pub mod autoencoder;
mod blur;
mod contrast;
mod embedding;
mod noise;

use crate::dataset::Images;
use crate::host::checkpoint::CheckpointError;
use crate::host::interrupt::Interrupt;
use crate::image::training::TrainingError;
use candle_core::Device;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

/// Every kind of shift.
pub const KINDS: &[Kind] = &[
    noise::KIND,
    blur::KIND,
    contrast::CONTRAST,
    contrast::BRIGHTNESS,
    contrast::CHANNEL,
    embedding::EMBEDDING,
    embedding::BY_CLASS,
];

/// A kind of shift.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// A description of its numbers.
    pub numbers: &'static str,
    /// Its effect, with the formula.
    pub what: &'static str,
    /// An example with a clearly visible effect.
    pub example: &'static str,
    /// Examples for a gallery, from weak to strong.
    pub levels: &'static [&'static str],
    /// The shift with these numbers, if their count and ranges are right.
    build: fn(&[f64]) -> Option<Arc<dyn Step>>,
}

/// A shift that can be applied.
trait Transform: fmt::Debug + Send + Sync {
    /// Shifts all images; random parts depend on `seed` and the image's index alone, not on the number of threads.
    fn apply(&self, images: &Images, seed: u64) -> Result<Images, ShiftError>;
}

/// A shift as it was written, which may have to learn before it can be applied.
trait Step: fmt::Debug + Send + Sync {
    /// Whether it learns from images.
    fn learns(&self) -> bool;

    /// Learns, if needed.
    fn fit(&self, input: &FitInput<'_>) -> Result<Arc<dyn Transform>, ShiftError>;
}

/// A transform that learns nothing is its own step.
impl<T: Transform + Clone + 'static> Step for T {
    fn learns(&self) -> bool {
        false
    }

    fn fit(&self, _: &FitInput<'_>) -> Result<Arc<dyn Transform>, ShiftError> {
        Ok(Arc::new(self.clone()))
    }
}

/// The data and settings that shifts learn with.
#[derive(Clone, Copy)]
pub struct FitInput<'a> {
    /// Training images, in the shape of those that will be shifted.
    pub images: &'a Images,
    /// The device on which shifts are learned and applied.
    pub device: &'a Device,
    /// Seed of the learning.
    pub seed: u64,
    /// The folder that keeps the results of learning for later runs.
    pub cache: Option<&'a Path>,
    /// Ends the learning.
    pub stop: &'a Interrupt,
    /// Called with the share that is done and the error.
    pub watch: &'a dyn Fn(f64, f32),
}

/// A sequence of shifts, as it was written; `none` is the empty one.
#[derive(Debug, Clone)]
pub struct Shift {
    text: String,
    steps: Vec<Arc<dyn Step>>,
}

/// A sequence of shifts that can be applied.
#[derive(Debug, Clone, Default)]
pub struct Fitted(Vec<Arc<dyn Transform>>);

impl Shift {
    /// Whether it learns from images before it can be applied.
    pub fn learns(&self) -> bool {
        self.steps.iter().any(|step| step.learns())
    }

    /// Learns, if needed, from images like those that will be shifted.
    ///
    /// # Errors
    /// [`ShiftError`] if the shift learns and cannot, or its constants are not as many as classes.
    pub fn fit(&self, input: &FitInput<'_>) -> Result<Fitted, ShiftError> {
        self.steps.iter().map(|step| step.fit(input)).collect::<Result<_, _>>().map(Fitted)
    }
}

impl Fitted {
    /// Shifts all images. The same seed gives the same images, whatever the number of threads.
    ///
    /// # Errors
    /// [`ShiftError::Shape`] if the shift was fitted to images of another shape, [`ShiftError::Training`] if the autoencoder
    /// cannot be computed.
    pub fn apply(&self, images: &Images, seed: u64) -> Result<Images, ShiftError> {
        let mut shifted = images.clone();
        for (transform, index) in self.0.iter().zip(0..) {
            shifted = transform.apply(&shifted, seed.wrapping_add(index << 32))?;
        }
        Ok(shifted)
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text does not name a shift, or a shift cannot be fitted or applied.
#[derive(Debug, thiserror::Error)]
pub enum ShiftError {
    /// No kind has this name.
    #[error("there is no shift `{name}`; write one of: {}", known())]
    Unknown {
        /// The name.
        name: String,
    },
    /// The count or the range of the numbers is wrong.
    #[error("`{text}` is not a shift: `{name}` takes {numbers}; write for instance `{example}`")]
    Numbers {
        /// The text.
        text: String,
        /// The kind of shift.
        name: &'static str,
        /// A description of its numbers.
        numbers: &'static str,
        /// An example.
        example: &'static str,
    },
    /// The number of constants is neither 1 nor that of the classes.
    #[error(
        "there are {constants} constants for {classes} classes; give one for each, or `embedding` with one for all"
    )]
    Constants {
        /// The constants given.
        constants: usize,
        /// The classes of the images.
        classes: usize,
    },
    /// The images differ in shape from those that the shift was fitted to.
    #[error("the shift has learned from images of {learned:?}, these are {found:?}; fit it to images of this shape")]
    Shape {
        /// Channels, rows, columns it was fitted to.
        learned: [usize; 3],
        /// Those of the images.
        found: [usize; 3],
    },
    /// The autoencoder could not be trained or computed.
    #[error("the autoencoder of the embedding shift: {0}")]
    Training(#[from] TrainingError),
    /// The file that keeps the autoencoder is damaged or cannot be written.
    #[error("the autoencoder of the embedding shift: {0}")]
    File(#[from] CheckpointError),
}

fn known() -> String {
    let each = KINDS.iter().map(|kind| format!("`{}` ({})", kind.example, kind.numbers));
    format!("`none`, {}; join several by `+`", each.collect::<Vec<_>>().join(", "))
}

impl FromStr for Shift {
    type Err = ShiftError;

    fn from_str(text: &str) -> Result<Self, ShiftError> {
        let steps = if text == "none" { Ok(Vec::new()) } else { text.split('+').map(step).collect() };
        Ok(Self { text: text.into(), steps: steps? })
    }
}

fn step(text: &str) -> Result<Arc<dyn Step>, ShiftError> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let kind = KINDS.iter().find(|kind| kind.name == name);
    let kind = kind.ok_or_else(|| ShiftError::Unknown { name: name.into() })?;
    let numbers: Option<Vec<f64>> =
        rest.split(',').map(|n| n.trim().parse().ok().filter(|v: &f64| v.abs() <= 1e3)).collect();
    numbers.and_then(|numbers| (kind.build)(&numbers)).ok_or_else(|| ShiftError::Numbers {
        text: text.into(),
        name: kind.name,
        numbers: kind.numbers,
        example: kind.example,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn grey(size: usize, n: usize, pixel: impl Fn(usize) -> f32) -> Images {
        let pixels = (0..n * size * size).map(pixel).collect();
        Images::new([1, size, size], pixels, vec![0; n], 1).unwrap()
    }

    pub(super) fn shifted(text: &str, images: &Images) -> Images {
        shifted_by(text, images, 0)
    }

    pub(super) fn shifted_by(text: &str, images: &Images, seed: u64) -> Images {
        let stop = Interrupt::never();
        let input = FitInput { images, device: &Device::Cpu, seed: 0, cache: None, stop: &stop, watch: &|_, _| {} };
        text.parse::<Shift>().unwrap().fit(&input).unwrap().apply(images, seed).unwrap()
    }

    #[test]
    fn examples_are_shifts_and_keep_shape_and_labels() {
        let images = Images::new([3, 8, 8], (0..384).map(|k| k as f32 / 384.0).collect(), vec![1, 0], 2).unwrap();
        // Those that learn have tests of their own, with fewer steps.
        for kind in KINDS.iter().filter(|kind| !kind.example.parse::<Shift>().unwrap().learns()) {
            let found = shifted(kind.example, &images);
            assert_eq!((found.shape(), &found.labels), (images.shape(), &images.labels));
            assert_ne!(found.pixels, images.pixels, "{}", kind.name);
        }
        assert_eq!(shifted("none", &images), images);
    }

    #[test]
    fn levels_are_shifts() {
        for level in KINDS.iter().flat_map(|kind| kind.levels) {
            assert!(level.parse::<Shift>().is_ok(), "{level}");
        }
    }

    #[test]
    fn constants_belong_to_classes() {
        let images = Images::new([1, 8, 8], (0..192).map(|k| k as f32 / 192.0).collect(), vec![1, 0, 1], 2).unwrap();
        let fit = |constants: Vec<f32>| {
            let stop = Interrupt::never();
            let input = FitInput {
                images: &images,
                device: &Device::Cpu,
                seed: 0,
                cache: None,
                stop: &stop,
                watch: &|_, _| {},
            };
            embedding::fitted(constants, 2, &input)
        };
        let [none, one, two] =
            [vec![0.0], vec![0.0, 1.0], vec![1.0]].map(|c| fit(c).unwrap().apply(&images, 0).unwrap());
        assert_eq!([one.image(0), one.image(1), one.image(2)], [two.image(0), none.image(1), two.image(2)]);
        assert_ne!(none.image(0), two.image(0));
        assert!(matches!(fit(vec![1.0; 3]).unwrap_err(), ShiftError::Constants { constants: 3, classes: 2 }));
        let other = Images::new([1, 4, 4], vec![0.0; 16], vec![0], 2).unwrap();
        assert!(matches!(fit(vec![1.0]).unwrap().apply(&other, 0).unwrap_err(), ShiftError::Shape { .. }));
    }

    #[test]
    fn steps_are_taken_in_order() {
        let images = grey(2, 1, |_| 0.5);
        assert!(shifted("brightness:0.2+contrast:0.5", &images).pixels.iter().all(|p| (p - 0.6).abs() < 1e-6));
        assert!(shifted("contrast:0.5+brightness:0.2", &images).pixels.iter().all(|p| (p - 0.7).abs() < 1e-6));
        // Two noises are independent of each other: their variances add up.
        let twice = shifted("awgn:0.1+awgn:0.1", &grey(100, 4, |_| 0.5));
        let variance = twice.pixels.iter().map(|p| (p - 0.5).powi(2)).sum::<f32>() / 4e4;
        assert!((variance - 0.02).abs() < 1e-3, "{variance}");
    }

    #[test]
    fn mistakes_are_explained() {
        let error = |text: &str| text.parse::<Shift>().unwrap_err().to_string();
        assert!(error("fog:1").contains("no shift `fog`") && error("fog:1").contains("`blur:2.5`"));
        for bad in ["awgn", "awgn:", "awgn:x", "awgn:-1", "awgn:1,2,3", "awgn:nan", "blur:0", "channel:1", "blur:inf"] {
            assert!(error(bad).contains("write for instance"), "{bad}: {}", error(bad));
        }
        assert_eq!("blur:2.5+awgn:0,0.5".parse::<Shift>().unwrap().to_string(), "blur:2.5+awgn:0,0.5");
    }
}
