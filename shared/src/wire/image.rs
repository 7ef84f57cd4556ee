//! Requests about images: the host sends them in chunks, the device classifies them and keeps those with the highest
//! entropy for the host to fetch.
//!
//! The host sends the bytes of an image in order, in [`ImageRequest::Chunk`]s; a chunk at offset 0 begins another image.
//! [`ImageRequest::Classify`] classifies it. If that is repeated, the answer is the same and nothing is counted twice.
//! Threshold, drift window and kept samples belong to the model: they are reset when a model is opened.

use super::store::Chunk;
use crate::drift::{Alarm, Frequent, Reference, State};
use crate::limits::{MAX_CHUNK, PROBABILITIES, SAMPLES_PER_FRAME};
use crate::retain::Sample;
use crate::summary::Name;
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// A request about images.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put a chunk on")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ImageRequest {
    /// Describe the images that the network takes, and its settings.
    Describe,
    /// Tell the name of this class.
    Class(u8),
    /// The next bytes of an image: rows, columns, channels.
    Chunk {
        /// Place of the first of these bytes in the image; 0 begins another image.
        offset: u32,
        /// [`MAX_CHUNK`] bytes, or fewer at the end of the image.
        bytes: Chunk,
    },
    /// Classify the image that was sent.
    Classify,
    /// Tell the probabilities of the last answer, from this class on.
    Probabilities {
        /// The first class wanted.
        first: u8,
    },
    /// Set the entropy above which answers are withheld.
    Threshold(Threshold),
    /// Empty the drift window, and compare it with this reference from now on, or with the file's if none is given.
    Watch(Option<Reference>),
    /// Classify the image that was sent as a test: nothing is counted, watched or kept.
    Check,
    /// Tell the first alarms since the watch began, and what the file says about trust in an answer.
    Alarms,
}

/// When answers are withheld.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Threshold {
    /// At the entropy and the distance of the features that the model's file states.
    File,
    /// Never, not for the distance of the features either.
    Never,
    /// Above this predictive entropy in nats, and as the file states for the distance of the features.
    Above(f32),
}

/// An answer about images.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put a list on")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ImageAnswer {
    /// Answers [`ImageRequest::Describe`], [`ImageRequest::Threshold`] and [`ImageRequest::Watch`].
    Description(Description),
    /// Answers [`ImageRequest::Class`]; a long name is cut.
    Class(Name),
    /// Answers [`ImageRequest::Chunk`].
    Receiving {
        /// The offset of the next chunk.
        next: u32,
    },
    /// Answers [`ImageRequest::Classify`] and [`ImageRequest::Check`].
    Classified(Classified),
    /// Answers [`ImageRequest::Probabilities`].
    Probabilities {
        /// The first of these classes.
        first: u8,
        /// Their probabilities.
        values: Vec<f32, PROBABILITIES>,
    },
    /// Answers [`ImageRequest::Alarms`].
    Alarms(Alarms),
}

/// The first alarms since the watch began, and what the file says about trust in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alarms {
    /// Whether a sequential test watches; otherwise moving means do.
    pub sequential: bool,
    /// Images to a false alarm of that test, at least, on average.
    pub images_per_false_alarm: Option<f32>,
    /// The first alarm for drift of the images.
    pub first: Option<Alarm>,
    /// The first class that was answered more often than usual.
    pub frequent: Option<Frequent>,
    /// Relative distance of the features above which answers are withheld, at present.
    pub distance_limit: Option<f32>,
    /// Probability from which on a class belongs to the set of possible answers.
    pub set_probability: Option<f32>,
}

/// An image network and its settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Rows of an image.
    pub height: u16,
    /// Columns of an image.
    pub width: u16,
    /// Channels of an image.
    pub channels: u8,
    /// Number of classes.
    pub classes: u8,
    /// Predictive entropy in nats above which answers are withheld.
    pub threshold: Option<f32>,
    /// The reference of the drift window.
    pub reference: Option<Reference>,
    /// The drift window.
    pub drift: State,
    /// Images classified since the model was opened.
    pub images: u32,
    /// Of these, the images whose answer was withheld.
    pub abstained: u32,
    /// How many images are kept as samples.
    pub samples: u16,
    /// How many images can be kept as samples.
    pub samples_room: u16,
    /// Bytes of working memory the network needs.
    pub memory: u32,
    /// Bytes of working memory the board has.
    pub memory_room: u32,
}

/// The answer about an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Classified {
    /// The image's number; numbers start at 1 when a model is opened. Zero if it was a test.
    pub number: u32,
    /// The most probable class.
    pub class: u8,
    /// Its probability.
    pub probability: f32,
    /// Predictive entropy in nats.
    pub entropy: f32,
    /// Whether the entropy or the distance of the features is above its threshold, so that the answer should not be used.
    pub abstained: bool,
    /// Whether the image was kept as a sample.
    pub kept: bool,
    /// The drift window with this image.
    pub drift: State,
    /// How many ticks of the board's clock the classification took, where the board has a clock.
    pub ticks: Option<u32>,
}

/// A request about kept images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SampleRequest {
    /// List the samples.
    List {
        /// The first sample wanted, counted from 0.
        first: u16,
    },
    /// Send a piece of an image.
    Fetch {
        /// The sample's number.
        number: u32,
        /// The first byte wanted.
        offset: u32,
    },
    /// Forget all of them.
    Clear,
}

/// An answer about kept images.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put a list on")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SampleAnswer {
    /// Answers [`SampleRequest::List`].
    List {
        /// Number of all samples.
        total: u16,
        /// The first of these.
        first: u16,
        /// As many samples as fit a frame.
        samples: Vec<Sample, SAMPLES_PER_FRAME>,
    },
    /// Answers [`SampleRequest::Fetch`].
    Piece {
        /// The first of these bytes.
        offset: u32,
        /// [`MAX_CHUNK`] bytes, or fewer at the end of the image.
        bytes: Chunk,
    },
    /// Answers [`SampleRequest::Clear`].
    Cleared,
}

/// Why an image was not received or classified, or a sample not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ImageRefusal {
    /// The chunk is not the next one.
    #[error("the next chunk of the image begins at byte {next}")]
    Offset {
        /// Place of the next chunk in the image.
        next: u32,
    },
    /// The chunk is neither full nor the last.
    #[error("a chunk of an image has {MAX_CHUNK} bytes; only the last one may be shorter")]
    ChunkLength,
    /// The image is not complete yet.
    #[error("{have} of the image's {bytes} bytes have been received")]
    Incomplete {
        /// Bytes received.
        have: u32,
        /// Bytes of an image.
        bytes: u32,
    },
    /// Nothing has been classified since the last chunk.
    #[error("there is no answer yet: nothing has been classified since the last chunk")]
    NoAnswer,
    /// There is no such class.
    #[error("there is no class {class}; there are {classes}, counted from 0")]
    NoClass {
        /// The class asked for.
        class: u8,
        /// Number of classes.
        classes: u8,
    },
    /// There is no such sample, or it has no such byte.
    #[error("there is no sample {number} with a byte {offset}")]
    NoSample {
        /// The number asked for.
        number: u32,
        /// The offset asked for.
        offset: u32,
    },
    /// The threshold is negative or not finite, or the reference has a number out of range.
    #[error("a threshold and a mean must be finite and not negative, a deviation finite and positive")]
    Setting,
    /// The network could not be evaluated, because the working memory is smaller than when the model was opened.
    #[error("the working memory is too small for the network")]
    Memory,
}
