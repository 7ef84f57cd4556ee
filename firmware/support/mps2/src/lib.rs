//! Board support for Arm MPS2 images, as QEMU emulates them: AN385 (Cortex-M3), AN386 (Cortex-M4F) and AN505
//! (Cortex-M33, in its secure state).
//!
//! `hardware.rs` is the only file with unsafe code.
#![no_std]

mod hardware;
mod uart;

pub use uart::Uart;

use defmt_semihosting as _;
use sirocco_firmware::{Arena, Board, Store};

/// The image that is loaded into the FPGA of an MPS2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// Cortex-M3 (Arm DAI 0385).
    An385,
    /// Cortex-M4 with FPU (Arm DAI 0386).
    An386,
    /// Cortex-M33 with FPU and DSP (Arm DAI 0505).
    An505,
}

impl Image {
    /// The board's name: its folder under `firmware/boards`.
    pub fn name(self) -> &'static str {
        match self {
            Image::An385 => "qemu-mps2-an385",
            Image::An386 => "qemu-mps2-an386",
            Image::An505 => "qemu-mps2-an505",
        }
    }
}

/// Runs the firmware on this image.
pub fn run(image: Image) -> ! {
    let board = Board { uptime: Some(image.uptime()), ..sirocco_cortex_m::board(image.name()) };
    let port = uart::Uart::new(image);
    let Some([mut slot_0, mut slot_1, mut records]) = hardware::model_flash() else { semihosting::process::exit(1) };
    let store = Store::new([&mut slot_0, &mut slot_1], &mut records);
    // It returns only if no request can be answered any more; the log says why.
    let arena = Arena::new(sirocco_cortex_m::memory::arena());
    sirocco_firmware::serve(board, store, sirocco_firmware::built_in(), arena, port);
    semihosting::process::exit(1)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    match info.location() {
        Some(location) => defmt::error!("panic at {=str}:{=u32}", location.file(), location.line()),
        None => defmt::error!("panic"),
    }
    semihosting::process::exit(101)
}
