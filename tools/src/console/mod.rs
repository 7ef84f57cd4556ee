//! The live console: a person types observations, and it shows the estimates, the forecast and how far to trust them.
//!
//! [`state`] is a state machine without a terminal or a device. [`draw`] shows it on the screen. [`work`] asks the
//! device, in a thread of its own, and reconnects if the device was unplugged. This file connects them with the
//! terminal.

pub mod draw;
pub mod state;
pub mod work;

use crate::Error;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, KeyEventKind};
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::crossterm::{cursor, execute};
use state::{Effect, Event, Question, State};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

/// How long to wait for a key before looking for answers of the device.
const TURN: Duration = Duration::from_millis(30);

/// A terminal in raw mode that shows its alternate screen; dropping it restores the terminal, also after a panic.
struct Screen<W: Write>(W);

impl<W: Write> Screen<W> {
    fn enter(mut out: W) -> io::Result<Self> {
        enable_raw_mode()?;
        match execute!(out, EnterAlternateScreen, cursor::Hide) {
            Ok(()) => Ok(Screen(out)),
            Err(error) => disable_raw_mode().and(Err(error)),
        }
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that cannot be restored.
        let _ = execute!(self.0, LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

/// Shows `state` on the terminal that `out` opens (twice), and passes keys and answers to it until the user or `stop`
/// ends it.
///
/// # Errors
/// [`Error::Terminal`] if the terminal cannot be read or written.
pub fn run<W: Write>(
    state: &mut State,
    out: impl Fn() -> W,
    (questions, events): (&Sender<Question>, &Receiver<Event>),
    stop: &AtomicBool,
) -> Result<(), Error> {
    let _screen = Screen::enter(out()).map_err(Error::Terminal)?;
    let mut terminal = Terminal::new(CrosstermBackend::new(out())).map_err(Error::Terminal)?;
    let mut stale = true;
    while !stop.load(Ordering::SeqCst) {
        if std::mem::take(&mut stale) {
            terminal.draw(|frame| draw::draw(frame, state)).map_err(Error::Terminal)?;
        }
        let mut happened: Vec<Event> = events.try_iter().collect();
        if event::poll(TURN).map_err(Error::Terminal)? {
            match event::read().map_err(Error::Terminal)? {
                event::Event::Key(key) if key.kind != KeyEventKind::Release => happened.push(Event::Key(key)),
                event::Event::Resize(..) => stale = true,
                _ => {}
            }
        }
        for event in happened {
            stale = true;
            match state.handle(event) {
                // Cannot fail: the thread that receives questions ends only after this loop.
                Some(Effect::Ask(question)) => drop(questions.send(*question)),
                Some(Effect::Save { path, text }) => {
                    let saved = std::fs::write(&path, text).map_err(Error::file(&path));
                    state.saved(&path, saved.map_err(|error| error.to_string()));
                }
                Some(Effect::Quit) => return Ok(()),
                None => {}
            }
        }
    }
    Ok(())
}
