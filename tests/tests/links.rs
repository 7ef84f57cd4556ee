//! What the documentation points to exists: links and anchors of every committed Markdown file, and paths in backticks, in
//! Markdown and in comments.

use sirocco_tests::program::{root, tracked};
use std::collections::BTreeSet;

/// Endings by which a name in backticks is taken for a file's.
const ENDINGS: [&str; 5] = [".rs", ".md", ".toml", ".py", ".yml"];

/// A Markdown text without fenced code, which is left blank.
fn prose(markdown: &str) -> String {
    let mut fenced = false;
    let lines = markdown.lines().map(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        if fenced || fence { "\n".to_owned() } else { format!("{line}\n") }
    });
    lines.collect()
}

/// What stands between backticks.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    // Ends of paragraphs end what was never closed.
    text.split("\n\n").flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2))
}

/// Where links go: `[text](target)` and `[name]: target`, outside of backticks.
fn links(text: &str) -> Vec<String> {
    let outside: String = text.split('`').step_by(2).collect();
    let inline = outside.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let named = outside.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once("]: "));
    inline.chain(named.map(|(_, target)| target.trim())).map(str::to_owned).collect()
}

/// The anchors of a Markdown text's headings, as GitHub names them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with('#')) {
        let kept = line.trim_start_matches('#').trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let free = |number: &usize| !anchors.contains(&format!("{anchor}-{number}"));
        let number = (1..).find(free).filter(|_| anchors.contains(&anchor));
        anchors.insert(number.map_or(anchor.clone(), |number| format!("{anchor}-{number}")));
    }
    anchors
}

/// What a link of `file` names, from the root: a path, empty for the file itself, without `.` and `..`.
fn target(file: &str, link: &str) -> String {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Files and folders of the project.
struct Tree {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Tree {
    fn new(files: Vec<String>) -> Self {
        let folders =
            files.iter().flat_map(|file| file.match_indices('/').map(|(at, _)| file[..at].to_owned())).collect();
        Self { files: files.into_iter().collect(), folders }
    }

    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.files.contains(path) || self.folders.contains(path)
    }

    /// Why a link of a Markdown file leads nowhere.
    fn broken(&self, file: &str, link: &str, read: impl Fn(&str) -> String) -> Option<String> {
        if link.contains("://") || link.starts_with("mailto:") {
            return None;
        }
        let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
        let path = if path.is_empty() { file.to_owned() } else { target(file, path) };
        if !self.has(&path) {
            return Some(format!("{file}: no {path} for the link {link}"));
        }
        let known = anchor.is_none_or(|anchor| anchors(&prose(&read(&path))).contains(anchor));
        (!known).then(|| format!("{file}: {path} has no heading #{}", anchor.unwrap_or_default()))
    }

    /// Whether a name in backticks, in `file`, is that of a path which does not exist.
    fn missing(&self, file: &str, span: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./*".contains(c);
        let first = span.split('/').next().unwrap_or_default();
        let rooted = span.contains('/') && self.folders.contains(first);
        let named = ENDINGS.iter().any(|end| span.ends_with(end) && span.len() > end.len());
        if !span.chars().all(plain) || span.starts_with('/') || !(rooted || named) {
            return false;
        }
        // `boards/NAME` and `boards/*` stand for any of them.
        let general = |part: &str| part.contains('*') || part.split('.').next() == Some("NAME");
        let known: Vec<&str> = span.split('/').take_while(|part| !general(part)).collect();
        let known = known.join("/");
        let end = format!("/{}", known.trim_end_matches('/'));
        let anywhere = || self.files.iter().chain(&self.folders).any(|path| path.ends_with(&end));
        // From the root, from a folder that holds the file, or, without a first folder of ours, from anywhere.
        let within = file.match_indices('/').any(|(at, _)| self.has(&format!("{}/{known}", &file[..at])));
        !(self.has(&known) || within || self.has(&target(file, &known)) || !rooted && anywhere())
    }
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// The comments of Rust source, one after the other.
fn comments(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start());
    let comments = lines.map(|line| if line.starts_with("//") { line.trim_start_matches(['/', '!']) } else { "" });
    comments.map(|line| format!("{}\n", line.trim())).collect()
}

#[test]
fn links_lead_somewhere() {
    let tree = Tree::new(tracked());
    let (mut broken, mut count) = (Vec::new(), 0);
    for file in tree.files.iter().filter(|file| file.ends_with(".md")) {
        for link in links(&prose(&read(file))) {
            count += 1;
            broken.extend(tree.broken(file, &link, read));
        }
    }
    assert!(count > 10 || tree.files.is_empty(), "{count} links read");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn paths_in_backticks_exist() {
    let tree = Tree::new(tracked());
    let mut missing = Vec::new();
    for file in tree.files.iter().filter(|file| file.ends_with(".md") || file.ends_with(".rs")) {
        let text = if file.ends_with(".md") { prose(&read(file)) } else { comments(&read(file)) };
        missing.extend(spans(&text).filter(|span| tree.missing(file, span)).map(|span| format!("{file}: `{span}`")));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn what_is_broken_is_found() {
    let files = ["README.md", "shared/docs/a.md", "shared/src/layer/conv.rs", "firmware/boards/pico/board.toml"];
    let tree = Tree::new(files.map(Into::into).into());
    let text = |_: &str| "# Two words\n```\n# code\n```\n## With `code`, too\n## Two words\n".to_owned();
    let good = ["a.md", "../docs/a.md#two-words", "#two-words-1", "a.md#with-code-too", "https://a.b/c", "../src"];
    let bad = ["b.md", "../../README.md#three", "#code", "docs/a.md"];
    assert!(good.iter().all(|link| tree.broken("shared/docs/a.md", link, text).is_none()));
    assert!(bad.iter().all(|link| tree.broken("shared/docs/a.md", link, text).is_some()));
    let read = "See [a](a.md), `[b](b.md)`\n```\n[c](c.md)\n```\n[d]: d.md\n";
    assert_eq!(links(&prose(read)), ["a.md", "d.md"]);

    let good = [
        "shared/src/layer/conv.rs",
        "conv.rs",
        "layer/conv.rs",
        "firmware/boards/NAME/",
        "layer/NAME.rs",
        "a/b",
        ".rs",
    ];
    let bad = ["shared/src/conv.rs", "pool.rs", "shared/layer", "docs/b.md", "firmware/images/NAME", "shared/NAMES.rs"];
    assert!(good.iter().all(|span| !tree.missing("README.md", span)));
    assert!(bad.iter().all(|span| tree.missing("README.md", span)));
    assert!(!tree.missing("shared/src/layer/conv.rs", "docs/a.md") && !tree.missing("shared/docs/a.md", "../src"));
    let comment = "/// Reads `a.md`,\n    //! and `b\n// .md`.\nlet c = \"`c.md`\";\n";
    assert_eq!(spans(&comments(comment)).collect::<Vec<_>>(), ["a.md", "b\n.md"]);
}
