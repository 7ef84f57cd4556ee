//! Ctrl-C: the first press asks the work to end, the second ends the process.
//!
//! Long work polls an [`Interrupt`] once per iteration and stops there with the best weights it has. If that takes the
//! user too long, a second press ends the process at once with status 130. Files are written atomically, so none is left
//! half written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// Exit status of a process that Ctrl-C ended: 128 + SIGINT.
pub const EXIT_STATUS: u8 = 130;

/// Whether the user wants the work to end. Cheap to clone and to ask.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    pressed: Arc<AtomicBool>,
}

/// The handler for Ctrl-C could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for Ctrl-C: {0}; another part of this process handles it already")]
pub struct InstallError(#[from] ctrlc::Error);

impl Interrupt {
    /// One that only [`Interrupt::press`] sets: for tests, and for programs that use the library.
    pub fn never() -> Self {
        Self::default()
    }

    /// The process-wide one, set by Ctrl-C. At the first press the user reads `notice`, which says what becomes of the
    /// work; that of the latest call counts.
    ///
    /// # Errors
    /// [`InstallError`] if the system refuses the handler.
    pub fn on_ctrl_c(notice: &'static str) -> Result<Self, InstallError> {
        static INSTALLED: OnceLock<Interrupt> = OnceLock::new();
        static NOTICE: Mutex<&str> = Mutex::new("");
        if let Ok(mut current) = NOTICE.lock() {
            *current = notice;
        }
        if let Some(installed) = INSTALLED.get() {
            return Ok(installed.clone());
        }
        let interrupt = Self::default();
        let handled = interrupt.clone();
        ctrlc::set_handler(move || {
            if handled.press() {
                std::process::exit(EXIT_STATUS.into());
            }
            let notice = NOTICE.lock().map_or("stopping", |notice| *notice);
            eprintln!("\n{notice}; press Ctrl-C again to quit now");
        })?;
        Ok(INSTALLED.get_or_init(|| interrupt).clone())
    }

    /// Asks the work to end. Returns whether it had been asked before.
    pub fn press(&self) -> bool {
        self.pressed.swap(true, Ordering::Relaxed)
    }

    /// Whether the work should end at the next iteration.
    pub fn pressed(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_one_state_and_the_second_press_is_told_apart() {
        let interrupt = Interrupt::never();
        let worker = interrupt.clone();
        assert!(!worker.pressed());
        assert!(!interrupt.press());
        assert!(worker.pressed());
        assert!(interrupt.press());
    }
}
