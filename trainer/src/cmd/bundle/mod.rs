//! `sirocco-train bundle`: networks that solve families of initial-value problems.

mod adam;
mod evaluate;
mod finetune;
mod prove;
mod quantize;
mod study;
mod train;
mod training;

use crate::cmd::error::Error;
use crate::cmd::output::Output;
use clap::Subcommand;

/// Arguments of `bundle`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::Arguments),
    Finetune(finetune::Arguments),
    Evaluate(evaluate::Arguments),
    Prove(prove::Arguments),
    Quantize(quantize::Arguments),
    Study(study::Arguments),
}

/// Runs the subcommand.
///
/// # Errors
/// [`Error`] of the subcommand.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    match &arguments.command {
        Command::Train(arguments) => train::run(arguments, output),
        Command::Finetune(arguments) => finetune::run(arguments, output),
        Command::Evaluate(arguments) => evaluate::run(arguments, output),
        Command::Prove(arguments) => prove::run(arguments, output),
        Command::Quantize(arguments) => quantize::run(arguments, output),
        Command::Study(arguments) => study::run(arguments, output),
    }
}
