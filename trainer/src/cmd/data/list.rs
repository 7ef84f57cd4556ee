//! `data list`

use crate::cmd::error::Error;
use crate::cmd::options::Place;
use crate::cmd::output::Output;
use crate::dataset::{self, DataSet, Folder};
use serde::Serialize;

/// List the data sets and where they come from
///
/// Prints the number of images of each and whether its files are in the data folder. Those called `fixture` are part of
/// this program and always there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sirocco-train data list\n  sirocco-train data list --data data --json")]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
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
    /// Whether all files are in the folder.
    present: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let folder = arguments.place.folder();
    let sets = dataset::ALL.iter().map(|set| row(set, &folder)).collect();
    let listing = Listing { folder: folder.path().display().to_string(), sets };
    output.result(&listing, |listing| say!("{}", text(listing)));
    Ok(())
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
