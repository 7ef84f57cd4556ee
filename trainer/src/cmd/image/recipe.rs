//! How a network is trained, as options: named recipes, single settings, a teacher.

use crate::cmd::error::Error;
use crate::host::names::{self, UnknownName};
use crate::image::augment::{self, Augmentation};
use crate::image::model::ImageModel;
use crate::image::net::architecture::Architecture;
use crate::image::training::objective::Teacher;
use crate::image::training::{Optimizer, Schedule, Settings};
use candle_core::Device;
use clap::ValueEnum;
use std::path::PathBuf;
use std::sync::Arc;

/// A recipe that the program knows by name.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    name: &'static str,
    what: &'static str,
    /// Epochs of `image pretrain` unless told otherwise; else it has a number of steps.
    epochs: Option<usize>,
    batch: usize,
    rate: f64,
    schedule: Schedule,
    optimizer: Optimizer,
    decay: f64,
    warm_up: usize,
    smoothing: f64,
    average: Option<f64>,
    augment: &'static str,
}

/// All of them; the first is what commands use unless told otherwise.
const RECIPES: [Named; 2] = [
    Named {
        name: "usual",
        what: "Adam at 1e-3 on batches of 64 and nothing else, as in the studies",
        epochs: None,
        batch: 64,
        rate: 1e-3,
        schedule: Schedule::Constant,
        optimizer: Optimizer::Adam,
        decay: 0.0,
        warm_up: 0,
        smoothing: 0.0,
        average: None,
        augment: "none",
    },
    Named {
        name: "photographs",
        what: "for color images of things, such as cifar10: SGD at .1 on batches of 128, flip and crop, warm-up, cosine, average",
        epochs: Some(100),
        batch: 128,
        rate: 0.1,
        schedule: Schedule::Cosine,
        optimizer: Optimizer::Sgd,
        decay: 3e-3,
        warm_up: 1000,
        smoothing: 0.0,
        average: Some(0.999),
        augment: "flip,crop:4",
    },
];

fn named(name: &str) -> Result<Named, UnknownName> {
    names::find("recipe", &RECIPES, |recipe| recipe.name, name).copied()
}

/// Whether classes with few images count more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClassWeights {
    /// All images count alike
    None,
    /// The loss of an image is divided by the frequency of its class among the training images
    Balanced,
}

/// How a network is trained.
#[derive(Debug, Clone, clap::Args)]
pub struct Recipe {
    /// Settings to start from, listed below; the options below change single ones
    #[arg(long, value_name = "NAME", default_value = "usual", value_parser = named)]
    pub recipe: Named,
    /// Number of images in a batch
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=65536))]
    pub batch: Option<usize>,
    /// Largest learning rate: that of the first step after warming up
    #[arg(long, value_name = "RATE")]
    pub rate: Option<f64>,
    /// How the learning rate changes over the steps
    #[arg(long, value_enum)]
    pub schedule: Option<Schedule>,
    /// Steps over which the learning rate rises from zero
    #[arg(long, value_name = "STEPS")]
    pub warm_up: Option<usize>,
    /// Method that turns gradients into steps
    #[arg(long, value_enum)]
    pub optimizer: Option<Optimizer>,
    /// Weight decay: every step shrinks the weights by this times the learning rate
    #[arg(long, value_name = "DECAY", value_parser = |text: &str| share(text, 1e3))]
    pub decay: Option<f64>,
    /// Random changes of the images, drawn anew in every step: names from the list below, joined by commas, each with a number or
    /// without, such as `flip,crop:4`; or `none`
    #[arg(long, value_name = "LIST")]
    pub augment: Option<Augmentation>,
    /// Share of every label that is spread over all classes, so that the network does not become too certain
    #[arg(long, value_name = "SHARE", value_parser = |text: &str| share(text, 0.99))]
    pub smoothing: Option<f64>,
    /// Evaluate and save a moving average of the weights, of which each step keeps this share, such as 0.999; 0 for the last
    /// weights
    #[arg(long, value_name = "SHARE", value_parser = |text: &str| share(text, 0.999_999))]
    pub average: Option<f64>,
    /// Whether classes with few images count more
    #[arg(long, value_enum, default_value_t = ClassWeights::None)]
    pub class_weights: ClassWeights,
}

/// Parses a number from 0 to `largest`.
fn share(text: &str, largest: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=largest).contains(number));
    number.ok_or_else(|| format!("give a number from 0 to {largest}"))
}

impl Recipe {
    /// The settings for a seed, without a teacher.
    pub fn settings(&self, seed: u64) -> Settings {
        let usual = self.recipe;
        let augmentation = self.augment.clone();
        Settings {
            batch: self.batch.unwrap_or(usual.batch),
            rate: self.rate.unwrap_or(usual.rate),
            schedule: self.schedule.unwrap_or(usual.schedule),
            warm_up: self.warm_up.unwrap_or(usual.warm_up),
            optimizer: self.optimizer.unwrap_or(usual.optimizer),
            decay: self.decay.unwrap_or(usual.decay),
            smoothing: self.smoothing.unwrap_or(usual.smoothing),
            balanced: self.class_weights == ClassWeights::Balanced,
            average: self.average.or(usual.average).filter(|share| *share > 0.0),
            augmentation: augmentation.unwrap_or_else(|| usual.augment.parse().expect("a list that a test parses")),
            teacher: None,
            softmax_twice: false,
            seed,
        }
    }

    /// Epochs of the recipe, if it has a number of them.
    pub fn epochs(&self) -> Option<usize> {
        self.recipe.epochs
    }

    /// All settings in words, for a checkpoint to compare and for a network's file.
    pub fn text(&self) -> String {
        let s = self.settings(0);
        let (schedule, optimizer) = (format!("{:?}", s.schedule).to_lowercase(), format!("{:?}", s.optimizer));
        let average = s.average.map_or("none".into(), |share| share.to_string());
        let weights = if s.balanced { "balanced" } else { "none" };
        format!(
            "{} {} batch {} {schedule} warm-up {} decay {} augment {} smoothing {} average {average} class weights {weights}",
            optimizer.to_lowercase(),
            s.rate,
            s.batch,
            s.warm_up,
            s.decay,
            s.augmentation,
            s.smoothing
        )
    }
}

/// A larger network to learn from, as options.
#[derive(Debug, Clone, clap::Args)]
pub struct Teaching {
    /// Trained network file whose answers are learned besides the labels (distillation). It has the same classes and takes images of
    /// the same size
    #[arg(long, value_name = "FILE")]
    teacher: Option<PathBuf>,
    /// With --teacher: number that logits are divided by before they are compared. The larger, the more the classes that the
    /// teacher ranks behind the first count
    #[arg(long, value_name = "T", requires = "teacher", default_value_t = 4.0, value_parser = temperature)]
    temperature: f64,
    /// With --teacher: share of the loss that the teacher's answers have; labels have the rest
    #[arg(long, value_name = "SHARE", requires = "teacher", default_value_t = 0.5, value_parser = |text: &str| share(text, 1.0))]
    teacher_share: f64,
}

fn temperature(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|t| (0.1..=100.0).contains(t)).ok_or_else(|| "give a number from 0.1 to 100".into())
}

impl Teaching {
    /// Reads the teacher of a network of this architecture, and says it in words for a checkpoint to compare.
    ///
    /// # Errors
    /// [`Error`] if the file cannot be read, or if its classes or images are others.
    pub fn load(
        &self,
        student: &Architecture,
        classes: &[String],
        device: &Device,
    ) -> Result<Option<(Teacher, String)>, Error> {
        let Some(path) = &self.teacher else { return Ok(None) };
        let ImageModel { network, classes: known, provenance } = ImageModel::load(path, device)?;
        let (input, wanted) = (network.architecture.input, student.input);
        if input != wanted || known != classes {
            return Err(Error::Usage(format!(
                "the teacher `{}` takes images of {input:?} and has {} classes, `{}` takes {wanted:?} and has {}; give one of the \
                 same size and classes",
                path.display(),
                known.len(),
                student.name,
                classes.len()
            )));
        }
        let told = |key: &str| provenance.get(key).map_or("", String::as_str).to_owned();
        let text = format!(
            "{} {} seed {} at {}, share {}",
            network.architecture.name,
            told("accuracy"),
            told("seed"),
            self.temperature,
            self.teacher_share
        );
        let network = Arc::new(network);
        Ok(Some((Teacher { network, temperature: self.temperature, share: self.teacher_share }, text)))
    }
}

/// Recipes and augmentations, for the end of `--help`.
pub fn help() -> String {
    let recipes: String = RECIPES.iter().map(|r| format!("  {:<16} {}\n", r.name, r.what)).collect();
    format!("Recipes:\n{recipes}\nAugmentations, with their usual number n:\n{}", augment::help())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        recipe: Recipe,
    }

    fn parsed(line: &str) -> Result<Recipe, clap::Error> {
        Line::try_parse_from(["train"].into_iter().chain(line.split_whitespace())).map(|line| line.recipe)
    }

    #[test]
    fn recipes_are_complete_and_options_change_single_settings() {
        for recipe in RECIPES {
            assert!(recipe.augment.parse::<Augmentation>().is_ok(), "{}", recipe.name);
            let settings = parsed(&format!("--recipe {}", recipe.name)).unwrap().settings(3);
            assert_eq!((settings.batch, settings.rate, settings.seed), (recipe.batch, recipe.rate, 3));
        }
        let usual = parsed("").unwrap();
        assert_eq!(
            usual.text(),
            "adam 0.001 batch 64 constant warm-up 0 decay 0 augment none smoothing 0 average none class weights none"
        );
        let changed =
            parsed("--recipe photographs --augment flip,noise --average 0 --rate 0.2 --class-weights balanced");
        let settings = changed.unwrap().settings(0);
        assert_eq!((settings.batch, settings.rate, settings.average, settings.balanced), (128, 0.2, None, true));
        assert_eq!(settings.augmentation.to_string(), "flip,noise");
    }

    #[test]
    fn mistakes_name_the_nearest() {
        let error = |line: &str| parsed(line).unwrap_err().to_string();
        assert!(error("--recipe photograph").contains("did you mean `photographs`?"));
        assert!(error("--augment flip,corp").contains("did you mean `crop`?"));
        assert!(error("--smoothing 1").contains("from 0 to 0.99") && error("--average 1").contains("from 0 to"));
    }
}
