//! Options that many commands share.

use super::Error;
use crate::bundle::preset::{self, Preset};
use crate::host::device;
use crate::host::progress::Verbosity;
use candle_core::Device;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::Serialize;

/// How results are shown.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Output {
    /// Print exactly one JSON object on standard output
    #[arg(long)]
    pub json: bool,
    /// No progress on standard error
    #[arg(long)]
    pub quiet: bool,
}

impl Output {
    /// Whether progress may be drawn.
    pub fn verbosity(&self) -> Verbosity {
        if self.quiet { Verbosity::Quiet } else { Verbosity::Normal }
    }

    /// Prints the result: as JSON, or as `text` for people.
    ///
    /// # Errors
    /// If the result is not serialisable.
    pub fn print(&self, result: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Error> {
        if self.json {
            println!("{}", serde_json::to_string(result)?);
        } else {
            println!("{}", text());
        }
        Ok(())
    }
}

/// How many threads compute.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Threads {
    /// Threads; all cores unless given. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub threads: Option<usize>,
}

impl Threads {
    /// Makes this the number of threads of the process.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn apply(&self) -> Result<(), Error> {
        let Some(threads) = self.threads else { return Ok(()) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        pool.map_err(|e| format!("cannot start {threads} threads: {e}; ask for fewer with --threads").into())
    }
}

/// Where tensors are computed.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Compute {
    /// Where to compute
    #[arg(long, value_enum, default_value_t = device::Choice::Cpu)]
    pub device: device::Choice,
}

impl Compute {
    /// Opens the device.
    ///
    /// # Errors
    /// If this build or this machine has none.
    pub fn open(self) -> Result<Device, Error> {
        Ok(device::open(self.device)?)
    }
}

/// Parses a preset's name; `--help` lists them all.
pub fn preset() -> impl TypedValueParser<Value = &'static Preset> {
    let values = preset::all().iter().map(|p| PossibleValue::new(p.name).help(p.what));
    PossibleValuesParser::new(values).try_map(|name| preset::find(&name))
}
