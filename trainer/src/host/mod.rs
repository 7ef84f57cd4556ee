//! What a run takes from the computer it runs on: files that survive a crash, checkpoints, progress, Ctrl-C, the device
//! that computes, time, and seeded random numbers.

pub mod atomic;
pub mod budget;
pub mod checkpoint;
pub mod clock;
pub mod device;
pub mod heap;
pub mod interrupt;
pub mod model_file;
pub mod progress;
pub mod random;
pub mod session;

/// Name and version of this program, as its files and reports state them.
pub const SOFTWARE: &str = concat!("sirocco-trainer ", env!("CARGO_PKG_VERSION"));
