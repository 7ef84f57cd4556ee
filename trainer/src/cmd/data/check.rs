//! `data check`

use crate::cmd::error::Error;
use crate::cmd::options::Place;
use crate::cmd::output::Output;
use crate::dataset::{self, DataError, DataSet, Folder, Split};
use serde::Serialize;

/// Read data sets completely and check every count, label and fingerprint
///
/// Use it after copying data sets by hand, or if a result looks wrong. Prints the number of images of each data set.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sirocco-train data check --data data\n  sirocco-train data check mnist usps")]
pub struct Arguments {
    /// Data sets to check; all of which any file is in the folder unless given
    #[arg(value_name = "SET")]
    sets: Vec<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Serialize)]
struct Checked {
    sets: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    /// Training and test images of every class.
    train: Vec<usize>,
    test: Vec<usize>,
}

/// Runs the command.
///
/// # Errors
/// [`Error::Data`] for the first data set that is incomplete or damaged, [`Error::Usage`] if there is none.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let folder = arguments.place.folder();
    let sets: Vec<&DataSet> = if arguments.sets.is_empty() {
        // One file is enough: that others are missing is to be said.
        let there = |set: &&DataSet| set.files.iter().any(|file| folder.find(file.path).is_some());
        let found: Vec<&DataSet> = dataset::ALL.iter().filter(there).collect();
        if found.is_empty() {
            return Err(Error::Usage(
                "no data set is there; get one with `sirocco-train data get`, or say where with --data".into(),
            ));
        }
        found
    } else {
        arguments.sets.iter().map(|name| dataset::find(name)).collect::<Result<_, _>>()?
    };
    let sets = sets.into_iter().map(|set| check(set, &folder)).collect::<Result<_, _>>()?;
    let checked = Checked { sets };
    output.result(&checked, |checked| say!("{}", text(checked)));
    Ok(())
}

fn check(set: &DataSet, folder: &Folder) -> Result<Row, DataError> {
    let counts = |split| Ok(set.load(folder, split)?.class_counts());
    Ok(Row { name: set.name, train: counts(Split::Train)?, test: counts(Split::Test)? })
}

fn text(checked: &Checked) -> String {
    let line = |row: &Row| {
        let sum = |counts: &[usize]| counts.iter().sum::<usize>();
        format!("{:<16} complete: {} training and {} test images", row.name, sum(&row.train), sum(&row.test))
    };
    checked.sets.iter().map(line).collect::<Vec<_>>().join("\n")
}
