//! Boards, emulated and real: what they are, how their firmware is built, written, started and read.

pub mod bench;
pub mod board;
pub mod cargo;
pub mod device_log;
pub mod elf;
pub mod probe;
pub mod program;
pub mod qemu;
