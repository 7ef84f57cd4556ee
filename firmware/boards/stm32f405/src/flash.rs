//! The chip's flash, unlocked only while it is erased or written.

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use stm32f4xx_hal::flash::{Error, FlashExt, UnlockedFlash};
use stm32f4xx_hal::pac::FLASH;

/// The address at which the processor reads its first byte.
pub const ORIGIN: u32 = 0x0800_0000;

/// The flash controller. Erasing a sector of 128 KiB takes 2 to 4 s (DS8626, table 49). Meanwhile the processor stands still
/// and received bytes are lost; clients ask again.
pub struct Flash(pub FLASH);

impl ErrorType for Flash {
    type Error = Error;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = <UnlockedFlash<'_> as ReadNorFlash>::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        ReadNorFlash::read(&mut self.0.unlocked(), offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = <UnlockedFlash<'_> as NorFlash>::WRITE_SIZE;
    const ERASE_SIZE: usize = <UnlockedFlash<'_> as NorFlash>::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        let result = NorFlash::erase(&mut self.0.unlocked(), from, to);
        // The data cache still holds the old content (RM0090, 3.5.3); it can be reset only while it is off.
        self.0.acr().modify(|_, acr| acr.dcen().clear_bit());
        self.0.acr().modify(|_, acr| acr.dcrst().set_bit());
        self.0.acr().modify(|_, acr| acr.dcrst().clear_bit());
        self.0.acr().modify(|_, acr| acr.dcen().set_bit());
        result
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        NorFlash::write(&mut self.0.unlocked(), offset, bytes)
    }
}
