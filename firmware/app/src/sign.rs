//! Signs of life while a calculation takes long, so that a host can tell a busy device from a lost one: answers to `Hello`
//! with sequence number 0, which belong to no request. Hosts that do not know them pass over them.

use sirocco::limits::{MAX_CHUNK, MAX_FRAME, MAX_OBSERVATIONS};
use sirocco::wire::{self, Ask, Hello, Message, PROTOCOL_VERSION, REQUESTS, Response, ask};

/// Counts or observations that are evaluated between two signs, as many as a calibration evaluates at once: a million instructions
/// of a Cortex-M3 with the built-in model, and some 200 million with the widest network.
const WORK: usize = MAX_OBSERVATIONS;

/// The answer to `Hello`: how many kinds of requests this device knows, and how long its frames and chunks may be.
pub fn hello() -> Response {
    ask::Hello::response(Hello { requests: REQUESTS, frame: MAX_FRAME as u16, chunk: MAX_CHUNK as u16 })
}

/// A function to call before every evaluation of `each` counts or observations: from time to time it passes a sign to `send`.
pub fn of_life(each: usize, send: &mut dyn FnMut(&[u8])) -> impl FnMut() {
    let mut work = 0usize;
    move || {
        work = work.saturating_add(each);
        if work >= WORK {
            work = 0;
            let mut buffer = [0; MAX_FRAME];
            let message = Message { version: PROTOCOL_VERSION, sequence: 0, body: hello() };
            if let Ok(frame) = wire::encode(&message, &mut buffer) {
                send(frame);
            }
        }
    }
}
