//! Golden images: images in the model file, with the logits that every evaluator must give for them, bit for bit.

use super::{ImageError, Network};
use crate::classify::Logits;
use crate::error::ModelError;
use crate::layer::kernel::Kernel;
use crate::limits::MAX_GOLDEN;
use crate::model::{Model, Tensor};
use crate::summary::SelfTest;

/// Tensor of the images: (n, rows, columns, channels) `U8`.
pub const IMAGES: &str = "golden.images";
/// Tensor of the logits: (n, classes) `F32`.
pub const LOGITS: &str = "golden.logits";

/// Golden images of a file.
#[derive(Debug, Clone, Copy)]
pub struct Golden<'a> {
    images: &'a [u8],
    logits: &'a [f32],
    count: usize,
}

impl<'a> Golden<'a> {
    /// The golden images of a file, if it has any.
    ///
    /// # Errors
    /// [`ModelError::Golden`] if they do not fit the network, or one of the tensors is missing.
    pub fn open(model: &Model<'a>, network: &Network<'a>) -> Result<Option<Self>, ModelError> {
        let (images, logits) = match (model.tensor(IMAGES), model.tensor(LOGITS)) {
            (None, None) => return Ok(None),
            (Some(images), Some(logits)) => (images, logits),
            _ => return Err(ModelError::Golden),
        };
        let count = images.shape.first().map_or(0, |n| *n as usize);
        let shape = network.image();
        let fits = (1..=MAX_GOLDEN).contains(&count)
            && images.has_shape(&[count, shape.height, shape.width, shape.channels])
            && logits.has_shape(&[count, network.classes().count()]);
        match (Tensor::u8(images), Tensor::f32(logits)) {
            (Some(images), Some(logits)) if fits => Ok(Some(Golden { images, logits, count })),
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
    /// evaluated counts as a mismatch.
    pub fn replay_with(&self, mut evaluate: impl FnMut(&[u8]) -> Result<Logits, ImageError>) -> SelfTest {
        let mut result = SelfTest { queries: 0, mismatches: 0, first_mismatch: None };
        let (size, classes) = (self.images.len().checked_div(self.count), self.logits.len().checked_div(self.count));
        let (size, classes) = (size.unwrap_or(0).max(1), classes.unwrap_or(0).max(1));
        for (image, expected) in self.images.chunks_exact(size).zip(self.logits.chunks_exact(classes)) {
            let same = evaluate(image).is_ok_and(|logits| {
                let pairs = logits.values().iter().zip(expected);
                logits.values().len() == expected.len() && pairs.into_iter().all(|(a, b)| a.to_bits() == b.to_bits())
            });
            if !same {
                result.mismatches += 1;
                result.first_mismatch = result.first_mismatch.or(Some(result.queries));
            }
            result.queries += 1;
        }
        result
    }

    /// The number of images whose logits differ from the file's in any bit, and the number of all images.
    ///
    /// # Errors
    /// [`ImageError`] if the arena is too small.
    pub fn replay<K: Kernel>(&self, network: &Network<'_>, arena: &mut [u32]) -> Result<(u16, u16), ImageError> {
        let (mut differing, mut count) = (0, 0);
        let expected = self.logits.chunks_exact(network.classes().count().max(1));
        for (image, expected) in self.images.chunks_exact(network.image().size().max(1)).zip(expected) {
            let logits = network.logits::<K>(image, arena)?;
            let same = logits.values().iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits());
            differing += u16::from(!same);
            count += 1;
        }
        Ok((differing, count))
    }
}
