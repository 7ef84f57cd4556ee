//! `data get`

use crate::cmd::error::Error;
use crate::cmd::options::Place;
use crate::cmd::output::Output;
use crate::dataset::fetch::{Fetched, fetch};
use crate::dataset::{self, DataSet};
use serde::Serialize;

/// Fetch the files of data sets into the data folder
///
/// Every file is checked by its SHA-256. A download that was interrupted goes on where it was, and a file that exists
/// already is checked and left alone. Prints the size and the source of every file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sirocco-train data get mnist usps --data data\n  \
                        sirocco-train data get cifar10 --mirror https://mirror.example.org/sirocco-data")]
pub struct Arguments {
    /// Data sets to fetch; `sirocco-train data list` shows them
    #[arg(value_name = "SET", required = true)]
    sets: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// Address to fetch from in place of the known ones, with files laid out as in the data folder
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    folder: String,
    files: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    set: &'static str,
    #[serde(flatten)]
    fetched: Fetched,
}

/// Runs the command.
///
/// # Errors
/// [`Error::Fetch`] for the first file that cannot be fetched; what has arrived is kept.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let folder = arguments.place.folder();
    let sets: Vec<&DataSet> = arguments.sets.iter().map(|name| dataset::find(name)).collect::<Result<_, _>>()?;
    let mut files = Vec::new();
    for set in sets {
        for file in set.files {
            let bar = output.bar(file.path, 1);
            let fetched = fetch(&folder, file, arguments.mirror.as_deref(), |at, total| {
                let share = total.map_or(0.0, |total| at as f64 / total.max(1) as f64);
                bar.advance(share, &format!("{:.1} MB", at as f64 / 1e6));
            });
            bar.finish();
            files.push(Row { set: set.name, fetched: fetched? });
        }
    }
    let report = Report { folder: folder.path().display().to_string(), files };
    output.result(&report, |report| say!("{}", text(report)));
    Ok(())
}

fn text(report: &Report) -> String {
    let line = |row: &Row| {
        let Fetched { file, bytes, url, resumed_at } = &row.fetched;
        let from = match url {
            None => "was there and is whole".to_owned(),
            Some(url) if *resumed_at > 0 => format!("from {url}, resumed at byte {resumed_at}"),
            Some(url) => format!("from {url}"),
        };
        format!("{}: {bytes} bytes, {from}", file.display())
    };
    match &report.files[..] {
        [] => "nothing to fetch: these data sets are built in".to_owned(),
        files => files.iter().map(line).collect::<Vec<_>>().join("\n"),
    }
}
