//! A training run as its user sees it: a progress bar, Ctrl-C, and a checkpoint to resume from.

use crate::host::atomic;
use crate::host::checkpoint::{Checkpoint, CheckpointError, Identity};
use crate::host::interrupt::Interrupt;
use crate::host::progress::Progress;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The companions of a training run, from its first iteration to its last.
#[derive(Debug)]
pub struct Session {
    /// The progress bar.
    pub progress: Progress,
    /// Ends the run when the user presses Ctrl-C, and when a checkpoint cannot be written.
    pub interrupt: Interrupt,
    /// Writes the checkpoints.
    pub saver: Saver,
}

impl Session {
    /// Saves the state of the run, unless it was saved a short time ago.
    ///
    /// If that fails, the run ends at its next iteration and [`Session::finish`] returns the error. The file then still
    /// holds the checkpoint before, from which the run can go on.
    pub fn keep(&mut self, checkpoint: impl FnOnce(Identity) -> Result<Checkpoint, CheckpointError>) {
        if self.saver.last.elapsed() < self.saver.every || self.saver.failure.is_some() {
            return;
        }
        self.saver.last = Instant::now();
        if let Err(error) = self.saver.save(checkpoint) {
            self.saver.failure = Some(error);
            self.interrupt.press();
        }
    }

    /// Removes the progress bar and saves the last state.
    ///
    /// # Errors
    /// [`CheckpointError`] if this or an earlier checkpoint could not be written.
    pub fn finish(
        self,
        checkpoint: impl FnOnce(Identity) -> Result<Checkpoint, CheckpointError>,
    ) -> Result<(), CheckpointError> {
        self.progress.finish();
        let saved = self.saver.save(checkpoint);
        self.saver.failure.map_or(saved, Err)
    }
}

/// Writes the checkpoints of a run, if its user named a file for them.
#[derive(Debug)]
pub struct Saver {
    path: Option<PathBuf>,
    resume: bool,
    identity: Identity,
    every: Duration,
    last: Instant,
    failure: Option<CheckpointError>,
}

impl Saver {
    /// Checkpoints of the run `identity` go to `path`, at most one in the time `every`; without a path none are written. With `resume` the run goes on
    /// from the checkpoint that is there.
    ///
    /// # Errors
    /// [`CheckpointError::Write`] if the folder of `path` does not exist: better now than after the first iterations.
    /// [`CheckpointError::Exists`] if there is a file that a fresh run would overwrite.
    pub fn new(
        path: Option<&Path>,
        resume: bool,
        every: Duration,
        identity: Identity,
    ) -> Result<Self, CheckpointError> {
        path.map_or(Ok(()), atomic::check)?;
        if let Some(path) = path.filter(|path| path.is_file() && !resume) {
            return Err(CheckpointError::Exists(path.into()));
        }
        let (path, last) = (path.map(Path::to_owned), Instant::now());
        Ok(Saver { path, resume, identity, every, last, failure: None })
    }

    /// Reads the checkpoint to resume from, with its path for error messages; `None` for a run that starts afresh.
    ///
    /// # Errors
    /// [`CheckpointError`] if there is no checkpoint, or if it is damaged or another run's.
    pub fn load(&self) -> Result<Option<(Checkpoint, &Path)>, CheckpointError> {
        match &self.path {
            Some(path) if self.resume => Ok(Some((Checkpoint::load(path, &self.identity)?, path))),
            _ => Ok(None),
        }
    }

    fn save(
        &self,
        checkpoint: impl FnOnce(Identity) -> Result<Checkpoint, CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let Some(path) = &self.path else { return Ok(()) };
        checkpoint(self.identity.clone())?.save(path)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::host::budget::Budget;

    /// A session that saves at every call.
    pub fn session(path: &Path) -> Session {
        let saver = Saver::new(Some(path), true, Duration::ZERO, Identity::new()).unwrap();
        Session { progress: Progress::hidden(Budget::iterations(1)), interrupt: Interrupt::never(), saver }
    }

    fn state(round: u64) -> Checkpoint {
        Checkpoint { counters: [("round".to_string(), round)].into(), ..Checkpoint::default() }
    }

    #[test]
    fn the_last_state_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        let mut session = session(&path);
        session.keep(|_| Ok(state(1)));
        assert_eq!(session.saver.load().unwrap().unwrap().0, state(1));
        session.saver.every = Duration::from_secs(5);
        session.keep(|_| panic!("the last checkpoint is a moment old"));
        session.finish(|_| Ok(state(3))).unwrap();
        assert_eq!(Checkpoint::load(&path, &Identity::new()).unwrap(), state(3));
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_ends_the_run_and_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        let mut session = session(&path);
        session.keep(|_| Ok(state(1)));
        assert!(!session.interrupt.pressed());
        session.keep(|_| Err(CheckpointError::Missing("any failure".into())));
        assert!(session.interrupt.pressed());
        session.keep(|_| panic!("the run is about to end"));
        assert_eq!(session.saver.load().unwrap().unwrap().0, state(1));
        let error = session.finish(|_| Ok(state(2))).unwrap_err();
        assert!(error.to_string().contains("any failure"));
        assert_eq!(Checkpoint::load(&path, &Identity::new()).unwrap(), state(2), "one more attempt at the end");
    }

    #[test]
    fn a_file_that_has_nowhere_to_go_is_refused_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("checkpoint");
        let error = Saver::new(Some(&path), false, Duration::ZERO, Identity::new()).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
