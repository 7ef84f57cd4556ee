//! Decodes the defmt log of a device with the help of its ELF file.

use crate::{Error, output};
use defmt_decoder::{DecodeError, Table};
use std::io::Read;
use std::path::Path;

/// How bad a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For debugging, and everything without a level.
    Debug,
    /// What is going on.
    Info,
    /// A request was refused.
    Warn,
    /// Something is broken.
    Error,
}

/// A line of a device's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How bad it is.
    pub level: Level,
    /// What it says.
    pub text: String,
}

/// What makes log lines of bytes.
pub struct Decoder(Table);

impl Decoder {
    /// From the firmware that writes the log; `path` is its name in messages.
    ///
    /// # Errors
    /// [`Error::Firmware`] if it has no defmt table.
    pub fn new(path: &Path, elf: &[u8]) -> Result<Self, Error> {
        let bad = |reason: String| Error::Firmware { path: path.to_owned(), reason };
        let table = Table::parse(elf).map_err(|e| bad(format!("{e:#}").replace('\n', " ")))?;
        table.map(Decoder).ok_or_else(|| bad("no defmt log table".into()))
    }

    /// Reads until the end of `log` and hands every line to `sink`.
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
                    // rzCOBS finds the next frame by itself.
                    Err(DecodeError::Malformed) => {}
                }
            }
        }
    }
}

/// Prints a line on stderr.
pub fn print(line: &Line) {
    let (name, colour) = match line.level {
        Level::Error => ("ERROR", "31"),
        Level::Warn => ("WARN", "33"),
        Level::Info => ("INFO", "2"),
        Level::Debug => ("DEBUG", "2"),
    };
    if output::colours() {
        eprintln!("\x1b[{colour}m{name:<5} {}\x1b[0m", line.text);
    } else {
        eprintln!("{name:<5} {}", line.text);
    }
}
