//! Runs one part of the study: the protocol and its defects, every arm with every seed.

use super::super::work::{Before, Material};
use super::super::{Outcome, Point, Trial};
use super::Part;
use super::defect::{self, Defect};
use crate::dataset::Images;
use crate::dataset::images::permutation;
use crate::host::checkpoint::Identity;
use crate::host::clock;
use crate::host::interrupt::Interrupt;
use crate::image::adaptation::{Arm, Target, adapt, pretrain};
use crate::image::early_stopping::EarlyStopping;
use crate::image::net::architecture::Architecture;
use crate::image::net::network::{Network, Normalization};
use crate::image::select::{self, Ledger, View};
use crate::image::training::{Settings, Stage, Training, accuracy};
use crate::statistics::mean;
use crate::study::StudyError;
use crate::study::pieces::{self, Columns, Piece, Pieces};
use candle_core::Device;
use std::cell::OnceCell;
use std::ops::Range;

/// Points of a learning curve.
const POINTS: usize = 10;
/// Checks of the validation loss in the steps of an arm, and those without a lower one that end it, where arms end by themselves.
const CHECKS: usize = 20;
const PATIENCE: usize = 2;

/// A part with everything that its trials need.
#[derive(Debug)]
pub struct Work<'a> {
    /// The part.
    pub part: Part,
    /// The network.
    pub architecture: &'a Architecture,
    /// The images' fingerprints.
    pub data: &'a str,
    /// Steps of training on the source.
    pub pretraining: usize,
    /// The arms.
    pub arms: &'a [Arm],
    /// The seeds.
    pub seeds: Range<u64>,
    /// Finished trials, and how many run at once.
    pub pieces: &'a Pieces,
    /// Where networks are trained.
    pub device: Device,
}

/// One variant of a part: its outcomes, arm by arm, and by seed in each arm.
#[derive(Debug)]
pub struct Variant {
    /// The defect; none for the protocol.
    pub defect: Option<Defect>,
    /// Accuracies of the source networks.
    pub before: Vec<Before>,
    /// The outcomes.
    pub outcomes: Vec<Outcome>,
}

/// A source network of one seed, as a piece: its accuracies are kept, so that a finished study trains nothing.
struct Source<'a> {
    seed: u64,
    setup: &'a str,
}

impl Piece for Source<'_> {
    type Outcome = Before;

    fn identity(&self) -> Identity {
        pieces::identity([("source", self.setup.to_owned()), ("seed", self.seed.to_string())])
    }

    fn label(&self) -> String {
        format!("source-{}", self.seed)
    }

    fn cpu_seconds(_: &Before) -> f64 {
        0.0
    }

    fn columns(outcome: &Before) -> Columns {
        [("source", vec![outcome.source]), ("target", vec![outcome.target])].map(|(k, v)| (k.to_owned(), v)).into()
    }

    fn outcome(&self, mut columns: Columns) -> Option<Before> {
        Some(Before { source: columns.remove("source")?.pop()?, target: columns.remove("target")?.pop()? })
    }
}

impl Work<'_> {
    /// The outcomes of a variant. `material` makes its images, and is called only if something is missing.
    ///
    /// # Errors
    /// [`StudyError::Interrupted`]; an error of `material`, of training, or of storing a trial. Finished trials are kept.
    pub fn run<E: From<StudyError>>(
        &self,
        defect: Option<Defect>,
        stop: &Interrupt,
        material: impl FnOnce() -> Result<Material, E>,
    ) -> Result<Variant, E> {
        let setup = self.setup(defect);
        let seeds: Vec<u64> = self.seeds.clone().collect();
        let arms = self.arms.iter().filter(|arm| defect.is_none() || arm.recompute_every.is_none());
        let trial = |arm, seed: &u64| Trial { arm, seed: *seed, setup: &setup };
        let trials: Vec<Trial<'_>> = arms.flat_map(|arm| seeds.iter().map(move |seed| trial(arm, seed))).collect();
        let sources: Vec<Source<'_>> = seeds.iter().map(|seed| Source { seed: *seed, setup: &setup }).collect();
        let found = |_: &()| -> Result<bool, StudyError> {
            for trial in &trials {
                if self.pieces.find(trial)?.is_none() {
                    return Ok(false);
                }
            }
            for source in &sources {
                if self.pieces.find(source)?.is_none() {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let never = |_: &Trial<'_>, _: &dyn Fn(f64)| Err(StudyError::Interrupted);
        if found(&())? {
            let before = self.pieces.outcomes(&sources, |_, _| Err(StudyError::Interrupted))?;
            return Ok(Variant { defect, before, outcomes: self.pieces.outcomes(&trials, never)? });
        }
        let material = material()?;
        let networks = self.pieces.each(&seeds, |_| 1.0, |seed, _| self.pretrained(&material, defect, *seed, stop))?;
        let network = |seed: u64| &networks[(seed - self.seeds.start) as usize];
        let before = self.pieces.outcomes(&sources, |source, _| {
            let on = |images: &Images| accuracy(network(source.seed), images);
            Ok(Before { source: on(&material.source_test)?, target: on(&material.test)? })
        })?;
        let outcomes = self
            .pieces
            .outcomes(&trials, |trial, _| self.outcome(&material, network(trial.seed), defect, trial, stop))?;
        Ok(Variant { defect, before, outcomes })
    }

    fn settings(&self, defect: Option<Defect>, seed: u64) -> Settings {
        Settings { softmax_twice: defect == Some(Defect::SoftmaxTwice), ..Settings::usual(seed) }
    }

    fn pretrained(
        &self,
        material: &Material,
        defect: Option<Defect>,
        seed: u64,
        stop: &Interrupt,
    ) -> Result<Network, StudyError> {
        let images = &material.source;
        let normalization = Normalization::of(&images.pixels, images.channels, images.height * images.width);
        let network = Network::random(self.architecture, normalization, seed, &self.device)?;
        Ok(pretrain(network, images, self.pretraining, &self.settings(defect, seed), stop, |_, _| {})?)
    }

    fn outcome(
        &self,
        material: &Material,
        source: &Network,
        defect: Option<Defect>,
        trial: &Trial<'_>,
        stop: &Interrupt,
    ) -> Result<Outcome, StudyError> {
        let (start, settings) = (clock::thread_cpu_seconds(), self.settings(defect, trial.seed));
        let (pool, arm) = (&material.pool, trial.arm);
        let every = arm.steps.div_ceil(POINTS);
        let (mut curve, mut losses, mut failed) = (Vec::new(), Vec::new(), None);
        let mut watch = |training: &Training, loss: f32, validation: &Images| {
            losses.push(f64::from(loss));
            if training.step.is_multiple_of(every) || training.step == arm.steps {
                match accuracy(&training.network, validation) {
                    Ok(validation_accuracy) => {
                        curve.push(Point { step: training.step, training_loss: mean(&losses), validation_accuracy });
                    }
                    Err(error) => failed = Some(error),
                }
                losses.clear();
            }
        };
        let (network, subset, labels_seen) = if arm.recompute_every.is_some() {
            let target = Target { pool, validation: &material.validation };
            let watch = |training: &Training, loss: f32| watch(training, loss, &material.validation);
            let adapted = adapt(source, target, arm, &settings, stop, watch)?;
            (adapted.network, adapted.subset, adapted.labels_seen)
        } else {
            let (mut subset, labels_seen) = chosen(material, source, defect, arm, trial.seed)?;
            let mut validation = material.validation.clone();
            if defect == Some(Defect::ValidationInside) {
                let order = permutation(subset.len(), trial.seed);
                let (held, rest) = order.split_at(subset.len() / 5);
                validation = pool.select(&held.iter().map(|k| subset[*k]).collect::<Vec<_>>());
                subset = rest.iter().map(|k| subset[*k]).collect();
            }
            let mut training =
                Training::new(source.duplicate().map_err(crate::image::net::error::NetworkError::from)?, &settings)?;
            let stage = Stage { number: 0, first: 0, end: arm.steps, subset: &subset };
            if defect == Some(Defect::UnequalSteps) {
                let mut early = EarlyStopping::new(arm.steps.div_ceil(CHECKS), PATIENCE);
                early.run(&mut training, [pool, &validation], stage, stop, |_, training, loss| {
                    watch(training, loss, &validation);
                })?;
                early.finish(&mut training, arm.steps)?;
            } else {
                training.run(pool, stage, stop, |training, loss| watch(training, loss, &validation))?;
            }
            (training.finish(), subset, labels_seen)
        };
        if let Some(error) = failed {
            return Err(error.into());
        }
        // What the variant would report: with its validation images inside the choice, their accuracy.
        let last = curve.last().map(|point| point.validation_accuracy);
        let reported = last.filter(|_| defect == Some(Defect::ValidationInside));
        Ok(Outcome {
            arm: arm.name(),
            fraction: arm.fraction,
            seed: trial.seed,
            accuracy: reported.map_or_else(|| accuracy(&network, &material.test), Ok)?,
            source_accuracy: accuracy(&network, &material.source_test)?,
            labels_seen,
            class_counts: pool.select(&subset).class_counts(),
            curve,
            cpu_seconds: clock::thread_cpu_seconds().zip(start).map_or(0.0, |(now, start)| now - start),
        })
    }

    /// Everything besides arm and seed that an outcome depends on.
    fn setup(&self, defect: Option<Defect>) -> String {
        let Work { part, architecture, pretraining, data, .. } = self;
        let variant = defect.map_or("protocol", Defect::name);
        let place = if self.device.is_cpu() { "" } else { " | on a GPU" };
        let shift = part.shift;
        format!("thesis | {variant} | {architecture:?} | {shift} | {pretraining} pretraining | {data}{place}")
    }
}

/// The samples that an arm chooses once, and the number of labels that were read for it.
fn chosen(
    material: &Material,
    source: &Network,
    defect: Option<Defect>,
    arm: &Arm,
    seed: u64,
) -> Result<(Vec<usize>, usize), StudyError> {
    let (n, mut ledger) = (material.pool.len(), Ledger::new(&material.pool.labels));
    let twice =
        (defect == Some(Defect::NormalizedTwice)).then(|| defect::standardized(&material.pool, &source.normalization));
    let mut view = View {
        network: source,
        pool: twice.as_ref().unwrap_or(&material.pool),
        validation: &material.validation,
        ledger: &mut ledger,
        budget: ((arm.fraction * n as f64).round() as usize).clamp(1, n.max(1)),
        taken: &vec![false; n],
        weights: &mut vec![1.0 / n as f64; n],
        seed,
        round: 0,
        cache: OnceCell::new(),
    };
    let chosen = select::choose(arm.criterion, &mut view)?.chosen;
    chosen.iter().for_each(|sample| _ = ledger.label(*sample));
    Ok((chosen, ledger.count()))
}
