//! `sirocco run`: writes firmware through a debug probe and shows its log.

use crate::Error;
use crate::device::probe::{ProbeArguments, Target};
use crate::output::Output;

/// Write the firmware of a board through a debug probe, and show its log until Ctrl-C
///
/// Builds the firmware and runs it with the program `probe-rs` (from <https://probe.rs>). The log goes to stderr;
/// meanwhile the board answers on its serial port as always. With --json, the result is printed at the end.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco run nrf52840-dk
  sirocco run stm32f405 --model model.safetensors")]
pub struct Arguments {
    #[command(flatten)]
    target: ProbeArguments,
}

#[derive(serde::Serialize)]
struct Ran<'a> {
    board: &'a str,
    /// The commands that were run.
    ran: Vec<String>,
}

/// Runs the board until Ctrl-C.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let target = Target::prepare(&arguments.target, output)?;
    let mut ran = target.download_model()?;
    ran.push(target.run()?);
    output.result(&Ran { board: &target.board.name, ran }, |_| {});
    Ok(())
}
