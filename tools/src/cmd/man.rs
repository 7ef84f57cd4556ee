//! `sirocco man`: writes the manual.

use crate::Error;
use crate::output::Output;
use std::path::PathBuf;

/// Write manual pages: one for `sirocco` and one for each command
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco man --out ~/.local/share/man/man1
  man sirocco-push")]
pub struct Arguments {
    /// Folder for the pages; it is created if it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(serde::Serialize)]
struct Written {
    folder: PathBuf,
}

/// Writes the pages.
///
/// # Errors
/// [`Error::File`] if the folder cannot be written.
pub fn run(arguments: &Arguments, command: clap::Command, output: Output) -> Result<(), Error> {
    let folder = &arguments.out;
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    clap_mangen::generate_to(command, folder).map_err(Error::file(folder))?;
    output.result(&Written { folder: folder.clone() }, |written| say!("{}", written.folder.display()));
    Ok(())
}
