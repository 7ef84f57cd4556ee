//! Raspberry Pi Pico 2 (RP2350): the protocol on its USB port, as a serial port (CDC-ACM); the log over RTT.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "a symbol that the boot ROM looks for, its flash routines, unmasking an interrupt")]

#[path = "../../../support/pico.rs"]
mod pico;

use rp235x_hal as hal;
use rp235x_hal::pac::{Peripherals, USB as UsbRegisters, USB_DPRAM as UsbMemory};

/// The name of the USB port.
const PRODUCT: &str = "Sirocco on Pico 2";
/// Bytes of flash on the board.
const FLASH: u32 = 4 * 1024 * 1024;
/// Where the ROM leaves the code that sets up XIP: at the start of the boot RAM (datasheet, 5.4.8).
const SETUP: u32 = 0x400E_0000;

/// Tells the boot ROM that this is a program for the secure state of an Arm core.
// SAFETY: `memory.x` places this section where the ROM looks for it.
#[unsafe(link_section = ".start_block")]
#[used]
static IMAGE_DEF: rp235x_hal::block::ImageDef = rp235x_hal::block::ImageDef::secure_exe();

#[cortex_m_rt::entry]
fn main() -> ! {
    // The first call of a program returns them.
    let Some(chip) = Peripherals::take() else { panic!("peripherals taken") };
    pico::run(pico::Chip {
        clocks: (chip.XOSC, chip.CLOCKS, chip.PLL_SYS, chip.PLL_USB),
        watchdog: chip.WATCHDOG,
        resets: chip.RESETS,
        usb: (chip.USB, chip.USB_DPRAM),
    })
}
