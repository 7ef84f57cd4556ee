//! The program of every board: it keeps models in flash and answers requests about one of them. It takes bytes as they are
//! received and returns frames to send.
//!
//! | file | what |
//! | --- | --- |
//! | `serve.rs` | the main loop: a serial port, a store, a log |
//! | `request.rs` | the conversation as a state machine |
//! | `images.rs` | requests about images: received, classified, kept |
//! | `store.rs`, `records.rs` | which model answers after a reset |
//! | `push.rs` | requests about models and trust: received, checked, activated |
//! | `trust.rs`, `keys.rs` | whose models are taken, and who may change the device |
//! | `wear.rs` | how often models may be sent and activated |
//! | `sign.rs` | signs of life during long calculations |
//! | `timing.rs` | how long requests take, for the log |
//! | `flash.rs`, `board.rs` | what a board provides |
//!
//! Nothing here depends on a board; see `support` and `boards`.
#![no_std]
#![forbid(unsafe_code)]

mod board;
mod built_in;
pub mod flash;
mod images;
#[cfg(feature = "signing")]
mod keys;
mod push;
pub mod records;
mod request;
mod serve;
mod sign;
mod store;
mod timing;
mod trust;
mod wear;

pub use board::{Board, Clock};
pub use built_in::built_in;
pub use images::Arena;
pub use push::{Bench, Push};
pub use request::{App, Conversation, Received, Reply};
pub use serve::serve;
pub use store::{Opened, Store};
pub use trust::{PublicKey, Session, Trust};
