//! What the boards have room for: the trainer fits a network to a board without the firmware's folders at hand. A test compares
//! this table with the memory map of every board.

use crate::Processor;

/// The room that a board has for an image network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Board {
    /// Its name, that of its folder in `firmware/boards`.
    pub name: &'static str,
    /// Bytes of flash for a model file.
    pub flash: usize,
    /// Bytes of RAM for an image network at work; what it leaves holds samples.
    pub ram: usize,
    /// The inner loops that the board has.
    pub processor: Processor,
}

const fn board(name: &'static str, flash: usize, ram: usize, processor: Processor) -> Board {
    Board { name, flash: flash << 10, ram: ram << 10, processor }
}

/// All boards.
pub const BOARDS: [Board; 7] = [
    board("nrf52840-dk", 128, 128, Processor::Dsp),
    board("qemu-mps2-an385", 1024, 96, Processor::Portable),
    board("qemu-mps2-an386", 1024, 96, Processor::Dsp),
    board("qemu-mps2-an505", 1024, 96, Processor::Dsp),
    board("rpi-pico", 256, 128, Processor::Portable),
    board("rpi-pico2", 256, 256, Processor::Dsp),
    board("stm32f405", 128, 64, Processor::Dsp),
];
