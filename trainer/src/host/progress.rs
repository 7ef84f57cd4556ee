//! Progress on stderr: the loss and the time left, for budgets in iterations, seconds, or both.
//!
//! It is drawn only on a terminal and never with `--quiet`; stdout stays free for results. `NO_COLOR` is respected.

use crate::host::budget::Budget;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Whether progress may be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Yes, if stderr is a terminal.
    Normal,
    /// No (`--quiet`).
    Quiet,
}

/// A progress bar. It is removed when it goes out of scope.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    budget: Budget,
    started: Instant,
    drawn: Mutex<Option<Instant>>,
    done: AtomicUsize,
}

/// Positions of the bar. It shows the share of the budget that is spent, in the unit that runs out first.
const STEPS: u64 = 1000;
/// Shortest time between two drawings.
const REDRAW: Duration = Duration::from_millis(100);

impl Progress {
    /// A bar named `what`, on stderr.
    pub fn new(what: &str, budget: Budget, verbosity: Verbosity) -> Self {
        let watched = verbosity == Verbosity::Normal && std::io::stderr().is_terminal();
        let target = if watched { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        Self::on(target, what, budget, std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    /// A bar that is never drawn, for tests and library use.
    pub fn hidden(budget: Budget) -> Self {
        Self::on(ProgressDrawTarget::hidden(), "", budget, false)
    }

    fn on(target: ProgressDrawTarget, what: &str, budget: Budget, color: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(STEPS), target);
        // The templates are constants of this file; an unreadable one would only fall back to the plain bar.
        if let Ok(style) = ProgressStyle::with_template(template(color)) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_prefix(what.to_owned());
        Self { bar, budget, started: Instant::now(), drawn: Mutex::new(None), done: AtomicUsize::new(0) }
    }

    /// Whether it is time to draw again.
    fn due(&self) -> bool {
        let Ok(mut drawn) = self.drawn.lock() else { return false };
        let due = !self.bar.is_hidden() && drawn.is_none_or(|at| at.elapsed() >= REDRAW);
        if due {
            *drawn = Some(Instant::now());
        }
        due
    }

    /// Shows the iteration and the loss of a training run. Cheap: draws at most ten times a second.
    pub fn update(&self, iteration: usize, logloss: f64) {
        if !self.due() {
            return;
        }
        let elapsed = self.started.elapsed();
        let used = self.budget.spent(iteration, elapsed.as_secs_f64());
        self.bar.set_position((used * STEPS as f64) as u64);
        self.bar.set_message(message(iteration, logloss, left(used, elapsed)));
    }

    /// Shows which share of the work is done, from 0 to 1, and what is being done.
    pub fn advance(&self, share: f64, what: &str) {
        if !self.due() {
            return;
        }
        self.bar.set_position((share * STEPS as f64) as u64);
        self.bar.set_message(format!("{what}{}", time_left(left(share, self.started.elapsed()))));
    }

    /// Counts one more iteration of the budget as done, from any thread.
    pub fn step(&self, what: &str) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.advance(self.budget.spent(done, 0.0), what);
    }

    /// Removes the bar; the command prints its own result.
    pub fn finish(self) {}
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn template(color: bool) -> &'static str {
    if color {
        "{prefix:.bold} {bar:32.cyan/black.bright} {percent:>3}%  {msg}"
    } else {
        "{prefix} {bar:32} {percent:>3}%  {msg}"
    }
}

/// Time left at the present pace; `None` at the very beginning.
fn left(used: f64, elapsed: Duration) -> Option<Duration> {
    (used > 1e-3).then(|| elapsed.mul_f64((1.0 - used) / used))
}

fn message(iteration: usize, logloss: f64, left: Option<Duration>) -> String {
    format!("iteration {iteration}  LogLoss {logloss:.2}{}", time_left(left))
}

fn time_left(left: Option<Duration>) -> String {
    match left.map(|d| d.as_secs_f64().ceil() as u64) {
        Some(seconds) if seconds >= 60 => format!("  {}:{:02} left", seconds / 60, seconds % 60),
        Some(seconds) => format!("  {seconds} s left"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::TermLike;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// A terminal that remembers the last thing drawn on it.
    #[derive(Debug, Clone, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            120
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> io::Result<()> {
            self.write_str(line)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().clear();
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn says_how_long_it_will_take() {
        assert_eq!(left(0.25, Duration::from_secs(10)), Some(Duration::from_secs(30)));
        assert_eq!(message(7, -12.345, Some(Duration::from_secs(75))), "iteration 7  LogLoss -12.35  1:15 left");
        assert_eq!(message(0, 0.5, None), "iteration 0  LogLoss 0.50");
    }

    #[test]
    fn draws_name_share_and_loss() {
        let terminal = Paper::default();
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let progress = Progress::on(target, "train", Budget::iterations(4), false);
        progress.update(1, -3.0);
        progress.bar.tick();
        let drawn = terminal.0.lock().unwrap().clone();
        assert!(drawn.contains("train") && drawn.contains("25%") && drawn.contains("LogLoss -3.00"), "{drawn}");
        *progress.drawn.lock().unwrap() = None;
        progress.advance(0.5, "piece 3 of 6");
        progress.bar.tick();
        let drawn = terminal.0.lock().unwrap().clone();
        assert!(drawn.contains("50%") && drawn.contains("piece 3 of 6"), "{drawn}");
        progress.finish();
        assert_eq!(terminal.0.lock().unwrap().trim(), "");
    }
}
