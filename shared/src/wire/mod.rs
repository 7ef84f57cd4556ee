//! The serial protocol: messages (postcard), checksum (CRC-32), frames (COBS, ended by a zero byte).
//!
//! | layer | bytes |
//! | --- | --- |
//! | message | [`Message`]: protocol version, sequence number, body, in postcard's encoding |
//! | checksum | CRC-32 (ISO-HDLC) of the message, 4 bytes, little-endian |
//! | frame | COBS of message and checksum, then one zero byte; at most [`MAX_FRAME`](crate::limits::MAX_FRAME) bytes |
//!
//! A receiver that has lost its place skips to the next zero byte. Every request gets exactly one answer, which repeats
//! its sequence number; only a trajectory is answered by several frames. A frame that cannot be read is answered by
//! [`DeviceError::Frame`] with sequence number 0. During long calculations the device sends [`Response::Hello`] with sequence
//! number 0, as a sign of life.
//!
//! | request | answer |
//! | --- | --- |
//! | [`Request::Hello`] | [`Response::Hello`]: which requests the device knows, how long a frame may be |
//! | [`Request::Info`] | [`Response::Info`]: board, firmware, model |
//! | [`Request::Predict`], [`Request::Certify`] | [`Response::Prediction`], [`Response::Certificate`] |
//! | [`Request::SelfTest`] | [`Response::SelfTest`] |
//! | [`Request::ObservationAdd`], [`Request::ObservationsClear`] | [`Response::Observations`]: how many the device keeps |
//! | [`Request::Calibrate`] | [`Response::Calibration`]: estimates from the observations kept |
//! | [`Request::Forecast`] | [`Response::Forecast`]: the future of the problem calibrated last |
//! | [`Request::Trajectory`] | [`Response::Trajectory`], until all points asked for are sent |
//! | [`Request::Statistics`] | [`Response::Statistics`]: what happened since reset, and memory use |
//! | [`Request::Model`] | [`Response::Model`]: the models in flash, and a new one; see [`store`] |
//! | [`Request::Image`] | [`Response::Image`]: images, sent in chunks and classified; see [`image`] |
//! | [`Request::Samples`] | [`Response::Samples`]: the most entropic images, kept on the device |
//! | [`Request::Outbreak`] | [`Response::Outbreak`]: counts of an outbreak, and the epidemic behind them; see [`outbreak`] |
//! | [`Request::Trust`] | [`Response::Trust`]: whose models the device takes, and who may change it; see [`trust`] |
//! | any | [`Response::Error`]: why the device refused the request |
//!
//! [`ask`] has the same table as types: what a question is called and what type its answer has.
//!
//! Every request may be repeated if its answer was lost: the effect and the answer stay the same.
//!
//! Requests, answers and errors are only ever added, at the end of their lists, and that needs no new version: a message
//! that was understood once always will be. A device that does not know a request answers
//! [`DeviceError::UnknownRequest`]. `shared/docs/protocol.md` lists all requests with their bytes.
//!
//! Checksum, framing, version and sequence number keep their place and encoding in every version of the protocol, so
//! that two sides of different versions can still tell each other their versions ([`FrameError::Version`]).

pub mod ask;
mod flat;
mod frame;
pub mod image;
mod message;
pub mod outbreak;
pub mod store;
pub mod trust;

pub use ask::Ask;
pub use frame::{FrameBuffer, FrameError, decode, encode};
pub use message::{DeviceError, Hello, Info, Memory, REQUESTS, Request, Response, Statistics};

use serde::{Deserialize, Serialize};

/// Version of this protocol. Device and host refuse to talk when theirs differ.
pub const PROTOCOL_VERSION: u8 = 1;

/// The content of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Message<T> {
    /// [`PROTOCOL_VERSION`] of the sender.
    pub version: u8,
    /// Chosen by the host, repeated by the device.
    pub sequence: u16,
    /// The request or response.
    pub body: T,
}
