//! How a command speaks: its result on stdout, its progress on stderr.

use crate::host::budget::Budget;
use crate::host::progress::{Progress, Verbosity};
use serde::Serialize;
use std::fmt;
use std::io::{self, Write};
use std::sync::OnceLock;

/// The two options that every command takes.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Output {
    /// Print exactly one JSON object on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Show no progress on stderr
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

impl Output {
    /// Whether progress may be drawn.
    pub fn verbosity(self) -> Verbosity {
        if self.quiet { Verbosity::Quiet } else { Verbosity::Normal }
    }

    /// A progress bar for so many iterations, steps or pieces.
    pub fn bar(self, what: &str, iterations: usize) -> Progress {
        Progress::new(what, Budget::iterations(iterations), self.verbosity())
    }

    /// Prints a result: as one line of JSON, or by `text`.
    pub fn result<T: Serialize>(self, result: &T, text: impl FnOnce(&T)) {
        if self.json {
            // A result consists of strings, numbers and lists, all of which JSON can express.
            let line = serde_json::to_string(result).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}"));
            write(format_args!("{line}\n"));
        } else {
            text(result);
        }
    }
}

/// What kept a line from stdout, the first time.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// Writes text to stdout. After a failure nothing more is written, and [`finish`] reports it. Control characters, which a name in
/// a file could carry to the terminal, are replaced.
pub fn write(text: fmt::Arguments<'_>) {
    let control = |c: char| c.is_control() && c != '\n' && c != '\t';
    let text = text.to_string().replace(control, "\u{fffd}");
    let mut stdout = io::stdout().lock();
    if FAILURE.get().is_none()
        && let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
    {
        // Set only if no other thread was faster.
        let _ = FAILURE.set(error);
    }
}

/// What kept output from stdout, if anything did. A reader that has closed the pipe has read what it wanted.
pub fn finish() -> Option<&'static io::Error> {
    FAILURE.get().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
}
