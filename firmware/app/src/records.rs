//! Activation records: a log in flash that says which model shall answer. The newest valid record counts.
//!
//! | bytes | what, little-endian |
//! | --- | --- |
//! | 0..4 | sequence number, one more than that of the record before |
//! | 4..8 | 0 for the model that is part of the firmware, 1 + n for slot n |
//! | 8..12 | bytes of the model file |
//! | 12..16 | its checksum |
//! | 16..28 | zeros |
//! | 28..32 | CRC-32 (ISO-HDLC) of the 28 bytes before |
//!
//! A record is written with one write, at the first blank place of the newest record's page. If that page is full, the next
//! one is erased first; it holds only older records. So whenever power fails, either the new record is whole and counts, or
//! its checksum is wrong and the one before it counts.

use crate::flash::{Area, Failure};
use sirocco::model::CRC32;
use sirocco::wire::store::Origin;

/// Bytes of a record: a multiple of every flash's word.
pub const RECORD: usize = 32;

/// Which model shall answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Counts activations.
    pub sequence: u32,
    /// Where the model lies.
    pub origin: Origin,
    /// Bytes of its file.
    pub bytes: u32,
    /// Its checksum.
    pub crc32: u32,
}

impl Record {
    /// The bytes of the record in flash.
    pub fn encode(&self) -> [u8; RECORD] {
        let origin = match self.origin {
            Origin::BuiltIn => 0,
            Origin::Slot(n) => 1 + u32::from(n),
        };
        let mut record = [0; RECORD];
        let words = [self.sequence, origin, self.bytes, self.crc32];
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
        let origin = match origin.checked_sub(1) {
            None => Origin::BuiltIn,
            Some(slot) => Origin::Slot(u8::try_from(slot).ok()?),
        };
        Some(Record { sequence, origin, bytes, crc32 })
    }
}

/// The newest valid record; with `below`, the newest whose sequence number is less.
pub fn newest(area: &dyn Area, below: Option<u32>) -> Option<Record> {
    let records = area.bytes().chunks_exact(RECORD).filter_map(Record::decode);
    records.filter(|r| below.is_none_or(|below| r.sequence < below)).max_by_key(|r| r.sequence)
}

/// Adds a record with the next sequence number, and reads it back.
///
/// # Errors
/// If the flash fails: at which offset, and how.
pub fn append(area: &mut dyn Area, origin: Origin, bytes: u32, crc32: u32) -> Result<Record, (u32, Failure)> {
    let sequence = newest(area, None).map_or(0, |r| r.sequence.saturating_add(1));
    let record = Record { sequence, origin, bytes, crc32 };
    let place = match blank_place(area) {
        Some(place) => place,
        None => {
            let (page, start) = next_page(area);
            area.erase(page).map_err(|failure| (start, failure))?;
            start
        }
    };
    let encoded = record.encode();
    area.program(place, &encoded).map_err(|failure| (place, failure))?;
    let written = area.bytes().get(place as usize..).and_then(|rest| rest.get(..RECORD));
    if written == Some(&encoded) { Ok(record) } else { Err((place, Failure::Failed)) }
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
