//! IDX, the format of MNIST: a big-endian header (magic, count, for images rows and columns), then one byte per number.

use crate::dataset::{Defect, FormatError};

/// Magic number of unsigned bytes in three dimensions.
pub const IMAGES: u32 = 2051;
/// Magic number of unsigned bytes in one dimension.
pub const LABELS: u32 = 2049;

/// The images of a file: grey, 0 background to 255 ink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grey<'a> {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Shape (n, height, width).
    pub bytes: &'a [u8],
}

/// Reads a file of images.
///
/// # Errors
/// [`FormatError`] if the magic number is another, the sizes are impossible, or the length is not the one that the header states.
pub fn images(bytes: &[u8]) -> Result<Grey<'_>, FormatError> {
    let [count, height, width] = header(bytes, IMAGES, "IDX images")?;
    let size = u64::from(height) * u64::from(width);
    let length = size.checked_mul(count.into()).filter(|&l| l > 0 && size <= 1 << 24);
    let Some(length) = length else { return Err(Defect::Size { count, height, width }.at(4)) };
    let bytes = body(bytes, 16, length)?;
    Ok(Grey { height: height as usize, width: width as usize, bytes })
}

/// Refuses images of another size than this data set's.
///
/// # Errors
/// [`Defect::OtherSize`] if the images are not of this size.
pub fn expect_size(grey: &Grey<'_>, height: usize, width: usize) -> Result<(), FormatError> {
    if (grey.height, grey.width) == (height, width) {
        return Ok(());
    }
    Err(Defect::OtherSize { height: grey.height, width: grey.width, expected: (height, width) }.at(8))
}

/// Reads a file of labels below `classes`.
///
/// # Errors
/// [`FormatError`] if the magic number is another, the length is not the one that the header states, or a label is not below
/// `classes`.
pub fn labels(bytes: &[u8], classes: usize) -> Result<&[u8], FormatError> {
    let [count] = header(bytes, LABELS, "IDX labels")?;
    let labels = body(bytes, 8, count.into())?;
    match labels.iter().position(|&l| usize::from(l) >= classes) {
        Some(at) => {
            let last = classes.saturating_sub(1) as u32;
            Err(Defect::Label { found: labels[at].to_string(), first: 0, last }.at(8 + at))
        }
        None => Ok(labels),
    }
}

/// Writes images as an IDX file.
pub fn write_images(height: usize, width: usize, bytes: &[u8]) -> Vec<u8> {
    let count = bytes.len() / (height * width);
    let header = [IMAGES, count as u32, height as u32, width as u32];
    header.into_iter().flat_map(u32::to_be_bytes).chain(bytes.iter().copied()).collect()
}

/// Writes labels as an IDX file.
pub fn write_labels(labels: &[u8]) -> Vec<u8> {
    [LABELS, labels.len() as u32].into_iter().flat_map(u32::to_be_bytes).chain(labels.iter().copied()).collect()
}

/// The sizes after the magic number.
fn header<const N: usize>(bytes: &[u8], magic: u32, what: &'static str) -> Result<[u32; N], FormatError> {
    let (words, _) = bytes.as_chunks::<4>();
    let found = words.first().map(|w| u32::from_be_bytes(*w));
    match found {
        Some(found) if found != magic => return Err(Defect::Magic { found, expected: magic, what }.at(0)),
        Some(_) if words.len() > N => {}
        _ => return Err(Defect::Truncated { expected: 4 + 4 * N as u64 }.at(bytes.len())),
    }
    Ok(core::array::from_fn(|i| u32::from_be_bytes(words[1 + i])))
}

fn body(bytes: &[u8], header: usize, length: u64) -> Result<&[u8], FormatError> {
    let (found, expected) = (bytes.len() as u64, header as u64 + length);
    if found < expected {
        Err(Defect::Truncated { expected }.at(bytes.len()))
    } else if found > expected {
        Err(Defect::Trailing { extra: found - expected }.at(expected as usize))
    } else {
        Ok(&bytes[header..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TWO: [u8; 20] = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 10, 20, 30, 40];

    fn with(at: usize, byte: u8) -> Vec<u8> {
        let mut bytes = TWO.to_vec();
        bytes[at] = byte;
        bytes
    }

    #[test]
    fn images_are_read_and_written_byte_for_byte() {
        let two = images(&TWO).unwrap();
        assert_eq!(two, Grey { height: 1, width: 2, bytes: &[10, 20, 30, 40] });
        assert_eq!(write_images(1, 2, two.bytes), TWO);
        assert_eq!(labels(&[0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 9], 10).unwrap(), [7, 2, 9]);
        assert_eq!(write_labels(&[7, 2, 9]), [0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 9]);
    }

    #[test]
    fn wrong_magic() {
        let defect = Defect::Magic { found: LABELS, expected: IMAGES, what: "IDX images" };
        assert_eq!(images(&with(3, 1)).unwrap_err(), defect.at(0));
        assert!(labels(&TWO, 10).is_err_and(|e| matches!(e.defect, Defect::Magic { expected: LABELS, .. })));
    }

    #[test]
    fn cut_off_in_header_or_body() {
        for length in [0, 3, 4, 15] {
            assert_eq!(images(&TWO[..length]).unwrap_err(), Defect::Truncated { expected: 16 }.at(length));
        }
        assert_eq!(images(&TWO[..19]).unwrap_err(), Defect::Truncated { expected: 20 }.at(19));
    }

    #[test]
    fn a_count_that_is_not_the_files() {
        assert_eq!(images(&with(7, 3)).unwrap_err(), Defect::Truncated { expected: 22 }.at(20));
        assert_eq!(images(&with(7, 1)).unwrap_err(), Defect::Trailing { extra: 2 }.at(18));
        assert!(images(&with(7, 0)).is_err_and(|e| matches!(e.defect, Defect::Size { count: 0, .. })));
        assert!(images(&with(8, 255)).is_err_and(|e| matches!(e.defect, Defect::Size { .. })));
    }

    #[test]
    fn images_of_another_size() {
        let two = images(&TWO).unwrap();
        assert_eq!(expect_size(&two, 1, 2), Ok(()));
        let defect = Defect::OtherSize { height: 1, width: 2, expected: (28, 28) };
        assert_eq!(expect_size(&two, 28, 28).unwrap_err(), defect.at(8));
    }

    #[test]
    fn a_label_that_names_no_class() {
        let error = labels(&[0, 0, 8, 1, 0, 0, 0, 2, 9, 10], 10).unwrap_err();
        assert_eq!(error, Defect::Label { found: "10".into(), first: 0, last: 9 }.at(9));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..64), magic in 0..3usize) {
            if let (Some(head), Some(magic)) = (bytes.first_chunk_mut::<4>(), [IMAGES, LABELS].get(magic)) {
                *head = magic.to_be_bytes();
            }
            if let Ok(found) = images(&bytes) {
                prop_assert_eq!(write_images(found.height, found.width, found.bytes), bytes.clone());
            }
            if let Ok(found) = labels(&bytes, 10) {
                prop_assert_eq!(write_labels(found), bytes);
            }
        }
    }
}
