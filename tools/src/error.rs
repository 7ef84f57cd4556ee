//! What can go wrong, each with the thing it happened to and a remedy: the text after the semicolon.

use crate::client::ClientError;
use crate::client::discover::Missing;
use sirocco::calibrate::CalibrationError;
use sirocco::error::ModelError;
use sirocco::query::QueryError;
use std::path::PathBuf;

/// An error of a command. Displayed as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value on the command line makes no sense; exit status 2.
    #[error("{0}")]
    Usage(String),
    /// A file could not be read or written.
    #[error("{}: {source}; check the path and its permissions", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A model file was refused.
    #[error("{}: {source}; export or copy the file again", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ModelError,
    },
    /// A file of images is malformed.
    #[error("{} {what}; convert it, or copy it again", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// An image has another size than the network wants.
    #[error(
        "{name} has {got} pixels, the network wants {wanted}; resize it, as with `magick IN -resize {wanted}! OUT.png`"
    )]
    PictureSize {
        /// The image.
        name: String,
        /// Its rows and columns.
        got: String,
        /// Those the network wants.
        wanted: String,
    },
    /// Samples were fetched to this folder before.
    #[error("{} is there already, perhaps with labels; fetch to another folder", .0.display())]
    Samples(PathBuf),
    /// A query of a file has no answer.
    #[error("{}: {source}; see the domain with `sirocco info`", query)]
    Query {
        /// The query, as text.
        query: String,
        /// Why.
        source: QueryError,
    },
    /// The device's model is no solution bundle.
    #[error("the device holds an image network; ask it with `sirocco classify`, or push a solution bundle")]
    NoBundle,
    /// The console runs on a terminal only.
    #[error("the console needs a terminal for its input and output; elsewhere use `sirocco calibrate`")]
    NoTerminal,
    /// The terminal failed.
    #[error("the terminal failed: {0}; try another one")]
    Terminal(std::io::Error),
    /// A plot could not be drawn.
    #[error(transparent)]
    Plot(#[from] sirocco_plot::PlotError),
    /// A calibration has no estimate.
    #[error("{source}; see the model's domain with `sirocco inspect`, and what is observed")]
    Calibration {
        /// Why.
        source: CalibrationError,
    },
    /// No such board.
    #[error("no board is called `{name}`; there are: {known}")]
    UnknownBoard {
        /// As given.
        name: String,
        /// The boards there are.
        known: String,
    },
    /// A board's description is malformed.
    #[error("{}: {reason}; compare with another board's", path.display())]
    BoardFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The board is no emulated one.
    #[error("`{0}` is not emulated; see `sirocco boards`")]
    NotEmulated(String),
    /// The board is no hardware.
    #[error("`{0}` exists only in the emulator, so nothing can be flashed; use `sirocco emulate`")]
    NoHardware(String),
    /// The repository was not found.
    #[error("found no folder `firmware/boards` here or above; run this inside a checkout of the repository")]
    NoRepository,
    /// A firmware file does not have what it should.
    #[error("{}: {reason}; build it again with `sirocco build`", path.display())]
    Firmware {
        /// The ELF file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A program is missing.
    #[error("cannot run `{program}`: {source}; {remedy}")]
    Program {
        /// Its name.
        program: String,
        /// Why.
        source: std::io::Error,
        /// How to get it.
        remedy: &'static str,
    },
    /// A program failed; its own messages stand above.
    #[error("`{command}` failed ({status}); {remedy}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What to do.
        remedy: &'static str,
    },
    /// The emulator ended, or did not start.
    #[error("the emulator {what}; {remedy}")]
    Emulator {
        /// What it did.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A port could not be opened.
    #[error("cannot open port {port}: {reason}; see `sirocco info --help` for what a port can be")]
    Port {
        /// As given.
        port: String,
        /// Why.
        reason: String,
    },
    /// No board was found, or more than one.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The device did not answer, or answered with an error.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The device refused the model it was given.
    #[error("the device refused the model in its slot: {0}; check the file with `sirocco inspect`")]
    SlotRefused(ModelError),
    /// The device holds another model than the file it is compared with.
    #[error(
        "the device holds model {device:08x}, the file is {file:08x}; give the device this file, or the file it holds"
    )]
    OtherModel {
        /// Checksum of the device's model.
        device: u32,
        /// Checksum of the file.
        file: u32,
    },
    /// A self-test found differences.
    #[error(
        "self-test failed: {mismatches} of {compared} answers differ; the firmware or its model is damaged: rebuild both"
    )]
    SelfTest {
        /// Answers that differ.
        mismatches: usize,
        /// Answers compared.
        compared: usize,
    },
}

impl Error {
    /// A file error, for `map_err`.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { path, source }
    }

    /// The exit status: 2 for wrong usage, else 1.
    pub fn status(&self) -> u8 {
        if matches!(self, Error::Usage(_)) { 2 } else { 1 }
    }
}
