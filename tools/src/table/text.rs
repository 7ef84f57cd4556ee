//! The text of a table, in whichever encoding a program wrote it, and the character that separates its fields.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Why a file is not a table of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// The first bytes of a zip archive, which workbooks are, too.
    #[error("this is a workbook or a zip archive, not a table of text; save the sheet as CSV")]
    Zip,
    /// The first bytes of a gzip file.
    #[error("this is a gzip file, not a table of text; unpack it with `gunzip`")]
    Gzip,
    /// Bytes that no text has.
    #[error("this is not a table of text; save the sheet as CSV")]
    Binary,
}

/// The text of a file, with line feeds as ends of lines.
///
/// A byte order mark tells UTF-8 and UTF-16. Without one, text is UTF-8 if it is valid; otherwise it is UTF-16 if every
/// other byte of its beginning is zero, and else Windows-1252, which has every text of Latin-1.
///
/// # Errors
/// [`NotText`] for archives and other binary files.
pub fn decode(bytes: &[u8]) -> Result<String, NotText> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(NotText::Zip);
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(NotText::Gzip);
    }
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or_else(|| (guess(bytes), 0));
    let (text, _) = encoding.decode_without_bom_handling(bytes.get(mark..).unwrap_or_default());
    if text.contains('\0') {
        return Err(NotText::Binary);
    }
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The encoding of a text without a byte order mark.
fn guess(bytes: &[u8]) -> &'static Encoding {
    let (pairs, _) = bytes.as_chunks::<2>();
    let beginning = pairs.get(..pairs.len().min(256)).unwrap_or_default();
    let zeros = |place: usize| beginning.iter().filter(|pair| pair.get(place) == Some(&0)).count();
    match (zeros(0) * 2 > beginning.len(), zeros(1) * 2 > beginning.len()) {
        (true, false) => UTF_16BE,
        (false, true) => UTF_16LE,
        _ if std::str::from_utf8(bytes).is_ok() => UTF_8,
        _ => WINDOWS_1252,
    }
}

/// The separator of a table's fields: of comma, semicolon and tab the one that divides most lines into equally many fields,
/// and among equals the one that makes more fields.
///
/// So a decimal comma is not taken for a separator: it stands in the numbers, and not in the line that names the columns.
pub fn separator(text: &str) -> u8 {
    let content = text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let lines: Vec<&str> = content.take(50).collect();
    let score = |separator: u8| {
        let counts: Vec<usize> = lines.iter().map(|line| fields(line, separator)).collect();
        let shared = |count: usize| counts.iter().filter(|other| **other == count).count();
        let best = counts.iter().filter(|count| **count > 1).map(|count| (shared(*count), *count)).max();
        best.unwrap_or((0, 1))
    };
    let mut best = (b',', score(b','));
    for separator in [b';', b'\t'] {
        if score(separator) > best.1 {
            best = (separator, score(separator));
        }
    }
    best.0
}

/// The number of fields of a line; separators between quotes do not count.
fn fields(line: &str, separator: u8) -> usize {
    let (mut quoted, mut count) = (false, 1);
    for byte in line.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            byte if byte == separator && !quoted => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "t,relevé\r\n1,2\r3,4\n";
        let expected = Ok("t,relevé\n1,2\n3,4\n".to_owned());
        let utf16 = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        let (little, big) = (utf16(u16::to_le_bytes), utf16(u16::to_be_bytes));
        let latin: Vec<u8> = text.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect();
        for bytes in [
            text.as_bytes().to_vec(),
            [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(),
            [&[0xff, 0xfe], &little[..]].concat(),
            [&[0xfe, 0xff], &big[..]].concat(),
            little,
            big,
            latin,
        ] {
            assert_eq!(decode(&bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn binary_files_are_refused_with_the_remedy() {
        assert_eq!(decode(b"PK\x03\x04sheet"), Err(NotText::Zip));
        assert_eq!(decode(&[0x1f, 0x8b, 8]), Err(NotText::Gzip));
        assert_eq!(decode(b"abc\0defgh"), Err(NotText::Binary));
        for error in [NotText::Zip, NotText::Gzip, NotText::Binary] {
            assert!(error.to_string().contains(';'));
        }
    }

    #[test]
    fn the_separator_divides_all_lines_alike() {
        for (text, expected) in [
            ("t,component,value\n1,I,0.2\n", b','),
            ("t;component;value\n1;I;0,258\n3;I;0,174\n", b';'),
            ("t\tcomponent\tvalue\n1\tI\t0,258\n", b'\t'),
            ("date,cases,note\n1,2,\"a;b;c\"\n2,3,d;e\n", b','),
            ("# a; b; c\n\"t, in days\";x\n1;2\n", b';'),
            ("t\n1\n2\n", b','),
            ("", b','),
        ] {
            assert_eq!(separator(text), expected, "{text}");
        }
    }
}
