//! Training images that a network did not learn from. Temperature, thresholds and the reference of the drift alarm come from
//! them: a network is more certain about images that it has learned than about new ones of the same kind.
//!
//! Every command that trains holds out the first images of one fixed permutation, and writes their number into the network's
//! file. So whoever has the data set finds the same images again, and of two such splits the smaller is part of the larger.

use crate::dataset::images::{Images, ImagesError};
use crate::host::model_file::Metadata;

/// Seed of the permutation.
const SEED: u64 = 0;
/// Most images that are held out unless asked for more.
const MOST: usize = 5000;

/// The keys of a data set and of the number of images held out of it, for every way to learn from one.
const KEYS: [[&str; 2]; 3] =
    [["dataset", "held_out"], ["target", "target.held_out"], ["samples.replay", "samples.held_out"]];

/// The keys of the numbers of images that are held out. A device's file does without them.
pub const COUNTS: [&str; 3] = [KEYS[0][1], KEYS[1][1], KEYS[2][1]];

/// The number of images that are held out of so many unless told otherwise: a tenth, at most 5,000.
pub fn usual(images: usize) -> usize {
    (images / 10).min(MOST)
}

/// Splits training images: (the rest, `count` held out, or a few more so that whole groups are).
///
/// # Errors
/// [`ImagesError::TooFew`] if there are fewer.
pub fn split(images: &Images, count: usize) -> Result<[Images; 2], ImagesError> {
    let (rest, held) = images.split(count, SEED)?;
    Ok([rest, held])
}

/// The number in the data set of every image that [`split`] leaves.
///
/// # Errors
/// As for [`split`].
pub fn order(images: &Images, count: usize) -> Result<Vec<usize>, ImagesError> {
    Ok(images.split_order(count, SEED)?.0)
}

/// Training images of a data set, divided for one network.
#[derive(Debug, Clone, PartialEq)]
pub struct Division {
    /// Images that the network may have learned from.
    pub rest: Images,
    /// Images that it did not learn from; none if its file does not say so.
    pub held: Images,
}

impl Division {
    /// Divides the training images of the data set `name` for a network of this provenance. Of a data set that the network
    /// never learned from, half of the images are held out, at most 5,000.
    ///
    /// # Errors
    /// [`ImagesError::TooFew`] if the file names more images than there are.
    pub fn of(provenance: &Metadata, name: &str, images: &Images) -> Result<Self, ImagesError> {
        let entry = |key: &str| provenance.get(key).map(String::as_str);
        let learned = KEYS.iter().filter(|[set, _]| entry(set) == Some(name));
        let counts = learned.map(|[_, count]| entry(count).and_then(|text| text.parse().ok()).unwrap_or(0));
        let [rest, held] = split(images, counts.min().unwrap_or((images.len() / 2).min(MOST)))?;
        Ok(Division { rest, held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::training::tests::quarters;

    fn provenance(entries: &[[&str; 2]]) -> Metadata {
        entries.iter().map(|[k, v]| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn what_training_held_out_is_found_again() {
        let images = quarters(100, 1, 0.3);
        let [rest, held] = split(&images, usual(100)).unwrap();
        assert_eq!((rest.len(), held.len(), usual(60_000)), (90, 10, 5000));
        assert_eq!(images.select(&order(&images, 10).unwrap()), rest, "what remains has its numbers in the data set");
        let once = provenance(&[["dataset", "a"], ["held_out", "10"]]);
        assert_eq!(Division::of(&once, "a", &images).unwrap(), Division { rest, held });
        // Trained on it twice: nothing that either training has seen is held out.
        let twice =
            provenance(&[["dataset", "a"], ["held_out", "30"], ["samples.replay", "a"], ["samples.held_out", "20"]]);
        let [_, both] = split(&images, 20).unwrap();
        assert_eq!(Division::of(&twice, "a", &images).unwrap().held, both);
        let [_, more] = split(&images, 30).unwrap();
        assert_eq!(more.first(20), both, "the smaller split is part of the larger");
    }

    #[test]
    fn a_network_that_does_not_say_has_none_and_another_data_set_is_unseen() {
        let images = quarters(100, 1, 0.3);
        let old = provenance(&[["dataset", "a"], ["target", "b"]]);
        for name in ["a", "b"] {
            assert!(Division::of(&old, name, &images).unwrap().held.is_empty());
        }
        assert_eq!(Division::of(&old, "c", &images).unwrap().held.len(), 50);
        let wrong = provenance(&[["dataset", "a"], ["held_out", "101"]]);
        assert!(Division::of(&wrong, "a", &images).is_err());
    }
}
