//! `flash` and `run` with a fake `probe-rs` that records its arguments.
#![cfg(unix)]

mod common;

use common::{built_in, failure, json};
use sirocco_tools::device::board::Board;
use sirocco_tools::device::cargo;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A board that is hardware.
const BOARD: &str = "stm32f405";

/// A fake `probe-rs` in a folder of its own, with the file in which it records its arguments, a line for each call.
struct Fake {
    folder: TempDir,
    log: PathBuf,
}

impl Fake {
    /// A fake that fails if its first argument is `bad`.
    fn new(bad: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (program, log) = (folder.path().join("probe-rs"), folder.path().join("log"));
        let script = format!(
            "#!/bin/sh\necho \"$@\" >>'{0}'\nfor last; do :; done\n[ -f \"$last\" ] && cp \"$last\" '{0}.last'$(wc -l <'{0}')\necho 'on stdout, where only the result belongs'\n[ \"$1\" != '{bad}' ]\n",
            log.display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        Fake { folder, log }
    }

    fn sirocco(&self, arguments: &[&str]) -> Output {
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap());
        sirocco(arguments, &path)
    }

    /// The content of the file that the call with this number, counted from 1, had to write.
    fn file(&self, call: usize) -> Vec<u8> {
        std::fs::read(format!("{}.last{call}", self.log.display())).unwrap()
    }

    fn calls(&self) -> Vec<String> {
        std::fs::read_to_string(&self.log).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

fn sirocco(arguments: &[&str], path: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sirocco")).args(arguments).env("PATH", path).output().unwrap()
}

/// Whether firmware can be built here; prints a message if not.
fn can_build() -> bool {
    let there = cargo::has_target(&Board::find(BOARD).unwrap().target);
    if !there {
        eprintln!("skipped: no Rust target for {BOARD} here; run `sirocco setup`");
    }
    there
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn flash_writes_firmware_then_erases_records_then_writes_the_model_then_resets() {
    if !can_build() {
        return;
    }
    let (fake, model) = (Fake::new(""), built_in());
    let report = json(&fake.sirocco(&["flash", BOARD, "--model", text(&model), "--probe", "1366:1015", "--json"]));
    let probe = "--chip STM32F405RG --non-interactive --probe 1366:1015";
    let elf = report["elf"].as_str().unwrap();
    assert!(elf.ends_with("thumbv7em-none-eabihf/release/stm32f405"), "{elf}");
    let calls = fake.calls();
    // The path is that of a temporary file.
    let blank = calls[1].rsplit(' ').next().unwrap();
    let expected = [
        format!("download {probe} {elf}"),
        format!("download {probe} --binary-format bin --base-address 0x80c0000 {blank}"),
        format!("download {probe} --binary-format bin --base-address 0x8080000 {}", model.display()),
        format!("reset {probe}"),
    ];
    assert_eq!(calls, expected);
    assert!(fake.file(2).len() == 256 * 1024 && fake.file(2).iter().all(|&byte| byte == 0xFF), "records are erased");
    assert_eq!(fake.file(3), std::fs::read(&model).unwrap());
    let ran: Vec<String> = expected.iter().map(|line| format!("probe-rs {line}")).collect();
    assert_eq!(report["ran"], serde_json::json!(ran));
}

#[test]
fn run_shows_the_log_on_stderr_and_only_the_result_on_stdout() {
    if !can_build() {
        return;
    }
    let fake = Fake::new("");
    let output = fake.sirocco(&["run", BOARD, "--json"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("on stdout, where only the result belongs"));
    assert_eq!(json(&output)["board"], BOARD);
    let calls = fake.calls();
    assert!(calls.len() == 1 && calls[0].starts_with("run --chip STM32F405RG --non-interactive /"), "{calls:?}");
}

#[test]
fn a_probe_that_fails_is_an_error_with_a_remedy() {
    if !can_build() {
        return;
    }
    let fake = Fake::new("download");
    let line = fake.sirocco(&["flash", BOARD, "--quiet"]);
    let line = String::from_utf8_lossy(&line.stderr).lines().last().unwrap_or_default().to_owned();
    assert!(line.starts_with("error: `probe-rs download ") && line.contains("probe-rs list"), "{line}");
    assert_eq!(fake.calls().len(), 1, "nothing may follow a failure");
}

#[test]
fn without_probe_rs_there_is_a_remedy() {
    if !can_build() {
        return;
    }
    // A PATH with what a build needs, and nothing else.
    let cargo =
        String::from_utf8(Command::new("sh").args(["-c", "command -v cargo"]).output().unwrap().stdout).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for program in ["cargo", "rustc"] {
        let from = Path::new(cargo.trim()).parent().unwrap().join(program);
        std::os::unix::fs::symlink(from, folder.path().join(program)).unwrap();
    }
    for command in ["flash", "run"] {
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let line = failure(&sirocco(&[command, BOARD, "--quiet"], &path), 1);
        assert!(line.contains("`probe-rs`") && line.contains("https://probe.rs"), "{line}");
    }
}

#[test]
fn what_cannot_be_flashed_is_refused_before_the_probe_is_asked() {
    let fake = Fake::new("");
    let line = failure(&fake.sirocco(&["flash", "qemu-mps2-an386"]), 1);
    assert!(line.contains("only in the emulator") && line.contains("sirocco emulate"), "{line}");
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged");
    std::fs::write(&damaged, [0xff; 64]).unwrap();
    let line = failure(&fake.sirocco(&["flash", BOARD, "--model", text(&damaged)]), 1);
    assert!(line.contains("damaged") && line.contains("export or copy the file again"), "{line}");
    assert!(failure(&fake.sirocco(&["run", "none"]), 1).contains("nrf52840-dk"));
    assert!(fake.calls().is_empty());
}
