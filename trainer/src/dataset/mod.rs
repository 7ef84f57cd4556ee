//! Image data sets: one file each, one line in [`ALL`]. Loading reads the files, checks every count and label, and
//! compares a fingerprint of what was read, so nobody trains on a damaged or different set without knowing.

mod cifar10;
mod cifar100;
pub mod error;
pub mod fetch;
mod fixture;
pub mod format;
pub mod images;
mod mnist;
pub mod prepare;
pub mod source;
mod usps;

pub use error::{DataError, Defect, FormatError};
pub use images::Images;
pub use prepare::{Geometry, Prepare};
pub use source::{Folder, SourceFile};

use crate::host::names::{self, UnknownName};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Every data set.
pub const ALL: &[DataSet] =
    &[mnist::DATA, usps::DATA, cifar10::DATA, cifar100::DATA, cifar100::SUBSET, fixture::MNIST, fixture::USPS];

/// Names of the classes of digits.
const DIGITS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// What the formats hold: pixels (n, channels, height, width) from 0 to 1, and labels.
pub type Parts = (Vec<f32>, Vec<u8>);

/// The two parts of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Split {
    /// To learn from, and to hold out for choices.
    Train,
    /// To measure with, and nothing else.
    Test,
}

/// A data set.
#[derive(Debug, Clone, Copy)]
pub struct DataSet {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is in it.
    pub what: &'static str,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Names of its classes.
    pub classes: &'static [&'static str],
    /// Its files.
    pub files: &'static [SourceFile],
    /// The training set as it should be.
    pub train: Known,
    /// The test set as it should be.
    pub test: Known,
    /// Reads a split.
    read: fn(&Folder, Split) -> Result<Parts, DataError>,
}

/// What a split should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// How many images.
    pub images: usize,
    /// Their [`fingerprint`].
    pub fingerprint: &'static str,
}

/// The data set of this name.
///
/// # Errors
/// [`UnknownName`] if no data set has it.
pub fn find(name: &str) -> Result<&'static DataSet, UnknownName> {
    names::find("data set", ALL, |set| set.name, name)
}

impl DataSet {
    /// Loads a split and checks it.
    ///
    /// # Errors
    /// [`DataError`] with the file, the place in it, and the remedy.
    pub fn load(&self, folder: &Folder, split: Split) -> Result<Images, DataError> {
        let images = self.load_unchecked(folder, split)?;
        let (known, found) = (self.known(split), fingerprint(&images));
        if found == known.fingerprint {
            return Ok(images);
        }
        let file = self.files.iter().find_map(|file| folder.find(file.path));
        let file = file.unwrap_or_else(|| folder.path().join(self.name));
        Err(DataError::Fingerprint {
            set: self.name,
            split,
            directory: file.parent().unwrap_or(folder.path()).into(),
            images: images.len(),
            found,
            known,
        })
    }

    /// Loads a split without comparing its fingerprint: counts, shapes and labels are checked all the same.
    ///
    /// # Errors
    /// As [`DataSet::load`].
    pub fn load_unchecked(&self, folder: &Folder, split: Split) -> Result<Images, DataError> {
        let (pixels, labels) = (self.read)(folder, split)?;
        Images::new(self.shape, pixels, labels, self.classes.len())
            .map_err(|error| DataError::Images { set: self.name, error })
    }

    /// What a split should hold.
    pub fn known(&self, split: Split) -> Known {
        match split {
            Split::Train => self.train,
            Split::Test => self.test,
        }
    }
}

/// 32 hexadecimal digits that stand for the images and labels, in whatever order, file format, and packing.
///
/// The sum modulo 2^128 over images of the first 16 bytes (little-endian) of the SHA-256 of label and pixels, each pixel
/// as round(65535 p) in two little-endian bytes. 0.1 CPU-seconds for 60,000 digits. It notices damage and mix-ups; the
/// sum is no protection against a forger, who is kept out by the checksums of downloads.
pub fn fingerprint(images: &Images) -> String {
    let of_image = |index: usize| {
        let mut hash = Sha256::new();
        hash.update([images.labels[index]]);
        let pixels = images.image(index).iter().map(|p| (p * 65535.0).round() as u16);
        hash.update(pixels.flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
        let digest: [u8; 32] = hash.finalize().into();
        let (first, _) = digest.as_chunks::<16>();
        u128::from_le_bytes(first[0])
    };
    let sum = (0..images.len()).into_par_iter().map(of_image).reduce(|| 0, u128::wrapping_add);
    format!("{sum:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_ignores_order_and_nothing_else() {
        let pixels: Vec<f32> = (0..12).map(|k| k as f32 / 255.0).collect();
        let images = Images::new([1, 2, 2], pixels, vec![0, 1, 1], 2).unwrap();
        let before = fingerprint(&images);
        assert_eq!(fingerprint(&images.select(&[2, 0, 1])), before);
        assert_ne!(fingerprint(&images.select(&[0, 1])), before);
        let mut other = images.clone();
        other.labels = vec![1, 0, 1];
        assert_ne!(fingerprint(&other), before);
        let mut other = images;
        other.pixels[5] += 1.0 / 255.0;
        assert_ne!(fingerprint(&other), before);
    }

    #[test]
    fn data_sets_are_found_by_name() {
        assert_eq!(find("mnist").unwrap().shape, [1, 28, 28]);
        let error = find("minst").unwrap_err().to_string();
        assert!(error.contains("`minst`") && error.contains("mnist, usps"), "{error}");
    }

    #[test]
    fn the_fixture_is_always_there() {
        let nowhere = Folder::new("not-there");
        for set in [fixture::MNIST, fixture::USPS] {
            for split in [Split::Train, Split::Test] {
                let images = set.load(&nowhere, split).unwrap();
                assert_eq!((images.len(), images.shape()), (set.known(split).images, [1, 16, 16]));
                assert!(images.class_counts().iter().all(|&count| count >= 10));
            }
        }
    }

    /// Test images only: the training images are five times as many and come through the same code.
    #[test]
    fn cifar10_is_what_it_should_be() {
        match Folder::of_tests().map(|folder| cifar10::DATA.load(&folder, Split::Test)) {
            Some(Ok(images)) => assert_eq!(images.class_counts(), [1000; 10]),
            Some(Err(DataError::Missing { .. })) | None => eprintln!("CIFAR-10 is not tested: it is not there"),
            Some(Err(other)) => panic!("{other}"),
        }
    }

    /// The real files, where they are; every data set that is there must be whole.
    #[test]
    fn real_data_is_what_it_should_be() {
        let Some(folder) = Folder::of_tests() else {
            eprintln!("no real data beside the repository: only the fixture is tested");
            return;
        };
        // The large ones take seconds; CIFAR-10 has a test of its own.
        for set in ALL.iter().filter(|set| !["cifar10", "cifar100"].contains(&set.name)) {
            for split in [Split::Train, Split::Test] {
                match set.load(&folder, split) {
                    Ok(images) => assert_eq!(images.len(), set.known(split).images),
                    Err(DataError::Missing { file, .. }) => eprintln!("{} is not tested: no `{file}`", set.name),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}
