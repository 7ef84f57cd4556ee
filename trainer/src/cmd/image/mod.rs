//! `sirocco-train image`: networks that classify images, and their adaptation to another domain by few labels.

mod evaluate;
mod finetune;
mod import;
mod options;
mod pretrain;
mod quantize;
mod recalibrate;
mod recipe;
pub mod shifting;
mod study;
mod thesis;
mod train;

use crate::cmd::error::Error;
use crate::cmd::output::Output;
use clap::Subcommand;

/// Arguments of `image`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<train::Arguments>),
    Pretrain(Box<pretrain::Arguments>),
    Finetune(Box<finetune::Arguments>),
    Evaluate(evaluate::Arguments),
    Import(import::Arguments),
    Quantize(quantize::Arguments),
    Recalibrate(recalibrate::Arguments),
    Study(Box<study::Arguments>),
}

/// Runs the subcommand.
///
/// # Errors
/// [`Error`] of the subcommand.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    match &arguments.command {
        Command::Train(arguments) => train::run(arguments, output),
        Command::Pretrain(arguments) => pretrain::run(arguments, output),
        Command::Finetune(arguments) => finetune::run(arguments, output),
        Command::Evaluate(arguments) => evaluate::run(arguments, output),
        Command::Import(arguments) => import::run(arguments, output),
        Command::Quantize(arguments) => quantize::run(arguments, output),
        Command::Recalibrate(arguments) => recalibrate::run(arguments, output),
        Command::Study(arguments) if arguments.name == "thesis" => thesis::run(arguments, output),
        Command::Study(arguments) => study::run(arguments, output),
    }
}
