//! File formats of image data sets. Parsers take bytes and know nothing of files; no input makes them panic.

pub mod cifar;
pub mod esl;
pub mod idx;
pub mod libsvm;

/// Bytes 0 to 255 as pixels 0 to 1.
pub(super) fn unit(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|&b| f32::from(b) / 255.0).collect()
}

/// Values -1 to 1 as pixels 0 to 1.
fn unit_from_signed(value: f64) -> f32 {
    ((value + 1.0) / 2.0) as f32
}

/// The words of a line that begins at byte `start`, with their byte offsets.
fn words(line: &str, start: usize) -> impl Iterator<Item = (usize, &str)> {
    line.split_ascii_whitespace().map(move |word| (start + word.as_ptr() as usize - line.as_ptr() as usize, word))
}

/// The lines of a text that are not blank, with their byte offsets.
fn lines(bytes: &[u8]) -> Result<impl Iterator<Item = (usize, &str)>, super::FormatError> {
    let text = str::from_utf8(bytes).map_err(|e| super::Defect::NotText.at(e.valid_up_to()))?;
    let with_offset = text.split('\n').scan(0, |next, line| {
        let start = *next;
        *next += line.len() + 1;
        Some((start, line))
    });
    Ok(with_offset.filter(|(_, line)| !line.trim_ascii().is_empty()))
}
