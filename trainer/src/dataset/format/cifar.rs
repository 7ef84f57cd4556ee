//! The binary form of CIFAR-10 and CIFAR-100: records of one label (two in CIFAR-100: coarse, fine) and 3,072 pixels,
//! the red plane first, then green, then blue, each row by row.

use super::unit;
use crate::dataset::{Defect, FormatError, PixelsAndLabels};

/// Bytes of an image: 3 planes of 32 x 32.
pub const PIXELS: usize = 3 * 32 * 32;

/// Reads records with `extra` bytes before the label: pixels (0 to 1) and labels below `classes`.
///
/// # Errors
/// [`FormatError`] for an incomplete record, a file without records, or a label that is not below `classes`.
pub fn parse(bytes: &[u8], extra: usize, classes: usize) -> Result<PixelsAndLabels, FormatError> {
    let record = extra + 1 + PIXELS;
    let partial = bytes.len() % record;
    if partial != 0 {
        let defect = Defect::Partial { found: partial as u64, record: record as u64 };
        return Err(defect.at(bytes.len() - partial));
    }
    if bytes.is_empty() {
        return Err(Defect::Empty.at(0));
    }
    let mut pixels = Vec::with_capacity(bytes.len() / record * PIXELS);
    let mut labels = Vec::with_capacity(bytes.len() / record);
    for (index, bytes) in bytes.chunks_exact(record).enumerate() {
        let label = bytes[extra];
        if usize::from(label) >= classes {
            let last = classes.saturating_sub(1) as u32;
            return Err(Defect::Label { found: label.to_string(), first: 0, last }.at(index * record + extra));
        }
        labels.push(label);
        pixels.extend(unit(&bytes[extra + 1..]));
    }
    Ok((pixels, labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two records whose pixels count up, with `extra` bytes of 200 before the label.
    fn two(extra: usize) -> Vec<u8> {
        (0..2u8)
            .flat_map(|n| {
                let image = (0..PIXELS).map(move |k| (k % 251) as u8 + n);
                vec![200; extra].into_iter().chain([7 + n]).chain(image)
            })
            .collect()
    }

    #[test]
    fn planes_and_labels_are_where_they_belong() {
        for extra in [0, 1] {
            let (pixels, labels) = parse(&two(extra), extra, 10).unwrap();
            assert_eq!(labels, [7, 8]);
            assert_eq!(pixels.len(), 2 * PIXELS);
            assert_eq!(pixels[1024], (1024 % 251) as f32 / 255.0);
            assert_eq!(pixels[PIXELS], 1.0 / 255.0);
        }
    }

    #[test]
    fn cut_off_empty_and_bad_labels() {
        let bytes = two(0);
        let partial = Defect::Partial { found: PIXELS as u64, record: PIXELS as u64 + 1 };
        assert_eq!(parse(&bytes[..bytes.len() - 1], 0, 10).unwrap_err(), partial.at(PIXELS + 1));
        assert_eq!(parse(&[], 0, 10).unwrap_err(), Defect::Empty.at(0));
        let error = parse(&bytes, 0, 8).unwrap_err();
        assert_eq!(error, Defect::Label { found: "8".into(), first: 0, last: 7 }.at(PIXELS + 1));
        // CIFAR-100 read as CIFAR-10 is not a whole number of records.
        assert!(parse(&two(1), 0, 10).is_err_and(|e| matches!(e.defect, Defect::Partial { found: 2, .. })));
    }
}
