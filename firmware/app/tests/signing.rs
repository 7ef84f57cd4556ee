//! Signed models and sessions of operators: what a device with keys takes and refuses, at every power failure, too.

mod common;

use common::device::{Device, activate, at_every_power_failure, crc32, model, seal, transfer};
use common::{Power, Torn};
use ed25519_compact::{KeyPair, Seed};
use proptest::prelude::*;
use sirocco::error::{Key, ModelError};
use sirocco::model::Model;
use sirocco::model::signature::{SIGNATURE_DIGITS, fingerprint};
use sirocco::wire::image::{ImageRequest, SampleRequest, Threshold};
use sirocco::wire::store::{ModelRequest, Origin, StoreError};
use sirocco::wire::trust::{LOWEST, Nonce, SESSION, Signed, TrustAnswer, TrustRefusal, TrustRequest};
use sirocco::wire::{self, DeviceError, Message, PROTOCOL_VERSION, Request, Response};
use sirocco_firmware::{
    App, Arena, Board, Clock, Conversation, Opened, PublicKey, Push, Received, Session, Trust, built_in,
};
use std::sync::atomic::{AtomicU32, Ordering};

/// Keys by number: 1 and 2 are for models, 3 is an operator's, the device does not hold any other.
fn key(number: u8) -> KeyPair {
    KeyPair::from_seed(Seed::new([number; 32]))
}

fn public(number: u8) -> PublicKey {
    *key(number).pk
}

fn trust() -> Trust {
    Trust { models: Box::leak(Box::new([public(1), public(2)])), operators: Box::leak(Box::new([public(3)])) }
}

fn signed(number: u8, parts: &[&[u8]]) -> Signed {
    Signed::new(fingerprint(&public(number)), *key(number).sk.sign(parts.concat(), None))
}

/// A file with these entries at the start of its metadata, sealed.
fn with_entries(file: &[u8], entries: &str) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header = std::str::from_utf8(header).unwrap().trim_end();
    let mut header = header.replacen("\"__metadata__\":{", &format!("\"__metadata__\":{{{entries},"), 1);
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    seal([&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat())
}

/// Bytes of a file at a multiple of 8.
fn aligned(file: &[u8]) -> Vec<u64> {
    let mut words = vec![0u64; file.len().div_ceil(8)];
    bytemuck::cast_slice_mut(&mut words)[..file.len()].copy_from_slice(file);
    words
}

/// Signs a file with the key of this number.
fn sign(file: &[u8], number: u8, serial: u32) -> Vec<u8> {
    let entries = format!(
        "\"sirocco.serial\":\"{serial}\",\"sirocco.key\":\"{:016x}\",\"sirocco.signature\":\"{}\"",
        fingerprint(&public(number)),
        "0".repeat(SIGNATURE_DIGITS)
    );
    let file = with_entries(file, &entries);
    let words = aligned(&file);
    let model = Model::open(&bytemuck::cast_slice(&words)[..file.len()]).unwrap();
    let message: Vec<u8> = model.signature().unwrap().unwrap().signed().flatten().copied().collect();
    let digits: String = key(number).sk.sign(message, None).iter().map(|byte| format!("{byte:02x}")).collect();
    let at = file.windows(SIGNATURE_DIGITS).position(|window| window == [b'0'; SIGNATURE_DIGITS]).unwrap();
    let mut file = file.clone();
    file[at..at + SIGNATURE_DIGITS].copy_from_slice(digits.as_bytes());
    seal(file)
}

/// The place after a mark.
fn after(file: &[u8], mark: &[u8]) -> usize {
    file.windows(mark.len()).position(|window| window == mark).unwrap() + mark.len()
}

fn device() -> Device {
    Device { trust: trust(), ..Device::with_pages(1) }
}

fn refused(device: &mut Device, file: &[u8]) -> ModelError {
    match device.push(file) {
        Err(StoreError::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_files_signed_by_a_key_of_the_device_are_taken() {
    let mut device = device();
    let before = device.running();
    assert_eq!(refused(&mut device, &model(1)), ModelError::Unsigned);
    let foreign = ModelError::UnknownKey { key: fingerprint(&public(4)) };
    assert_eq!(refused(&mut device, &sign(&model(1), 4, 1)), foreign);
    // An operator's key is not one for models.
    assert_eq!(refused(&mut device, &sign(&model(1), 3, 1)), ModelError::UnknownKey { key: fingerprint(&public(3)) });
    assert_eq!(device.running(), before);
    for (number, serial) in [(1, 1), (2, 1), (1, 2)] {
        let file = sign(&model(serial as u8), number, serial);
        let origin = device.push(&file).unwrap();
        assert_eq!(device.running(), (origin, crc32(&file), None));
    }
}

#[test]
fn a_device_without_keys_takes_signed_files_too() {
    let mut device = Device { trust: Trust::default(), ..device() };
    let file = sign(&model(1), 4, 7);
    let origin = device.push(&file).unwrap();
    assert_eq!(device.running(), (origin, crc32(&file), None));
    assert_eq!(device.push(&sign(&model(2), 4, 6)), Ok(Origin::Slot(0)));
}

#[test]
fn a_changed_file_is_refused_wherever_it_was_changed() {
    let file = sign(&model(1), 1, 1);
    let forged = ModelError::Forged { key: fingerprint(&public(1)) };
    // In the metadata, in the serial number, and in the data; each with a checksum that fits.
    for (at, byte) in [
        (after(&file, b"\"seed\":\""), b'7'),
        (after(&file, b"\"sirocco.serial\":\""), b'2'),
        (file.len() - 1, file[file.len() - 1] ^ 1),
    ] {
        let mut changed = file.clone();
        assert_ne!(changed[at], byte);
        changed[at] = byte;
        let error = refused(&mut device(), &seal(changed));
        assert_eq!(error, forged, "byte {at}");
    }
    // A signature of another file, and one bit of the signature.
    let digits = |file: &[u8]| after(file, b"\"sirocco.signature\":\"");
    let (at, other) = (digits(&file), sign(&model(2), 1, 1));
    let mut swapped = file.clone();
    swapped[at..at + SIGNATURE_DIGITS].copy_from_slice(&other[digits(&other)..][..SIGNATURE_DIGITS]);
    assert_eq!(refused(&mut device(), &seal(swapped)), forged);
    for k in [0, 63, 64, 126, 127] {
        let mut flipped = file.clone();
        flipped[at + k] = if flipped[at + k] == b'0' { b'1' } else { b'0' };
        assert_eq!(refused(&mut device(), &seal(flipped)), forged, "digit {k}");
    }
    let half = with_entries(&model(1), "\"sirocco.serial\":\"1\"");
    assert_eq!(refused(&mut device(), &half), ModelError::Metadata(Key::SigningKey));
}

#[test]
fn the_signature_is_checked_at_every_reset() {
    // A programmer, or a fault, leaves an unsigned model in slot 0; nothing was ever activated.
    let mut device = device();
    let file = model(1);
    device.slots[0].bytes_mut()[..file.len()].copy_from_slice(&file);
    let (origin, _, error) = device.running();
    assert_eq!((origin, error), (Origin::BuiltIn, Some(ModelError::Unsigned)));
    // Models of before the device had keys.
    let mut device = Device { trust: Trust::default(), ..self::device() };
    device.push(&sign(&model(2), 1, 1)).unwrap();
    device.push(&model(1)).unwrap();
    device.trust = trust();
    let (origin, crc, error) = device.running();
    assert_eq!((origin, crc, error), (Origin::Slot(1), crc32(&sign(&model(2), 1, 1)), Some(ModelError::Unsigned)));
}

#[test]
fn older_files_are_refused_even_from_the_other_slot() {
    let mut device = device();
    let (old, new) = (sign(&model(1), 1, 5), sign(&model(2), 1, 6));
    device.push(&old).unwrap();
    device.push(&new).unwrap();
    let too_old = ModelError::Serial { serial: 5, lowest: 6 };
    assert_eq!(refused(&mut device, &sign(&model(3), 1, 5)), too_old);
    // That push has overwritten the old model; bring it back as it was.
    let mut device = self::device();
    device.push(&old).unwrap();
    device.push(&new).unwrap();
    let back =
        |device: &mut Device| device.boot(&Power::without_end(), |_, mut push| activate(&mut push, Origin::Slot(1)));
    assert_eq!(back(&mut device), Err(StoreError::Refused(too_old)));
    // When the new one is damaged, the old one is still too old.
    device.slots[0].bytes_mut()[new.len() - 1] ^= 1;
    assert_eq!(device.running().0, Origin::BuiltIn);
    // Another file of the same number may take its place.
    let same = sign(&model(4), 2, 6);
    let origin = device.push(&same).unwrap();
    assert_eq!(device.running().0, origin);
}

/// Asks for a challenge and answers it.
fn answer(
    push: &mut Push<'_>,
    session: &mut Session,
    answer: impl Fn(&Nonce) -> TrustRequest,
) -> Result<TrustAnswer, TrustRefusal> {
    let TrustAnswer::Challenge(nonce) = push.trust(&TrustRequest::Challenge, session)? else { panic!() };
    push.trust(&answer(&nonce), session)
}

fn lowest(number: u8, nonce: &Nonce, serial: u32) -> TrustRequest {
    TrustRequest::Lowest { serial, signed: signed(number, &[&LOWEST, nonce, &serial.to_le_bytes()]) }
}

fn open(number: u8, nonce: &Nonce) -> TrustRequest {
    TrustRequest::Open(signed(number, &[&SESSION, nonce]))
}

#[test]
fn a_signed_statement_brings_an_older_model_back() {
    let mut device = device();
    let (old, new) = (sign(&model(1), 1, 5), sign(&model(2), 1, 6));
    device.push(&old).unwrap();
    device.push(&new).unwrap();
    device.boot(&Power::without_end(), |_, mut push| {
        let session = &mut Session::default();
        // Not by an operator, nor with a statement about another number, nor with one for a session.
        let unknown = Err(TrustRefusal::UnknownKey { key: fingerprint(&public(3)) });
        assert_eq!(answer(&mut push, session, |nonce| lowest(3, nonce, 5)), unknown);
        let forged = Err(TrustRefusal::Forged { key: fingerprint(&public(1)) });
        let other = |nonce: &Nonce| match lowest(1, nonce, 4) {
            TrustRequest::Lowest { signed, .. } => TrustRequest::Lowest { serial: 5, signed },
            other => other,
        };
        assert_eq!(answer(&mut push, session, other), forged);
        let mixed = |nonce: &Nonce| TrustRequest::Lowest { serial: 5, signed: signed(1, &[&SESSION, nonce]) };
        assert_eq!(answer(&mut push, session, mixed), forged);
        let stale = lowest(1, &[0; 16], 5);
        assert_eq!(push.trust(&stale, session), Err(TrustRefusal::NoChallenge));
        let state = answer(&mut push, session, |nonce| lowest(2, nonce, 5)).unwrap();
        assert!(matches!(state, TrustAnswer::State(state) if state.lowest == 5 && !state.open), "no session is open");
        activate(&mut push, Origin::Slot(1)).unwrap();
    });
    assert_eq!(device.running(), (Origin::Slot(1), crc32(&old), None));
    // And the new one again; after that the old one is too old again.
    device.boot(&Power::without_end(), |_, mut push| activate(&mut push, Origin::Slot(0)).unwrap());
    assert!(device.boot(&Power::without_end(), |_, mut push| activate(&mut push, Origin::Slot(1))).is_err());
}

#[test]
fn no_nonce_comes_twice_however_alike_two_resets_are() {
    let mut device = device();
    let mut nonces = std::collections::BTreeSet::new();
    let mut last = None;
    for _ in 0..20 {
        device.boot(&Power::without_end(), |_, mut push| {
            let session = &mut Session::default();
            let TrustAnswer::Challenge(nonce) = push.trust(&TrustRequest::Challenge, session).unwrap() else {
                panic!()
            };
            assert!(nonces.insert(nonce), "{nonce:?}");
            if let Some(last) = last {
                let replayed = push.trust(&last, session);
                assert_eq!(replayed, Err(TrustRefusal::Forged { key: fingerprint(&public(3)) }));
                // A wrong answer uses the challenge up.
                assert_eq!(push.trust(&open(3, &nonce), session), Err(TrustRefusal::NoChallenge));
                assert_eq!(push.trust(&TrustRequest::Challenge, session), Ok(TrustAnswer::Challenge(nonce)));
            }
            let granted = push.trust(&open(3, &nonce), session);
            assert!(matches!(granted, Ok(TrustAnswer::State(state)) if state.open));
            last = Some(open(3, &nonce));
        });
    }
}

#[test]
fn power_may_fail_at_any_moment_of_a_signed_push() {
    let mut device = device();
    let (old, new, next) = (sign(&model(1), 1, 5), sign(&model(2), 1, 6), sign(&model(3), 2, 7));
    device.push(&sign(&model(4), 1, 4)).unwrap();
    device.push(&old).unwrap();
    let before = device.running();
    let changes = at_every_power_failure(
        &device,
        |push| transfer(push, &new).map(drop),
        |device, left, torn| {
            let after = device.running();
            assert!(after == before || after.1 == crc32(&new), "{left} {torn:?}: {after:?}");
            // The number that the device keeps is that of the model that answers.
            let lowest = if after == before { 5 } else { 6 };
            let mut probe = device.clone();
            let older = refused(&mut probe, &sign(&model(5), 1, 4));
            assert_eq!(older, ModelError::Serial { serial: 4, lowest }, "{left} {torn:?}");
            let to = device.push(&next).unwrap();
            assert_eq!(device.running(), (to, crc32(&next), None));
        },
    );
    assert!(changes > new.len() as u64 / 8, "{changes} words and pages changed");
}

#[test]
fn power_may_fail_at_any_moment_of_an_opening_or_a_statement() {
    let mut device = device();
    device.push(&sign(&model(1), 1, 5)).unwrap();
    device.push(&sign(&model(2), 1, 6)).unwrap();
    let before = device.running();
    // Records fill both pages and return to the first, and the model before stays known.
    for round in 0..6 {
        for number in [3, 6, 5] {
            let work = |push: &mut Push<'_>| {
                let answered = match number {
                    3 => answer(push, &mut Session::default(), |nonce| open(3, nonce)),
                    serial => answer(push, &mut Session::default(), |nonce| lowest(1, nonce, serial)),
                };
                answered.map(drop).map_err(|_| StoreError::ReadOnly)
            };
            at_every_power_failure(&device, work, |device: &mut Device, left, torn: Torn| {
                assert_eq!(device.running(), before, "{left} {torn:?}");
                device.slots[0].bytes_mut()[100] ^= 1;
                let (origin, _, error) = device.running();
                // Which of the two numbers counts decides whether the older model may answer.
                assert!(matches!(origin, Origin::Slot(1) | Origin::BuiltIn) && error.is_some(), "{left} {torn:?}");
                device.slots[0].bytes_mut()[100] ^= 1;
                assert_eq!(device.running(), before);
            });
            device.boot(&Power::without_end(), |_, mut push| work(&mut push)).unwrap();
        }
        let mut damaged = device.clone();
        damaged.slots[0].bytes_mut()[100] ^= 1;
        assert_eq!(damaged.running().0, Origin::Slot(1), "round {round}: the model before is not known any more");
    }
}

static NOW: AtomicU32 = AtomicU32::new(0);
const BOARD: Board = Board {
    name: "host",
    memory: || None,
    uptime: Some(|| NOW.load(Ordering::Relaxed)),
    clock: Some(Clock { read: || 7, bits: 32 }),
    open: common::device::OPEN,
};

/// What becomes of a request: the refusal, or whether it was passed on.
fn ask(app: &mut App<'_>, request: Request) -> Result<(), DeviceError> {
    let mut buffer = [0; sirocco::limits::MAX_FRAME];
    let message = Message { version: PROTOCOL_VERSION, sequence: 9, body: request };
    let frame = wire::encode(&message, &mut buffer).unwrap();
    let mut result = None;
    for byte in frame {
        match app.receive(*byte, &mut |_| ()) {
            None => {}
            Some(Received::Model { .. } | Received::Trust { .. }) => result = Some(Ok(())),
            Some(Received::Reply(reply)) => {
                let body = wire::decode::<Response>(&mut reply.frame[..reply.frame.len() - 1].to_vec()).unwrap().body;
                result = Some(if let Response::Error(error) = body { Err(error) } else { Ok(()) });
            }
        }
    }
    result.unwrap()
}

#[test]
fn what_changes_a_device_takes_a_session() {
    let changes = [
        Request::Model(ModelRequest::Begin { bytes: 1, crc32: 2 }),
        Request::Model(ModelRequest::Chunk { offset: 0, bytes: [1].into_iter().collect() }),
        Request::Model(ModelRequest::Commit),
        Request::Model(ModelRequest::Activate(Origin::BuiltIn)),
        Request::Model(ModelRequest::Abort),
        Request::Samples(SampleRequest::Clear),
        Request::Image(ImageRequest::Threshold(Threshold::Never)),
        Request::Image(ImageRequest::Watch(None)),
    ];
    let harmless = [
        Request::Info,
        Request::Statistics,
        Request::ObservationsClear,
        Request::Model(ModelRequest::List),
        Request::Model(ModelRequest::Wear),
        Request::Trust(TrustRequest::State),
        Request::Trust(TrustRequest::Challenge),
    ];
    let closed = Err(DeviceError::Trust(TrustRefusal::Closed));
    let opened = Opened { trust: trust(), ..Opened::built_in(common::device::OPEN, built_in()) };
    let (held, mut conversation) = (opened.held().unwrap(), Conversation::new());
    let mut app = App::new(BOARD, opened, &held, &mut conversation, Arena::new(&mut []));
    for request in &changes {
        assert_eq!(ask(&mut app, request.clone()), closed, "{request:?}");
    }
    for request in harmless {
        assert_eq!(ask(&mut app, request.clone()), Ok(()), "{request:?}");
    }
    device().boot(&Power::without_end(), |_, mut push| {
        answer(&mut push, app.session(), |nonce| open(3, nonce)).unwrap();
        for request in &changes {
            assert_ne!(ask(&mut app, request.clone()), closed, "{request:?}");
        }
        push.trust(&TrustRequest::Close, app.session()).unwrap();
        assert_eq!(ask(&mut app, changes[0].clone()), closed);
        // It closes itself when the line is idle.
        answer(&mut push, app.session(), |nonce| open(3, nonce)).unwrap();
        for wait in [59_999, 59_999, 1] {
            NOW.fetch_add(wait, Ordering::Relaxed);
            assert_eq!(ask(&mut app, changes[0].clone()), Ok(()));
        }
        NOW.fetch_add(60_000, Ordering::Relaxed);
        assert_eq!(ask(&mut app, changes[0].clone()), closed);
    });
    let unlocked = Opened { trust: Trust { operators: &[], ..trust() }, ..opened };
    let mut app = App::new(BOARD, unlocked, &held, &mut conversation, Arena::new(&mut []));
    assert_eq!(ask(&mut app, changes[0].clone()), Ok(()), "without operators, everyone may send signed models");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any bytes as key and signature: refused, without a panic.
    #[test]
    fn no_signature_makes_a_device_stop(key: [u8; 32], bytes: [u8; 32], more: [u8; 32], canonical: bool) {
        let mut halves = [bytes, more];
        if canonical {
            // Points and scalars that are more often valid.
            halves[1][31] &= 0x0F;
        }
        let operators: &'static [PublicKey] = Box::leak(Box::new([key]));
        let mut device = Device { trust: Trust { models: &[], operators }, ..device() };
        let request = TrustRequest::Open(Signed { key: fingerprint(&key), halves });
        let refused = device.boot(&Power::without_end(), |_, mut push| {
            answer(&mut push, &mut Session::default(), |_| request)
        });
        prop_assert_eq!(refused, Err(TrustRefusal::Forged { key: fingerprint(&key) }));
    }

    /// One byte of a signed file, anywhere, with a checksum that fits if it still has one: never taken.
    #[test]
    fn no_change_of_a_signed_file_passes(at: prop::sample::Index, change in 1u8..) {
        let file = sign(&model(1), 1, 1);
        let at = at.index(file.len());
        let mut changed = file.clone();
        changed[at] ^= change;
        let mark = b"\"sirocco.crc32\":\"";
        let sealed = if changed.windows(mark.len()).any(|w| w == mark) { seal(changed) } else { changed };
        prop_assume!(sealed != file);
        let mut device = device();
        device.slots[0].bytes_mut()[..sealed.len()].copy_from_slice(&sealed);
        prop_assert_eq!(device.running().0, Origin::BuiltIn, "byte {}", at);
    }
}
