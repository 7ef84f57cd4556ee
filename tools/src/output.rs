//! What a command prints: results to stdout, progress and logs to stderr.

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::cell::OnceCell;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How a command prints; the options that every command takes.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Output {
    /// Print the result as one line of JSON on stdout, and nothing else there
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// Print no progress on stderr, and results in their shortest form
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,
}

impl Output {
    /// Prints a line about progress on stderr, unless `--quiet` is given.
    pub fn progress(&self, message: impl std::fmt::Display) {
        if !self.quiet {
            eprintln!("{message}");
        }
    }

    /// A progress bar for this number of steps.
    pub fn bar(&self, steps: u64) -> Bar {
        Bar {
            steps,
            hidden: self.quiet || !std::io::stderr().is_terminal(),
            begun: Instant::now(),
            bar: OnceCell::new(),
        }
    }

    /// Prints a result on stdout: with `--json` as one line, otherwise by calling `text`.
    pub fn result<T: Serialize>(&self, result: &T, text: impl FnOnce(&T)) {
        if self.json {
            // Serialization cannot fail: results consist of strings, numbers, lists and maps with string keys.
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

/// A progress bar on stderr. It appears only on a terminal, and only after two seconds of work.
pub struct Bar {
    steps: u64,
    hidden: bool,
    begun: Instant,
    bar: OnceCell<ProgressBar>,
}

impl Bar {
    /// Sets the number of steps that are done.
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

/// Whether to use color on stderr: it is a terminal, and the environment variable `NO_COLOR` is unset or empty.
pub fn colored() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A finite number; `None` (null in JSON) for NaN and infinities, which JSON cannot express.
pub fn finite(value: f32) -> Option<f32> {
    value.is_finite().then_some(value)
}

/// Serializes a list of names and values as a map, in the order of the list.
pub fn map<T: Serialize, S: serde::Serializer>(pairs: &[(String, T)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}
