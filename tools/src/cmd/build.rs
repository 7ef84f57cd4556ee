//! `sirocco build`

use crate::Error;
use crate::device::board::Board;
use crate::device::cargo;
use crate::output::Output;
use serde::Serialize;
use std::path::PathBuf;

/// Build a board's firmware
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco build qemu-mps2-an386
  sirocco build qemu-mps2-an386 --lint")]
pub struct Arguments {
    /// The board; see `sirocco boards`
    board: String,
    /// Check the firmware with clippy, warnings being errors, instead of building it
    #[arg(long)]
    lint: bool,
}

#[derive(Serialize)]
struct Built {
    board: String,
    /// The ELF file; absent if it was only checked.
    elf: Option<PathBuf>,
}

/// Builds it.
///
/// # Errors
/// See [`Error`].
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let board = Board::find(&arguments.board)?;
    let elf = if arguments.lint {
        cargo::lint(&board)?;
        None
    } else {
        Some(cargo::build(&board, output)?)
    };
    output.result(&Built { board: board.name, elf }, |built| match &built.elf {
        Some(elf) => println!("{}", elf.display()),
        None => output.progress("no warnings"),
    });
    Ok(())
}
