//! The command line: one file per subcommand, each with `Arguments` and `run`. ARCHITECTURE.md states the convention.

/// As `println!`, without its panic where stdout cannot be written: see [`output::finish`].
macro_rules! say {
    () => { $crate::cmd::output::write(format_args!("\n")) };
    ($($text:tt)+) => { $crate::cmd::output::write(format_args!("{}\n", format_args!($($text)+))) };
}

pub mod bundle;
pub mod data;
pub mod demo;
pub mod error;
pub mod image;
pub mod options;
pub mod output;
pub mod reading;

use clap::{Parser, Subcommand};
use error::Error;
use output::Output;
use std::process::ExitCode;

/// Train small networks that solve families of differential equations or classify images on microcontrollers
///
/// Results go to stdout, progress to stderr. Every command that trains or measures is reproducible: the same seed gives
/// the same file. The exit status is 0 for success, 1 for a failure, 2 for wrong usage, and 130 after Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "sirocco-train", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  Everything once, in two minutes, with a report to look at:
    sirocco-train demo
  A network that solves every SIR epidemic of a box of parameters:
    sirocco-train bundle train --preset sir-full --out full.safetensors
  A network that reads digits:
    sirocco-train data get mnist
    sirocco-train image pretrain --dataset mnist --out mnist.safetensors
  What a command does and takes:
    sirocco-train bundle train --help";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    /// Solution bundles: one network for a whole family of initial-value problems
    Bundle(bundle::Arguments),
    /// Image data sets: list, fetch, check and preview them
    Data(data::Arguments),
    /// Image networks: training, few labels for another domain, 8-bit files for devices, studies
    Image(Box<image::Arguments>),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let Cli { command, output } = Cli::parse();
    let result = json_can_name_all(output).and_then(|()| match &command {
        Command::Demo(arguments) => demo::run(arguments, output),
        Command::Bundle(arguments) => bundle::run(arguments, output),
        Command::Data(arguments) => data::run(arguments, output),
        Command::Image(arguments) => image::run(arguments, output),
    });
    let printed = || output::finish().map_or(Ok(()), |error| Err(Error::Stdout(error)));
    let Err(error) = result.and_then(|()| printed()) else { return ExitCode::SUCCESS };
    // Who pressed Ctrl-C has read already what becomes of the work.
    if !matches!(error, Error::Interrupted) {
        eprintln!("error: {}", error.to_string().replace('\n', " "));
    }
    ExitCode::from(error.status())
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
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(command.has_subcommands() || help.contains("Examples:"), "{}", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&super::Cli::command());
    }
}
