//! Receives a model into the free slot, checks it, and activates it. See [`sirocco::wire::store`].

use crate::flash::{Area, Failure, is_blank};
use crate::records;
use sirocco::held::Open;
use sirocco::limits::MAX_CHUNK;
use sirocco::summary::{self, ModelInfo};
use sirocco::wire::store::{Chunk, ModelAnswer, ModelList, ModelRequest, Origin, SLOTS, SlotContent, StoreError};

/// Access to the flash while a model answers: every area may be read; the free slot and the records may be changed.
pub struct Push<'a> {
    running: Origin,
    built_in: &'a [u8],
    kept: &'a dyn Area,
    free: u8,
    area: &'a mut dyn Area,
    records: &'a mut dyn Area,
    receiving: Option<Receiving>,
}

/// The means to check a model: the board's way to open it, and the memory that image networks work in.
pub struct Bench<'w> {
    /// Opens a model for the board's processor.
    pub open: Open,
    /// Memory that image networks work in; its content does not matter.
    pub memory: &'w mut [u32],
}

impl Bench<'_> {
    fn room(&self) -> u32 {
        4 * self.memory.len() as u32
    }
}

/// A file that is being received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Receiving {
    bytes: u32,
    crc32: u32,
    next: u32,
}

impl<'a> Push<'a> {
    /// `kept` is the slot that does not change; `area` is the other one, and `free` its number.
    pub(crate) fn new(
        running: Origin,
        built_in: &'a [u8],
        kept: &'a dyn Area,
        free: u8,
        area: &'a mut dyn Area,
        records: &'a mut dyn Area,
    ) -> Self {
        Push { running, built_in, kept, free, area, records, receiving: None }
    }

    /// Answers a request about models. After [`ModelAnswer::Activated`] the caller must open the model that answers anew.
    ///
    /// # Errors
    /// If a chunk does not fit the file that is being received, the model is refused, or the flash fails.
    pub fn handle(&mut self, request: &ModelRequest, bench: Bench<'_>) -> Result<ModelAnswer, StoreError> {
        match request {
            ModelRequest::List => Ok(ModelAnswer::List(self.list(bench.open))),
            ModelRequest::Begin { bytes, crc32 } => self.begin(*bytes, *crc32),
            ModelRequest::Chunk { offset, bytes } => self.chunk(*offset, bytes),
            ModelRequest::Commit => self.commit(bench),
            ModelRequest::Activate(origin) => self.activate(*origin, bench),
            ModelRequest::Abort => {
                self.receiving = None;
                Ok(ModelAnswer::Aborted)
            }
        }
    }

    fn list(&self, open: Open) -> ModelList {
        let (kept, free) = (content(open, self.kept.bytes()), content(open, self.area.bytes()));
        let slots = if self.free == 0 { [free, kept] } else { [kept, free] };
        ModelList { running: self.running, slot_bytes: self.room(), slots }
    }

    fn room(&self) -> u32 {
        self.area.bytes().len() as u32
    }

    /// Starts to receive a file, or continues with one that was announced before.
    ///
    /// # Errors
    /// If the file is larger than a slot.
    pub fn begin(&mut self, bytes: u32, crc32: u32) -> Result<ModelAnswer, StoreError> {
        let room = self.room();
        if bytes > room {
            return Err(StoreError::TooLarge { bytes, room });
        }
        let same = self.receiving.filter(|r| (r.bytes, r.crc32) == (bytes, crc32));
        let receiving = same.unwrap_or(Receiving { bytes, crc32, next: 0 });
        self.receiving = Some(receiving);
        Ok(ModelAnswer::Receiving { slot: self.free, next: receiving.next })
    }

    /// Writes the next chunk. The chunk before may be repeated, as after a lost answer; it is not written again.
    ///
    /// # Errors
    /// If no file was begun, the chunk is not the next one or has the wrong length, or the flash fails; after that the file
    /// must be begun again.
    pub fn chunk(&mut self, offset: u32, chunk: &Chunk) -> Result<ModelAnswer, StoreError> {
        let mut receiving = self.receiving.ok_or(StoreError::NotBegun)?;
        let length = chunk.len() as u32;
        let end = offset.saturating_add(length);
        let again = end == receiving.next && self.holds(offset, chunk);
        if offset != receiving.next && !again {
            return Err(StoreError::Offset { next: receiving.next });
        }
        if !again {
            if length == 0 || end > receiving.bytes || (chunk.len() < MAX_CHUNK && end < receiving.bytes) {
                return Err(StoreError::ChunkLength);
            }
            if let Err(error) = self.write(offset, chunk) {
                self.receiving = None;
                return Err(error);
            }
            receiving.next = end;
            self.receiving = Some(receiving);
        }
        Ok(ModelAnswer::Receiving { slot: self.free, next: receiving.next })
    }

    fn holds(&self, offset: u32, bytes: &[u8]) -> bool {
        let found = self.area.bytes().get(offset as usize..).and_then(|rest| rest.get(..bytes.len()));
        !bytes.is_empty() && found == Some(bytes)
    }

    /// Erases the pages that begin within the chunk, writes the chunk, and reads it back.
    fn write(&mut self, offset: u32, chunk: &Chunk) -> Result<(), StoreError> {
        let geometry = self.area.geometry();
        let failed = |at, failure| if failure == Failure::ReadOnly { StoreError::ReadOnly } else { flash(at) };
        let mut at = offset.next_multiple_of(geometry.page.max(1));
        while at < offset.saturating_add(chunk.len() as u32) {
            self.area.erase(at.checked_div(geometry.page).unwrap_or(0)).map_err(|failure| failed(at, failure))?;
            at = at.saturating_add(geometry.page.max(1));
        }
        // The last word is filled up with ones, as erased flash reads.
        let mut words = chunk.clone();
        while !(words.len() as u32).is_multiple_of(geometry.word.max(1)) && words.push(0xFF).is_ok() {}
        self.area.program(offset, &words).map_err(|failure| failed(offset, failure))?;
        if self.holds(offset, chunk) { Ok(()) } else { Err(flash(offset)) }
    }

    fn commit(&self, bench: Bench<'_>) -> Result<ModelAnswer, StoreError> {
        let Receiving { bytes, crc32, next } = self.receiving.ok_or(StoreError::NotBegun)?;
        if next < bytes {
            return Err(StoreError::Incomplete { have: next, bytes });
        }
        let model = check(self.area.bytes(), bench)?;
        if (model.bytes, model.crc32) != (bytes, crc32) {
            return Err(StoreError::OtherFile { bytes: model.bytes, crc32: model.crc32 });
        }
        Ok(ModelAnswer::Checked { slot: self.free, model })
    }

    fn activate(&mut self, origin: Origin, bench: Bench<'_>) -> Result<ModelAnswer, StoreError> {
        let file = match origin {
            Origin::BuiltIn => self.built_in,
            Origin::Slot(slot) if usize::from(slot) >= SLOTS => return Err(StoreError::NoSlot { slot }),
            Origin::Slot(slot) if slot == self.free => self.area.bytes(),
            Origin::Slot(_) => self.kept.bytes(),
        };
        let model = check(file, bench)?;
        let newest = records::newest(self.records, None);
        // The request may be repeated, as after a lost answer: nothing is written twice.
        let done = newest.is_some_and(|r| (r.origin, r.bytes, r.crc32) == (origin, model.bytes, model.crc32));
        if !done {
            let append = records::append(self.records, origin, model.bytes, model.crc32);
            append.map_err(|(at, failure)| match failure {
                Failure::ReadOnly => StoreError::ReadOnly,
                Failure::Failed => flash(at),
            })?;
        }
        Ok(ModelAnswer::Activated(origin))
    }
}

fn flash(offset: u32) -> StoreError {
    StoreError::Flash { offset }
}

/// Validates a file at the start of an area and replays its golden queries.
#[inline(never)]
fn check(area: &[u8], bench: Bench<'_>) -> Result<ModelInfo, StoreError> {
    let held = (bench.open)(area).map_err(StoreError::Refused)?;
    held.check_memory(bench.room()).map_err(StoreError::Refused)?;
    let golden = held.self_test(bench.memory);
    match golden.mismatches {
        _ if golden.queries == 0 => Err(StoreError::NoGolden),
        0 => Ok(held.model_info(true)),
        mismatches => Err(StoreError::Golden { mismatches, queries: golden.queries }),
    }
}

/// The entry of an area in the list of models.
#[inline(never)]
fn content(open: Open, area: &[u8]) -> SlotContent {
    if is_blank(area.get(..8).unwrap_or(area)) {
        return SlotContent::Empty;
    }
    match open(area) {
        Err(error) => SlotContent::Refused(error),
        Ok(held) => {
            let model = held.model_info(true);
            let ode = summary::name(model.subject());
            SlotContent::Model { ode, scheme: model.scheme, bytes: model.bytes, crc32: model.crc32 }
        }
    }
}
