//! The bench on which a study of bundles works: it returns the traces of runs, and trains the runs that are not finished.

use super::run::{Run, Trace};
use super::setting::Setting;
use super::train;
use crate::host::atomic;
use crate::host::interrupt::Interrupt;
use crate::host::progress::Verbosity;
use crate::study::StudyError;
use crate::study::pieces::Pieces;
use std::path::{Path, PathBuf};

/// What a study works with.
#[derive(Debug)]
pub struct Bench<'a> {
    /// What the user asked for.
    pub setting: &'a Setting,
    /// The study's own folder.
    pub folder: PathBuf,
    /// The runs that are finished.
    pub pieces: Pieces,
    interrupt: Interrupt,
}

impl<'a> Bench<'a> {
    /// A bench for the study `name` in the folder `out`, which all studies share.
    ///
    /// # Errors
    /// [`StudyError::Write`] if a folder cannot be created, [`StudyError::OldPieces`].
    pub fn new(
        setting: &'a Setting,
        name: &str,
        out: &Path,
        interrupt: Interrupt,
        verbosity: Verbosity,
    ) -> Result<Self, StudyError> {
        let folder = out.join(name);
        atomic::create_directory(&folder)?;
        Ok(Bench { setting, folder, pieces: Pieces::kept_in(out, name, None, verbosity)?, interrupt })
    }

    /// The traces of these runs, in their order. Runs that are not finished are trained, each after the one that it
    /// starts from.
    ///
    /// # Errors
    /// [`StudyError::Interrupted`]; an error of training, or of storing the trace.
    pub fn traces(&self, runs: &[Run]) -> Result<Vec<Trace>, StudyError> {
        let mut ordered: Vec<Run> = Vec::new();
        for run in runs {
            let lineage: Vec<&Run> = std::iter::successors(Some(run), |run| run.source()).collect();
            for run in lineage.into_iter().rev() {
                if !ordered.contains(run) {
                    ordered.push(run.clone());
                }
            }
        }
        let traces = self.pieces.outcomes(&ordered, |run, told| {
            let source = run.source().map(|source| self.trace(source)).transpose()?;
            let watch = |iteration: usize| told(iteration as f64 / run.iterations as f64);
            train::train(run, source.as_ref().map(|trace| &trace.mlp), &self.interrupt, watch)
        })?;
        let place = |run: &Run| ordered.iter().position(|other| other == run);
        Ok(runs.iter().filter_map(|run| traces.get(place(run)?).cloned()).collect())
    }

    /// The trace of one run.
    ///
    /// # Errors
    /// As [`Bench::traces`].
    pub fn trace(&self, run: &Run) -> Result<Trace, StudyError> {
        self.traces(std::slice::from_ref(run))?.pop().ok_or(StudyError::Interrupted)
    }

    /// The traces of several arms, one per seed in each; `runs` gives the runs of the arms for a seed.
    ///
    /// # Errors
    /// As [`Bench::traces`].
    pub fn arms<const N: usize>(&self, runs: impl Fn(u64) -> [Run; N]) -> Result<[Vec<Trace>; N], StudyError> {
        let runs: Vec<Run> = self.setting.seeds.iter().flat_map(|seed| runs(*seed)).collect();
        let traces = self.traces(&runs)?;
        Ok(std::array::from_fn(|arm| traces.iter().skip(arm).step_by(N).cloned().collect()))
    }
}
