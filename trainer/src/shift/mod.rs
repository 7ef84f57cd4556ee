//! Covariate shifts: what may happen to images between the place where a network was trained and the one where it works.
//!
//! A shift is one file here and one line in [`KINDS`]. On the command line it is `name:numbers`, several joined by `+`:
//! `awgn:0.5`, `blur:2.5`, `channel:0.1,0,-0.1+contrast:0.5`. Labels never change; pixels may leave 0 to 1, as a network
//! that normalises its own input does not care.

mod blur;
mod contrast;
mod noise;

use crate::dataset::Images;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Every kind of shift.
pub const KINDS: &[Kind] = &[noise::KIND, blur::KIND, contrast::CONTRAST, contrast::BRIGHTNESS, contrast::CHANNEL];

/// A kind of shift.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Its numbers.
    pub numbers: &'static str,
    /// What it does, with the formula.
    pub what: &'static str,
    /// An example that shows clearly.
    pub example: &'static str,
    /// The shift of these numbers, if they are right in count and range.
    build: fn(&[f64]) -> Option<Arc<dyn Transform>>,
}

/// What a shift does.
trait Transform: fmt::Debug + Send + Sync {
    /// Shifts all images; random parts depend on `seed` and the image's index alone, not on the number of threads.
    fn apply(&self, images: &Images, seed: u64) -> Images;
}

/// A sequence of shifts, as it was written. None at all is `none`.
#[derive(Debug, Clone)]
pub struct Shift {
    text: String,
    steps: Vec<Arc<dyn Transform>>,
}

impl Shift {
    /// Shifts all images. The same seed gives the same images, whatever the number of threads.
    pub fn apply(&self, images: &Images, seed: u64) -> Images {
        let each = self.steps.iter().zip(0..);
        each.fold(images.clone(), |images, (step, index)| step.apply(&images, seed.wrapping_add(index << 32)))
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text names no shift.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShiftError {
    /// No kind has this name.
    #[error("there is no shift `{name}`; write one of: {}", known())]
    Unknown {
        /// What was written.
        name: String,
    },
    /// The numbers are wrong.
    #[error("`{text}` is no shift: `{name}` takes {numbers}; write for instance `{example}`")]
    Numbers {
        /// What was written.
        text: String,
        /// The kind of shift.
        name: &'static str,
        /// What it takes.
        numbers: &'static str,
        /// How it is written.
        example: &'static str,
    },
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

fn step(text: &str) -> Result<Arc<dyn Transform>, ShiftError> {
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
        text.parse::<Shift>().unwrap().apply(images, 0)
    }

    #[test]
    fn examples_are_shifts_and_keep_shape_and_labels() {
        let images = Images::new([3, 8, 8], (0..384).map(|k| k as f32 / 384.0).collect(), vec![1, 0], 2).unwrap();
        for kind in KINDS {
            let found = shifted(kind.example, &images);
            assert_eq!((found.shape(), &found.labels), (images.shape(), &images.labels));
            assert_ne!(found.pixels, images.pixels, "{}", kind.name);
        }
        assert_eq!(shifted("none", &images), images);
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
