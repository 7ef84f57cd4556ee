//! Model flash through any driver that implements `embedded-storage`'s `NorFlash`: nearly every HAL has one.
//!
//! The areas of one chip share its driver. Reading bypasses the driver: the chip is memory-mapped.
#![allow(unsafe_code, reason = "memory-mapped flash")]

use core::cell::RefCell;
use embedded_storage::nor_flash::NorFlash;
use sirocco_firmware::flash::{Area, Failure, Geometry};

/// A range of a chip's flash.
pub struct Partition<'f, F> {
    driver: &'f RefCell<F>,
    /// In the driver's addresses.
    start: u32,
    length: u32,
    mapped: *const u8,
}

impl<'f, F: NorFlash> Partition<'f, F> {
    /// `length` bytes from `start` in the driver's addresses, which the processor reads at `mapped`.
    ///
    /// Range and address must be multiples of `F::ERASE_SIZE` and 8, and `F::WRITE_SIZE` must divide 32.
    ///
    /// # Safety
    /// The range must lie in flash at that address, and nothing else may write or erase it as long as this value lives.
    pub unsafe fn new(driver: &'f RefCell<F>, start: u32, length: u32, mapped: *const u8) -> Self {
        Partition { driver, start, length, mapped }
    }
}

impl<F: NorFlash> Area for Partition<'_, F> {
    fn geometry(&self) -> Geometry {
        Geometry { page: F::ERASE_SIZE as u32, word: F::WRITE_SIZE as u32 }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the caller of `new` promised that flash lies here; it changes only through `&mut self`.
        unsafe { core::slice::from_raw_parts(self.mapped, self.length as usize) }
    }

    fn erase(&mut self, page: u32) -> Result<(), Failure> {
        let size = F::ERASE_SIZE as u32;
        let from = page.checked_mul(size).filter(|from| *from < self.length).ok_or(Failure::Failed)?;
        let from = self.start.saturating_add(from);
        let mut driver = self.driver.try_borrow_mut().map_err(|_| Failure::Failed)?;
        driver.erase(from, from.saturating_add(size)).map_err(|_| Failure::Failed)
    }

    fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failure> {
        let end = offset.checked_add(bytes.len() as u32).filter(|end| *end <= self.length);
        end.ok_or(Failure::Failed)?;
        let mut driver = self.driver.try_borrow_mut().map_err(|_| Failure::Failed)?;
        driver.write(self.start.saturating_add(offset), bytes).map_err(|_| Failure::Failed)
    }
}
