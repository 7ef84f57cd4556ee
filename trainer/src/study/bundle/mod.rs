//! The studies of solution bundles: what training, transfer and distance do to loss and error.
//!
//! A study is one file with a constant of type [`Study`], named in [`ALL`]. It says which networks it needs
//! ([`run::Run`], plain data), the [`bench::Bench`] trains those that are not yet in the folder, and it turns the
//! [`run::Trace`]s into [`super::findings::Findings`]: sentences that follow from the numbers, tables, plots. Nothing is trained
//! twice: a run's description is its key, so studies share pretrained networks and an interrupted command goes on where
//! it was.
//!
//! Unless a study says otherwise, losses and errors are those of the f64 network before export, at held-out uniform
//! points that no training sees. No solution is ever used in training.

pub mod bench;
pub mod curves;
pub mod distance;
pub mod draw;
pub mod field;
pub mod finetune;
pub mod flexibility;
pub mod map;
pub mod point_to_bundle;
pub mod probe;
pub mod run;
pub mod sensitivity;
pub mod setting;
pub mod train;

use crate::study::findings::Findings;
use bench::Bench;

/// A study: its name on the command line, what it asks, and how it answers.
#[derive(Debug, Clone, Copy)]
pub struct Study {
    /// Name on the command line and of its folder.
    pub name: &'static str,
    /// The question, for `--help` and as its heading in the report.
    pub what: &'static str,
    /// Trains what is missing, measures, and says what is seen.
    pub run: fn(&mut Bench<'_>) -> Result<Findings, StudyError>,
}

/// Every study, in the order of the report.
pub const ALL: &[Study] = &[
    curves::STUDY,
    finetune::STUDY,
    point_to_bundle::STUDY,
    map::STUDY,
    distance::STUDY,
    sensitivity::STUDY,
    flexibility::STUDY,
];

/// Why a study has no findings.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The user asked to stop.
    #[error("interrupted; what was finished is kept, run the same command again to go on")]
    Interrupted,
    /// A finished run could not be stored.
    #[error(transparent)]
    Piece(#[from] crate::host::checkpoint::CheckpointError),
    /// A folder or file cannot be written.
    #[error(transparent)]
    Write(#[from] crate::host::atomic::WriteError),
    /// A plot, table or page cannot be made.
    #[error(transparent)]
    Report(#[from] crate::report::ReportError),
    /// A bundle that cannot be trained, moved or exported.
    #[error(transparent)]
    Trainer(#[from] crate::bundle::error::BundleError),
    /// A model file that cannot be used.
    #[error(transparent)]
    Model(#[from] crate::host::model_file::ModelFileError),
    /// A file whose bytes are no bundle.
    #[error("the exported bytes are no bundle: {0}; report this as a defect")]
    Bundle(#[from] sirocco::error::ModelError),
    /// The evaluator refuses a query.
    #[error("the model cannot answer {query}: {source}; choose another --query")]
    Query {
        /// The query as the user wrote it.
        query: String,
        /// Why it has no answer.
        source: sirocco::query::QueryError,
    },
}
