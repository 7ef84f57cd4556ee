//! MNIST (LeCun, Cortes, Burges 1998): handwritten digits of 28 x 28, size-normalized into the central 20 x 20 box.

use super::format::{idx, unit};
use super::source::unpacked;
use super::{Contents, DIGITS, DataError, DataSet, Folder, PixelsAndLabels, SourceFile, Split};

/// The data set.
pub const DATA: DataSet = DataSet {
    name: NAME,
    what: "handwritten digits, 28 x 28 grey",
    shape: [1, 28, 28],
    classes: DIGITS,
    files: &[TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS],
    train: Contents { images: 60_000, fingerprint: "ba3e1ab4606423fa1a090ba56ccd02e4" },
    test: Contents { images: 10_000, fingerprint: "09814e7996532526363553d7344500bc" },
    read,
};

const NAME: &str = "mnist";

const TRAIN_IMAGES: SourceFile = SourceFile {
    path: "mnist/train-images-idx3-ubyte.gz",
    mirrors: &[
        "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz",
        "https://storage.googleapis.com/cvdf-datasets/mnist/train-images-idx3-ubyte.gz",
    ],
    versions: &[unpacked(47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db")],
};
const TRAIN_LABELS: SourceFile = SourceFile {
    path: "mnist/train-labels-idx1-ubyte.gz",
    mirrors: &[
        "https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz",
        "https://storage.googleapis.com/cvdf-datasets/mnist/train-labels-idx1-ubyte.gz",
    ],
    versions: &[unpacked(60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5")],
};
const TEST_IMAGES: SourceFile = SourceFile {
    path: "mnist/t10k-images-idx3-ubyte.gz",
    mirrors: &[
        "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz",
        "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-images-idx3-ubyte.gz",
    ],
    versions: &[unpacked(7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7")],
};
const TEST_LABELS: SourceFile = SourceFile {
    path: "mnist/t10k-labels-idx1-ubyte.gz",
    mirrors: &[
        "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz",
        "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-labels-idx1-ubyte.gz",
    ],
    versions: &[unpacked(10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2")],
};

fn read(folder: &Folder, split: Split) -> Result<PixelsAndLabels, DataError> {
    let (images, labels) = match split {
        Split::Train => (TRAIN_IMAGES, TRAIN_LABELS),
        Split::Test => (TEST_IMAGES, TEST_LABELS),
    };
    let pixels = folder.parse(NAME, images.path, |bytes| {
        let grey = idx::images(bytes)?;
        idx::expect_size(&grey, 28, 28)?;
        Ok(unit(grey.bytes))
    })?;
    let labels = folder.parse(NAME, labels.path, |bytes| Ok(idx::labels(bytes, DIGITS.len())?.to_vec()))?;
    Ok((pixels, labels))
}
