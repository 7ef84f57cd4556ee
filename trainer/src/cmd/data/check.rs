//! `data check`

use crate::cmd::error::Error;
use crate::cmd::options::Place;
use crate::cmd::output::Output;
use crate::cmd::reading::ReadingOptions;
use crate::dataset::pictures::PicturesReport;
use crate::dataset::{self, Collection, DataError, Folder, Split};
use serde::Serialize;

/// Read data sets completely and check every count, label and fingerprint
///
/// Use it after copying data sets by hand, or if a result looks wrong. Prints the number of images of each data set. Of a folder of
/// pictures it names every file that is broken, misnamed or in two classes, and says how the pictures are split, how many there
/// are of each class, and how many nearly the same ones are on both sides of the split.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sirocco-train data check --data data\n  sirocco-train data check mnist usps\n  \
                        sirocco-train data check photos --group-by near\n  \
                        sirocco-train data check photos --group-by 'meter([0-9]+)' --strict --json")]
pub struct Arguments {
    /// Data sets to check, or folders of pictures, or tables of them; all data sets of which any file is in the data folder
    /// unless given
    #[arg(value_name = "SET|DIR")]
    sets: Vec<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    reading: ReadingOptions,
}

#[derive(Debug, Serialize)]
struct Checked {
    sets: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// Training and test images of every class.
    train: Vec<usize>,
    test: Vec<usize>,
    /// What is to be said of a folder of pictures.
    pictures: Option<PicturesReport>,
}

/// Runs the command.
///
/// # Errors
/// [`Error::Data`] for the first data set that is incomplete or damaged, [`Error::Usage`] if there is none.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let folder = arguments.place.folder();
    let mut names = arguments.sets.clone();
    if names.is_empty() {
        // One file is enough: that others are missing is to be said.
        let there = dataset::ALL.iter().filter(|set| set.files.iter().any(|file| folder.find(file.path).is_some()));
        names.extend(there.map(|set| set.name.to_owned()));
        if names.is_empty() {
            return Err(Error::Usage(
                "no data set is there; get one with `sirocco-train data get`, or say where with --data".into(),
            ));
        }
    }
    let sets = names.iter().map(|name| check(name, &folder, &arguments.reading)).collect::<Result<_, _>>()?;
    let checked = Checked { sets };
    output.result(&checked, |checked| say!("{}", text(checked)));
    Ok(())
}

fn check(name: &str, folder: &Folder, reading: &ReadingOptions) -> Result<Row, DataError> {
    let collection = Collection::open(name, folder, reading.reading())?;
    let shape = collection.shape();
    let counts = |split| -> Result<_, DataError> { Ok(collection.load(split, shape)?.class_counts()) };
    let (train, test) = (counts(Split::Train)?, counts(Split::Test)?);
    let pictures = collection.pictures(shape)?.map(|pictures| pictures.report.clone());
    Ok(Row { name: name.to_owned(), train, test, pictures })
}

fn text(checked: &Checked) -> String {
    let line = |row: &Row| match &row.pictures {
        Some(report) => {
            let warnings = report.warnings().into_iter().map(|warning| format!("\nwarning: {warning}"));
            report.text() + &warnings.collect::<String>()
        }
        None => {
            let sum = |counts: &[usize]| counts.iter().sum::<usize>();
            format!("{:<16} complete: {} training and {} test images", row.name, sum(&row.train), sum(&row.test))
        }
    };
    checked.sets.iter().map(line).collect::<Vec<_>>().join("\n")
}
