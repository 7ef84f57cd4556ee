//! Options that many commands share.

use super::error::Error;
use crate::bundle::preset::{self, Preset};
use crate::dataset::Folder;
use crate::host::checkpoint::Identity;
use crate::host::device;
use crate::host::interrupt::Interrupt;
use crate::host::progress::Progress;
use crate::host::session::{Saver, Session};
use candle_core::Device;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder of the data sets, as an option.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Folder with the data sets; the environment variable SIROCCO_DATA unless given, or else `data`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Place {
    /// The folder.
    pub fn folder(&self) -> Folder {
        Folder::named(self.data.as_deref())
    }
}

/// How many threads compute.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Threads {
    /// Threads to compute with; all cores unless given. The result does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub threads: Option<usize>,
}

impl Threads {
    /// Makes this the number of threads of the process.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn apply(&self) -> Result<(), Error> {
        let Some(threads) = self.threads else { return Ok(()) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        pool.map_err(|source| Error::Threads { threads, source })
    }
}

/// Where a training run keeps its state.
#[derive(Debug, Clone, clap::Args)]
pub struct Checkpoints {
    /// File that keeps the state of the run: written every five seconds (see --checkpoint-every), at the end, and on Ctrl-C. If it cannot be
    /// written, the run ends at once with an error, and the file still holds the state before, for --resume. No
    /// checkpoints unless given
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Go on from the state in --checkpoint, to the same bits as an unbroken run. Repeat the options of the first command
    #[arg(long, requires = "checkpoint")]
    resume: bool,
    /// Shortest time between two checkpoints
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, requires = "checkpoint", value_parser = seconds)]
    checkpoint_every: f64,
}

/// Parses a length of time.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "give a number of seconds, at most a day".into())
}

impl Checkpoints {
    /// A session of the run `identity`, whose result goes to `out`.
    ///
    /// # Errors
    /// [`Error::Usage`] if the checkpoint would be overwritten by the result; if Ctrl-C cannot be listened for, or if the checkpoint's folder does not exist.
    pub fn session(&self, progress: Progress, identity: Identity, out: &Path) -> Result<Session, Error> {
        if self.checkpoint.as_deref() == Some(out) {
            let message = format!("--checkpoint and --out both name `{}`; name two files", out.display());
            return Err(Error::Usage(message));
        }
        let every = Duration::from_secs_f64(self.checkpoint_every);
        let saver = Saver::new(self.checkpoint.as_deref(), self.resume, every, identity)?;
        let interrupt = Interrupt::on_ctrl_c("stopping after this iteration; the weights so far are kept")?;
        Ok(Session { progress, interrupt, saver })
    }
}

/// Where tensors are computed.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Compute {
    /// Device to compute on
    #[arg(long, value_enum, default_value_t = device::Choice::Cpu)]
    pub device: device::Choice,
}

impl Compute {
    /// Opens the device.
    ///
    /// # Errors
    /// If this build or this machine has none.
    pub fn open(self) -> Result<Device, Error> {
        Ok(device::open(self.device)?)
    }
}

/// Parses the name of a preset; `--help` lists them all.
pub fn preset() -> impl TypedValueParser<Value = &'static Preset> {
    let values = preset::all().iter().map(|p| PossibleValue::new(p.name).help(p.what));
    PossibleValuesParser::new(values).try_map(|name| preset::find(&name))
}

#[cfg(test)]
mod tests {
    use crate::bundle::mlp::{Activation, Mlp};
    use crate::bundle::optimize::{adam, lm};
    use crate::bundle::preset;
    use crate::bundle::problem::Form;
    use crate::host::budget::{Budget, Ending};
    use crate::host::checkpoint::{Checkpoint, CheckpointError};
    use crate::host::session::{Session, tests::session};
    use crate::image::training::tests::{quarters, small};
    use crate::image::training::{Settings, Stage, Training, TrainingError};
    use candle_core::Device;

    /// Runs `train` with a session whose checkpoints cannot be written from the second on.
    fn with_a_full_disk(train: impl FnOnce(&mut Session, &dyn Fn(u64) -> Result<Checkpoint, CheckpointError>)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        let mut session = session(&path);
        train(&mut session, &|time| match time {
            1 => Ok(Checkpoint { counters: [("time".to_string(), time)].into(), ..Checkpoint::default() }),
            _ => Err(CheckpointError::Damaged { path: path.clone(), reason: "the disk is full".into() }),
        });
        assert_eq!(session.saver.load().unwrap().unwrap().0.counters["time"], 1, "the checkpoint before is whole");
        let error = session.finish(|_| Ok(Checkpoint::default())).unwrap_err();
        assert!(error.to_string().contains("the disk is full"));
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_ends_every_training_at_once() {
        let problem = preset::find("sir-single").unwrap().problem(Form::Conserved).unwrap();
        let start = Mlp::random(&problem.widths(&[4]), Activation::Tanh, problem.last_bias(), 0);
        let budget = Budget::iterations(1000);

        with_a_full_disk(|session, save| {
            let (mut state, stop) = (lm::State::new(start.clone(), 1.0), session.interrupt.clone());
            let settings = lm::Settings::new(&problem, 64, budget, 0);
            let ending = lm::run(&problem, &settings, &mut state, &stop, &mut |state: &lm::State| {
                session.keep(|_| save(state.round));
            });
            assert_eq!((ending, state.round), (Ending::Interrupted, 2));
        });
        with_a_full_disk(|session, save| {
            let (mut state, stop) = (adam::State::new(start.clone()), session.interrupt.clone());
            let recipe = adam::Recipe::Thesis;
            let settings = adam::Settings { recipe, points: 64, budget, seed: 0, device: Device::Cpu };
            let ending = adam::run(&problem, &settings, &mut state, &stop, |state| session.keep(|_| save(state.epoch)));
            assert_eq!((ending.unwrap(), state.epoch), (Ending::Interrupted, 2));
        });
        with_a_full_disk(|session, save| {
            let (images, stop) = (quarters(64, 1, 0.1), session.interrupt.clone());
            let mut training = Training::new(small(0), &Settings::usual(0)).unwrap();
            let stage = Stage { number: 0, first: 0, end: 1000, subset: &[0, 1, 2, 3] };
            let ended = training.run(&images, stage, &stop, |training, _| {
                session.keep(|_| save(training.step as u64));
            });
            assert!(matches!(ended, Err(TrainingError::Interrupted)), "{ended:?}");
            assert_eq!(training.step, 2);
        });
    }
}
