//! Plots by this machine and by a board: the SVG is well-formed, the PNG decodes, the data agree with those of other
//! commands.

mod common;

use common::{boxed, failure, json, root, sirocco};
use serde_json::Value;
use sirocco_tools::device::board::Board;
use sirocco_tools::device::{cargo, qemu};
use sirocco_tools::output::Output;
use std::path::Path;

const PROBLEM: &str = "I0=0.3,R0=0.2,beta=0.6,gamma=0.5";

/// Checks that tags are balanced and attributes are quoted, and returns the texts.
fn well_formed(svg: &str) -> Vec<String> {
    let (mut open, mut texts, mut rest) = (Vec::new(), Vec::new(), svg);
    while let Some(start) = rest.find('<') {
        let text = rest[..start].trim();
        texts.extend((!text.is_empty()).then(|| text.to_owned()));
        let length = rest[start..].find('>').expect("every tag ends");
        let tag = &rest[start + 1..start + length];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        assert!(!tag.contains("NaN") && !tag.contains("inf"), "{tag}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split_whitespace().next().unwrap()),
        }
        rest = &rest[start + length + 1..];
    }
    assert!(open.is_empty(), "{open:?}");
    texts
}

/// Runs `sirocco plot` on a model of one box.
fn plot(arguments: &[&str]) -> std::process::Output {
    let model = boxed();
    sirocco(&[&["plot", model.to_str().unwrap()], arguments].concat())
}

fn points(report: &Value) -> &Vec<Value> {
    report["points"].as_array().unwrap()
}

#[test]
fn a_trajectory_shows_states_errors_and_where_the_domain_ends() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("course.svg");
    let report =
        json(&plot(&["--query", PROBLEM, "--until", "25", "--points", "51", "--out", out.to_str().unwrap(), "--json"]));
    assert_eq!((&report["kind"], &report["system"], points(&report).len()), (&"trajectory".into(), &"sir".into(), 51));
    let svg = std::fs::read_to_string(&out).unwrap();
    let texts = well_formed(&svg);
    let all =
        ["S", "I", "R", "certified error", "outside the domain", "estimated", "bound", "time (days)", "largest error"];
    for text in all {
        assert!(texts.iter().any(|t| t == text), "{text} is not in {texts:?}");
    }
    assert_eq!(svg.matches("<polygon").count(), 3, "a band for each component");
    let at = |t: f64| points(&report).iter().find(|p| p["t"].as_f64().unwrap() == t).unwrap();
    assert_eq!(at(20.0)["certificate"]["in_domain"], true);
    assert_eq!(at(20.5)["certificate"]["in_domain"], false);
    let total: f64 = ["s", "i", "r"].iter().map(|name| at(10.0)["state"][name].as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-5);
    let trust = &at(10.0)["certificate"];
    let value = |key: &str| trust[key].as_f64().unwrap();
    assert!(value("error_bound") >= value("error_estimate") && value("error_bound") < 1e-4, "{trust}");
}

#[test]
fn a_band_without_a_bound_is_not_called_certified() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (root().join("tests/data/sir-quick.safetensors"), folder.path().join("course.svg"));
    let query = "I0=0.9,R0=0.05,beta=2,gamma=0.1";
    let out = out.to_str().unwrap();
    let drawn = sirocco(&["plot", model.to_str().unwrap(), "--query", query, "--until", "50", "--out", out]);
    assert!(drawn.status.success(), "{drawn:?}");
    let texts = well_formed(&std::fs::read_to_string(out).unwrap());
    assert!(texts.iter().any(|text| text == "twice the estimated error"), "{texts:?}");
}

/// A problem that no model covers, by the Runge-Kutta method: a damped oscillator, whose solution is known.
#[test]
fn a_domain_of_ones_own_is_plotted_without_a_model() {
    let domain = "t=0:10,x0=0:2,v0=0:1,delta=0.4:0.4,alpha=2:4,beta=0:1";
    let own = |query: &str| {
        sirocco(&["plot", "--system", "duffing", "--domain", domain, "--query", query, "--points", "41", "--json"])
    };
    let report = json(&own("x0=1,v0=0,alpha=4,beta=0"));
    assert_eq!((&report["system"], points(&report).len()), (&"duffing".into(), 41));
    for point in points(&report) {
        let number = |value: &Value| value.as_f64().unwrap();
        let (t, x) = (number(&point["t"]), number(&point["state"]["x"]));
        // x'' + .4 x' + 4 x = 0
        let frequency = (4.0 - 0.04f64).sqrt();
        let right = (-0.2 * t).exp() * ((frequency * t).cos() + 0.2 / frequency * (frequency * t).sin());
        let estimate = number(&point["certificate"]["error_estimate"]);
        assert!((x - right).abs() <= 3.0 * estimate + 1e-5, "t {t}: {x} for {right}, estimate {estimate}");
        assert!(point["certificate"]["error_bound"].is_null());
    }
    let error = failure(&own("x0=1,v0=0,alpha=4,beta=0,delta=0.5"), 2);
    assert!(error.contains("holds `delta` at 0.4 and has no answer for delta=0.5"), "{error}");
    let both = sirocco(&["plot", boxed().to_str().unwrap(), "--domain", domain, "--query", "x0=1", "--json"]);
    assert_eq!(both.status.code(), Some(2));
    let error = failure(&sirocco(&["plot", "--domain", "t=0:1,delta=0:1", "--query", "I0=1", "--json"]), 2);
    assert!(error.contains("sir has no quantity `delta`; --domain takes t, I0"), "{error}");
}

#[test]
fn a_calibration_shows_observations_fit_and_uncertainty() {
    let folder = tempfile::tempdir().unwrap();
    let (seen, out) = (folder.path().join("seen.csv"), folder.path().join("fit.png"));
    std::fs::write(&seen, "t,component,value\n1,I,0.258\n3,I,0.174\n5,I,0.094\n8,I,0.047\n12,I,0.011\n").unwrap();
    let seen = seen.to_str().unwrap();
    let common = ["--observations", seen, "--sigma", "0.005", "--fix", "I0=0.3,R0=0.2"];
    let report = json(&plot(&[&common[..], &["--out", out.to_str().unwrap(), "--json"]].concat()));
    // Quantities that are not given are estimated.
    assert_eq!(report["estimates"].as_object().unwrap().keys().collect::<Vec<_>>(), ["beta", "gamma"]);
    let model = boxed();
    let calibrate = ["calibrate", "--model", model.to_str().unwrap(), "--free", "beta,gamma", "--json"];
    let other = json(&sirocco(&[&calibrate[..], &common[..]].concat()));
    assert_eq!(report["estimates"]["beta"]["value"], other["estimates"]["beta"]["value"]);
    let last = points(&report).last().unwrap();
    assert_eq!(last["state"]["i"], other["forecast"]["i"]["value"]);
    assert_eq!(last["standard_error"]["i"], other["forecast"]["i"]["standard_error"]);
    assert_eq!(report["observations"].as_array().unwrap().len(), 5);

    let file = std::fs::File::open(&out).unwrap();
    let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (1440, 1160));
    // The curve of I, and the band around it in the same color.
    let count = |color: [u8; 3]| pixels.chunks(4).filter(|p| p[..3] == color).count();
    assert!(count([0xD5, 0x5E, 0x00]) > 1000, "the fitted curve");
    assert!(count([255, 255, 255]) > 1_000_000, "white paper");

    let svg = folder.path().join("fit.svg");
    let data = root().join("tests/data/influenza-boarding-school-1978.csv");
    let counts = [data.to_str().unwrap(), "--population", "763", "--fix", "R0=0.1", "--out", svg.to_str().unwrap()];
    assert!(plot(&[&["--observations"], &counts[..]].concat()).status.success());
    let texts = well_formed(&std::fs::read_to_string(&svg).unwrap());
    for text in ["I fitted", "I observed", "two standard errors", "of 763", "residual (standard deviations)"] {
        assert!(texts.iter().any(|t| t == text), "{text} is not in {texts:?}");
    }
}

#[test]
fn a_table_of_an_outbreak_is_drawn_where_it_counts_people_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("school.csv");
    let table = table.to_str().unwrap();
    assert!(sirocco(&["data", "boarding-school", "--out", table]).status.success());
    let model = root().join("firmware/app/assets/sir.safetensors");
    let common = ["plot", model.to_str().unwrap(), "--observations", table, "--population", "763", "--fix", "R0=0"];
    let drawn = sirocco(&[&common[..], &["--json"]].concat());
    assert!(String::from_utf8_lossy(&drawn.stderr).contains("`in_bed` is read as the number infected"), "{drawn:?}");
    let beta = json(&drawn)["estimates"]["beta"]["value"].as_f64().unwrap();
    assert!((beta - 1.788).abs() < 0.01, "{beta}");
    assert!(sirocco(&["data", "harbin", "--out", table]).status.success());
    let line = failure(&sirocco(&[&common[..], &["--json"]].concat()), 2);
    assert!(line.contains("`deaths` counts deaths") && line.contains("sirocco calibrate"), "{line}");
}

#[test]
fn what_cannot_be_plotted_is_refused() {
    let usage = |arguments: &[&str], reason: &str| {
        let line = failure(&plot(arguments), 2);
        assert!(line.contains(reason), "{line}");
    };
    usage(&["--query", PROBLEM], "--out");
    usage(&["--query", PROBLEM, "--out", "course.gif"], "course.gif");
    usage(&["--query", "I0=0.3", "--out", "course.svg"], "`R0` is missing");
    let line = failure(&sirocco(&["plot", "--query", PROBLEM, "--out", "x.svg"]), 2);
    assert!(line.contains("--port or a model file"), "{line}");
    let line = failure(&plot(&["--query", "I0=2,R0=0.2,beta=0.6,gamma=0.5", "--json"]), 1);
    assert!(line.contains("I0=2") && line.contains("not a problem of this system"), "{line}");
    let line = failure(&plot(&["--query", PROBLEM, "--out", "/no/such/folder/x.svg"]), 1);
    assert!(line.contains("/no/such/folder/x.svg"), "{line}");
    assert!(!Path::new("course.gif").exists());
}

#[test]
fn kept_images_are_shown_by_their_entropy() {
    use sirocco::drift::Reference;
    use sirocco::retain::Sample;
    let sample = |number, entropy, abstained| Sample { number, entropy, class: 3, abstained };
    let samples = [sample(4, 0.2, false), sample(9, 0.7, true), sample(50, 1.1, true)];
    let usual = Some(Reference { mean: 0.1, deviation: 0.2 });
    let figure = sirocco_tools::figure::samples("kept", &samples, Some(0.6), usual, 640);
    let svg = figure.svg();
    let texts = well_formed(&svg);
    for text in ["answered", "withheld", "threshold", "usual: mean and one standard deviation", "50"] {
        assert!(texts.iter().any(|t| t == text), "{text} is not in {texts:?}");
    }
    // Three dots in the legend for each of two kinds, and one for each image.
    assert_eq!((svg.matches("<circle").count(), svg.matches("<polygon").count()), (3 + 3 + 3, 1));
    well_formed(&sirocco_tools::figure::samples("none", &[], None, None, 640).svg());
    let usage = plot(&["--samples", "--json"]);
    assert!(usage.status.code() == Some(2) && String::from_utf8_lossy(&usage.stderr).contains("--port"));
}

#[test]
fn an_image_board_shows_what_it_keeps() {
    let board = Board::find("qemu-mps2-an386").unwrap();
    if qemu::version(qemu::PROGRAM).is_none() || !cargo::has_target(&board.target) {
        return eprintln!("skipped: no emulator or no Rust target here; run `sirocco setup`");
    }
    let model = root().join("tests/data/digits-int8.safetensors");
    let model = model.to_str().unwrap();
    let port = ["--port", "qemu:qemu-mps2-an386"];
    let report = json(&sirocco(&[&["plot", model, "--samples", "--json"], &port[..]].concat()));
    assert_eq!((&report["kind"], &report["images"]), (&"samples".into(), &0.into()));
    assert!(report["samples"].as_array().unwrap().is_empty() && report["drift_alarm"] == false);
    // A bundle keeps no images; an image network has no trajectory.
    let line = failure(&sirocco(&[&["plot", "--samples", "--json"], &port[..]].concat()), 1);
    assert!(line.contains("a solution bundle"), "{line}");
    let line = failure(&sirocco(&[&["plot", model, "--query", PROBLEM, "--json"], &port[..]].concat()), 1);
    assert!(line.contains("image network"), "{line}");
}

#[test]
fn a_board_gives_the_same_data() {
    let board = Board::find("qemu-mps2-an386").unwrap();
    if qemu::version(qemu::PROGRAM).is_none() || !cargo::has_target(&board.target) {
        return eprintln!("skipped: no emulator or no Rust target here; run `sirocco setup`");
    }
    cargo::build(&board, Output { json: false, quiet: true }).unwrap();
    let common = ["--query", PROBLEM, "--until", "30", "--points", "12", "--json"];
    let here = json(&plot(&common));
    let there = json(&plot(&[&common[..], &["--port", "qemu:qemu-mps2-an386"]].concat()));
    assert_eq!(points(&here), points(&there));
    assert!(there["answered_by"].as_str().unwrap().starts_with("qemu-mps2-an386"));
}
