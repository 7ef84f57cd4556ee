//! The live console: type what is observed, see at once what it means and how far to trust it.
//!
//! [`state`] is a state machine that knows no terminal, [`draw`] shows it, [`work`] asks the device in a thread of its own
//! and finds it again when it was unplugged, and this file ties them to a terminal.

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

/// How long a key may wait for the device's news to be looked at, and the other way round.
const TURN: Duration = Duration::from_millis(30);

/// A terminal in raw mode on its other screen; dropping it restores it, also after a panic.
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
        // There is nothing left to do about a terminal that cannot be restored.
        let _ = execute!(self.0, LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

/// Shows `state` on the terminal behind `out` (which is opened twice) and lets it run until the user, or `stop`, ends it.
///
/// # Errors
/// [`Error::Terminal`].
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
                // The worker ends only after this loop.
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
