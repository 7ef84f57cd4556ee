//! `sirocco-train`: see `sirocco-train --help`.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    sirocco_trainer::cmd::Cli::parse().run()
}
