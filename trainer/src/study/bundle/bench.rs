//! The workbench: hands out traces of runs, and trains what is not in its folder yet, one piece after the other.
//!
//! A piece is one finished run in one file, written atomically under the digest of everything it depends on. An
//! interrupted command therefore loses at most the piece it was at, and changed options never meet old pieces.

use super::StudyError;
use super::probe::Probe;
use super::run::{Run, Trace};
use super::setting::Setting;
use super::train;
use crate::host::atomic;
use crate::host::budget::Budget;
use crate::host::checkpoint::CheckpointError;
use crate::host::interrupt::Interrupt;
use crate::host::progress::{Progress, Verbosity};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a study works with.
#[derive(Debug)]
pub struct Bench<'a> {
    /// What the user asked for.
    pub setting: &'a Setting,
    /// The study's own folder.
    pub folder: PathBuf,
    name: &'static str,
    store: PathBuf,
    interrupt: Interrupt,
    verbosity: Verbosity,
    probes: BTreeMap<String, Probe>,
    used: BTreeMap<String, f64>,
    trained: BTreeSet<String>,
}

/// What the pieces of a study cost.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Cost {
    /// Runs the study rests on.
    pub pieces: usize,
    /// Those of them that this command trained; the others it found.
    pub trained: usize,
    /// CPU seconds of all of them, whenever they were trained, measuring included.
    pub cpu_seconds: f64,
}

impl<'a> Bench<'a> {
    /// A bench for the study `name` in the folder `out`, which all studies share.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn new(
        setting: &'a Setting,
        name: &'static str,
        out: &Path,
        interrupt: Interrupt,
        verbosity: Verbosity,
    ) -> Result<Self, StudyError> {
        let (folder, store) = (out.join(name), out.join("pieces"));
        atomic::create_directory(&folder)?;
        atomic::create_directory(&store)?;
        let (probes, used, trained) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Ok(Bench { setting, folder, name, store, interrupt, verbosity, probes, used, trained })
    }

    /// Traces of these runs, in their order; trains those that are missing, and those they start from.
    ///
    /// # Errors
    /// [`StudyError::Interrupted`]; runs that cannot be trained or stored.
    pub fn traces(&mut self, runs: &[Run]) -> Result<Vec<Trace>, StudyError> {
        let missing = self.missing(runs)?;
        let total: f64 = missing.iter().map(Run::work).sum();
        let progress = Progress::new(self.name, Budget::iterations(1), self.verbosity);
        let mut done = 0.0;
        for (k, run) in missing.iter().enumerate() {
            let what = format!("piece {} of {}", k + 1, missing.len());
            let share = |iteration: usize| (done + run.work() * iteration as f64 / run.iterations as f64) / total;
            self.train(run, |iteration| progress.advance(share(iteration), &what))?;
            done += run.work();
        }
        progress.finish();
        runs.iter().map(|run| self.stored(run).and_then(|found| Ok(found?))).collect()
    }

    /// The trace of one run.
    ///
    /// # Errors
    /// As [`Bench::traces`].
    pub fn trace(&mut self, run: &Run) -> Result<Trace, StudyError> {
        self.traces(std::slice::from_ref(run))?.pop().ok_or(StudyError::Interrupted)
    }

    /// What the pieces of this study cost so far.
    pub fn cost(&self) -> Cost {
        let cpu_seconds = self.used.values().sum();
        Cost { pieces: self.used.len(), trained: self.trained.len(), cpu_seconds }
    }

    /// Runs without a usable piece, each after the one it starts from, none twice.
    fn missing(&mut self, runs: &[Run]) -> Result<Vec<Run>, StudyError> {
        let (mut missing, mut seen) = (Vec::new(), BTreeSet::new());
        for run in runs {
            let mut chain: Vec<&Run> = std::iter::successors(Some(run), |run| run.source()).collect();
            while let Some(run) = chain.pop() {
                if !seen.insert(format!("{:?}", run.identity())) {
                    continue;
                }
                match self.stored(run)? {
                    Ok(_) => {}
                    Err(CheckpointError::Missing(_) | CheckpointError::Damaged { .. }) => missing.push(run.clone()),
                    Err(CheckpointError::Mismatch { .. }) => missing.push(run.clone()),
                    Err(other) => return Err(other.into()),
                }
            }
        }
        Ok(missing)
    }

    fn stored(&mut self, run: &Run) -> Result<Result<Trace, CheckpointError>, StudyError> {
        let (widths, name) = (run.problem()?.widths(&run.hidden), run.file_name());
        let found = Trace::load(run, widths, &self.store.join(&name));
        if let Ok(trace) = &found {
            self.used.insert(name, trace.spent);
        }
        Ok(found)
    }

    fn train(&mut self, run: &Run, watch: impl FnMut(usize)) -> Result<(), StudyError> {
        let problem = run.problem()?;
        let key = format!("{:?}", problem.domain);
        if !self.probes.contains_key(&key) {
            self.probes.insert(key.clone(), Probe::new(&problem));
        }
        let source = match run.source() {
            Some(source) => Some(self.stored(source)??.mlp),
            None => None,
        };
        let probe = &self.probes[&key];
        let trace = train::train(run, source.as_ref(), probe, &self.interrupt, watch)?;
        let name = run.file_name();
        trace.save(run, &self.store.join(&name))?;
        self.trained.insert(name);
        Ok(())
    }
}
