//! All unsafe code of these boards: memory-mapped registers, interrupts, the models' flash.
#![allow(unsafe_code)]

use crate::Image;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use sirocco_flash::ram::RamFlash;

/// A 32-bit register.
#[repr(transparent)]
pub struct Register(UnsafeCell<u32>);

impl Register {
    /// Reads the register.
    pub fn read(&self) -> u32 {
        // SAFETY: registers exist only within `Registers`, which lies over a device's registers.
        unsafe { self.0.get().read_volatile() }
    }

    /// Writes the register.
    pub fn write(&self, value: u32) {
        // SAFETY: as above; no write to this device touches memory.
        unsafe { self.0.get().write_volatile(value) }
    }
}

/// The registers of a CMSDK APB UART in their order.
#[repr(C)]
pub struct Registers {
    /// DATA
    pub data: Register,
    /// STATE
    pub state: Register,
    /// CTRL
    pub control: Register,
    /// INTSTATUS when read, INTCLEAR when written
    pub interrupt: Register,
    /// BAUDDIV
    pub baud_divider: Register,
}

impl Image {
    /// UART0's registers.
    pub(crate) fn uart0(self) -> &'static Registers {
        let base = match self {
            Image::An385 | Image::An386 => 0x4000_4000,
            Image::An505 => 0x5020_0000,
        };
        // SAFETY: the image has a CMSDK UART at this address; the firmware runs on one core without interrupts.
        unsafe { &*core::ptr::with_exposed_provenance(base) }
    }

    /// Milliseconds since reset, in steps of ten.
    pub(crate) fn uptime(self) -> fn() -> u32 {
        match self {
            Image::An385 | Image::An386 => || hundredths::<0x4002_8014>().wrapping_mul(10),
            Image::An505 => || hundredths::<0x5030_2014>().wrapping_mul(10),
        }
    }

    /// UART0's receive interrupt.
    pub(crate) fn uart0_receive(self) -> Interrupt {
        match self {
            Image::An385 | Image::An386 => Interrupt(0),
            Image::An505 => Interrupt(32),
        }
    }
}

/// An interrupt of these images.
#[derive(Clone, Copy)]
pub struct Interrupt(u16);

// SAFETY: only `Image::uart0_receive` makes them, with numbers that exist in the image.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0
    }
}

/// Lets an interrupt end the sleep of `wfi`, without ever running a handler: interrupts stay masked.
pub fn wake_on(interrupt: Interrupt) {
    cortex_m::interrupt::disable();
    // SAFETY: masked as they are, unmasking breaks no critical section.
    unsafe { NVIC::unmask(interrupt) };
}

/// Clears a pending interrupt.
pub fn clear(interrupt: Interrupt) {
    NVIC::unpend(interrupt);
}

/// FPGAIO's counter CLK100HZ (Arm DAI 0385, section 4.3; DAI 0505, section 3.9).
fn hundredths<const ADDRESS: usize>() -> u32 {
    // SAFETY: `Image::uptime` names where the image has this register; reading it changes nothing.
    let register: &Register = unsafe { &*core::ptr::with_exposed_provenance(ADDRESS) };
    register.read()
}

/// The models' flash (slots 0 and 1, activation records). It holds what QEMU's loader put there, the content of QEMU's file,
/// or zeros.
///
/// Only the first call returns it.
pub fn model_flash() -> Option<[RamFlash; 3]> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    let flash = sirocco_cortex_m::memory::model_flash();
    let [slot_0, slot_1] = flash.slots;
    // SAFETY: `memory.x` reserves these ranges of PSRAM for this use alone, and they are returned once.
    Some([slot_0, slot_1, flash.records].map(|range| unsafe { RamFlash::new(range) }))
}

#[cortex_m_rt::exception]
unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    defmt::error!("hard fault at {=u32:#010x}", frame.pc());
    semihosting::process::exit(102)
}
