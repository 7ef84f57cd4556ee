//! The serial protocol: messages (postcard), checksum (CRC-32), frames (COBS, ended by a zero byte).
//!
//! | layer | bytes |
//! | --- | --- |
//! | message | [`Message`]: protocol version, sequence number, body, in postcard's encoding |
//! | checksum | CRC-32 (ISO-HDLC) of the message, 4 bytes, little-endian |
//! | frame | COBS of message and checksum, then one zero byte; at most [`MAX_FRAME`](crate::limits::MAX_FRAME) bytes |
//!
//! A receiver that has lost its place skips to the next zero byte. Every request gets exactly one answer that
//! repeats its sequence number (a trajectory: as many as it takes); a frame that cannot be read gets
//! [`DeviceError::Frame`] with sequence number 0.
//!
//! | request | answer |
//! | --- | --- |
//! | [`Request::Hello`] | [`Response::Hello`]: which requests the device knows, how long a frame may be |
//! | [`Request::Info`] | [`Response::Info`]: board, firmware, model |
//! | [`Request::Predict`], [`Request::Certify`] | [`Response::Prediction`], [`Response::Certificate`] |
//! | [`Request::SelfTest`] | [`Response::SelfTest`] |
//! | [`Request::ObservationAdd`], [`Request::ObservationsClear`] | [`Response::Observations`]: how many the device keeps |
//! | [`Request::Calibrate`] | [`Response::Calibration`]: estimates from the observations kept |
//! | [`Request::Forecast`] | [`Response::Forecast`]: what the last calibration means |
//! | [`Request::Trajectory`] | [`Response::Trajectory`], until all points asked for are sent |
//! | [`Request::Statistics`] | [`Response::Statistics`]: what happened since reset, and memory use |
//! | [`Request::Model`] | [`Response::Model`]: the models in flash, and a new one; see [`store`] |
//! | [`Request::Image`] | [`Response::Image`]: images, sent in chunks and classified; see [`image`] |
//! | [`Request::Samples`] | [`Response::Samples`]: the most entropic images, kept on the device |
//! | any | [`Response::Error`]: why not |
//!
//! Every request may be repeated after a lost answer: it has the same effect and the same answer again.
//!
//! Requests, answers and errors are only ever added, at the end of their lists, without a new version: what was
//! understood once always is. A device that does not know a request answers [`DeviceError::UnknownRequest`].
//! `shared/docs/protocol.md` has all of them with their bytes.
//!
//! Checksum, framing, version and sequence number keep their place and encoding in every version of the protocol:
//! that is what lets two sides of different versions tell each other so ([`FrameError::Version`]).

pub mod ask;
mod flat;
mod frame;
pub mod image;
mod message;
pub mod store;

pub use ask::Ask;
pub use frame::{FrameBuffer, FrameError, decode, encode};
pub use message::{DeviceError, Hello, Info, Memory, REQUESTS, Request, Response, Statistics};

use serde::{Deserialize, Serialize};

/// Version of this protocol. Device and host refuse to talk when theirs differ.
pub const PROTOCOL_VERSION: u8 = 1;

/// What travels in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Message<T> {
    /// [`PROTOCOL_VERSION`] of the sender.
    pub version: u8,
    /// Chosen by the host, repeated by the device.
    pub sequence: u16,
    /// The request or response.
    pub body: T,
}
