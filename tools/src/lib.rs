//! Builds, emulates and talks to boards. Host only; depends on the evaluator, never on the trainer.
//!
//! [`cli`] parses and dispatches, [`cmd`] has one file per subcommand; what they share is below.

pub mod cli;
pub mod client;
pub mod cmd;
pub mod console;
pub mod curve;
pub mod device;
pub mod error;
pub mod figure;
pub mod input;
pub mod output;
pub mod port;
pub mod push;
pub mod repository;
pub mod solver;
pub mod table;

pub use error::Error;
