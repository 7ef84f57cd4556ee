//! Flash as the model store sees it: areas that are erased page by page, written word by word, and read in place.
//!
//! A board brings three [`Area`]s: two slots and the activation records (at least two pages). They may share a chip;
//! `support/flash` makes areas from any driver with `embedded-storage`'s `NorFlash`, and from RAM.

/// How an area is erased and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes that are erased together.
    pub page: u32,
    /// Bytes that are written together, once after each erasure. Divides 32.
    pub word: u32,
}

/// Why flash did not change as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The board cannot write it at all.
    ReadOnly,
    /// The driver or the chip failed.
    Failed,
}

/// A part of memory-mapped flash that belongs to one owner. Erased bytes read as 0xFF.
pub trait Area {
    /// How it is erased and written.
    fn geometry(&self) -> Geometry;

    /// What it holds, in place. Begins at a multiple of 8; a whole number of pages.
    fn bytes(&self) -> &[u8];

    /// Erases page number `page`. If power fails meanwhile, its bytes are anything.
    ///
    /// # Errors
    /// [`Failure`].
    fn erase(&mut self, page: u32) -> Result<(), Failure>;

    /// Writes whole words, from `offset`, a multiple of the word. If power fails meanwhile, the word that was being
    /// written is anything, those before it are written and those after it are not.
    ///
    /// # Errors
    /// [`Failure`].
    fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failure>;
}

/// Memory that is only read: a model that came with the firmware, on a board that cannot write its flash.
#[derive(Debug, Clone, Copy)]
pub struct ReadOnly<'a>(pub &'a [u8]);

impl Area for ReadOnly<'_> {
    fn geometry(&self) -> Geometry {
        Geometry { page: self.0.len() as u32, word: 1 }
    }

    fn bytes(&self) -> &[u8] {
        self.0
    }

    fn erase(&mut self, _: u32) -> Result<(), Failure> {
        Err(Failure::ReadOnly)
    }

    fn program(&mut self, _: u32, _: &[u8]) -> Result<(), Failure> {
        Err(Failure::ReadOnly)
    }
}

/// Whether nothing was written: erased flash reads as ones, an emulator's memory begins as zeros.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0xFF) || bytes.iter().all(|&byte| byte == 0x00)
}
