//! What happens to a device in the field, on emulated boards: new models are pushed, power fails meanwhile, and the
//! line is full of noise. Skipped, with a message, if QEMU or the Rust target of the board is missing.

mod common;

use common::{built_in, failure, json, root, sirocco, variant};
use sirocco::drift::Reference;
use sirocco::limits::MAX_FRAME;
use sirocco::model::{CRC_DIGITS, crc_of};
use sirocco::query::Query;
use sirocco::trajectory::Trajectory;
use sirocco::wire::image::{ImageRequest, SampleRequest, Threshold};
use sirocco::wire::store::{Origin, SLOTS, StoreError};
use sirocco::wire::{self, DeviceError, Message, PROTOCOL_VERSION, REQUESTS, Request, ask};
use sirocco_tools::Error;
use sirocco_tools::client::transport::Transport;
use sirocco_tools::client::{Client, ClientError, Patience};
use sirocco_tools::device::board::Board;
use sirocco_tools::device::cargo;
use sirocco_tools::device::qemu::{self, Emulator, Image};
use sirocco_tools::input::model_file::ModelFile;
use sirocco_tools::output::Output;
use sirocco_tools::push::push;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The emulated boards whose firmware can be built here and whose flash can be kept in a file.
fn boards() -> Vec<(Board, PathBuf)> {
    let writable = |board: &Board| board.qemu.as_ref().is_some_and(|q| q.flash_memory.is_some());
    let mut boards = Vec::new();
    for board in Board::all().unwrap().into_iter().filter(writable) {
        if qemu::version(qemu::PROGRAM).is_none() || !cargo::has_target(&board.target) {
            eprintln!("skipped on {}: no emulator or no Rust target here; run `sirocco setup`", board.name);
        } else {
            let elf = cargo::build(&board, Output { json: false, quiet: true }).unwrap();
            boards.push((board, elf));
        }
    }
    boards
}

fn start(board: &Board, elf: &Path, flash: &Path) -> (Emulator, TcpStream) {
    Emulator::tcp(Image { board, elf, model: None, flash: Some(flash) }, |_| {}).unwrap()
}

fn talk(stream: impl Transport + 'static) -> Client {
    let patience = Patience { timeout: Duration::from_secs(20), retries: 2 };
    Client::new(Box::new(stream), "emulator", patience)
}

/// A number from an environment variable, for runs that are longer than a test should be.
fn count(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A generator of reproducible random numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// The built-in model with another seed in its metadata, so with a checksum of its own.
fn model(seed: u8) -> ModelFile {
    let mut bytes = std::fs::read(built_in()).unwrap();
    let place = |bytes: &[u8], key: &[u8]| bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len();
    let at = place(&bytes, b"\"seed\":\"");
    bytes[at] = b'9' - seed;
    let digits = place(&bytes, b"\"sirocco.crc32\":\"");
    let crc32 = crc_of(&bytes, digits..digits + CRC_DIGITS);
    bytes[digits..digits + CRC_DIGITS].copy_from_slice(format!("{crc32:08x}").as_bytes());
    ModelFile::from_bytes(Path::new("model.safetensors"), &bytes)
}

fn crc32(file: &ModelFile) -> u32 {
    file.model().unwrap().crc32()
}

#[test]
fn a_pushed_model_answers_at_once_and_after_the_power_was_off() {
    let folder = tempfile::tempdir().unwrap();
    for (board, elf) in boards() {
        let flash = folder.path().join(&board.name);
        for (round, slot) in (1u8..4).zip([1, 0, 1]) {
            let file = model(round);
            {
                let (_emulator, stream) = start(&board, &elf, &flash);
                let mut client = talk(stream);
                assert_eq!(push(&mut client, &file, |_| {}).unwrap(), slot);
                assert_ne!(client.ask(ask::Info).unwrap().model.crc32, crc32(&file), "not activated yet");
                client.ask(ask::ModelActivate(Origin::Slot(slot))).unwrap();
                assert_eq!(client.ask(ask::Info).unwrap().model, file.bundle().unwrap().model_info(true));
                let statistics = client.ask(ask::Statistics).unwrap();
                assert_eq!((statistics.activations, statistics.refused), (1, 0));
                let memory = statistics.memory.unwrap();
                assert!(memory.stack_high_water < memory.stack() && memory.statics > 0, "{memory:?}");
            }
            let (_emulator, stream) = start(&board, &elf, &flash);
            let mut client = talk(stream);
            let info = client.ask(ask::Info).unwrap();
            assert_eq!((info.model.crc32, info.slot_error), (crc32(&file), None), "{}", board.name);
            assert_eq!(client.ask(ask::SelfTest).unwrap().mismatches, 0);
        }
    }
}

#[test]
fn a_model_with_other_golden_answers_is_refused_and_the_old_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = ModelFile::from_bytes(Path::new("variant"), &variant());
    for (board, elf) in boards() {
        let (_emulator, stream) = start(&board, &elf, &folder.path().join(&board.name));
        let mut client = talk(stream);
        let refused = push(&mut client, &wrong, |_| {});
        let golden = |e: &DeviceError| matches!(e, DeviceError::Store(StoreError::Golden { .. }));
        assert!(matches!(&refused, Err(Error::Client(ClientError::Device { source, .. })) if golden(source)));
        assert!(client.ask(ask::ModelActivate(Origin::Slot(1))).is_err());
        assert!(!client.ask(ask::Info).unwrap().model.from_slot);
    }
}

/// Pushes models and kills the emulator at random moments. `SIROCCO_PUSHES` sets how often.
#[test]
fn pushes_that_are_cut_short_leave_a_working_model() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<ModelFile> = (1u8..8).map(model).collect();
    let mut dice = Dice(1);
    for (board, elf) in boards().into_iter().take(count("SIROCCO_PUSH_BOARDS", 1) as usize) {
        let flash = folder.path().join(&board.name);
        let (emulator, stream) = start(&board, &elf, &flash);
        let mut client = talk(stream);
        let begun = Instant::now();
        let slot = push(&mut client, &files[0], |_| {}).unwrap();
        client.ask(ask::ModelActivate(Origin::Slot(slot))).unwrap();
        let usual = begun.elapsed();
        drop((client, emulator));
        let (mut answering, mut new, mut cut) = (crc32(&files[0]), 0, 0);
        for k in 0..count("SIROCCO_PUSHES", 10) {
            let file = &files[1 + k as usize % (files.len() - 1)];
            let (emulator, stream) = start(&board, &elf, &flash);
            let mut client = talk(stream);
            let info = client.ask(ask::Info).unwrap();
            assert_eq!((info.model.crc32, info.slot_error), (answering, None), "push {k}");
            assert_eq!(client.ask(ask::SelfTest).unwrap().mismatches, 0, "push {k}");
            let moment = usual.mul_f64(dice.below(1000) as f64 / 800.0);
            let killer = std::thread::spawn(move || {
                std::thread::sleep(moment);
                drop(emulator);
            });
            let done = push(&mut client, file, |_| {})
                .and_then(|slot| Ok(client.ask(ask::ModelActivate(Origin::Slot(slot)))?));
            killer.join().unwrap();
            cut += u64::from(done.is_err());
            let (_emulator, stream) = start(&board, &elf, &flash);
            let now = talk(stream).ask(ask::Info).unwrap().model.crc32;
            assert!(now == answering || now == crc32(file), "push {k}: neither the old model nor the new one");
            assert!(done.is_err() || now == crc32(file), "push {k}: activated, but the old one answers");
            new += u64::from(now != answering);
            answering = now;
        }
        eprintln!("{}: {cut} pushes cut short, {new} models exchanged, no dead device", board.name);
    }
}

#[test]
fn a_trajectory_has_the_bits_of_its_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let file = ModelFile::read(&built_in()).unwrap();
    let bundle = file.bundle().unwrap();
    let middle: Vec<f32> = bundle.domain().iter().map(|r| 0.5 * (r.lo + r.hi)).collect();
    let problem = Query { t: 0.0, ..Query::from_quantities(bundle.ode(), &middle) };
    let trajectory = Trajectory { problem, until: 20.0, points: 200 };
    let solution = bundle.solution(&problem).unwrap();
    for (board, elf) in boards() {
        let (_emulator, stream) = start(&board, &elf, &folder.path().join(&board.name));
        let points = talk(stream).trajectory(&trajectory).unwrap();
        assert_eq!(points.len(), 200);
        for (k, point) in (0u16..).zip(points) {
            assert_eq!(point, solution.point(&trajectory, k).unwrap().unwrap(), "{} at point {k}", board.name);
        }
    }
}

/// The bytes of a message's body, which may mean nothing.
struct Raw(Vec<u8>);

impl serde::Serialize for Raw {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTuple;

        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

/// A frame that a device has to refuse or survive: random bytes, a damaged request, a message of random bytes with a
/// valid checksum, or a request about images with random contents.
fn rubbish(dice: &mut Dice, good: &[Vec<u8>]) -> Vec<u8> {
    let random = |dice: &mut Dice, most: u64| (0..dice.below(most)).map(|_| dice.below(256) as u8).collect::<Vec<_>>();
    match dice.below(4) {
        0 => [random(dice, 600), vec![0]].concat(),
        1 => {
            let mut bytes = good[dice.below(good.len() as u64) as usize].clone();
            for _ in 0..=dice.below(4) {
                let at = dice.below(bytes.len() as u64) as usize;
                bytes[at] = dice.below(256) as u8;
            }
            [bytes, vec![0]].concat()
        }
        2 => {
            let body = [vec![dice.below(u64::from(REQUESTS) + 2) as u8], random(dice, 48)].concat();
            message(0, Raw(body))
        }
        _ => message(0, about_images(dice)),
    }
}

/// A valid request about images, which the device can rarely fulfill.
fn about_images(dice: &mut Dice) -> Request {
    let offset = [0, 0, 0, 256, dice.below(1 << 32) as u32][dice.below(5) as usize];
    let length = [256, 256, dice.below(257)][dice.below(3) as usize];
    let bytes = (0..length).map(|_| dice.below(256) as u8).collect();
    let number = f32::from_bits(dice.below(1 << 32) as u32);
    match dice.below(10) {
        0..3 => Request::Image(ImageRequest::Chunk { offset, bytes }),
        3..6 => Request::Image(ImageRequest::Classify),
        6 => Request::Image(ImageRequest::Threshold(Threshold::Above(number))),
        7 => Request::Image(ImageRequest::Watch(Some(Reference { mean: number, deviation: number }))),
        8 => Request::Samples(SampleRequest::Fetch { number: dice.below(100) as u32, offset }),
        _ => Request::Samples(SampleRequest::List { first: dice.below(70) as u16 }),
    }
}

/// A message as a frame.
fn message(sequence: u16, body: impl serde::Serialize) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME];
    wire::encode(&Message { version: PROTOCOL_VERSION, sequence, body }, &mut buffer).unwrap().to_vec()
}

/// Sends random frames, each followed by a request that must be answered; half of them to a device with a bundle, half
/// to one with an image network. `SIROCCO_FRAMES` sets their number.
#[test]
fn after_any_frame_the_next_request_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let frames = count("SIROCCO_FRAMES", 1000);
    let query = Query { t: 1.5, initial: [0.25; 4], rates: [0.5; 4] };
    let chunk = ImageRequest::Chunk { offset: 0, bytes: [7; 256].into_iter().collect() };
    let trajectory = Trajectory { problem: query, until: 20.0, points: 30 };
    let good = [
        message(1, Request::Certify(query)),
        message(1, Request::Image(chunk)),
        message(1, Request::Image(ImageRequest::Classify)),
        message(1, Request::Trajectory { trajectory, first: 0 }),
        message(1, Request::Samples(SampleRequest::List { first: 0 })),
    ];
    let mut dice = Dice(2);
    let Some((board, elf)) = boards().into_iter().next() else { return };
    for image_network in [false, true] {
        let (_emulator, mut stream) = start(&board, &elf, &folder.path().join(image_network.to_string()));
        let half = frames / 2;
        // If the device reports an unreadable frame, the client waits less for the answer; a busy machine may need
        // longer.
        let patience = Patience { timeout: Duration::from_secs(20), retries: 50 };
        let mut client = Client::new(Box::new(stream.try_clone().unwrap()), "emulator", patience);
        if image_network {
            let file = ModelFile::read(&root().join("tests/data/digits-int8.safetensors")).unwrap();
            let slot = push(&mut client, &file, |_| {}).unwrap();
            client.ask(ask::ModelActivate(Origin::Slot(slot))).unwrap();
        }
        for k in 0..half {
            let bytes = rubbish(&mut dice, &good);
            stream.send(&bytes).unwrap();
            if let Err(error) = client.ask(ask::ModelAbort) {
                panic!("{error} after frame {k}: {bytes:02x?}");
            }
        }
        let statistics = client.ask(ask::Statistics).unwrap();
        assert!(u64::from(statistics.requests) > half, "the device was reset meanwhile: {statistics:?}");
        if image_network {
            let description = client.ask(ask::ImageDescribe).unwrap();
            assert!(description.images > 0 && description.samples > 0 || half < 100, "{description:?}");
        }
        eprintln!("{half} frames: {statistics:?}");
    }
}

#[test]
fn the_command_line_pushes_lists_activates_and_draws() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let file = model(3);
    std::fs::write(&path, file.bytes()).unwrap();
    let path = path.to_str().unwrap();
    let crc = format!("{:08x}", crc32(&file));
    if let Some((board, _)) = boards().into_iter().next() {
        let port = format!("qemu:{}", board.name);
        let pushed = json(&sirocco(&["push", "--port", &port, "--model", path, "--json"]));
        assert_eq!((&pushed["slot"], &pushed["activated"], &pushed["crc32"]), (&1.into(), &true.into(), &crc.into()));
        let list = json(&sirocco(&["models", "--port", &port, "--model", path, "--json"]));
        assert_eq!((&list["running"], &list["slots"][1]["crc32"]), (&0.into(), &serde_json::Value::Null));
        assert_eq!(list["slots"].as_array().unwrap().len(), SLOTS);
        let line = failure(&sirocco(&["models", "--port", &port, "--activate", "7"]), 1);
        assert!(line.contains("there is no slot 7"), "{line}");
        let at = ["trajectory", "--port", &port, "--at", "I0=0.3,R0=0.2,beta=0.6,gamma=0.5", "--until", "20"];
        let curve = json(&sirocco(&[&at[..], &["--points", "30", "--json"]].concat()));
        let points = curve["points"].as_array().unwrap();
        assert_eq!((points.len(), &points[29]["t"]), (30, &20.0.into()));
        let text = String::from_utf8(sirocco(&at).stdout).unwrap();
        assert!(text.starts_with("t,S,I,R,in_domain,plausible\n0,0.5,0.3,0.2,"), "{text}");
        assert_eq!(text.lines().count(), 51);
    }
}
