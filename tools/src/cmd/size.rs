//! `sirocco size`: the memory that firmware needs.

use crate::Error;
use crate::device::board::Board;
use crate::device::cargo;
use crate::device::elf::{Firmware, Sizes};
use crate::output::Output;
use serde::Serialize;

/// Show how much flash and RAM the firmware of a board needs
///
/// Builds the firmware if anything changed, and reads the sizes from its ELF file. RAM that variables do not use is for
/// the stack.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco size                       prints a line for each board
  sirocco size qemu-mps2-an386       prints one board with its sections
  sirocco size qemu-mps2-an385 --json")]
pub struct Arguments {
    /// Name of the board; without it, all boards. See `sirocco boards`
    board: Option<String>,
}

#[derive(Serialize)]
struct Report {
    board: String,
    #[serde(flatten)]
    sizes: Sizes,
}

#[derive(Serialize)]
struct Reports {
    boards: Vec<Report>,
}

/// Builds the firmware and prints its sizes.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    if let Some(name) = &arguments.board {
        output.result(&measure(Board::find(name)?, output)?, |report| print(report, output));
        return Ok(());
    }
    let boards = Board::all()?.into_iter().map(|board| measure(board, output)).collect::<Result<_, _>>()?;
    output.result(&Reports { boards }, |Reports { boards }| {
        say!("{:<16} {:>8} {:>10} {:>8} {:>10}", "board", "flash", "of", "RAM", "of, bytes");
        for Report { board, sizes } in boards {
            let Sizes { flash, flash_capacity, ram, ram_capacity, .. } = sizes;
            say!("{board:<16} {flash:>8} {flash_capacity:>10} {ram:>8} {ram_capacity:>10}");
        }
    });
    Ok(())
}

fn measure(board: Board, output: Output) -> Result<Report, Error> {
    let path = cargo::build(&board, output)?;
    let elf = std::fs::read(&path).map_err(Error::file(&path))?;
    let sizes = Firmware::parse(&path, &elf)?.sizes()?;
    Ok(Report { board: board.name, sizes })
}

fn print(Report { sizes, .. }: &Report, output: Output) {
    say!("flash {:>8} of {:>8} bytes", sizes.flash, sizes.flash_capacity);
    say!("RAM   {:>8} of {:>8} bytes, {} left for the stack", sizes.ram, sizes.ram_capacity, sizes.stack);
    if !output.quiet {
        for section in &sizes.sections {
            say!("  {:<16} {:#010x} {:>8}", section.name, section.address, section.bytes);
        }
    }
}
