//! The rules of the command line, tested without a device: exit status, one line for an error, keys of JSON.

mod common;

use common::{boxed, built_in, failure, json, sirocco};
use sirocco_tools::device::board::Board;
use sirocco_tools::device::{cargo, qemu};

#[test]
fn inspect_shows_everything_about_a_good_file() {
    let path = built_in();
    let report = json(&sirocco(&["inspect", path.to_str().unwrap(), "--json"]));
    assert_eq!(report["bytes"], std::fs::metadata(&path).unwrap().len());
    assert_eq!(report["memory"]["flash_bytes"], report["bytes"]);
    for key in ["header_bytes", "metadata", "tensors", "domain", "layers", "golden"] {
        assert!(!report[key].is_null(), "{key}");
    }
    assert_eq!(report["domain"].as_object().unwrap().len(), 5);
    let text = sirocco(&["inspect", path.to_str().unwrap()]);
    assert!(text.status.success() && String::from_utf8_lossy(&text.stdout).contains("verified"));
}

#[test]
fn inspect_refuses_damaged_files_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read(built_in()).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let long = [good.as_slice(), &[0]].concat();
    // As another program writes it: without the checksum.
    let header = br#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let saved = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 8]].concat();
    let cases: [(&str, &[u8], &str); 10] = [
        ("short", &good[..good.len() / 2], "truncated"),
        ("flipped", &flipped, "checksum"),
        ("long", &long, "follow the last tensor"),
        ("noise", &[0xff; 64], "header"),
        ("empty", &[], "empty is empty; copy it again"),
        ("text", b"this is no model file at all", "text is a text; take a model file"),
        ("pointer", b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull`"),
        ("page", b"<!DOCTYPE html>", "is a web page; download the file itself"),
        ("network.pt", b"PK\x03\x04\0\0", "is a ZIP archive"),
        ("saved", &saved, "another program wrote it, or saved it again"),
    ];
    for (name, bytes, reason) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let line = failure(&sirocco(&["inspect", path.to_str().unwrap()]), 1);
        assert!(line.contains(reason) && line.contains(name) && line.contains(';'), "{line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_json_cannot_hold_is_refused_before_anything_is_written() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"cases-\xff.csv"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sirocco"));
    let output = command.args(["data", "boarding-school", "--json", "--out"]).arg(&path).output().unwrap();
    let line = failure(&output, 2);
    assert!(line.contains("is not UTF-8") && line.contains("leave out --json"), "{line}");
    assert!(!path.exists());
}

#[test]
fn files_that_are_not_there_are_named() {
    let line = failure(&sirocco(&["inspect", "/no/such/file"]), 1);
    assert!(line.contains("/no/such/file"), "{line}");
}

#[test]
fn boards_are_listed() {
    let boards = json(&sirocco(&["boards", "--json"]));
    let names: Vec<&str> = boards["boards"].as_array().unwrap().iter().map(|b| b["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"qemu-mps2-an385") && names.contains(&"qemu-mps2-an386"));
    for board in boards["boards"].as_array().unwrap() {
        assert!(board["serial"].as_str().unwrap().len() > 10, "{board}");
        assert!(!board["emulator"].is_null() || !board["chip"].is_null(), "{board}");
    }
    let quiet = sirocco(&["boards", "--quiet"]);
    assert_eq!(String::from_utf8(quiet.stdout).unwrap().lines().collect::<Vec<_>>(), names);
}

#[test]
fn unknown_boards_and_ports_say_what_there_is() {
    for command in ["build", "size", "emulate", "flash", "run"] {
        assert!(failure(&sirocco(&[command, "none"]), 1).contains("qemu-mps2-an386"));
    }
    assert!(failure(&sirocco(&["info", "--port", "qemu:none"]), 1).contains("qemu-mps2-an386"));
    assert!(failure(&sirocco(&["info", "--port", "/dev/no-such-port"]), 1).contains("/dev/no-such-port"));
    // This port was open and is closed again, so that connections are refused.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let line = failure(&sirocco(&["info", "--port", &format!("tcp:{port}")]), 1);
    assert!(line.contains("cannot open port") && line.contains("nothing listens there"), "{line}");
}

#[test]
fn a_port_that_never_answers_times_out() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("tcp:{}", listener.local_addr().unwrap());
    let line = failure(&sirocco(&["info", "--port", &port, "--timeout", "50", "--retries", "1"]), 1);
    assert!(line.contains("no answer to 2 requests within 50 ms"), "{line}");
}

#[test]
fn missing_programs_are_named_with_a_remedy() {
    let nothing = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sirocco"));
        command.args(arguments).arg("--quiet").env("PATH", nothing.path()).output().unwrap()
    };
    let line = failure(&run(&["setup", "qemu-mps2-an386"]), 1);
    assert!(line.contains("`rustup`") && line.contains("https://rustup.rs"), "{line}");
    let line = failure(&run(&["build", "qemu-mps2-an386"]), 1);
    assert!(line.contains("`cargo`") && line.contains("https://rustup.rs"), "{line}");
}

#[test]
fn wrong_usage_has_status_two() {
    for arguments in [&["query"][..], &["query", "--port", "x", "--at", "t"], &["nonsense"], &["build"], &[]] {
        assert_eq!(sirocco(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q.csv");
    std::fs::write(&path, "t\nnow\n").unwrap();
    failure(&sirocco(&["query", "--port", "x", "--queries", path.to_str().unwrap()]), 2);
}

#[test]
fn help_has_examples() {
    for command in [
        "setup",
        "boards",
        "build",
        "size",
        "emulate",
        "flash",
        "run",
        "ports",
        "info",
        "query",
        "data",
        "calibrate",
        "reproduction",
        "console",
        "selftest",
        "trajectory",
        "plot",
        "push",
        "models",
        "completions",
        "man",
        "inspect",
    ] {
        let help = sirocco(&[command, "--help"]);
        assert!(help.status.success());
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(text.contains("Examples:") && !text.contains('\x1b'), "{command}");
    }
}

/// Commands whose JSON is tested elsewhere: they need a probe, images or a terminal, or install programs.
const ELSEWHERE: [&str; 8] = ["setup", "emulate", "flash", "run", "console", "classify", "samples", "bench"];

#[test]
fn with_json_every_command_prints_one_object_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen.csv");
    std::fs::write(&seen, "t,component,value\n1,I,0.258\n3,I,0.174\n5,I,0.094\n8,I,0.047\n12,I,0.011\n").unwrap();
    let cases = folder.path().join("cases.csv");
    std::fs::write(&cases, "day,cases\n1,3\n2,5\n3,4\n4,8\n5,9\n6,13\n7,12\n8,17\n9,20\n").unwrap();
    let cases = cases.to_str().unwrap();
    let (model, seen, out) = (built_in(), seen.to_str().unwrap(), folder.path().to_str().unwrap());
    let model = model.to_str().unwrap();
    let problem = "I0=0.3,R0=0.2,beta=0.6,gamma=0.5";
    let fit = ["--observations", seen, "--free", "beta,gamma", "--fix", "I0=0.3,R0=0.2"];
    let [name, private, public, signed] = ["k", "k.key", "k.pub", "signed"].map(|file| format!("{out}/{file}"));
    let mut table: Vec<Vec<&str>> = vec![
        vec!["boards"],
        vec!["data"],
        vec!["data", "harbin"],
        vec!["ports", "--ask"],
        vec!["inspect", model],
        vec!["keys", "new", &name],
        vec!["sign", model, "--key", &private, "--serial", "1", "--out", &signed],
        vec!["verify", &signed, "--key", &public],
        vec!["completions", "bash"],
        vec!["completions", "powershell"],
        vec!["man", "--out", out],
        vec!["plot", model, "--query", problem],
        vec!["reproduction", cases, "--serial-interval", "2.6,1.5"],
        [&["calibrate", "--model", model], &fit[..]].concat(),
        [&["plot", model], &fit[..]].concat(),
    ];
    let board = Board::find("qemu-mps2-an386").unwrap();
    if qemu::version(qemu::PROGRAM).is_some() && cargo::has_target(&board.target) {
        let port = ["--port", "qemu:qemu-mps2-an386"];
        let until = ["--at", problem, "--until", "9"];
        table.extend([
            vec!["build", "qemu-mps2-an386"],
            vec!["size", "qemu-mps2-an386"],
            [&["info"], &port[..]].concat(),
            [&["query"], &port[..], &["--t", "3", "--at", problem]].concat(),
            [&["trajectory"], &port[..], &until[..]].concat(),
            [&["selftest"], &port[..]].concat(),
            [&["models"], &port[..]].concat(),
            [&["push"], &port[..], &["--model", model]].concat(),
        ]);
        let known = table.iter().map(|words| words[0]).chain(ELSEWHERE);
        let known: std::collections::BTreeSet<&str> = known.collect();
        let command = sirocco_tools::cli::command();
        let all: std::collections::BTreeSet<&str> = command.get_subcommands().map(|c| c.get_name()).collect();
        assert_eq!(known, all, "a command that is not tested");
    } else {
        eprintln!("boards skipped: no emulator or no Rust target here; run `sirocco setup`");
    }
    for words in table {
        let report = json(&sirocco(&[&words[..], &["--json"]].concat()));
        assert!(report.as_object().is_some_and(|object| !object.is_empty()), "{words:?}: {report}");
    }
}

#[test]
fn completions_and_manual_know_every_command() {
    let script = String::from_utf8(sirocco(&["completions", "bash"]).stdout).unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert!(sirocco(&["man", "--out", folder.path().to_str().unwrap()]).status.success());
    for command in ["push", "models", "trajectory", "query", "ports", "plot", "console"] {
        assert!(script.contains(&format!("sirocco__subcmd__{command}")), "{command}");
        let page = std::fs::read_to_string(folder.path().join(format!("sirocco-{command}.1"))).unwrap();
        assert!(page.contains(&format!("sirocco\\-{command}")) && page.contains("Examples:"), "{page}");
    }
}

#[test]
fn an_outbreak_is_calibrated_from_its_published_counts() {
    let data = common::root().join("tests/data/influenza-boarding-school-1978.csv");
    let domain = "t=0:14,I0=0.001:0.02,R0=0:0.05,beta=1:2.5,gamma=0.2:0.8";
    let common = ["calibrate", "--observations", data.to_str().unwrap(), "--population", "763", "--fix", "R0=0"];
    let report = json(&sirocco(&[&common[..], &["--domain", domain, "--free", "I0,beta,gamma", "--json"]].concat()));
    let estimate = |name: &str| report["estimates"][name]["value"].as_f64().unwrap();
    assert!((estimate("gamma") - 0.456).abs() < 0.01 && (estimate("beta") - 1.79).abs() < 0.05, "{report}");
    assert!((report["forecast"]["peak_day"]["value"].as_f64().unwrap() - 5.3).abs() < 0.2);
    assert_eq!((&report["converged"], &report["weights"]), (&true.into(), &"relative".into()));
    let model = boxed();
    let with_model = [&common[..], &["--model", model.to_str().unwrap()]].concat();
    // R0 = 0 lies outside the domain of this model.
    let line = failure(&sirocco(&[&with_model[..], &["--free", "I0,beta,gamma"]].concat()), 2);
    assert!(line.contains("R0=0 lies outside the model's domain"), "{line}");
    assert!(failure(&sirocco(&[&with_model[..], &["--free", "delta"]].concat()), 2).contains("delta"));
    assert!(failure(&sirocco(&[&with_model[..], &["--free", "beta"]].concat()), 2).contains("`I0`"));
    assert!(failure(&sirocco(&[&common[..], &["--free", "beta"]].concat()), 2).contains("--model"));
}

/// A count of 2 in place of 258 is named, whether its scatter is given or estimated; published counts have none that is.
#[test]
fn an_observation_that_no_chance_explains_is_named() {
    let published = common::root().join("tests/data/influenza-boarding-school-1978.csv");
    let folder = tempfile::tempdir().unwrap();
    let mistaken = folder.path().join("mistaken.csv");
    let text = std::fs::read_to_string(&published).unwrap();
    std::fs::write(&mistaken, text.replace("6,I,258", "6,I,2")).unwrap();
    let calibrated = |table: &std::path::Path, more: &[&str]| {
        let domain = "t=0:14,I0=0.001:0.02,R0=0:0.05,beta=1:2.5,gamma=0.2:0.8";
        let options = ["--population", "763", "--fix", "R0=0", "--domain", domain, "--free", "I0,beta,gamma"];
        let table = ["calibrate", "--observations", table.to_str().unwrap()];
        sirocco(&[&table[..], &options, more].concat())
    };
    assert_eq!(json(&calibrated(&published, &["--json"])).get("outlier"), None);
    for sigma in [&[][..], &["--sigma", "20"]] {
        let report = json(&calibrated(&mistaken, &[sigma, &["--json"]].concat()));
        assert_eq!((&report["outlier"]["t"], &report["outlier"]["component"]), (&6.0.into(), &"i".into()), "{report}");
        let text = String::from_utf8(calibrated(&mistaken, sigma).stdout).unwrap();
        assert!(text.contains("I = 2.0 at t = 6 is "), "{text}");
        // The forecast is in people.
        assert!(text.contains("S, people"), "{text}");
    }
}

#[test]
fn the_reproduction_number_is_printed_by_day_with_a_figure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seen.csv");
    // Cases that grow by a tenth a day for 20 days, and fall by a tenth for 20 more.
    let count = |day: i32| (200.0 * 1.1_f64.powi(day.min(40 - day))).round();
    let day = |day: i32| format!("2021-{:02}-{:02},{}\n", 3 + day / 31, 1 + day % 31, count(day));
    std::fs::write(&file, "date,cases\n".to_owned() + &(0..40).map(day).collect::<String>()).unwrap();
    let figure = folder.path().join("r.svg");
    let (file, figure) = (file.to_str().unwrap(), figure.to_str().unwrap());
    let common = ["reproduction", file, "--serial-interval", "5,2", "--out", figure];
    let report = json(&sirocco(&[&common[..], &["--json"]].concat()));
    assert_eq!((&report["observable"], &report["window_days"]), (&"new_cases".into(), &7.0.into()));
    let estimates = report["estimates"].as_array().unwrap();
    let mean = |date: &str| {
        let found = estimates.iter().find(|estimate| estimate["date"] == date).unwrap();
        let [low, high] = [0, 1].map(|end| found["interval_95"][end].as_f64().unwrap());
        let mean = found["mean"].as_f64().unwrap();
        assert!(low < mean && mean < high, "{found}");
        mean
    };
    // 1 / sum of w(k) e^(-r k), r the logarithm of 1.1 and of 0.9.
    assert!((mean("2021-03-20") - 1.55).abs() < 0.05 && (mean("2021-04-09") - 0.62).abs() < 0.03, "{report}");
    assert!(std::fs::read_to_string(figure).unwrap().contains("reproduction number"));
    let text = String::from_utf8(sirocco(&common).stdout).unwrap();
    assert!(text.starts_with("date,cases,mean,") && text.lines().count() == 1 + estimates.len(), "{text}");
    let short = failure(&sirocco(&[&common[..], &["--window", "60"]].concat()), 2);
    assert!(short.contains("seen.csv: 40 rows, at least 61 are needed; "), "{short}");
    assert_eq!(sirocco(&["reproduction", file, "--serial-interval", "5"]).status.code(), Some(2));
    let wrong = failure(&sirocco(&["reproduction", file, "--serial-interval", "5,2", "--out", "r.jpg"]), 2);
    assert!(wrong.contains(".svg or .png"), "{wrong}");
}

/// A full disk behind stdout is a failure of one line, and a reader that stops early is none.
#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_printed_are_said() {
    use std::process::{Command, Stdio};
    let file = common::built_in();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for options in
        [&["inspect", file.to_str().unwrap()][..], &["inspect", file.to_str().unwrap(), "--json"], &["boards"]]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sirocco"));
        let line = failure(&command.args(options).stdout(full()).output().unwrap(), 1);
        assert!(line.contains("stdout: No space left"), "{line}");
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_sirocco"));
    let mut child = child.args(["data", "hagelloch"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
