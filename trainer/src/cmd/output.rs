//! How a command speaks: its result on stdout, its progress on stderr.

use crate::host::budget::Budget;
use crate::host::progress::{Progress, Verbosity};
use serde::Serialize;
use std::io::Write;

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
            // The reader may have closed the pipe; that is no failure of the command.
            _ = writeln!(std::io::stdout(), "{line}");
        } else {
            text(result);
        }
    }
}
