//! Flash for the model store: areas that are erased page by page, written word by word, and read in place.
//!
//! A board provides three [`Area`]s: two slots and the activation records (at least two pages). They may share a chip;
//! `support/flash` makes areas from any driver with `embedded-storage`'s `NorFlash`, and from RAM.

/// How an area is erased and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes that are erased together.
    pub page: u32,
    /// Bytes that are written together, at most once after each erasure. Divides 32.
    pub word: u32,
}

/// Why flash could not be erased or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The board cannot write its flash at all.
    ReadOnly,
    /// The driver or the chip failed.
    Failed,
}

/// A part of memory-mapped flash that belongs to one owner. Erased bytes read as 0xFF.
pub trait Area {
    /// Sizes of a page and of a word.
    fn geometry(&self) -> Geometry;

    /// The content, in place: aligned to 8 bytes, a whole number of pages.
    fn bytes(&self) -> &[u8];

    /// Erases page number `page`. If power fails meanwhile, its bytes may have any value.
    ///
    /// # Errors
    /// If the flash is read-only, the page lies outside the area, or the driver reports an error.
    fn erase(&mut self, page: u32) -> Result<(), Failure>;

    /// Writes whole words, from `offset`, a multiple of the word. If power fails meanwhile, the word that was being
    /// written may have any value; those before it are written and those after it are not.
    ///
    /// # Errors
    /// If the flash is read-only, the words lie outside the area, or the driver reports an error.
    fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failure>;
}

/// Memory that cannot be written: for a model that came with the firmware, on a board that cannot write its flash.
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

/// Whether nothing was written: erased flash reads as ones, an emulator's fresh memory as zeros.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0xFF) || bytes.iter().all(|&byte| byte == 0x00)
}
