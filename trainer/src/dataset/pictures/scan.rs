//! Which files a folder of pictures holds, with their classes: from the names of folders, or from a table.

use crate::dataset::{DataError, Split};
use sirocco::limits::MAX_CLASSES;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The table that a folder may hold in place of a folder for each class.
const TABLE: &str = "labels.csv";
/// Folders within folders beyond which nothing is looked for.
const DEEPEST: usize = 16;

/// A file that a folder or a table names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The file.
    pub path: PathBuf,
    /// Its class.
    pub label: u8,
    /// The part that the folder or the table puts it into.
    pub split: Option<Split>,
    /// The group that the table puts it into.
    pub group: Option<String>,
}

/// What is to be said of a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Remark {
    /// The file.
    pub file: PathBuf,
    /// A predicate of the file, with a remedy.
    pub what: String,
    /// Whether the file is left out.
    pub skipped: bool,
}

impl Remark {
    /// The file is left out.
    pub fn skipped(file: &Path, what: impl Into<String>) -> Self {
        Remark { file: file.to_owned(), what: what.into(), skipped: true }
    }
}

/// The files of a data set, and what is to be said of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Names of the classes, numbers in their order, then other names by the alphabet.
    pub classes: Vec<String>,
    /// The files, ordered by their paths.
    pub files: Vec<Listed>,
    /// Files that cannot belong to it.
    pub remarks: Vec<Remark>,
}

/// A file with the name of its class.
struct Named {
    path: PathBuf,
    class: String,
    split: Option<Split>,
    group: Option<String>,
}

/// Lists the pictures of a folder with a folder for each class, or with `train` and `test` and such folders in both, or with a
/// table; or those of a table.
///
/// # Errors
/// [`DataError`] if the folder or the table cannot be read, or if there are fewer than two classes or too many.
pub fn scan(place: &Path) -> Result<Listing, DataError> {
    let mut remarks = Vec::new();
    let table = place.join(TABLE);
    let named = if place.is_file() {
        table_rows(place, &mut remarks)?
    } else if table.is_file() {
        table_rows(&table, &mut remarks)?
    } else {
        folders(place, &mut remarks)?
    };
    let mut classes: Vec<String> = named.iter().map(|file| file.class.clone()).collect();
    classes.sort_by_cached_key(|name| (name.parse::<u64>().map_or((1, 0), |number| (0, number)), name.clone()));
    classes.dedup();
    let refuse = |what: String| Err(DataError::Classes { place: place.to_owned(), what });
    match classes.len() {
        2..=MAX_CLASSES => (),
        0 => return refuse("has no pictures in folders named after their classes".into()),
        1 => return refuse(format!("has one class only, `{}`", classes[0])),
        more => return refuse(format!("has {more} classes, of at most {MAX_CLASSES}")),
    }
    let numbers: BTreeMap<&str, u8> = classes.iter().map(String::as_str).zip(0..).collect();
    let mut files: Vec<Listed> = named
        .into_iter()
        .filter_map(|Named { path, class, split, group }| {
            Some(Listed { path, label: *numbers.get(class.as_str())?, split, group })
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Listing { classes, files, remarks })
}

/// Whether a name is one that a model file can hold: classes are separated by commas there.
fn usable(class: &str) -> bool {
    !class.is_empty() && class.trim() == class && !class.contains([',', '"', ';']) && !class.contains(char::is_control)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let broken = |source| DataError::Read { file: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(broken)? {
        paths.push(entry.map_err(broken)?.path());
    }
    paths.sort();
    // What systems leave behind: .DS_Store, ._photo.jpg, Thumbs.db.
    let left =
        |name: &str| name.starts_with('.') || ["thumbs.db", "desktop.ini"].contains(&name.to_lowercase().as_str());
    paths.retain(|path| !left(&path.file_name().unwrap_or_default().to_string_lossy()));
    Ok(paths)
}

fn name(path: &Path) -> Option<&str> {
    path.file_name().and_then(|name| name.to_str())
}

/// The pictures below a folder, classes by the names of its folders.
fn folders(place: &Path, remarks: &mut Vec<Remark>) -> Result<Vec<Named>, DataError> {
    let mut named = Vec::new();
    let within = |part: &str| place.join(part).is_dir();
    let parts: &[(&str, Option<Split>)] = if within("train") && within("test") {
        &[("train", Some(Split::Train)), ("test", Some(Split::Test))]
    } else {
        &[("", None)]
    };
    if parts.len() > 1 {
        let others = entries(place)?.into_iter().filter(|path| path.is_dir());
        for other in others.filter(|path| !matches!(name(path), Some("train" | "test"))) {
            remarks.push(Remark::skipped(&other, "is neither `train` nor `test`; move its pictures there"));
        }
    }
    for (part, split) in parts {
        for path in entries(&place.join(part))? {
            if path.is_dir() {
                match name(&path).filter(|class| usable(class)) {
                    Some(class) => below(&path, &mut (class.to_owned(), *split, &mut named), remarks, 0)?,
                    None => remarks.push(Remark::skipped(
                        &path,
                        "has a name that no class can have; rename it without commas, semicolons and quotes",
                    )),
                }
            } else if is_called_picture(&path) {
                remarks.push(Remark::skipped(&path, "is in no class's folder; move it into one"));
            }
        }
    }
    Ok(named)
}

/// All files below the folder of a class, which stand in the list with its name and part.
fn below(
    folder: &Path,
    class: &mut (String, Option<Split>, &mut Vec<Named>),
    remarks: &mut Vec<Remark>,
    depth: usize,
) -> Result<(), DataError> {
    let before = class.2.len();
    for path in entries(folder)? {
        if !path.is_dir() {
            class.2.push(Named { path, class: class.0.clone(), split: class.1, group: None });
        } else if depth < DEEPEST {
            below(&path, class, remarks, depth + 1)?;
        } else {
            remarks.push(Remark::skipped(&path, "lies too deep; move its pictures up"));
        }
    }
    if depth == 0 && class.2.len() == before {
        remarks.push(Remark::skipped(folder, "is empty, so it is not taken for a class; remove it"));
    }
    Ok(())
}

/// Whether a file's name ends like that of a picture.
pub fn is_called_picture(path: &Path) -> bool {
    let known = ["jpg", "jpeg", "png", "bmp", "pgm", "ppm", "pbm", "pnm", "gif", "webp", "tif", "tiff", "heic"];
    path.extension().is_some_and(|ending| known.contains(&ending.to_string_lossy().to_lowercase().as_str()))
}

/// The line of the row that begins here, or after the end of a line here: with ends of lines of two bytes the library counts the
/// first as the row before and the second as this one.
fn line_of(text: &str, byte: usize) -> u64 {
    let (before, row) = text.as_bytes().split_at(byte.min(text.len()));
    let ends = row.iter().take_while(|byte| b"\r\n".contains(byte)).chain(before);
    1 + ends.filter(|byte| **byte == b'\n').count() as u64
}

/// The rows of a table with the columns `file` and `label`, and perhaps `split` and `group`. Files are relative to the table.
fn table_rows(table: &Path, remarks: &mut Vec<Remark>) -> Result<Vec<Named>, DataError> {
    let text = std::fs::read(table).map_err(|source| DataError::Read { file: table.to_owned(), source })?;
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
    let bad = |line: u64, what: String| DataError::Table { file: table.to_owned(), line, what };
    let text = std::str::from_utf8(text).map_err(|_| bad(1, "the table is not UTF-8 text".into()))?;
    let first = text.lines().next().unwrap_or_default();
    let separators = [b',', b';', b'\t'];
    let separator = separators.into_iter().max_by_key(|s| first.bytes().filter(|byte| byte == s).count());
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator.unwrap_or(b','))
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| bad(1, error.to_string()))?.clone();
    let column = |wanted: &str| header.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    let (Some(file), Some(label)) = (column("file"), column("label")) else {
        return Err(bad(
            1,
            format!("there are no columns `file` and `label`, but {}", header.iter().collect::<Vec<_>>().join(", ")),
        ));
    };
    let (split, group) = (column("split"), column("group"));
    let folder = table.parent().unwrap_or(Path::new("."));
    let (mut named, mut lines) = (Vec::new(), BTreeMap::new());
    for row in reader.records() {
        let row = row.map_err(|error| bad(error.position().map_or(1, csv::Position::line), error.to_string()))?;
        let line = row.position().map_or(1, |position| line_of(text, position.byte() as usize));
        let field = |column: usize| row.get(column).unwrap_or_default();
        let path = folder.join(field(file));
        if field(file).is_empty() {
            return Err(bad(line, "the column `file` is empty".into()));
        }
        if field(label).is_empty() {
            remarks.push(Remark::skipped(&path, format!("has no label in line {line} of the table; fill it in")));
            continue;
        }
        if !usable(field(label)) {
            return Err(bad(
                line,
                format!("`{}` has a comma, a semicolon or a quote, which no class's name can have", field(label)),
            ));
        }
        if let Some(before) = lines.insert(path.clone(), line) {
            return Err(bad(line, format!("`{}` stands in line {before} already", field(file))));
        }
        let split = match split.map(field).unwrap_or_default().to_ascii_lowercase().as_str() {
            "" => None,
            "train" => Some(Split::Train),
            "test" => Some(Split::Test),
            other => return Err(bad(line, format!("the split `{other}` is neither `train` nor `test`"))),
        };
        let group = group.map(field).filter(|group| !group.is_empty()).map(str::to_owned);
        named.push(Named { path, class: field(label).to_owned(), split, group });
    }
    let given = named.iter().filter(|row| row.split.is_some()).count();
    if given != 0 && given != named.len() {
        let without = named.iter().find(|row| row.split.is_none()).map_or(1, |row| lines[&row.path]);
        return Err(bad(without, "this row has no split, but others have one".into()));
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    fn summary(listing: &Listing, root: &Path) -> Vec<String> {
        let of = |file: &Listed| {
            let path = file.path.strip_prefix(root).unwrap().display().to_string();
            let split = file.split.map_or(String::new(), |split| format!(" {split:?}"));
            let group = file.group.as_ref().map_or(String::new(), |group| format!(" of {group}"));
            format!("{path} {}{split}{group}", listing.classes[usize::from(file.label)])
        };
        listing.files.iter().map(of).collect()
    }

    #[test]
    fn folders_name_classes_and_parts() {
        let plain = folder(&["10/a.jpg", "9/x/b.png", "N/c.jpg", "9/.DS_Store", "README.md", "stray.jpg", "a,b/c.jpg"]);
        std::fs::create_dir(plain.path().join("empty")).unwrap();
        let listing = scan(plain.path()).unwrap();
        assert_eq!(listing.classes, ["9", "10", "N"]);
        assert_eq!(summary(&listing, plain.path()), ["10/a.jpg 10", "9/x/b.png 9", "N/c.jpg N"]);
        let remarks: Vec<_> =
            listing.remarks.iter().map(|r| format!("{} {}", name(&r.file).unwrap(), r.what)).collect();
        assert!(remarks[0].starts_with("a,b has a name that no class"), "{remarks:?}");
        assert!(remarks[1].starts_with("empty is empty"), "{remarks:?}");
        assert!(remarks[2].starts_with("stray.jpg is in no class's folder"), "{remarks:?}");
        assert_eq!(remarks.len(), 3);

        let parts = folder(&["train/cat/a.jpg", "train/dog/b.jpg", "test/cat/c.jpg", "val/cat/d.jpg"]);
        let listing = scan(parts.path()).unwrap();
        let expected = ["test/cat/c.jpg cat Test", "train/cat/a.jpg cat Train", "train/dog/b.jpg dog Train"];
        assert_eq!(summary(&listing, parts.path()), expected);
        assert!(listing.remarks[0].what.contains("neither `train` nor `test`"));
    }

    #[test]
    fn tables_name_classes_parts_and_groups() {
        let place = folder(&["a.jpg"]);
        let table = |text: &str| {
            std::fs::write(place.path().join(TABLE), text).unwrap();
            scan(place.path())
        };
        let listing =
            table("\u{feff}file;label;split;group\r\nb.jpg;dog;test;m1\r\na.jpg;cat;train;\r\nc.jpg;;train;\r\n")
                .unwrap();
        assert_eq!(summary(&listing, place.path()), ["a.jpg cat Train", "b.jpg dog Test of m1"]);
        assert!(listing.remarks[0].what.contains("no label in line 4"));
        for (text, what) in [
            ("name,label\na.jpg,cat\n", "line 1: there are no columns `file` and `label`, but name, label"),
            ("file,label\na.jpg,cat\n,dog\n", "line 3: the column `file` is empty"),
            ("file,label\na.jpg,cat\na.jpg,dog\n", "line 3: `a.jpg` stands in line 2 already"),
            ("file,label\na.jpg,\"a,b\"\n", "line 2: `a,b` has a comma"),
            ("file,label,split\na.jpg,cat,train\nb.jpg,dog,val\n", "line 3: the split `val` is neither"),
            ("file,label,split\na.jpg,cat,train\nb.jpg,dog,\n", "line 3: this row has no split"),
            ("file,label\na.jpg,cat\n", "one class only, `cat`"),
            ("file,label\n", "has no pictures"),
        ] {
            let error = table(text).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains(';'), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_table_makes_the_reader_panic(text in "(file,label(,split)?\n)?[a-z,;\"\n\t ]{0,80}") {
            let place = tempfile::tempdir().unwrap();
            std::fs::write(place.path().join(TABLE), text).unwrap();
            _ = scan(place.path());
        }
    }
}
