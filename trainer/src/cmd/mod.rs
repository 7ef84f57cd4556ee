//! The command line: one file per subcommand, each ending in a `run`.
//!
//! Exit status 0 on success, 1 on failure with one line `error: ...` on stderr, 2 on wrong usage, 130 after Ctrl-C.

pub mod bundle;
pub mod data;
pub mod demo;
pub mod image;
pub mod options;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Any failure of a command; its text names the file, the value and the remedy.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Train small networks that answer families of differential equations and classify images on microcontrollers.
#[derive(Debug, Parser)]
#[command(name = "sirocco-train", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train demo
  sirocco-train bundle train --preset sir-full --out full.safetensors
  sirocco-train bundle finetune --from full.safetensors --preset sir-full-shifted --out shifted.safetensors
  sirocco-train bundle train --help";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    /// Solution bundles: one network for a whole family of initial-value problems
    Bundle(bundle::Args),
    /// Image data sets: what there is, fetching, whether it is whole, and how it looks
    Data(data::Args),
    /// Image networks: training, label selection under shift, studies
    Image(image::Args),
}

impl Cli {
    /// Runs the command and reports its failure.
    pub fn run(self) -> ExitCode {
        let result = match self.command {
            Command::Demo(args) => args.run(),
            Command::Bundle(args) => args.run(),
            Command::Data(args) => args.run(),
            Command::Image(args) => args.run(),
        };
        result.unwrap_or_else(|error| {
            eprintln!("error: {}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        <super::Cli as clap::CommandFactory>::command().debug_assert();
    }
}
