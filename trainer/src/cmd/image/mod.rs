//! `sirocco-train image`: networks that classify images, and what few labels can do for them in another domain.

mod evaluate;
mod finetune;
mod options;
mod pretrain;
mod quantize;
mod recalibrate;
pub mod shifting;
mod study;

use super::Error;
use clap::Subcommand;
use std::process::ExitCode;

/// Arguments of `image`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Pretrain(pretrain::Args),
    Finetune(finetune::Args),
    Evaluate(evaluate::Args),
    Quantize(quantize::Args),
    Recalibrate(recalibrate::Args),
    Study(Box<study::Args>),
}

impl Args {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Those of the subcommand.
    pub fn run(self) -> Result<ExitCode, Error> {
        match self.command {
            Command::Pretrain(args) => args.run(),
            Command::Finetune(args) => args.run(),
            Command::Evaluate(args) => args.run(),
            Command::Quantize(args) => args.run(),
            Command::Recalibrate(args) => args.run(),
            Command::Study(args) => args.run(),
        }
    }
}
