//! `sirocco build`: builds or checks the firmware of a board.

use crate::Error;
use crate::device::board::Board;
use crate::device::cargo::{self, KeyArguments};
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
  sirocco build qemu-mps2-an386 --lint
  sirocco build nrf52840-dk --key release.pub --operator field.pub

With --key, the firmware takes only signed models; with --operator, only operators may change the board. Without them it takes
every model from everyone who reaches its serial port. firmware/docs/signing.md has the details.")]
pub struct Arguments {
    /// Name of the board; see `sirocco boards`
    board: String,
    /// Check the firmware with clippy instead of building it; warnings are errors
    #[arg(long, conflicts_with_all = ["models", "operators"])]
    lint: bool,
    #[command(flatten)]
    keys: KeyArguments,
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
        cargo::lint(&board, output)?;
        None
    } else {
        Some(cargo::build_with(&board, &arguments.keys, output)?)
    };
    output.result(&Built { board: board.name, elf }, |built| match &built.elf {
        Some(elf) => say!("{}", elf.display()),
        None => output.progress("no warnings"),
    });
    Ok(())
}
