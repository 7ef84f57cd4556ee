//! The main loop over any serial port with `embedded-io` traits: it opens a model and answers until another one is
//! activated.
//!
//! The log has its own channel (semihosting, RTT): the serial port carries nothing but the protocol.

use crate::board::Board;
use crate::images::Arena;
use crate::push::Push;
use crate::request::{App, Conversation, Received, Reply};
use crate::store::Store;
use crate::timing::{REQUESTS, Times};
use embedded_io::{Read, Write};
use sirocco::summary::ModelInfo;
use sirocco::wire::store::ModelAnswer;
use sirocco::wire::{DeviceError, Response};

/// Writes a line to the log: level, format, values. Without the feature `log` it only looks at the values.
macro_rules! log {
    ($level:ident, $format:literal $(, $value:expr)*) => {{
        #[cfg(feature = "log")]
        defmt::$level!($format $(, $value)*);
        #[cfg(not(feature = "log"))]
        let _ = ($(&$value,)*);
    }};
}

/// Answers requests on `port` until it fails, or until not even the built-in model can be opened; the log says which.
///
/// `port.read` must wait for at least one byte; a board sleeps there. An activation opens the new model as a reset would, but
/// keeps observations, counters and a half-received frame.
pub fn serve<P: Read + Write>(board: Board, mut store: Store<'_>, built_in: &[u8], mut arena: Arena<'_>, port: P) {
    log!(info, "sirocco {=str} on {=str}", env!("CARGO_PKG_VERSION"), board.name);
    let mut conversation = Conversation::new();
    let mut line = Line { port, received: [0; 64], next: 0, end: 0 };
    let mut times = Times::default();
    loop {
        let (opened, push) = store.open(board.open, built_in, arena.room());
        let held = match opened.held() {
            Ok(held) => held,
            Err(error) => return log!(error, "the built-in model was refused: {}", error),
        };
        let mut app = App::new(board, opened, &held, &mut conversation, arena.reborrow());
        if answer(&board, &mut app, push, &mut line, &mut times).is_err() {
            return log!(error, "the serial port failed");
        }
    }
}

/// The port, and bytes read from it but not yet handled; they outlast the opening of a new model.
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

    fn send(&mut self, reply: Reply<'_>) -> Result<(), P::Error> {
        self.port.write_all(reply.frame)?;
        if let Some(error) = reply.refused {
            log!(warn, "a request was refused: {}", error);
        }
        Ok(())
    }
}

/// Logs which model answers.
fn announce(model: &ModelInfo) {
    log!(
        info,
        "model from the {=str}: {=str} ({=str}, {=str}), {=u32} bytes, crc32 {=u32:08x}",
        if model.from_slot { "slot" } else { "firmware" },
        model.subject(),
        model.form().as_str(),
        model.scheme.as_str(),
        model.bytes,
        model.crc32
    );
}

/// Adds a request to those that were timed, and logs when enough came together.
fn time(times: &mut Times, stopwatch: Option<impl Fn() -> u32>) {
    if let Some((mean, deviation)) = stopwatch.and_then(|ticks| times.add(ticks())) {
        log!(
            info,
            "the last {=usize} requests took {=u32} ticks on average, with a standard deviation of {=u32}",
            REQUESTS,
            mean as u32,
            deviation as u32
        );
    }
}

/// Answers until another model is activated.
// Not inlined, to save flash on every board.
#[inline(never)]
fn answer<P: Read + Write>(
    board: &Board,
    app: &mut App<'_>,
    mut push: Push<'_>,
    line: &mut Line<P>,
    times: &mut Times,
) -> Result<(), P::Error> {
    if let Some(error) = app.slot_error() {
        log!(error, "the model that should answer was refused: {}", error);
    }
    announce(&app.model());
    loop {
        let byte = line.byte()?;
        let stopwatch = board.stopwatch();
        // A port that fails now fails again when the answer is sent.
        let received = app.receive(byte, &mut |sign| {
            let _ = line.port.write_all(sign);
        });
        match received {
            None => {}
            Some(Received::Reply(reply)) => {
                time(times, stopwatch);
                line.send(reply)?;
                while let Some(reply) = app.more() {
                    line.send(reply)?;
                }
            }
            Some(Received::Model { sequence, request }) => {
                let result = push.handle(&request, app.bench(&request));
                time(times, stopwatch);
                let activated = matches!(result, Ok(ModelAnswer::Activated(_)));
                line.send(app.answer(sequence, result.map(Response::Model).map_err(DeviceError::Store)))?;
                if activated {
                    return Ok(());
                }
            }
            Some(Received::Trust { sequence, request }) => {
                let result = push.trust(&request, app.session());
                time(times, stopwatch);
                line.send(app.answer(sequence, result.map(Response::Trust).map_err(DeviceError::Trust)))?;
            }
        }
    }
}
