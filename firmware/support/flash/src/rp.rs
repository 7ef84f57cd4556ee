//! Flash of the RP2040 and the RP2350 by the routines in their ROM, as a `NorFlash`.
//!
//! The processor runs from this flash (execute in place, XIP), which cannot be read while it changes. So the code that
//! changes it runs from RAM and ROM, with interrupts masked: `without_xip` is placed among the variables and calls only the
//! ROM. Afterwards the code with which the boot loader set up XIP is called again, from a copy in RAM (RP2040 datasheet, 2.8.1
//! and 2.8.3.1.3; RP2350 datasheet, 5.4.8). Interrupts are let in between pages and between sectors, so that a USB interrupt
//! waits for one sector at most: 45 ms, at worst 400 ms (W25Q16JV datasheet, 9.6). Everything that is changed is read back.
//!
//! A page is programmed with all of its 256 bytes; those that shall keep their value are programmed with ones, which changes
//! nothing.
//!
//! **Not tried on hardware.** Tests on the host check the order of the calls and the arithmetic; a test of the firmware's ELF
//! file checks that `without_xip` lies in RAM and makes no direct calls.
#![allow(unsafe_code, reason = "routines in ROM, and flash that is read in place")]

use core::sync::atomic::{Ordering, compiler_fence};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// Bytes that are erased together.
const SECTOR: u32 = 4096;
/// Bytes that are programmed together.
const PAGE: usize = 256;
/// A block size larger than any range, so that the ROM erases sector by sector.
const NO_BLOCKS: u32 = 1 << 31;
/// Words of the code that sets up XIP (256 bytes).
const SETUP: usize = 64;

/// The ROM's routines, by the names of the chips' datasheets.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Rom {
    /// `connect_internal_flash`
    pub connect_internal_flash: unsafe extern "C" fn(),
    /// `flash_exit_xip`
    pub flash_exit_xip: unsafe extern "C" fn(),
    /// `flash_range_erase`: address, bytes, bytes of a block, command that erases one
    pub flash_range_erase: unsafe extern "C" fn(u32, usize, u32, u8),
    /// `flash_range_program`: address, data in RAM, bytes
    pub flash_range_program: unsafe extern "C" fn(u32, *const u8, usize),
    /// `flash_flush_cache`
    pub flash_flush_cache: unsafe extern "C" fn(),
}

/// Why flash could not be read, erased or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The range is misaligned or lies outside the flash.
    Range(NorFlashErrorKind),
    /// The flash does not hold what was written, or was not erased.
    Verify,
}

impl NorFlashError for Error {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Error::Range(kind) => *kind,
            Error::Verify => NorFlashErrorKind::Other,
        }
    }
}

/// The chip's flash.
pub struct Flash {
    rom: Rom,
    /// A copy of the code that sets up XIP, made while flash can be read.
    setup: [u32; SETUP],
    mapped: *const u8,
    bytes: u32,
}

impl Flash {
    /// Flash of `bytes` bytes, which the processor reads at `mapped`; the code that sets up XIP lies at `setup`.
    ///
    /// # Safety
    /// The routines must be those of this chip's ROM. At `setup` there must be 256 bytes of position-independent code that
    /// returns to its caller. `mapped` and `bytes` must be those of the flash. As long as this value lives, only this core may
    /// read the flash (the other one was never started, no DMA reads it), and nothing else may write it.
    pub unsafe fn new(rom: Rom, setup: *const u32, mapped: *const u8, bytes: u32) -> Self {
        let mut copy = [0; SETUP];
        for (k, word) in copy.iter_mut().enumerate() {
            // SAFETY: promised by the caller. Read word by word, because the RP2350's boot RAM cannot be read by bytes.
            *word = unsafe { setup.add(k).read_volatile() };
        }
        Flash { rom, setup: copy, mapped, bytes }
    }

    /// Erases the sector at `address`, or programs `page` there.
    fn change(&mut self, address: u32, page: Option<&[u8; PAGE]>) {
        let page = page.map_or(core::ptr::null(), |page| page.as_ptr());
        critical_section::with(|_| {
            // The page's content must be in RAM before the call.
            compiler_fence(Ordering::SeqCst);
            // SAFETY: the caller of `new` promised the routines, and that nothing else uses the flash; nothing interrupts
            // this. The address lies in the flash, and the page in RAM.
            unsafe { without_xip(&self.rom, self.setup(), address, page) };
            compiler_fence(Ordering::SeqCst);
        });
    }

    /// The code that sets up XIP, in RAM.
    #[cfg(not(test))]
    fn setup(&self) -> unsafe extern "C" fn() {
        // SAFETY: the caller of `new` promised that this is code. The lowest bit of the address marks Thumb code.
        unsafe { core::mem::transmute(self.setup.as_ptr().byte_add(1)) }
    }

    #[cfg(test)]
    fn setup(&self) -> unsafe extern "C" fn() {
        tests::setup
    }

    fn byte(&self, at: u32) -> u8 {
        // SAFETY: callers stay within the flash. Volatile, because the ROM changes it unseen by the compiler.
        unsafe { self.mapped.add(at as usize).read_volatile() }
    }
}

/// Erases or programs while flash cannot be read.
///
/// It must not call anything in flash: all calls go through pointers, to ROM and to `setup` in RAM.
///
/// # Safety
/// As for [`Flash::new`]. Interrupts must be masked, `address` must lie in the flash, and `page` must be null (erase the
/// sector) or point to 256 bytes in RAM.
#[inline(never)]
#[cfg_attr(target_os = "none", unsafe(link_section = ".data.without_xip"))]
#[cfg_attr(target_os = "none", unsafe(export_name = "sirocco_without_xip"))]
unsafe extern "C" fn without_xip(rom: &Rom, setup: unsafe extern "C" fn(), address: u32, page: *const u8) {
    // SAFETY: promised by the caller.
    unsafe {
        (rom.connect_internal_flash)();
        (rom.flash_exit_xip)();
        if page.is_null() {
            (rom.flash_range_erase)(address, SECTOR as usize, NO_BLOCKS, 0);
        } else {
            (rom.flash_range_program)(address, page, PAGE);
        }
        (rom.flash_flush_cache)();
        setup();
    }
}

impl ErrorType for Flash {
    type Error = Error;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        check_read(self, offset, bytes.len()).map_err(Error::Range)?;
        for (at, byte) in (offset..).zip(bytes) {
            *byte = self.byte(at);
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes as usize
    }
}

impl NorFlash for Flash {
    /// The size of an activation record, so that one write makes a whole record.
    const WRITE_SIZE: usize = 32;
    const ERASE_SIZE: usize = SECTOR as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        check_erase(self, from, to).map_err(Error::Range)?;
        for sector in (from..to).step_by(SECTOR as usize) {
            self.change(sector, None);
            if !(sector..sector.saturating_add(SECTOR)).all(|at| self.byte(at) == 0xFF) {
                return Err(Error::Verify);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        check_write(self, offset, bytes.len()).map_err(Error::Range)?;
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let start = at as usize % PAGE;
            let (now, later) = rest.split_at(rest.len().min(PAGE - start));
            let mut page = [0xFF; PAGE];
            for (to, from) in page.iter_mut().skip(start).zip(now) {
                *to = *from;
            }
            self.change(at.saturating_sub(start as u32), Some(&page));
            if !(at..).zip(now).all(|(at, byte)| self.byte(at) == *byte) {
                return Err(Error::Verify);
            }
            (at, rest) = (at.saturating_add(now.len() as u32), later);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::sync::Mutex;
    use std::vec::Vec;

    const BYTES: usize = 4 * SECTOR as usize;

    /// A fake chip: its content, whether it can be read, and the calls it has received.
    struct Chip {
        flash: [u8; BYTES],
        xip: bool,
        calls: Vec<&'static str>,
        /// The next change has no effect.
        broken: bool,
    }

    static CHIP: Mutex<Chip> = Mutex::new(Chip { flash: [0; BYTES], xip: true, calls: Vec::new(), broken: false });
    /// Held by a test while it uses the chip.
    static TURN: Mutex<()> = Mutex::new(());

    fn chip(call: &'static str, work: impl FnOnce(&mut Chip)) {
        let mut chip = CHIP.lock().unwrap();
        chip.calls.push(call);
        work(&mut chip);
    }

    unsafe extern "C" fn connect() {
        chip("connect", |_| {});
    }

    unsafe extern "C" fn exit() {
        chip("exit", |chip| chip.xip = false);
    }

    unsafe extern "C" fn erase(address: u32, bytes: usize, block: u32, _: u8) {
        chip("erase", |chip| {
            assert!(!chip.xip && address.is_multiple_of(SECTOR) && bytes < block as usize);
            if !std::mem::take(&mut chip.broken) {
                chip.flash[address as usize..][..bytes].fill(0xFF);
            }
        });
    }

    unsafe extern "C" fn program(address: u32, data: *const u8, bytes: usize) {
        chip("program", |chip| {
            assert!(!chip.xip && (address as usize).is_multiple_of(PAGE) && bytes == PAGE);
            // SAFETY: the driver passes a page.
            let page = unsafe { core::slice::from_raw_parts(data, bytes) };
            if !std::mem::take(&mut chip.broken) {
                chip.flash[address as usize..][..bytes].iter_mut().zip(page).for_each(|(to, from)| *to &= from);
            }
        });
    }

    unsafe extern "C" fn flush() {
        chip("flush", |_| {});
    }

    pub(super) unsafe extern "C" fn setup() {
        chip("setup", |chip| chip.xip = true);
    }

    /// A driver of the fake chip. On the host there is no code to copy, so `setup` takes its place.
    fn flash() -> Flash {
        *CHIP.lock().unwrap() = Chip { flash: [0x5A; BYTES], xip: true, calls: Vec::new(), broken: false };
        let rom = Rom {
            connect_internal_flash: connect,
            flash_exit_xip: exit,
            flash_range_erase: erase,
            flash_range_program: program,
            flash_flush_cache: flush,
        };
        let mapped = CHIP.lock().unwrap().flash.as_ptr();
        // SAFETY: the routines are those of this chip, whose flash lies there and is used by one test at a time.
        let flash = unsafe { Flash::new(rom, [0x4770; SETUP].as_ptr(), mapped, BYTES as u32) };
        assert_eq!(flash.setup, [0x4770; SETUP]);
        flash
    }

    const ERASED: [&str; 5] = ["connect", "exit", "erase", "flush", "setup"];
    const PROGRAMMED: [&str; 5] = ["connect", "exit", "program", "flush", "setup"];

    fn calls() -> Vec<&'static str> {
        let mut chip = CHIP.lock().unwrap();
        assert!(chip.xip, "the flash can be read again");
        std::mem::take(&mut chip.calls)
    }

    #[test]
    fn sectors_are_erased_one_by_one_and_nothing_else_changes() {
        let _turn = TURN.lock().unwrap();
        let mut flash = flash();
        assert_eq!(flash.erase(SECTOR, 3 * SECTOR), Ok(()));
        assert_eq!(calls(), [ERASED, ERASED].concat());
        let held = CHIP.lock().unwrap().flash;
        let erased = SECTOR as usize..3 * SECTOR as usize;
        assert!(held.iter().enumerate().all(|(at, byte)| (*byte == 0xFF) == erased.contains(&at)));
    }

    #[test]
    fn bytes_are_written_where_they_belong_page_by_page() {
        let _turn = TURN.lock().unwrap();
        let mut flash = flash();
        flash.erase(0, SECTOR).unwrap();
        calls();
        let bytes: Vec<u8> = (0..320u16).map(|k| k as u8).collect();
        assert_eq!(flash.write(224, &bytes), Ok(()));
        // The end of a page, a whole one, and the start of the next.
        assert_eq!(calls(), [PROGRAMMED, PROGRAMMED, PROGRAMMED].concat());
        let mut read = [0; 384];
        flash.read(192, &mut read).unwrap();
        assert!(read[..32].iter().chain(&read[352..]).all(|byte| *byte == 0xFF), "{read:?}");
        assert_eq!(read[32..352], bytes);
        // Bytes already written stay when the rest of their page is written.
        assert_eq!(flash.write(192, &[7; 32]), Ok(()));
        flash.read(192, &mut read).unwrap();
        assert_eq!((&read[..32], &read[32..352]), (&[7; 32][..], bytes.as_slice()));
    }

    #[test]
    fn flash_that_does_not_change_is_detected() {
        let _turn = TURN.lock().unwrap();
        let mut flash = flash();
        CHIP.lock().unwrap().broken = true;
        assert_eq!(flash.erase(0, SECTOR), Err(Error::Verify));
        flash.erase(0, SECTOR).unwrap();
        CHIP.lock().unwrap().broken = true;
        assert_eq!(flash.write(0, &[1; 64]), Err(Error::Verify));
        assert_eq!(flash.write(0, &[1; 64]), Ok(()));
    }

    #[test]
    fn ranges_that_do_not_fit_are_refused() {
        let _turn = TURN.lock().unwrap();
        let mut flash = flash();
        let bytes = BYTES as u32;
        assert_eq!(flash.erase(1, SECTOR), Err(Error::Range(NorFlashErrorKind::NotAligned)));
        assert_eq!(flash.erase(0, bytes + SECTOR), Err(Error::Range(NorFlashErrorKind::OutOfBounds)));
        assert_eq!(flash.write(16, &[0; 32]), Err(Error::Range(NorFlashErrorKind::NotAligned)));
        assert_eq!(flash.write(bytes, &[0; 32]), Err(Error::Range(NorFlashErrorKind::OutOfBounds)));
        assert_eq!(flash.write(u32::MAX - 31, &[0; 32]), Err(Error::Range(NorFlashErrorKind::OutOfBounds)));
        assert!(CHIP.lock().unwrap().calls.is_empty());
    }
}
