//! The client with a device that is silent, late or noisy, has another protocol version, or answers wrongly.

use sirocco::limits::{MAX_CHUNK, MAX_FRAME};
use sirocco::query::{Query, QueryError};
use sirocco::summary::SelfTest;
use sirocco::wire::{
    self, DeviceError, FrameBuffer, FrameError, Hello, Message, PROTOCOL_VERSION, REQUESTS, Request, Response, ask,
};
use sirocco_tools::client::transport::Transport;
use sirocco_tools::client::{Client, ClientError, Patience, answered};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Sent = Arc<Mutex<Vec<Vec<u8>>>>;

/// A device in memory: `answer` is called with each request and its number, and returns the bytes to send.
struct Fake<F> {
    answer: F,
    sent: Sent,
    pending: Vec<u8>,
    closed: bool,
}

impl<F: FnMut(usize, Message<Request>) -> Option<Vec<u8>> + Send> Transport for Fake<F> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = self.sent.lock().unwrap();
        sent.push(bytes.to_vec());
        let mut frames = FrameBuffer::new();
        let mut requests = bytes.iter().filter_map(|&byte| frames.push::<Request>(byte));
        let request = requests.next().unwrap().unwrap();
        assert!(requests.next().is_none());
        match (self.answer)(sent.len(), request) {
            Some(bytes) => self.pending.extend(bytes),
            None => self.closed = true,
        }
        Ok(())
    }

    /// Delivers a few bytes at a time, as a serial line does.
    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        if self.closed {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if self.pending.is_empty() {
            std::thread::sleep(timeout);
            return Ok(0);
        }
        let count = self.pending.len().min(buffer.len()).min(7);
        buffer[..count].copy_from_slice(&self.pending[..count]);
        self.pending.drain(..count);
        Ok(count)
    }
}

fn client(
    answer: impl FnMut(usize, Message<Request>) -> Option<Vec<u8>> + Send + 'static,
) -> (Client, Arc<Mutex<Vec<Vec<u8>>>>) {
    client_of(Duration::from_millis(60), answer)
}

fn client_of(
    timeout: Duration,
    answer: impl FnMut(usize, Message<Request>) -> Option<Vec<u8>> + Send + 'static,
) -> (Client, Arc<Mutex<Vec<Vec<u8>>>>) {
    let sent = Sent::default();
    let fake = Fake { answer, sent: Arc::clone(&sent), pending: Vec::new(), closed: false };
    let patience = Patience { timeout, retries: 2 };
    (Client::new(Box::new(fake), "fake", patience), sent)
}

fn frame<T: serde::Serialize>(version: u8, sequence: u16, body: T) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME];
    wire::encode(&Message { version, sequence, body }, &mut buffer).unwrap().to_vec()
}

const PASSED: SelfTest = SelfTest { queries: 3, mismatches: 0, first_mismatch: None };

fn passed(sequence: u16) -> Vec<u8> {
    frame(PROTOCOL_VERSION, sequence, Response::SelfTest(PASSED))
}

fn error(sequence: u16, error: DeviceError) -> Vec<u8> {
    frame(PROTOCOL_VERSION, sequence, Response::Error(error))
}

#[test]
fn an_answer_is_returned() {
    let (mut client, sent) = client(|_, request| Some(passed(request.sequence)));
    assert_eq!(client.ask(ask::SelfTest).unwrap(), PASSED);
    assert_eq!(client.ask(ask::SelfTest).unwrap(), PASSED);
    assert_eq!(sent.lock().unwrap().len(), 2);
}

#[test]
fn silence_is_a_timeout_after_all_attempts_each_with_its_own_sequence() {
    let (mut client, sent) = client(|_, _| Some(vec![]));
    let error = client.ask(ask::SelfTest).unwrap_err();
    assert!(matches!(error, ClientError::Timeout { attempts: 3, .. }), "{error:?}");
    assert!(error.to_string().contains("fake") && error.to_string().contains("--timeout"));
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|bytes| bytes.first() == Some(&0)), "each attempt ends what came before");
    assert!(sent[0] != sent[1] && sent[1] != sent[2]);
}

#[test]
fn a_lost_request_is_repeated() {
    let (mut client, _) = client(|n, request| Some(if n == 1 { vec![] } else { passed(request.sequence) }));
    assert_eq!(client.ask(ask::SelfTest).unwrap(), PASSED);
}

#[test]
fn a_late_answer_to_an_earlier_attempt_is_dropped() {
    let late = SelfTest { queries: 99, ..PASSED };
    let (mut client, _) = client(move |n, request| {
        let old = frame(PROTOCOL_VERSION, request.sequence.wrapping_sub(1), Response::SelfTest(late));
        Some(if n == 1 { vec![] } else { [old, passed(request.sequence)].concat() })
    });
    assert_eq!(client.ask(ask::SelfTest).unwrap(), PASSED);
}

#[test]
fn an_answer_to_another_request_is_ignored() {
    let (mut client, _) = client(|_, request| Some(passed(request.sequence + 1000)));
    assert!(matches!(client.ask(ask::SelfTest), Err(ClientError::Timeout { .. })));
}

#[test]
fn garbage_before_an_answer_is_skipped() {
    let (mut client, sent) = client(|_, request| Some([vec![9; 900], vec![0, 0], passed(request.sequence)].concat()));
    assert_eq!(client.ask(ask::SelfTest).unwrap(), PASSED);
    assert_eq!(sent.lock().unwrap().len(), 1);
}

#[test]
fn nothing_but_garbage_is_noise() {
    let (mut client, _) = client(|_, _| Some(vec![5, 1, 2, 0]));
    let error = client.ask(ask::SelfTest).unwrap_err();
    assert!(matches!(error, ClientError::Noise { attempts: 3.., .. }), "{error:?}");
}

/// Noise ends an attempt early, and so must not end all of them early: an answer after twenty noisy ones is found.
#[test]
fn noise_is_outlasted_within_the_time_that_the_user_gave() {
    let (mut client, sent) = client_of(Duration::from_secs(2), |n, request| {
        Some(if n < 20 { [vec![5, 1, 2, 0], vec![0x55; 3000], vec![0]].concat() } else { passed(request.sequence) })
    });
    assert_eq!(client.ask(ask::SelfTest).unwrap(), PASSED);
    assert_eq!(sent.lock().unwrap().len(), 20);
}

/// A device that calculates for longer than the time-out, and says so.
struct Busy {
    frames: VecDeque<Vec<u8>>,
}

impl Transport for Busy {
    fn send(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    /// Delivers a frame after 40 ms.
    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        std::thread::sleep(timeout.min(Duration::from_millis(40)));
        let frame = self.frames.pop_front().unwrap_or_default();
        buffer[..frame.len()].copy_from_slice(&frame);
        Ok(frame.len())
    }
}

#[test]
fn signs_of_life_are_waited_for() {
    let hello = Hello { requests: REQUESTS, frame: MAX_FRAME as u16, chunk: MAX_CHUNK as u16 };
    let sign = frame(PROTOCOL_VERSION, 0, Response::Hello(hello));
    let frames = std::iter::repeat_n(sign, 5).chain([passed(1)]).collect();
    let patience = Patience { timeout: Duration::from_millis(60), retries: 0 };
    let mut client = Client::new(Box::new(Busy { frames }), "busy", patience);
    assert_eq!(client.ask(ask::SelfTest).unwrap(), PASSED);
}

#[test]
fn a_request_whose_answer_is_cut_off_is_repeated() {
    for cut in 1..passed(1).len() - 1 {
        let (mut client, _) = client(move |n, request| {
            let mut bytes = passed(request.sequence);
            if n == 1 {
                bytes.truncate(cut);
                bytes.push(0);
            }
            Some(bytes)
        });
        assert_eq!(client.ask(ask::SelfTest).unwrap(), PASSED, "cut at {cut}");
    }
}

#[test]
fn a_complaint_about_earlier_garbage_does_not_hide_the_answer() {
    let complaint = DeviceError::Frame(FrameError::Checksum);
    let (mut client, sent) = client(move |_, request| Some([error(0, complaint), passed(request.sequence)].concat()));
    assert_eq!(client.ask(ask::SelfTest).unwrap(), PASSED);
    assert_eq!(sent.lock().unwrap().len(), 1);
}

#[test]
fn a_request_damaged_on_its_way_is_repeated() {
    let complaint = DeviceError::Frame(FrameError::Cobs);
    let answer =
        move |n, request: Message<Request>| if n == 1 { error(0, complaint) } else { passed(request.sequence) };
    let (mut client, _) = client(move |n, request| Some(answer(n, request)));
    assert_eq!(client.ask(ask::SelfTest).unwrap(), PASSED);
}

#[test]
fn another_protocol_version_is_named_whoever_notices_it() {
    let (mut newer, _) = client(|_, request| Some(frame(9, request.sequence, "another body")));
    assert!(matches!(newer.ask(ask::Info), Err(ClientError::Version { device: 9, .. })));
    let (mut older, _) = client(|_, request| Some(error(request.sequence, DeviceError::Version { device: 7 })));
    let error = older.ask(ask::Info).unwrap_err();
    assert!(matches!(error, ClientError::Version { device: 7, .. }));
    assert!(error.to_string().contains("same release"), "{error}");
}

#[test]
fn an_error_of_the_device_is_returned_without_another_attempt() {
    let refused = DeviceError::Query(QueryError::NegativeTime);
    let (mut client, sent) = client(move |_, request| Some(error(request.sequence, refused)));
    let query = Query { t: -1.0, initial: [0.0; 4], rates: [0.0; 4] };
    assert_eq!(answered(client.ask(ask::Predict(query))).unwrap(), Err(QueryError::NegativeTime));
    assert!(matches!(client.ask(ask::Predict(query)), Err(ClientError::Device { source, .. }) if source == refused));
    assert_eq!(sent.lock().unwrap().len(), 2);
}

#[test]
fn an_answer_of_another_kind_is_an_error() {
    let (mut client, _) = client(|_, request| Some(passed(request.sequence)));
    assert!(matches!(client.ask(ask::Info), Err(ClientError::Unexpected { .. })));
}

#[test]
fn a_closed_line_is_an_error_at_once() {
    let (mut client, sent) = client(|_, _| None);
    assert!(matches!(client.ask(ask::Info), Err(ClientError::Line { .. })));
    assert_eq!(sent.lock().unwrap().len(), 1);
}

#[test]
fn the_sequence_number_never_becomes_zero() {
    let (mut client, _) = client(|_, request| {
        assert_ne!(request.sequence, 0);
        Some(passed(request.sequence))
    });
    for _ in 0..usize::from(u16::MAX) + 10 {
        client.ask(ask::SelfTest).unwrap();
    }
}
