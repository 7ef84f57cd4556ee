//! `data list`

use crate::cmd::error::Error;
use crate::cmd::options::Place;
use crate::cmd::output::Output;
use crate::dataset::pictures::PictureFolder;
use crate::dataset::{self, DataError, DataSet, Folder, Split};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// List the data sets and where they come from
///
/// Prints the number of images of each and whether its files are in the data folder. Those called `fixture` are part of
/// this program and always there. A folder of your own pictures is a data set, too, wherever a name is taken: with a folder for
/// each class, perhaps within `train` and `test`, or with a table `labels.csv` that has the columns `file` and `label`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sirocco-train data list\n  sirocco-train data list --data data --json\n  \
                        sirocco-train data list photos")]
pub struct Arguments {
    /// Folders of pictures to list instead
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,
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
    name: String,
    what: String,
    /// Null where `data check` has to split pictures first.
    train: Option<usize>,
    test: Option<usize>,
    classes: usize,
    /// Channels, height, width.
    shape: [usize; 3],
    /// Whether all files are in the folder.
    present: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let folder = arguments.place.folder();
    let sets = match &arguments.folders[..] {
        [] => dataset::ALL.iter().map(|set| row(set, &folder)).collect(),
        folders => folders.iter().map(|folder| pictures(folder)).collect::<Result<_, _>>()?,
    };
    let listing = Listing { folder: folder.path().display().to_string(), sets };
    output.result(&listing, |listing| say!("{}", text(listing)));
    Ok(())
}

fn row(set: &DataSet, folder: &Folder) -> Row {
    Row {
        name: set.name.into(),
        what: set.what.into(),
        train: Some(set.train.images),
        test: Some(set.test.images),
        classes: set.classes.len(),
        shape: set.shape,
        present: set.files.iter().all(|file| folder.find(file.path).is_some()),
    }
}

/// A folder of pictures. How many are for the test is known once they are read; `data check` reads them.
fn pictures(place: &Path) -> Result<Row, DataError> {
    let folder = PictureFolder::open(place)?;
    let ([height, width], color) = folder.typical();
    let (classes, count) = (folder.classes().len(), folder.files());
    let kind = if color { "color" } else { "grey" };
    let what = format!(
        "{count} files in {classes} classes ({}), typically {height} x {width} {kind}",
        folder.classes().join(", ")
    );
    let given = |split| folder.given(split);
    Ok(Row {
        name: place.display().to_string(),
        what,
        train: given(Split::Train),
        test: given(Split::Test),
        classes,
        shape: [if color { 3 } else { 1 }, height, width],
        present: true,
    })
}

fn text(listing: &Listing) -> String {
    let rows = listing.sets.iter().map(|row| {
        let state = if row.present { "there" } else { "missing" };
        let parts =
            row.train.zip(row.test).map_or(String::new(), |(train, test)| format!("{train:>6} train {test:>6} test  "));
        format!("{:<16} {parts}{state:<8} {}", row.name, row.what)
    });
    let head = format!("data folder: {}", listing.folder);
    std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
}
