//! Requests about trust: whose models a device takes, and who may change it.
//!
//! A device may hold public keys of two kinds. If it holds keys for models, it takes only models that one of these has
//! signed, with a serial number not below the highest it has activated. If it holds keys of operators, requests that change
//! it are taken only in a session: the host asks for a challenge and answers with an operator's signature of it. A device
//! without keys takes every model from everyone.

use crate::limits::MAX_KEYS;
use crate::model::signature::Fingerprint;
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// Bytes that a device never asks to be signed twice.
pub type Nonce = [u8; 16];

/// What an operator signs to open a session begins with these bytes; the nonce follows.
pub const SESSION: [u8; 16] = *b"sirocco session ";
/// What is signed to set the lowest serial number begins with these bytes; the nonce and the number follow, the number in 4
/// bytes, little-endian.
pub const LOWEST: [u8; 16] = *b"sirocco lowest  ";

/// A signature and the key that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Which key.
    pub key: Fingerprint,
    /// The signature, in halves.
    pub halves: [[u8; 32]; 2],
}

impl Signed {
    /// From the 64 bytes of a signature.
    pub fn new(key: Fingerprint, bytes: [u8; 64]) -> Self {
        let mut halves = [[0; 32]; 2];
        for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks().0) {
            *half = *bytes;
        }
        Signed { key, halves }
    }

    /// The 64 bytes of the signature.
    pub fn bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        for (byte, half) in bytes.iter_mut().zip(self.halves.as_flattened()) {
            *byte = *half;
        }
        bytes
    }
}

/// A request about trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrustRequest {
    /// Tell which keys the device holds, and what that means.
    State,
    /// Give a nonce to be signed. A later one takes its place.
    Challenge,
    /// Open a session, with an operator's signature of [`SESSION`] and the nonce.
    Open(Signed),
    /// Take models from this serial number on, whatever was activated, with a signature of [`LOWEST`], the nonce and the number by
    /// a key for models.
    Lowest {
        /// The lowest serial number.
        serial: u32,
        /// The signature.
        signed: Signed,
    },
    /// Close the session.
    Close,
}

/// An answer about trust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrustAnswer {
    /// Answers all requests but [`TrustRequest::Challenge`].
    State(State),
    /// Answers [`TrustRequest::Challenge`].
    Challenge(Nonce),
}

/// Whom a device trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The keys for models. Without any, every model is taken.
    pub models: Vec<Fingerprint, MAX_KEYS>,
    /// The keys of operators. Without any, everyone may change the device.
    pub operators: Vec<Fingerprint, MAX_KEYS>,
    /// The lowest serial number of a model that is taken.
    pub lowest: u32,
    /// Whether the device can be changed now: a session is open, or none is needed.
    pub open: bool,
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TrustRefusal {
    /// The request changes the device, and no session is open.
    #[error("only an operator may change this device, in a session")]
    Closed,
    /// The device holds no key for this.
    #[error("the device holds no keys for this")]
    NoKeys,
    /// No challenge was asked for, or it was answered already.
    #[error("there is no challenge to answer")]
    NoChallenge,
    /// The key is not one of the device's for this purpose.
    #[error("key {key:016x} is not one that the device holds for this")]
    UnknownKey {
        /// The key's fingerprint.
        key: Fingerprint,
    },
    /// The signature is not that of the challenge.
    #[error("the signature is not key {key:016x}'s of the challenge")]
    Forged {
        /// The key's fingerprint.
        key: Fingerprint,
    },
    /// What was granted could not be recorded.
    #[error("the device could not write to its flash")]
    Flash,
}
