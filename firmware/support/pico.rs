//! The firmware of both Picos, on the HAL that `main.rs` imports as `hal`: the HALs of both chips use the same names. This is
//! a module of each board and not a crate, because a crate would have to depend on one of the two HALs.
//!
//! `main.rs` also states the board's `PRODUCT` name, its `FLASH` in bytes, the address `SETUP` of the code that sets up
//! execution in place, and the types of the USB controller, which the chips name differently.

use crate::hal::clocks::init_clocks_and_plls;
use crate::hal::pac::{CLOCKS, Interrupt, PLL_SYS, PLL_USB, RESETS, WATCHDOG, XOSC, interrupt};
use crate::hal::rom_data;
use crate::hal::usb::UsbBus;
use crate::hal::watchdog::Watchdog;
use crate::{FLASH, PRODUCT, SETUP, UsbMemory, UsbRegisters};
use cortex_m::peripheral::NVIC;
use sirocco_device::usb::{UsbBusAllocator, UsbSerial};
use sirocco_flash::rp::{Flash, Rom};

/// The crystal on the board, in Hz.
const CRYSTAL: u32 = 12_000_000;
/// Where the processor reads the flash.
pub const XIP: u32 = 0x1000_0000;

static USB: UsbSerial<UsbBus> = UsbSerial::new();

/// The peripherals that the firmware takes.
pub struct Chip {
    /// The clocks and their sources.
    pub clocks: (XOSC, CLOCKS, PLL_SYS, PLL_USB),
    /// Needed to set the clocks up.
    pub watchdog: WATCHDOG,
    /// Takes peripherals out of reset.
    pub resets: RESETS,
    /// The USB controller.
    pub usb: (UsbRegisters, UsbMemory),
}

/// Runs the firmware: the protocol on the board's USB port.
pub fn run(chip: Chip) -> ! {
    let ((crystal, clocks, pll_system, pll_usb), mut resets) = (chip.clocks, chip.resets);
    let mut watchdog = Watchdog::new(chip.watchdog);
    let clocks = init_clocks_and_plls(CRYSTAL, crystal, clocks, pll_system, pll_usb, &mut resets, &mut watchdog);
    let Ok(clocks) = clocks else { panic!("clocks") };
    let bus = UsbBus::new(chip.usb.0, chip.usb.1, clocks.usb_clock, true, &mut resets);
    let port = USB.start(UsbBusAllocator::new(bus), PRODUCT);
    // SAFETY: the handler below may run from here on; no critical section is being held.
    unsafe { NVIC::unmask(Interrupt::USBCTRL_IRQ) };
    let rom = Rom {
        connect_internal_flash: rom_data::connect_internal_flash::ptr(),
        flash_exit_xip: rom_data::flash_exit_xip::ptr(),
        flash_range_erase: rom_data::flash_range_erase::ptr(),
        flash_range_program: rom_data::flash_range_program::ptr(),
        flash_flush_cache: rom_data::flash_flush_cache::ptr(),
    };
    // SAFETY: these are the ROM's routines. What lies at `SETUP` sets up XIP and returns to its caller; `main.rs` says why.
    // The other core was never started, and no DMA channel either.
    let flash = unsafe { Flash::new(rom, SETUP as *const u32, XIP as *const u8, FLASH) };
    sirocco_device::run(env!("CARGO_PKG_NAME"), port, flash, XIP)
}

#[interrupt]
fn USBCTRL_IRQ() {
    USB.interrupt();
}
