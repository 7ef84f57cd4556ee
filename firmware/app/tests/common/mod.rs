//! A fake flash in memory that keeps the rules of real flash and loses power on request.
#![allow(dead_code, reason = "each test program uses its own part")]

pub mod device;

use sirocco_firmware::flash::{Area, Failure, Geometry};
use std::cell::RefCell;
use std::rc::Rc;

/// What is left of the operation during which power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Torn {
    /// Nothing of it happened.
    Nothing,
    /// Some bits changed and some did not.
    Half,
    /// All of it happened, but power failed before it was reported.
    Everything,
}

/// Power for all areas of a device: how many words and pages may still be changed, and what the next one leaves.
#[derive(Debug, Clone, Copy)]
pub struct Power {
    pub left: u64,
    pub torn: Torn,
    /// Words written and pages erased.
    pub used: u64,
    seed: u64,
}

impl Power {
    pub fn without_end() -> Rc<RefCell<Power>> {
        Self::for_changes(u64::MAX, Torn::Nothing)
    }

    pub fn for_changes(left: u64, torn: Torn) -> Rc<RefCell<Power>> {
        Rc::new(RefCell::new(Power { left, torn, used: 0, seed: left.wrapping_mul(2) + 1 }))
    }

    /// Pseudorandom bits that change, the same in every run.
    fn some_bits(&mut self) -> u8 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 40) as u8
    }
}

/// An area whose bytes survive a power failure.
#[derive(Debug, Clone)]
pub struct FakeFlash {
    geometry: Geometry,
    words: Vec<u64>,
    /// Per word of flash, whether it was erased and not written since.
    writable: Vec<bool>,
    power: Rc<RefCell<Power>>,
}

impl FakeFlash {
    /// An area of erased pages.
    pub fn new(pages: usize, page: u32, word: u32) -> Self {
        let bytes = pages * page as usize;
        let (words, writable) = (vec![u64::MAX; bytes / 8], vec![true; bytes / word as usize]);
        FakeFlash { geometry: Geometry { page, word }, words, writable, power: Power::without_end() }
    }

    /// The same bytes with another power supply.
    pub fn under(&self, power: &Rc<RefCell<Power>>) -> Self {
        FakeFlash { power: Rc::clone(power), ..self.clone() }
    }

    /// The bytes, to be changed outside of these rules, as a programmer or cosmic rays would.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.writable.fill(false);
        bytemuck::cast_slice_mut(&mut self.words)
    }

    fn erased(&self, word: usize) -> bool {
        self.bytes()[word..][..self.geometry.word as usize].iter().all(|byte| *byte == 0xFF)
    }

    /// Changes one unit (a word or a page): all of it, or what the failing power leaves.
    fn change(&mut self, start: usize, new: &[u8]) -> Result<(), Failure> {
        let mut power = self.power.borrow_mut();
        let alive = power.left > 0;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
        for (old, new) in bytes[start..].iter_mut().zip(new) {
            let changed = match (alive, power.torn) {
                (true, _) | (false, Torn::Everything) => 0xFF,
                (false, Torn::Half) => power.some_bits(),
                (false, Torn::Nothing) => 0x00,
            };
            *old = (*old & !changed) | (new & changed);
        }
        if !alive {
            // Operations after the failure have no effect.
            power.torn = Torn::Nothing;
            return Err(Failure::Failed);
        }
        power.left -= 1;
        power.used += 1;
        Ok(())
    }
}

impl Area for FakeFlash {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }

    fn erase(&mut self, page: u32) -> Result<(), Failure> {
        let Geometry { page: size, word } = self.geometry;
        let (start, size) = ((page * size) as usize, size as usize);
        assert!(start + size <= self.bytes().len(), "page {page} is not there");
        self.writable[start / word as usize..][..size / word as usize].fill(true);
        self.change(start, &vec![0xFF; size])
    }

    fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failure> {
        let word = self.geometry.word as usize;
        assert!((offset as usize).is_multiple_of(word) && bytes.len().is_multiple_of(word), "no whole words");
        for (k, new) in bytes.chunks_exact(word).enumerate() {
            let start = offset as usize + k * word;
            assert!(self.writable[start / word], "the word at {start} is written without having been erased");
            assert!(self.erased(start), "the word at {start} is written over what an interrupted erasure left");
            let written = self.change(start, new);
            // A word whose write never began is still erased.
            self.writable[start / word] = written.is_err() && self.erased(start);
            written?;
        }
        Ok(())
    }
}
