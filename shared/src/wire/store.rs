//! Models in a device's flash: two slots, one of them free for a new model, and which model answers.
//!
//! A push: [`ModelRequest::Begin`], chunks in their order, [`ModelRequest::Commit`] (the device checks the file and
//! replays its golden queries), [`ModelRequest::Activate`] (one atomic write). Until then the old model answers, and
//! whatever interrupts the push, a working model is left.

use crate::error::ModelError;
use crate::limits::MAX_CHUNK;
use crate::summary::{ModelInfo, Name};
use serde::{Deserialize, Serialize};

/// Slots for models.
pub const SLOTS: usize = 2;

/// A piece of a model file: [`MAX_CHUNK`] bytes, or fewer if it is the last.
pub type Chunk = heapless::Vec<u8, MAX_CHUNK>;

/// Where a model lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// It is part of the firmware.
    BuiltIn,
    /// It was put into this slot.
    Slot(u8),
}

/// What the host asks about models.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put a chunk on")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelRequest {
    /// What do the slots hold, and which model answers?
    List,
    /// Receive a file into the free slot. Begun again with the same numbers, it goes on where it was.
    Begin {
        /// Bytes of the file.
        bytes: u32,
        /// The checksum that the file carries.
        crc32: u32,
    },
    /// The next bytes of the file.
    Chunk {
        /// Where they belong.
        offset: u32,
        /// The bytes.
        bytes: Chunk,
    },
    /// Check the received file: whole, valid, and with golden answers that this device gives too.
    Commit,
    /// Let this model answer from now on, also after reset. It is checked first, as by a commit.
    Activate(Origin),
    /// Forget the file that was begun.
    Abort,
}

/// What the device answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ModelAnswer {
    /// To [`ModelRequest::List`].
    List(ModelList),
    /// To [`ModelRequest::Begin`] and [`ModelRequest::Chunk`].
    Receiving {
        /// The slot that the file goes to.
        slot: u8,
        /// The offset of the next chunk.
        next: u32,
    },
    /// To [`ModelRequest::Commit`].
    Checked {
        /// The slot that holds it.
        slot: u8,
        /// The model.
        #[serde(with = "super::flat")]
        model: ModelInfo,
    },
    /// To [`ModelRequest::Activate`].
    Activated(Origin),
    /// To [`ModelRequest::Abort`].
    Aborted,
}

/// The models of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelList {
    /// The model that answers.
    pub running: Origin,
    /// Bytes of a slot.
    pub slot_bytes: u32,
    /// What the slots hold.
    pub slots: [SlotContent; SLOTS],
}

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlotContent {
    /// Nothing.
    Empty,
    /// Something that is no model of use, perhaps half a one.
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
pub enum StoreError {
    /// The board cannot write its flash.
    #[error("this board's firmware cannot write models to its flash")]
    ReadOnly,
    /// The flash did not take what was written.
    #[error("the flash failed at byte {offset} of the slot or record page")]
    Flash {
        /// Where.
        offset: u32,
    },
    /// The file does not fit a slot.
    #[error("the file has {bytes} bytes, a slot {room}")]
    TooLarge {
        /// Bytes of the file.
        bytes: u32,
        /// Bytes of a slot.
        room: u32,
    },
    /// No file was begun, or the device was reset since.
    #[error("no model has been begun")]
    NotBegun,
    /// A chunk that is not the next one.
    #[error("the next chunk begins at byte {next}")]
    Offset {
        /// Where the next chunk begins.
        next: u32,
    },
    /// A chunk that is neither full nor the last.
    #[error("a chunk has {MAX_CHUNK} bytes, and the last one those that are left")]
    ChunkLength,
    /// The file is not whole yet.
    #[error("{have} of {bytes} bytes have been received")]
    Incomplete {
        /// Bytes received.
        have: u32,
        /// Bytes of the file.
        bytes: u32,
    },
    /// The file is no model that this device can use.
    #[error("{0}")]
    Refused(ModelError),
    /// The file is a valid model, but not the one that was announced.
    #[error("the file has {bytes} bytes and checksum {crc32:08x}, which is not what was announced")]
    OtherFile {
        /// Its bytes.
        bytes: u32,
        /// Its checksum.
        crc32: u32,
    },
    /// The file carries no golden queries to check the device with.
    #[error("the file carries no golden queries")]
    NoGolden,
    /// The device gives other answers than the file says it should.
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
        /// As asked for.
        slot: u8,
    },
}
