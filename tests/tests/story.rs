//! The user's story, on an emulated board over a real pty: a small bundle is trained, pushed, asked and calibrated; then
//! a network for digits classifies images of another domain, withholds uncertain answers, notices the drift and keeps the
//! most entropic images; these are fetched, labeled and learned from; the new network is pushed, and is more accurate.
//!
//! All data are the digits that are part of the program. Skipped, with a message, without QEMU or the board's Rust target.
#![cfg(unix)]

use sirocco_tests::program::{emulates, json, sirocco, train};
use sirocco_tools::device::board::Board;
use sirocco_tools::device::cargo;
use sirocco_tools::device::qemu::{Emulator, Image};
use sirocco_tools::input::sample_files;
use sirocco_tools::output::Output;
use sirocco_trainer::dataset::{self, Folder, Images, Split};
use sirocco_trainer::image::answers::image_bytes;
use std::path::Path;

/// The test digits of a data set as IDX files of images and labels.
fn idx(folder: &Path, name: &str, images: &Images) -> [String; 2] {
    let count = (images.len() as u32).to_be_bytes();
    let side = 16u32.to_be_bytes();
    let pixels = image_bytes(&images.pixels, 1);
    let of_images =
        [&[0, 0, 8, 3], &count, &side, &side].into_iter().flatten().copied().chain(pixels).collect::<Vec<u8>>();
    let of_labels = [&[0, 0, 8, 1][..], &count, &images.labels].concat();
    [("images", of_images), ("labels", of_labels)].map(|(what, bytes)| {
        let path = folder.join(format!("{name}-{what}.idx"));
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    })
}

#[test]
fn from_training_to_the_field_and_back_and_better() {
    let board = Board::find("qemu-mps2-an386").unwrap();
    if !emulates(&board.target) {
        return;
    }
    let elf = cargo::build(&board, Output { json: false, quiet: true }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let at = Image { board: &board, elf: &elf, model: None, flash: Some(&folder.path().join("flash")) };
    let (_emulator, pty) = Emulator::pty(at, |_| {}).unwrap();
    let port = pty.to_str().unwrap().to_owned();
    let device = |arguments: &[&str]| {
        let port = ["--port", &port, "--timeout", "20000", "--json", "--quiet"];
        json(&sirocco(&[arguments, &port].concat()))
    };
    let learn = |arguments: &[&str]| json(&train(&[arguments, &["--json", "--quiet"]].concat()));

    // A bundle: trained, pushed, asked, calibrated.
    let bundle = path("sir.safetensors");
    learn(&["bundle", "train", "--preset", "sir-single", "--out", &bundle]);
    assert_eq!(device(&["push", "--model", &bundle])["activated"], true);
    let info = device(&["info"]);
    let domain = info["model"]["domain"].as_object().unwrap().clone();
    let middle = |name: &str| {
        let range = &domain[name];
        (0.5 * (range[0].as_f64().unwrap() + range[1].as_f64().unwrap())).to_string()
    };
    let mut query = vec!["query".to_owned()];
    for name in domain.keys() {
        query.extend([format!("--{name}"), middle(name)]);
    }
    let answer = device(&query.iter().map(String::as_str).collect::<Vec<_>>());
    let sum: f64 = ["s", "i", "r"].iter().map(|key| answer[key].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-4 && answer["in_domain"] == true, "{answer}");

    // A network for digits of MNIST.
    let (mnist, first) = (path("mnist.safetensors"), path("mnist-int8.safetensors"));
    let pretrain = ["image", "pretrain", "--dataset", "fixture-mnist", "--steps", "400", "--schedule", "cosine"];
    learn(&[&pretrain[..], &["--out", &mnist]].concat());
    let quantize = |from: &str, to: &str| {
        learn(&["image", "quantize", from, "--dataset", "fixture-mnist", "--tolerance", "1", "--out", to]);
    };
    quantize(&mnist, &first);
    device(&["push", "--model", &first]);

    // In the field its images come from USPS.
    let set = dataset::find("fixture-usps").unwrap();
    let load = |split| set.load(&Folder::named(None), split).unwrap();
    let (seen, test) = (load(Split::Train), load(Split::Test));
    let [home, _] = idx(
        folder.path(),
        "home",
        &dataset::find("fixture-mnist").unwrap().load(&Folder::named(None), Split::Test).unwrap(),
    );
    let [field, _] = idx(folder.path(), "field", &seen);
    let [test_images, test_labels] = idx(folder.path(), "test", &test);
    let quiet = device(&["classify", "--dataset", &home, "--limit", "64"]);
    let measured = |answers: &serde_json::Value| answers["accuracy"].as_f64().unwrap();
    let exam = ["classify", "--dataset", &test_images, "--labels", &test_labels, "--watch", "file"];
    let before = device(&exam);
    device(&["samples", "clear"]);
    let answers = device(&["classify", "--dataset", &field, "--watch", "file"]);
    assert_eq!(quiet["drift_alarm"], false, "drift on images of the network's own domain");
    assert!(answers["first_alarm"].as_u64().is_some(), "no drift noticed");
    assert!(answers["abstained"].as_u64() > quiet["abstained"].as_u64());

    // The images with the least certain answers are fetched and labeled, here with the true labels.
    let samples = path("samples");
    let fetched = device(&["samples", "fetch", "--out", &samples]);
    let numbers: Vec<u64> =
        answers["answers"].as_array().unwrap().iter().map(|a| a["number"].as_u64().unwrap()).collect();
    let table = Path::new(&samples).join(sample_files::TABLE);
    let rows = std::fs::read_to_string(&table).unwrap();
    let labeled: Vec<String> = (rows.lines().enumerate())
        .map(|(k, row)| {
            if k == 0 {
                return row.to_owned();
            }
            let number: u64 = row.split(',').nth(1).unwrap().parse().unwrap();
            let index = numbers.iter().position(|n| *n == number).unwrap();
            format!("{row}{}", seen.labels[index])
        })
        .collect();
    std::fs::write(&table, labeled.join("\n")).unwrap();

    // The network is finetuned on them, with MNIST replayed against forgetting, and pushed.
    let (better, second) = (path("better.safetensors"), path("better-int8.safetensors"));
    let finetune = ["image", "finetune", "--from", &mnist, "--samples", &samples, "--replay", "fixture-mnist"];
    let report = learn(&[&finetune[..], &["--steps", "300", "--target", "fixture-usps", "--out", &better]].concat());
    quantize(&better, &second);
    device(&["push", "--model", &second]);
    let after = device(&exam);
    eprintln!(
        "USPS on the device: {:.2} % before, {:.2} % after {} labels ({:.2} % in f32); {} of {} answers withheld before, {} \
         after; alarm after {} images",
        measured(&before),
        measured(&after),
        fetched["samples"].as_array().unwrap().len(),
        report["accuracy"].as_f64().unwrap(),
        before["abstained"],
        test.len(),
        after["abstained"],
        answers["first_alarm"]
    );
    assert!(measured(&after) > measured(&before) + 3.0, "{} % to {} %", measured(&before), measured(&after));
}
