//! USPS (LeCun et al. 1990): digits from envelopes, 16 x 16, scanned by the United States Postal Service.
//!
//! Read from the text files of "The Elements of Statistical Learning" (`zip.train`, `zip.test`), or else from LIBSVM's
//! (`usps`, `usps.t`).

use super::format::{esl, libsvm};
use super::source::{packed, unpacked};
use super::{Contents, DIGITS, DataError, DataSet, Folder, PixelsAndLabels, SourceFile, Split};

/// The data set.
pub const DATA: DataSet = DataSet {
    name: NAME,
    what: "handwritten digits from envelopes, 16 x 16 grey",
    shape: [1, 16, 16],
    classes: DIGITS,
    files: &[TRAIN, TEST],
    train: Contents { images: 7_291, fingerprint: "3e19ee80a2ac91344f1d00c2789ed512" },
    test: Contents { images: 2_007, fingerprint: "0762047df43b95e7a239e5a6c1ac246d" },
    read,
};

const NAME: &str = "usps";
/// Pixels of an image.
const SIZE: usize = 16 * 16;

const TRAIN: SourceFile = SourceFile {
    path: "usps/zip.train.gz",
    mirrors: &[
        "https://hastie.su.domains/ElemStatLearn/datasets/zip.train.gz",
        "https://web.stanford.edu/~hastie/ElemStatLearn/datasets/zip.train.gz",
    ],
    versions: &[
        packed(1_829_071, "66ebf231ab51f2cf6ac1a892d0f98ccffee1079d7a5db638c1f11f366046ca16"),
        unpacked(14_512_083, "ba497d38020ad113b3b779d48082b1ccbd9d4244866bcde6b02a783c6e30dcc3"),
    ],
};
const TEST: SourceFile = SourceFile {
    path: "usps/zip.test.gz",
    mirrors: &[
        "https://hastie.su.domains/ElemStatLearn/datasets/zip.test.gz",
        "https://web.stanford.edu/~hastie/ElemStatLearn/datasets/zip.test.gz",
    ],
    versions: &[unpacked(2_029_542, "6bde17b4f1cd68e0630cd2751d6495b5795d9165ab2dc4a0be8b7002b732f4cc")],
};

fn read(folder: &Folder, split: Split) -> Result<PixelsAndLabels, DataError> {
    let (text, sparse) = match split {
        Split::Train => (TRAIN.path, "usps/usps.gz"),
        Split::Test => (TEST.path, "usps/usps.t.gz"),
    };
    if folder.find(text).is_none() && folder.find(sparse).is_some() {
        return folder.parse(NAME, sparse, |bytes| libsvm::parse(bytes, SIZE, DIGITS.len()));
    }
    folder.parse(NAME, text, |bytes| esl::parse(bytes, SIZE, DIGITS.len()))
}
