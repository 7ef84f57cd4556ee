//! Networks of other programs: the references of MLPerf Tiny, where their files lie beside the clone, and a small file of our
//! own everywhere.

use flate2::read::GzDecoder;
use serde_json::Value;
use sirocco::image::Network;
use sirocco::layer::kernel::Portable;
use sirocco::model::Model;
use sirocco_tests::fixture::imported;
use sirocco_tests::program::{self, root};
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use tar::Archive;

/// What the closed division asks of ResNet-8 on its 200 images.
const TARGET: f64 = 0.85;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data")
}

fn unpacked(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = vec![];
    GzDecoder::new(std::fs::File::open(path).ok()?).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The 200 images of the accuracy set, channels last, with their classes; `None` if they are not beside the clone.
fn accuracy_set() -> Option<Vec<(Vec<u8>, usize)>> {
    let labels = std::fs::read_to_string(data().join("mlperf-tiny/ic01_y_labels.csv")).ok()?;
    let order = String::from_utf8(unpacked(&data().join("cifar-10/record-order.txt.gz"))?).unwrap();
    let places: HashMap<&str, (&str, usize)> = order
        .lines()
        .map(|line| {
            let [batch, record, name] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            (name.rsplit('/').next().unwrap(), (batch, record.parse().unwrap()))
        })
        .collect();
    let archive = unpacked(&data().join("cifar-10/cifar-10-binary.tar.gz"))?;
    let mut batches: HashMap<String, Vec<u8>> = HashMap::new();
    for entry in Archive::new(&archive[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let mut bytes = vec![];
        entry.read_to_end(&mut bytes).unwrap();
        batches.insert(name, bytes);
    }
    let image = |line: &str| {
        let [name, _, class] = line.trim().split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (batch, record) = places[name.replace(".bin", ".png").as_str()];
        let record = &batches[batch][record * 3073..][..3073];
        let class: usize = class.parse().unwrap();
        assert_eq!(usize::from(record[0]), class, "{name}");
        ((0..3072).map(|k| record[1 + k % 3 * 1024 + k / 3]).collect(), class)
    };
    Some(labels.lines().map(image).collect())
}

#[test]
fn resnet8_reaches_the_target_of_mlperf_tiny() {
    let (Some(resnet), Some(images)) = (imported("pretrainedResnet_quant"), accuracy_set()) else {
        return println!("skipped: the references of MLPerf Tiny and CIFAR-10 are not beside the clone");
    };
    let model = Model::open(&resnet.bytes).unwrap();
    let network = Network::open(&model).unwrap();
    let mut arena = vec![0; network.arena()];
    let right =
        |(image, class): &&(Vec<u8>, usize)| network.classify::<Portable>(image, &mut arena).unwrap().class == *class;
    let share = images.iter().filter(right).count() as f64 / images.len() as f64;
    println!("{:.1} % of {} images", 100.0 * share, images.len());
    assert!(images.len() == 200 && share >= TARGET, "{share}");
}

#[test]
fn all_references_of_mlperf_tiny_are_imported() {
    for (name, image, outputs, values) in [
        ("pretrainedResnet_quant", "32x32x3", 10, false),
        ("kws_ref_model", "49x10x1", 12, false),
        ("vww_96_int8", "96x96x3", 2, false),
        ("ad01_int8", "1x640x1", 640, true),
    ] {
        let Some(network) = imported(name) else {
            println!("skipped: {name} is not beside the clone");
            continue;
        };
        let model = Model::open(&network.bytes).unwrap();
        let opened = Network::open(&model).unwrap();
        assert_eq!(opened.image().to_string(), image);
        let counts = if values { (0, outputs) } else { (outputs, 0) };
        assert_eq!((opened.class_count(), opened.value_count()), counts, "{name}");
        if values {
            // An autoencoder of sounds is less surprised by silence than by noise.
            let error = |image: Vec<u8>| {
                let mut arena = vec![0; opened.arena()];
                let outputs = opened.values::<Portable>(&image, &mut arena).unwrap().to_vec();
                opened.reconstruction_error(&image, &outputs).unwrap()
            };
            let (even, noise) = (error(vec![150; 640]), error((0..640).map(|k| (k * 181 % 251) as u8).collect()));
            assert!(even < noise && even > 0.0, "{even} {noise}");
        }
    }
}

#[test]
fn a_file_is_imported_by_command() {
    let folder = tempfile::tempdir().unwrap();
    let (images, outputs, out) =
        (folder.path().join("images"), folder.path().join("outputs"), folder.path().join("small.safetensors"));
    std::fs::write(&images, [100; 3 * 60]).unwrap();
    let file = root().join("tests/data/small.tflite");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let arguments = ["image", "import", &text(&file), "--classes", "a,b,c,d", "--images", &text(&images), "--outputs"];
    let mut arguments = arguments.map(str::to_owned).to_vec();
    arguments.extend([text(&outputs), "--out".into(), text(&out), "--json".into()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let report: Value = program::json(&program::train(&arguments));
    assert_eq!((&report["outputs"], &report["images"], &report["nodes"]), (&4.into(), &3.into(), &5.into()));
    let answers = std::fs::read(&outputs).unwrap();
    assert_eq!(answers.len(), 3 * 4 * 4);
    assert_eq!(answers[..16], answers[16..32]);
    let bytes = sirocco_trainer::host::model_file::read(&out).unwrap();
    let model = Model::open(&bytes).unwrap();
    assert_eq!(Network::open(&model).unwrap().classes().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
}
