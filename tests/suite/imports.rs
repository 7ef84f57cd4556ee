//! Which file imports which: a reader of `use` lines and paths, for the tests of the project's structure.
//!
//! A file imports another if it names an item that the other one defines, in a `use` line or in a path that begins with
//! `crate`, `self`, `super`, a module, or a name from a `use` line. An item that comes by way of a `pub use` counts for
//! the file that defines it. A module that is only named (`use crate::layer;`) does not count, what is named through it
//! does. Comments, strings and `#[cfg(test)]` items do not count: a unit test may borrow from anywhere. Names that only
//! a glob of another file brings into scope are not followed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Files, each with the files of the same crate that it imports.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

/// A source file of a crate.
pub struct Source {
    /// Its name, with slashes, from the repository's root.
    pub file: String,
    /// Its module: `["layer", "conv"]`; empty for the crate's root.
    pub module: Vec<String>,
    /// What it says.
    pub text: String,
}

/// A file without its tests, and the names that its `use` lines bind, each with its path.
struct Module {
    file: String,
    tokens: Vec<String>,
    bindings: Vec<(String, Vec<String>)>,
}

type Modules = BTreeMap<Vec<String>, Module>;

/// The source files below `folder`, a crate's `src`. A `main.rs` beside a `lib.rs` is a crate of its own and left out.
pub fn sources(root: &Path, folder: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    gather(root, folder, &mut Vec::new(), &mut sources);
    if sources.iter().any(|source| source.file == format!("{folder}/lib.rs")) {
        sources.retain(|source| source.file != format!("{folder}/main.rs"));
    }
    sources
}

fn gather(root: &Path, folder: &str, module: &mut Vec<String>, sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(root.join(folder)).expect("a folder of sources") {
        let path = entry.expect("a readable folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8").to_owned();
        let file = format!("{folder}/{name}");
        if path.is_dir() {
            module.push(name);
            gather(root, &file, module, sources);
            module.pop();
        } else if let Some(stem) = name.strip_suffix(".rs") {
            let mut module = module.clone();
            if !["lib", "main", "mod"].contains(&stem) {
                module.push(stem.to_owned());
            }
            let text = std::fs::read_to_string(&path).expect("a readable source file");
            sources.push(Source { file, module, text });
        }
    }
}

/// What these files of one crate import from each other.
pub fn imports(sources: Vec<Source>) -> Imports {
    let (mut modules, mut tests) = (Modules::new(), Vec::new());
    for Source { file, module, text } in sources {
        let (tokens, test_files) = without_tests(&tokens(&text));
        tests.extend(test_files.into_iter().map(|name| child(&module, &name)));
        let mut bindings = Vec::new();
        for (at, _) in tokens.iter().enumerate().filter(|(_, token)| *token == "use") {
            read_tree(&tokens[at + 1..], Vec::new(), &mut bindings);
        }
        modules.insert(module, Module { file, tokens, bindings });
    }
    modules.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
    let mut imports = Imports::new();
    for (module, Module { file, tokens, bindings }) in &modules {
        let names = bindings.iter().map(|(_, path)| path.clone()).chain(paths(tokens));
        let files =
            names.filter_map(|name| resolve(&modules, module, &name, 0)).map(|found| modules[&found].file.clone());
        imports.insert(file.clone(), files.filter(|other| other != file).collect());
    }
    imports
}

/// The knots of a graph of imports: files that import each other in circles. A file may import from the module that it
/// lies in, whose file may list it: a trait and its implementations, a table of commands and the commands.
pub fn knots(imports: &Imports) -> Vec<BTreeSet<String>> {
    let reachable = |start: &String| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(file) = open.pop() {
            for next in imports.get(file).into_iter().flatten().filter(|next| !lies_in(file, next)) {
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = imports.keys().map(|file| (file, reachable(file))).collect();
    let in_circles = reached.iter().filter(|(file, seen)| seen.contains(**file));
    let knots = in_circles.map(|(file, seen)| {
        seen.iter().filter(|other| reached.get(other).is_some_and(|seen| seen.contains(*file))).cloned().collect()
    });
    knots.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether `file` lies in the module of `outer`, as `layer/conv.rs` does in that of `layer/mod.rs`.
pub fn lies_in(file: &str, outer: &str) -> bool {
    let front = ["/mod.rs", "/lib.rs", "/main.rs", ".rs"].iter().find_map(|end| outer.strip_suffix(end));
    front.is_some_and(|front| file.strip_prefix(front).is_some_and(|rest| rest.starts_with('/')))
}

fn child(module: &[String], name: &str) -> Vec<String> {
    [module, &[name.to_owned()]].concat()
}

/// Words, `::`, and other characters one by one; without comments, strings, and what single quotation marks begin.
pub fn tokens(text: &str) -> Vec<String> {
    let (mut rest, mut tokens) = (text, Vec::new());
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (length, counts) = if first.is_whitespace() {
            (first.len_utf8(), false)
        } else if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (block_comment(rest), false)
        } else if let Some(length) = string(rest) {
            (length, false)
        } else if first == '\'' {
            (character_or_lifetime(rest), false)
        } else if word > 0 {
            (word, true)
        } else {
            (if rest.starts_with("::") { 2 } else { first.len_utf8() }, true)
        };
        if counts {
            tokens.push(rest[..length].to_owned());
        }
        rest = &rest[length..];
    }
    tokens
}

/// Length of the block comment that begins here; it may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        let mark = rest.starts_with(b"/*") || rest.starts_with(b"*/");
        depth += i32::from(rest.starts_with(b"/*")) - i32::from(rest.starts_with(b"*/"));
        at += if mark { 2 } else { 1 };
        if depth == 0 {
            break;
        }
    }
    at
}

/// Length of the string literal that begins here, if one does.
fn string(text: &str) -> Option<usize> {
    let begins = |prefix: &&str| {
        let rest = text.strip_prefix(*prefix).unwrap_or_default();
        rest.trim_start_matches(if prefix.contains('r') { '#' } else { '"' }).len() < rest.len()
            || rest.starts_with('"')
    };
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(begins)?;
    let rest = &text[prefix.len()..];
    if prefix.contains('r') {
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        // None for a raw identifier.
        let body = rest[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", &rest[..hashes]);
        return Some(text.len() - body.len() + body.find(&end).map_or(body.len(), |at| at + end.len()));
    }
    let mut escaped = false;
    let end = rest.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    Some(end.map_or(text.len(), |end| prefix.len() + 1 + end + 1))
}

/// Length of a character literal, or 1, for the quotation mark of a lifetime.
fn character_or_lifetime(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let after = at + escaped.len_utf8();
            text[after..].find('\'').map_or(text.len(), |end| after + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// The tokens without `#[cfg(test)]` items, and the modules in files of their own among these.
fn without_tests(tokens: &[String]) -> (Vec<String>, Vec<String>) {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut files, mut at) = (Vec::new(), Vec::new(), 0);
    while at < tokens.len() {
        if !tokens[at..].iter().take(ATTRIBUTE.len()).eq(&ATTRIBUTE) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let start = at + ATTRIBUTE.len();
        // The item ends with its braces, or with a semicolon outside of any.
        let mut depth = 0;
        let end = tokens[start..].iter().position(|token| {
            depth += i32::from(["{", "(", "["].contains(&token.as_str()));
            depth -= i32::from(["}", ")", "]"].contains(&token.as_str()));
            depth == 0 && (token == "}" || token == ";")
        });
        at = end.map_or(tokens.len(), |end| start + end + 1);
        if let [.., keyword, name, end] = &tokens[start..at]
            && (keyword.as_str(), end.as_str()) == ("mod", ";")
        {
            files.push(name.clone());
        }
    }
    (kept, files)
}

/// Reads one tree of a `use` line, such as `a::{self, b as c, d::*}`, and returns how many tokens it took.
fn read_tree(tokens: &[String], mut path: Vec<String>, bindings: &mut Vec<(String, Vec<String>)>) -> usize {
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => {}
            "{" => loop {
                at += 1 + read_tree(&tokens[at + 1..], path.clone(), bindings);
                if tokens.get(at).is_none_or(|token| token != ",") {
                    return at + 1;
                }
            },
            "as" => {
                bindings.push((tokens.get(at + 1).cloned().unwrap_or_default(), path));
                return at + 2;
            }
            "self" if !path.is_empty() => {}
            word if word == "*" || is_word(word) => path.push(word.to_owned()),
            _ => break,
        }
        at += 1;
    }
    if let Some(name) = path.last().cloned() {
        bindings.push((name, path));
    }
    at
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The paths of two or more segments outside of `use` lines.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let word = |at: usize| tokens.get(at).filter(|token| is_word(token));
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let mut path: Vec<String> = word(at).cloned().into_iter().collect();
        if tokens[at] == "use" {
            at += tokens[at..].iter().position(|token| token == ";").unwrap_or(0);
        } else if !path.is_empty() {
            while let (Some("::"), Some(next)) = (tokens.get(at + 1).map(String::as_str), word(at + 2)) {
                path.push(next.clone());
                at += 2;
            }
        }
        if path.len() > 1 {
            found.push(path);
        }
        at += 1;
    }
    found
}

/// The module that defines what `name` means in the module `here`; none if that is outside of the crate, or a module.
fn resolve(modules: &Modules, here: &[String], name: &[String], depth: usize) -> Option<Vec<String>> {
    let (first, rest) = name.split_first()?;
    // Names that lead to each other end here.
    if depth > 16 {
        return None;
    }
    let bound = |module: &[String], name: &String| {
        let bindings = &modules.get(module)?.bindings;
        bindings.iter().find(|(bound, path)| bound == name && path[0] != *name).map(|(_, path)| path.clone())
    };
    let mut module = match first.as_str() {
        "crate" => Vec::new(),
        "self" => here.to_vec(),
        "super" => here.split_last()?.1.to_vec(),
        _ if modules.contains_key(&child(here, first)) => child(here, first),
        _ => return resolve(modules, here, &[bound(here, first)?, rest.to_vec()].concat(), depth + 1),
    };
    for segment in rest {
        let inner = child(&module, segment);
        if segment == "super" {
            module.pop();
        } else if modules.contains_key(&inner) {
            module = inner;
        } else if let Some(path) = bound(&module, segment).filter(|_| module != here) {
            return resolve(modules, &module, &path, depth + 1);
        } else {
            return modules.contains_key(&module).then_some(module);
        }
    }
    None
}
