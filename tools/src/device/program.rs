//! Runs other programs: prints the command line first, and sends their output to stderr.

use crate::Error;
use crate::device::cargo;
use crate::output::Output;
use std::process::{Command, Stdio};

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
