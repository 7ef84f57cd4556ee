//! `sirocco-train data check`: reads data sets whole and compares their fingerprints.

use super::Place;
use crate::cmd::Error;
use crate::cmd::options::Output;
use crate::dataset::{self, DataError, DataSet, Folder, Split};
use serde::Serialize;
use std::process::ExitCode;

/// Read data sets whole and check every count, label and fingerprint
///
/// Without names it checks those that are in the folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sirocco-train data check --data data\n  sirocco-train data check mnist usps")]
pub struct Args {
    /// Data sets; all that are there unless given
    #[arg(value_name = "SET")]
    sets: Vec<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
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

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// [`DataError`] of the first data set that is missing or not whole.
    pub fn run(self) -> Result<ExitCode, Error> {
        let folder = self.place.folder();
        let sets: Vec<&DataSet> = if self.sets.is_empty() {
            let there = |set: &&DataSet| set.files.iter().all(|file| folder.find(file.path).is_some());
            dataset::ALL.iter().filter(there).collect()
        } else {
            self.sets.iter().map(|name| dataset::find(name)).collect::<Result<_, _>>()?
        };
        let sets = sets.into_iter().map(|set| check(set, &folder)).collect::<Result<_, _>>()?;
        let checked = Checked { sets };
        self.output.print(&checked, || text(&checked))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn check(set: &DataSet, folder: &Folder) -> Result<Row, DataError> {
    let counts = |split| Ok(set.load(folder, split)?.class_counts());
    Ok(Row { name: set.name, train: counts(Split::Train)?, test: counts(Split::Test)? })
}

fn text(checked: &Checked) -> String {
    let line = |row: &Row| {
        let sum = |counts: &[usize]| counts.iter().sum::<usize>();
        format!("{:<16} whole: {} training and {} test images", row.name, sum(&row.train), sum(&row.test))
    };
    checked.sets.iter().map(line).collect::<Vec<_>>().join("\n")
}
