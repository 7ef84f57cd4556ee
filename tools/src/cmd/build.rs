//! `sirocco build`: builds or checks the firmware of a board.

use crate::Error;
use crate::device::board::Board;
use crate::device::cargo;
use crate::output::Output;
use serde::Serialize;
use std::path::PathBuf;

/// Build the firmware of a board
///
/// Prints the path of the ELF file. Nothing is compiled if nothing has changed. Needs Rust's target for the board,
/// which
/// `sirocco setup` installs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco build qemu-mps2-an386
  sirocco build qemu-mps2-an386 --lint")]
pub struct Arguments {
    /// Name of the board; see `sirocco boards`
    board: String,
    /// Check the firmware with clippy instead of building it; warnings are errors
    #[arg(long)]
    lint: bool,
}

#[derive(Serialize)]
struct Built {
    board: String,
    /// The ELF file; null if it was only checked.
    elf: Option<PathBuf>,
}

/// Builds or checks the firmware.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let board = Board::find(&arguments.board)?;
    let elf = if arguments.lint {
        cargo::lint(&board)?;
        None
    } else {
        Some(cargo::build(&board, output)?)
    };
    output.result(&Built { board: board.name, elf }, |built| match &built.elf {
        Some(elf) => say!("{}", elf.display()),
        None => output.progress("no warnings"),
    });
    Ok(())
}
