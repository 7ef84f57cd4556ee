//! A few hundred real digits inside the program, so that tests and the demo need no download: MNIST at 16 x 16 as the
//! source, USPS as the target. Made by `cargo run --release -p sirocco-trainer --example fixture`; see
//! `trainer/fixture/README.md`.

use super::format::{idx, unit};
use super::{Contents, DIGITS, DataError, DataSet, Folder, FormatError, PixelsAndLabels, Split, source};

/// Digits of MNIST, the source.
pub const MNIST: DataSet = DataSet {
    name: "fixture-mnist",
    what: "1,000 digits of MNIST at 16 x 16, built in",
    train: Contents { images: 800, fingerprint: "62cebe8dc206f07a85be343ea6c4eda9" },
    test: Contents { images: 200, fingerprint: "ae1f70225f7908ef9e587f56451b2b6c" },
    read: |_: &Folder, split| match split {
        Split::Train => read(MNIST.name, include_bytes!("../../fixture/mnist-train.gz")),
        Split::Test => read(MNIST.name, include_bytes!("../../fixture/mnist-test.gz")),
    },
    ..USPS
};

/// Digits of USPS, the target.
pub const USPS: DataSet = DataSet {
    name: "fixture-usps",
    what: "1,000 digits of USPS, built in",
    shape: [1, 16, 16],
    classes: DIGITS,
    files: &[],
    train: Contents { images: 600, fingerprint: "bb8fa34eee68984ca4f9e5cb74cef159" },
    test: Contents { images: 400, fingerprint: "ba383c4d39dc429f4d984117b66e240c" },
    read: |_: &Folder, split| match split {
        Split::Train => read(USPS.name, include_bytes!("../../fixture/usps-train.gz")),
        Split::Test => read(USPS.name, include_bytes!("../../fixture/usps-test.gz")),
    },
};

/// A file of the fixture: IDX images, then IDX labels, packed together.
fn read(name: &'static str, packed: &[u8]) -> Result<PixelsAndLabels, DataError> {
    let content = source::unpack(name.as_ref(), packed)?;
    let parse = || -> Result<PixelsAndLabels, FormatError> {
        // The labels' header and bytes follow the images': their count is at bytes 4 to 8.
        let count = content.get(4..8).map_or(0, |b| b.iter().fold(0, |n, b| n << 8 | usize::from(*b)));
        let (images, labels) = content.split_at(content.len().saturating_sub(8 + count));
        Ok((unit(idx::images(images)?.bytes), idx::labels(labels, DIGITS.len())?.to_vec()))
    };
    parse().map_err(|error| DataError::Format { file: name.into(), error })
}
