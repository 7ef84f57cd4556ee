//! Requests about the models in a device's flash: two slots, of which one is free for a new model, and the model that
//! answers.
//!
//! A push is [`ModelRequest::Begin`], the chunks in order, [`ModelRequest::Commit`] (the device checks the file and
//! replays its golden queries) and [`ModelRequest::Activate`] (one atomic write). Until then the old model answers, so
//! that an interrupted push always leaves a working model.

use crate::error::ModelError;
use crate::limits::MAX_CHUNK;
use crate::summary::{ModelInfo, Name};
use serde::{Deserialize, Serialize};

/// Number of slots for models.
pub const SLOTS: usize = 2;

/// A piece of a model file: [`MAX_CHUNK`] bytes, or fewer if it is the last.
pub type Chunk = heapless::Vec<u8, MAX_CHUNK>;

/// Where a model is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// In the firmware.
    BuiltIn,
    /// In this slot.
    Slot(u8),
}

/// A request about models.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put a chunk on")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelRequest {
    /// List the contents of the slots, and tell which model answers.
    List,
    /// Begin to receive a file into the free slot. With the numbers of a file already begun, go on where that was.
    Begin {
        /// Bytes of the file.
        bytes: u32,
        /// The checksum that the file carries.
        crc32: u32,
    },
    /// The next bytes of the file.
    Chunk {
        /// Place of the first of these bytes in the file.
        offset: u32,
        /// The bytes.
        bytes: Chunk,
    },
    /// Check the received file: it must be complete and valid, and this device must give its golden answers.
    Commit,
    /// Let this model answer from now on, also after a reset. The device checks it first, as for a commit.
    Activate(Origin),
    /// Forget the file that was begun.
    Abort,
    /// Tell how often the flash was written, and how often it may still be.
    Wear,
}

/// An answer about models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ModelAnswer {
    /// Answers [`ModelRequest::List`].
    List(ModelList),
    /// Answers [`ModelRequest::Begin`] and [`ModelRequest::Chunk`].
    Receiving {
        /// The slot that receives the file.
        slot: u8,
        /// The offset of the next chunk.
        next: u32,
    },
    /// Answers [`ModelRequest::Commit`].
    Checked {
        /// The slot that holds the file.
        slot: u8,
        /// The model.
        #[serde(with = "super::flat")]
        model: ModelInfo,
    },
    /// Answers [`ModelRequest::Activate`].
    Activated(Origin),
    /// Answers [`ModelRequest::Abort`].
    Aborted,
    /// Answers [`ModelRequest::Wear`].
    Wear(Wear),
}

/// How worn the flash of the models is. Flash bears 10,000 to 100,000 erasures of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wear {
    /// Files begun in each slot, ever: how often its first page was erased, and no other page more often.
    pub begun: [u32; SLOTS],
    /// Records written, ever.
    pub records: u32,
    /// Files that may be begun at once now.
    pub begins_left: u32,
    /// Activations that may follow at once now.
    pub activations_left: u32,
}

/// The models of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelList {
    /// The model that answers.
    pub running: Origin,
    /// Size of a slot, in bytes.
    pub slot_bytes: u32,
    /// The content of each slot.
    pub slots: [SlotContent; SLOTS],
}

/// The content of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlotContent {
    /// Nothing.
    Empty,
    /// Not a usable model, perhaps because a push was interrupted.
    Refused(ModelError),
    /// A valid model.
    Model {
        /// Name of the ODE system, or `image`.
        ode: Name,
        /// Number format of the weights.
        scheme: Name,
        /// Bytes of the file.
        bytes: u32,
        /// Its checksum.
        crc32: u32,
    },
}

/// Why a model was not received, checked or activated. The model that answered before still does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StoreError {
    /// The board cannot write its flash.
    #[error("this board's firmware cannot write models to its flash")]
    ReadOnly,
    /// The flash does not hold what was written.
    #[error("the flash failed at byte {offset} of the slot or record page")]
    Flash {
        /// Place of the failure.
        offset: u32,
    },
    /// The file does not fit a slot.
    #[error("the file has {bytes} bytes, but a slot only {room}")]
    TooLarge {
        /// Bytes of the file.
        bytes: u32,
        /// Size of a slot, in bytes.
        room: u32,
    },
    /// No file was begun, or the device was reset since then.
    #[error("no push of a model has begun")]
    NotBegun,
    /// The chunk is not the next one.
    #[error("the next chunk begins at byte {next}")]
    Offset {
        /// Place of the next chunk in the file.
        next: u32,
    },
    /// The chunk is neither full nor the last.
    #[error("a chunk has {MAX_CHUNK} bytes; only the last one may be shorter")]
    ChunkLength,
    /// The file is not complete yet.
    #[error("{have} of {bytes} bytes have been received")]
    Incomplete {
        /// Bytes received.
        have: u32,
        /// Bytes of the file.
        bytes: u32,
    },
    /// The file is not a model that this device can use.
    #[error("{0}")]
    Refused(ModelError),
    /// The file is a valid model, but not the one that was announced.
    #[error("the file has {bytes} bytes and checksum {crc32:08x}, which is not what was announced")]
    OtherFile {
        /// Bytes of the file.
        bytes: u32,
        /// Checksum of the file.
        crc32: u32,
    },
    /// The file carries no golden queries to check the device with.
    #[error("the file carries no golden queries")]
    NoGolden,
    /// The device's answers differ from the golden answers of the file.
    #[error("{mismatches} of {queries} golden answers differ on this device")]
    Golden {
        /// Answers that differ.
        mismatches: u16,
        /// Golden queries of the file.
        queries: u16,
    },
    /// There is no such slot.
    #[error("there is no slot {slot}; there are {SLOTS}, counted from 0")]
    NoSlot {
        /// The slot asked for.
        slot: u8,
    },
    /// Files were begun or models activated so often that the flash would wear out.
    #[error("so many models were sent or activated that the flash would wear out, {}", wait(*seconds))]
    TooOften {
        /// Seconds until it may be done again; `None` on a board that measures no time: after a reset.
        seconds: Option<u32>,
    },
}

struct Wait(Option<u32>);

impl core::fmt::Display for Wait {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(seconds) => write!(f, "the next may follow in {seconds} s"),
            None => write!(f, "the next may follow after a reset of the board"),
        }
    }
}

fn wait(seconds: Option<u32>) -> Wait {
    Wait(seconds)
}
