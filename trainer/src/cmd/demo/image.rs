//! The image part of the demo: trains on digits of one handwriting, adapts to another by few labels, and writes an integer
//! network for a board.
//!
//! It uses the digits that are part of this program, so it needs no download: 800 of MNIST to start from, 500 of USPS that
//! may be labeled, 400 of USPS to measure on. They are too few for a statement about MNIST and USPS.

use super::work::{Part, Setting};
use crate::cmd::error::Error;
use crate::dataset::{self, Folder, Images, Split};
use crate::host::model_file::Metadata;
use crate::host::names::UnknownName;
use crate::image::adaptation::{Adapted, Arm, Target, adapt};
use crate::image::export::{self, ExportedImage, Labeled, Options, export};
use crate::image::net::architecture::preset;
use crate::image::net::network::Network;
use crate::image::select;
use crate::image::training::Settings;
use crate::report::html::{Block, Highlight, Section};
use crate::statistics::{deviation, mean};
use crate::study::image::RANDOM;
use crate::study::image::findings::{Figures, Row};
use crate::study::image::work::{Finished, Material, Work};
use crate::study::pieces::Pieces;
use candle_core::Device;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// The network: 8,234 parameters, made for boards.
const NETWORK: &str = "lenet16";
/// Steps on the source, and of every arm.
const PRETRAINING: usize = 250;
const STEPS: usize = 150;
/// Seeds of every arm.
const SEEDS: u64 = 5;
/// Digits of the target that are held out for validation.
const VALIDATION: usize = 100;
/// Shares of the pool that are labeled.
const FRACTIONS: [f64; 2] = [0.1, 0.25];
/// Share and rounds of the network that is exported. They are fixed beforehand, not chosen by the result.
const EXPORTED: f64 = 0.25;
const ROUNDS: usize = 4;
/// Steps between two points of a learning curve.
const CURVE_EVERY: usize = 25;

/// Figures of the image part.
#[derive(Debug, Serialize)]
pub struct Results {
    /// Test accuracy of the file in percent, by the device evaluator.
    pub accuracy: f64,
    /// The same network in 32-bit floats.
    pub accuracy_f32: f64,
    /// On the target before it saw any of its labels; mean over seeds.
    pub accuracy_source_only: f64,
    /// Bytes of the file, of working memory on the device, and multiplications of an image.
    pub bytes: usize,
    pub arena: usize,
    pub macs: u32,
    pub file: PathBuf,
    /// Every way of choosing at every budget.
    pub selection: Vec<Selection>,
    pub seeds: u64,
    pub steps: usize,
    pub seconds: f64,
}

/// One way of choosing at one budget, over the seeds.
#[derive(Debug, Serialize)]
pub struct Selection {
    pub arm: String,
    pub fraction: f64,
    pub accuracy: f64,
    pub accuracy_std: f64,
    pub labels_seen: f64,
    /// Paired difference from random choice, half its 95 % interval, and p after Holm.
    pub against_random: Option<f64>,
    pub half_interval: Option<f64>,
    pub p_holm: Option<f64>,
}

impl Selection {
    fn of(row: &Row) -> Self {
        let paired = row.against.as_ref();
        Selection {
            arm: row.arm.clone(),
            fraction: row.fraction,
            accuracy: mean(&row.accuracies),
            accuracy_std: deviation(&row.accuracies),
            labels_seen: row.labels_seen,
            against_random: paired.map(|p| p.difference),
            half_interval: paired.map(|p| p.half_interval),
            p_holm: paired.map(|p| p.p_holm),
        }
    }
}

pub fn run(setting: &Setting<'_>) -> Result<Part<Results>, Error> {
    let start = Instant::now();
    let material = material()?;
    let (Finished { before, sources, outcomes }, parameters) = study(setting, &material)?;
    let figures = Figures::new(before, &outcomes, RANDOM);
    figures.table().write(&setting.out.join("digits.csv"))?;

    let source = sources.first().ok_or_else(|| Error::Usage("no seed was run".into()))?;
    let arm = in_rounds(EXPORTED)?;
    let adapted = adapted(setting, source, &material, &arm)?;
    let exported = quantized(&adapted, &material, &arm)?;
    let file = setting.out.join("digits.safetensors");
    crate::host::atomic::write(&file, &exported.bytes)?;

    let targets: Vec<f64> = figures.before.iter().map(|b| b.target).collect();
    let results = Results {
        accuracy: 100.0 * exported.accuracy,
        accuracy_f32: 100.0 * exported.accuracy_before,
        accuracy_source_only: mean(&targets),
        bytes: exported.bytes.len(),
        arena: exported.arena,
        macs: exported.macs,
        selection: figures.rows.iter().map(Selection::of).collect(),
        seeds: SEEDS,
        steps: STEPS,
        seconds: start.elapsed().as_secs_f64(),
        file,
    };
    let mut section = figures.findings(&outcomes)?.section("Which digits are worth a label");
    section.blocks.splice(0..0, [introduction(&material), verdict(&results.selection)].map(Block::Prose));
    section.blocks.push(Block::Note(LIMITS.to_owned()));
    let flashed = Section { heading: "The digits' file".to_owned(), blocks: vec![Block::Prose(file_text(&results))] };
    let pairs = [
        ("digits", format!("{NETWORK}, {parameters} parameters; seeds 0 to {}", SEEDS - 1)),
        ("digits, 8-bit integers", format!("{} ({} bytes)", results.file.display(), results.bytes)),
    ];
    Ok(Part {
        highlights: vec![highlight(&results, &material)],
        sections: vec![section, flashed],
        provenance: pairs.map(|(k, v)| (k.to_owned(), v)).to_vec(),
        results,
    })
}

fn material() -> Result<Material, Error> {
    let load =
        |set: &str, split| -> Result<Images, Error> { Ok(dataset::find(set)?.load(&Folder::named(None), split)?) };
    let (pool, validation) = load("fixture-usps", Split::Train)?.split(VALIDATION, 0)?;
    Ok(Material {
        source: load("fixture-mnist", Split::Train)?,
        source_test: load("fixture-mnist", Split::Test)?,
        test: load("fixture-usps", Split::Test)?,
        pool,
        validation,
    })
}

/// Margin in rounds, the first of them by diversity: the recommended default.
fn in_rounds(fraction: f64) -> Result<Arm, UnknownName> {
    Ok(Arm::once(select::find("margin")?, fraction, STEPS).in_rounds(ROUNDS).opened_by(select::find("badge")?))
}

fn arms() -> Result<Vec<Arm>, UnknownName> {
    let mut arms = Vec::new();
    for fraction in FRACTIONS {
        for name in ["random", "entropy-most"] {
            arms.push(Arm::once(select::find(name)?, fraction, STEPS));
        }
        arms.push(in_rounds(fraction)?);
    }
    Ok(arms)
}

/// All arms with all seeds; and the number of parameters.
fn study(setting: &Setting<'_>, material: &Material) -> Result<(Finished, usize), Error> {
    let architecture = preset(NETWORK, material.pool.classes)?;
    let arms = arms()?;
    let work = Work {
        architecture: &architecture,
        material,
        pretraining: PRETRAINING,
        arms: &arms,
        seeds: 0..SEEDS,
        curve_every: CURVE_EVERY,
        pieces: Pieces::not_kept("choosing digits", Some(rayon::current_num_threads()), setting.output.verbosity()),
        device: Device::Cpu,
    };
    let finished = work.run(&setting.interrupt)?;
    Ok((finished, crate::image::net::steps::Steps::new(&architecture)?.parameters()))
}

/// The arm once more with the first seed, for its network and its choices.
fn adapted(setting: &Setting<'_>, source: &Network, material: &Material, arm: &Arm) -> Result<Adapted, Error> {
    let target = Target { pool: &material.pool, validation: &material.validation };
    Ok(adapt(source, target, arm, &Settings::usual(0), &setting.interrupt, |_, _| {})?)
}

/// The network in 8-bit integers. Ranges come from the digits that were chosen; the test digits only measure.
fn quantized(adapted: &Adapted, material: &Material, arm: &Arm) -> Result<ExportedImage, Error> {
    let classes: Vec<String> = (0..material.pool.classes).map(|class| class.to_string()).collect();
    let folded = adapted.network.fold(&classes)?;
    let chosen = material.pool.select(&adapted.subset);
    let entries = [
        ("network", NETWORK.to_string()),
        ("dataset", "fixture-mnist".to_string()),
        ("target", "fixture-usps".to_string()),
        ("target.select", arm.name()),
        ("target.labels", adapted.labels_seen.to_string()),
        ("target.data", dataset::fingerprint(&material.pool)),
        ("seed", "0".to_string()),
    ];
    let provenance: Metadata = entries.map(|(k, v)| (k.to_string(), v)).into();
    let options = Options { provenance, ..Options::default() };
    let (chosen, held) = (labeled(&chosen), Some(labeled(&material.validation)));
    let material = export::Material { calibration: chosen, learned: chosen, held, check: labeled(&material.test) };
    Ok(export(&folded, material, &options)?)
}

fn labeled(images: &Images) -> Labeled<'_> {
    Labeled { pixels: &images.pixels, labels: &images.labels }
}

fn highlight(results: &Results, material: &Material) -> Highlight {
    let note = format!(
        "USPS digits right, {} bytes of 8-bit integers, {:.0} of {} labels seen; {:.1} % before",
        results.bytes,
        EXPORTED * material.pool.len() as f64,
        material.pool.len(),
        results.accuracy_source_only
    );
    Highlight::new("Digits of another hand", format!("{:.1} %", results.accuracy), note)
}

fn introduction(material: &Material) -> String {
    format!(
        "A network that read {} digits of MNIST meets those of USPS, written and scanned elsewhere. Labels cost money: \
         which of {} images should a person look at? Every way of choosing gets the same source networks, the same {STEPS} \
         steps and the same number of labels, with {SEEDS} seeds; accuracy is on {} other USPS digits.",
        material.source.len(),
        material.pool.len(),
        material.test.len()
    )
}

/// States whether choosing pays, by the numbers.
fn verdict(selection: &[Selection]) -> String {
    let chosen = selection.iter().filter(|s| s.fraction < 1.0 && s.arm.contains("rounds"));
    let each = chosen.map(|s| {
        let random = selection.iter().find(|r| r.arm == "random" && r.fraction == s.fraction);
        let random =
            random.map_or(String::new(), |r| format!("random {:.1} +/- {:.1} %, ", r.accuracy, r.accuracy_std));
        let told = match (s.against_random, s.half_interval, s.p_holm) {
            (Some(difference), Some(half), Some(p)) => {
                let word = match (p < 0.05, difference > 0.0) {
                    (true, true) => "wins",
                    (true, false) => "loses",
                    _ => "not told from chance",
                };
                format!(", {difference:+.1} +/- {half:.1}, p {p:.3}: {word}")
            }
            _ => String::new(),
        };
        let share = 100.0 * s.fraction;
        format!("with {share:.0} % of the labels {random}in rounds {:.1} +/- {:.1} %{told}", s.accuracy, s.accuracy_std)
    });
    let each = each.collect::<Vec<_>>().join("; ");
    format!(
        "Least margin in {ROUNDS} rounds, the first for diversity, beside random choice (mean and standard deviation over \
         seeds; paired difference with its 95 % interval and p after Holm): {each}."
    )
}

fn file_text(results: &Results) -> String {
    format!(
        "The network of the first seed, {:.0} % of the labels in rounds, became a file of 8-bit integers: {} bytes, {} bytes \
         of working memory, {} multiplications an image. The device's evaluator is right on {:.2} % of the test digits with \
         it, the network in 32-bit floats on {:.2} %. Flash it as any other model; `sirocco inspect` shows its memory plan.",
        100.0 * EXPORTED,
        results.bytes,
        results.arena,
        results.macs,
        results.accuracy,
        results.accuracy_f32
    )
}

const LIMITS: &str = "These are a few hundred digits that come with the program. With 400 test digits one standard error is \
    about 1.5 points, so small differences here say nothing about MNIST and USPS; `sirocco-train image study mnist-usps` \
    runs the whole comparison on all of them.";

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(arm: &str, accuracy: f64, against: Option<(f64, f64)>) -> Selection {
        Selection {
            arm: arm.into(),
            fraction: 0.1,
            accuracy,
            accuracy_std: 0.5,
            labels_seen: 50.0,
            against_random: against.map(|a| a.0),
            half_interval: against.map(|_| 0.4),
            p_holm: against.map(|a| a.1),
        }
    }

    #[test]
    fn the_verdict_follows_the_figures() {
        let said = |difference, p| {
            let rounds = selection("badge, then margin, 4 rounds", 90.0 + difference, Some((difference, p)));
            verdict(&[selection("random", 90.0, None), rounds])
        };
        assert!(said(2.0, 0.01).contains("random 90.0 +/- 0.5 %, in rounds 92.0"), "{}", said(2.0, 0.01));
        assert!(said(2.0, 0.01).contains("wins") && said(-2.0, 0.01).contains("loses"));
        assert!(said(2.0, 0.3).contains("not told from chance"));
    }

    #[test]
    fn the_exported_arm_is_one_of_the_studys() {
        let arms = arms().unwrap();
        assert!(arms.contains(&in_rounds(EXPORTED).unwrap()));
    }
}
