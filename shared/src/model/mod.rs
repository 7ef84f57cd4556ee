//! A borrowed view of a model file: plain safetensors, read in place, without a heap.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..8 | header length n, little-endian `u64`, at most [`MAX_HEADER`] |
//! | 8..8+n | JSON: `__metadata__` (strings) and, per tensor, `dtype`, `shape`, `data_offsets`; padded with spaces |
//! | 8+n.. | tensor data, little-endian, at a multiple of 8, without holes or overlaps |
//!
//! The metadata entry `sirocco.crc32` holds eight hexadecimal digits: the CRC-32 (ISO-HDLC) of the whole file with
//! these digits read as zeros. So it detects every flipped bit, in the header and in the data. [`signature`] is about files
//! that are signed.

mod foreign;
mod header;
mod json;
pub mod signature;

pub use foreign::Foreign;

use crate::error::{Key, ModelError};
use crate::limits::{self, MAX_HEADER, MAX_RANK};
use header::{Entry, Header};
use heapless::Vec;

/// The CRC-32 of model files and of frames (ISO-HDLC, the one of zip and Ethernet).
pub const CRC32: crc::Crc<u32, crc::Table<1>> = crc::Crc::<u32, crc::Table<1>>::new(&crc::CRC_32_ISO_HDLC);

/// Hexadecimal digits of the checksum in the header.
pub const CRC_DIGITS: usize = 8;

/// Element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit float.
    F32,
    /// 32-bit signed integer.
    I32,
    /// 16-bit signed integer.
    I16,
    /// 8-bit signed integer.
    I8,
    /// Byte.
    U8,
    /// Any other safetensors type, by its size in bytes. Such tensors are accepted and never evaluated.
    Other(u8),
}

impl Dtype {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "F32" => Dtype::F32,
            "I32" => Dtype::I32,
            "I16" => Dtype::I16,
            "I8" => Dtype::I8,
            "U8" => Dtype::U8,
            "BOOL" => Dtype::Other(1),
            "U16" | "F16" | "BF16" => Dtype::Other(2),
            "U32" => Dtype::Other(4),
            "I64" | "U64" | "F64" => Dtype::Other(8),
            _ => return None,
        })
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Dtype::F32 | Dtype::I32 => 4,
            Dtype::I16 => 2,
            Dtype::I8 | Dtype::U8 => 1,
            Dtype::Other(size) => size.into(),
        }
    }
}

/// A tensor of the file, its data borrowed from it.
#[derive(Debug, Clone)]
pub struct Tensor<'a> {
    /// Name.
    pub name: &'a str,
    /// Element type.
    pub dtype: Dtype,
    /// Shape; empty for a scalar.
    pub shape: Vec<u32, MAX_RANK>,
    /// The elements' bytes, row-major, little-endian.
    pub bytes: &'a [u8],
}

/// Reads `T` in place, where type, size and alignment allow it.
fn cast<T: bytemuck::AnyBitPattern>(bytes: &[u8]) -> Option<&[T]> {
    bytemuck::try_cast_slice(bytes).ok()
}

impl<'a> Tensor<'a> {
    /// The elements, if they are 32-bit floats.
    pub fn f32(&self) -> Option<&'a [f32]> {
        (self.dtype == Dtype::F32).then(|| cast(self.bytes))?
    }
    /// The elements, if they are 32-bit integers.
    pub fn i32(&self) -> Option<&'a [i32]> {
        (self.dtype == Dtype::I32).then(|| cast(self.bytes))?
    }
    /// The elements, if they are 8-bit integers.
    pub fn i8(&self) -> Option<&'a [i8]> {
        (self.dtype == Dtype::I8).then(|| cast(self.bytes))?
    }
    /// Four 8-bit integers to a word, the first one lowest, if they are aligned as words.
    pub fn i8_words(&self) -> Option<&'a [u32]> {
        (self.dtype == Dtype::I8).then(|| cast(self.bytes))?
    }
    /// The elements, if they are bytes.
    pub fn u8(&self) -> Option<&'a [u8]> {
        (self.dtype == Dtype::U8).then_some(self.bytes)
    }
    /// The elements, if they are 16-bit integers.
    pub fn i16(&self) -> Option<&'a [i16]> {
        (self.dtype == Dtype::I16).then(|| cast(self.bytes))?
    }
    /// Two 16-bit integers to a word, the first one lowest, if they are aligned as words.
    pub fn i16_words(&self) -> Option<&'a [u32]> {
        (self.dtype == Dtype::I16).then(|| cast(self.bytes))?
    }
    /// Whether the shape is exactly this one.
    pub fn has_shape(&self, shape: &[usize]) -> bool {
        self.shape.len() == shape.len() && self.shape.iter().zip(shape).all(|(a, b)| *a as usize == *b)
    }
}

/// A checked safetensors file.
#[derive(Debug, Clone)]
pub struct Model<'a> {
    file: &'a [u8],
    data: &'a [u8],
    crc32: u32,
    header: Header<'a>,
}

impl<'a> Model<'a> {
    /// Opens a file that fills `bytes` exactly.
    ///
    /// # Errors
    /// [`ModelError`], the first defect found, if the file is damaged or is not a model file.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ModelError> {
        let model = Self::open_prefix(bytes)?;
        match bytes.len() - model.file.len() {
            0 => Ok(model),
            extra => Err(ModelError::Trailing(saturate(extra))),
        }
    }

    /// Opens a file at the start of a larger area, such as a flash slot; what follows the file is ignored.
    ///
    /// Cost: one pass over the file for the checksum, one over the header.
    ///
    /// # Errors
    /// [`ModelError`], the first defect found, if the file is damaged or is not a model file.
    #[inline(never)]
    pub fn open_prefix(bytes: &'a [u8]) -> Result<Self, ModelError> {
        let truncated = |needed: usize| ModelError::Truncated { needed: saturate(needed), have: saturate(bytes.len()) };
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or(truncated(8))?;
        let length = u64::from_le_bytes(*length);
        if length > MAX_HEADER as u64 {
            return Err(ModelError::HeaderTooLong(length.min(u32::MAX.into()) as u32));
        }
        let length = length as usize;
        let (json, data) = rest.split_at_checked(length).ok_or(truncated(8 + length))?;
        let mut header = Header::default();
        header::parse(json, &mut header)?;
        let used = header.data_length()?;
        let data = data.get(..used).ok_or(truncated(8 + length + used))?;
        let file = bytes.get(..8 + length + used).ok_or(truncated(8 + length + used))?;
        let crc32 = check_crc(file, &header.metadata)?;
        if !(data.as_ptr() as usize).is_multiple_of(8) {
            return Err(ModelError::Misaligned);
        }
        Ok(Model { file, data, crc32, header })
    }

    /// The file's bytes, exactly.
    pub fn file(&self) -> &'a [u8] {
        self.file
    }

    /// The file's checksum, as stated and verified.
    pub fn crc32(&self) -> u32 {
        self.crc32
    }

    /// All metadata, in the file's order.
    pub fn metadata(&self) -> &[(&'a str, &'a str)] {
        &self.header.metadata
    }

    /// All tensors, in the header's order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'a>> {
        self.header.tensors.iter().map(|entry| self.read(entry))
    }

    fn read(&self, entry: &Entry<'a>) -> Tensor<'a> {
        // The data cover all places: [`Self::open_prefix`] has cut them to what the entries cover.
        let bytes = self.data.get(entry.place()).unwrap_or(&[]);
        let shape = limits::collect(entry.shape().iter().copied());
        Tensor { name: entry.name, dtype: entry.dtype, shape, bytes }
    }

    /// A metadata value by its name.
    pub fn entry(&self, name: &str) -> Option<&'a str> {
        self.header.metadata.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// A metadata value that has to be there.
    ///
    /// # Errors
    /// [`ModelError::Metadata`] if it is not.
    pub fn require(&self, key: Key) -> Result<&'a str, ModelError> {
        self.entry(key.key()).ok_or(ModelError::Metadata(key))
    }

    /// A tensor by its name.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'a>> {
        self.header.tensors.iter().find(|t| t.name == name).map(|entry| self.read(entry))
    }
}

/// The CRC-32 of a file whose checksum digits stand at `digits`: they count as zeros.
pub fn crc_of(file: &[u8], digits: core::ops::Range<usize>) -> u32 {
    let mut digest = CRC32.digest();
    digest.update(file.get(..digits.start).unwrap_or(file));
    digest.update(&[b'0'; CRC_DIGITS]);
    digest.update(file.get(digits.end..).unwrap_or(&[]));
    digest.finalize()
}

fn check_crc(file: &[u8], metadata: &[(&str, &str)]) -> Result<u32, ModelError> {
    let missing = ModelError::Checksum { stated: 0, computed: 0 };
    let (_, digits) = metadata.iter().find(|(key, _)| *key == Key::Crc32.key()).ok_or(missing)?;
    if digits.len() != CRC_DIGITS || !digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err(missing);
    }
    let stated = u32::from_str_radix(digits, 16).map_err(|_| missing)?;
    // The digits were borrowed from this very file, so their place in it is the distance of the addresses.
    let at = (digits.as_ptr() as usize).wrapping_sub(file.as_ptr() as usize);
    let computed = crc_of(file, at..at.saturating_add(CRC_DIGITS));
    if stated == computed { Ok(stated) } else { Err(ModelError::Checksum { stated, computed }) }
}

/// A length for an error message.
fn saturate(n: usize) -> u32 {
    n.min(u32::MAX as usize) as u32
}
