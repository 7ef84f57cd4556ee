//! `sirocco bench`: counts instructions.

mod compare;
mod largest;

use crate::Error;
use crate::device::bench::{BOARD, Rk4, Row, count};
use crate::output::Output;
use std::path::PathBuf;

/// Count the instructions that a model executes on an emulated Cortex-M4F
///
/// For an image network, prints the count of each layer, once with the portable kernel and once with the one that uses
/// DSP instructions; their results have to agree in every bit. For a bundle, prints the count of each kind of question.
/// Instructions are not cycles: a division takes up to 14 cycles, a load 1 to 2, a taken branch up to 3.
///
/// With --compare, compares bundles of epidemics (SIR) with the Runge-Kutta method of order four in single precision,
/// in fixed point and in double precision, on a Cortex-M4F and a Cortex-M3. Each takes the fewest steps whose error is
/// not larger than the network's. An error is the largest that a search of the domain finds, the same for both: inside, on
/// faces and vertices, and uphill from the worst.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco bench --port qemu:qemu-mps2-an386 --model resnet8.safetensors
  sirocco bench --port qemu:qemu-mps2-an386 --model sir-full.safetensors --json
  sirocco bench --compare --model sir-full.safetensors --model sir-full-i16.safetensors")]
pub struct Arguments {
    /// Where to count; only qemu:qemu-mps2-an386 is possible
    #[arg(long, value_name = "PORT", default_value = "qemu:qemu-mps2-an386")]
    port: String,
    /// Model file; with --compare, may be given several times
    #[arg(long, value_name = "FILE", required = true)]
    model: Vec<PathBuf>,
    /// Compare bundles with the Runge-Kutta method at equal error
    #[arg(long)]
    compare: bool,
}

/// Counts and prints.
///
/// # Errors
/// [`Error::Usage`] for another port or several models without `--compare`, and as for [`count`].
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    if arguments.port != format!("qemu:{BOARD}") {
        return Err(Error::Usage(format!("instructions are counted on qemu:{BOARD} only, not on {}", arguments.port)));
    }
    if arguments.compare {
        return compare::run(&arguments.model, output);
    }
    let [model] = &arguments.model[..] else {
        return Err(Error::Usage("give one --model, or --compare with several".into()));
    };
    let report = count(model, BOARD, output)?;
    output.result(&report, |report| {
        for kernel in &report.kernels {
            say!("{} kernel", kernel.kernel);
            for row in &kernel.layers {
                show(row);
            }
            show(&Row { what: "all".into(), macs: kernel.macs, instructions: kernel.instructions });
        }
        for row in &report.bundle {
            show(row);
        }
        for Rk4 { numbers, steps, instructions } in &report.rk4 {
            show(&Row { what: format!("rk4 {numbers} {steps} steps"), macs: 0, instructions: *instructions });
        }
    });
    Ok(())
}

fn show(row: &Row) {
    let Row { what, macs, instructions } = row;
    match macs {
        0 => say!("  {what:<24} {:>10} {instructions:>12} instructions", ""),
        _ => {
            let each = *instructions as f64 / *macs as f64;
            say!("  {what:<24} {macs:>10} MACs {instructions:>7} instructions, {each:.2} per MAC");
        }
    }
}
