//! The studies of solution bundles: how training, transfer and distance change loss and error.
//!
//! Each study is one file with a constant [`Study`], which [`ALL`] lists, and a template of the same name for its prose.
//! It describes the networks that it needs as [`run::Run`]s, the [`bench::Bench`] trains those that are not in the
//! folder yet, and the study turns their [`run::Trace`]s into findings. A run's description is its identity, so studies
//! share pretrained networks and no network is trained twice.
//!
//! Unless a study says otherwise, losses and errors are those of the f64 network before export, at uniform held-out
//! points that no training sees. Solutions are never used in training.

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

use super::StudyError;
use super::findings::Findings;
use bench::Bench;

/// A study of bundles: it trains what is missing, measures, and returns what it found.
pub type Study = super::Study<fn(&Bench<'_>) -> Result<Findings, StudyError>>;

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

/// A difference in LogLoss that counts: a residual that is smaller by a fifth.
const NOTABLE: f64 = 0.5;
