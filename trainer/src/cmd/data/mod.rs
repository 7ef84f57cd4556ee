//! `sirocco-train data`: image data sets.

mod check;
mod get;
mod list;
mod preview;

use super::Error;
use crate::dataset::Folder;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `data`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Get(get::Args),
    Check(check::Args),
    Preview(preview::Args),
}

/// Where the data sets are.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Folder with the data sets; else the variable SIROCCO_DATA, else `data`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Place {
    /// The folder.
    pub fn folder(&self) -> Folder {
        Folder::named(self.data.as_deref())
    }
}

impl Args {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Those of the subcommand.
    pub fn run(self) -> Result<ExitCode, Error> {
        match self.command {
            Command::List(args) => args.run(),
            Command::Get(args) => args.run(),
            Command::Check(args) => args.run(),
            Command::Preview(args) => args.run(),
        }
    }
}
