//! Images over the line: sent in chunks, classified, and the most entropic ones kept to be fetched.
//!
//! An image is sent from its first byte on in [`ImageRequest::Chunk`]s and classified by [`ImageRequest::Classify`].
//! Asked again, the same answer comes again and nothing is counted twice; a chunk at offset 0 begins another image.
//! Threshold, drift window and kept samples belong to the model: they begin anew when a model is opened.

use super::store::Chunk;
use crate::drift::{Reference, State};
use crate::limits::{MAX_CHUNK, PROBABILITIES, SAMPLES_PER_FRAME};
use crate::retain::Sample;
use crate::summary::Name;
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// What the host asks about images.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put a chunk on")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ImageRequest {
    /// Which images does the network take, and how is it set?
    Describe,
    /// What is this class called?
    Class(u8),
    /// The next bytes of an image: rows, columns, channels.
    Chunk {
        /// Where they belong; 0 begins another image.
        offset: u32,
        /// The bytes: [`MAX_CHUNK`], or fewer if they are the last.
        bytes: Chunk,
    },
    /// What does the image that was sent show?
    Classify,
    /// The probabilities of the last answer, from this class on.
    Probabilities {
        /// The first class wanted.
        first: u8,
    },
    /// Withhold answers with more entropy than this from now on.
    Threshold(Threshold),
    /// Begin the drift window anew, and compare with this reference; without one, with the file's.
    Watch(Option<Reference>),
}

/// When answers are withheld.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Threshold {
    /// As the model's file says.
    File,
    /// Never.
    Never,
    /// Above this predictive entropy in nats.
    Above(f32),
}

/// What the device answers.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put a list on")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ImageAnswer {
    /// To [`ImageRequest::Describe`], [`ImageRequest::Threshold`] and [`ImageRequest::Watch`].
    Description(Description),
    /// To [`ImageRequest::Class`]; cut to what fits.
    Class(Name),
    /// To [`ImageRequest::Chunk`].
    Receiving {
        /// The offset of the next chunk.
        next: u32,
    },
    /// To [`ImageRequest::Classify`].
    Classified(Classified),
    /// To [`ImageRequest::Probabilities`].
    Probabilities {
        /// The first of these classes.
        first: u8,
        /// Their probabilities.
        values: Vec<f32, PROBABILITIES>,
    },
}

/// An image network and how it is set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Rows of an image.
    pub height: u16,
    /// Columns of an image.
    pub width: u16,
    /// Channels of an image.
    pub channels: u8,
    /// Classes.
    pub classes: u8,
    /// Predictive entropy in nats above which answers are withheld.
    pub threshold: Option<f32>,
    /// What the drift window is compared with.
    pub reference: Option<Reference>,
    /// The drift window.
    pub drift: State,
    /// Images classified since the model was opened.
    pub images: u32,
    /// Those of them whose answer was withheld.
    pub abstained: u32,
    /// Samples that are kept.
    pub samples: u16,
    /// Samples that can be kept.
    pub samples_room: u16,
    /// Bytes of working memory the network needs.
    pub memory: u32,
    /// Bytes of working memory the board has.
    pub memory_room: u32,
}

/// The answer about an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Classified {
    /// The image's number: they are counted from 1 since the model was opened.
    pub number: u32,
    /// The most probable class.
    pub class: u8,
    /// Its probability.
    pub probability: f32,
    /// Predictive entropy in nats.
    pub entropy: f32,
    /// Whether the entropy is above the threshold, so that the answer should not be used.
    pub abstained: bool,
    /// Whether the image was kept as a sample.
    pub kept: bool,
    /// The drift window with this image.
    pub drift: State,
    /// Ticks of the board's clock that it took, where the board has one.
    pub ticks: Option<u32>,
}

/// What the host asks about kept images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SampleRequest {
    /// Which are there?
    List {
        /// The first one wanted, counted from 0.
        first: u16,
    },
    /// A piece of an image.
    Fetch {
        /// The sample's number.
        number: u32,
        /// The first byte wanted.
        offset: u32,
    },
    /// Forget all of them.
    Clear,
}

/// What the device answers.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put a list on")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SampleAnswer {
    /// To [`SampleRequest::List`].
    List {
        /// Samples in all.
        total: u16,
        /// The first of these.
        first: u16,
        /// As many as fit a frame.
        samples: Vec<Sample, SAMPLES_PER_FRAME>,
    },
    /// To [`SampleRequest::Fetch`].
    Piece {
        /// The first of these bytes.
        offset: u32,
        /// [`MAX_CHUNK`] bytes, or fewer if they are the last.
        bytes: Chunk,
    },
    /// To [`SampleRequest::Clear`].
    Cleared,
}

/// Why an image was not received or classified, or a sample not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ImageRefusal {
    /// A chunk that is not the next one.
    #[error("the next chunk of the image begins at byte {next}")]
    Offset {
        /// Where the next chunk begins.
        next: u32,
    },
    /// A chunk that is neither full nor the last.
    #[error("a chunk of an image has {MAX_CHUNK} bytes, and the last one those that are left")]
    ChunkLength,
    /// The image is not whole yet.
    #[error("{have} of the image's {bytes} bytes have been received")]
    Incomplete {
        /// Bytes received.
        have: u32,
        /// Bytes of an image.
        bytes: u32,
    },
    /// Nothing was classified yet, or the next image was begun.
    #[error("there is no answer yet: nothing was classified since the last chunk")]
    NoAnswer,
    /// There is no such class.
    #[error("there is no class {class}; there are {classes}, counted from 0")]
    NoClass {
        /// As asked for.
        class: u8,
        /// Classes there are.
        classes: u8,
    },
    /// There is no such sample, or no such byte of it.
    #[error("there is no byte {offset} of a sample {number}")]
    NoSample {
        /// As asked for.
        number: u32,
        /// As asked for.
        offset: u32,
    },
    /// A threshold that is negative or not finite, or a reference that means nothing.
    #[error("thresholds and references are finite and not negative, deviations positive")]
    Setting,
    /// The network did not take the image: its memory is smaller than it was when the model was opened.
    #[error("the network found no room to work in")]
    Memory,
}
