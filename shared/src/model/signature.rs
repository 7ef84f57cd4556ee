//! The signature of a model file: three entries of its metadata, and the bytes that are signed.
//!
//! | entry | what |
//! | --- | --- |
//! | `sirocco.serial` | the file's serial number in decimal digits, which grows from release to release |
//! | `sirocco.key` | which key has signed: 16 hexadecimal digits, the first 8 bytes of the public key |
//! | `sirocco.signature` | the ed25519 signature, 128 hexadecimal digits |
//!
//! What is signed is [`MODEL`], then the whole file with the digits of its checksum and of its signature read as zeros. So a
//! signed file is a model file like any other, every change of it breaks the signature, and the checksum covers the
//! signature. This module finds the parts; who checks them brings the cryptography.

use super::{CRC_DIGITS, Model};
use crate::error::{Key, ModelError};

/// What is signed begins with these bytes if it is a model file. Statements on the serial line begin otherwise, so that no
/// signature of one kind passes for another.
pub const MODEL: [u8; 16] = *b"sirocco model   ";

/// Hexadecimal digits of a signature in the metadata.
pub const SIGNATURE_DIGITS: usize = 128;

/// A public key as people and files name it: its first 8 bytes, the first byte highest. It only says which key to try.
pub type Fingerprint = u64;

/// The fingerprint of a public key.
pub fn fingerprint(key: &[u8; 32]) -> Fingerprint {
    key.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// What digits count as while a file is signed.
static ZEROS: [u8; SIGNATURE_DIGITS] = [b'0'; SIGNATURE_DIGITS];

/// The signature of a file, not yet checked.
#[derive(Debug, Clone)]
pub struct Signature<'a> {
    /// The serial number that it states.
    pub serial: u32,
    /// The key that it names.
    pub key: Fingerprint,
    /// The signature: 64 bytes.
    pub bytes: [u8; SIGNATURE_DIGITS / 2],
    parts: [&'a [u8]; 5],
}

impl<'a> Signature<'a> {
    /// What was signed, piece by piece.
    pub fn signed(&self) -> impl Iterator<Item = &[u8]> {
        core::iter::once(&MODEL[..]).chain(self.parts)
    }
}

impl<'a> Model<'a> {
    /// The signature of the file, if it states one.
    ///
    /// # Errors
    /// [`ModelError::Metadata`] if one of the three entries is malformed, or missing while another one is there.
    pub fn signature(&self) -> Result<Option<Signature<'a>>, ModelError> {
        let entries = [Key::Serial, Key::SigningKey, Key::Signature];
        if entries.iter().all(|key| self.entry(key.key()).is_none()) {
            return Ok(None);
        }
        let [serial, key, digits] = entries.map(|key| self.require(key));
        let (serial, key, digits) = (serial?, key?, digits?);
        let serial = serial.parse().map_err(|_| ModelError::Metadata(Key::Serial))?;
        let key = hex(key).map(u64::from_be_bytes).ok_or(ModelError::Metadata(Key::SigningKey))?;
        let bytes = hex(digits).ok_or(ModelError::Metadata(Key::Signature))?;
        let parts = self.parts(self.require(Key::Crc32)?, digits);
        let parts = parts.ok_or(ModelError::Metadata(Key::Signature))?;
        Ok(Some(Signature { serial, key, bytes, parts }))
    }

    /// The file with the digits of two entries as zeros.
    fn parts(&self, crc32: &str, signature: &str) -> Option<[&'a [u8]; 5]> {
        // Both were borrowed from this very file, so their places in it are the distances of the addresses.
        let place = |text: &str| (text.as_ptr() as usize).wrapping_sub(self.file.as_ptr() as usize);
        let holes = ((place(crc32), CRC_DIGITS), (place(signature), SIGNATURE_DIGITS));
        let ((first, first_digits), (second, second_digits)) =
            if holes.0 < holes.1 { holes } else { (holes.1, holes.0) };
        let before = self.file.get(..first)?;
        let between = self.file.get(first.checked_add(first_digits)?..second)?;
        let after = self.file.get(second.checked_add(second_digits)?..)?;
        Some([before, ZEROS.get(..first_digits)?, between, ZEROS.get(..second_digits)?, after])
    }
}

/// The bytes that lowercase hexadecimal digits stand for, if they are so many.
pub fn hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::crc_of;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    /// Words, so that the file begins at a multiple of 8.
    fn file(metadata: &str) -> Vec<u64> {
        let mut header = format!(
            "{{\"__metadata__\":{{{metadata}}},\"x\":{{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}}}"
        );
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        let mark = b"\"sirocco.crc32\":\"";
        let at = bytes.windows(mark.len()).position(|w| w == mark).unwrap() + mark.len();
        let crc = format!("{:08x}", crc_of(&bytes, at..at + CRC_DIGITS));
        bytes[at..at + CRC_DIGITS].copy_from_slice(crc.as_bytes());
        bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
    }

    fn signature(words: &[u64]) -> Result<Option<(u32, u64, Vec<u8>)>, ModelError> {
        let model = Model::open(bytemuck::cast_slice(words)).unwrap();
        let signature = model.signature()?;
        Ok(signature.map(|s| (s.serial, s.key, s.signed().flatten().copied().collect())))
    }

    const CRC: &str = "\"sirocco.crc32\":\"00000000\"";

    fn entries(serial: &str, key: &str, digits: &str) -> String {
        format!("\"sirocco.serial\":\"{serial}\",\"sirocco.key\":\"{key}\",\"sirocco.signature\":\"{digits}\"")
    }

    #[test]
    fn what_is_signed_is_the_file_without_its_checksum_and_signature() {
        let (key, digits) = ("0102030405060708", "5a".repeat(64));
        let signed = entries("7", key, &digits);
        for metadata in [format!("{CRC},{signed}"), format!("{signed},{CRC}")] {
            let words = file(&metadata);
            let (serial, key, parts) = signature(&words).unwrap().unwrap();
            assert_eq!((serial, key), (7, 0x0102_0304_0506_0708));
            let expected = file(&metadata.replace(&digits, &"0".repeat(128)));
            let mut expected: Vec<u8> = bytemuck::cast_slice(&expected).to_vec();
            let mark = b"\"sirocco.crc32\":\"";
            let at = expected.windows(mark.len()).position(|w| w == mark).unwrap() + mark.len();
            expected[at..at + CRC_DIGITS].fill(b'0');
            assert_eq!(parts, [&MODEL[..], &expected].concat());
        }
    }

    #[test]
    fn a_file_without_a_signature_has_none() {
        assert_eq!(signature(&file(CRC)), Ok(None));
    }

    #[test]
    fn a_malformed_signature_is_named_by_its_entry() {
        let (key, digits) = ("0102030405060708", "5a".repeat(64));
        let of = |entries: String| signature(&file(&format!("{CRC},{entries}"))).unwrap_err();
        for serial in ["", "x", "-1", "4294967296"] {
            assert_eq!(of(entries(serial, key, &digits)), ModelError::Metadata(Key::Serial), "{serial}");
        }
        for key in ["", "01", "0102030405060708090a", "010203040506070G", "010203040506070A"] {
            assert_eq!(of(entries("7", key, &digits)), ModelError::Metadata(Key::SigningKey), "{key}");
        }
        for digits in [&digits[1..], &digits[2..], "", &digits.replace('5', "g")] {
            assert_eq!(of(entries("7", key, digits)), ModelError::Metadata(Key::Signature), "{digits}");
        }
        for (missing, error) in
            [("sirocco.serial", Key::Serial), ("sirocco.key", Key::SigningKey), ("sirocco.signature", Key::Signature)]
        {
            let other = entries("7", key, &digits).replace(missing, "other");
            assert_eq!(of(other), ModelError::Metadata(error), "{missing}");
        }
    }

    #[test]
    fn a_fingerprint_is_the_beginning_of_the_key() {
        let key = core::array::from_fn(|k| k as u8 + 1);
        assert_eq!(format!("{:016x}", fingerprint(&key)), "0102030405060708");
    }
}
