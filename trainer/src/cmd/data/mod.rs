//! `sirocco-train data`: image data sets.

mod check;
mod get;
mod list;
mod preview;

use crate::cmd::error::Error;
use crate::cmd::output::Output;
use clap::Subcommand;

/// Arguments of `data`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Arguments),
    Get(get::Arguments),
    Check(check::Arguments),
    Preview(preview::Arguments),
}

/// Runs the subcommand.
///
/// # Errors
/// [`Error`] of the subcommand.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    match &arguments.command {
        Command::List(arguments) => list::run(arguments, output),
        Command::Get(arguments) => get::run(arguments, output),
        Command::Check(arguments) => check::run(arguments, output),
        Command::Preview(arguments) => preview::run(arguments, output),
    }
}
