//! The main loop over any serial port with `embedded-io` traits: open a model, answer until another one is activated.

use crate::board::Board;
use crate::images::Arena;
use crate::push::Push;
use crate::request::{App, Conversation, Received, Reply};
use crate::store::Store;
use embedded_io::{Read, Write};
use sirocco::error::ModelError;
use sirocco::summary::ModelInfo;
use sirocco::wire::store::ModelAnswer;
use sirocco::wire::{DeviceError, Response};

/// Something for the log.
#[derive(Debug, Clone, Copy)]
pub enum Event<'m> {
    /// A model answers from now on.
    Opened(&'m ModelInfo),
    /// The model that should answer was refused.
    SlotRefused(ModelError),
    /// Not even the built-in model could be opened.
    BuiltInRefused(ModelError),
    /// A request was refused.
    Refused(DeviceError),
}

/// Why the main loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Not even the built-in model could be opened.
    NoModel,
    /// The serial port failed.
    Port,
}

/// Answers requests on `port` until it fails.
///
/// `port.read` must wait for at least one byte; that is where a board sleeps. The loop outlives the model: an
/// activation opens the new one as a reset would, but keeps observations, counters and what is half received.
pub fn serve<P: Read + Write>(
    board: Board,
    mut store: Store<'_>,
    built_in: &[u8],
    mut arena: Arena<'_>,
    port: P,
    mut log: impl FnMut(Event<'_>),
) -> Stopped {
    let mut conversation = Conversation::new();
    let mut line = Line { port, received: [0; 64], next: 0, end: 0 };
    loop {
        let (opened, push) = store.open(board.open, built_in, arena.room());
        let held = match opened.held() {
            Ok(held) => held,
            Err(error) => {
                log(Event::BuiltInRefused(error));
                return Stopped::NoModel;
            }
        };
        let mut app = App::new(board, opened, &held, &mut conversation, arena.again());
        if answer(&mut app, push, &mut line, &mut log).is_err() {
            return Stopped::Port;
        }
    }
}

/// The port, and bytes read from it that may wait while a new model is opened.
struct Line<P> {
    port: P,
    received: [u8; 64],
    next: usize,
    end: usize,
}

impl<P: Read + Write> Line<P> {
    fn byte(&mut self) -> Result<u8, P::Error> {
        loop {
            if let Some(byte) = self.received.get(self.next).filter(|_| self.next < self.end) {
                self.next += 1;
                return Ok(*byte);
            }
            (self.next, self.end) = (0, self.port.read(&mut self.received)?);
        }
    }

    fn send(&mut self, reply: Reply<'_>, log: &mut impl FnMut(Event<'_>)) -> Result<(), P::Error> {
        self.port.write_all(reply.frame)?;
        if let Some(error) = reply.refused {
            log(Event::Refused(error));
        }
        Ok(())
    }
}

/// Answers until another model is activated.
fn answer<P: Read + Write>(
    app: &mut App<'_>,
    mut push: Push<'_>,
    line: &mut Line<P>,
    log: &mut impl FnMut(Event<'_>),
) -> Result<(), P::Error> {
    if let Some(error) = app.slot_error() {
        log(Event::SlotRefused(error));
    }
    log(Event::Opened(&app.model()));
    loop {
        match app.receive(line.byte()?) {
            None => {}
            Some(Received::Reply(reply)) => {
                line.send(reply, log)?;
                while let Some(reply) = app.more() {
                    line.send(reply, log)?;
                }
            }
            Some(Received::Model { sequence, request }) => {
                let result = push.handle(&request, app.bench(&request));
                let activated = matches!(result, Ok(ModelAnswer::Activated(_)));
                line.send(app.answer(sequence, result.map(Response::Model).map_err(DeviceError::Store)), log)?;
                if activated {
                    return Ok(());
                }
            }
        }
    }
}
