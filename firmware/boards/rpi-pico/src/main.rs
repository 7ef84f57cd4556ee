//! Raspberry Pi Pico (RP2040): the protocol on its USB port, as a serial port (CDC-ACM); the log over RTT.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "a symbol that the boot ROM looks for, its flash routines, unmasking an interrupt")]

#[path = "../../../support/pico.rs"]
mod pico;

use rp2040_hal as hal;
use rp2040_hal::pac::{Peripherals, USBCTRL_DPRAM as UsbMemory, USBCTRL_REGS as UsbRegisters};

/// The name of the USB port.
const PRODUCT: &str = "Sirocco on Pico";
/// Bytes of flash on the board.
const FLASH: u32 = 2 * 1024 * 1024;
/// The second stage of the boot loader lies first in flash: it sets up XIP and returns to its caller.
const SETUP: u32 = pico::XIP;

/// The second stage of the boot loader, for the board's flash chip.
// SAFETY: `memory.x` places this section where the ROM expects it.
#[unsafe(link_section = ".boot2")]
#[used]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;

#[cortex_m_rt::entry]
fn main() -> ! {
    // The first call of a program returns them.
    let Some(chip) = Peripherals::take() else { panic!("peripherals taken") };
    pico::run(pico::Chip {
        clocks: (chip.XOSC, chip.CLOCKS, chip.PLL_SYS, chip.PLL_USB),
        watchdog: chip.WATCHDOG,
        resets: chip.RESETS,
        usb: (chip.USBCTRL_REGS, chip.USBCTRL_DPRAM),
    })
}
