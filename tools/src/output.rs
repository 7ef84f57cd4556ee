//! Where words go: results to stdout, progress and logs to stderr.

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::cell::OnceCell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How a command speaks.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Output {
    /// Print exactly one JSON object on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing about progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

impl Output {
    /// Says what is going on, on stderr.
    pub fn progress(&self, message: impl std::fmt::Display) {
        if !self.quiet {
            eprintln!("{message}");
        }
    }

    /// A progress bar for so many steps.
    pub fn bar(&self, steps: u64) -> Bar {
        Bar {
            steps,
            hidden: self.quiet || !std::io::stderr().is_terminal(),
            begun: Instant::now(),
            bar: OnceCell::new(),
        }
    }

    /// Prints a result: as JSON, or by `text`.
    pub fn result<T: Serialize>(&self, result: &T, text: impl FnOnce(&T)) {
        if self.json {
            // A result is made of strings, numbers and lists: nothing that JSON has not.
            let line = serde_json::to_string(result).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}"));
            let _ = writeln!(std::io::stdout(), "{line}");
        } else {
            text(result);
        }
    }
}

/// A progress bar on stderr, where that is a terminal, once the work has taken two seconds.
pub struct Bar {
    steps: u64,
    hidden: bool,
    begun: Instant,
    bar: OnceCell<ProgressBar>,
}

impl Bar {
    /// So many steps are done.
    pub fn set(&self, done: u64) {
        if !self.hidden && self.begun.elapsed() > Duration::from_secs(2) {
            let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}  {eta}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            self.bar.get_or_init(|| ProgressBar::new(self.steps).with_style(style)).set_position(done);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

/// Whether stderr takes colours: a terminal, and `NO_COLOR` is not set.
pub fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A finite number as JSON; NaN and infinities, which JSON lacks, as null.
pub fn finite(value: f32) -> Option<f32> {
    value.is_finite().then_some(value)
}

/// Serialises a list of names and values as a map, in the list's order.
pub fn map<T: Serialize, S: serde::Serializer>(pairs: &[(String, T)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}
