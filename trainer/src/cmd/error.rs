//! Why a command failed. A message is one line that names the file or value and, after a semicolon, the remedy.

use crate::host::interrupt::EXIT_STATUS;
use crate::image::training::TrainingError;
use crate::study::StudyError;

/// The failure of a command. Those of the library are passed on as they are.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "a transparent variant is named after the error it passes on")]
pub enum Error {
    /// Options or arguments that do not go together, or that clap cannot check; exit status 2.
    #[error("{0}")]
    Usage(String),
    /// Ctrl-C ended the work early; exit status 130. Whatever could be kept is written and printed by then.
    #[error("interrupted")]
    Interrupted,
    /// The result could not be printed.
    #[error("stdout: {0}; the result is lost, write it elsewhere")]
    Stdout(&'static std::io::Error),
    /// The threads cannot be started.
    #[error("cannot start {threads} threads: {source}; ask for fewer with --threads")]
    Threads { threads: usize, source: rayon::ThreadPoolBuildError },
    /// New statistics of batch normalization are worse than the old ones.
    #[error(
        "the new statistics are right on {after:.2} % of {images} held-out images, the old ones on {before:.2} %; nothing is \
         written, keep the network as it is or give --force"
    )]
    Worse { before: f64, after: f64, images: usize },
    #[error(transparent)]
    Bundle(#[from] crate::bundle::error::BundleError),
    #[error(transparent)]
    Checkpoint(#[from] crate::host::checkpoint::CheckpointError),
    #[error(transparent)]
    CtrlC(#[from] crate::host::interrupt::InstallError),
    #[error(transparent)]
    Data(#[from] crate::dataset::DataError),
    #[error(transparent)]
    Device(#[from] crate::host::device::DeviceError),
    #[error(transparent)]
    Fetch(#[from] crate::dataset::fetch::FetchError),
    #[error(transparent)]
    Image(#[from] sirocco::image::ImageError),
    #[error(transparent)]
    ImageExport(#[from] crate::image::export::ImageExportError),
    #[error(transparent)]
    ImageModel(#[from] crate::image::model::ImageModelError),
    #[error(transparent)]
    ImageImport(#[from] crate::image::import::ImportError),
    #[error(transparent)]
    Images(#[from] crate::dataset::images::ImagesError),
    #[error(transparent)]
    ModelFile(#[from] crate::host::model_file::ModelFileError),
    #[error(transparent)]
    Name(#[from] crate::host::names::UnknownName),
    #[error(transparent)]
    Network(#[from] crate::image::net::error::NetworkError),
    #[error(transparent)]
    Proof(#[from] crate::bundle::prove::NoBound),
    #[error(transparent)]
    Report(#[from] crate::report::ReportError),
    #[error(transparent)]
    Samples(#[from] crate::image::samples::SamplesError),
    #[error(transparent)]
    Shift(#[from] crate::image::shift::ShiftError),
    #[error(transparent)]
    Sizing(#[from] crate::image::sizing::SizingError),
    #[error(transparent)]
    Study(StudyError),
    #[error(transparent)]
    Training(TrainingError),
    #[error(transparent)]
    Write(#[from] crate::host::atomic::WriteError),
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Error::Network(error.into())
    }
}

impl From<StudyError> for Error {
    fn from(error: StudyError) -> Self {
        match error {
            StudyError::Interrupted => Error::Interrupted,
            other => Error::Study(other),
        }
    }
}

impl From<TrainingError> for Error {
    fn from(error: TrainingError) -> Self {
        match error {
            TrainingError::Interrupted => Error::Interrupted,
            other => Error::Training(other),
        }
    }
}

impl Error {
    /// The exit status of the process.
    pub fn status(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Interrupted => EXIT_STATUS,
            _ => 1,
        }
    }
}
