//! Frames: a message with its checksum, COBS-encoded and ended by a zero byte. The zero byte never occurs inside a frame, so
//! a receiver finds the next frame after any garbage.

use super::{Message, PROTOCOL_VERSION};
use crate::limits::MAX_FRAME;
use crate::model::CRC32;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Why a frame could not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FrameError {
    /// Longer than [`MAX_FRAME`].
    #[error("frame longer than the limit")]
    TooLong,
    /// The bytes are not valid COBS.
    #[error("bad COBS encoding")]
    Cobs,
    /// The checksum does not match the message.
    #[error("bad checksum")]
    Checksum,
    /// Too short for a message.
    #[error("not a message of this protocol")]
    Message,
    /// A message of another protocol version; its body was not decoded.
    #[error("a message of protocol version {version}, not {PROTOCOL_VERSION}")]
    Version {
        /// The sender's version.
        version: u8,
        /// The message's sequence number, so that it can be answered.
        sequence: u16,
    },
    /// A message of this version whose body is unknown, or has bytes left over.
    #[error("a message with an unknown or malformed body")]
    Body {
        /// The message's sequence number, so that it can be answered.
        sequence: u16,
    },
}

/// Encodes a message as one frame into `frame` and returns the bytes to send.
///
/// # Errors
/// [`FrameError::TooLong`] if the frame would exceed [`MAX_FRAME`].
///
/// ```
/// use sirocco::wire::{self, Message, Request};
/// let mut buffer = [0; sirocco::limits::MAX_FRAME];
/// let frame = wire::encode(&Message { version: 1, sequence: 7, body: Request::Info }, &mut buffer).unwrap();
/// assert_eq!(frame.last(), Some(&0));
/// ```
pub fn encode<'f, T: Serialize>(message: &Message<T>, frame: &'f mut [u8; MAX_FRAME]) -> Result<&'f [u8], FrameError> {
    // COBS adds one byte per 254 and one at the start; the terminator one more.
    const ROOM: usize = MAX_FRAME - MAX_FRAME / 254 - 2;
    let mut plain = [0; ROOM];
    let used = postcard::to_slice(message, &mut plain).map_err(|_| FrameError::TooLong)?.len();
    let crc = CRC32.checksum(plain.get(..used).ok_or(FrameError::TooLong)?).to_le_bytes();
    plain.get_mut(used..used + crc.len()).ok_or(FrameError::TooLong)?.copy_from_slice(&crc);
    let plain = plain.get(..used + crc.len()).ok_or(FrameError::TooLong)?;
    let encoded = cobs::try_encode(plain, frame).map_err(|_| FrameError::TooLong)?;
    *frame.get_mut(encoded).ok_or(FrameError::TooLong)? = 0;
    frame.get(..=encoded).ok_or(FrameError::TooLong)
}

/// Decodes one frame (without its terminating zero), in place.
///
/// # Errors
/// The first of [`FrameError::Cobs`], [`FrameError::Checksum`], [`FrameError::Message`], [`FrameError::Version`] and
/// [`FrameError::Body`] that applies.
pub fn decode<T: DeserializeOwned>(frame: &mut [u8]) -> Result<Message<T>, FrameError> {
    let length = decode_cobs(frame).ok_or(FrameError::Cobs)?;
    let plain = frame.get(..length).ok_or(FrameError::Cobs)?;
    let (message, crc) = plain.split_last_chunk::<4>().ok_or(FrameError::Checksum)?;
    if CRC32.checksum(message) != u32::from_le_bytes(*crc) {
        return Err(FrameError::Checksum);
    }
    match postcard::take_from_bytes::<(u8, u16)>(message) {
        Ok(((version, sequence), _)) if version != PROTOCOL_VERSION => Err(FrameError::Version { version, sequence }),
        Ok(((_, sequence), _)) => match postcard::take_from_bytes(message) {
            Ok((message, [])) => Ok(message),
            _ => Err(FrameError::Body { sequence }),
        },
        Err(_) => Err(FrameError::Message),
    }
}

/// Decodes COBS in place. Returns the decoded length, or `None` if the encoding is not valid.
///
/// This is not left to the crate `cobs` because the compiler cannot remove a bounds check from its loop, and the request
/// loop must link without any path to a panic.
fn decode_cobs(frame: &mut [u8]) -> Option<usize> {
    let (mut read, mut write) = (0, 0);
    while read < frame.len() {
        let code = *frame.get(read)?;
        let next = read + usize::from(code);
        if code == 0 || next > frame.len() {
            return None;
        }
        for from in read + 1..next {
            let byte = *frame.get(from)?;
            if byte == 0 {
                return None;
            }
            *frame.get_mut(write)? = byte;
            write += 1;
        }
        read = next;
        if code != u8::MAX && read < frame.len() {
            *frame.get_mut(write)? = 0;
            write += 1;
        }
    }
    (write > 0 || read == 1).then_some(write)
}

/// Collects received bytes into frames and finds the next frame after garbage.
#[derive(Debug, Clone)]
pub struct FrameBuffer {
    bytes: heapless::Vec<u8, MAX_FRAME>,
    overflowed: bool,
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameBuffer {
    /// An empty buffer.
    pub const fn new() -> Self {
        FrameBuffer { bytes: heapless::Vec::new(), overflowed: false }
    }

    /// Takes one received byte. At the end of each frame, returns its message or the defect of the frame.
    ///
    /// Empty frames (zero bytes in a row) are skipped silently: a host may send one to end whatever came before.
    pub fn push<T: DeserializeOwned>(&mut self, byte: u8) -> Option<Result<Message<T>, FrameError>> {
        if byte != 0 {
            self.overflowed |= self.bytes.push(byte).is_err();
            return None;
        }
        let result = if self.overflowed {
            Some(Err(FrameError::TooLong))
        } else if self.bytes.is_empty() {
            None
        } else {
            Some(decode(&mut self.bytes))
        };
        self.bytes.clear();
        self.overflowed = false;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn decoding_agrees_with_the_cobs_crate(data in proptest::collection::vec(0u8..4, 0..600)) {
            let mut frame = [0; 700];
            let encoded = cobs::try_encode(&data, &mut frame).unwrap();
            let frame = &mut frame[..encoded];
            let length = decode_cobs(frame);
            prop_assert_eq!(length.and_then(|n| frame.get(..n)), Some(data.as_slice()));
        }

        #[test]
        fn damaged_frames_are_judged_as_by_the_cobs_crate(frame in proptest::collection::vec(1u8..20, 0..60)) {
            let (mut own, mut other) = (frame.clone(), frame);
            let own = decode_cobs(&mut own).map(|n| own[..n].to_vec());
            let other: Option<Vec<u8>> = cobs::decode_in_place(&mut other).ok().map(|n| other[..n].to_vec());
            prop_assert_eq!(own, other);
        }
    }
}
