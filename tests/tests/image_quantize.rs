//! Quantizes image networks to 8-bit integers through the command line, on the digits that are part of the program.

use sirocco::image::Network;
use sirocco::image::golden::Golden;
use sirocco::layer::kernel::Portable;
use sirocco::model::Model;
use sirocco_tests::program::{assert_fails, json, root, train};
use sirocco_trainer::host::model_file;
use std::path::{Path, PathBuf};

fn number(value: &serde_json::Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no number `{key}` in {value}"))
}

fn image(command: &str, rest: &[&str]) -> std::process::Output {
    train(&[&["image", command], rest].concat())
}

#[test]
fn a_network_becomes_a_file_that_a_device_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (float, integers, again) = (path("f.safetensors"), path("i.safetensors"), path("j.safetensors"));
    let digits = ["--dataset", "fixture-usps", "--json", "--quiet"];
    json(&image("pretrain", &[&digits[..], &["--steps", "150", "--out", &float]].concat()));
    let before = json(&image("evaluate", &[&[float.as_str()], &digits[..]].concat()));

    let few = ["--calibration", "64", "--out", &integers];
    let quantized = json(&image("quantize", &[&[float.as_str()], &digits[..], &few[..]].concat()));
    assert_eq!(quantized["accuracy_before"], before["accuracy"], "folded and on the workstation's kernels");
    assert_eq!((&before["evaluator"], number(&quantized, "test_images")), (&"f32".into(), 400.0));
    let (f32_, int8) = (number(&quantized, "accuracy_before"), number(&quantized, "accuracy_after"));
    assert!(f32_ > 75.0 && int8 >= f32_ - 0.5, "{quantized}");
    assert!(number(&quantized, "agreement") >= 98.0, "{quantized}");
    assert_eq!(number(&quantized, "bytes"), std::fs::metadata(&integers).unwrap().len() as f64);
    assert_eq!(quantized["file"], integers.as_str());

    let after = json(&image("evaluate", &[&[integers.as_str()], &digits[..]].concat()));
    assert_eq!((&after["evaluator"], &after["accuracy"]), (&"device".into(), &quantized["accuracy"]));
    // The file holds the threshold.
    assert!((number(&after, "withheld") - number(&quantized, "withheld")).abs() < 1e-9, "{after} {quantized}");
    assert!(number(&after, "accuracy_answered") >= int8, "{after}");

    // Another shift, other ranges, no threshold.
    let options = [
        "--shift",
        "brightness:0.1",
        "--percentile",
        "99.9",
        "--withhold",
        "0",
        "--tolerance",
        "100",
        "--calibration",
        "16",
    ];
    let shifted =
        json(&image("quantize", &[&[float.as_str()], &digits[..], &options[..], &["--out", &again]].concat()));
    assert!(shifted["abstain"].is_null() && number(&shifted, "withheld") == 0.0, "{shifted}");
    let bytes = model_file::read(Path::new(&again)).unwrap();
    let model = Model::open(&bytes).unwrap();
    assert_eq!(model.entry("quantised.shift"), Some("brightness:0.1"));
    assert_eq!(model.entry("accuracy"), Some(format!("{:.2}", number(&shifted, "accuracy")).as_str()));

    // A budget of flash and RAM: this network fits, and has no convolution to transform.
    let room = ["--flash", "64K", "--ram", "16K", "--out", &again];
    let fitting = json(&image("quantize", &[&[float.as_str()], &digits[..], &room[..]].concat()));
    assert_eq!(number(&fitting, "transformed"), 0.0);

    // Mistakes.
    let quantize = |file: &str, rest: &[&str]| image("quantize", &[&[file], rest, &["--out", &again]].concat());
    assert_fails(&quantize(&integers, &["--dataset", "fixture-usps"]), 1, "make it with `image pretrain`");
    assert_fails(&quantize(&path("nowhere"), &["--dataset", "fixture-usps"]), 1, "cannot read");
    assert_fails(&quantize(&float, &["--dataset", "digits"]), 1, "mnist, usps");
    assert_fails(&quantize(&float, &["--dataset", "fixture-usps", "--withhold", "1"]), 2, "less than 1");
    assert_fails(&quantize(&float, &["--dataset", "fixture-usps", "--shift", "fog:1"]), 2, "no shift `fog`");
    assert_fails(&quantize(&float, &["--dataset", "fixture-usps", "--ram", "1K"]), 1, "bytes of RAM, of 1024");
    assert_fails(&quantize(&float, &["--dataset", "fixture-usps", "--flash", "12Q"]), 2, "as `64K` and `1M`");
}

/// The committed file that firmware and tools are tested with. `tests/data/README.md` says how it was made.
#[test]
fn the_committed_digits_are_read() {
    let file: PathBuf = root().join("tests/data/digits-int8.safetensors");
    let bytes = model_file::read(&file).unwrap();
    let model = Model::open(&bytes).unwrap();
    let network = Network::open(&model).unwrap();
    let golden = Golden::open(&model, &network).unwrap().unwrap();
    assert_eq!(golden.replay::<Portable>(&network, &mut vec![0; network.arena()]).unwrap(), (0, 4));
    let measured = json(&image("evaluate", &[file.to_str().unwrap(), "--dataset", "fixture-usps", "--json"]));
    let stated: f64 = model.entry("accuracy").unwrap().parse().unwrap();
    assert!((number(&measured, "accuracy") - stated).abs() < 0.01, "{measured}");
}
