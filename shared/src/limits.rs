//! Every limit of the device side, in one place, each with its reason.
//!
//! They size fixed arrays, so raising one costs RAM or stack on the smallest board.

/// Components of an ODE system's state: SEIR and the predator-prey systems need at most four.
pub const MAX_STATE: usize = 4;
/// Rates (parameters) of an ODE system: Lotka-Volterra needs four.
pub const MAX_RATES: usize = 4;
/// Quantities a query is made of: time, the free initial values, the rates.
pub const MAX_QUANTITIES: usize = 1 + MAX_STATE + MAX_RATES;
/// Quantities a calibration may estimate at once: all but time.
pub const MAX_UNKNOWNS: usize = MAX_STATE + MAX_RATES;
/// Observations a device keeps for a calibration: two months of daily counts, 16 bytes each.
pub const MAX_OBSERVATIONS: usize = 64;
/// Counts of an outbreak a device keeps: eight months of daily ones, 8 bytes each.
pub const MAX_COUNTS: usize = 256;
/// Counts in one frame: 48 x 8 B fit [`MAX_FRAME`] with what surrounds them.
pub const COUNTS_PER_FRAME: usize = 48;
/// Series of counts that are fitted together: S, I and R.
pub const MAX_SERIES: usize = 3;
/// Times at which the reproduction number of an outbreak may change.
pub const MAX_CHANGES: usize = 4;
/// Times from which on another fraction of an outbreak's cases is reported.
pub const MAX_REPORTING_CHANGES: usize = 2;
/// Parameters of an outbreak: start, recovery, scale, background, a reproduction number before and after each change, and a ratio
/// for each change of what is reported.
pub const MAX_PARAMETERS: usize = 5 + MAX_CHANGES + MAX_REPORTING_CHANGES;
/// Dense layers of a bundle network. Four are used; six leave room to experiment.
pub const MAX_LAYERS: usize = 6;
/// Widest dense layer of a bundle network: value and tangent buffers are 4 x 64 x 4 B = 1 KiB of stack.
pub const MAX_WIDTH: usize = 64;
/// Nodes of an image network. ResNet-8 has 14, MobileNet 29; an opened network keeps about 100 bytes of RAM for each.
pub const MAX_NODES: usize = 32;
/// Inputs that an image network may look at for one image, pooling included: ten times ResNet-8's. A Cortex-M4 at 64 MHz takes
/// about four seconds for them, and answers nothing else meanwhile.
pub const MAX_WORK: u64 = 128_000_000;
/// Classes of an image network: CIFAR-100 has a hundred.
pub const MAX_CLASSES: usize = 128;
/// Rows or columns of an image value: what a small camera gives, or a line of a thousand readings of a sensor.
pub const MAX_SIDE: usize = 1024;
/// Channels of an image value.
pub const MAX_CHANNELS: usize = 1024;
/// Weights of one output of an image layer, padded: 2^15 products of 255 and 127 and a bias of 2^30 fit 32 bits.
pub const MAX_FAN_IN: usize = 1 << 15;
/// Longest JSON header of a model file. A bundle's is about 3 KiB.
pub const MAX_HEADER: usize = 16 * 1024;
/// Tensors in a model file: MobileNet with its golden images and what is usual has 92, ResNet-8 44, a bundle of six integer
/// layers 26. Each takes 32 bytes of stack while a file is opened.
pub const MAX_TENSORS: usize = 96;
/// Entries of `__metadata__`: an image network that was finetuned twice and signed has up to 55. Each takes 16 bytes of stack.
pub const MAX_METADATA: usize = 64;
/// Dimensions of a tensor.
pub const MAX_RANK: usize = 4;
/// Golden queries carried by a model file.
pub const MAX_GOLDEN: usize = 64;
/// Bytes of one serial frame, encoded, with its terminator. Two fit the RAM of the smallest board easily.
pub const MAX_FRAME: usize = 512;
/// Points of a trajectory: five of every day for a year.
pub const MAX_TRAJECTORY: u16 = 2000;
/// Points of a trajectory in one frame: 24 x (4 x 4 B + 2 B) fit [`MAX_FRAME`] with what surrounds them.
pub const TRAJECTORY_POINTS: usize = 24;
/// Probabilities in one frame: 96 x 4 B fit [`MAX_FRAME`].
pub const PROBABILITIES: usize = 96;
/// Images a device keeps at most to be fetched: what one sits down to label.
pub const MAX_SAMPLES: usize = 64;
/// Entries of the list of kept images in one frame: 24 x 11 B fit [`MAX_FRAME`] twice.
pub const SAMPLES_PER_FRAME: usize = 24;
/// Images whose mean entropy is watched: enough that their mean is nearly normal, few enough to notice within a minute.
pub const DRIFT_WINDOW: usize = 32;
/// Bets of the sequential test for drift, half of them on the entropy and half on the distance of features.
pub const MAX_BETS: usize = 16;
/// Longest serial interval between cases, in days: 128 covers every disease but those with years between cases, and takes
/// 512 B.
pub const MAX_SERIAL_INTERVAL: usize = 128;
/// Bytes of a model file in one frame. A multiple of every flash's write size; half a frame, so that one lost frame
/// costs little.
pub const MAX_CHUNK: usize = 256;

/// Public keys that a firmware holds for one purpose: one in use, one to come, and one each for two people.
pub const MAX_KEYS: usize = 4;

/// As many items as fit: `collect` for vectors of fixed size, without its panic where there are more.
pub fn collect<T, const N: usize>(items: impl IntoIterator<Item = T>) -> heapless::Vec<T, N> {
    let mut vector = heapless::Vec::new();
    for item in items {
        if vector.push(item).is_err() {
            break;
        }
    }
    vector
}
