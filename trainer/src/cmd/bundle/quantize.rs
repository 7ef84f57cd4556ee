//! `bundle quantize`

use crate::bundle::evaluate;
use crate::bundle::export::Candidate;
use crate::bundle::load::{self, Loaded};
use crate::bundle::problem::Form;
use crate::bundle::quantize::Grid;
use crate::bundle::quantize::rounding::{self, Rounded};
use crate::cmd::error::Error;
use crate::cmd::options::Threads;
use crate::cmd::output::Output;
use clap::ValueEnum;
use serde::Serialize;
use sirocco::network::Scheme;
use std::path::{Path, PathBuf};

/// Write a bundle in another number format
///
/// Integers make a file smaller, and answers faster on chips without a floating-point unit. Weights are rounded one after
/// the other while the rest move to compensate, so that the answers stay close to those of the network before; no solution
/// is used. The new file is measured with the device's evaluator. Prints errors and sizes before and after.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Model file to convert
    file: PathBuf,
    /// Number format to write
    #[arg(long, value_enum)]
    scheme: SchemeChoice,
    /// Model file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Seed of the rounding and of the measurement's queries
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    threads: Threads,
}

const EXAMPLES: &str = "\
Examples:
  16-bit integers, for chips without a floating-point unit:
    sirocco-train bundle quantize full.safetensors --scheme i16 --out full-i16.safetensors
  Half the bytes, and fewer instructions on a Cortex-M4:
    sirocco-train bundle quantize full.safetensors --scheme i8i16 --out full-i8.safetensors";

/// Number formats, as a user chooses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SchemeChoice {
    /// 32-bit floats
    F32,
    /// 16-bit integer weights
    I16,
    /// 8-bit integer weights
    I8i16,
}

#[derive(Serialize)]
struct Report<'a> {
    max_error_before: f64,
    max_error_after: f64,
    rms_error_before: f64,
    rms_error_after: f64,
    logloss_before: f64,
    logloss_after: f64,
    bytes: usize,
    bytes_before: usize,
    scheme: &'static str,
    file: &'a Path,
}

/// Converts, measures and writes.
///
/// # Errors
/// [`Error`] if a file cannot be read or written, the file is not a bundle, or its weights do not fit the format.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    arguments.threads.apply()?;
    let loaded = load::bundle(&arguments.file)?;
    let scheme = match arguments.scheme {
        SchemeChoice::F32 => Scheme::F32,
        SchemeChoice::I16 => Scheme::I16,
        SchemeChoice::I8i16 => Scheme::I8I16,
    };
    if loaded.problem.form == Form::Phase && scheme != Scheme::F32 {
        let file = arguments.file.display();
        let remedy = "for integers, train a box in the form reduced, such as --preset sir-full";
        return Err(Error::Usage(format!(
            "`{file}` has the form `phase`, whose closed form computes in f32; {remedy}"
        )));
    }
    let bundle = loaded.bundle()?;
    let domain = evaluate::own_domain(&bundle);
    let samples = evaluate::samples(&bundle, &domain, evaluate::QUERIES, arguments.seed)?;
    let before = evaluate::measure(&bundle, &domain, &samples, arguments.seed)?;
    let rounded = Grid::of(scheme).map(|grid| arguments.round(&loaded, grid, output));
    let (mlp, scales) = rounded.as_ref().map_or((&loaded.mlp, None), |r| (&r.mlp, Some(r.scales.as_slice())));
    let candidate = Candidate {
        problem: &loaded.problem,
        mlp,
        scheme,
        scales,
        provenance: &loaded.metadata,
        seed: arguments.seed,
        queries: evaluate::QUERIES,
    };
    let exported = candidate.export()?;
    exported.write(&arguments.out)?;
    let after = exported.measurement;
    let report = Report {
        max_error_before: before.max_error,
        max_error_after: after.max_error,
        rms_error_before: before.rms_error,
        rms_error_after: after.rms_error,
        logloss_before: before.logloss,
        logloss_after: after.logloss,
        bytes: exported.bytes.len(),
        bytes_before: loaded.bytes.len(),
        scheme: scheme.name(),
        file: &arguments.out,
    };
    output.result(&report, |report| {
        say!(
            "{} to {}: maximum error {:.2e} to {:.2e}, RMS {:.2e} to {:.2e}, {} to {} bytes\nwrote {}",
            loaded.scheme.name(),
            report.scheme,
            report.max_error_before,
            report.max_error_after,
            report.rms_error_before,
            report.rms_error_after,
            report.bytes_before,
            report.bytes,
            report.file.display()
        );
    });
    Ok(())
}

impl Arguments {
    /// Integer weights and their scales.
    fn round(&self, loaded: &Loaded, grid: Grid, output: Output) -> Rounded {
        let progress = output.bar("rounding", rounding::rounds(&loaded.mlp, grid));
        let watch = |done, logloss| progress.update(done, logloss);
        let rounded = rounding::second_order(&loaded.problem, &loaded.mlp, grid, self.seed, watch);
        progress.finish();
        rounded
    }
}
