//! Typed errors for every way a model file can be bad.

use crate::limits::MAX_WORK;
use serde::{Deserialize, Serialize};

/// Why a model file was refused. The reader reports the first defect it meets; nothing is ever read past it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ModelError {
    /// The bytes end before the file does.
    #[error("truncated: {have} bytes, the file needs {needed}")]
    Truncated {
        /// Bytes the file needs, as far as known.
        needed: u32,
        /// Bytes there are.
        have: u32,
    },
    /// Bytes follow the last tensor.
    #[error("{0} bytes follow the last tensor")]
    Trailing(u32),
    /// The header is longer than this reader accepts.
    #[error("the header has {0} bytes, more than the reader accepts")]
    HeaderTooLong(u32),
    /// The header is no safetensors header.
    #[error("the header is not the JSON of a safetensors file")]
    Header,
    /// More tensors, metadata or dimensions than the limits allow.
    #[error("too many {0:?}")]
    TooMany(Countable),
    /// The data begin at an address that is no multiple of 8.
    #[error("tensor data are not aligned to 8 bytes")]
    Misaligned,
    /// Tensors overlap, leave a hole, or lie outside the data.
    #[error("tensor offsets overlap, leave a hole, or lie outside the data")]
    Offsets,
    /// The same name occurs twice.
    #[error("a name occurs twice in the header")]
    Duplicate,
    /// The checksum is missing or is not the file's.
    #[error(
        "checksum: stated {stated:08x}, computed {computed:08x}: the file is damaged, or another program has changed it by saving it again"
    )]
    Checksum {
        /// As written in the file; zero if absent.
        stated: u32,
        /// As computed from the bytes.
        computed: u32,
    },
    /// The format version is not one this build reads.
    #[error("format version is not {supported}")]
    Version {
        /// The version this build reads.
        supported: u16,
    },
    /// A metadata entry is missing or its value makes no sense.
    #[error("metadata entry `{}` is missing or bad", .0.key())]
    Metadata(Key),
    /// A tensor is missing, or its type or shape does not fit the architecture.
    #[error("tensor {tensor:?} of layer {layer} is missing or has the wrong type or shape")]
    Tensor {
        /// Layer, counted from the input.
        layer: u8,
        /// Which of its tensors.
        tensor: TensorKind,
    },
    /// A number of a layer is not finite or out of range: a weight or a bias, a scale that the weights' type does not allow, or
    /// a multiplier that is not the scale's.
    #[error("layer {layer} holds a number that is not finite or out of range")]
    Value {
        /// Layer, counted from the input.
        layer: u8,
    },
    /// A node of an image network makes no sense.
    #[error("node {node} of the image network: {defect}")]
    Node {
        /// Node, counted from the image.
        node: u8,
        /// What is wrong with it.
        defect: NodeDefect,
    },
    /// The arena that the file states is not what its network needs.
    #[error("the file states an arena of {stated} bytes, its network needs {needed}")]
    Arena {
        /// As written in the file.
        stated: u32,
        /// As planned from the nodes.
        needed: u32,
    },
    /// Golden queries are malformed.
    #[error("golden queries have the wrong type or shape")]
    Golden,
    /// The board has too little working memory for the network.
    #[error("the network needs {needed} bytes of working memory, the board has {room}")]
    Memory {
        /// Bytes needed.
        needed: u32,
        /// Bytes there are.
        room: u32,
    },
    /// The network takes too long for one image.
    #[error("the network looks at {thousands} thousand inputs for an image, more than {most} thousand", most = MAX_WORK / 1000)]
    Work {
        /// Inputs that all operations look at, in thousands.
        thousands: u32,
    },
    /// The board takes only signed files, and this one has no signature.
    #[error("the file is not signed, and the board takes signed files only")]
    Unsigned,
    /// The key that signed the file is not one of the board's.
    #[error("the file is signed by key {key:016x}, which is not one of the board's")]
    UnknownKey {
        /// The key's fingerprint.
        key: u64,
    },
    /// The signature is not that of the file: the file was changed, or the signature forged.
    #[error("the signature is not key {key:016x}'s of this file")]
    Forged {
        /// The fingerprint of the key that should have signed.
        key: u64,
    },
    /// The file is older than what the board takes.
    #[error("the file's serial number is {serial}, and the board takes {lowest} or higher")]
    Serial {
        /// The file's serial number.
        serial: u32,
        /// The lowest one that the board takes.
        lowest: u32,
    },
    /// The network has values for outputs, which the protocol has no requests for.
    #[error("the network's outputs are values and no classes, and this firmware only classifies")]
    Values,
}

/// What there can be too many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Countable {
    /// Tensors.
    Tensors,
    /// Metadata entries.
    Metadata,
    /// Dimensions of a tensor.
    Dimensions,
    /// Layers.
    Layers,
    /// Units of a layer.
    Units,
}

/// What can be wrong with a node of an image network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NodeDefect {
    /// No operation of that name.
    #[error("unknown operation")]
    Operation,
    /// An attribute is missing, unknown, repeated or unreadable.
    #[error("an attribute is missing, unknown, repeated or unreadable")]
    Attribute,
    /// It reads a value that is not computed before it, or the logits.
    #[error("it reads a value that is not there")]
    Order,
    /// Its window does not fit its input.
    #[error("its window does not fit its input")]
    Window,
    /// Its two operands differ in shape.
    #[error("its operands differ in shape")]
    Operands,
    /// Its output or its weights exceed the limits.
    #[error("its output or weights exceed the limits")]
    TooLarge,
    /// Logits or values are missing or not last, or the logits are not one per class.
    #[error("the logits are missing, not last, or not one per class")]
    Logits,
}

/// The tensors of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TensorKind {
    /// `layers.N.weight`
    Weight,
    /// `layers.N.bias`
    Bias,
    /// `layers.N.scale`
    Scale,
    /// `layers.N.multiplier`
    Multiplier,
}

impl TensorKind {
    /// Last part of the tensor's name in the file.
    pub fn name(self) -> &'static str {
        match self {
            TensorKind::Weight => "weight",
            TensorKind::Bias => "bias",
            TensorKind::Scale => "scale",
            TensorKind::Multiplier => "multiplier",
        }
    }
}

macro_rules! keys {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// Metadata keys the reader needs. Others are carried along and shown by `inspect`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub enum Key { $($(#[$doc])* $variant),+ }
        impl Key {
            /// The key as it stands in `__metadata__`.
            pub fn key(self) -> &'static str { match self { $(Key::$variant => $text),+ } }
        }
    };
}

keys! {
    /// Format version: that of bundles, or that of image networks.
    Format = "sirocco.format",
    /// `bundle` or `image`.
    Kind = "sirocco.kind",
    /// CRC-32 of the file with these eight digits read as zeros.
    Crc32 = "sirocco.crc32",
    /// Name of the ODE system.
    Ode = "ode",
    /// `generic`, `conserved`, `reduced` or `phase`.
    Form = "form",
    /// `name=lo:hi` per quantity, comma-separated; `lo = hi` where a quantity is fixed.
    Domain = "domain",
    /// `name=lo:hi` per network input, comma-separated; [lo, hi] is mapped to [-1, 1].
    Inputs = "inputs",
    /// Widths from input to output, comma-separated.
    Layers = "layers",
    /// Activation of the hidden layers.
    Activation = "activation",
    /// `f32`, `i16` or `i8i16`.
    Scheme = "scheme",
    /// LogLoss measured on the exported bytes.
    LogLoss = "logloss",
    /// Maximum absolute error measured on the exported bytes.
    MaxError = "max_error",
    /// RMS error measured on the exported bytes.
    RmsError = "rms_error",
    /// Largest difference of the evaluator from the trained f64 network: rounding and quantization.
    Rounding = "rounding",
    /// Rows, columns and channels of an image: `28x28x1`.
    Image = "image",
    /// What stands for a padded pixel, per channel of the image: `33` or `125,123,114`.
    Padding = "padding",
    /// The nodes of an image network, separated by semicolons.
    Nodes = "nodes",
    /// Names of the classes, comma-separated.
    Classes = "classes",
    /// Bytes of working memory an image network needs.
    Arena = "arena",
    /// Predictive entropy in nats above which an answer is withheld; optional.
    Abstain = "abstain",
    /// Mean predictive entropy in nats over images of the domain the network knows; optional.
    EntropyMean = "entropy.mean",
    /// Standard deviation of the same; optional.
    EntropyDeviation = "entropy.deviation",
    /// Proven bound of the error that exact evaluation of the weights would have; optional, in the form by phase.
    ProvenError = "proven_error",
    /// Serial number of a signed file; optional.
    Serial = "sirocco.serial",
    /// Fingerprint of the key that signed the file; optional.
    SigningKey = "sirocco.key",
    /// Signature of the file; optional.
    Signature = "sirocco.signature",
    /// Relative distance of the features above which an answer is withheld; optional, beside `usual.images`.
    AbstainDistance = "abstain.distance",
    /// Probability from which on a class belongs to the set of possible answers; optional.
    SetProbability = "set.probability",
    /// Images to a false alarm of the sequential test for drift, at least, on average; optional, beside the tensors `usual`.
    Usual = "usual.images",
    /// Numbers per byte of the image and of the outputs, for an image network whose outputs are values: `0.39,0.36`.
    Values = "values",
}
