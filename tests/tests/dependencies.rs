//! Dependencies: licenses and sources that `deny.toml` allows, none that is not used, none where it does not belong. The same
//! file makes `cargo deny check` look for advisories as well, which takes a network; see RELEASE-CHECKLIST.md.

use serde_json::Value;
use sirocco_tests::imports::tokens;
use sirocco_tests::program::{root, tracked};
use spdx::{Expression, ParseMode};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The workspaces, each with a target that its dependencies are for.
const WORKSPACES: [(&str, Option<&str>); 3] =
    [("Cargo.toml", None), ("firmware/Cargo.toml", Some("thumbv7em-none-eabihf")), ("tests/fuzz/Cargo.toml", None)];

/// Dependencies that no source names, because linking them, or switching a feature of theirs on, is the use.
const UNNAMED: [(&str, &str); 1] = [("rpi-pico", "portable-atomic")];

/// Crates of ours that compute with tensors, and those that use them.
const TENSORS: [&str; 2] = ["sirocco-trainer", "sirocco-tests"];

/// What `cargo metadata` says of a workspace.
fn metadata(manifest: &str, target: Option<&str>) -> Value {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["metadata", "--format-version", "1", "--locked", "--quiet", "--manifest-path"])
        .arg(root().join(manifest));
    cargo.args(["--filter-platform", target.unwrap_or(host())]);
    let output = cargo.output().expect("cargo starts");
    assert!(output.status.success(), "{manifest}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The Rust target of this machine, as far as dependencies tell targets apart.
const fn host() -> &'static str {
    if cfg!(target_os = "macos") {
        "aarch64-apple-darwin"
    } else if cfg!(windows) {
        "x86_64-pc-windows-msvc"
    } else {
        "x86_64-unknown-linux-gnu"
    }
}

/// The packages of every workspace.
fn packages() -> Vec<Value> {
    let of = |(manifest, target)| metadata(manifest, target)["packages"].as_array().expect("packages").clone();
    WORKSPACES.into_iter().flat_map(of).collect()
}

fn field<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Why a package with this license is not allowed.
fn refused(expression: &str, allowed: &BTreeSet<&str>) -> Option<String> {
    // crates.io takes `MIT/Apache-2.0`, too.
    match Expression::parse_mode(expression, ParseMode::LAX) {
        Ok(parsed) if parsed.evaluate(|wanted| allowed.contains(wanted.to_string().as_str())) => None,
        Ok(_) => Some(format!("license {expression} is not in deny.toml")),
        Err(error) => Some(format!("license `{expression}`: {error}")),
    }
}

/// The names under `key` in a table of `deny.toml`.
fn names<'a>(table: &'a toml::Value, key: &str) -> BTreeSet<&'a str> {
    table.get(key).and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_str).collect()
}

#[test]
fn licenses_and_sources_are_allowed() {
    let rules: toml::Value = toml::from_str(&std::fs::read_to_string(root().join("deny.toml")).unwrap()).unwrap();
    let allowed = names(&rules["licenses"], "allow");
    let exceptions = rules["licenses"]["exceptions"].as_array().unwrap();
    let (mut wrong, mut used) = (BTreeSet::new(), BTreeSet::new());
    for package in packages() {
        let (name, license) = (field(&package, "name"), field(&package, "license"));
        let mut allowed = allowed.clone();
        for exception in exceptions.iter().filter(|exception| exception["crate"].as_str() == Some(name)) {
            allowed.extend(names(exception, "allow"));
            used.insert(name.to_owned());
        }
        wrong.extend(refused(license, &allowed).map(|reason| format!("{name}: {reason}")));
        let source = field(&package, "source");
        if !source.is_empty() && source != "registry+https://github.com/rust-lang/crates.io-index" {
            wrong.insert(format!("{name} comes from {source}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let idle: Vec<_> =
        exceptions.iter().filter_map(|e| e["crate"].as_str()).filter(|name| !used.contains(*name)).collect();
    assert!(idle.is_empty(), "exceptions in deny.toml for crates that are not used: {idle:?}");
}

#[test]
fn licenses_are_read_as_expressions() {
    let allowed = BTreeSet::from(["MIT", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"]);
    for good in [
        "MIT",
        "MIT OR GPL-3.0-only",
        "MIT/Apache-2.0",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert_eq!(refused(good, &allowed), None);
    }
    for bad in ["", "GPL-3.0-only", "MIT AND GPL-3.0-only", "Apache-2.0", "free for all"] {
        assert!(refused(bad, &allowed).is_some(), "{bad}");
    }
}

#[test]
fn tensors_stay_in_the_trainer() {
    let metadata = metadata(WORKSPACES[0].0, WORKSPACES[0].1);
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let depends: BTreeMap<&str, Vec<&str>> = nodes
        .iter()
        .map(|node| {
            (field(node, "id"), node["dependencies"].as_array().unwrap().iter().filter_map(Value::as_str).collect())
        })
        .collect();
    for package in metadata["packages"].as_array().unwrap().iter().filter(|package| field(package, "source").is_empty())
    {
        let (mut seen, mut open) = (BTreeSet::new(), vec![field(package, "id")]);
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(&depends[id]);
            }
        }
        let candle = seen.iter().any(|id| id.contains("candle-core"));
        assert_eq!(candle, TENSORS.contains(&field(package, "name")), "{}", field(package, "name"));
    }
}

/// The words by which source text can name crates: before `::`, and in `use` and `extern crate`.
fn crates_named(text: &str) -> BTreeSet<String> {
    let tokens = tokens(text);
    let after = |at: usize| tokens.get(at + 1).is_some_and(|next| next == "::");
    let before = |at: usize| at > 0 && ["use", "crate"].contains(&tokens[at - 1].as_str());
    (0..tokens.len()).filter(|at| after(*at) || before(*at)).map(|at| tokens[at].clone()).collect()
}

/// Dependencies of a package that none of its sources names.
fn unused(package: &Value, named: &BTreeSet<String>) -> Vec<String> {
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    let names = dependencies.map(|of| of["rename"].as_str().unwrap_or(field(of, "name")));
    let missing = names.filter(|name| !named.contains(&name.replace('-', "_")));
    missing.map(|name| format!("{} does not use {name}", field(package, "name"))).collect()
}

#[test]
fn every_dependency_is_used() {
    let files = tracked();
    let packages = packages();
    let own: Vec<(&Value, &Path)> = packages
        .iter()
        .filter(|package| field(package, "source").is_empty())
        .map(|package| (package, Path::new(field(package, "manifest_path")).parent().unwrap()))
        .collect();
    assert!(own.len() > 15, "{} packages of ours", own.len());
    let mut found = BTreeSet::new();
    for (package, folder) in &own {
        let mut named = BTreeSet::new();
        for path in files.iter().filter(|file| file.ends_with(".rs")).map(|file| root().join(file)) {
            // A file belongs to the innermost package around it.
            let owner = own
                .iter()
                .filter(|(_, other)| path.starts_with(other))
                .max_by_key(|(_, other)| other.as_os_str().len());
            if owner.is_some_and(|(_, owner)| owner == folder) {
                let text = std::fs::read_to_string(&path).unwrap();
                named.extend(crates_named(&text));
                // A module that several packages share lies outside all of them.
                for shared in text.split("#[path = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
                    let shared = path.parent().unwrap().join(shared);
                    named.extend(crates_named(&std::fs::read_to_string(shared).unwrap()));
                }
            }
        }
        found.extend(unused(package, &named));
    }
    let excused = |line: &String| UNNAMED.iter().any(|(of, name)| *line == format!("{of} does not use {name}"));
    found.retain(|line| !excused(line));
    assert!(files.is_empty() || found.is_empty(), "{found:#?}");
}

/// The table "Why each dependency is there" of ARCHITECTURE.md has all of them, and no other.
#[test]
fn every_dependency_has_a_reason() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, table) = text.split_once("## Why each dependency is there").unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next()).skip(2);
    // What stands in brackets is a remark.
    let names = cells.flat_map(|cell| cell.split('(').next().unwrap_or_default().split(','));
    let stated: BTreeSet<&str> = names.map(str::trim).collect();
    let packages = packages();
    let own = packages.iter().filter(|package| field(package, "source").is_empty());
    let dependencies = own.flat_map(|package| package["dependencies"].as_array().into_iter().flatten());
    let used: BTreeSet<&str> = dependencies.filter(|of| of["source"].is_string()).map(|of| field(of, "name")).collect();
    let unstated: Vec<_> = used.difference(&stated).collect();
    let unused: Vec<_> = stated.difference(&used).collect();
    assert!(
        unstated.is_empty() && unused.is_empty(),
        "without a row: {unstated:?}; with one, but not used: {unused:?}"
    );
}

#[test]
fn an_unused_dependency_is_found() {
    let dependency = |name: &str| serde_json::json!({ "name": name, "rename": null });
    let dependencies = ["serde", "cortex-m", "png", "toml"].map(dependency);
    let package = serde_json::json!({ "name": "p", "dependencies": dependencies });
    let named = crates_named("use serde as _; fn f() { cortex_m::nop() } // png::decode\nlet toml = \"toml::de\";");
    assert_eq!(unused(&package, &named), ["p does not use png", "p does not use toml"]);
}
