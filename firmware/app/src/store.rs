//! The models of a board: which one answers after a reset, and which slot is free for a new one.

use crate::flash::{Area, is_blank};
use crate::push::{Push, Slots};
use crate::records::{self, Active};
use crate::trust::Trust;
use crate::wear::Limits;
use sirocco::error::ModelError;
use sirocco::held::{Held, Open};
use sirocco::wire::store::{Origin, SLOTS};

/// The flash that models are kept in.
pub struct Store<'a> {
    slots: [&'a mut dyn Area; SLOTS],
    records: &'a mut dyn Area,
    trust: Trust,
    limits: Limits,
}

/// The model that shall answer. [`Opened::held`] opens it; call that once, because an open model takes some KiB of stack.
#[derive(Debug, Clone, Copy)]
pub struct Opened<'a> {
    /// Opens it for the board's processor.
    pub open: Open,
    /// An area that begins with its file.
    pub area: &'a [u8],
    /// Where it lies.
    pub origin: Origin,
    /// Why the model that was activated last does not answer, if it was refused.
    pub slot_error: Option<ModelError>,
    /// Whose models the device takes, and who may change it.
    pub trust: Trust,
}

impl<'a> Opened<'a> {
    /// The model that is part of the firmware.
    pub fn built_in(open: Open, file: &'a [u8]) -> Self {
        Opened { open, area: file, origin: Origin::BuiltIn, slot_error: None, trust: Trust::built_in() }
    }

    /// Opens the model.
    ///
    /// # Errors
    /// If the built-in model is refused, which is a defect of the firmware; a model in a slot was checked before.
    pub fn held(&self) -> Result<Held<'a>, ModelError> {
        (self.open)(self.area)
    }
}

impl<'a> Store<'a> {
    /// A store in these areas. `records` should have at least two pages: with one, a power failure during an activation may
    /// bring back an older model.
    pub fn new(slots: [&'a mut dyn Area; SLOTS], records: &'a mut dyn Area) -> Self {
        Store { slots, records, trust: Trust::built_in(), limits: Limits::default() }
    }

    /// The same store with other keys than those of the firmware.
    pub fn trusting(self, trust: Trust) -> Self {
        Store { trust, ..self }
    }

    /// Finds the model that shall answer, and prepares the other slot to receive a new one.
    ///
    /// That model is the one activated last. If it is damaged, it is the one activated before, if that is still in the
    /// other slot; else the one built in. As long as nothing was ever activated, a valid file in slot 0 counts as
    /// activated: it was written with the firmware. A model that needs more than `room` bytes to work in counts as damaged, and so
    /// does one that the device does not trust: without a valid signature, or older than the highest serial number.
    pub fn open<'s>(&'s mut self, open: Open, built_in: &'s [u8], room: u32) -> (Opened<'s>, Push<'s>) {
        let (origin, slot_error) = self.choose(open, room);
        let free = self.free(origin);
        let [first, second] = &mut self.slots;
        let (kept, free_area) = if free == 0 { (second, first) } else { (first, second) };
        let kept: &'s dyn Area = &**kept;
        let area = match origin {
            Origin::BuiltIn => built_in,
            Origin::Slot(_) => kept.bytes(),
        };
        let (trust, limits) = (self.trust, &mut self.limits);
        let slots = Slots { kept, free, area: &mut **free_area };
        let push = Push::new(origin, built_in, slots, &mut *self.records, trust, limits);
        (Opened { open, area, origin, slot_error, trust }, push)
    }

    /// Which model shall answer, and why a better one cannot.
    fn choose(&self, open: Open, room: u32) -> (Origin, Option<ModelError>) {
        let mut record = records::newest(&*self.records, None);
        let lowest = record.map_or(0, |record| record.state.lowest);
        if record.is_none_or(|record| record.state.active.is_none()) {
            let first = self.slots.first().map_or(&[][..], |slot| slot.bytes());
            return match self.identity(open, first, room, lowest) {
                Ok(_) => (Origin::Slot(0), None),
                Err(_) if is_blank(first.get(..8).unwrap_or(first)) => (Origin::BuiltIn, None),
                Err(error) => (Origin::BuiltIn, Some(error)),
            };
        }
        let (mut error, mut tried) = (None, [false; SLOTS]);
        while let Some(wanted) = record {
            let Some(active @ Active { origin: Origin::Slot(slot), .. }) = wanted.state.active else {
                return (Origin::BuiltIn, error);
            };
            // A slot is checked only against its newest record: the file of an older record was overwritten.
            match tried.get_mut(usize::from(slot)) {
                Some(tried) if !*tried => {
                    *tried = true;
                    match self.check(open, slot, &active, room, lowest) {
                        Ok(()) => return (active.origin, error),
                        Err(refused) => error = error.or(Some(refused)),
                    }
                }
                _ => {}
            }
            record = records::newest(&*self.records, Some(wanted.sequence));
        }
        (Origin::BuiltIn, error)
    }

    /// Checks that the slot holds the model that was activated, and that its signature, where one is needed, is still taken: the
    /// slot may have been overwritten, and the keys may be those of newer firmware.
    fn check(&self, open: Open, slot: u8, active: &Active, room: u32, lowest: u32) -> Result<(), ModelError> {
        let area = self.slots.get(usize::from(slot)).ok_or(ModelError::Header)?;
        let (bytes, crc32) = self.identity(open, area.bytes(), room, lowest)?;
        match (bytes, crc32) == (active.bytes, active.crc32) {
            true => Ok(()),
            false => Err(ModelError::Checksum { stated: active.crc32, computed: crc32 }),
        }
    }

    /// Bytes and checksum of the model at the start of an area, if it is valid, can work in `room` bytes, and is trusted.
    fn identity(&self, open: Open, area: &[u8], room: u32, lowest: u32) -> Result<(u32, u32), ModelError> {
        let identity = identity(open, area, room)?;
        self.trust.check(area, lowest)?;
        Ok(identity)
    }

    /// The slot that may be overwritten: not the one in use, nor the one activated last.
    fn free(&self, running: Origin) -> u8 {
        let mut record = records::newest(&*self.records, None);
        let mut kept = running;
        while let (Origin::BuiltIn, Some(older)) = (kept, record) {
            kept = older.state.active.map_or(Origin::BuiltIn, |active| active.origin);
            record = records::newest(&*self.records, Some(older.sequence));
        }
        match kept {
            Origin::Slot(1) => 0,
            // Slot 0 may hold a model that came with the firmware.
            Origin::Slot(_) | Origin::BuiltIn => 1,
        }
    }
}

/// Bytes and checksum of the model at the start of an area, if it is valid and can work in `room` bytes.
// Not inlined: an open model is large, and should not lie on its caller's stack.
#[inline(never)]
fn identity(open: Open, area: &[u8], room: u32) -> Result<(u32, u32), ModelError> {
    let info = open(area)?.check_memory(room)?.model_info(true);
    Ok((info.bytes, info.crc32))
}
