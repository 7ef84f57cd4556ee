//! The errors of all commands. A message names what failed and why and, after a semicolon, the remedy.

use crate::client::ClientError;
use crate::client::discover::Missing;
use sirocco::calibrate::CalibrationError;
use sirocco::error::ModelError;
use sirocco::model::Foreign;
use sirocco::query::QueryError;
use std::path::PathBuf;

/// An error of a command, displayed as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value on the command line or in a table that it names cannot be used; exit status 2.
    #[error("{0}")]
    Usage(String),
    /// The result could not be printed.
    #[error("stdout: {0}; the result is lost, write it elsewhere")]
    Stdout(&'static std::io::Error),
    /// A file could not be read or written.
    #[error("{}: {source}; check the path and its permissions", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A file is not a model, or is damaged.
    #[error("{}: {source}; export or copy the file again", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: ModelError,
    },
    /// A file is not the file of a key.
    #[error("{} is not the file of such a key; `sirocco keys new` makes keys, private ones in NAME.key, public ones in NAME.pub", .0.display())]
    KeyFile(PathBuf),
    /// A key's file exists already.
    #[error("{} exists already, and keys are never overwritten; choose another name", .0.display())]
    KeyExists(PathBuf),
    /// The operating system has no random numbers for a key.
    #[error("the operating system gives no random numbers ({0}); make the key on another machine")]
    Random(String),
    /// A model file is not signed as it should be.
    #[error("{}: {source}; {}", path.display(), crate::client::model_remedy(source))]
    Signature {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: ModelError,
    },
    /// The header of a model file is not written as the trainer writes it.
    #[error("{}: its header cannot be edited; export the file again", .0.display())]
    Header(PathBuf),
    /// A file is something else than a model.
    #[error("{} {what}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        what: Foreign,
    },
    /// A file of images is malformed.
    #[error("{} {what}; convert it or copy it again", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong, as a predicate of the file.
        what: String,
    },
    /// An image does not fit the network on this machine.
    #[error(transparent)]
    Image(#[from] sirocco::image::ImageError),
    /// A file is not a picture.
    #[error("{} {source}", path.display())]
    NoPicture {
        /// The file.
        path: PathBuf,
        /// Why not, as a predicate of the file, with a remedy.
        source: sirocco_pictures::PictureError,
    },
    /// An image does not have the size that the network takes, and nothing says how to fit it.
    #[error(
        "{name} has {got} pixels, but the network takes {wanted}, and nothing says how pictures were fitted in training; name the \
         board's model file with --model, one that `image quantize` wrote lately, or give --fit"
    )]
    PictureSize {
        /// The image.
        name: String,
        /// Its rows and columns.
        got: String,
        /// Those that the network takes.
        wanted: String,
    },
    /// Samples were fetched to this folder before.
    #[error("{} exists already and may hold labels; fetch to another folder", .0.display())]
    Samples(PathBuf),
    /// A query has no answer.
    #[error("{}: {source}; see the domain with `sirocco info`", query)]
    Query {
        /// The query, as text.
        query: String,
        /// The reason.
        source: QueryError,
    },
    /// The device's model is not a solution bundle.
    #[error("the device holds an image network; ask it with `sirocco classify`, or push a solution bundle")]
    NoBundle,
    /// The console was started without a terminal.
    #[error("the console needs a terminal for input and output; without one, use `sirocco calibrate`")]
    NoTerminal,
    /// The terminal cannot be read or drawn on.
    #[error("the terminal failed: {0}; try another one")]
    Terminal(std::io::Error),
    /// A plot could not be drawn.
    #[error(transparent)]
    Plot(#[from] sirocco_plot::PlotError),
    /// The counts of an outbreak have no estimate.
    #[error("{source}; see what was understood of the table, and which quantities are given")]
    Outbreak {
        /// The reason.
        source: sirocco::outbreak::OutbreakError,
    },
    /// A calibration has no estimate.
    #[error("{source}; check the observations, and the model's domain with `sirocco inspect`")]
    Calibration {
        /// The reason.
        source: CalibrationError,
    },
    /// No board has this name.
    #[error("no board is called `{name}`; the boards are {known}")]
    UnknownBoard {
        /// The name as given.
        name: String,
        /// The names of all boards.
        known: String,
    },
    /// A board's description is malformed.
    #[error("{}: {reason}; compare it with the file of another board", path.display())]
    BoardFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// QEMU does not emulate the board.
    #[error("QEMU does not emulate `{0}`; `sirocco boards` shows which boards it does")]
    NotEmulated(String),
    /// The board exists in QEMU only.
    #[error("`{0}` exists only in the emulator and cannot be flashed; use `sirocco emulate`")]
    NoHardware(String),
    /// No checkout of the repository was found.
    #[error("there is no folder `firmware/boards` here or in a folder above; run this in a checkout of the repository")]
    NoRepository,
    /// A firmware file lacks something that the tools need, or has no room for a model.
    #[error("{}: {reason}; build it again with `sirocco build`", path.display())]
    Firmware {
        /// The ELF file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A program cannot be started.
    #[error("cannot run `{program}`: {source}; {remedy}")]
    Program {
        /// Its name.
        program: String,
        /// The reason.
        source: std::io::Error,
        /// How to install it.
        remedy: &'static str,
    },
    /// A program failed; its own messages appeared before.
    #[error("`{command}` failed ({status}); {remedy}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The remedy.
        remedy: &'static str,
    },
    /// The emulator did not start, or ended early.
    #[error("the emulator {what}; {remedy}")]
    Emulator {
        /// What happened, as a predicate of the emulator.
        what: String,
        /// The remedy.
        remedy: &'static str,
    },
    /// A port could not be opened.
    #[error("cannot open port {port}: {source}; {}", remedy_of(source))]
    Port {
        /// The port as given.
        port: String,
        /// The reason.
        source: std::io::Error,
    },
    /// The search for a board found none, or more than one.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The device did not answer, or its answer is an error.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The device refused the model in its slot.
    #[error("the device refused the model in its slot: {source}; {}", crate::client::model_remedy(source))]
    SlotRefused {
        /// The reason.
        source: ModelError,
    },
    /// The device does not hold the model that its answers are to be compared with.
    #[error(
        "the device holds model {device:08x}, but the file is {file:08x}; name the file of its model, or push this one"
    )]
    OtherModel {
        /// Checksum of the model on the device.
        device: u32,
        /// Checksum of the file.
        file: u32,
    },
    /// A self-test found answers that differ.
    #[error(
        "self-test failed: {mismatches} of {compared} answers differ; firmware or model are damaged: build and flash both again"
    )]
    SelfTest {
        /// Number of answers that differ.
        mismatches: usize,
        /// Number of answers compared.
        compared: usize,
    },
}

impl Error {
    /// Makes an error of a file from an I/O error; for `map_err`.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { path, source }
    }

    /// The exit status: 2 for wrong usage, otherwise 1.
    pub fn status(&self) -> u8 {
        if matches!(self, Error::Usage(_)) { 2 } else { 1 }
    }
}

/// What to do about a port that cannot be opened.
fn remedy_of(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "join the group that owns it, often with `sudo usermod -aG dialout $USER`, and log in again"
        }
        ErrorKind::ConnectionRefused => "nothing listens there; start `sirocco emulate`, which prints its port",
        ErrorKind::AddrInUse => "another program listens there; end that, or listen on port 0, which finds a free one",
        // The library for serial ports has one kind for both.
        ErrorKind::NotFound if error.to_string().contains("busy") => "another program has it open; end that",
        ErrorKind::NotFound => "`sirocco ports` lists those that are there",
        _ => "`sirocco info --help` lists the kinds of ports",
    }
}
