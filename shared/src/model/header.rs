//! The JSON header of a safetensors file: an object of tensors' entries, and one of strings.

use super::Dtype;
use super::json::Json;
use crate::error::{Countable, ModelError};
use crate::limits::{MAX_METADATA, MAX_RANK, MAX_TENSORS};
use core::ops::Range;
use heapless::Vec;

/// Key of the metadata in the header.
const METADATA: &str = "__metadata__";

/// A tensor's entry: where its data lie, relative to the start of the data. As small as it can be, because an opened file
/// keeps all of them.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub name: &'a str,
    pub dtype: Dtype,
    rank: u8,
    shape: [u32; MAX_RANK],
    pub begin: u32,
}

impl Entry<'_> {
    /// Its dimensions.
    pub fn shape(&self) -> &[u32] {
        self.shape.get(..self.rank.into()).unwrap_or(&[])
    }

    /// Where its data lie. Its length fitted its type and shape when it was read.
    pub fn place(&self) -> Range<usize> {
        let bytes = self.shape().iter().fold(self.dtype.size(), |n, d| n.saturating_mul(*d as usize));
        let begin = self.begin as usize;
        begin..begin.saturating_add(bytes)
    }
}

/// A parsed header. Names are unique; each entry's length fits its type and shape.
#[derive(Debug, Clone, Default)]
pub(super) struct Header<'a> {
    pub metadata: Vec<(&'a str, &'a str), MAX_METADATA>,
    pub tensors: Vec<Entry<'a>, MAX_TENSORS>,
}

impl Header<'_> {
    /// Bytes of data. Checks that the tensors cover them without overlap or hole.
    pub fn data_length(&self) -> Result<usize, ModelError> {
        let mut covered = 0;
        // Each pass finds the tensors that begin where the last one ended (several only if all but one are empty).
        for _ in 0..self.tensors.len() {
            let places = self.tensors.iter().map(Entry::place);
            let next = places.filter(|place| place.start == covered).map(|place| place.end).max();
            match next {
                Some(end) => covered = end,
                None => break,
            }
        }
        let total: usize = self.tensors.iter().map(|t| t.place().len()).fold(0, usize::saturating_add);
        if self.tensors.iter().all(|t| t.place().end <= covered) && total == covered {
            Ok(covered)
        } else {
            Err(ModelError::Offsets)
        }
    }
}

/// Parses the header into an empty one, so that it lies in memory once. A defect of its contents, the first one, is reported
/// only if all of the text is JSON.
pub(super) fn parse<'a>(json: &'a [u8], header: &mut Header<'a>) -> Result<(), ModelError> {
    // Escapes would need a buffer to unescape into; no writer of ours makes any.
    if json.contains(&b'\\') {
        return Err(ModelError::Header);
    }
    let (mut seen, mut defect) = (false, None);
    let mut json = Json::new(json);
    let parsed = json.object(|json, name| {
        let problem = if name == METADATA {
            let problem = metadata(json, &mut header.metadata)?;
            let twice = core::mem::replace(&mut seen, true);
            problem.or(twice.then_some(ModelError::Duplicate))
        } else {
            let twice = header.tensors.iter().any(|t| t.name == name);
            match entry(json, name)? {
                Ok(_) if twice => Some(ModelError::Duplicate),
                Ok(entry) => header.tensors.push(entry).err().map(|_| ModelError::TooMany(Countable::Tensors)),
                Err(problem) => Some(problem),
            }
        };
        defect = defect.or(problem);
        Some(())
    });
    match (parsed.and_then(|()| json.end()), defect) {
        (None, _) => Err(ModelError::Header),
        (Some(()), Some(defect)) => Err(defect),
        (Some(()), None) => Ok(()),
    }
}

/// Reads the metadata, an object of strings. Returns `None` if it is anything else, otherwise its first defect, if any.
fn metadata<'a>(json: &mut Json<'a>, pairs: &mut Vec<(&'a str, &'a str), MAX_METADATA>) -> Option<Option<ModelError>> {
    let mut defect = None;
    json.object(|json, key| {
        let value = json.string()?;
        let problem = if pairs.iter().any(|(k, _)| *k == key) {
            Some(ModelError::Duplicate)
        } else {
            pairs.push((key, value)).err().map(|_| ModelError::TooMany(Countable::Metadata))
        };
        defect = defect.or(problem);
        Some(())
    })?;
    Some(defect)
}

/// Reads a tensor's entry: `dtype`, `shape` and `data_offsets`, each once. Returns `None` if it is anything else.
fn entry<'a>(json: &mut Json<'a>, name: &'a str) -> Option<Result<Entry<'a>, ModelError>> {
    let (mut dtype, mut shape, mut offsets) = (None, None, None);
    json.object(|json, key| {
        let again = match key {
            "dtype" => dtype.replace(json.string()?).is_some(),
            "shape" => {
                let (mut dimensions, mut fits) = (Vec::<u32, MAX_RANK>::new(), true);
                json.array(|json| {
                    fits &= dimensions.push(json.number()?).is_ok();
                    Some(())
                })?;
                shape.replace(fits.then_some(dimensions)).is_some()
            }
            "data_offsets" => {
                let mut pair = Vec::<u32, 2>::new();
                json.array(|json| pair.push(json.number()?).ok())?;
                let [begin, end] = pair.as_slice() else { return None };
                offsets.replace((*begin, *end)).is_some()
            }
            _ => true,
        };
        (!again).then_some(())
    })?;
    let (dtype, shape, (begin, end)) = (dtype?, shape?, offsets?);
    Some(check(name, dtype, shape, begin, end))
}

/// Makes an entry, if its length fits its type and shape.
fn check<'a>(
    name: &'a str,
    dtype: &str,
    shape: Option<Vec<u32, MAX_RANK>>,
    begin: u32,
    end: u32,
) -> Result<Entry<'a>, ModelError> {
    let dtype = Dtype::from_name(dtype).ok_or(ModelError::Header)?;
    let dimensions = shape.ok_or(ModelError::TooMany(Countable::Dimensions))?;
    let bytes = dimensions.iter().try_fold(dtype.size(), |n, d| n.checked_mul(*d as usize));
    let length = end.checked_sub(begin).map(|length| length as usize);
    if length.is_some() && length == bytes {
        let mut shape = [0; MAX_RANK];
        shape.iter_mut().zip(&dimensions).for_each(|(to, from)| *to = *from);
        Ok(Entry { name, dtype, rank: dimensions.len() as u8, shape, begin })
    } else {
        Err(ModelError::Offsets)
    }
}
