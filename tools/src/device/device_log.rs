//! Decodes the defmt log of a device, whose message texts are stored in the ELF file of its firmware.

use crate::{Error, output};
use defmt_decoder::{DecodeError, Table};
use std::io::Read;
use std::path::Path;

/// The severity of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Details for debugging, and lines without a level.
    Debug,
    /// Normal operation.
    Info,
    /// A refused request.
    Warn,
    /// A fault.
    Error,
}

/// A line of a device's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its severity.
    pub level: Level,
    /// Its text.
    pub text: String,
}

/// Turns the bytes of a log into lines.
pub struct Decoder(Table);

impl Decoder {
    /// A decoder for the log of this firmware. `path` names the ELF file in messages.
    ///
    /// # Errors
    /// [`Error::Firmware`] if the file contains no table of defmt messages.
    pub fn new(path: &Path, elf: &[u8]) -> Result<Self, Error> {
        let bad = |reason: String| Error::Firmware { path: path.to_owned(), reason };
        let table = Table::parse(elf).map_err(|e| bad(format!("{e:#}").replace('\n', " ")))?;
        table.map(Decoder).ok_or_else(|| bad("no defmt log table".into()))
    }

    /// Reads until the end of `log` and passes every line to `sink`.
    pub fn run(&self, mut log: impl Read, mut sink: impl FnMut(Line)) {
        let mut decoder = self.0.new_stream_decoder();
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = log.read(&mut buffer) {
            decoder.received(buffer.get(..count).unwrap_or_default());
            loop {
                match decoder.decode() {
                    Ok(frame) => {
                        let level = match frame.level().map(|level| level.as_str()) {
                            Some("error") => Level::Error,
                            Some("warn") => Level::Warn,
                            Some("info") => Level::Info,
                            _ => Level::Debug,
                        };
                        sink(Line { level, text: frame.display_message().to_string() });
                    }
                    Err(DecodeError::UnexpectedEof) => break,
                    // The framing (rzCOBS) lets the decoder continue at the next frame.
                    Err(DecodeError::Malformed) => {}
                }
            }
        }
    }
}

/// Prints a line on stderr.
pub fn print(line: &Line) {
    let (name, color) = match line.level {
        Level::Error => ("ERROR", "31"),
        Level::Warn => ("WARN", "33"),
        Level::Info => ("INFO", "2"),
        Level::Debug => ("DEBUG", "2"),
    };
    if output::colored() {
        eprintln!("\x1b[{color}m{name:<5} {}\x1b[0m", line.text);
    } else {
        eprintln!("{name:<5} {}", line.text);
    }
}
