//! Training of image networks through the program, on the built-in digits: augmentation, averaging, a teacher, the log, and a run
//! that is stopped and resumed.

use sirocco_tests::markup::assert_well_formed;
use sirocco_tests::program::{assert_fails, json, train};

/// Everything that a recipe can have; 15 epochs of 450 images.
const RECIPE: [&str; 22] = [
    "--dataset",
    "fixture-mnist",
    "--epochs",
    "15",
    "--batch",
    "32",
    "--rate",
    "2e-3",
    "--schedule",
    "cosine",
    "--warm-up",
    "20",
    "--smoothing",
    "0.05",
    "--average",
    "0.95",
    "--augment",
    "affine,contrast,noise:0.05,cutout:3,mixup:0.1",
    "--class-weights",
    "balanced",
    "--json",
    "--quiet",
];

#[test]
#[cfg(unix)]
fn a_training_that_was_stopped_ends_with_the_same_files() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let teacher = path("teacher.safetensors");
    let taught = ["image", "pretrain", "--dataset", "fixture-mnist", "--steps", "200", "--out", &teacher, "--json"];
    json(&train(&taught));
    let arguments = |name: &str| {
        let own = ["--out", "--log", "--checkpoint"].into_iter().zip(["safetensors", "csv", "checkpoint"]);
        let own = own.flat_map(|(option, ending)| [option.to_owned(), path(&format!("{name}.{ending}"))]);
        let all = ["image", "pretrain", "--teacher", &teacher].into_iter().chain(RECIPE).map(str::to_owned);
        all.chain(own).collect::<Vec<String>>()
    };
    let run = |name: &str, rest: &[&str]| {
        let arguments = arguments(name);
        train(&arguments.iter().map(String::as_str).chain(rest.iter().copied()).collect::<Vec<_>>())
    };
    let whole = json(&run("whole", &[]));
    assert!(whole["accuracy"].as_f64().unwrap() > 80.0, "{whole}");

    let mut child =
        Command::new(sirocco_tests::program::trainer()).args(arguments("parts")).stdout(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while !folder.path().join("parts.csv").is_file() && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130), "stopped before its end");
    assert_fails(&run("parts", &["--smoothing", "0.2"]), 2, "--smoothing");
    let parts = json(&run("parts", &["--resume"]));
    assert_eq!(parts["steps"], whole["steps"]);
    for ending in ["safetensors", "csv", "svg"] {
        let read = |name: &str| std::fs::read(folder.path().join(format!("{name}.{ending}"))).unwrap();
        assert!(read("whole") == read("parts"), "{ending}");
    }
    let log = std::fs::read_to_string(path("whole.csv")).unwrap();
    assert_eq!(log.lines().count(), 16, "{log}");
    assert!(log.starts_with("epoch,step,loss,rate,held_out_accuracy\n"), "{log}");
    assert_well_formed("whole.svg", &std::fs::read_to_string(path("whole.svg")).unwrap());
    // Another recipe is another run.
    let mut other = arguments("parts");
    other.push("--resume".into());
    let at = other.iter().position(|argument| argument == "0.95").unwrap();
    other[at] = "0.9".into();
    assert_fails(&train(&other.iter().map(String::as_str).collect::<Vec<_>>()), 1, "average 0.9");
}

#[test]
fn help_lists_recipes_and_augmentations_and_mistakes_name_the_nearest() {
    for command in ["pretrain", "finetune"] {
        let help = train(&["image", command, "--help"]);
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        for listed in ["photographs", "crop:4", "mixup:0.2", "--teacher", "--class-weights"] {
            assert!(help.contains(listed), "{command}: {listed}");
        }
    }
    let pretrain = ["image", "pretrain", "--dataset", "fixture-mnist", "--out", "none"];
    let wrong = |rest: &[&str]| train(&[&pretrain[..], rest].concat());
    assert_fails(&wrong(&["--augment", "flip,corp:2"]), 2, "did you mean `crop`?");
    assert_fails(&wrong(&["--steps", "10", "--epochs", "2"]), 2, "--epochs");
    assert_fails(&wrong(&["--temperature", "2"]), 2, "--teacher");
    let folder = tempfile::tempdir().unwrap();
    let teacher = folder.path().join("teacher.safetensors").display().to_string();
    let made = ["image", "pretrain", "--network", "thesis-mlp", "--dataset", "fixture-mnist", "--steps", "1"];
    json(&train(&[&made[..], &["--out", &teacher, "--json"]].concat()));
    assert_fails(&wrong(&["--teacher", &teacher]), 2, "give one of the same size and classes");
}
