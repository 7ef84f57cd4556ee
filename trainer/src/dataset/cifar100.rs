//! A small subset of CIFAR-100 (Krizhevsky 2009): colour photographs of 32 x 32 in a hundred (fine) classes.
//!
//! 20 training and 10 test images of every class. No result on it compares with published CIFAR-100 figures.

use super::format::cifar;
use super::source::unpacked;
use super::{DataError, DataSet, Folder, Known, Parts, SourceFile, Split};

/// The data set.
pub const SUBSET: DataSet = DataSet {
    name: "cifar100-subset",
    what: "3,000 photographs in a hundred classes, 32 x 32 colour",
    shape: [3, 32, 32],
    classes: FINE,
    files: &[TRAIN, TEST],
    train: Known { images: 2_000, fingerprint: "5cd49ea8836fefe6464c4ba12125b746" },
    test: Known { images: 1_000, fingerprint: "a31818495e1f8354e29a282014ec19c5" },
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

fn read(folder: &Folder, split: Split) -> Result<Parts, DataError> {
    let file = match split {
        Split::Train => TRAIN,
        Split::Test => TEST,
    };
    // The coarse label comes first.
    folder.parse(SUBSET.name, file.path, |bytes| cifar::parse(bytes, 1, FINE.len()))
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
