//! The command line: parses it, runs the command, and turns an error into one line on stderr and an exit status.

use crate::Error;
use crate::cmd;
use crate::output::{self, Output};
use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// Build firmware for Sirocco boards, emulate them, and ask them for answers
#[derive(Debug, Parser)]
#[command(
    name = "sirocco",
    version,
    after_help = "\
Examples:
  sirocco setup
  sirocco query --port qemu:qemu-mps2-an386 --t 10 --I0 0.3 --R0 0.2 --beta 0.6 --gamma 0.5
  sirocco inspect model.safetensors

Each command explains itself: `sirocco COMMAND --help`.

Exit status: 0 for success, 1 for a failure (one line on stderr says why and what to do), 2 for wrong usage."
)]
struct Cli {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(cmd::setup::Arguments),
    Boards(cmd::boards::Arguments),
    Build(cmd::build::Arguments),
    Size(cmd::size::Arguments),
    Emulate(cmd::emulate::Arguments),
    Flash(cmd::flash::Arguments),
    Run(cmd::run::Arguments),
    Ports(cmd::ports::Arguments),
    Info(cmd::info::Arguments),
    Query(cmd::query::Arguments),
    Data(cmd::data::Arguments),
    Calibrate(Box<cmd::calibrate::Arguments>),
    Reproduction(cmd::reproduction::Arguments),
    Console(cmd::console::Arguments),
    Selftest(cmd::selftest::Arguments),
    Trajectory(cmd::trajectory::Arguments),
    Plot(cmd::plot::Arguments),
    Classify(cmd::classify::Arguments),
    Samples(cmd::samples::Arguments),
    Push(cmd::push::Arguments),
    Models(cmd::models::Arguments),
    Keys(cmd::keys::Arguments),
    Sign(cmd::sign::Arguments),
    Verify(cmd::verify::Arguments),
    Bench(cmd::bench::Arguments),
    Inspect(cmd::inspect::Arguments),
    Completions(cmd::completions::Arguments),
    Man(cmd::man::Arguments),
}

/// The description of all commands and options, from which help, completions and manual are made.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let Cli { output, command } = Cli::parse();
    let result = json_can_name_all(output).and_then(|()| run(command, output));
    match result.and_then(|()| output::finish().map_or(Ok(()), |error| Err(Error::Stdout(error)))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.status())
        }
    }
}

fn run(command: Command, output: Output) -> Result<(), Error> {
    match command {
        Command::Setup(arguments) => cmd::setup::run(&arguments, output),
        Command::Boards(arguments) => cmd::boards::run(&arguments, output),
        Command::Build(arguments) => cmd::build::run(&arguments, output),
        Command::Size(arguments) => cmd::size::run(&arguments, output),
        Command::Emulate(arguments) => cmd::emulate::run(&arguments, output),
        Command::Flash(arguments) => cmd::flash::run(&arguments, output),
        Command::Run(arguments) => cmd::run::run(&arguments, output),
        Command::Ports(arguments) => cmd::ports::run(&arguments, output),
        Command::Info(arguments) => cmd::info::run(&arguments, output),
        Command::Query(arguments) => cmd::query::run(&arguments, output),
        Command::Data(arguments) => cmd::data::run(&arguments, output),
        Command::Calibrate(arguments) => cmd::calibrate::run(&arguments, output),
        Command::Reproduction(arguments) => cmd::reproduction::run(&arguments, output),
        Command::Console(arguments) => cmd::console::run(&arguments, output),
        Command::Selftest(arguments) => cmd::selftest::run(&arguments, output),
        Command::Trajectory(arguments) => cmd::trajectory::run(&arguments, output),
        Command::Plot(arguments) => cmd::plot::run(&arguments, output),
        Command::Classify(arguments) => cmd::classify::run(&arguments, output),
        Command::Samples(arguments) => cmd::samples::run(&arguments, output),
        Command::Push(arguments) => cmd::push::run(&arguments, output),
        Command::Models(arguments) => cmd::models::run(&arguments, output),
        Command::Keys(arguments) => cmd::keys::run(&arguments, output),
        Command::Sign(arguments) => cmd::sign::run(&arguments, output),
        Command::Verify(arguments) => cmd::verify::run(&arguments, output),
        Command::Bench(arguments) => cmd::bench::run(&arguments, output),
        Command::Inspect(arguments) => cmd::inspect::run(&arguments, output),
        Command::Completions(arguments) => cmd::completions::run(&arguments, Cli::command(), output),
        Command::Man(arguments) => cmd::man::run(&arguments, Cli::command(), output),
    }
}

/// Refuses names that JSON cannot hold before any work is done, so that no result is lost for them.
fn json_can_name_all(output: Output) -> Result<(), Error> {
    match std::env::args_os().find(|name| output.json && name.to_str().is_none()) {
        Some(name) => {
            let name = name.to_string_lossy();
            Err(Error::Usage(format!("`{name}` is not UTF-8, and JSON cannot hold it; rename it, or leave out --json")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_command_shows_examples() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "{}", command.get_name());
        }
    }
}
