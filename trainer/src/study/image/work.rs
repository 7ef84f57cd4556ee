//! Runs the arms of a study: every arm with every seed.

use super::{Outcome, Point, Trial};
use crate::dataset::Images;
use crate::host::clock;
use crate::host::interrupt::Interrupt;
use crate::image::adaptation::{Arm, Target, adapt, pretrain};
use crate::image::net::architecture::Architecture;
use crate::image::net::network::{Network, Normalization};
use crate::image::training::{Settings, accuracy};
use crate::statistics::mean;
use crate::study::StudyError;
use crate::study::pieces::Pieces;
use candle_core::Device;
use std::ops::Range;

/// Images of a study, prepared for its network.
#[derive(Debug)]
pub struct Material {
    /// The images that the network is trained on first.
    pub source: Images,
    /// Where forgetting is measured.
    pub source_test: Images,
    /// Samples of the target that may be labeled.
    pub pool: Images,
    /// Samples of the target that are never trained on.
    pub validation: Images,
    /// Where accuracy is measured.
    pub test: Images,
}

/// The work of a study.
#[derive(Debug)]
pub struct Work<'a> {
    /// The network.
    pub architecture: &'a Architecture,
    /// The images.
    pub material: &'a Material,
    /// Steps of training on the source, before everything else.
    pub pretraining: usize,
    /// The arms; each is run with all seeds.
    pub arms: &'a [Arm],
    /// The seeds.
    pub seeds: Range<u64>,
    /// Steps between two points of a learning curve; 0 for no curve.
    pub curve_every: usize,
    /// The finished trials, and how many run at once.
    pub pieces: Pieces,
    /// Where networks are trained.
    pub device: Device,
}

/// Accuracies of a source network before any adaptation.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Before {
    /// On the source's test set.
    pub source: f64,
    /// On the target's.
    pub target: f64,
}

/// The work of a study, done.
#[derive(Debug)]
pub struct Finished {
    /// Accuracies before adaptation, by seed.
    pub before: Vec<Before>,
    /// The source networks, by seed.
    pub sources: Vec<Network>,
    /// All outcomes: arm by arm, and by seed in each arm.
    pub outcomes: Vec<Outcome>,
}

impl Work<'_> {
    /// Trains a source network per seed, then runs all arms.
    ///
    /// # Errors
    /// [`StudyError::Interrupted`]; an error of training, or of storing a trial. Finished trials are kept.
    pub fn run(&self, stop: &Interrupt) -> Result<Finished, StudyError> {
        let seeds: Vec<u64> = self.seeds.clone().collect();
        let sources = self.pieces.each(&seeds, |_| 1.0, |seed, _| self.pretrained(*seed, stop))?;
        let before = sources.iter().map(|network| {
            let source = accuracy(network, &self.material.source_test)?;
            Ok(Before { source, target: accuracy(network, &self.material.test)? })
        });
        let before = before.collect::<Result<Vec<_>, StudyError>>()?;
        let setup = self.setup();
        let trial = |arm, seed: &u64| Trial { arm, seed: *seed, setup: &setup };
        let trials: Vec<Trial<'_>> =
            self.arms.iter().flat_map(|arm| seeds.iter().map(move |seed| trial(arm, seed))).collect();
        let source = |trial: &Trial<'_>| &sources[(trial.seed - self.seeds.start) as usize];
        let outcomes = self.pieces.outcomes(&trials, |trial, _| self.outcome(source(trial), trial, stop))?;
        Ok(Finished { before, sources, outcomes })
    }

    fn pretrained(&self, seed: u64, stop: &Interrupt) -> Result<Network, StudyError> {
        let images = &self.material.source;
        let normalization = Normalization::of(&images.pixels, images.channels, images.height * images.width);
        let network = Network::random(self.architecture, normalization, seed, &self.device)?;
        Ok(pretrain(network, images, self.pretraining, &Settings::usual(seed), stop, |_, _| {})?)
    }

    fn outcome(&self, source: &Network, trial: &Trial<'_>, stop: &Interrupt) -> Result<Outcome, StudyError> {
        let start = clock::thread_cpu_seconds();
        let (material, mut curve, mut losses, mut failed) = (self.material, Vec::new(), Vec::new(), None);
        let target = Target { pool: &material.pool, validation: &material.validation };
        let adapted = adapt(source, target, trial.arm, &Settings::usual(trial.seed), stop, |training, loss| {
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
            return Err(error.into());
        }
        Ok(Outcome {
            arm: trial.arm.name(),
            fraction: trial.arm.fraction,
            seed: trial.seed,
            accuracy: accuracy(&adapted.network, &material.test)?,
            source_accuracy: accuracy(&adapted.network, &material.source_test)?,
            labels_seen: adapted.labels_seen,
            class_counts: material.pool.select(&adapted.subset).class_counts(),
            curve,
            cpu_seconds: clock::thread_cpu_seconds().zip(start).map_or(0.0, |(now, start)| now - start),
        })
    }

    /// Everything besides arm and seed that an outcome depends on.
    fn setup(&self) -> String {
        let m = self.material;
        let sets = [&m.source, &m.pool, &m.validation, &m.test].map(crate::dataset::fingerprint).join(" ");
        let place = if self.device.is_cpu() { "" } else { " | on a GPU" };
        let Work { architecture, pretraining, curve_every, .. } = self;
        format!("{architecture:?} | {pretraining} pretraining | curve {curve_every} | {sets}{place}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{self, Folder, Split};
    use crate::host::progress::Verbosity;
    use crate::image::net::architecture::preset;
    use crate::image::select::find;

    /// Digits of another hand, from the built-in samples: labels help, trials are found again, threads change nothing.
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
        let kept = |threads| Pieces::kept_in(folder.path(), "digits", Some(threads), Verbosity::Quiet).unwrap();
        let mut work = Work {
            architecture: &architecture,
            material: &material,
            pretraining: 250,
            arms: &arms,
            seeds: 0..2,
            curve_every: 60,
            pieces: kept(2),
            device: Device::Cpu,
        };
        let first = work.run(&Interrupt::never()).unwrap();
        for (before, outcome) in first.before.iter().cycle().zip(&first.outcomes) {
            assert!(before.source > 80.0, "{before:?}");
            assert!(outcome.accuracy > before.target, "{before:?} {outcome:?}");
            assert_eq!((outcome.labels_seen, outcome.curve.len()), (100, 2));
            assert_eq!(outcome.class_counts.iter().sum::<usize>(), 100);
        }
        work.pieces = kept(1);
        assert_eq!(work.run(&Interrupt::never()).unwrap().outcomes, first.outcomes, "found again");
        assert_eq!((work.pieces.cost().pieces, work.pieces.cost().trained), (4, 0));
        work.pieces = Pieces::not_kept("digits", Some(1), Verbosity::Quiet);
        work.arms = &arms[..1];
        let anew = work.run(&Interrupt::never()).unwrap().outcomes;
        let accuracies = |outcomes: &[Outcome]| outcomes.iter().map(|o| o.accuracy).collect::<Vec<_>>();
        assert_eq!(accuracies(&anew), accuracies(&first.outcomes[..2]), "the same on one thread");
    }
}
