//! The trainer through its command line: train, resume, finetune, evaluate, quantize, and every way to fail.

use sirocco_tests::program::{assert_fails, json, train, trainer};
use sirocco_tests::tolerance as tol;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder that is removed after the test, and paths in it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Folder(TempDir::new().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().into()
    }
}

fn bundle(command: &str, rest: &[&str]) -> Output {
    train(&[&["bundle", command], rest].concat())
}

fn number(value: &serde_json::Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no number `{key}` in {value}"))
}

#[test]
fn one_epidemic_is_solved_to_single_precision() {
    let folder = Folder::new();
    let out = folder.text("single.safetensors");
    let result = json(&bundle("train", &["--preset", "sir-single", "--optimizer", "lm", "--out", &out, "--json"]));
    assert!(number(&result, "logloss") <= tol::SIR_SINGLE_LOGLOSS, "{result}");
    assert!(number(&result, "max_error") <= tol::SIR_SINGLE_MAX, "{result}");
    for key in ["rms_error", "parameters", "macs", "iterations", "seconds"] {
        assert!(number(&result, key) > 0.0, "{result}");
    }
    assert_eq!(result["file"], out.as_str());
    assert!(Path::new(&out).is_file());
}

#[test]
fn a_bundle_goes_the_whole_way() {
    let folder = Folder::new();
    let (full, integers) = (folder.text("full.safetensors"), folder.text("full-i16.safetensors"));
    let (shifted, scratch) = (folder.text("shifted.safetensors"), folder.text("scratch.safetensors"));
    let options = ["--preset", "sir-full", "--hidden", "16,16", "--iterations", "300", "--json", "--quiet"];
    let trained = json(&bundle("train", &[&options[..], &["--out", &full]].concat()));
    assert!(number(&trained, "max_error") <= tol::SIR_FULL_REDUCED_MAX, "{trained}");
    assert!(number(&trained, "rms_error") <= tol::SIR_FULL_REDUCED_RMS, "{trained}");
    assert_eq!(number(&trained, "parameters"), 353.0);
    assert_eq!(number(&trained, "macs"), 320.0);

    let measured = json(&bundle("evaluate", &[&full, "--json"]));
    assert_eq!(measured["max_error"], trained["max_error"], "the same bytes, the same queries");

    let quantized = json(&bundle("quantize", &[&full, "--scheme", "i16", "--out", &integers, "--json"]));
    let (before, after) = (number(&quantized, "max_error_before"), number(&quantized, "max_error_after"));
    assert_eq!(before, number(&trained, "max_error"));
    assert!(after <= 3.0 * before + tol::I16_EXTRA, "{quantized}");
    assert!(number(&quantized, "bytes") > 0.0);

    let quantized = json(&bundle("quantize", &[&full, "--scheme", "i8i16", "--out", &integers, "--json", "--quiet"]));
    assert!(number(&quantized, "max_error_after") <= 3.0 * before + tol::I16_EXTRA, "{quantized}");
    assert!(number(&quantized, "bytes") < number(&quantized, "bytes_before") - 200.0, "{quantized}");

    let few = ["--preset", "sir-full-shifted", "--iterations", "10", "--json", "--quiet"];
    let finetuned = json(&bundle("finetune", &[&few[..], &["--from", &full, "--out", &shifted]].concat()));
    let afresh = json(&bundle("train", &[&few[..], &["--hidden", "16,16", "--out", &scratch]].concat()));
    assert!(number(&finetuned, "logloss") < number(&afresh, "logloss") - 3.0, "{finetuned} {afresh}");
}

#[test]
fn one_network_answers_for_every_epidemic() {
    let folder = Folder::new();
    let out = folder.text("sir.safetensors");
    let trained = json(&bundle("train", &["--preset", "sir", "--iterations", "2000", "--out", &out, "--json"]));
    assert_eq!((&trained["form"], number(&trained, "parameters")), (&"phase".into(), 73.0));
    assert!(number(&trained, "max_error") <= 1.5e-6, "{trained}");
    let measured = json(&bundle("evaluate", &[&out, "--queries", "2000", "--json"]));
    let certificate = &measured["certificate"];
    assert_eq!((number(certificate, "refused"), number(certificate, "flagged")), (0.0, 0.0), "{measured}");
    assert!(number(certificate, "max_corrected_error") < 8e-7, "{measured}");
    assert_fails(
        &bundle("finetune", &["--from", &out, "--preset", "sir", "--out", &out]),
        2,
        "answers for every domain",
    );
    let adam = bundle("train", &["--preset", "sir", "--optimizer", "adam", "--form", "phase", "--out", &out]);
    assert_fails(&adam, 2, "trained by lm");
    assert_fails(&bundle("quantize", &[&out, "--scheme", "i16", "--out", &out]), 2, "computes in f32");
    let curves = ["study", "curves", "--model", &out, "--out", &folder.text("study")];
    assert_fails(&train(&[&["bundle"], &curves[..]].concat()), 2, "does not train on");
}

#[test]
fn certificates_hold_inside_and_outside_the_domain() {
    let folder = Folder::new();
    let out = folder.text("full.safetensors");
    // Few iterations leave an error well above rounding, for the certificate to estimate.
    bundle("train", &["--preset", "sir-full", "--iterations", "40", "--quiet", "--out", &out]);
    let measured = json(&bundle("evaluate", &[&out, "--queries", "2000", "--json"]));
    for certificate in [&measured["certificate"], &measured["certificate"]["outside"]] {
        assert_eq!(number(certificate, "covered"), 1.0, "{measured}");
        assert!(number(certificate, "estimate_covered") >= tol::ESTIMATE_COVERED, "{measured}");
        assert!(number(certificate, "median_ratio") <= tol::CERTIFICATE_RATIO, "{measured}");
        assert!((number(certificate, "median_estimate_ratio") - 1.0).abs() <= tol::ESTIMATE_RATIO, "{measured}");
        assert!(number(certificate, "max_corrected_error") < number(certificate, "max_error"), "{measured}");
    }
    assert_eq!(number(&measured["certificate"], "flagged"), 0.0, "{measured}");
    assert_eq!(number(&measured["certificate"]["outside"], "flagged"), 1.0, "{measured}");
}

#[test]
fn certificates_are_tight_where_the_error_is_rounding() {
    let folder = Folder::new();
    let file = sirocco_tests::program::root().join("tests/data/sir-full.safetensors");
    let file = file.to_str().unwrap();
    let integers = folder.text("integers.safetensors");
    bundle("quantize", &[file, "--scheme", "i16", "--out", &integers, "--json"]);
    for file in [file, &integers] {
        let measured = json(&bundle("evaluate", &[file, "--queries", "2000", "--json"]));
        let certificate = &measured["certificate"];
        assert_eq!(number(certificate, "covered"), 1.0, "{measured}");
        assert!(number(certificate, "median_ratio") <= tol::CERTIFICATE_RATIO, "{measured}");
        assert!(number(certificate, "max_corrected_error") <= tol::CORRECTED, "{measured}");
    }
}

#[test]
fn the_generic_form_learns_and_conserves_the_total() {
    let folder = Folder::new();
    let out = folder.text("generic.safetensors");
    let options = ["--preset", "sir-full", "--form", "generic", "--hidden", "12,12", "--iterations", "60"];
    let trained = json(&bundle("train", &[&options[..], &["--out", &out, "--json"]].concat()));
    assert_eq!(trained["form"], "conserved");
    assert!(number(&trained, "max_error") <= 0.05, "{trained}");
    let bytes = sirocco_trainer::host::model_file::read(Path::new(&out)).unwrap();
    let bundle = sirocco::bundle::Bundle::open(&bytes).unwrap();
    for query in bundle.probes(0).take(200) {
        if let Ok(state) = bundle.state(&query) {
            assert!((state.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{query:?} {state:?}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_file_whatever_the_threads() {
    let folder = Folder::new();
    let files = ["a", "b", "c"].map(|name| folder.text(name));
    let options = ["--preset", "sir-initial", "--iterations", "20", "--quiet", "--out"];
    json(&bundle("train", &[&options[..], &[&files[0], "--seed", "5", "--threads", "1", "--json"]].concat()));
    json(&bundle("train", &[&options[..], &[&files[1], "--seed", "5", "--threads", "2", "--json"]].concat()));
    json(&bundle("train", &[&options[..], &[&files[2], "--seed", "6", "--json"]].concat()));
    let bytes = files.map(|file| std::fs::read(file).unwrap());
    assert!(bytes[0] == bytes[1], "threads must not change the result");
    assert!(bytes[0] != bytes[2], "another seed is another network");
}

#[test]
fn a_resumed_run_continues_bit_for_bit() {
    let folder = Folder::new();
    let (whole, parts, checkpoint) = (folder.text("whole"), folder.text("parts"), folder.text("checkpoint"));
    let run = |iterations: &str, out: &str, more: &[&str]| {
        let options = ["--preset", "sir-full", "--hidden", "8,8", "--quiet", "--json", "--iterations", iterations];
        json(&bundle("train", &[&options[..], &["--out", out], more].concat()))
    };
    run("60", &whole, &[]);
    run("30", &parts, &["--checkpoint", &checkpoint]);
    run("60", &parts, &["--checkpoint", &checkpoint, "--resume"]);
    assert!(std::fs::read(&whole).unwrap() == std::fs::read(&parts).unwrap());

    let other = bundle(
        "train",
        &["--preset", "sir-full", "--hidden", "9,9", "--out", &parts, "--checkpoint", &checkpoint, "--resume"],
    );
    assert_fails(&other, 1, &checkpoint);
    let mut damaged = std::fs::read(&checkpoint).unwrap();
    damaged.truncate(100);
    std::fs::write(&checkpoint, damaged).unwrap();
    let options = ["--preset", "sir-full", "--hidden", "8,8", "--out", &parts, "--checkpoint", &checkpoint, "--resume"];
    assert_fails(&bundle("train", &options), 1, &checkpoint);
}

/// Trainings of both kinds are killed (SIGKILL) at random moments, 6 times in all or as often as SIROCCO_KILLS says, and resumed each
/// time from whatever the checkpoint holds. In the end their files are those of unbroken runs.
#[test]
fn killed_trainings_end_in_the_file_of_an_unbroken_one() {
    let kills = std::env::var("SIROCCO_KILLS").ok().map_or(6, |text| text.parse::<u64>().unwrap());
    let bundle = ["bundle", "train", "--preset", "sir-full", "--hidden", "8,8", "--iterations", "150"];
    let image = ["image", "pretrain", "--dataset", "fixture-mnist", "--network", "lenet16", "--steps", "150"];
    for (kind, options, kills) in [("bundle", bundle, kills.div_ceil(2)), ("image", image, kills / 2)] {
        let folder = Folder::new();
        let (whole, parts, checkpoint) = (folder.text("whole"), folder.text("parts"), folder.text("checkpoint"));
        let started = Instant::now();
        json(&train(&[&options[..], &["--quiet", "--json", "--out", &whole]].concat()));
        let unbroken = started.elapsed();
        let resumed = || {
            let often =
                ["--quiet", "--json", "--checkpoint-every", "0.05", "--checkpoint", &checkpoint, "--out", &parts];
            let mut command = Command::new(trainer());
            command.args(options).args(often).args(Path::new(&checkpoint).exists().then_some("--resume"));
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let (mut killed, mut random) = (0, 0x9E37_79B9_7F4A_7C15u64);
        for kill in 0..kills {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(kill | 1);
            // A run that has ended begins again, so that every kill meets one at work.
            if Path::new(&parts).exists() {
                assert_eq!(std::fs::read(&parts).unwrap(), std::fs::read(&whole).unwrap(), "{kind}, {kill} kills");
                std::fs::remove_file(&parts).unwrap();
                std::fs::remove_file(&checkpoint).unwrap();
            }
            let mut child = resumed().spawn().unwrap();
            std::thread::sleep(unbroken.mul_f64(0.02 + 0.5 * (random >> 40) as f64 / (1u64 << 24) as f64));
            child.kill().unwrap();
            killed += u32::from(!child.wait().unwrap().success());
        }
        assert!(resumed().status().unwrap().success());
        assert!(
            std::fs::read(&parts).unwrap() == std::fs::read(&whole).unwrap(),
            "{kind}: another file after {kills} kills"
        );
        println!("{kind}: {killed} of {kills} runs killed before their end, {:.1} s unbroken", unbroken.as_secs_f64());
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_best_weights() {
    use std::io::Read;
    let folder = Folder::new();
    let (out, checkpoint) = (folder.text("out.safetensors"), folder.path("checkpoint"));
    // A run far longer than the test, interrupted as soon as it has written its first checkpoint.
    let options = ["--preset", "sir-field", "--seconds", "600", "--quiet", "--json", "--out", &out, "--checkpoint"];
    let mut child = Command::new(trainer())
        .args(["bundle", "train"])
        .args(options)
        .arg(&checkpoint)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !checkpoint.is_file() && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    let result: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(result["ending"], "interrupted");
    json(&bundle("evaluate", &[&out, "--queries", "10", "--json"]));
}

#[test]
fn failures_are_one_line_with_a_remedy() {
    let folder = Folder::new();
    let missing = folder.text("missing.safetensors");
    assert_fails(&bundle("evaluate", &[&missing]), 1, &missing);
    let garbage = folder.text("garbage");
    std::fs::write(&garbage, [7; 100]).unwrap();
    assert_fails(&bundle("evaluate", &[&garbage]), 1, &garbage);
    let nowhere = folder.text("no/such/folder/out.safetensors");
    assert_fails(&bundle("train", &["--preset", "sir-single", "--out", &nowhere]), 1, "no/such/folder");
    assert_fails(&bundle("train", &["--preset", "sir-fall", "--out", &missing]), 2, "sir-full");
    assert_fails(&bundle("train", &["--preset", "sir-full", "--hidden", "16,x", "--out", &missing]), 2, "16,16");
    assert_fails(&bundle("train", &["--preset", "sir-full", "--hidden", "1000", "--out", &missing]), 2, "64");
    assert_fails(&bundle("train", &["--preset", "sir-full", "--seconds=-1", "--out", &missing]), 2, "positive");
    assert_fails(&bundle("quantize", &[&missing, "--scheme", "i3", "--out", &garbage]), 2, "i16");
    assert!(!Path::new(&missing).exists());
}

#[test]
fn help_teaches() {
    for command in [&["--help"][..], &["bundle", "train", "--help"], &["bundle", "evaluate", "--help"]] {
        let output = train(command);
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("Examples:"), "{command:?}");
    }
}
