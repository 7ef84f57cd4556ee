//! Keeps the k images with the highest predictive entropy among all that a device has classified: those most worth labeling.
//!
//! k is the number of images that the memory holds, at most [`MAX_SAMPLES`]. Once all places are taken, an image replaces the
//! one with the lowest entropy, if its own is higher. Equal images are kept once, because a camera that stands still would
//! fill the memory with one scene.
//!
//! Cost for each image: one pass over the entries, and one copy of the image if it is kept.

use crate::limits::MAX_SAMPLES;
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// The description of a kept image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Its number: images are counted from 1 since the model was opened.
    pub number: u32,
    /// Predictive entropy in nats.
    pub entropy: f32,
    /// The class it was given.
    pub class: u8,
    /// Whether the answer was withheld.
    pub abstained: bool,
}

/// Kept images of one size.
#[derive(Debug)]
pub struct Retained<'a> {
    memory: &'a mut [u8],
    size: usize,
    /// Entry k is about the k-th image in memory.
    samples: Vec<Sample, MAX_SAMPLES>,
}

impl<'a> Retained<'a> {
    /// Room for images of `size` bytes, all of it free. With a size of zero no image is ever kept.
    ///
    /// ```
    /// use sirocco::retain::{Retained, Sample};
    /// let mut memory = [0; 2];
    /// let mut retained = Retained::new(&mut memory, 1);
    /// for (number, entropy) in [(1, 0.5), (2, 0.1), (3, 0.9)] {
    ///     retained.offer(Sample { number, entropy, class: 0, abstained: false }, &[number as u8]);
    /// }
    /// assert!(retained.image(3).is_some() && retained.image(2).is_none());
    /// ```
    pub fn new(memory: &'a mut [u8], size: usize) -> Self {
        Retained { memory, size, samples: Vec::new() }
    }

    /// The number of images that can be kept.
    pub fn capacity(&self) -> usize {
        self.memory.len().checked_div(self.size).unwrap_or(0).min(MAX_SAMPLES)
    }

    /// The kept images, in no particular order.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Keeps an image if there is room or its entropy is higher than the lowest one kept. Returns whether it is kept.
    pub fn offer(&mut self, sample: Sample, image: &[u8]) -> bool {
        if image.len() != self.size || self.size == 0 {
            return false;
        }
        if self.memory.chunks_exact(self.size).zip(&self.samples).any(|(kept, _)| kept == image) {
            return false;
        }
        let least = self.samples.iter().enumerate().min_by(|(_, a), (_, b)| {
            // Among equal ones the latest is replaced.
            a.entropy.total_cmp(&b.entropy).then(b.number.cmp(&a.number))
        });
        let place = match least {
            _ if self.samples.len() < self.capacity() => self.samples.len(),
            Some((place, least)) if least.entropy < sample.entropy => place,
            _ => return false,
        };
        let Some(room) = self.memory.chunks_exact_mut(self.size).nth(place) else { return false };
        for (to, from) in room.iter_mut().zip(image) {
            *to = *from;
        }
        match self.samples.get_mut(place) {
            Some(entry) => *entry = sample,
            // There is room: fewer are kept than the capacity.
            None => drop(self.samples.push(sample)),
        }
        true
    }

    /// A kept image by its number.
    pub fn image(&self, number: u32) -> Option<&[u8]> {
        let place = self.samples.iter().position(|sample| sample.number == number)?;
        self.memory.chunks_exact(self.size.max(1)).nth(place)
    }

    /// Removes all images.
    pub fn clear(&mut self) {
        self.samples.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec as Many;

    fn sample(number: u32, entropy: f32) -> Sample {
        Sample { number, entropy, class: 1, abstained: false }
    }

    proptest! {
        /// Compared with sorting all images.
        #[test]
        fn the_most_entropic_are_kept(entropies in prop::collection::vec(0u16..500, 0..100), capacity in 0usize..9) {
            let mut memory = std::vec![0; 3 * capacity + 2];
            let mut retained = Retained::new(&mut memory, 3);
            prop_assert_eq!(retained.capacity(), capacity);
            let mut all = Many::new();
            for (number, entropy) in (1u32..).zip(entropies) {
                let image = [number as u8, (number >> 8) as u8, 7];
                retained.offer(sample(number, f32::from(entropy)), &image);
                all.push((f32::from(entropy), image));
            }
            // Of equal ones the first seen stay.
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            all.truncate(capacity);
            let mut kept: Many<_> = retained.samples().iter().map(|s| (s.entropy, s.number)).collect();
            kept.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            prop_assert_eq!(kept.len(), all.len());
            for ((entropy, number), (expected, image)) in kept.into_iter().zip(all) {
                prop_assert_eq!(entropy, expected);
                prop_assert_eq!(retained.image(number), Some(&image[..]));
            }
        }
    }

    #[test]
    fn the_same_image_is_kept_once_and_wrong_sizes_never() {
        let mut memory = [0; 8];
        let mut retained = Retained::new(&mut memory, 2);
        assert!(retained.offer(sample(1, 0.5), &[1, 2]));
        assert!(!retained.offer(sample(2, 0.9), &[1, 2]));
        assert!(!retained.offer(sample(3, 0.9), &[1, 2, 3]));
        assert!(retained.offer(sample(4, 0.0), &[0, 0]), "an empty place is no image of zeros");
        assert_eq!(retained.samples().len(), 2);
        retained.clear();
        assert_eq!((retained.samples().len(), retained.image(1)), (0, None));
        assert!(!Retained::new(&mut [0; 8], 0).offer(sample(1, 1.0), &[]));
    }

    #[test]
    fn never_more_than_there_are_entries() {
        let mut memory = [0; 2 * MAX_SAMPLES];
        let mut retained = Retained::new(&mut memory, 1);
        for number in 0..2 * MAX_SAMPLES {
            assert!(retained.offer(sample(number as u32, number as f32), &[number as u8]));
        }
        assert_eq!((retained.capacity(), retained.samples().len()), (MAX_SAMPLES, MAX_SAMPLES));
    }
}
