//! The text form of LIBSVM: a line is a label, counted from 1, and `index:value` pairs with rising indices from 1;
//! a value that is left out is 0.

use super::{lines, unit_from_signed, words};
use crate::dataset::error::excerpt;
use crate::dataset::{Defect, FormatError, PixelsAndLabels};

/// Reads pixels (0 to 1 for values -1 to 1, `size` per image) and labels (counted from 0).
///
/// # Errors
/// [`FormatError`] at the first word that is not a label of a class or an `index:value` in its range; or if there is no image.
pub fn parse(bytes: &[u8], size: usize, classes: usize) -> Result<PixelsAndLabels, FormatError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (start, line) in lines(bytes)? {
        let mut words = words(line, start);
        let Some((at, word)) = words.next() else { continue };
        let label = word.parse::<u8>().ok().filter(|&l| l > 0 && usize::from(l) <= classes);
        let label = label.ok_or_else(|| Defect::Label { found: excerpt(word), first: 1, last: classes as u32 }.at(at));
        labels.push(label? - 1);
        let image = pixels.len();
        pixels.resize(image + size, unit_from_signed(0.0));
        let mut before = 0;
        for (at, word) in words {
            let (index, value) = pair(word, before, size).map_err(|defect| defect.at(at))?;
            pixels[image + index - 1] = unit_from_signed(value);
            before = index;
        }
    }
    if labels.is_empty() { Err(Defect::Empty.at(0)) } else { Ok((pixels, labels)) }
}

fn pair(word: &str, before: usize, last: usize) -> Result<(usize, f64), Defect> {
    let bad_index = || Defect::Index { found: excerpt(word), last };
    let (index, value) = word.split_once(':').ok_or_else(bad_index)?;
    let index = index.parse().ok().filter(|&i| i > before && i <= last).ok_or_else(bad_index)?;
    let value = value.parse().ok().filter(|v| (-1.0..=1.0).contains(v));
    Ok((index, value.ok_or_else(|| Defect::Value { found: excerpt(word) })?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sparse_lines_are_filled_with_zero() {
        let (pixels, labels) = parse(b"7 1:-1 3:1 \n10 2:-0.5\n1\n", 3, 10).unwrap();
        assert_eq!(labels, [6, 9, 0]);
        assert_eq!(pixels, [0.0, 0.5, 1.0, 0.5, 0.25, 0.5, 0.5, 0.5, 0.5]);
    }

    #[test]
    fn every_bad_word_is_named_with_its_place() {
        let defect = |text: &str| parse(text.as_bytes(), 3, 10).unwrap_err();
        for bad in ["0", "11", "x", "1:1"] {
            assert_eq!(defect(bad), Defect::Label { found: bad.into(), first: 1, last: 10 }.at(0));
        }
        for bad in ["4:0", "0:0", "1", "-1:0", "1:0 1:0"] {
            let found = bad.rsplit(' ').next().unwrap();
            let at = 2 + bad.len() - found.len();
            assert_eq!(defect(&format!("7 {bad}")), Defect::Index { found: found.into(), last: 3 }.at(at));
        }
        assert_eq!(defect("7 2:x"), Defect::Value { found: "2:x".into() }.at(2));
        assert_eq!(defect("7 2:9"), Defect::Value { found: "2:9".into() }.at(2));
        assert_eq!(defect(""), Defect::Empty.at(0));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, text in "([0-9.:\\-]{0,6}[ \n]){0,12}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                if let Ok((pixels, labels)) = parse(bytes, 2, 10) {
                    prop_assert_eq!(pixels.len(), 2 * labels.len());
                }
            }
        }
    }
}
