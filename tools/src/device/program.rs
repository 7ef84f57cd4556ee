//! Runs other programs: prints the command line first, and sends their output to stderr.

use crate::Error;
use crate::device::cargo;
use crate::output::Output;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

/// Checks that a program is on the PATH, before work is done that needs it.
///
/// # Errors
/// [`Error::Program`] if it is not, with this remedy.
pub fn find(program: &str, remedy: &'static str) -> Result<(), Error> {
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&folders).any(|folder| folder.join(&file).is_file()) {
        return Ok(());
    }
    Err(Error::Program { program: program.to_owned(), source: ErrorKind::NotFound.into(), remedy })
}

/// Runs a command to its end and returns its command line.
///
/// # Errors
/// [`Error::Program`] if it cannot be started, [`Error::Failed`] if it fails; both end with `remedy`.
pub fn execute(mut command: Command, remedy: &'static str, output: Output) -> Result<String, Error> {
    // The program may ask for a password, as sudo does.
    command.stdin(Stdio::inherit()).stdout(std::io::stderr());
    let line = cargo::line(&command);
    output.progress(format_args!("running: {line}"));
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|source| Error::Program { program, source, remedy })?;
    if status.success() { Ok(line) } else { Err(Error::Failed { command: line, status, remedy }) }
}
