//! The data and shift commands of `sirocco-train`, on the built-in digits and a server of this process.

use sirocco_tests::program::{assert_fails, json, train};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

/// Starts a server that answers every request with status 404.
fn without_files() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                _ = lines.map_while(Result::ok).find(String::is_empty);
                _ = stream.write_all(b"HTTP/1.1 404 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            });
        }
    });
    url
}

#[test]
fn what_cannot_be_fetched_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let get = |sets: &[&str], mirror: &str| {
        train(&[&["data", "get", "--data", data, "--mirror", mirror, "--json"], sets].concat())
    };
    let url = without_files();
    let failed = get(&["usps"], &url);
    assert_fails(&failed, 1, &format!("{url}/usps/zip.train.gz answered with status 404"));
    assert_fails(&get(&["minst"], &url), 1, "there is no data set `minst`");
    assert_eq!(json(&get(&["fixture-mnist"], &url))["files"], serde_json::json!([]));
}

#[test]
fn data_sets_are_shown_by_class_and_by_shift() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (png, svg, cache) = (path("classes.png"), path("shift.svg"), path("cache"));
    let shown = json(&train(&["data", "preview", "fixture-usps", "--per-class", "7", "--out", &png, "--json"]));
    assert_eq!((&shown["images"], shown["rows"].as_array().unwrap().len()), (&70.into(), 10));
    assert!(std::fs::read(&png).unwrap().starts_with(b"\x89PNG"));
    let shift = ["--shift", "embedding:2,3+blur:1", "--shift-cache", &cache];
    let arguments = [&["data", "preview", "fixture-usps", "--out", &svg, "--json"], &shift[..]].concat();
    json(&train(&arguments));
    assert!(std::fs::read_to_string(&svg).unwrap().starts_with("<svg"));
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 1, "the autoencoder is kept");
    let before = std::fs::read(&svg).unwrap();
    json(&train(&arguments));
    assert_eq!(std::fs::read(&svg).unwrap(), before, "and found again");
}

#[test]
fn networks_meet_shifted_images() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (source, target, cache) = (path("source.safetensors"), path("target.safetensors"), path("cache"));
    let shift = ["--shift", "embedding:2,600", "--shift-cache", &cache, "--json"];
    let trained = ["image", "pretrain", "--dataset", "fixture-usps", "--steps", "400", "--patience", "3"];
    let looks = ["--validation", "100", "--look-every", "20", "--out", &source, "--json"];
    let trained = json(&train(&[&trained[..], &looks].concat()));
    let early = &trained["early_stopping"];
    assert_eq!(early["steps"], trained["steps"]);
    assert!(early["best_step"].as_u64().unwrap() <= early["steps"].as_u64().unwrap(), "{trained}");
    let evaluate = |file: &str, rest: &[&str]| {
        json(&train(&[&["image", "evaluate", file, "--dataset", "fixture-usps"], rest].concat()))["accuracy"]
            .as_f64()
            .unwrap()
    };
    let (plain, shifted) = (evaluate(&source, &["--json"]), evaluate(&source, &shift));
    let finetune = ["image", "finetune", "--from", &source, "--target", "fixture-usps", "--fraction", "0.5"];
    let rest = ["--validation", "100", "--steps", "150", "--rounds", "2", "--out", &target];
    let adapted = json(&train(&[&finetune[..], &rest, &shift].concat()));
    eprintln!("plain {plain}, shifted {shifted}, adapted {}", adapted["accuracy"]);
    assert!(plain > 80.0 && shifted < plain - 5.0, "{plain} {shifted}");
    assert!(adapted["accuracy"].as_f64().unwrap() > shifted + 5.0, "{adapted}");
    assert_eq!(evaluate(&target, &shift), adapted["accuracy"].as_f64().unwrap(), "the same shift");
}
