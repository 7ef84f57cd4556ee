//! What a file is that is no model: what people take for one, so that the message can say what to do.

use core::fmt;

/// A file of another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// Nothing.
    Empty,
    /// The text that Git keeps in place of a large file.
    Pointer,
    /// A page that shows a file.
    WebPage,
    /// An archive, as PyTorch's own files are.
    Zip,
    /// A compressed file.
    Gzip,
    /// A network for TensorFlow Lite.
    TensorFlowLite,
    /// A file of the trainer: a network in training, samples, a checkpoint.
    Trainer,
    /// A safetensors file that another program wrote, or saved again.
    Unchecked,
    /// Any other text.
    Text,
}

impl Foreign {
    /// What the bytes of a file are that was refused as a model; `None` if they begin as a model does.
    ///
    /// ```
    /// use sirocco::model::Foreign;
    /// let page = Foreign::of(b"<!DOCTYPE html>").unwrap();
    /// assert_eq!(page.to_string(), "is a web page; download the file itself, and not the page that shows it");
    /// ```
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let begins = |mark: &[u8]| bytes.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark));
        Some(if bytes.is_empty() {
            Foreign::Empty
        } else if begins(b"version https://git-lfs") {
            Foreign::Pointer
        } else if begins(b"<!doctype html") || begins(b"<html") {
            Foreign::WebPage
        } else if begins(b"PK\x03\x04") {
            Foreign::Zip
        } else if begins(b"\x1f\x8b") {
            Foreign::Gzip
        } else if bytes.get(4..8) == Some(b"TFL3") {
            Foreign::TensorFlowLite
        } else if let Some(header) = header(bytes) {
            let names = |key: &[u8]| header.windows(key.len()).any(|window| window == key);
            if !names(b"\"sirocco.crc32\"") {
                Foreign::Unchecked
            } else if !names(b"\"sirocco.kind\"") {
                Foreign::Trainer
            } else {
                return None;
            }
        } else if is_text(bytes) {
            Foreign::Text
        } else {
            return None;
        })
    }
}

/// The header of a safetensors file, of any length.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    header.starts_with(b"{").then_some(header)
}

/// Whether a file begins as a text does.
fn is_text(bytes: &[u8]) -> bool {
    let start = bytes.get(..256).unwrap_or(bytes);
    // The end may cut a character in two.
    let readable = core::str::from_utf8(start).map_or_else(|error| error.error_len().is_none(), |_| true);
    readable && !start.iter().any(|b| b.is_ascii_control() && !b.is_ascii_whitespace())
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Foreign::Empty => "is empty; copy it again",
            Foreign::Pointer => "is the pointer that Git LFS keeps in place of a file; fetch the file with `git lfs pull`",
            Foreign::WebPage => "is a web page; download the file itself, and not the page that shows it",
            Foreign::Zip => "is a ZIP archive, as PyTorch's files are; unpack it, or take the .safetensors file",
            Foreign::Gzip => "is compressed; unpack it with `gunzip`",
            Foreign::TensorFlowLite => "is a network for TensorFlow Lite; take a file that sirocco-train has written",
            Foreign::Trainer => {
                "is a file of the trainer, which boards do not hold; export it with sirocco-train, as with `sirocco-train image quantize`"
            }
            Foreign::Unchecked => {
                "is a safetensors file without Sirocco's checksum: another program wrote it, or saved it again, which is editing; \
                 take the file as sirocco-train has written it"
            }
            Foreign::Text => "is a text; take a model file, which sirocco-train writes as .safetensors",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn safetensors(header: &str) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat()
    }

    #[test]
    fn what_people_take_for_a_model_is_named() {
        let unchecked = safetensors(r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#);
        let trainer = safetensors(r#"{"__metadata__":{"kind":"network","sirocco.crc32":"00000000"}}"#);
        for (bytes, right) in [
            (&b""[..], Foreign::Empty),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", Foreign::Pointer),
            (b"<!DOCTYPE html>\n<html>", Foreign::WebPage),
            (b"<HTML><head>", Foreign::WebPage),
            (b"PK\x03\x04\x14\0\0\0", Foreign::Zip),
            (b"\x1f\x8b\x08\0", Foreign::Gzip),
            (b"\x1c\0\0\0TFL3\x14\0", Foreign::TensorFlowLite),
            (b"t,I\n0,0.001\n", Foreign::Text),
            (&unchecked, Foreign::Unchecked),
            (&trainer, Foreign::Trainer),
        ] {
            assert_eq!(Foreign::of(bytes), Some(right));
        }
    }

    #[test]
    fn a_model_is_none_of_these_even_if_it_is_damaged() {
        let file = include_bytes!("../../../firmware/app/assets/sir.safetensors");
        assert_eq!(Foreign::of(file), None);
        assert_eq!(Foreign::of(&file[..file.len() - 1]), None);
        assert_eq!(Foreign::of(b"\xff\xff\xff\xff\x7f"), None);
        assert_eq!(Foreign::of(&[0; 64]), None);
    }
}
