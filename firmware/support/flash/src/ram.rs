//! Model flash of an emulated board: RAM that behaves like NOR flash.
//!
//! Writing clears bits, erasing sets them, and both proceed byte by byte: an emulator that is killed in between leaves
//! behind what a real chip might. If the emulator keeps this RAM in a file, its content survives.
#![allow(unsafe_code, reason = "a fixed range of memory")]

use core::marker::PhantomData;
use core::ops::Range;
use sirocco_firmware::flash::{Area, Failure, Geometry};

/// A usual geometry of microcontrollers.
const GEOMETRY: Geometry = Geometry { page: 4096, word: 4 };

/// A range of RAM that stands for flash.
#[derive(Debug)]
pub struct RamFlash {
    start: *mut u8,
    length: usize,
    owner: PhantomData<&'static mut [u8]>,
}

impl RamFlash {
    /// The memory of a range.
    ///
    /// # Safety
    /// The range must be RAM, begin at a multiple of 8, and belong to this value alone.
    pub unsafe fn new(range: Range<*mut u8>) -> Self {
        let length = (range.end as usize).saturating_sub(range.start as usize);
        RamFlash { start: range.start, length, owner: PhantomData }
    }

    /// Replaces each byte of a range by `change(index, byte)`.
    fn change(&mut self, offset: u32, length: usize, change: impl Fn(usize, u8) -> u8) -> Result<(), Failure> {
        let offset = offset as usize;
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(Failure::Failed);
        }
        for k in 0..length {
            // SAFETY: within the range that the caller of `new` promised, which only `&mut self` may touch. Volatile, so that
            // the bytes change in this order if the emulator is killed.
            unsafe {
                let at = self.start.add(offset + k);
                at.write_volatile(change(k, at.read_volatile()));
            }
        }
        Ok(())
    }
}

impl Area for RamFlash {
    fn geometry(&self) -> Geometry {
        GEOMETRY
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the range that the caller of `new` promised; it changes only through `&mut self`.
        unsafe { core::slice::from_raw_parts(self.start, self.length) }
    }

    fn erase(&mut self, page: u32) -> Result<(), Failure> {
        self.change(page.saturating_mul(GEOMETRY.page), GEOMETRY.page as usize, |_, _| 0xFF)
    }

    fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failure> {
        self.change(offset, bytes.len(), |k, old| old & bytes.get(k).copied().unwrap_or(0xFF))
    }
}
