//! CIFAR-100 (Krizhevsky 2009): color photographs of 32 x 32 in a hundred (fine) classes; and a small subset of it with
//! 20 training and 10 test images of every class, no result on which compares with published CIFAR-100 figures.

use super::format::cifar;
use super::source::{self, packed, unpacked};
use super::{Contents, DataError, DataSet, Folder, PixelsAndLabels, SourceFile, Split};

/// The data set.
pub const DATA: DataSet = DataSet {
    name: "cifar100",
    what: "photographs in a hundred classes, 32 x 32 color",
    shape: [3, 32, 32],
    classes: FINE,
    files: &[ARCHIVE],
    train: Contents { images: 50_000, fingerprint: "adbbca90919f740da48c7b7310bcdf67" },
    test: Contents { images: 10_000, fingerprint: "67f7625c18a514ef361c71785a29ce40" },
    read: read_whole,
};

const ARCHIVE: SourceFile = SourceFile {
    path: "cifar-100/cifar-100-binary.tar.gz",
    mirrors: &["https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"],
    versions: &[packed(168_513_733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec")],
};

/// The subset.
pub const SUBSET: DataSet = DataSet {
    name: "cifar100-subset",
    what: "3,000 photographs in a hundred classes, 32 x 32 color",
    shape: [3, 32, 32],
    classes: FINE,
    files: &[TRAIN, TEST],
    train: Contents { images: 2_000, fingerprint: "5cd49ea8836fefe6464c4ba12125b746" },
    test: Contents { images: 1_000, fingerprint: "a31818495e1f8354e29a282014ec19c5" },
    read,
};

const TRAIN: SourceFile = SourceFile {
    path: "cifar-100/cifar-100-subset-train-2000.bin.gz",
    mirrors: &[],
    versions: &[unpacked(6_148_000, "6f7e2669231b8f84a293eeef54a46a344ca8db0298fee57a2129eb25189f645e")],
};
const TEST: SourceFile = SourceFile {
    path: "cifar-100/cifar-100-subset-test-1000.bin.gz",
    mirrors: &[],
    versions: &[unpacked(3_074_000, "8e592c9b9fc0f96041937b9653a0a482c5229ba800535faa77f97175866da158")],
};

fn read(folder: &Folder, split: Split) -> Result<PixelsAndLabels, DataError> {
    let file = match split {
        Split::Train => TRAIN,
        Split::Test => TEST,
    };
    // The coarse label comes first.
    folder.parse(SUBSET.name, file.path, |bytes| cifar::parse(bytes, 1, FINE.len()))
}

fn read_whole(folder: &Folder, split: Split) -> Result<PixelsAndLabels, DataError> {
    let member = match split {
        Split::Train => "train.bin",
        Split::Test => "test.bin",
    };
    let unpacked = "cifar-100/cifar-100-binary";
    let found = source::read_archive(folder, DATA.name, ARCHIVE.path, unpacked, &[member])?;
    let [(file, bytes)] = &found[..] else { return Err(folder.missing(DATA.name, ARCHIVE.path)) };
    cifar::parse(bytes, 1, FINE.len()).map_err(|error| DataError::Format { file: file.clone(), error })
}

/// Names of the fine classes.
#[rustfmt::skip]
const FINE: &[&str] = &[
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle",
    "bicycle", "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel",
    "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud",
    "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant",
    "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree",
    "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter",
    "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea",
    "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television",
    "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
];
