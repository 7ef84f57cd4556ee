//! Counts the instructions that a model executes in QEMU, with the firmware image `firmware/images/bench`.

use crate::Error;
use crate::device::board::Board;
use crate::device::cargo;
use crate::device::qemu::{self, Image};
use crate::output::Output;
use serde::Serialize;
use std::path::Path;

/// The emulated board on which instructions are counted: a Cortex-M4F.
pub const BOARD: &str = "qemu-mps2-an386";
/// A second one, for the comparison of bundles with Runge-Kutta: a Cortex-M3.
pub const SMALL_BOARD: &str = "qemu-mps2-an385";
/// The package of the firmware image that counts them.
const PACKAGE: &str = "sirocco-bench";

/// The counts of a model.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// For an image network: one entry per kernel.
    pub kernels: Vec<KernelReport>,
    /// For a bundle: one entry per question.
    pub bundle: Vec<Row>,
    /// For a bundle of epidemics: Runge-Kutta on the same problem.
    pub rk4: Vec<Rk4>,
}

/// The count of Runge-Kutta with a number of steps.
#[derive(Debug, Clone, Serialize)]
pub struct Rk4 {
    /// The type of its numbers: `f32`, `f64` or `fixed`.
    pub numbers: String,
    /// Number of steps.
    pub steps: u64,
    /// Executed instructions.
    pub instructions: u64,
}

/// The counts of an image network with one kernel.
#[derive(Debug, Clone, Serialize)]
pub struct KernelReport {
    /// `portable` or `dsp`.
    pub kernel: String,
    /// One row per layer.
    pub layers: Vec<Row>,
    /// Multiply-accumulates of all layers.
    pub macs: u64,
    /// Instructions of all layers.
    pub instructions: u64,
}

/// The count of a piece of work.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The work: an operation and the shape of its output, or a question.
    pub what: String,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Executed instructions, rounded to multiples of 40.
    pub instructions: u64,
}

/// Counts the instructions of a model on an emulated board.
///
/// # Errors
/// [`Error::Program`] without cargo or QEMU, [`Error::Emulator`] if the model does not run or the kernels' results
/// differ.
pub fn count(model: &Path, board: &str, output: Output) -> Result<Report, Error> {
    let board = Board { name: PACKAGE.into(), ..Board::find(board)? };
    let elf = cargo::build(&board, output)?;
    parse(&qemu::output(Image { board: &board, elf: &elf, model: Some(model), flash: None })?)
}

/// Parses what `firmware/images/bench` prints.
fn parse(text: &str) -> Result<Report, Error> {
    let failed = |line: &str| Error::Emulator {
        what: format!("said `{line}`"),
        remedy: "either the model needs more memory than the board has, or `sirocco inspect` says what is wrong with it",
    };
    let mut report = Report::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().map_err(|_| failed(line));
        let row = |what: &[&str], macs, instructions| -> Result<Row, Error> {
            Ok(Row { what: what.join(" "), macs: number(macs)?, instructions: number(instructions)? })
        };
        match (words.as_slice(), report.kernels.last_mut()) {
            (["done"], _) => return Ok(report),
            (["kernel", name], _) => {
                report.kernels.push(KernelReport { kernel: (*name).into(), layers: vec![], macs: 0, instructions: 0 });
            }
            (["layer", index, operation, shape, macs, instructions], Some(kernel)) => {
                kernel.layers.push(row(&[index, operation, shape], macs, instructions)?);
            }
            (["total", macs, instructions], Some(kernel)) => {
                (kernel.macs, kernel.instructions) = (number(macs)?, number(instructions)?);
            }
            (["rk4", numbers, steps, instructions], _) => report.rk4.push(Rk4 {
                numbers: (*numbers).into(),
                steps: number(steps)?,
                instructions: number(instructions)?,
            }),
            (["bundle", what, macs, instructions], _) => report.bundle.push(row(&[what], macs, instructions)?),
            _ => return Err(failed(line)),
        }
    }
    Err(failed("nothing more before it was done"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_rows() {
        let text = "kernel dsp\nlayer 0 conv 2x2x8 72 120\nlayer 1 logits 1x1x2 64 80\ntotal 136 200\ndone\n";
        let report = parse(text).unwrap();
        assert_eq!((report.kernels[0].macs, report.kernels[0].instructions), (136, 200));
        assert_eq!(report.kernels[0].layers[0].what, "0 conv 2x2x8");
        assert_eq!(parse("bundle predict 640 4000\ndone").unwrap().bundle[0].instructions, 4000);
        assert_eq!(parse("rk4 fixed 24 3000\ndone").unwrap().rk4[0].steps, 24);
    }

    #[test]
    fn anything_else_is_an_error() {
        for bad in
            ["", "kernel dsp", "mismatch block of 3\ndone", "layer 0 conv 2x2x8 72 120\ndone", "bundle x 1 y\ndone"]
        {
            assert!(matches!(parse(bad), Err(Error::Emulator { .. })), "{bad}");
        }
    }
}
