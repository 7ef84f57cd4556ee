//! CIFAR-10 (Krizhevsky 2009): color photographs of 32 x 32 in ten classes.

use super::format::cifar;
use super::source::{self, packed};
use super::{Contents, DataError, DataSet, Folder, PixelsAndLabels, SourceFile, Split};

/// The data set.
pub const DATA: DataSet = DataSet {
    name: "cifar10",
    what: "photographs in ten classes, 32 x 32 color",
    shape: [3, 32, 32],
    classes: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    files: &[ARCHIVE],
    train: Contents { images: 50_000, fingerprint: "61c500c0a3dcd53ff77a00d6b7112166" },
    test: Contents { images: 10_000, fingerprint: "6a5aaf654cd4cb822d8250060766317a" },
    read,
};

const ARCHIVE: SourceFile = SourceFile {
    path: "cifar-10/cifar-10-binary.tar.gz",
    mirrors: &["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"],
    versions: &[
        packed(170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
        packed(170_033_039, "cc5403c5fc3cf28c6203ed5df23a6edeb36866abbd6de78c71b1bf810ba1f986"),
    ],
};

fn read(folder: &Folder, split: Split) -> Result<PixelsAndLabels, DataError> {
    let members: &[&str] = match split {
        Split::Train => {
            &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"]
        }
        Split::Test => &["test_batch.bin"],
    };
    let unpacked = "cifar-10/cifar-10-batches-bin";
    let batches = source::read_archive(folder, DATA.name, ARCHIVE.path, unpacked, members)?;
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (file, bytes) in batches {
        let parsed = cifar::parse(&bytes, 0, DATA.classes.len());
        let (pixels_of_file, labels_of_file) = parsed.map_err(|error| DataError::Format { file, error })?;
        pixels.extend(pixels_of_file);
        labels.extend(labels_of_file);
    }
    Ok((pixels, labels))
}
