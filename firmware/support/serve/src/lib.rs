//! The main loop, with what firmware says in its log.
//!
//! The log goes its own way (semihosting, RTT): the serial port carries nothing but the protocol.
#![no_std]
#![forbid(unsafe_code)]

mod report;

use embedded_io::{Read, Write};
use sirocco_firmware::{Arena, Board, Event, Stopped, Store};

/// Answers requests on `port` until it fails; see [`sirocco_firmware::serve`]. Why it ended is in the log.
pub fn serve<P: Read + Write>(board: Board, store: Store<'_>, built_in: &[u8], arena: Arena<'_>, port: P) -> Stopped {
    defmt::info!("sirocco {=str} on {=str}", env!("CARGO_PKG_VERSION"), board.name);
    let stopped = sirocco_firmware::serve(board, store, built_in, arena, port, |event| match event {
        Event::Opened(model) => report::opened(model),
        Event::SlotRefused(error) => report::model(error, "the model that should answer was refused"),
        Event::BuiltInRefused(error) => report::model(error, "the built-in model was refused"),
        Event::Refused(error) => report::refused(error),
    });
    if stopped == Stopped::Port {
        defmt::error!("the serial port failed");
    }
    stopped
}
