//! Boards that hold keys, emulated: which models they take, who may change them, and what that costs. Skipped, with a message,
//! if QEMU or the Rust target of the board is missing.

mod common;

use common::{built_in, failure, json, sirocco};
use sirocco::error::ModelError;
use sirocco::wire::store::{Origin, StoreError};
use sirocco::wire::trust::{LOWEST, SESSION, Signed, TrustRefusal};
use sirocco::wire::{DeviceError, ask};
use sirocco_tools::Error;
use sirocco_tools::client::{Client, ClientError, Patience};
use sirocco_tools::device::board::Board;
use sirocco_tools::device::cargo::{self, KeyArguments};
use sirocco_tools::device::elf::Firmware;
use sirocco_tools::device::qemu::{self, Emulator, Image};
use sirocco_tools::input::model_file::ModelFile;
use sirocco_tools::keys::PrivateKey;
use sirocco_tools::output::Output;
use sirocco_tools::push::push;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A Cortex-M3, a Cortex-M4F and a Cortex-M33.
const BOARDS: [&str; 3] = ["qemu-mps2-an385", "qemu-mps2-an386", "qemu-mps2-an505"];
/// Instructions to check the signature of a challenge: at most so many.
const GOAL: u64 = 2_500_000;
/// Flash that keys and signatures take: at most so many bytes.
const FLASH_GOAL: u64 = 24 * 1024;

/// Keys 1 and 2 are for models, 3 is an operator's.
fn key(number: u8) -> PrivateKey {
    PrivateKey::from_seed([number; 32])
}

/// The files of the three keys.
fn files(folder: &Path) -> KeyArguments {
    let file = |number: u8| {
        let [_, public] = key(number).write(&folder.join(number.to_string())).unwrap();
        public
    };
    KeyArguments { models: vec![file(1), file(2)], operators: vec![file(3)] }
}

/// The emulated boards whose firmware can be built here, with these keys.
fn boards(keys: &KeyArguments) -> Vec<(Board, PathBuf)> {
    let mut boards = Vec::new();
    for board in BOARDS.map(|name| Board::find(name).unwrap()) {
        if qemu::version(qemu::PROGRAM).is_none() || !cargo::has_target(&board.target) {
            eprintln!("skipped on {}: no emulator or no Rust target here; run `sirocco setup`", board.name);
        } else {
            let elf = cargo::build_with(&board, keys, Output { json: false, quiet: true }).unwrap();
            boards.push((board, elf));
        }
    }
    boards
}

type Log = Arc<Mutex<Vec<String>>>;

fn start(board: &Board, elf: &Path, flash: &Path) -> (Emulator, Client, Log) {
    let log = Log::default();
    let sink = Arc::clone(&log);
    let image = Image { board, elf, model: None, flash: Some(flash) };
    let (emulator, stream) = Emulator::tcp(image, move |line| sink.lock().unwrap().push(line.text)).unwrap();
    let patience = Patience { timeout: Duration::from_secs(20), retries: 2 };
    (emulator, Client::new(Box::new(stream), "emulator", patience), log)
}

fn signed(number: u8, serial: u32) -> ModelFile {
    key(number).sign_model(&ModelFile::read(&built_in()).unwrap(), serial).unwrap()
}

fn crc32(file: &ModelFile) -> u32 {
    file.model().unwrap().crc32()
}

/// Sends and activates a model.
fn update(client: &mut Client, file: &ModelFile) -> Result<Origin, DeviceError> {
    let source = |error| match error {
        ClientError::Device { source, .. } => source,
        other => panic!("{other}"),
    };
    match push(client, file, |_| {}) {
        Ok(slot) => client.ask(ask::ModelActivate(Origin::Slot(slot))).map_err(source),
        Err(Error::Client(error)) => Err(source(error)),
        Err(other) => panic!("{other}"),
    }
}

fn refused(error: ModelError) -> Result<Origin, DeviceError> {
    Err(DeviceError::Store(StoreError::Refused(error)))
}

#[test]
fn boards_with_keys_take_signed_models_from_operators() {
    let folder = tempfile::tempdir().unwrap();
    let keys = files(folder.path());
    let unsigned = ModelFile::read(&built_in()).unwrap();
    for (board, elf) in boards(&keys) {
        let flash = folder.path().join(&board.name);
        let (old, new) = (signed(1, 5), signed(2, 6));
        {
            let (_emulator, mut client, _) = start(&board, &elf, &flash);
            let state = client.ask(ask::TrustState).unwrap();
            let fingerprint = |number| key(number).public().fingerprint();
            assert_eq!(state.models, [fingerprint(1), fingerprint(2)]);
            assert_eq!((&state.operators[..], state.lowest, state.open), (&[fingerprint(3)][..], 0, false));
            // Nobody else, and nobody with another key.
            assert_eq!(update(&mut client, &old), Err(DeviceError::Trust(TrustRefusal::Closed)));
            client.set_key(key(4).signer());
            let stranger = TrustRefusal::UnknownKey { key: fingerprint(4) };
            assert_eq!(update(&mut client, &old), Err(DeviceError::Trust(stranger)));
            client.set_key(key(3).signer());
            assert_eq!(update(&mut client, &unsigned), refused(ModelError::Unsigned));
            assert_eq!(update(&mut client, &signed(4, 9)), refused(ModelError::UnknownKey { key: fingerprint(4) }));
            assert!(!client.ask(ask::Info).unwrap().model.from_slot);
            update(&mut client, &old).unwrap();
            update(&mut client, &new).unwrap();
            assert_eq!(client.ask(ask::Info).unwrap().model.crc32, crc32(&new));
            assert_eq!(client.ask(ask::SelfTest).unwrap().mismatches, 0);
        }
        let (_emulator, mut client, _) = start(&board, &elf, &flash);
        let info = client.ask(ask::Info).unwrap();
        assert_eq!((info.model.crc32, info.slot_error), (crc32(&new), None), "{}: checked at boot", board.name);
        assert!(!client.ask(ask::TrustState).unwrap().open, "a reset closes the session");
        client.set_key(key(3).signer());
        let too_old = ModelError::Serial { serial: 5, lowest: 6 };
        assert_eq!(client.ask(ask::TrustState).unwrap().lowest, 6);
        assert_eq!(update(&mut client, &old), refused(too_old));
        client.set_lowest(5, &key(1).signer()).unwrap();
        update(&mut client, &old).unwrap();
        assert_eq!(client.ask(ask::Info).unwrap().model.crc32, crc32(&old));
        let wear = client.ask(ask::ModelWear).unwrap();
        // Into slot 1: unsigned, of a stranger, old, and old after the reset, which is not sent again; into slot 0: new.
        assert_eq!(wear.begun, [1, 4], "{wear:?}");
        assert!(wear.records >= 11, "begins, activations, sessions and the statement: {wear:?}");
        let stack = client.ask(ask::Statistics).unwrap().memory.unwrap();
        eprintln!("{}: most stack {} bytes", board.name, stack.stack_high_water);
        assert!(stack.stack_high_water < stack.stack());
    }
}

#[test]
fn a_slot_that_was_changed_behind_the_boards_back_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let keys = files(folder.path());
    let path = folder.path().join("model.safetensors");
    for (board, elf) in boards(&keys) {
        let at_boot = |file: &ModelFile| {
            std::fs::write(&path, file.bytes()).unwrap();
            let image = Image { board: &board, elf: &elf, model: Some(&path), flash: None };
            let (_emulator, stream) = Emulator::tcp(image, |_| {}).unwrap();
            let patience = Patience { timeout: Duration::from_secs(20), retries: 2 };
            let info = Client::new(Box::new(stream), "emulator", patience).ask(ask::Info).unwrap();
            (info.model.from_slot, info.slot_error)
        };
        assert_eq!(at_boot(&ModelFile::read(&built_in()).unwrap()), (false, Some(ModelError::Unsigned)));
        assert_eq!(at_boot(&signed(2, 1)), (true, None));
    }
}

#[test]
fn what_signatures_cost_is_what_the_documents_say() {
    let folder = tempfile::tempdir().unwrap();
    let keys = files(folder.path());
    for (board, elf) in boards(&keys) {
        let (_emulator, mut client, log) = start(&board, &elf, &folder.path().join(&board.name));
        // Sixteen requests make a line of the log: eight challenges, which cost nothing, and eight wrong answers.
        for _ in 0..24 {
            client.ask(ask::TrustChallenge).unwrap();
            let wrong = client.ask(ask::TrustOpen(key(3).sign(&[&SESSION, &[1; 16]])));
            assert!(matches!(wrong, Err(ClientError::Device { .. })));
        }
        let average = "requests took ";
        let log = log.lock().unwrap();
        let line = log.iter().rev().find_map(|line| line.split_once(average)).expect("a line about times").1;
        let ticks: u64 = line.split(' ').next().unwrap().parse().unwrap();
        let instructions = 2 * ticks * 1_000_000_000 / u64::from(board.qemu().unwrap().clock_hz);
        let without = cargo::build(&board, Output { json: false, quiet: true }).unwrap();
        let flash = |path: &Path| Firmware::parse(path, &std::fs::read(path).unwrap()).unwrap().sizes().unwrap().flash;
        let flash = flash(&elf) - flash(&without);
        eprintln!("{}: {instructions} instructions to check a challenge, {flash} bytes of flash", board.name);
        assert!((500_000..GOAL).contains(&instructions), "{instructions}");
        assert!((8 * 1024..FLASH_GOAL).contains(&flash), "{flash} bytes");
    }
}

#[test]
fn a_recorded_opening_opens_nothing_after_a_reset() {
    let folder = tempfile::tempdir().unwrap();
    let keys = files(folder.path());
    let Some((board, elf)) = boards(&keys).into_iter().next() else { return };
    let flash = folder.path().join("flash");
    let mut recorded: Option<Signed> = None;
    let mut nonces = Vec::new();
    for _ in 0..3 {
        let (_emulator, mut client, _) = start(&board, &elf, &flash);
        let nonce = client.ask(ask::TrustChallenge).unwrap();
        assert!(!nonces.contains(&nonce));
        nonces.push(nonce);
        if let Some(old) = recorded {
            let replayed = client.ask(ask::TrustOpen(old));
            let forged = |e: &DeviceError| matches!(e, DeviceError::Trust(TrustRefusal::Forged { .. }));
            assert!(matches!(replayed, Err(ClientError::Device { source, .. }) if forged(&source)));
        }
        // What lowers the serial number opens no session.
        let nonce = client.ask(ask::TrustChallenge).unwrap();
        let mixed = client.ask(ask::TrustOpen(key(3).sign(&[&LOWEST, &nonce])));
        assert!(mixed.is_err());
        let nonce = client.ask(ask::TrustChallenge).unwrap();
        let opening = key(3).sign(&[&SESSION, &nonce]);
        assert!(client.ask(ask::TrustOpen(opening)).unwrap().open);
        recorded = Some(opening);
    }
}

#[test]
fn repeated_begins_and_activations_are_refused_before_the_flash_wears_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = ModelFile::read(&built_in()).unwrap();
    let first: sirocco::wire::store::Chunk = file.bytes()[..256].iter().copied().collect();
    for name in BOARDS {
        let board = Board::find(name).unwrap();
        if qemu::version(qemu::PROGRAM).is_none() || !cargo::has_target(&board.target) {
            eprintln!("skipped on {name}: no emulator or no Rust target here; run `sirocco setup`");
            continue;
        }
        let elf = cargo::build(&board, Output { json: false, quiet: true }).unwrap();
        let flash = folder.path().join(name);
        for boot in 1..=2 {
            let (_emulator, mut client, _) = start(&board, &elf, &flash);
            let (mut begun, mut activated) = (0, 0);
            for k in 0..40 {
                client.ask(ask::ModelBegin(5000, k)).unwrap();
                match client.ask(ask::ModelChunk(0, first.clone())) {
                    Ok(_) => begun += 1,
                    Err(ClientError::Device {
                        source: DeviceError::Store(StoreError::TooOften { seconds }), ..
                    }) => {
                        assert!(seconds.is_some_and(|seconds| (1..=300).contains(&seconds)), "{seconds:?}");
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            assert_eq!(begun, 32, "{name}");
            update_to_slot_is_refused(&mut client, &file);
            for _ in 0..40 {
                // The first of each boot writes nothing if it is active already.
                match client.ask(ask::ModelActivate(Origin::BuiltIn)) {
                    Ok(_) => activated += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            assert_eq!(activated, 40, "an activation that changes nothing costs nothing");
            let wear = client.ask(ask::ModelWear).unwrap();
            assert_eq!((wear.begun, wear.begins_left), ([0, 32 * boot], 0), "{name}: counted across resets");
            assert!(wear.records <= 33 * boot + 1, "{wear:?}");
        }
    }
}

/// A push is refused while the limit is reached, with the remedy.
fn update_to_slot_is_refused(client: &mut Client, file: &ModelFile) {
    let error = push(client, file, |_| {}).unwrap_err().to_string();
    assert!(error.contains("would wear out") && error.contains("wait, or reset the board"), "{error}");
}

#[test]
fn the_command_line_makes_keys_signs_and_updates() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (release, field) = (path("release"), path("field"));
    let made = json(&sirocco(&["keys", "new", &release, "--json"]));
    assert_eq!(made["fingerprint"].as_str().unwrap().len(), 16);
    json(&sirocco(&["keys", "new", &field, "--json"]));
    let line = failure(&sirocco(&["keys", "new", &release]), 1);
    assert!(line.contains("never overwritten"), "{line}");
    let shown = json(&sirocco(&["keys", "show", &path("release.pub"), "--json"]));
    assert_eq!((&shown["public_key"], &shown["fingerprint"]), (&made["public_key"], &made["fingerprint"]));
    let model = path("model.safetensors");
    std::fs::copy(built_in(), &model).unwrap();
    let line = failure(&sirocco(&["verify", &model, "--key", &path("release.pub")]), 1);
    assert!(line.contains("not signed") && line.contains("sirocco sign"), "{line}");
    let signed = json(&sirocco(&["sign", &model, "--key", &path("release.key"), "--serial", "7", "--json"]));
    assert_eq!((&signed["serial"], &signed["key"]), (&7.into(), &made["fingerprint"]));
    let verified = json(&sirocco(&["verify", &model, "--key", &path("release.pub"), "--json"]));
    assert_eq!(verified["serial"], 7);
    assert_eq!(sirocco(&["verify", &model, "--key", &path("field.pub")]).status.code(), Some(1));
    json(&sirocco(&["inspect", &model, "--json"]));

    let board = Board::find(BOARDS[1]).unwrap();
    if qemu::version(qemu::PROGRAM).is_none() || !cargo::has_target(&board.target) {
        eprintln!("skipped: no emulator or no Rust target here; run `sirocco setup`");
        return;
    }
    let mut emulator = Command::new(env!("CARGO_BIN_EXE_sirocco"));
    emulator.args(["emulate", &board.name, "--quiet", "--key", &path("release.pub"), "--operator", &path("field.pub")]);
    let mut emulator = emulator.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(emulator.stdout.take().unwrap()), &mut line).unwrap();
    let port = line.trim().strip_prefix("port: ").unwrap().to_owned();
    let with = |rest: &[&str]| sirocco(&[rest, &["--port", &port, "--timeout", "20000"]].concat());
    let info = json(&with(&["info", "--json"]));
    assert_eq!((&info["trust"]["model_keys"][0], &info["trust"]["lowest_serial"]), (&made["fingerprint"], &0.into()));
    let line = failure(&with(&["push", "--quiet", "--model", &model]), 1);
    assert!(line.contains("only an operator") && line.contains("--key"), "{line}");
    let key = path("field.key");
    let pushed = json(&with(&["push", "--model", &model, "--key", &key, "--json"]));
    assert_eq!(pushed["activated"], true);
    let line = failure(&with(&["push", "--quiet", "--model", built_in().to_str().unwrap(), "--key", &key]), 1);
    assert!(line.contains("not signed") && line.contains("sirocco sign"), "{line}");
    json(&sirocco(&["sign", &model, "--key", &path("release.key"), "--serial", "6", "--json"]));
    let line = failure(&with(&["push", "--quiet", "--model", &model, "--key", &key]), 1);
    assert!(line.contains("6") && line.contains("7 or higher") && line.contains("--lowest"), "{line}");
    let list = json(&with(&["models", "--lowest", "6", "--signed-by", &path("release.key"), "--json"]));
    assert_eq!(list["running"], 1);
    assert_eq!(json(&with(&["push", "--model", &model, "--key", &key, "--json"]))["activated"], true);
    assert_eq!(json(&with(&["info", "--json"]))["trust"]["lowest_serial"], 6);
    emulator.kill().unwrap();
    emulator.wait().unwrap();
}
