//! Builds, emulates and talks to boards. Host only; depends on the evaluator, never on the trainer.
//!
//! [`cli`] parses and dispatches, [`cmd`] has one file per subcommand; what they share is below.

pub mod board;
pub mod cargo;
pub mod cli;
pub mod client;
pub mod cmd;
pub mod console;
pub mod course;
pub mod device_log;
pub mod discover;
pub mod elf;
pub mod error;
pub mod figure;
pub mod images;
pub mod model_file;
pub mod observations;
pub mod output;
pub mod picture;
pub mod port;
pub mod probe;
pub mod problem;
pub mod program;
pub mod push;
pub mod qemu;
pub mod quantities;
pub mod sample_files;
pub mod solver;
pub mod transport;

pub use error::Error;
