//! `image train`

use super::options::Data;
use crate::cmd::error::Error;
use crate::cmd::output::Output;
use crate::cmd::reading;
use crate::dataset::images::permutation;
use crate::dataset::{self, Images, Split};
use crate::host::interrupt::Interrupt;
use crate::host::model_file::{Metadata, ModelBytes};
use crate::image::answers::{Answer, answers};
use crate::image::confusion::{Confusion, Mistake, mistakes};
use crate::image::export::{ExportedImage, ImageExportError, Labeled, Material, Options, export_with_progress};
use crate::image::held_out;
use crate::image::model::ImageModel;
use crate::image::net::architecture::preset;
use crate::image::net::network::{Network, Normalization};
use crate::image::quantize::range::Range;
use crate::image::sizing::{self, Sized};
use crate::image::training::{Schedule, Settings, Stage, Training, TrainingError, accuracy};
use candle_core::Device;
use serde::Serialize;
use sirocco::model::Model;
use sirocco_cost::{BOARDS, Board};
use std::path::PathBuf;

mod page;

/// Train a network on your own pictures, for a board: the whole way in one command
///
/// Picks a network that fits the board, trains it on four fifths of the pictures with small random changes of them, writes it as the
/// 8-bit file that the board reads, and measures that file with the board's evaluator on the other fifth, which had no part in any
/// choice. Prints the accuracy, the classes that are mistaken for each other, and what the network takes of the board; the report
/// shows them with the worst mistakes as pictures.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Folder that holds a folder of pictures for each class, perhaps within `train` and `test`; or a table with the columns `file`
    /// and `label`; or a data set, such as mnist
    #[arg(value_name = "DIR")]
    dataset: String,
    #[command(flatten)]
    data: Data,
    /// Board that the network is for; its flash, RAM and processor decide how wide the network is
    #[arg(long, value_name = "NAME", default_value = "qemu-mps2-an386", value_parser = board)]
    board: Board,
    /// Longest side of the network's input; pictures keep their shape. More shows finer details, and costs the board more
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(8..=128))]
    size: u16,
    /// Network to train instead of the one that is picked: a name as for `image pretrain`, or `compactW-CxHxW`, W filters wide for
    /// images of C channels, H rows and W columns
    #[arg(long, value_name = "NAME", conflicts_with = "size")]
    network: Option<String>,
    /// How often every picture is seen, each time changed a little
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    epochs: u16,
    /// Random changes of the pictures in training; `image pretrain --help` lists them. Without `flip`: digits and letters have sides
    #[arg(long, value_name = "LIST", default_value = AUGMENTATION)]
    augment: crate::image::augment::Augmentation,
    /// Draw pictures as they are, even if there are few of some classes. Without this, all classes are drawn equally often
    #[arg(long)]
    unbalanced: bool,
    /// The class of what belongs to no other, such as `unknown`: the report says how often others are taken for it, and it for them
    #[arg(long, value_name = "CLASS")]
    unknown: Option<String>,
    /// Seed of weights, order and changes of pictures. The same seed gives the same files
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Folder to write: model.safetensors for the board, network.safetensors for further training, report.html
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train image train photos --out trained
  Photographs of one object moments apart stay on one side of the split, for a Raspberry Pi Pico 2:
    sirocco-train image train photos --group-by near --board rpi-pico2 --out trained --json
  Groups by the names of files, such as meter12_0007.jpg; a class for what is none of the others:
    sirocco-train image train photos --group-by 'meter([0-9]+)_' --unknown none --out trained
  Then, on the emulated board:
    sirocco classify --port qemu:qemu-mps2-an386 --model trained/model.safetensors new.jpg";

/// Small changes of position, light and sharpness, as between two photographs of one object.
const AUGMENTATION: &str = "rotation:8,scale:0.12,crop:2,brightness:0.15,contrast:0.3,noise:0.03";
/// Pictures of a batch, and the learning rate of the first step.
const BATCH: usize = 32;
const RATE: f64 = 2e-3;
/// Share of the answers about pictures like those in training that the board withholds.
const WITHHOLD: f64 = 0.05;
/// Pictures that determine the ranges of bytes, and the features of each class.
const CALIBRATION: usize = 512;
const LEARNED: usize = 5000;
/// Held-out pictures without which there is no temperature and no threshold.
const LEAST_HELD_OUT: usize = 20;

fn board(name: &str) -> Result<Board, String> {
    let known = || BOARDS.map(|board| board.name).join(", ");
    BOARDS.into_iter().find(|board| board.name == name).ok_or_else(|| format!("choose one of {}", known()))
}

/// The report. Accuracies and shares are in percent.
#[derive(Debug, Serialize)]
struct TrainReport {
    /// Of the board's file, by the board's evaluator, on the test pictures.
    accuracy: f64,
    /// Of the network in 32-bit floats on the same.
    accuracy_before: f64,
    /// Of the same on held-out training pictures.
    accuracy_held_out: f64,
    test_images: usize,
    training_images: usize,
    held_out_images: usize,
    classes: Vec<String>,
    confusion: Confusion,
    mistakes: Vec<Wrong>,
    /// Share of the class of --unknown that is taken for another, and of the others that are taken for it.
    unknown_missed: Option<f64>,
    taken_for_unknown: Option<f64>,
    temperature: f64,
    /// Expected calibration error on the test pictures, as a share.
    ece: f64,
    withheld: f64,
    accuracy_answered: f64,
    network: String,
    preparation: String,
    split: Option<String>,
    board: &'static str,
    bytes: usize,
    flash: usize,
    arena: usize,
    ram: usize,
    macs: u32,
    instructions: u64,
    seed: u64,
    steps: usize,
    cpu_seconds: Option<f64>,
    file: PathBuf,
    network_file: PathBuf,
    report: PathBuf,
}

/// A wrong answer, for the report.
#[derive(Debug, Serialize)]
struct Wrong {
    /// The picture's file; null in a data set without files for each.
    file: Option<PathBuf>,
    label: String,
    class: String,
    probability: f32,
}

/// The pictures of a training, divided.
struct Divided {
    rest: Images,
    held: Images,
    test: Images,
    /// Files of the test pictures.
    files: Vec<PathBuf>,
}

/// Picks, trains, writes, measures.
///
/// # Errors
/// [`Error`] if pictures cannot be read, no network fits the board, or files cannot be written; [`Error::Interrupted`] after Ctrl-C,
/// when nothing is written.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let collection = arguments.data.open(&arguments.dataset)?;
    let classes = collection.classes.clone();
    if let Some(unknown) = arguments.unknown.as_ref().filter(|unknown| !classes.contains(unknown)) {
        return Err(Error::Usage(format!(
            "--unknown: there is no class `{unknown}`; choose one of {}",
            classes.join(", ")
        )));
    }
    let sized = match &arguments.network {
        Some(name) => sizing::measure(preset(name, classes.len())?, &classes, &arguments.board)?,
        None => {
            let input = sizing::input(collection.shape(), arguments.size.into());
            sizing::choose(input, &classes, &arguments.board)?
        }
    };
    let divided = arguments.divided(&sized)?;
    let (network, steps) = arguments.train(&sized, &divided.rest, output)?;
    let accuracy_held_out = if divided.held.is_empty() { f64::NAN } else { accuracy(&network, &divided.held)? };
    let mut provenance: Metadata = [
        ("dataset", arguments.dataset.clone()),
        ("data", dataset::fingerprint(&divided.rest)),
        ("held_out", divided.held.len().to_string()),
        ("seed", arguments.seed.to_string()),
        ("steps", steps.to_string()),
        ("augment", arguments.augment.to_string()),
    ]
    .map(|(k, v)| (k.to_string(), v))
    .into();
    provenance.extend(reading::entries(&collection));
    provenance.extend(arguments.unknown.iter().map(|class| ("unknown".to_string(), class.clone())));

    let exported = arguments.export(&network, &classes, &divided, &provenance, output)?;
    crate::host::atomic::create_directory(&arguments.out)?;
    let [file, network_file, html] =
        ["model.safetensors", "network.safetensors", "report.html"].map(|name| arguments.out.join(name));
    crate::host::atomic::write(&file, &exported.bytes)?;
    ImageModel { network, classes: classes.clone(), provenance }.save(&network_file)?;
    let answers = of_file(&exported.bytes, &divided.test)?;
    let confusion = Confusion::of(&answers, &divided.test.labels, classes.len());
    let wrong = mistakes(&answers, &divided.test.labels);
    let unknown = arguments.unknown.as_ref().and_then(|name| classes.iter().position(|class| class == name));
    let [unknown_missed, taken_for_unknown] = unknown.map_or([None, None], |unknown| rates(&confusion, unknown));
    let split = collection.pictures(sized.architecture.input)?.map(|pictures| pictures.report.split.clone());
    let report = TrainReport {
        accuracy: 100.0 * exported.accuracy,
        accuracy_before: 100.0 * exported.accuracy_before,
        accuracy_held_out,
        test_images: divided.test.len(),
        training_images: divided.rest.len(),
        held_out_images: divided.held.len(),
        mistakes: wrong.iter().map(|mistake| named(mistake, &classes, &divided.files)).collect(),
        classes,
        confusion,
        unknown_missed,
        taken_for_unknown,
        temperature: exported.temperature,
        ece: exported.calibration_error[1],
        withheld: 100.0 * exported.withheld,
        accuracy_answered: 100.0 * exported.accuracy_answered,
        network: sized.architecture.name.clone(),
        preparation: collection.reading().preparation.to_string(),
        split,
        board: arguments.board.name,
        bytes: exported.bytes.len(),
        flash: arguments.board.flash,
        arena: exported.arena,
        ram: arguments.board.ram,
        macs: exported.macs,
        instructions: exported.instructions
            [usize::from(arguments.board.processor == sirocco_cost::Processor::Portable)],
        seed: arguments.seed,
        steps,
        cpu_seconds: crate::host::clock::cpu_seconds(),
        file,
        network_file,
        report: html,
    };
    page::page(&report, &exported, &divided.test, &wrong)?.write(&report.report)?;
    output.result(&report, |report| say!("{}", report.text()));
    Ok(())
}

/// How often the class of what belongs to no other is missed, and how often others are taken for it, in percent.
fn rates(confusion: &Confusion, unknown: usize) -> [Option<f64>; 2] {
    let others = || confusion.matrix.iter().enumerate().filter(|(label, _)| *label != unknown).map(|(_, row)| row);
    let taken: usize = others().map(|row| row[unknown]).sum();
    let all: usize = others().flatten().sum();
    [confusion.recall[unknown].map(|recall| 100.0 - recall), (all > 0).then(|| 100.0 * taken as f64 / all as f64)]
}

fn named(mistake: &Mistake, classes: &[String], files: &[PathBuf]) -> Wrong {
    Wrong {
        file: files.get(mistake.image).cloned(),
        label: classes[mistake.label].clone(),
        class: classes[mistake.class].clone(),
        probability: mistake.probability,
    }
}

/// The board's answers to images, by its evaluator.
fn of_file(bytes: &ModelBytes, images: &Images) -> Result<Vec<Answer>, Error> {
    let network =
        Model::open(bytes).and_then(|model| sirocco::image::Network::open(&model)).map_err(ImageExportError::from)?;
    Ok(answers(&network, &images.pixels, &|| ())?)
}

fn labeled(images: &Images) -> Labeled<'_> {
    Labeled { pixels: &images.pixels, labels: &images.labels }
}

impl Arguments {
    fn divided(&self, sized: &Sized) -> Result<Divided, Error> {
        let architecture = &sized.architecture;
        let train = self.data.load(&self.dataset, Split::Train, architecture)?;
        let test = self.data.load(&self.dataset, Split::Test, architecture)?;
        let [rest, held] = held_out::split(&train, held_out::usual(train.len()))?;
        let pictures = self.data.open(&self.dataset)?.pictures(architecture.input)?;
        let files = pictures.map_or_else(Vec::new, |pictures| pictures.test.files.clone());
        Ok(Divided { rest, held, test, files })
    }

    /// The trained network and the number of steps.
    fn train(&self, sized: &Sized, images: &Images, output: Output) -> Result<(Network, usize), Error> {
        let normalization = Normalization::of(&images.pixels, images.channels, images.height * images.width);
        let network = Network::random(&sized.architecture, normalization, self.seed, &Device::Cpu)?;
        let subset = if self.unbalanced { (0..images.len()).collect() } else { images.balanced(self.seed) };
        // As many steps whether classes are balanced or not: small classes do not make the training longer.
        let steps = usize::from(self.epochs) * images.len().div_ceil(BATCH);
        let settings = Settings {
            batch: BATCH,
            rate: RATE,
            schedule: Schedule::Cosine,
            augmentation: self.augment.clone(),
            ..Settings::usual(self.seed)
        };
        let mut training = Training::new(network, &settings)?;
        let interrupt = Interrupt::on_ctrl_c("stopping; nothing is written")?;
        let bar = output.bar(&sized.architecture.name, steps);
        let stage = Stage { number: 0, first: 0, end: steps, subset: &subset };
        let ended = training.run(images, stage, &interrupt, |training, loss| {
            bar.advance(training.step as f64 / steps as f64, &format!("loss {loss:.3}"));
        });
        bar.finish();
        match ended {
            Err(TrainingError::Interrupted) => Err(Error::Interrupted),
            other => Ok(other.map(|()| (training.finish(), steps))?),
        }
    }

    /// The board's file, measured. If the full range of values costs accuracy, the largest ones saturate.
    fn export(
        &self,
        network: &Network,
        classes: &[String],
        Divided { rest, held, test, .. }: &Divided,
        provenance: &Metadata,
        output: Output,
    ) -> Result<ExportedImage, Error> {
        let chosen = permutation(rest.len(), self.seed);
        let calibration = rest.select(&chosen[..rest.len().min(CALIBRATION)]);
        let learned = rest.first(LEARNED);
        let material = Material {
            calibration: labeled(&calibration),
            learned: labeled(&learned),
            held: (held.len() >= LEAST_HELD_OUT).then(|| labeled(held)),
            check: labeled(test),
        };
        if held.len() < LEAST_HELD_OUT {
            eprintln!(
                "warning: {} pictures can be held out of training, and {LEAST_HELD_OUT} are needed for thresholds and the drift alarm; \
                 this file has neither, add pictures",
                held.len()
            );
        }
        let mut provenance = provenance.clone();
        held_out::COUNTS.iter().for_each(|key| _ = provenance.remove(*key));
        let entries = [
            ("network", network.architecture.name.clone()),
            ("quantised.dataset", self.dataset.clone()),
            ("software", crate::host::SOFTWARE.to_string()),
        ];
        provenance.extend(entries.map(|(k, v)| (k.to_string(), v)));
        let folded = network.fold(classes)?;
        let mut options = Options { withhold: Some(WITHHOLD), provenance, ..Options::default() };
        let bar = output.bar("test pictures", 2 * test.len());
        let mut exported = export_with_progress(&folded, material, &options, &|| bar.step("integers, then f32"));
        if matches!(exported, Err(ImageExportError::Loses { .. })) {
            options.range = Range::Percentile(99.9);
            exported = export_with_progress(&folded, material, &options, &|| ());
        }
        bar.finish();
        let exported = exported?;
        for (what, needed, budget) in
            [("flash", exported.bytes.len(), self.board.flash), ("RAM", exported.arena, self.board.ram)]
        {
            if needed > budget {
                return Err(ImageExportError::Budget { what, needed, budget }.into());
            }
        }
        Ok(exported)
    }
}

impl TrainReport {
    fn text(&self) -> String {
        let worst =
            self.classes.iter().zip(&self.confusion.recall).filter_map(|(class, recall)| Some((class, (*recall)?)));
        let worst = worst.min_by(|a, b| a.1.total_cmp(&b.1));
        let worst = worst.map_or(String::new(), |(class, recall)| format!("; worst class: `{class}`, {recall:.1} %"));
        let mut lines = vec![format!(
            "test accuracy {:.2} % in 8-bit integers by the board's evaluator ({:.2} % in f32), {} pictures that had no part in any \
             choice{worst}",
            self.accuracy, self.accuracy_before, self.test_images
        )];
        lines.extend(self.mistakes.iter().take(5).map(|wrong| {
            let file = wrong.file.as_ref().map_or("a picture".into(), |file| file.display().to_string());
            format!("  {file} is `{}`, taken for `{}` ({:.0} %)", wrong.label, wrong.class, 100.0 * wrong.probability)
        }));
        if let (Some(missed), Some(taken)) = (self.unknown_missed, self.taken_for_unknown) {
            lines.push(format!(
                "unknown: {missed:.1} % taken for another class; of the others {taken:.1} % taken for unknown"
            ));
        }
        lines.push(format!(
            "withholds {:.1} % of the answers, {:.2} % of the others are right; calibration error {:.2} %",
            self.withheld,
            self.accuracy_answered,
            100.0 * self.ece
        ));
        let cpu = self.cpu_seconds.map_or(String::new(), |seconds| format!("; {seconds:.0} CPU seconds"));
        lines.push(format!(
            "{}: {} of {} bytes of flash, {} of {} bytes of RAM, about {:.1} million instructions for a picture{cpu}",
            self.board,
            self.bytes,
            self.flash,
            self.arena,
            self.ram,
            self.instructions as f64 / 1e6
        ));
        lines.push(format!("wrote {}; look at {}", self.file.display(), self.report.display()));
        lines.join("\n")
    }
}
