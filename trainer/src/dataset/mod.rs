//! Image data sets. Those that the program knows have one file each, and one line in [`ALL`]: loading reads the files, checks
//! every count and label, and compares a fingerprint of the images, so that nobody trains on a damaged or different set
//! unknowingly. Others are folders of [`pictures`]. A [`Collection`] is either.

mod cifar10;
mod cifar100;
mod collection;
pub mod error;
pub mod fetch;
mod fixture;
pub mod format;
pub mod images;
mod mnist;
pub mod pictures;
mod prepare;
pub mod source;
mod usps;

pub use collection::Collection;
pub use error::{DataError, Defect, FormatError};
pub use images::Images;
pub use prepare::prepare;
pub use source::{Folder, SourceFile};

use crate::host::names::{self, UnknownName};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Every data set that the program knows.
pub const ALL: &[DataSet] =
    &[mnist::DATA, usps::DATA, cifar10::DATA, cifar100::DATA, cifar100::SUBSET, fixture::MNIST, fixture::USPS];

/// Names of the classes of digits.
const DIGITS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// What a file holds: pixels (n, channels, height, width) from 0 to 1, and labels.
pub type PixelsAndLabels = (Vec<f32>, Vec<u8>);

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Split {
    /// To learn from, and to hold out for choices.
    Train,
    /// To measure with, and nothing else.
    Test,
}

/// A data set that the program knows.
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
    /// The contents of its training set.
    pub train: Contents,
    /// The contents of its test set.
    pub test: Contents,
    /// Reads a split.
    read: fn(&Folder, Split) -> Result<PixelsAndLabels, DataError>,
}

/// The known contents of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// The number of images.
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
    /// [`DataError`] if a file is missing or damaged, or if the images are not those of the data set.
    pub fn load(&self, folder: &Folder, split: Split) -> Result<Images, DataError> {
        let images = self.load_unchecked(folder, split)?;
        let (expected, found) = (self.expected(split), fingerprint(&images));
        if found == expected.fingerprint {
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
            expected,
        })
    }

    /// Loads a split without comparing its fingerprint: counts, shapes and labels are checked all the same.
    ///
    /// # Errors
    /// [`DataError`] if a file is missing or damaged.
    pub fn load_unchecked(&self, folder: &Folder, split: Split) -> Result<Images, DataError> {
        let (pixels, labels) = (self.read)(folder, split)?;
        Images::new(self.shape, pixels, labels, self.classes.len())
            .map_err(|error| DataError::Images { set: self.name, error })
    }

    /// The contents that a split should have.
    pub fn expected(&self, split: Split) -> Contents {
        match split {
            Split::Train => self.train,
            Split::Test => self.test,
        }
    }
}

/// 32 hexadecimal digits that identify images with their labels, whatever their order, file format and packing.
///
/// The sum modulo 2^128 over images of the first 16 bytes (little-endian) of the SHA-256 of label and pixels, each pixel
/// as round(65535 p) in two little-endian bytes. 0.1 CPU-seconds for 60,000 digits. It detects damage and mix-ups. A sum does
/// not protect against forgery; the checksums of downloads do.
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
                assert_eq!((images.len(), images.shape()), (set.expected(split).images, [1, 16, 16]));
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
                    Ok(images) => assert_eq!(images.len(), set.expected(split).images),
                    Err(DataError::Missing { file, .. }) => eprintln!("{} is not tested: no `{file}`", set.name),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}
