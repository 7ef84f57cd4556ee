//! Flashes and runs boards through a debug probe. The program `probe-rs` does the work: it knows the flash of each chip
//! and decodes the log.

use crate::Error;
use crate::device::board::Board;
use crate::device::cargo::{self, KeyArguments};
use crate::device::elf::Firmware;
use crate::device::program;
use crate::input::model_file::ModelFile;
use crate::output::Output;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program, which is searched for on the PATH.
const PROGRAM: &str = "probe-rs";
const INSTALL: &str = "install it as https://probe.rs/docs/getting-started/installation says";
const CHECK: &str = "check the probe and its cable with `probe-rs list`, and that the board has power";

/// The arguments of `flash` and `run`.
#[derive(Debug, clap::Args)]
pub struct ProbeArguments {
    /// Name of the board; see `sirocco boards`
    pub board: String,
    /// Model file to write into the first model slot; without it, the board keeps its models
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// The debug probe to use if several are connected: VID:PID or VID:PID:SERIAL, as `probe-rs list` shows them
    #[arg(long, value_name = "PROBE")]
    pub probe: Option<String>,
    /// The keys that the firmware holds.
    #[command(flatten)]
    pub keys: KeyArguments,
}

/// A board to be flashed, with its firmware built and its model checked.
pub struct Target<'a> {
    /// The board.
    pub board: Board,
    /// Its firmware.
    pub elf: PathBuf,
    model: Option<Model<'a>>,
    selector: Option<&'a str>,
    output: Output,
}

/// A model file and the addresses it concerns.
struct Model<'a> {
    file: &'a Path,
    /// Address of the first model slot.
    slot: u64,
    /// Addresses of the records that tell which model answers. If they are erased, it is the one in the first slot.
    records: Range<u64>,
}

impl<'a> Target<'a> {
    /// Finds the board and probe-rs, builds the board's firmware if anything changed, and checks that the model is valid and fits its
    /// slot.
    ///
    /// # Errors
    /// As for [`Board::find`], [`program::find`] and [`cargo::build`]; [`Error::NoHardware`] for a board of the emulator; [`Error::Model`]
    /// or [`Error::Firmware`] for the model.
    pub fn prepare(arguments: &'a ProbeArguments, output: Output) -> Result<Self, Error> {
        let board = Board::find(&arguments.board)?;
        board.probe()?;
        program::find(PROGRAM, INSTALL)?;
        if let Some(path) = &arguments.model {
            ModelFile::read(path)?.held()?;
        }
        let elf = cargo::build_with(&board, &arguments.keys, output)?;
        let model = match &arguments.model {
            Some(path) => Some(place(&elf, path)?),
            None => None,
        };
        Ok(Target { board, elf, model, selector: arguments.probe.as_deref(), output })
    }

    /// Writes the model, if one is given, into the first slot, and erases the records of earlier activations. Returns
    /// the commands that did it.
    ///
    /// # Errors
    /// [`Error::Program`] without probe-rs, [`Error::Failed`] if probe-rs fails.
    pub fn download_model(&self) -> Result<Vec<String>, Error> {
        let Some(model) = &self.model else { return Ok(Vec::new()) };
        // The records go first: whenever this is interrupted, the board falls back on a model that it can trust.
        let bytes = model.records.end.saturating_sub(model.records.start);
        let mut blank = tempfile::NamedTempFile::new().map_err(Error::file(std::env::temp_dir()))?;
        let written = blank.write_all(&vec![0xFF; bytes as usize]).and_then(|()| blank.flush());
        written.map_err(Error::file(blank.path()))?;
        Ok(vec![self.download_at(model.records.start, blank.path())?, self.download_at(model.slot, model.file)?])
    }

    fn download_at(&self, address: u64, file: &Path) -> Result<String, Error> {
        let mut command = self.command("download")?;
        command.args(["--binary-format", "bin", "--base-address", &format!("{address:#x}")]).arg(file);
        self.execute(command)
    }

    /// Writes the firmware. Returns the command that did it.
    ///
    /// # Errors
    /// As for [`Self::download_model`].
    pub fn download_firmware(&self) -> Result<String, Error> {
        let mut command = self.command("download")?;
        command.arg(&self.elf);
        self.execute(command)
    }

    /// Restarts the board. Returns the command that did it.
    ///
    /// # Errors
    /// As for [`Self::download_model`].
    pub fn reset(&self) -> Result<String, Error> {
        self.execute(self.command("reset")?)
    }

    /// Writes the firmware, starts it, and shows its log until Ctrl-C. Returns the command that did it.
    ///
    /// # Errors
    /// As for [`Self::download_model`].
    pub fn run(&self) -> Result<String, Error> {
        let mut command = self.command("run")?;
        command.arg(&self.elf);
        self.execute(command)
    }

    fn command(&self, subcommand: &str) -> Result<Command, Error> {
        let mut command = Command::new(PROGRAM);
        command.args([subcommand, "--chip", &self.board.probe()?.chip, "--non-interactive"]);
        if let Some(selector) = self.selector {
            command.args(["--probe", selector]);
        }
        Ok(command)
    }

    fn execute(&self, command: Command) -> Result<String, Error> {
        program::execute(command, CHECK, self.output).map_err(|error| match error {
            Error::Program { program, source, .. } => Error::Program { program, source, remedy: INSTALL },
            other => other,
        })
    }
}

/// Finds the place of a model in the memory of the board, if it fits.
fn place<'a>(elf: &Path, file: &'a Path) -> Result<Model<'a>, Error> {
    let bytes = std::fs::read(elf).map_err(Error::file(elf))?;
    let firmware = Firmware::parse(elf, &bytes)?;
    Ok(Model { file, slot: firmware.model_slot_for(file)?.start, records: firmware.model_records()? })
}
