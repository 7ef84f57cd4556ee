//! `sirocco-train data list`: which data sets there are, and whether their files are in the folder.

use super::Place;
use crate::cmd::Error;
use crate::cmd::options::Output;
use crate::dataset::{self, DataSet, Folder};
use serde::Serialize;
use std::process::ExitCode;

/// List the data sets and where they come from
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Listing {
    folder: String,
    sets: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    what: &'static str,
    train: usize,
    test: usize,
    classes: usize,
    /// Channels, height, width.
    shape: [usize; 3],
    /// Whether all files are there.
    present: bool,
}

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// If the result cannot be printed.
    pub fn run(self) -> Result<ExitCode, Error> {
        let folder = self.place.folder();
        let sets = dataset::ALL.iter().map(|set| row(set, &folder)).collect();
        let listing = Listing { folder: folder.path().display().to_string(), sets };
        self.output.print(&listing, || text(&listing))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn row(set: &DataSet, folder: &Folder) -> Row {
    Row {
        name: set.name,
        what: set.what,
        train: set.train.images,
        test: set.test.images,
        classes: set.classes.len(),
        shape: set.shape,
        present: set.files.iter().all(|file| folder.find(file.path).is_some()),
    }
}

fn text(listing: &Listing) -> String {
    let rows = listing.sets.iter().map(|row| {
        let state = if row.present { "there" } else { "missing" };
        format!("{:<16} {:>6} train {:>6} test  {:<8} {}", row.name, row.train, row.test, state, row.what)
    });
    let head = format!("data folder: {}", listing.folder);
    std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
}
