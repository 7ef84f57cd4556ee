//! Runs the arms of a study: every (arm, seed) once, on as many threads as asked for, one thread each.

use super::{ImageStudyError, Outcome, Point, key};
use crate::dataset::Images;
use crate::host::atomic;
use crate::host::clock;
use crate::host::interrupt::Interrupt;
use crate::image::adaptation::{Arm, Target, adapt, pretrain};
use crate::image::net::architecture::Architecture;
use crate::image::net::network::{Network, Normalisation};
use crate::image::training::{Settings, TrainingError, accuracy};
use crate::report::json;
use crate::statistics::mean;
use candle_core::Device;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Images of a study, prepared for its network.
#[derive(Debug)]
pub struct Material {
    /// What the network is trained on first.
    pub source: Images,
    /// Where forgetting is measured.
    pub source_test: Images,
    /// Samples of the target that may be labelled.
    pub pool: Images,
    /// Samples of the target that are never trained on.
    pub validation: Images,
    /// Where accuracy is measured.
    pub test: Images,
}

/// A study's work.
#[derive(Debug)]
pub struct Work<'a> {
    /// The network.
    pub architecture: &'a Architecture,
    /// The images.
    pub material: &'a Material,
    /// Steps on the source before anything else.
    pub pretraining: usize,
    /// The arms; each with all seeds.
    pub arms: &'a [Arm],
    /// The seeds.
    pub seeds: Range<u64>,
    /// Steps between two points of a learning curve; 0 for none.
    pub curve_every: usize,
    /// Folder of finished pieces.
    pub pieces: Option<PathBuf>,
    /// Threads; each works on one (arm, seed).
    pub threads: usize,
    /// Where networks are trained.
    pub device: Device,
}

/// Accuracies of the sources before any adaptation.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Before {
    /// On the source's test set.
    pub source: f64,
    /// On the target's.
    pub target: f64,
}

/// A study's work, done.
#[derive(Debug)]
pub struct Finished {
    /// Accuracies before adaptation, by seed.
    pub before: Vec<Before>,
    /// The source networks, by seed.
    pub sources: Vec<Network>,
    /// All outcomes: arm by arm, in each the seeds.
    pub outcomes: Vec<Outcome>,
}

impl Work<'_> {
    /// Pretrains a network per seed, then runs all arms. `watch` is told how many pieces are done.
    ///
    /// # Errors
    /// [`ImageStudyError`]; finished pieces stay.
    pub fn run(&self, stop: &Interrupt, watch: impl Fn(usize, usize) + Sync) -> Result<Finished, ImageStudyError> {
        let seeds: Vec<u64> = self.seeds.clone().collect();
        let total = seeds.len() * (1 + self.arms.len());
        let done = AtomicUsize::new(0);
        let tick = || watch(1 + done.fetch_add(1, Ordering::Relaxed), total);
        let sources = each(seeds.len(), self.threads, |k| {
            let network = self.pretrained(seeds[k], stop);
            tick();
            network
        })?;
        let before = sources.iter().map(|network| {
            let (source, target) =
                (accuracy(network, &self.material.source_test)?, accuracy(network, &self.material.test)?);
            Ok(Before { source, target })
        });
        let before = before.collect::<Result<Vec<_>, ImageStudyError>>()?;
        let outcomes = each(self.arms.len() * seeds.len(), self.threads, |k| {
            let (arm, seed) = (&self.arms[k / seeds.len()], k % seeds.len());
            let outcome = self.outcome(&sources[seed], arm, seeds[seed], stop);
            tick();
            outcome
        })?;
        Ok(Finished { before, sources, outcomes })
    }

    fn pretrained(&self, seed: u64, stop: &Interrupt) -> Result<Network, ImageStudyError> {
        let images = &self.material.source;
        let normalisation = Normalisation::of(&images.pixels, images.channels, images.height * images.width);
        let network = Network::random(self.architecture, normalisation, seed, &self.device)?;
        Ok(pretrain(network, images, self.pretraining, &Settings::usual(seed), stop, |_, _| {})?)
    }

    /// From the finished pieces, or by work.
    fn outcome(&self, source: &Network, arm: &Arm, seed: u64, stop: &Interrupt) -> Result<Outcome, ImageStudyError> {
        let identity = format!("{} | {}", key(arm, seed), self.identity());
        let path = self.pieces.as_ref().map(|folder| folder.join(format!("{:016x}.json", digest(&identity))));
        if let Some(outcome) = path.as_deref().and_then(stored) {
            return Ok(outcome);
        }
        let start = clock::thread_cpu_seconds();
        let (material, mut curve, mut losses, mut failed) = (self.material, Vec::new(), Vec::new(), None);
        let target = Target { pool: &material.pool, validation: &material.validation };
        let adapted = adapt(source, target, arm, &Settings::usual(seed), stop, |training, loss| {
            losses.push(f64::from(loss));
            if self.curve_every > 0 && training.step % self.curve_every == 0 {
                let (step, training_loss) = (training.step, mean(&losses));
                losses.clear();
                match accuracy(&training.network, &material.validation) {
                    Ok(validation_accuracy) => curve.push(Point { step, training_loss, validation_accuracy }),
                    Err(error) => failed = Some(error),
                }
            }
        })?;
        if let Some(error) = failed {
            return Err(TrainingError::Network(error).into());
        }
        let outcome = Outcome {
            arm: arm.name(),
            fraction: arm.fraction,
            seed,
            accuracy: accuracy(&adapted.network, &material.test)?,
            source_accuracy: accuracy(&adapted.network, &material.source_test)?,
            labels_seen: adapted.labels_seen,
            class_counts: material.pool.select(&adapted.subset).class_counts(),
            curve,
            cpu_seconds: clock::thread_cpu_seconds().zip(start).map_or(0.0, |(now, start)| now - start),
        };
        if let Some(path) = path {
            json::write(&path, &outcome)?;
        }
        Ok(outcome)
    }

    /// Everything besides arm and seed that an outcome depends on.
    fn identity(&self) -> String {
        let m = self.material;
        let sets = [&m.source, &m.pool, &m.validation, &m.test].map(crate::dataset::fingerprint).join(" ");
        let place = if self.device.is_cpu() { "" } else { " | on a GPU" };
        let Work { architecture, pretraining, curve_every, .. } = self;
        format!("{architecture:?} | {pretraining} pretraining | curve {curve_every} | {sets}{place}")
    }
}

/// A finished piece, if there is a readable one.
fn stored(path: &Path) -> Option<Outcome> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// FNV-1a: names of files only.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// Makes the folder of finished pieces in `out`.
///
/// # Errors
/// If it cannot be made.
pub fn pieces_in(out: &Path) -> Result<PathBuf, atomic::WriteError> {
    let folder = out.join("pieces");
    atomic::create_directory(&folder)?;
    Ok(folder)
}

/// Results of `work` for 0..n in their order, on `threads` threads, each with a pool of one thread for itself.
fn each<T: Send>(
    n: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<T, ImageStudyError> + Sync,
) -> Result<Vec<T>, ImageStudyError> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<T, ImageStudyError>>>> = Mutex::new((0..n).map(|_| None).collect());
    let worker = || {
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
        loop {
            let k = next.fetch_add(1, Ordering::Relaxed);
            if k >= n {
                break;
            }
            let result = match &alone {
                Ok(pool) => pool.install(|| work(k)),
                Err(_) => work(k),
            };
            let failed = result.is_err();
            results.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[k] = Some(result);
            if failed {
                next.fetch_max(n, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        (0..threads.clamp(1, n.max(1))).for_each(|_| _ = scope.spawn(worker));
    });
    let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (mut done, mut failure) = (Vec::new(), None);
    for result in results.into_iter().flatten() {
        match result {
            Ok(value) => done.push(value),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(done), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{self, Folder, Split};
    use crate::image::net::architecture::preset;
    use crate::image::select::find;

    /// Digits of another hand, from the built-in samples: labels help, pieces are found again, threads change nothing.
    #[test]
    fn a_small_study_of_real_digits() {
        let load = |set: &str, split| dataset::find(set).unwrap().load(&Folder::named(None), split).unwrap();
        let (pool, validation) = load("fixture-usps", Split::Train).split(100, 0).unwrap();
        let material = Material {
            source: load("fixture-mnist", Split::Train),
            source_test: load("fixture-mnist", Split::Test),
            test: load("fixture-usps", Split::Test),
            pool,
            validation,
        };
        let architecture = preset("lenet16", 10).unwrap();
        let once = |name: &str| Arm::once(find(name).unwrap(), 0.2, 120);
        let arms = [once("random"), once("margin").in_rounds(3).opened_by(find("badge").unwrap())];
        let folder = tempfile::tempdir().unwrap();
        let pieces = Some(pieces_in(folder.path()).unwrap());
        let (arms, curve_every) = (&arms[..], 60);
        let mut work = Work {
            architecture: &architecture,
            material: &material,
            pretraining: 250,
            arms,
            seeds: 0..2,
            curve_every,
            pieces,
            threads: 2,
            device: Device::Cpu,
        };
        let first = work.run(&Interrupt::never(), |_, _| {}).unwrap();
        for (before, outcome) in first.before.iter().cycle().zip(&first.outcomes) {
            eprintln!("{before:?} {outcome:?}");
            assert!(before.source > 80.0, "{before:?}");
            assert!(outcome.accuracy > before.target, "{before:?} {outcome:?}");
            assert_eq!((outcome.labels_seen, outcome.curve.len()), (100, 2));
            assert_eq!(outcome.class_counts.iter().sum::<usize>(), 100);
        }
        work.threads = 1;
        assert_eq!(work.run(&Interrupt::never(), |_, _| {}).unwrap().outcomes, first.outcomes, "found again");
        work.pieces = None;
        work.arms = &arms[..1];
        let anew = work.run(&Interrupt::never(), |_, _| {}).unwrap().outcomes;
        let accuracies = |outcomes: &[Outcome]| outcomes.iter().map(|o| o.accuracy).collect::<Vec<_>>();
        assert_eq!(accuracies(&anew), accuracies(&first.outcomes[..2]), "the same on one thread");
    }
}
