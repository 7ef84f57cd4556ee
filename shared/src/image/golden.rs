//! Golden images: images in the model file, with the logits that every evaluator must give for them, bit for bit.

use super::{ImageError, Network};
use crate::classify::Logits;
use crate::error::ModelError;
use crate::layer::kernel::Kernel;
use crate::limits::MAX_GOLDEN;
use crate::model::Model;
use crate::summary::SelfTest;

/// Tensor of the images: (n, rows, columns, channels) `U8`.
pub const IMAGES: &str = "golden.images";
/// Tensor of the logits: (n, classes) `F32`.
pub const LOGITS: &str = "golden.logits";
/// Tensor of the outputs of a network that has values and no classes, in place of the logits: (n, outputs) `U8`.
pub const VALUES: &str = "golden.values";

/// Golden images of a file.
#[derive(Debug, Clone, Copy)]
pub struct Golden<'a> {
    images: &'a [u8],
    answers: Answers<'a>,
    count: usize,
}

/// What every evaluator must give for the images, one after the other.
#[derive(Debug, Clone, Copy)]
enum Answers<'a> {
    Logits(&'a [f32]),
    Values(&'a [u8]),
}

impl<'a> Golden<'a> {
    /// The golden images of a file, if it has any.
    ///
    /// # Errors
    /// [`ModelError::Golden`] if they do not fit the network, or one of the tensors is missing.
    pub fn open(model: &Model<'a>, network: &Network<'a>) -> Result<Option<Self>, ModelError> {
        let (name, width) = match network.value_count() {
            0 => (LOGITS, network.class_count()),
            values => (VALUES, values),
        };
        let (images, answers) = match (model.tensor(IMAGES), model.tensor(name)) {
            (None, None) => return Ok(None),
            (Some(images), Some(answers)) => (images, answers),
            _ => return Err(ModelError::Golden),
        };
        let count = images.shape.first().map_or(0, |n| *n as usize);
        let shape = network.image();
        let fits = (1..=MAX_GOLDEN).contains(&count)
            && images.has_shape(&[count, shape.height, shape.width, shape.channels])
            && answers.has_shape(&[count, width]);
        let answers = match name {
            VALUES => answers.u8().map(Answers::Values),
            _ => answers.f32().map(Answers::Logits),
        };
        match (images.u8(), answers) {
            (Some(images), Some(answers)) if fits => Ok(Some(Golden { images, answers, count })),
            _ => Err(ModelError::Golden),
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        // Never more than [`MAX_GOLDEN`].
        self.count
    }

    /// Always false, because a file without golden images has no [`Golden`].
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Compares the logits that `evaluate` gives for every image with the file's, bit for bit. An image that cannot be
    /// evaluated counts as a mismatch, and so does every image of a network that has values and no logits.
    pub fn replay_with(&self, mut evaluate: impl FnMut(&[u8]) -> Result<Logits, ImageError>) -> SelfTest {
        let mut result = SelfTest { queries: 0, mismatches: 0, first_mismatch: None };
        let size = self.images.len().checked_div(self.count).unwrap_or(0).max(1);
        for (index, image) in self.images.chunks_exact(size).enumerate() {
            let same = evaluate(image).is_ok_and(|logits| self.are_logits(index, &logits));
            if !same {
                result.mismatches += 1;
                result.first_mismatch = result.first_mismatch.or(Some(result.queries));
            }
            result.queries += 1;
        }
        result
    }

    /// Whether these are the logits of an image, to the last bit.
    fn are_logits(&self, index: usize, logits: &Logits) -> bool {
        let Answers::Logits(all) = self.answers else { return false };
        let expected = part(all, self.count, index);
        let pairs = logits.values().iter().zip(expected);
        logits.values().len() == expected.len() && pairs.into_iter().all(|(a, b)| a.to_bits() == b.to_bits())
    }

    /// The number of images whose logits or values differ from the file's in any bit, and the number of all images.
    ///
    /// # Errors
    /// [`ImageError`] if the arena is too small.
    pub fn replay<K: Kernel>(&self, network: &Network<'_>, arena: &mut [u32]) -> Result<(u16, u16), ImageError> {
        let (mut differing, mut count) = (0, 0);
        for (index, image) in self.images.chunks_exact(network.image().size().max(1)).enumerate() {
            let same = match self.answers {
                Answers::Logits(_) => self.are_logits(index, &network.logits::<K>(image, arena)?),
                Answers::Values(all) => network.values::<K>(image, arena)? == part(all, self.count, index),
            };
            differing += u16::from(!same);
            count += 1;
        }
        Ok((differing, count))
    }
}

/// The answer about image `index` of `count`.
fn part<T>(all: &[T], count: usize, index: usize) -> &[T] {
    let width = all.len().checked_div(count).unwrap_or(0);
    all.chunks_exact(width.max(1)).nth(index).unwrap_or(&[])
}
