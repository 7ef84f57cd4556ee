//! The services that a run needs from its computer: files that survive a crash, checkpoints, progress, Ctrl-C, a device
//! for tensors, CPU time, seeded random numbers, and lists to choose from by name. Nothing here knows what is trained.
//!
//! Files stack: [`atomic`] replaces a file in one step, [`model_file`] lays out models, [`checkpoint`] the state of a
//! run; [`session`] writes checkpoints in the course of a run.

pub mod atomic;
pub mod budget;
pub mod checkpoint;
pub mod clock;
pub mod device;
pub mod heap;
pub mod interrupt;
pub mod model_file;
pub mod names;
pub mod progress;
pub mod random;
pub mod session;

/// Name and version of this program, as its files and reports state them.
pub const SOFTWARE: &str = concat!("sirocco-trainer ", env!("CARGO_PKG_VERSION"));
