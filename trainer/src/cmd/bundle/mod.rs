//! `sirocco-train bundle`: networks that solve families of initial-value problems.

mod adam;
mod evaluate;
mod finetune;
mod quantize;
mod study;
mod train;
mod training;

use super::Error;
use clap::Subcommand;
use std::process::ExitCode;

/// Arguments of `bundle`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::Args),
    Finetune(finetune::Args),
    Evaluate(evaluate::Args),
    Quantize(quantize::Args),
    Study(study::Args),
}

impl Args {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Those of the subcommand.
    pub fn run(self) -> Result<ExitCode, Error> {
        match self.command {
            Command::Train(args) => args.run(),
            Command::Finetune(args) => args.run(),
            Command::Evaluate(args) => args.run(),
            Command::Quantize(args) => args.run(),
            Command::Study(args) => args.run(),
        }
    }
}
