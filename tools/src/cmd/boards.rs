//! `sirocco boards`: lists the boards of the repository.

use crate::Error;
use crate::device::board::Board;
use crate::output::Output;
use serde::Serialize;

/// List the boards for which firmware can be built
///
/// For each: what it is, how its serial port is connected, and whether it runs in QEMU, on hardware, or both.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco boards
  sirocco boards --quiet     prints the names only
  sirocco boards --json")]
pub struct Arguments {}

#[derive(Serialize)]
struct Row {
    name: String,
    description: String,
    target: String,
    /// How its serial port is connected to a computer.
    serial: String,
    /// The machine of QEMU that emulates it, if one does.
    emulator: Option<String>,
    /// The name of the chip for debug probes, if it is hardware.
    chip: Option<String>,
}

#[derive(Serialize)]
struct Boards {
    boards: Vec<Row>,
}

/// Lists the boards.
pub fn run(_: &Arguments, output: Output) -> Result<(), Error> {
    let row = |board: Board| Row {
        name: board.name,
        description: board.description,
        target: board.target,
        serial: board.serial,
        chip: board.probe.map(|probe| probe.chip),
        emulator: board.qemu.map(|q| q.machine),
    };
    let boards = Boards { boards: Board::all()?.into_iter().map(row).collect() };
    output.result(&boards, |boards| {
        for board in &boards.boards {
            if output.quiet {
                say!("{}", board.name);
            } else {
                say!("{}\n  {}\n  serial  {}", board.name, board.description, board.serial);
                let emulator = board.emulator.as_ref().map(|machine| format!("QEMU {machine}"));
                let chip = board.chip.as_ref().map(|chip| format!("probe-rs {chip}"));
                let runs: Vec<String> = emulator.into_iter().chain(chip).collect();
                say!("  runs    {}, Rust target {}", runs.join(", "), board.target);
            }
        }
    });
    Ok(())
}
