//! The work of a study in pieces, each of them computed once.
//!
//! A finished piece is a [`Checkpoint`] in a file of its own: written atomically, with a checksum and with the piece's
//! identity, which names everything that the outcome depends on. An interrupted command therefore loses only the pieces
//! that it was computing, and changed options never meet pieces of others.

use super::StudyError;
use crate::host::atomic;
use crate::host::budget::Budget;
use crate::host::checkpoint::{Checkpoint, CheckpointError, Identity};
use crate::host::progress::{Progress, Verbosity};
use sirocco::model::CRC32;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Ending of a piece's file name.
const ENDING: &str = "piece";
/// Ending that pieces of image studies had when they were JSON.
const OLD_ENDING: &str = "json";

/// An outcome as columns of numbers, the form in which it is kept.
pub type Columns = BTreeMap<String, Vec<f64>>;

/// A piece of work, described by plain data.
pub trait Piece: Sync {
    /// What the work gives.
    type Outcome: Send;

    /// Everything that the outcome depends on; use [`identity`] to make it.
    fn identity(&self) -> Identity;

    /// The beginning of the file's name, for people who look into the folder.
    fn label(&self) -> String;

    /// How much there is to compute, roughly and in any unit. Estimates of the time left depend on it, results do not.
    fn work(&self) -> f64 {
        1.0
    }

    /// CPU seconds that the work took.
    fn cpu_seconds(outcome: &Self::Outcome) -> f64;

    /// The outcome as it is kept.
    fn columns(outcome: &Self::Outcome) -> Columns;

    /// The outcome that was kept as `columns`; `None` if a column is missing.
    fn outcome(&self, columns: Columns) -> Option<Self::Outcome>;
}

/// The identity made of these entries and the version of this software.
pub fn identity<const N: usize>(entries: [(&str, String); N]) -> Identity {
    let software = ("software", env!("CARGO_PKG_VERSION").to_owned());
    entries.into_iter().chain([software]).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The pieces of a study.
#[derive(Debug)]
pub struct Pieces {
    name: String,
    folder: Option<PathBuf>,
    threads: Option<usize>,
    verbosity: Verbosity,
    /// CPU seconds of every piece that was used, and whether it was computed or found.
    used: Mutex<BTreeMap<String, (f64, bool)>>,
}

/// What the pieces of a study cost.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Cost {
    /// Pieces that the study rests on.
    pub pieces: usize,
    /// Pieces among them that this command computed; it found the others.
    pub trained: usize,
    /// CPU seconds of all pieces, whenever they were computed, measurements included.
    pub cpu_seconds: f64,
}

impl Pieces {
    /// The pieces of the study `name`, kept in a subfolder of `out`, which several studies may share.
    ///
    /// `threads` is the number of pieces that are computed at once, each on a single thread; with `None` they are computed
    /// one after the other, each on all threads of the process.
    ///
    /// # Errors
    /// [`StudyError::OldPieces`]; [`StudyError::Write`] if the folder cannot be created.
    pub fn kept_in(out: &Path, name: &str, threads: Option<usize>, verbosity: Verbosity) -> Result<Self, StudyError> {
        let folder = out.join("pieces");
        atomic::create_directory(&folder)?;
        let mut files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        if files.any(|file| file.path().extension().is_some_and(|ending| ending == OLD_ENDING)) {
            return Err(StudyError::OldPieces(folder));
        }
        Ok(Pieces { folder: Some(folder), ..Self::not_kept(name, threads, verbosity) })
    }

    /// Pieces that are computed anew by every command.
    pub fn not_kept(name: &str, threads: Option<usize>, verbosity: Verbosity) -> Self {
        Pieces { name: name.to_owned(), folder: None, threads, verbosity, used: Mutex::default() }
    }

    /// The outcomes of `pieces` in their order. Those that are missing are computed by `work`, in the same order if it is
    /// one at a time, and kept. `work` may call its second argument to tell which share of the piece is done.
    ///
    /// # Errors
    /// The first error of `work`, [`StudyError::Piece`] if a piece cannot be stored; other finished pieces are kept.
    pub fn outcomes<P: Piece>(
        &self,
        pieces: &[P],
        work: impl Fn(&P, &dyn Fn(f64)) -> Result<P::Outcome, StudyError> + Sync,
    ) -> Result<Vec<P::Outcome>, StudyError> {
        let mut outcomes = pieces.iter().map(|piece| self.find(piece)).collect::<Result<Vec<_>, _>>()?;
        let missing: Vec<usize> = (0..pieces.len()).filter(|k| outcomes[*k].is_none()).collect();
        let computed = self.each(
            &missing,
            |k| pieces[*k].work(),
            |k, told| {
                let outcome = work(&pieces[*k], told)?;
                self.keep(&pieces[*k], &outcome)?;
                Ok(outcome)
            },
        )?;
        for (k, outcome) in missing.into_iter().zip(computed) {
            outcomes[k] = Some(outcome);
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// The outcome of a piece, if it is finished. A damaged file counts as missing, and so does a file of another piece
    /// that happens to have the same name.
    ///
    /// # Errors
    /// [`StudyError::Piece`] if the file is there and cannot be read.
    pub fn find<P: Piece>(&self, piece: &P) -> Result<Option<P::Outcome>, StudyError> {
        let Some((name, path)) = self.place(piece) else { return Ok(None) };
        let outcome = match Checkpoint::load(&path, &piece.identity()) {
            Ok(kept) => piece.outcome(kept.tensors),
            Err(CheckpointError::Missing(_) | CheckpointError::Damaged { .. } | CheckpointError::Mismatch { .. }) => {
                None
            }
            Err(other) => return Err(other.into()),
        };
        if let Some(outcome) = &outcome {
            locked(&self.used).entry(name).or_insert((P::cpu_seconds(outcome), false));
        }
        Ok(outcome)
    }

    fn keep<P: Piece>(&self, piece: &P, outcome: &P::Outcome) -> Result<(), StudyError> {
        let Some((name, path)) = self.place(piece) else { return Ok(()) };
        let tensors = P::columns(outcome);
        Checkpoint { identity: piece.identity(), counters: BTreeMap::new(), tensors }.save(&path)?;
        locked(&self.used).insert(name, (P::cpu_seconds(outcome), true));
        Ok(())
    }

    /// Name and path of the piece's file.
    fn place<P: Piece>(&self, piece: &P) -> Option<(String, PathBuf)> {
        let digest = CRC32.checksum(format!("{:?}", piece.identity()).as_bytes());
        let name = format!("{}-{digest:08x}.{ENDING}", piece.label());
        let path = self.folder.as_ref()?.join(&name);
        Some((name, path))
    }

    /// What the pieces cost that were used so far.
    pub fn cost(&self) -> Cost {
        let used = locked(&self.used);
        Cost {
            pieces: used.len(),
            trained: used.values().filter(|(_, computed)| *computed).count(),
            cpu_seconds: used.values().map(|(seconds, _)| seconds).sum(),
        }
    }

    /// Results of `work` on `items`, in their order, as many at once as there are threads. `size` weighs the items for the
    /// progress bar.
    ///
    /// # Errors
    /// The first error of `work`; no further item is begun then.
    pub fn each<T: Sync, R: Send>(
        &self,
        items: &[T],
        size: impl Fn(&T) -> f64 + Sync,
        work: impl Fn(&T, &dyn Fn(f64)) -> Result<R, StudyError> + Sync,
    ) -> Result<Vec<R>, StudyError> {
        let total: f64 = items.iter().map(&size).sum();
        let bar = Mutex::new((Progress::new(&self.name, Budget::iterations(1), self.verbosity), 0.0, 0));
        let advance = |size: f64, finished: bool| {
            let (progress, done, count) = &mut *locked(&bar);
            let now = *done + size;
            if finished {
                (*done, *count) = (now, *count + 1);
            }
            progress.advance(now / total, &format!("{count} of {}", items.len()));
        };
        let next = AtomicUsize::new(0);
        let worker = || {
            let mut results = Vec::new();
            loop {
                let k = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(k) else { return Ok(results) };
                let result = work(item, &|share| advance(share * size(item), false));
                results.push((k, result.inspect_err(|_| next.store(items.len(), Ordering::Relaxed))?));
                advance(size(item), true);
            }
        };
        let single = || match rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build() {
            Ok(pool) => pool.install(worker),
            Err(_) => worker(),
        };
        let results: Result<Vec<Vec<(usize, R)>>, StudyError> = match self.threads {
            None => worker().map(|results| vec![results]),
            Some(threads) => std::thread::scope(|scope| {
                let threads: Vec<_> = (0..threads.clamp(1, items.len().max(1))).map(|_| scope.spawn(single)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
            }),
        };
        if let Ok((progress, ..)) = bar.into_inner() {
            progress.finish();
        }
        let mut results: Vec<(usize, R)> = results?.into_iter().flatten().collect();
        results.sort_by_key(|(k, _)| *k);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number whose square is wanted.
    struct Square(f64);

    impl Piece for Square {
        type Outcome = f64;

        fn identity(&self) -> Identity {
            identity([("number", self.0.to_string())])
        }

        fn label(&self) -> String {
            "square".into()
        }

        fn cpu_seconds(_: &f64) -> f64 {
            0.5
        }

        fn columns(outcome: &f64) -> Columns {
            [("square".to_owned(), vec![*outcome])].into()
        }

        fn outcome(&self, mut columns: Columns) -> Option<f64> {
            columns.remove("square")?.pop()
        }
    }

    fn kept_in(folder: &Path, threads: Option<usize>) -> Pieces {
        Pieces::kept_in(folder, "squares", threads, Verbosity::Quiet).unwrap()
    }

    fn squares(pieces: &Pieces, up_to: u32) -> Result<Vec<f64>, StudyError> {
        let numbers: Vec<Square> = (0..up_to).map(|k| Square(f64::from(k))).collect();
        pieces.outcomes(&numbers, |number, _| match number.0 {
            7.0 => Err(StudyError::Interrupted),
            other => Ok(other * other),
        })
    }

    #[test]
    fn what_is_finished_is_found_whatever_the_threads() {
        let folder = tempfile::tempdir().unwrap();
        let first = kept_in(folder.path(), Some(3));
        assert_eq!(squares(&first, 4).unwrap(), [0.0, 1.0, 4.0, 9.0]);
        assert_eq!(first.cost(), Cost { pieces: 4, trained: 4, cpu_seconds: 2.0 });
        let damaged = std::fs::read_dir(folder.path().join("pieces")).unwrap().flatten().next().unwrap();
        std::fs::write(damaged.path(), "half").unwrap();
        let second = kept_in(folder.path(), None);
        assert_eq!(squares(&second, 5).unwrap(), [0.0, 1.0, 4.0, 9.0, 16.0]);
        assert_eq!(second.cost(), Cost { pieces: 5, trained: 2, cpu_seconds: 2.5 });
        assert_eq!(squares(&Pieces::not_kept("none", None, Verbosity::Quiet), 3).unwrap(), [0.0, 1.0, 4.0]);
    }

    #[test]
    fn an_error_ends_the_work_and_keeps_what_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let pieces = kept_in(folder.path(), None);
        assert!(matches!(squares(&pieces, 10), Err(StudyError::Interrupted)));
        assert_eq!(pieces.cost().trained, 7);
        assert!(matches!(squares(&kept_in(folder.path(), Some(2)), 10), Err(StudyError::Interrupted)));
    }

    #[test]
    fn pieces_of_an_earlier_version_are_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("pieces")).unwrap();
        std::fs::write(folder.path().join("pieces/0f9f8aa5337dfefc.json"), "{}").unwrap();
        let error = Pieces::kept_in(folder.path(), "old", None, Verbosity::Quiet).unwrap_err();
        assert!(error.to_string().contains("--out"), "{error}");
    }
}
