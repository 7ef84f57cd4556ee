//! Receives a model into the free slot, checks it, and activates it. See [`sirocco::wire::store`].

use crate::flash::{Area, Failure, is_blank};
use crate::records::{self, Active};
use crate::trust::{SIGNING, Session, Trust};
use crate::wear::Limits;
use sirocco::held::Open;
use sirocco::limits::MAX_CHUNK;
use sirocco::summary::{self, ModelInfo};
use sirocco::wire::store::{Chunk, ModelAnswer, ModelList, ModelRequest, Origin, SLOTS, SlotContent, StoreError, Wear};
use sirocco::wire::trust::{TrustAnswer, TrustRefusal, TrustRequest};

/// Access to the flash while a model answers: every area may be read; the free slot and the records may be changed.
pub struct Push<'a> {
    running: Origin,
    built_in: &'a [u8],
    slots: Slots<'a>,
    records: &'a mut dyn Area,
    trust: Trust,
    limits: &'a mut Limits,
    receiving: Option<Receiving>,
}

/// The slots, by their use.
pub(crate) struct Slots<'a> {
    /// The slot that does not change.
    pub kept: &'a dyn Area,
    /// Number of the other one.
    pub free: u8,
    /// The other one, which receives.
    pub area: &'a mut dyn Area,
}

/// The means to check a model: the board's way to open it, and the memory that image networks work in.
pub struct Bench<'w> {
    /// Opens a model for the board's processor.
    pub open: Open,
    /// Memory that image networks work in; its content does not matter.
    pub memory: &'w mut [u32],
    /// Milliseconds since reset, if the board counts them.
    pub now: Option<u32>,
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
    pub(crate) fn new(
        running: Origin,
        built_in: &'a [u8],
        slots: Slots<'a>,
        records: &'a mut dyn Area,
        trust: Trust,
        limits: &'a mut Limits,
    ) -> Self {
        Push { running, built_in, slots, records, trust, limits, receiving: None }
    }

    /// Answers a request about models. After [`ModelAnswer::Activated`] the caller must open the model that answers anew.
    ///
    /// # Errors
    /// If a chunk does not fit the file that is being received, the model is refused, or the flash fails.
    pub fn handle(&mut self, request: &ModelRequest, bench: Bench<'_>) -> Result<ModelAnswer, StoreError> {
        match request {
            ModelRequest::List => Ok(ModelAnswer::List(self.list(bench.open))),
            ModelRequest::Begin { bytes, crc32 } => self.begin(*bytes, *crc32),
            ModelRequest::Chunk { offset, bytes } => self.chunk(*offset, bytes, bench.now),
            ModelRequest::Commit => self.commit(bench),
            ModelRequest::Activate(origin) => self.activate(*origin, bench),
            ModelRequest::Abort => {
                self.receiving = None;
                Ok(ModelAnswer::Aborted)
            }
            ModelRequest::Wear => Ok(ModelAnswer::Wear(self.wear(bench.now))),
        }
    }

    /// Answers a request about trust.
    ///
    /// # Errors
    /// [`TrustRefusal`] if a signature is missing or is not that of the challenge, or the flash fails.
    pub fn trust(&mut self, request: &TrustRequest, session: &mut Session) -> Result<TrustAnswer, TrustRefusal> {
        let mut state = records::state(self.records);
        match request {
            TrustRequest::State => {}
            _ if !SIGNING || self.trust.models.is_empty() && self.trust.operators.is_empty() => {
                return Err(TrustRefusal::NoKeys);
            }
            TrustRequest::Challenge => {
                let nonce = session.challenge(records::next_sequence(self.records));
                return Ok(TrustAnswer::Challenge(nonce));
            }
            TrustRequest::Open(signed) => {
                self.trust.check_session(&session.take()?, signed)?;
                // The record makes sure that this nonce never comes again.
                records::append(self.records, state).map_err(|_| TrustRefusal::Flash)?;
                session.set(true);
            }
            TrustRequest::Lowest { serial, signed } => {
                self.trust.check_lowest(&session.take()?, *serial, signed)?;
                state.lowest = *serial;
                records::append(self.records, state).map_err(|_| TrustRefusal::Flash)?;
            }
            TrustRequest::Close => session.set(false),
        }
        Ok(TrustAnswer::State(self.trust.state(state.lowest, session)))
    }

    fn wear(&mut self, now: Option<u32>) -> Wear {
        Wear {
            begun: records::state(self.records).erased,
            records: records::next_sequence(self.records),
            begins_left: self.limits.begins.left(now),
            activations_left: self.limits.activations.left(now),
        }
    }

    fn list(&self, open: Open) -> ModelList {
        let (kept, free) = (content(open, self.slots.kept.bytes()), content(open, self.slots.area.bytes()));
        let slots = if self.slots.free == 0 { [free, kept] } else { [kept, free] };
        ModelList { running: self.running, slot_bytes: self.room(), slots }
    }

    fn room(&self) -> u32 {
        self.slots.area.bytes().len() as u32
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
        Ok(ModelAnswer::Receiving { slot: self.slots.free, next: receiving.next })
    }

    /// Writes the next chunk. The chunk before may be repeated, as after a lost answer; it is not written again.
    ///
    /// # Errors
    /// If no file was begun, too many were, the chunk is not the next one or has the wrong length, or the flash fails; after
    /// that the file must be begun again.
    pub fn chunk(&mut self, offset: u32, chunk: &Chunk, now: Option<u32>) -> Result<ModelAnswer, StoreError> {
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
            if offset == 0 {
                self.count_begin(now)?;
            }
            if let Err(error) = self.write(offset, chunk) {
                self.receiving = None;
                return Err(error);
            }
            receiving.next = end;
            self.receiving = Some(receiving);
        }
        Ok(ModelAnswer::Receiving { slot: self.slots.free, next: receiving.next })
    }

    /// Counts a file whose first chunk is about to erase a page, in a record that outlives a reset.
    fn count_begin(&mut self, now: Option<u32>) -> Result<(), StoreError> {
        self.limits.begins.take(now).map_err(|seconds| StoreError::TooOften { seconds })?;
        let mut state = records::state(self.records);
        if let Some(count) = state.erased.get_mut(usize::from(self.slots.free)) {
            *count = count.saturating_add(1);
        }
        self.record(state)
    }

    fn record(&mut self, state: records::State) -> Result<(), StoreError> {
        match records::append(self.records, state) {
            Ok(_) => Ok(()),
            Err((_, Failure::ReadOnly)) => Err(StoreError::ReadOnly),
            Err((at, Failure::Failed)) => Err(flash(at)),
        }
    }

    fn holds(&self, offset: u32, bytes: &[u8]) -> bool {
        let found = self.slots.area.bytes().get(offset as usize..).and_then(|rest| rest.get(..bytes.len()));
        !bytes.is_empty() && found == Some(bytes)
    }

    /// Erases the pages that begin within the chunk, writes the chunk, and reads it back.
    fn write(&mut self, offset: u32, chunk: &Chunk) -> Result<(), StoreError> {
        let geometry = self.slots.area.geometry();
        let failed = |at, failure| if failure == Failure::ReadOnly { StoreError::ReadOnly } else { flash(at) };
        let mut at = offset.next_multiple_of(geometry.page.max(1));
        while at < offset.saturating_add(chunk.len() as u32) {
            self.slots.area.erase(at.checked_div(geometry.page).unwrap_or(0)).map_err(|failure| failed(at, failure))?;
            at = at.saturating_add(geometry.page.max(1));
        }
        // The last word is filled up with ones, as erased flash reads.
        let mut words = chunk.clone();
        while !(words.len() as u32).is_multiple_of(geometry.word.max(1)) && words.push(0xFF).is_ok() {}
        self.slots.area.program(offset, &words).map_err(|failure| failed(offset, failure))?;
        if self.holds(offset, chunk) { Ok(()) } else { Err(flash(offset)) }
    }

    fn commit(&self, bench: Bench<'_>) -> Result<ModelAnswer, StoreError> {
        let Receiving { bytes, crc32, next } = self.receiving.ok_or(StoreError::NotBegun)?;
        if next < bytes {
            return Err(StoreError::Incomplete { have: next, bytes });
        }
        let (model, _) = self.check(self.slots.area.bytes(), bench)?;
        if (model.bytes, model.crc32) != (bytes, crc32) {
            return Err(StoreError::OtherFile { bytes: model.bytes, crc32: model.crc32 });
        }
        Ok(ModelAnswer::Checked { slot: self.slots.free, model })
    }

    fn activate(&mut self, origin: Origin, bench: Bench<'_>) -> Result<ModelAnswer, StoreError> {
        let now = bench.now;
        let (model, serial) = match origin {
            // It is trusted as the firmware is.
            Origin::BuiltIn => (check(self.built_in, bench)?, 0),
            Origin::Slot(slot) if usize::from(slot) >= SLOTS => return Err(StoreError::NoSlot { slot }),
            Origin::Slot(slot) if slot == self.slots.free => self.check(self.slots.area.bytes(), bench)?,
            Origin::Slot(_) => self.check(self.slots.kept.bytes(), bench)?,
        };
        let mut state = records::state(self.records);
        let active = Some(Active { origin, bytes: model.bytes, crc32: model.crc32 });
        // The request may be repeated, as after a lost answer: nothing is written twice.
        if state.active != active {
            self.limits.activations.take(now).map_err(|seconds| StoreError::TooOften { seconds })?;
            (state.active, state.lowest) = (active, state.lowest.max(serial));
            self.record(state)?;
        }
        Ok(ModelAnswer::Activated(origin))
    }

    /// Checks a model in a slot, and returns its serial number, too.
    fn check(&self, area: &[u8], bench: Bench<'_>) -> Result<(ModelInfo, u32), StoreError> {
        let lowest = records::state(self.records).lowest;
        let serial = self.trust.check(area, lowest).map_err(StoreError::Refused)?;
        Ok((check(area, bench)?, serial))
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
