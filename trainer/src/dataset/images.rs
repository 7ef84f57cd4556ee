//! Labeled images in memory: `pixels[n][channel][row][column]`, one label each.

use crate::host::random::{Purpose, Random};
use std::collections::BTreeMap;

/// A set of labeled images of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    /// Channels: 1 for grey, 3 for red, green, blue.
    pub channels: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Shape (n, channels, height, width), row-major. 0 to 1 as loaded; a shift may leave that range.
    pub pixels: Vec<f32>,
    /// Shape (n): the class of every image, below `classes`.
    pub labels: Vec<u8>,
    /// The number of classes. Their names are in the data set.
    pub classes: usize,
    /// The group of every image, if there are groups: a split holds out whole ones.
    groups: Vec<u32>,
}

/// Why numbers are not a set of images, or why images cannot be drawn from one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImagesError {
    /// The number of pixels is not that of as many images as there are labels.
    #[error("{labels} images of shape {shape:?} have {expected} pixels, but there are {pixels}")]
    Pixels {
        /// Channels, height, width.
        shape: [usize; 3],
        /// The number of labels.
        labels: usize,
        /// The number of pixels.
        pixels: usize,
        /// The number of pixels of as many images.
        expected: usize,
    },
    /// A label is not below the number of classes.
    #[error("image {index} has the label {label}, but there are {classes} classes (0 to {})", classes.saturating_sub(1))]
    Label {
        /// The image.
        index: usize,
        /// Its label.
        label: u8,
        /// The number of classes.
        classes: usize,
    },
    /// A pixel is infinite or NaN.
    #[error("image {index} has a pixel that is not finite")]
    NotFinite {
        /// The image.
        index: usize,
    },
    /// More images were asked for than there are.
    #[error("{wanted} images were asked for, but there are only {available}")]
    TooFew {
        /// The number of images asked for.
        wanted: usize,
        /// The number of images.
        available: usize,
    },
}

impl Images {
    /// Images of `shape` (channels, height, width).
    ///
    /// # Errors
    /// [`ImagesError`] if counts disagree, a label is not below `classes`, or a pixel is not finite.
    pub fn new(shape: [usize; 3], pixels: Vec<f32>, labels: Vec<u8>, classes: usize) -> Result<Self, ImagesError> {
        let [channels, height, width] = shape;
        let size = channels * height * width;
        let expected = labels.len() * size;
        if size == 0 || pixels.len() != expected {
            return Err(ImagesError::Pixels { shape, labels: labels.len(), pixels: pixels.len(), expected });
        }
        if let Some(index) = labels.iter().position(|&label| usize::from(label) >= classes) {
            return Err(ImagesError::Label { index, label: labels[index], classes });
        }
        if let Some(at) = pixels.iter().position(|p| !p.is_finite()) {
            return Err(ImagesError::NotFinite { index: at / size });
        }
        Ok(Self { channels, height, width, pixels, labels, classes, groups: Vec::new() })
    }

    /// The same images in groups, of which [`Images::split`] holds out whole ones.
    #[must_use]
    pub fn in_groups(self, groups: Vec<u32>) -> Self {
        debug_assert_eq!(groups.len(), self.len());
        Self { groups, ..self }
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Channels, height, width.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// The number of pixels of an image, in all channels.
    pub fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The pixels of image `index`, shape (channels, height, width).
    pub fn image(&self, index: usize) -> &[f32] {
        let size = self.image_len();
        &self.pixels[index * size..][..size]
    }

    /// The images of these indices, in that order. An index may occur twice.
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut pixels = Vec::with_capacity(indices.len() * self.image_len());
        for &index in indices {
            pixels.extend_from_slice(self.image(index));
        }
        let labels = indices.iter().map(|&i| self.labels[i]).collect();
        let groups = indices.iter().filter_map(|&i| self.groups.get(i).copied()).collect();
        Self { pixels, labels, groups, ..*self }
    }

    /// The first `count` images, or all if there are fewer.
    pub fn first(&self, count: usize) -> Self {
        self.select(&(0..count.min(self.len())).collect::<Vec<_>>())
    }

    /// Splits at random, the same way for the same seed: (the rest, `held_out` images). Of images in groups whole groups are held
    /// out, so that there may be more than `held_out`; their number gives the same split again.
    ///
    /// # Errors
    /// [`ImagesError::TooFew`] if `held_out` is more than there are.
    pub fn split(&self, held_out: usize, seed: u64) -> Result<(Self, Self), ImagesError> {
        let (rest, held) = self.split_order(held_out, seed)?;
        Ok((self.select(&rest), self.select(&held)))
    }

    /// The numbers of the images that [`Images::split`] gives, in its order.
    ///
    /// # Errors
    /// As for [`Images::split`].
    pub fn split_order(&self, held_out: usize, seed: u64) -> Result<(Vec<usize>, Vec<usize>), ImagesError> {
        if held_out > self.len() {
            return Err(ImagesError::TooFew { wanted: held_out, available: self.len() });
        }
        let mut order = permutation(self.len(), seed);
        let mut count = held_out;
        if self.groups.len() == self.len() {
            // Every group stands where the first of its images does.
            let mut place = BTreeMap::new();
            for at in &order {
                let next = place.len();
                place.entry(self.groups[*at]).or_insert(next);
            }
            order.sort_by_key(|at| place[&self.groups[*at]]);
            let same = |at: usize| self.groups[order[at]] == self.groups[order[at - 1]];
            while count > 0 && count < order.len() && same(count) {
                count += 1;
            }
        }
        let rest = order.split_off(count);
        Ok((rest, order))
    }

    /// The number of images of each class.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        for &label in &self.labels {
            counts[usize::from(label)] += 1;
        }
        counts
    }

    /// The numbers of images, of each class as many as the largest class has: those of smaller ones occur several times. Trained on
    /// as a subset, all classes are drawn equally often.
    pub fn balanced(&self, seed: u64) -> Vec<usize> {
        let largest = self.class_counts().into_iter().max().unwrap_or(0);
        let order = permutation(self.len(), seed);
        let of = |class: usize| order.iter().copied().filter(move |at| usize::from(self.labels[*at]) == class);
        (0..self.classes).flat_map(|class| of(class).collect::<Vec<_>>().into_iter().cycle().take(largest)).collect()
    }

    /// Images with the same labels and other pixels, of a new `shape`.
    pub(crate) fn with_pixels(&self, shape: [usize; 3], pixels: Vec<f32>) -> Self {
        let [channels, height, width] = shape;
        debug_assert_eq!(pixels.len(), self.len() * channels * height * width);
        Self { channels, height, width, pixels, labels: self.labels.clone(), groups: self.groups.clone(), ..*self }
    }
}

/// A random order of 0..n, the same for the same seed.
pub fn permutation(n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    Random::new(seed, Purpose::Split, 0).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(n: usize) -> Images {
        let pixels = (0..n * 4).map(|k| k as f32).collect();
        Images::new([1, 2, 2], pixels, (0..n).map(|k| (k % 3) as u8).collect(), 3).unwrap()
    }

    #[test]
    fn what_is_no_set_of_images_is_refused() {
        let build = |pixels: Vec<f32>, labels: Vec<u8>| Images::new([1, 2, 2], pixels, labels, 3).unwrap_err();
        assert!(matches!(build(vec![0.0; 7], vec![0, 1]), ImagesError::Pixels { expected: 8, pixels: 7, .. }));
        assert!(matches!(build(vec![0.0; 8], vec![0, 3]), ImagesError::Label { index: 1, label: 3, classes: 3 }));
        let mut pixels = vec![0.0; 8];
        pixels[5] = f32::NAN;
        assert_eq!(build(pixels, vec![0, 1]), ImagesError::NotFinite { index: 1 });
        assert!(Images::new([0, 2, 2], vec![], vec![], 3).is_err());
    }

    #[test]
    fn selecting_keeps_pixels_and_labels_together() {
        let chosen = numbered(5).select(&[4, 0, 4]);
        assert_eq!(chosen.labels, [1, 0, 1]);
        assert_eq!(chosen.image(0), [16.0, 17.0, 18.0, 19.0]);
        assert_eq!(chosen.image(1), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(chosen.class_counts(), [1, 2, 0]);
    }

    #[test]
    fn splits_are_disjoint_complete_and_repeatable() {
        let all = numbered(50);
        let (rest, held) = all.split(20, 7).unwrap();
        assert_eq!((rest.len(), held.len()), (30, 20));
        let mut firsts: Vec<f32> = rest.pixels.iter().chain(&held.pixels).copied().step_by(4).collect();
        assert_ne!(firsts, (0..50).map(|k| (k * 4) as f32).collect::<Vec<_>>());
        firsts.sort_by(f32::total_cmp);
        assert_eq!(firsts, (0..50).map(|k| (k * 4) as f32).collect::<Vec<_>>());
        assert_eq!(all.split(20, 7).unwrap().1, held);
        assert_ne!(all.split(20, 8).unwrap().1, held);
        assert_eq!(all.split(51, 7).unwrap_err(), ImagesError::TooFew { wanted: 51, available: 50 });
    }

    #[test]
    fn balanced_classes_are_drawn_equally_often() {
        let images = numbered(10).select(&[0, 1, 3, 4, 6, 9]);
        assert_eq!(images.class_counts(), [4, 2, 0]);
        let drawn = images.balanced(1);
        assert_eq!(images.select(&drawn).class_counts(), [4, 4, 0]);
        assert!((0..6).all(|at| drawn.contains(&at)), "{drawn:?}");
    }

    #[test]
    fn whole_groups_are_held_out_and_their_number_gives_the_same_split() {
        let all = numbered(50).in_groups((0..50).map(|k| k / 4).collect());
        let mut before = 0;
        for wanted in [0, 1, 10, 30, 50] {
            let (rest, held) = all.split(wanted, 7).unwrap();
            assert!(held.len() >= wanted && held.len() < wanted + 4 && rest.len() + held.len() == 50, "{}", held.len());
            assert!(held.groups.iter().all(|group| !rest.groups.contains(group)));
            assert_eq!(all.split(held.len(), 7).unwrap().1, held);
            assert!(held.len() >= before, "the smaller split is part of the larger");
            before = held.len();
        }
        assert_ne!(all.split(10, 7).unwrap().1.labels, all.split(10, 8).unwrap().1.labels);
    }
}
