//! The text form of USPS in "The Elements of Statistical Learning": a line is a label and 256 grey values from -1 to 1.
//!
//! Files in circulation have one of two number formats, `6.0000 -1.0000 ... ` with a trailing space or `9 -1 -0.948 ...`.
//! Both are read.

use super::{lines, unit_from_signed, words};
use crate::dataset::error::excerpt;
use crate::dataset::{Defect, FormatError, PixelsAndLabels};

/// Reads pixels (0 to 1, `size` per image) and labels (0 to `classes` - 1).
///
/// # Errors
/// [`FormatError`] at the first word that is not a label of a class or a pixel from -1 to 1, or at the first line with too few
/// or too many words; or if there is no image.
pub fn parse(bytes: &[u8], size: usize, classes: usize) -> Result<PixelsAndLabels, FormatError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (start, line) in lines(bytes)? {
        let mut words = words(line, start);
        let Some((at, word)) = words.next() else { continue };
        labels.push(label(word, classes).map_err(|defect| defect.at(at))?);
        let before = pixels.len();
        for (at, word) in words {
            let value = word.parse().ok().filter(|v| (-1.0..=1.0).contains(v));
            let value: f64 = value.ok_or_else(|| Defect::Value { found: excerpt(word) }.at(at))?;
            pixels.push(unit_from_signed(value));
        }
        let found = pixels.len() - before;
        if found != size {
            return Err(Defect::Columns { found, expected: size }.at(start));
        }
    }
    if labels.is_empty() { Err(Defect::Empty.at(0)) } else { Ok((pixels, labels)) }
}

/// A class written as a float, `6.0000` or `6`.
fn label(word: &str, classes: usize) -> Result<u8, Defect> {
    let bad = || Defect::Label { found: excerpt(word), first: 0, last: classes.saturating_sub(1) as u32 };
    let value: f64 = word.parse().map_err(|_| bad())?;
    // The cast saturates and drops fractions, so a number that is not a class comes back changed.
    let label = value as u8;
    if f64::from(label) == value && usize::from(label) < classes { Ok(label) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn defect(text: &str) -> FormatError {
        parse(text.as_bytes(), 3, 10).unwrap_err()
    }

    #[test]
    fn both_number_formats_give_the_same_images() {
        let long = parse(b"6.0000 -1.0000 -0.6310 1.0000 \n5.0000 0.0000 0.5000 -1.0000 \n", 3, 10).unwrap();
        let short = parse(b"6 -1 -0.631 1\r\n5 0 0.5 -1", 3, 10).unwrap();
        assert_eq!(long, short);
        assert_eq!(long, (vec![0.0, 0.1845, 1.0, 0.5, 0.75, 0.0], vec![6, 5]));
    }

    #[test]
    fn every_bad_word_is_named_with_its_place() {
        assert_eq!(defect("6 0 0 x"), Defect::Value { found: "x".into() }.at(6));
        assert_eq!(defect("6 0 0 0\n1 0 1.01 0"), Defect::Value { found: "1.01".into() }.at(12));
        assert_eq!(defect("6 0 nan 0"), Defect::Value { found: "nan".into() }.at(4));
        for bad in ["10", "-1", "6.5", "nan", "six"] {
            assert_eq!(defect(bad), Defect::Label { found: bad.into(), first: 0, last: 9 }.at(0));
        }
    }

    #[test]
    fn lines_of_another_length() {
        assert_eq!(defect("6 0 0 0\n7 0 0\n"), Defect::Columns { found: 2, expected: 3 }.at(8));
        assert_eq!(defect("6 0 0 0 0\n"), Defect::Columns { found: 4, expected: 3 }.at(0));
    }

    #[test]
    fn nothing_and_no_text() {
        assert_eq!(defect(" \n\n"), Defect::Empty.at(0));
        assert_eq!(parse(b"6 0 \xff 0", 3, 10).unwrap_err(), Defect::NotText.at(4));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, text in "([0-9.: \\-eE]{0,6}[ \n]){0,12}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                if let Ok((pixels, labels)) = parse(bytes, 2, 10) {
                    prop_assert_eq!(pixels.len(), 2 * labels.len());
                }
            }
        }
    }
}
