//! `sirocco bench`

mod compare;

use crate::Error;
use crate::device::bench::{BOARD, Rk4, Row, count};
use crate::output::Output;
use std::path::PathBuf;

/// Count the executed instructions of a model on an emulated Cortex-M4F
///
/// An image network is counted layer by layer, with the portable kernel and with the one in DSP instructions, which have
/// to agree in every bit; a bundle by what it answers. Instructions are no cycles: a division takes up to 14, a load 1 to
/// 2, a taken branch up to 3.
///
/// --compare sets bundles of epidemics (SIR) against Runge-Kutta of order four in floats, in fixed point and in double
/// precision, each with the fewest steps for an error that is no larger, on a Cortex-M4F and a Cortex-M3.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco bench --port qemu:qemu-mps2-an386 --model resnet8.safetensors
  sirocco bench --port qemu:qemu-mps2-an386 --model sir-full.safetensors --json
  sirocco bench --compare --model sir-full.safetensors --model sir-full-i16.safetensors")]
pub struct Arguments {
    /// Where to count: qemu:qemu-mps2-an386
    #[arg(long, value_name = "PORT", default_value = "qemu:qemu-mps2-an386")]
    port: String,
    /// The model file; with --compare, as many as are to be compared
    #[arg(long, value_name = "FILE", required = true)]
    model: Vec<PathBuf>,
    /// Compare bundles with Runge-Kutta at equal error
    #[arg(long)]
    compare: bool,
}

/// Counts and shows.
///
/// # Errors
/// See [`count`].
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    if arguments.port != format!("qemu:{BOARD}") {
        return Err(Error::Usage(format!("instructions are counted on qemu:{BOARD} only, not on {}", arguments.port)));
    }
    if arguments.compare {
        return compare::run(&arguments.model, output);
    }
    let [model] = &arguments.model[..] else {
        return Err(Error::Usage("one --model at a time, or --compare".into()));
    };
    let report = count(model, BOARD, output)?;
    output.result(&report, |report| {
        for kernel in &report.kernels {
            println!("{} kernel", kernel.kernel);
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
        0 => println!("  {what:<24} {:>10} {instructions:>12} instructions", ""),
        _ => {
            let each = *instructions as f64 / *macs as f64;
            println!("  {what:<24} {macs:>10} MACs {instructions:>7} instructions, {each:.2} per MAC");
        }
    }
}
