//! Images on emulated boards: pushed networks, answers with the bits of this machine's evaluator, kept samples, and a
//! data set classified by the command line. Skipped, with a message, if QEMU or the Rust target of the board is
//! missing.

mod common;

use common::{failure, json, root, sirocco};
use sirocco::held::Held;
use sirocco::layer::kernel::Portable;
use sirocco::summary::ModelKind;
use sirocco::wire::image::Threshold;
use sirocco::wire::store::Origin;
use sirocco::wire::{DeviceError, ask};
use sirocco_tools::client::{Client, ClientError, Patience};
use sirocco_tools::cmd::selftest;
use sirocco_tools::device::board::Board;
use sirocco_tools::device::cargo;
use sirocco_tools::device::qemu::{self, Emulator, Image};
use sirocco_tools::input::model_file::ModelFile;
use sirocco_tools::input::picture::Picture;
use sirocco_tools::output::Output;
use sirocco_tools::push::push;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

fn digits() -> PathBuf {
    root().join("tests/data/digits-int8.safetensors")
}

/// The emulated boards whose firmware can be built here.
fn boards() -> Vec<(Board, PathBuf)> {
    let mut boards = Vec::new();
    for board in Board::all().unwrap().into_iter().filter(|board| board.qemu.is_some()) {
        if qemu::version(qemu::PROGRAM).is_none() || !cargo::has_target(&board.target) {
            eprintln!("skipped on {}: no emulator or no Rust target here; run `sirocco setup`", board.name);
        } else {
            let elf = cargo::build(&board, Output { json: false, quiet: true }).unwrap();
            boards.push((board, elf));
        }
    }
    boards
}

fn talk(stream: TcpStream) -> Client {
    let patience = Patience { timeout: Duration::from_secs(20), retries: 2 };
    Client::new(Box::new(stream), "emulator", patience)
}

/// The golden images in the file, and random ones.
fn images(file: &ModelFile) -> Vec<Vec<u8>> {
    let golden = file.model().unwrap().tensor("golden.images").unwrap().bytes.to_vec();
    let mut images: Vec<Vec<u8>> = golden.chunks(256).map(<[u8]>::to_vec).collect();
    images.extend((0..4u32).map(|k| (0..256u32).map(|i| (i.wrapping_mul(2_654_435_761 + k) >> 11) as u8).collect()));
    images
}

#[test]
fn every_board_classifies_with_the_evaluators_bits() {
    let file = ModelFile::read(&digits()).unwrap();
    let Held::Image(image) = file.held().unwrap() else { panic!() };
    for (board, elf) in boards() {
        let path = digits();
        let at = Image { board: &board, elf: &elf, model: Some(&path), flash: None };
        let (_emulator, stream) = Emulator::tcp(at, |line| eprintln!("{:?} {}", line.level, line.text)).unwrap();
        let mut client = talk(stream);
        let info = client.ask(ask::Info).unwrap();
        assert_eq!((info.model.kind(), info.slot_error), (ModelKind::Image, None), "{}", board.name);
        let mut ticks = 0;
        for pixels in images(&file) {
            let answer = client.classify(&pixels).unwrap();
            let mut arena = vec![0; image.network.arena()];
            let host = image.network.classify::<Portable>(&pixels, &mut arena).unwrap();
            assert_eq!((usize::from(answer.class), answer.abstained), (host.class, host.abstain), "{}", board.name);
            assert_eq!(answer.entropy.to_bits(), host.entropy.to_bits(), "{}", board.name);
            ticks = answer.ticks.unwrap_or_default();
        }
        let before = client.ask(ask::ImageDescribe).unwrap();
        let report = selftest::check(&mut client, Some(&file), 10, 1).unwrap();
        assert!(report.passed && report.golden == 4, "{}: {report:?}", board.name);
        let description = client.ask(ask::ImageDescribe).unwrap();
        assert_eq!(description, before, "a test leaves no trace");
        let memory = client.ask(ask::Statistics).unwrap().memory.unwrap();
        assert!(memory.stack_high_water < memory.stack(), "{memory:?}");
        eprintln!(
            "{}: {ticks} ticks for an image, {} of {} bytes of working memory, room for {} samples, stack {} of {} bytes",
            board.name,
            description.memory,
            description.memory_room,
            description.samples_room,
            memory.stack_high_water,
            memory.stack()
        );
        let refused = client.ask(ask::Predict(sirocco::query::Query { t: 0.0, initial: [0.25; 4], rates: [0.5; 4] }));
        let kind = |e: &DeviceError| *e == DeviceError::Kind { held: ModelKind::Image };
        assert!(matches!(&refused, Err(ClientError::Device { source, .. }) if kind(source)), "{refused:?}");
    }
}

#[test]
fn an_image_network_takes_over_from_a_bundle_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = ModelFile::read(&digits()).unwrap();
    let writable = |(board, _): &(Board, PathBuf)| board.qemu.as_ref().is_some_and(|q| q.flash_memory.is_some());
    let Some((board, elf)) = boards().into_iter().find(writable) else { return };
    let flash = folder.path().join("flash");
    let at = Image { board: &board, elf: &elf, model: None, flash: Some(&flash) };
    let (_emulator, stream) = Emulator::tcp(at, |_| {}).unwrap();
    let mut client = talk(stream);
    assert!(client.ask(ask::ImageDescribe).is_err());
    let slot = push(&mut client, &file, |_| {}).unwrap();
    client.ask(ask::ModelActivate(Origin::Slot(slot))).unwrap();
    let pixels = images(&file);
    client.ask(ask::ImageThreshold(Threshold::Never)).unwrap();
    for pixels in &pixels {
        assert!(!client.classify(pixels).unwrap().abstained);
    }
    let kept = client.samples().unwrap();
    assert_eq!(kept.len(), pixels.len());
    for sample in &kept {
        let fetched = client.fetch_sample(sample.number, 256).unwrap();
        assert_eq!(fetched, pixels[sample.number as usize - 1]);
    }
    client.ask(ask::ModelActivate(Origin::BuiltIn)).unwrap();
    assert_eq!(client.ask(ask::Info).unwrap().model.kind(), ModelKind::Bundle);
    assert!(client.samples().is_err());
}

#[test]
fn the_command_line_classifies_files_and_fetches_samples() {
    let Some((board, _)) = boards().into_iter().next() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = ModelFile::read(&digits()).unwrap();
    let (port, model) = (format!("qemu:{}", board.name), digits());
    let at = ["--port", &port, "--model", model.to_str().unwrap(), "--json"];
    let picture = |bytes| Picture { height: 16, width: 16, channels: 1, bytes };
    let path = folder.path().join("digit.png");
    std::fs::write(&path, picture(images(&file).remove(0)).png().unwrap()).unwrap();
    let report = json(&sirocco(&[&["classify", path.to_str().unwrap(), "--threshold", "0"], &at[..]].concat()));
    let answer = &report["answers"][0];
    assert_eq!((&answer["abstained"], &answer["number"]), (&true.into(), &1.into()), "{report}");
    let sum: f64 = answer["probabilities"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{answer}");

    let mut idx = vec![0, 0, 8, 3, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0, 0, 16];
    idx.extend(images(&file).concat());
    let (images, labels) = (folder.path().join("images.idx"), folder.path().join("labels.idx"));
    std::fs::write(&images, idx).unwrap();
    std::fs::write(&labels, [&[0, 0, 8, 1, 0, 0, 0, 8][..], &[0; 8]].concat()).unwrap();
    let set = ["classify", "--dataset", images.to_str().unwrap(), "--labels", labels.to_str().unwrap()];
    let report = json(&sirocco(&[&set[..], &at[..]].concat()));
    assert_eq!((report["answers"].as_array().unwrap().len(), &report["samples_kept"]), (8, &8.into()));
    assert!(report["accuracy"].as_f64().is_some());
    std::fs::write(&labels, [&[0, 0, 8, 1, 0, 0, 0, 8][..], &[1, 2, 3, 4, 5, 6, 7, 10]].concat()).unwrap();
    let line = failure(&sirocco(&[&set[..], &at[..4]].concat()), 2);
    assert!(line.contains("the label 10 for image 7") && line.contains("count labels from 0"), "{line}");

    let wrong = folder.path().join("wrong.png");
    std::fs::write(&wrong, Picture { height: 2, width: 2, channels: 1, bytes: vec![0; 4] }.png().unwrap()).unwrap();
    let line = failure(&sirocco(&[&["classify", wrong.to_str().unwrap()], &at[..4]].concat()), 1);
    assert!(line.contains("2x2") && line.contains("16x16"), "{line}");
    let line = failure(&sirocco(&["classify", "--port", &port, path.to_str().unwrap()]), 1);
    assert!(line.contains("a solution bundle") && line.contains("push an image network"), "{line}");
    let list = json(&sirocco(&[&["samples", "list"], &at[..]].concat()));
    assert_eq!(list["samples"], serde_json::json!([]));
    let info = json(&sirocco(&[&["info"], &at[..]].concat()));
    assert_eq!((&info["image"]["width"], &info["image"]["classes"][7]), (&16.into(), &"7".into()));
    assert!(info["memory"]["stack_high_water"].as_u64().is_some());
}
