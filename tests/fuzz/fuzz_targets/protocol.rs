//! Arbitrary bytes on the serial line: frames, errors or nothing, never a panic; and after any garbage the next
//! request is understood.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sirocco::limits::MAX_FRAME;
use sirocco::wire::{self, FrameBuffer, Message, PROTOCOL_VERSION, Request, Response};

fuzz_target!(|data: &[u8]| {
    let mut device = FrameBuffer::new();
    let mut host = FrameBuffer::new();
    for byte in data {
        let _ = device.push::<Request>(*byte);
        if let Some(Ok(message)) = host.push::<Response>(*byte) {
            // Whatever was understood can be said again.
            let mut buffer = [0; MAX_FRAME];
            let _ = wire::encode(&message, &mut buffer);
        }
    }
    let _ = device.push::<Request>(0);
    let request = Message { version: PROTOCOL_VERSION, sequence: 7, body: Request::Info };
    let mut buffer = [0; MAX_FRAME];
    let frame = wire::encode(&request, &mut buffer).expect("an info request fits a frame");
    let answers: Vec<_> = frame.iter().filter_map(|byte| device.push::<Request>(*byte)).collect();
    assert_eq!(answers, [Ok(request)]);
});
