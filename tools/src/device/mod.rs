//! Boards, real and emulated: their descriptions, and how their firmware is built, flashed, run and measured.

pub mod bench;
pub mod board;
pub mod cargo;
pub mod device_log;
pub mod elf;
pub mod probe;
pub mod program;
pub mod qemu;
