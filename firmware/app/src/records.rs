//! Records: a log in flash of what outlives a reset besides the models. The newest valid record counts.
//!
//! | bytes | what, little-endian |
//! | --- | --- |
//! | 0..4 | sequence number, one more than that of the record before |
//! | 4..8 | the model that shall answer: 0 for the one that is part of the firmware, 1 + n for slot n, 2^32 - 1 if none was ever activated |
//! | 8..12 | bytes of its file |
//! | 12..16 | its checksum |
//! | 16..20 | the lowest serial number of a model that is taken |
//! | 20..28 | how often files were begun in slot 0, and in slot 1 |
//! | 28..32 | CRC-32 (ISO-HDLC) of the 28 bytes before |
//!
//! A record is written with one write, at the first blank place of the newest record's page. If that page is full, the next
//! one is erased first; it holds only older records. The newest of those that name another model is copied into it, so that
//! the model before is known however many records follow. So whenever power fails, either the new record is whole and
//! counts, or its checksum is wrong and the one before it counts. Firmware of before serial numbers wrote zeros for them.

use crate::flash::{Area, Failure};
use sirocco::model::CRC32;
use sirocco::wire::store::{Origin, SLOTS};

/// Bytes of a record: a multiple of every flash's word.
pub const RECORD: usize = 32;

/// What a device has to know after a reset, beside the models themselves: each record holds all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// The model that shall answer, if one was ever activated.
    pub active: Option<Active>,
    /// The lowest serial number of a model that is taken.
    pub lowest: u32,
    /// How often files were begun in each slot: how often its first page was erased.
    pub erased: [u32; SLOTS],
}

/// An activated model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Active {
    /// Where the model lies.
    pub origin: Origin,
    /// Bytes of its file.
    pub bytes: u32,
    /// Its checksum.
    pub crc32: u32,
}

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Counts records.
    pub sequence: u32,
    /// What the device knew when it was written.
    pub state: State,
}

impl Record {
    /// The bytes of the record in flash.
    pub fn encode(&self) -> [u8; RECORD] {
        let State { active, lowest, erased: [first, second] } = self.state;
        let (origin, bytes, crc32) = match active {
            None => (u32::MAX, 0, 0),
            Some(Active { origin: Origin::BuiltIn, bytes, crc32 }) => (0, bytes, crc32),
            Some(Active { origin: Origin::Slot(n), bytes, crc32 }) => (1 + u32::from(n), bytes, crc32),
        };
        let mut record = [0; RECORD];
        let words = [self.sequence, origin, bytes, crc32, lowest, first, second];
        for (to, word) in record.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        if let Some((body, crc)) = record.split_last_chunk_mut::<4>() {
            *crc = CRC32.checksum(body).to_le_bytes();
        }
        record
    }

    /// Reads a record from its place; `None` if the place holds no valid one.
    pub fn decode(place: &[u8]) -> Option<Self> {
        let (body, crc) = place.split_last_chunk::<4>()?;
        if place.len() != RECORD || CRC32.checksum(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut words = body.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
        let (sequence, origin) = (words.next()?, words.next()?);
        let (bytes, crc32) = (words.next()?, words.next()?);
        let (lowest, erased) = (words.next()?, [words.next()?, words.next()?]);
        let origin = match origin {
            u32::MAX => None,
            0 => Some(Origin::BuiltIn),
            slot => Some(Origin::Slot(u8::try_from(slot - 1).ok()?)),
        };
        let active = origin.map(|origin| Active { origin, bytes, crc32 });
        Some(Record { sequence, state: State { active, lowest, erased } })
    }
}

fn valid(area: &dyn Area) -> impl Iterator<Item = Record> {
    area.bytes().chunks_exact(RECORD).filter_map(Record::decode)
}

/// The newest valid record; with `below`, the newest whose sequence number is less.
pub fn newest(area: &dyn Area, below: Option<u32>) -> Option<Record> {
    valid(area).filter(|r| below.is_none_or(|below| r.sequence < below)).max_by_key(|r| r.sequence)
}

/// What the newest record keeps; the state of a new device if there is none.
pub fn state(area: &dyn Area) -> State {
    newest(area, None).map_or(State::default(), |record| record.state)
}

/// The number of the next record.
pub fn next_sequence(area: &dyn Area) -> u32 {
    newest(area, None).map_or(0, |r| r.sequence.saturating_add(1))
}

/// Adds a record with the next sequence number, and reads it back.
///
/// # Errors
/// If the flash fails: at which offset, and how.
pub fn append(area: &mut dyn Area, state: State) -> Result<Record, (u32, Failure)> {
    let record = Record { sequence: next_sequence(area), state };
    let place = match blank_place(area) {
        Some(place) => place,
        None => {
            // Read before its page may be erased.
            let before = valid(area).filter(|r| r.state.active != state.active).max_by_key(|r| r.sequence);
            let (page, start) = next_page(area);
            area.erase(page).map_err(|failure| (start, failure))?;
            match before {
                // In a page of one place the new record has to do.
                Some(before) if area.geometry().page as usize >= 2 * RECORD => {
                    write(area, start, &before)?;
                    start.saturating_add(RECORD as u32)
                }
                _ => start,
            }
        }
    };
    write(area, place, &record)?;
    Ok(record)
}

fn write(area: &mut dyn Area, place: u32, record: &Record) -> Result<(), (u32, Failure)> {
    let encoded = record.encode();
    area.program(place, &encoded).map_err(|failure| (place, failure))?;
    let written = area.bytes().get(place as usize..).and_then(|rest| rest.get(..RECORD));
    if written == Some(&encoded) { Ok(()) } else { Err((place, Failure::Failed)) }
}

/// The page of the newest record, if there is a record.
fn newest_page(area: &dyn Area) -> Option<usize> {
    let page = area.geometry().page as usize;
    let places = area.bytes().chunks_exact(RECORD).enumerate();
    let records = places.filter_map(|(place, bytes)| Some((place, Record::decode(bytes)?.sequence)));
    let (place, _) = records.max_by_key(|(_, sequence)| *sequence)?;
    (place * RECORD).checked_div(page)
}

/// Offset of the first erased place after the last used one in the newest record's page.
fn blank_place(area: &dyn Area) -> Option<u32> {
    let size = area.geometry().page as usize;
    let start = newest_page(area)? * size;
    let page = area.bytes().get(start..)?.get(..size)?;
    let blank = |place: &[u8]| place.iter().all(|&byte| byte == 0xFF);
    let used = page.chunks_exact(RECORD).rposition(|place| !blank(place)).map_or(0, |last| last + 1) * RECORD;
    (used + RECORD <= size).then_some((start + used) as u32)
}

/// The page after the newest record's: its number and its offset.
fn next_page(area: &dyn Area) -> (u32, u32) {
    let size = area.geometry().page;
    let pages = (area.bytes().len() as u32).checked_div(size).unwrap_or(0);
    let page = newest_page(area).map_or(0, |page| page as u32 + 1);
    let page = if page < pages { page } else { 0 };
    (page, page.saturating_mul(size))
}
