//! The models' regions of `memory.x` as partitions of a chip's flash.
#![allow(unsafe_code, reason = "memory-mapped flash")]

use core::cell::RefCell;
use core::ops::Range;
use embedded_storage::nor_flash::NorFlash;
use sirocco_flash::nor::Partition;

/// The partition that the processor reads at `range`; `origin` is where it reads the driver's first byte.
pub fn of<F: NorFlash>(driver: &RefCell<F>, origin: u32, range: Range<*mut u8>) -> Partition<'_, F> {
    let (start, end) = (range.start.addr() as u32, range.end.addr() as u32);
    // SAFETY: `memory.x` reserves the range in flash for models, at multiples of what is erased together; the driver is
    // the only one, and its partitions are made once.
    unsafe { Partition::new(driver, start.saturating_sub(origin), end.saturating_sub(start), range.start) }
}
