//! The program `sirocco`: builds firmware, emulates boards, and talks to them. Runs on a workstation; depends on the
//! evaluator, never on the trainer.
//!
//! [`cli`] parses the command line and calls one of the commands in [`cmd`]. They read their input with [`input`],
//! reach a board with [`port`] and [`client`], or a model file on this machine with [`solver`], and print with
//! [`output`]. [`device`] builds, flashes and emulates firmware, [`keys`] signs models and sessions. [`reproduction`] estimates
//! the reproduction number, [`score`] judges forecasts.

/// As `println!`, without its panic where stdout cannot be written: see [`output::finish`].
macro_rules! say {
    () => { $crate::output::write(format_args!("\n")) };
    ($($text:tt)+) => { $crate::output::write(format_args!("{}\n", format_args!($($text)+))) };
}

pub mod classifier;
pub mod cli;
pub mod client;
pub mod cmd;
pub mod console;
pub mod curve;
pub mod device;
pub mod error;
pub mod estimate;
pub mod figure;
pub mod input;
pub mod keys;
pub mod output;
pub mod port;
pub mod push;
pub mod repository;
pub mod reproduction;
pub mod score;
pub mod solver;
pub mod table;

pub use error::Error;
