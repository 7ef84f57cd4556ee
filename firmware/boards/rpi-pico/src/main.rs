//! Raspberry Pi Pico (RP2040): the protocol on its USB port, as a serial port (CDC-ACM); the log over RTT.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "a symbol that the boot ROM looks for, its flash routines, unmasking an interrupt")]

use cortex_m::peripheral::NVIC;
use rp2040_hal::clocks::init_clocks_and_plls;
use rp2040_hal::pac::{Interrupt, Peripherals, interrupt};
use rp2040_hal::rom_data;
use rp2040_hal::usb::UsbBus;
use rp2040_hal::watchdog::Watchdog;
use sirocco_rp_flash::{Flash, Rom};
use sirocco_usb_serial::{UsbBusAllocator, UsbSerial};

/// The crystal on the board, in Hz.
const CRYSTAL: u32 = 12_000_000;
/// Where the processor reads the flash.
const XIP: u32 = 0x1000_0000;
/// Bytes of flash on the board.
const FLASH: u32 = 2 * 1024 * 1024;

/// The second stage of the boot loader, for the board's flash chip.
// SAFETY: `memory.x` places this section where the ROM expects it.
#[unsafe(link_section = ".boot2")]
#[used]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;

static USB: UsbSerial<UsbBus> = UsbSerial::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    // The first call of the program finds them.
    let Some(mut chip) = Peripherals::take() else { panic!("peripherals taken") };
    let mut watchdog = Watchdog::new(chip.WATCHDOG);
    let clocks = init_clocks_and_plls(
        CRYSTAL,
        chip.XOSC,
        chip.CLOCKS,
        chip.PLL_SYS,
        chip.PLL_USB,
        &mut chip.RESETS,
        &mut watchdog,
    );
    let Ok(clocks) = clocks else { panic!("clocks") };
    let bus = UsbBus::new(chip.USBCTRL_REGS, chip.USBCTRL_DPRAM, clocks.usb_clock, true, &mut chip.RESETS);
    let port = USB.start(UsbBusAllocator::new(bus), "Sirocco on Pico");
    // SAFETY: the handler below may run from here on; no critical section is being held.
    unsafe { NVIC::unmask(Interrupt::USBCTRL_IRQ) };
    let rom = Rom {
        connect_internal_flash: rom_data::connect_internal_flash::ptr(),
        flash_exit_xip: rom_data::flash_exit_xip::ptr(),
        flash_range_erase: rom_data::flash_range_erase::ptr(),
        flash_range_program: rom_data::flash_range_program::ptr(),
        flash_flush_cache: rom_data::flash_flush_cache::ptr(),
    };
    // SAFETY: the second stage of the boot loader, which lies first in flash, sets up XIP and returns to whoever calls it.
    // The other core was never started, and no DMA channel either.
    let flash = unsafe { Flash::new(rom, XIP as *const u32, XIP as *const u8, FLASH) };
    sirocco_device::run(env!("CARGO_PKG_NAME"), port, flash, XIP)
}

#[interrupt]
fn USBCTRL_IRQ() {
    USB.interrupt();
}
