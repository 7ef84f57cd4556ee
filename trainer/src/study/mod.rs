//! Studies: experiments that anyone can repeat, on solution bundles ([`bundle`]) and on image networks ([`image`]).
//!
//! A [`Study`] is a question. Its subject computes what the answer rests on, one [`pieces::Piece`] after the other or
//! several at once; every finished piece is kept in a file, so that an interrupted command loses little and studies share
//! what they have in common. From the outcomes a study computes its [`findings::Findings`]: figures, tables, plots, and
//! the [`prose`] that a template beside the study makes of the figures.

pub mod bundle;
pub mod findings;
pub mod image;
pub mod paired;
pub mod pieces;
pub mod prose;

use crate::image::training::TrainingError;

/// A study of a subject.
#[derive(Debug, Clone, Copy)]
pub struct Study<A> {
    /// Its name on the command line, and that of its folder.
    pub name: &'static str,
    /// Its question, for `--help` and as a heading of the report.
    pub what: &'static str,
    /// How the subject answers it.
    pub answer: A,
}

/// Why a study has no findings.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The user asked to stop.
    #[error("interrupted; finished work is kept, run the same command again to continue")]
    Interrupted,
    /// The folder holds pieces in a format that this version does not read.
    #[error("`{}` holds finished work of an earlier version (*.json), which this one cannot read; delete it, or name another folder with --out", .0.display())]
    OldPieces(std::path::PathBuf),
    /// A finished piece cannot be read or stored.
    #[error(transparent)]
    Piece(#[from] crate::host::checkpoint::CheckpointError),
    /// A folder or file cannot be written.
    #[error(transparent)]
    Write(#[from] crate::host::atomic::WriteError),
    /// A plot, table or page cannot be made.
    #[error(transparent)]
    Report(#[from] crate::report::ReportError),
    /// A template does not fit the figures of its study.
    #[error("the text of a report cannot be made: {0:#}; report this as a defect")]
    Prose(#[from] minijinja::Error),
    /// A bundle cannot be trained, moved to another problem or exported.
    #[error(transparent)]
    Trainer(#[from] crate::bundle::error::BundleError),
    /// A model file cannot be used.
    #[error(transparent)]
    Model(#[from] crate::host::model_file::ModelFileError),
    /// The exported bytes are not a bundle.
    #[error("the exported bytes are not a bundle: {0}; report this as a defect")]
    Bundle(#[from] sirocco::error::ModelError),
    /// The evaluator refuses a query.
    #[error("the model cannot answer {query}: {source}; choose another --query")]
    Query {
        /// The query as the user wrote it.
        query: String,
        /// Why it has no answer.
        source: sirocco::query::QueryError,
    },
    /// An image network cannot be trained.
    #[error(transparent)]
    Training(TrainingError),
    /// An image network cannot be built or evaluated.
    #[error(transparent)]
    Network(#[from] crate::image::net::error::NetworkError),
}

impl From<TrainingError> for StudyError {
    fn from(error: TrainingError) -> Self {
        match error {
            TrainingError::Interrupted => StudyError::Interrupted,
            other => StudyError::Training(other),
        }
    }
}
