//! `sirocco-train data get`: fetches the files of data sets.

use super::Place;
use crate::cmd::Error;
use crate::cmd::options::Output;
use crate::dataset::fetch::{Fetched, fetch};
use crate::dataset::{self, DataSet};
use crate::host::budget::Budget;
use crate::host::progress::Progress;
use serde::Serialize;
use std::process::ExitCode;

/// Fetch the files of data sets, check their SHA-256, and put them where the other commands look
///
/// A download that was stopped goes on where it was; a file that is there already is checked and left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sirocco-train data get mnist usps --data data\n  \
                        sirocco-train data get cifar10 --mirror https://mirror.example.org/sirocco-data")]
pub struct Args {
    /// Data sets; see `sirocco-train data list`
    #[arg(value_name = "SET", required = true)]
    sets: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// Address to ask instead of the known ones, with the files in it as in the data folder
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    #[command(flatten)]
    output: Output,
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

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// [`dataset::fetch::FetchError`] of the first file that cannot be had; what has arrived is kept.
    pub fn run(self) -> Result<ExitCode, Error> {
        let folder = self.place.folder();
        let sets: Vec<&DataSet> = self.sets.iter().map(|name| dataset::find(name)).collect::<Result<_, _>>()?;
        let mut files = Vec::new();
        for set in sets {
            for file in set.files {
                let mut bar = Progress::new(file.path, Budget::iterations(1), self.output.verbosity());
                let fetched = fetch(&folder, file, self.mirror.as_deref(), |at, total| {
                    let share = total.map_or(0.0, |total| at as f64 / total.max(1) as f64);
                    bar.advance(share, &format!("{:.1} MB", at as f64 / 1e6));
                });
                bar.finish();
                files.push(Row { set: set.name, fetched: fetched? });
            }
        }
        let report = Report { folder: folder.path().display().to_string(), files };
        self.output.print(&report, || text(&report))?;
        Ok(ExitCode::SUCCESS)
    }
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
