//! What is to be said of a folder of pictures that was read: numbers, split, near-duplicates, files that are left out.

use super::scan::Remark;
use super::split::GroupBy;
use super::{One, PictureFolder, Reading};
use crate::dataset::Split;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Pairs of files that are named.
const NAMED: usize = 3;
/// Files that a person is told of; the report as JSON names all.
const TOLD: usize = 20;
/// A class that has so many times fewer pictures than the largest draws a remark.
const UNEQUAL: usize = 4;
/// Share of a picture beyond which cutting it off draws a remark.
const MUCH: f64 = 0.2;

/// The number of pictures of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Its name.
    pub name: String,
    /// For training.
    pub train: usize,
    /// For the test.
    pub test: usize,
}

/// What is to be said of the pictures of a folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PicturesReport {
    /// The folder or the table.
    pub place: PathBuf,
    /// The classes with their numbers of pictures.
    pub classes: Vec<ClassCount>,
    /// How pictures were split, as a sentence.
    pub split: String,
    /// Groups of pictures that stay on one side.
    pub groups: usize,
    /// Smallest and largest rows and columns.
    pub sizes: [[usize; 2]; 2],
    /// Share of the pictures' area that the network does not see, on average.
    pub cut_off: f64,
    /// Pairs of pictures that are nearly the same; null if there are too many pictures to compare.
    pub near_pairs: Option<usize>,
    /// Those of which one is for training and one for the test.
    pub near_pairs_across: Option<usize>,
    /// Some of them.
    pub near_examples: Vec<[PathBuf; 2]>,
    /// Pairs of the same content in different classes.
    pub contradictions: Vec<[PathBuf; 2]>,
    /// Files that are copies of others of their class.
    pub copies: usize,
    /// Files that were left out.
    pub skipped: usize,
    /// What is to be said of files.
    pub remarks: Vec<Remark>,
}

impl PicturesReport {
    #[expect(clippy::too_many_arguments, reason = "it gathers what the reading found, once")]
    pub(super) fn of(
        folder: &PictureFolder,
        reading: &Reading,
        input: [usize; 3],
        ones: &[One],
        groups: &[usize],
        parts: &[Split],
        near: Option<&[(usize, usize)]>,
        remarks: Vec<Remark>,
    ) -> Self {
        let count = |label: usize, split: Split| {
            ones.iter().zip(parts).filter(|(one, part)| usize::from(one.label) == label && **part == split).count()
        };
        let classes = folder.classes().iter().enumerate().map(|(label, name)| ClassCount {
            name: name.clone(),
            train: count(label, Split::Train),
            test: count(label, Split::Test),
        });
        let pair = |(a, b): &(usize, usize)| [ones[*a].path.clone(), ones[*b].path.clone()];
        let across: Option<Vec<&(usize, usize)>> =
            near.map(|pairs| pairs.iter().filter(|(a, b)| parts[*a] != parts[*b]).collect());
        let (mut first, mut contradictions, mut copies) = (BTreeMap::new(), Vec::new(), 0);
        for (at, one) in ones.iter().enumerate() {
            let before = *first.entry(one.content).or_insert(at);
            if ones[before].label != one.label {
                contradictions.push([ones[before].path.clone(), one.path.clone()]);
            } else if before != at {
                copies += 1;
            }
        }
        let bound = |side: usize, most: bool| {
            let sides = ones.iter().map(|one| one.size[side]);
            if most { sides.max() } else { sides.min() }.unwrap_or(0)
        };
        let cut_off = ones.iter().map(|one| reading.preparation.cut_off(one.size, [input[1], input[2]])).sum::<f64>();
        PicturesReport {
            place: folder.place.clone(),
            classes: classes.collect(),
            split: sentence(ones, reading),
            groups: groups.iter().collect::<BTreeSet<_>>().len(),
            sizes: [[bound(0, false), bound(1, false)], [bound(0, true), bound(1, true)]],
            cut_off: cut_off / ones.len().max(1) as f64,
            near_pairs: near.map(<[_]>::len),
            near_pairs_across: across.as_ref().map(Vec::len),
            near_examples: across.iter().flatten().take(NAMED).map(|p| pair(p)).collect(),
            contradictions,
            copies,
            skipped: remarks.iter().filter(|remark| remark.skipped).count(),
            remarks,
        }
    }

    /// Pictures for training and for the test.
    pub fn totals(&self) -> [usize; 2] {
        [self.classes.iter().map(|c| c.train).sum(), self.classes.iter().map(|c| c.test).sum()]
    }

    /// What is unusual, a line each: files, split, classes.
    pub fn warnings(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.remarks.iter().take(TOLD).map(|remark| format!("{} {}", remark.file.display(), remark.what)).collect();
        if self.remarks.len() > TOLD {
            lines.push(format!("and {} more files; --json names all of them", self.remarks.len() - TOLD));
        }
        if self.skipped > 0 {
            lines.push(format!("{} left out; --strict refuses them", counted(self.skipped, "file was", "files were")));
        }
        for [a, b] in self.contradictions.iter().take(NAMED) {
            lines.push(format!("{} and {} are the same picture in two classes", a.display(), b.display()));
        }
        if let Some(pairs) = self.near_pairs_across.filter(|pairs| *pairs > 0) {
            let examples: Vec<String> =
                self.near_examples.iter().map(|[a, b]| format!("{} and {}", a.display(), b.display())).collect();
            lines.push(format!(
                "{} of nearly the same pictures on both sides of the split, which flatters the test: {}; --group-by near \
                 keeps them together",
                counted(pairs, "pair", "pairs"),
                examples.join(", ")
            ));
        }
        if self.near_pairs.is_none() {
            lines.push(
                "there are too many pictures to compare each with each, so near-duplicates were not looked for".into(),
            );
        }
        for class in self.classes.iter().filter(|class| class.test == 0) {
            lines.push(format!("the class `{}` has no picture for the test, so nothing is measured of it", class.name));
        }
        let largest = self.classes.iter().map(|class| class.train).max().unwrap_or(0);
        let small: Vec<String> = self
            .classes
            .iter()
            .filter(|class| class.train * UNEQUAL < largest)
            .map(|class| format!("{} ({})", class.name, class.train))
            .collect();
        if !small.is_empty() {
            lines.push(format!(
                "classes with few pictures for training, where the largest has {largest}: {}; --balance draws them as often",
                small.join(", ")
            ));
        }
        if self.cut_off > MUCH {
            lines.push(format!(
                "{:.0} % of the pictures' area is cut off to fit the network's shape; --fit pad keeps all of it",
                100.0 * self.cut_off
            ));
        }
        lines
    }

    /// The pictures in a few lines.
    pub fn text(&self) -> String {
        let [train, test] = self.totals();
        let [[low, narrow], [high, wide]] = self.sizes;
        let sizes = if [low, narrow] == [high, wide] {
            format!("{low} x {narrow}")
        } else {
            format!("{low} x {narrow} to {high} x {wide}")
        };
        let classes: Vec<String> = self.classes.iter().map(|c| format!("{} {}+{}", c.name, c.train, c.test)).collect();
        let near = self.near_pairs.map_or(String::new(), |pairs| {
            let across = self.near_pairs_across.unwrap_or(0);
            format!(
                "\n{} of nearly the same pictures, {across} of them across the split",
                counted(pairs, "pair", "pairs")
            )
        });
        let copies = if self.copies > 0 { format!("; {} are copies", self.copies) } else { String::new() };
        format!(
            "{}: {} pictures of {sizes} (rows x columns), {train} for training and {test} for the test{copies}\nsplit: {}; {} \
             groups\nclasses (training+test): {}{near}",
            self.place.display(),
            train + test,
            self.split,
            self.groups,
            classes.join(", ")
        )
    }
}

/// How pictures were split.
fn sentence(ones: &[One], reading: &Reading) -> String {
    if ones.iter().any(|one| one.split.is_some()) {
        return "as the folder or the table gives it".into();
    }
    let share = format!("{} % for the test", 100.0 * reading.split.test_share);
    let without = ones.iter().filter(|one| one.group.is_none()).count();
    let loose = if without == 0 { String::new() } else { format!(" ({without} pictures are in none)") };
    match &reading.split.group_by {
        GroupBy::Near => format!("{share}, by a hash of the content, near-duplicates on one side"),
        GroupBy::Name(expression) => format!("{share}, by a hash of what `{expression}` finds in the path{loose}"),
        GroupBy::Content if without < ones.len() => format!("{share}, by a hash of the table's groups{loose}"),
        GroupBy::Content => format!("{share}, by a hash of the content"),
    }
}

fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
