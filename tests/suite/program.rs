//! The project's own programs, built on demand in the profile of the running test, and the project's files.

use sirocco_tools::device::{cargo, qemu};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_path_buf()
}

/// Path of `sirocco-train`.
pub fn trainer() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build("sirocco-train"))
}

/// `sirocco-train` with these arguments, run in the repository's root.
pub fn train(arguments: &[&str]) -> Output {
    run(trainer(), arguments)
}

/// `sirocco` with these arguments, run in the repository's root.
pub fn sirocco(arguments: &[&str]) -> Output {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    run(PROGRAM.get_or_init(|| build("sirocco")), arguments)
}

/// Whether firmware for this Rust target can be built and emulated here; says what is missing.
pub fn emulates(target: &str) -> bool {
    let can = qemu::version(qemu::PROGRAM).is_some() && cargo::has_target(target);
    if !can {
        eprintln!("skipped: no {} or no Rust target {target} here; run `sirocco setup`", qemu::PROGRAM);
    }
    can
}

fn run(program: &PathBuf, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).current_dir(root()).output().expect("the program starts")
}

/// Builds a binary of another package, which Cargo does not do for a test, into the test's target folder. It selects the
/// whole workspace: for a package alone, dependencies would get other features and be built again.
fn build(binary: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps/TEST");
    let name = profile.file_name().and_then(|n| n.to_str()).expect("a profile's name");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--workspace", "--bin", binary]).current_dir(root());
    cargo.args(["--profile", if name == "debug" { "dev" } else { name }]);
    cargo.arg("--target-dir").arg(profile.parent().expect("a target folder"));
    // Cargo tells a test about its package in variables. A build script that reads them (ring's does) would run again, and
    // everything that depends on it would be built again, here and then by the next build outside of a test.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_")) {
            cargo.env_remove(name);
        }
    }
    assert!(cargo.status().expect("cargo starts").success(), "building {binary} failed");
    profile.join(format!("{binary}{}", std::env::consts::EXE_SUFFIX))
}

/// The one JSON object a program printed on stdout; panics with its stderr if it failed.
pub fn json(output: &Output) -> serde_json::Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "exit {:?}: {stderr}", output.status.code());
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}\n{stderr}", String::from_utf8_lossy(&output.stdout)))
}

/// Asserts the contract of failures: this exit code, nothing on stdout, one line `error: ...` that holds `needle`.
pub fn assert_fails(output: &Output, code: i32, needle: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(stderr.starts_with("error: ") && stderr.contains(needle), "{stderr}");
    assert!(code != 1 || stderr.trim_end().lines().count() == 1, "{stderr}");
}

/// The committed files (and those that are to be), with slashes, from the repository's root. None in a checkout without Git.
pub fn tracked() -> Vec<String> {
    let list = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let list = list.ok().filter(|list| list.status.success()).map(|list| list.stdout).unwrap_or_default();
    let files = list.split(|byte| *byte == 0).map(|name| String::from_utf8_lossy(name).into_owned());
    files.filter(|name| !name.is_empty() && root().join(name).exists()).collect()
}
