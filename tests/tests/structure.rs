//! The project's structure, as its folders and its imports have it: no circles among files, no import from a lower room
//! to a higher one, and nothing at the top level but what belongs there. [`sirocco_tests::imports`] says what an import is.

use sirocco_tests::imports::{Imports, Source, imports, knots, lies_in, sources};
use sirocco_tests::program::{root, tracked};
use sirocco_tools::device::board::Board;
use std::collections::BTreeSet;

/// The rooms of `shared/src`, from the ground up: a room may import from those before it.
const SHARED: [&str; 27] = [
    "limits",
    "error",
    "text",
    "math",
    "gamma",
    "scalar",
    "fixed_point",
    "wide",
    "model",
    "ode",
    "rk4",
    "query",
    "layer",
    "network",
    "classify",
    "drift",
    "renewal",
    "retain",
    "ink",
    "summary",
    "image",
    "trajectory",
    "bundle",
    "calibrate",
    "outbreak",
    "held",
    "wire",
];

/// The rooms of `trainer/src`, from the ground up.
const TRAINER: [&str; 9] = ["statistics", "host", "optimizer", "report", "dataset", "bundle", "image", "study", "cmd"];

/// The folders of the top level.
const FOLDERS: [&str; 7] = [".ci", ".github", "firmware", "shared", "tests", "tools", "trainer"];

/// Its files.
const FILES: [&str; 18] = [
    ".gitattributes",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "RELEASE-CHECKLIST.md",
    "SECURITY.md",
    "clippy.toml",
    "deny.toml",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "typos.toml",
    "",
];

/// All crates: folders named `src` with a `lib.rs` or a `main.rs`.
fn crates() -> BTreeSet<String> {
    let roots = tracked().into_iter().filter_map(|file| {
        let folder = file.strip_suffix("/lib.rs").or_else(|| file.strip_suffix("/main.rs"))?;
        folder.ends_with("/src").then(|| folder.to_owned())
    });
    roots.collect()
}

/// The imports among `knot`'s files, one a line.
fn listed(imports: &Imports, knot: &BTreeSet<String>) -> String {
    let part = |file: &String, other: &String| knot.contains(other) && !lies_in(file, other);
    let edges = knot.iter().flat_map(|file| imports[file].iter().map(move |other| (file, other)));
    edges.filter(|(file, other)| part(file, other)).map(|(file, other)| format!("  {file} imports {other}\n")).collect()
}

/// The room of a file of `folder`: the folder in it that holds the file, or the file itself. None for the crate's root.
fn room<'a>(folder: &str, file: &'a str) -> Option<&'a str> {
    let rest = file.strip_prefix(folder)?.strip_prefix('/')?;
    let name = rest.split('/').next()?;
    let name = name.strip_suffix(".rs").unwrap_or(name);
    (name != "lib" && name != "main").then_some(name)
}

/// Imports from a room to one that is not before it in `order`, and rooms that `order` does not have.
fn upward(folder: &str, order: &[&str], imports: &Imports) -> Vec<String> {
    let height = |file: &str| room(folder, file).map(|room| order.iter().position(|name| *name == room));
    let mut found = Vec::new();
    for (file, others) in imports {
        let Some(own) = height(file) else { continue };
        if own.is_none() {
            found.push(format!("{file} is in no room of the list"));
        }
        let above = others.iter().filter(|other| height(other).is_none_or(|other| other > own));
        found.extend(above.map(|other| format!("{file} imports {other}")));
    }
    found
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn source(file: &str, text: &str) -> Source {
    let module = file.strip_prefix("src/").unwrap().split('/').map(|name| name.trim_end_matches(".rs").to_owned());
    let module = module.filter(|name| name != "lib" && name != "mod").collect();
    Source { file: file.into(), module, text: text.into() }
}

#[test]
fn no_file_imports_itself_through_others() {
    let mut found = String::new();
    let crates = crates();
    assert!(crates.len() > 10, "{crates:?}");
    for folder in crates {
        let imports = imports(sources(&root(), &folder));
        for knot in knots(&imports) {
            found += &format!("{} files import each other in circles:\n{}", knot.len(), listed(&imports, &knot));
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn imports_run_downward() {
    let mut found = Vec::new();
    for (folder, order) in [("shared/src", SHARED.as_slice()), ("trainer/src", &TRAINER)] {
        let imports = imports(sources(&root(), folder));
        assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 100, "{folder}: imports are read");
        found.extend(upward(folder, order, &imports));
        // A room that is gone leaves the list, too.
        let rooms: BTreeSet<&str> = imports.keys().filter_map(|file| room(folder, file)).collect();
        found.extend(order.iter().filter(|name| !rooms.contains(*name)).map(|name| format!("{folder} has no {name}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_top_level_holds_what_belongs_there() {
    let allowed = |file: &String| match file.split_once('/') {
        Some((folder, _)) => FOLDERS.contains(&folder),
        None => FILES.contains(&file.as_str()),
    };
    let others: Vec<String> = tracked().into_iter().filter(|file| !allowed(file)).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// Files of suites that are parts of one program: one that its `main.rs` does not name would never run.
#[test]
fn every_suite_runs() {
    for main in tracked().iter().filter(|file| file.ends_with("/tests/main.rs")) {
        let text = read(main);
        let folder = main.strip_suffix("main.rs").unwrap();
        let beside = |file: &String| file.strip_prefix(folder)?.strip_suffix(".rs").map(str::to_owned);
        for name in tracked().iter().filter_map(beside).filter(|name| !name.contains('/') && name != "main") {
            assert!(text.lines().any(|line| line == format!("mod {name};")), "{main} does not name {name}");
        }
    }
}

/// The oldest Rust is stated once in each workspace. `tests/run toolchain` builds with it, where it is installed.
#[test]
fn packages_inherit_and_workspaces_agree() {
    let table = |file: &str| toml::from_str::<toml::Value>(&read(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let root = table("Cargo.toml");
    for file in tracked().iter().filter(|file| file.ends_with("Cargo.toml")) {
        let manifest = table(file);
        if let Some(package) = manifest.get("package") {
            for key in ["edition", "rust-version", "license"] {
                let own = package.get(key).unwrap_or_else(|| panic!("{file} has no {key}"));
                let inherited = own.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(inherited || own == &root["workspace"]["package"][key], "{file}: {key} = {own:?}");
            }
        }
        if let Some(shared) = manifest.get("workspace").and_then(|workspace| workspace.get("package")) {
            for key in ["version", "edition", "rust-version", "license", "repository"] {
                assert_eq!(shared[key], root["workspace"]["package"][key], "{file}: {key}");
            }
        }
    }
}

#[test]
fn the_toolchain_has_the_targets_of_all_boards() {
    let table: toml::Value = toml::from_str(&read("rust-toolchain.toml")).unwrap();
    let listed =
        table["toolchain"]["targets"].as_array().unwrap().iter().map(|target| target.as_str().unwrap().to_owned());
    let boards = Board::all().unwrap().into_iter().map(|board| board.target);
    assert_eq!(listed.collect::<BTreeSet<_>>(), boards.collect());
}

#[test]
fn imports_of_every_form_are_read() {
    let read = |text: &str| {
        let a = source("src/a.rs", text);
        let rest = [
            ("src/lib.rs", "pub mod a; pub mod b; pub mod c;"),
            ("src/b.rs", "pub struct B;"),
            ("src/c/mod.rs", "mod d; pub use d::D as Passed; pub struct C;"),
            ("src/c/d.rs", "pub struct D;"),
        ];
        let sources = rest.map(|(file, text)| source(file, text)).into_iter().chain([a]).collect();
        imports(sources)["src/a.rs"].iter().cloned().collect::<Vec<_>>().join(" ")
    };
    for (text, expected) in [
        ("use crate::b::B;", "src/b.rs"),
        ("use super::b::{self, B as Other};", "src/b.rs"),
        ("use crate::{b::B, c::{C, d::D}};", "src/b.rs src/c/d.rs src/c/mod.rs"),
        ("use crate::c::*;", "src/c/mod.rs"),
        ("use crate::c::Passed;", "src/c/d.rs"),
        ("pub(crate) use crate::c::d::D;", "src/c/d.rs"),
        ("use crate::c; fn f() -> c::d::D { c::d::D }", "src/c/d.rs"),
        ("use crate::c as other; const C: other::C = other::C;", "src/c/mod.rs"),
        ("fn f<'a>(b: &'a crate::b::B) -> char { '\\'' }", "src/b.rs"),
        ("macro_rules! b { () => { $crate::b::B } }", "src/b.rs"),
        ("fn f() { use crate::b::B; }", "src/b.rs"),
        ("mod inner { use super::super::b::B; }", "src/b.rs"),
        ("use crate::c;", ""),
        ("// use crate::b::B;\n/* use /* crate:: */ crate::b::B; */ /// [`crate::b::B`]", ""),
        (r###"const S: [&str; 3] = ["crate::b::B", "\"crate::b::B", r#"" crate::b::B"#];"###, ""),
        ("#[cfg(test)] mod tests { use crate::b::B; } #[cfg(test)] use crate::c::C;", ""),
        ("use std::b::B; use core::c::C; fn f() -> impl Fn() + use<> { other::b::B }", ""),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn a_circle_is_found_and_an_upward_import_too() {
    let circle = || {
        let low = source("src/low.rs", "use crate::middle::Middle; pub struct Low;");
        let middle = source("src/middle/mod.rs", "mod part; pub use part::Part; pub struct Middle;");
        let part = source("src/middle/part.rs", "use super::Middle; use crate::high::High;");
        let high = source("src/high.rs", "pub struct High(super::low::Low, crate::middle::part::Part);");
        vec![low, middle, part, high, source("src/lib.rs", "mod high; mod low; mod middle;")]
    };
    let with_circle = imports(circle());
    let found: Vec<Vec<String>> = knots(&with_circle).into_iter().map(|knot| knot.into_iter().collect()).collect();
    assert_eq!(found, [["src/high.rs", "src/low.rs", "src/middle/mod.rs", "src/middle/part.rs"]]);
    let upward = |order: &[&str]| upward("src", order, &with_circle);
    let expected = ["src/low.rs imports src/middle/mod.rs", "src/middle/part.rs imports src/high.rs"];
    assert_eq!(upward(&["low", "middle", "high"]), expected);
    assert_eq!(upward(&["low", "high"])[0], "src/middle/mod.rs is in no room of the list");

    // A module and a file in it may know each other.
    let parts = circle().into_iter().filter(|source| source.file.starts_with("src/middle"));
    let within = imports(parts.collect());
    assert_eq!(within.values().map(BTreeSet::len).sum::<usize>(), 2);
    assert!(knots(&within).is_empty(), "{within:?}");
}
