//! `sirocco flash`: writes firmware through a debug probe.

use crate::Error;
use crate::device::probe::{ProbeArguments, Target};
use crate::output::Output;
use serde::Serialize;
use std::path::PathBuf;

/// Write the firmware of a board, and a model if one is given, through a debug probe
///
/// Builds the firmware, writes it with the program `probe-rs` (from <https://probe.rs>) and restarts the board. Other
/// parts of the flash, such as models sent with `sirocco push`, are not changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco flash nrf52840-dk
  sirocco flash stm32f405 --model model.safetensors
  sirocco flash rpi-pico2 --probe 2e8a:000c")]
pub struct Arguments {
    #[command(flatten)]
    target: ProbeArguments,
}

#[derive(Serialize)]
struct Flashed<'a> {
    board: &'a str,
    elf: &'a PathBuf,
    model: &'a Option<PathBuf>,
    /// The commands that were run.
    ran: Vec<String>,
}

/// Flashes the board.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let target = Target::prepare(&arguments.target, output)?;
    let mut ran = vec![target.download_firmware()?];
    ran.extend(target.download_model()?);
    ran.push(target.reset()?);
    let (board, elf, model) = (&target.board, &target.elf, &arguments.target.model);
    output.result(&Flashed { board: &board.name, elf, model, ran }, |_| {
        output.progress(format_args!("{} runs; its serial port: {}", board.name, board.serial));
    });
    Ok(())
}
