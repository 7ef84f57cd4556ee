//! How far the answers of image networks can be trusted, through the command line: what is withheld, what raises an alarm, what
//! finetuning and recalibration say of themselves. On the digits inside the program, and on MNIST where it is beside the clone.

use serde_json::Value;
use sirocco::retain::Sample;
use sirocco_tests::program::{assert_fails, json, train};
use sirocco_tools::input::sample_files::{self, Fetched};
use sirocco_trainer::dataset::{self, Folder, Split};
use sirocco_trainer::image::answers::image_bytes;
use std::path::Path;

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no number `{key}` in {value}"))
}

fn learn(arguments: &[&str]) -> Value {
    json(&train(&[arguments, &["--json", "--quiet"]].concat()))
}

/// The folder of the real data, and the options that name it.
fn real() -> Option<[String; 2]> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    folder.join("mnist").is_dir().then(|| ["--data".to_owned(), folder.display().to_string()])
}

#[test]
fn as_many_answers_are_withheld_as_asked_and_shifted_images_raise_the_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (network, file, page) = (path("f32.safetensors"), path("i8.safetensors"), path("trust.html"));
    let real = real();
    let set = if real.is_some() { "mnist" } else { "fixture-mnist" };
    eprintln!("measured on {set}");
    let data: Vec<&str> = real.iter().flatten().map(String::as_str).collect();
    let (steps, validation) = if real.is_some() { ("600", "3000") } else { ("400", "200") };
    let pretrain = ["image", "pretrain", "--dataset", set, "--steps", steps, "--validation", validation];
    learn(&[&pretrain[..], &["--out", &network], &data].concat());
    let asked = if real.is_some() { "0.05" } else { "0.1" };
    let quantize = ["image", "quantize", &network, "--dataset", set, "--withhold", asked, "--coverage", "0.9"];
    let more = ["--tolerance", "1", "--report", &page, "--out", &file];
    let quantized = learn(&[&quantize[..], &more, &data].concat());
    let (held, tested) = (number(&quantized, "held_out_images"), number(&quantized, "test_images"));
    assert_eq!(held.to_string(), validation);
    // Three standard errors of a share that held-out images fix and test images measure.
    let error = |share: f64| 300.0 * (share * (1.0 - share) * (1.0 / held + 1.0 / tested)).sqrt();
    let share: f64 = asked.parse().unwrap();
    let withheld = number(&quantized, "withheld");
    assert!((withheld - 100.0 * share).abs() < error(share), "{withheld} % of {asked}");
    let coverage = 100.0 * number(&quantized["sets"], "coverage");
    assert!(coverage > 90.0 - error(0.9), "{quantized}");
    assert!(number(&quantized, "accuracy_answered") > number(&quantized, "accuracy"), "{quantized}");
    // Of 200 test images in 15 bins, chance alone gives several points.
    let most = if real.is_some() { 0.05 } else { 0.15 };
    assert!(number(&quantized, "ece") < most && quantized["risk_coverage"].as_array().unwrap().len() == 100);
    assert!(std::fs::read_to_string(&page).unwrap().contains("<svg"), "the curve is in the page");

    let streams = |shift: &str| {
        let evaluate = ["image", "evaluate", &file, "--dataset", set, "--streams", "200", "--shift", shift];
        let report = learn(&[&evaluate[..], &data].concat());
        (report["streams"].clone(), number(&report, "withheld"), number(&report, "accuracy_answered"))
    };
    let (clean, ..) = streams("none");
    eprintln!("clean: {clean}");
    assert!(number(&clean, "alarms_per_10_000") <= 1.0, "{clean}");
    for shift in ["contrast:-1", "awgn:0,0.5", "blur:1.5"] {
        let (noticed, withheld, answered) = streams(shift);
        eprintln!("{shift}: {withheld:.1} % withheld, {answered:.1} % of the others right; {noticed}");
        // A few hundred held-out images are less to go by than a few thousand.
        let within = if real.is_some() || shift == "contrast:-1" { "within_32" } else { "within_256" };
        assert!(number(&noticed, within) >= 99.0, "{shift}: {noticed}");
    }
}

/// A folder of samples, as `sirocco samples fetch` writes it: the first digits of the USPS fixture, labeled as `label` says.
fn samples(folder: &Path, count: usize, label: impl Fn(u8) -> u8) {
    let images = dataset::find("fixture-usps").unwrap().load(&Folder::named(None), Split::Train).unwrap();
    let of = |number| Sample { number, entropy: 1.0, class: 0, abstained: false };
    let kept: Vec<Sample> = (1..=count as u32).map(of).collect();
    let bytes: Vec<Vec<u8>> = (0..count).map(|k| image_bytes(images.image(k), 1)).collect();
    let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
    let (shape, board) = ([16, 16, 1], "test");
    let fetched = Fetched { shape, classes: &classes, samples: &kept, images: &bytes, board, crc32: 7 };
    sample_files::write(folder, &fetched).unwrap();
    let table = folder.join(sample_files::TABLE);
    let text = std::fs::read_to_string(&table).unwrap();
    let rows = text.lines().enumerate().map(|(k, row)| match k {
        0 => row.to_owned(),
        k => format!("{row}{}", label(images.labels[k - 1])),
    });
    std::fs::write(&table, rows.collect::<Vec<_>>().join("\n")).unwrap();
}

#[test]
fn samples_do_not_cost_what_the_network_knew_and_every_label_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (network, out) = (path("network.safetensors"), path("field.safetensors"));
    learn(&["image", "pretrain", "--dataset", "fixture-mnist", "--steps", "400", "--out", &network]);
    let ones = folder.path().join("ones");
    samples(&ones, 8, |_| 1);
    let ones = ones.display().to_string();
    let finetune = ["image", "finetune", "--from", &network, "--samples", &ones, "--steps", "100", "--out", &out];
    let replayed = learn(&finetune);
    assert_eq!((&replayed["replay"], &replayed["labels_of_samples"]), (&"fixture-mnist".into(), &8.into()));
    assert_eq!(number(&replayed, "labels_seen"), 8.0 + number(&replayed, "labels_of_replay"));
    assert!(number(&replayed, "labels_of_replay") > 500.0, "{replayed}");
    assert!(replayed["warnings"][0].as_str().unwrap().contains("carry the label `1`"), "{replayed}");
    assert!(number(&replayed, "replay_after") > number(&replayed, "replay_before") - 5.0, "{replayed}");
    assert!(replayed["accuracy"].is_null(), "{replayed}");
    let text = train(&[&finetune[..], &["--quiet"]].concat());
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(!text.contains("NaN") && text.contains("warning: all 8 samples"), "{text}");
    let alone = learn(&[&finetune[..], &["--replay", "none", "--target", "fixture-mnist"]].concat());
    eprintln!("replayed: {replayed}\npulled back: {alone}");
    assert!(alone["replay"].is_null() && number(&alone, "labels_seen") == 8.0, "{alone}");
    assert!(number(&alone, "target_after") > 50.0, "{alone}");
}

#[test]
fn scores_name_the_image_in_its_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (network, out, scores) = (path("network.safetensors"), path("out.safetensors"), path("scores.csv"));
    learn(&["image", "pretrain", "--dataset", "fixture-mnist", "--steps", "20", "--out", &network]);
    let finetune = ["image", "finetune", "--from", &network, "--target", "fixture-usps", "--validation", "100"];
    learn(&[&finetune[..], &["--steps", "2", "--rounds", "1", "--scores", &scores, "--out", &out]].concat());
    let images = dataset::find("fixture-usps").unwrap().load(&Folder::named(None), Split::Train).unwrap();
    let text = std::fs::read_to_string(&scores).unwrap();
    let mut rows = text.lines();
    assert_eq!(rows.next(), Some("choice,dataset,split,index,label,score,place"));
    let mut seen = std::collections::BTreeSet::new();
    for row in rows {
        let fields: Vec<&str> = row.split(',').collect();
        assert_eq!(fields[..3], ["0", "fixture-usps", "train"]);
        let index: usize = fields[3].parse().unwrap();
        assert_eq!(fields[4], images.labels[index].to_string(), "image {index} of the data set");
        assert!(seen.insert(index), "image {index} twice");
    }
    assert_eq!(seen.len(), 500);
}

#[test]
fn recalibration_writes_nothing_worse_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (network, out) = (path("network.safetensors"), path("out.safetensors"));
    let pretrain = ["image", "pretrain", "--network", "thesis-digits", "--dataset", "fixture-mnist"];
    learn(&[&pretrain[..], &["--steps", "60", "--out", &network]].concat());
    for shift in ["none", "blur:2"] {
        let recalibrate = ["image", "recalibrate", "--from", &network, "--target", "fixture-usps", "--shift", shift];
        let forced = learn(&[&recalibrate[..], &["--force", "--out", &out]].concat());
        let (before, after) = (number(&forced, "held_out_before"), number(&forced, "held_out_after"));
        eprintln!("{shift}: {before} % before, {after} % after");
        std::fs::remove_file(&out).unwrap();
        let output = train(&[&recalibrate[..], &["--out", &out, "--json"]].concat());
        if after < before {
            assert_fails(&output, 1, "--force");
            assert!(!Path::new(&out).exists());
        } else {
            assert_eq!(number(&json(&output), "held_out_after"), after);
        }
    }
}
