//! `bundle quantize`: the same network in another number format, checked and measured again.

use crate::bundle::evaluate;
use crate::bundle::export::Candidate;
use crate::bundle::load::{self, Loaded};
use crate::bundle::quantize::Grid;
use crate::bundle::quantize::rounding::{self, Rounded};
use crate::cmd::Error;
use crate::cmd::options::{Output, Threads};
use crate::host::budget::Budget;
use crate::host::progress::Progress;
use clap::ValueEnum;
use serde::Serialize;
use sirocco::bundle::Bundle;
use sirocco::network::Scheme;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write a bundle in another number format.
///
/// Weights become integers by second-order rounding, which lets the others make up for each one's error and keeps the answers
/// of the network before; no solution is looked at. The new file is evaluated as a device would and its errors are written into it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Model file to convert
    file: PathBuf,
    /// Number format of weights and activations
    #[arg(long, value_enum)]
    scheme: SchemeChoice,
    /// Model file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Seed of the measurement's queries
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    output: Output,
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
    /// 16-bit weights and activations
    I16,
    /// 8-bit weights, 16-bit activations
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

impl Args {
    /// Converts, measures and writes.
    ///
    /// # Errors
    /// A file that cannot be read or is no bundle; weights that do not fit the format; a file that cannot be written.
    pub fn run(self) -> Result<ExitCode, Error> {
        self.threads.apply()?;
        let loaded = load::bundle(&self.file)?;
        let scheme = match self.scheme {
            SchemeChoice::F32 => Scheme::F32,
            SchemeChoice::I16 => Scheme::I16,
            SchemeChoice::I8i16 => Scheme::I8I16,
        };
        let before = evaluate::measure(&Bundle::open(&loaded.bytes)?, evaluate::QUERIES, self.seed)?;
        let rounded = Grid::of(scheme).map(|grid| self.round(&loaded, grid));
        let (mlp, scales) = rounded.as_ref().map_or((&loaded.mlp, None), |r| (&r.mlp, Some(r.scales.as_slice())));
        let candidate = Candidate {
            problem: &loaded.problem,
            mlp,
            scheme,
            scales,
            provenance: &loaded.metadata,
            seed: self.seed,
            queries: evaluate::QUERIES,
        };
        let exported = candidate.export()?;
        exported.write(&self.out)?;
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
            file: &self.out,
        };
        self.output.print(&report, || {
            format!(
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
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }

    /// Integer weights and their scales.
    fn round(&self, loaded: &Loaded, grid: Grid) -> Rounded {
        let budget = Budget::iterations(rounding::rounds(&loaded.mlp, grid));
        let mut progress = Progress::new("rounding", budget, self.output.verbosity());
        let watch = |done, logloss| progress.update(done, logloss);
        let rounded = rounding::second_order(&loaded.problem, &loaded.mlp, grid, self.seed, watch);
        progress.finish();
        rounded
    }
}
