//! `image study thesis`

use super::shifting;
use super::study::Arguments;
use crate::cmd::error::Error;
use crate::cmd::output::Output;
use crate::dataset::{self, Images, Split};
use crate::host::interrupt::Interrupt;
use crate::host::{self, atomic};
use crate::image::net::architecture::{Architecture, preset};
use crate::image::net::network::Normalization;
use crate::report::html::{Highlight, Page};
use crate::report::json;
use crate::study::image::RANDOM;
use crate::study::image::findings::Figures;
use crate::study::image::thesis::defect::{self, Defect};
use crate::study::image::thesis::findings::{Judgments, judged};
use crate::study::image::thesis::run::{Variant, Work};
use crate::study::image::thesis::{PARTS, Part, SHORT};
use crate::study::image::work::Material;
use crate::study::pieces::{Cost, Pieces};
use serde::Serialize;
use std::path::PathBuf;

/// Steps and seeds of the short form.
const SHORT_STEPS: [usize; 2] = [250, 120];
const SHORT_SEEDS: u64 = 2;

#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    judgments: &'a Judgments,
    #[serde(flatten)]
    cost: Cost,
    seeds: u64,
    report: PathBuf,
}

/// Runs the pieces that are missing of every part, and writes tables and page.
///
/// # Errors
/// [`Error`] if data or folders cannot be read or written; [`Error::Interrupted`] after Ctrl-C.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let request = Request::new(arguments)?;
    atomic::create_directory(&arguments.out)?;
    let device = arguments.compute.open()?;
    let threads = arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let pieces = Pieces::kept_in(&arguments.out, "thesis", Some(threads), output.verbosity())?;
    let interrupt = Interrupt::on_ctrl_c("stopping; what is finished is kept, run the same command again to go on")?;
    let (mut judgments, mut sections) = (Vec::new(), Vec::new());
    for part in &request.parts {
        let classes = arguments.data.open(part.target)?.classes.len();
        let architecture = preset(part.network, classes)?;
        let sets = Sets::load(arguments, part, &architecture)?;
        let (arms, data) = (part.arms(request.steps)?, sets.fingerprint());
        let work = Work {
            part: *part,
            architecture: &architecture,
            data: &data,
            pretraining: request.pretraining,
            arms: &arms,
            seeds: arguments.seed..arguments.seed + request.seeds,
            pieces: &pieces,
            device: device.clone(),
        };
        let mut variants = Vec::new();
        for defect in part.variants() {
            variants.push(work.run(defect, &interrupt, || request.material(&sets, part, defect, output))?);
        }
        judgments.extend(judged(part, &variants));
        let Some(Variant { before, outcomes, .. }) = variants.first() else { continue };
        let findings = Figures::new(before.clone(), outcomes, RANDOM).findings(outcomes)?;
        let folder = arguments.out.join(part.name);
        atomic::create_directory(&folder)?;
        findings.write_tables(&folder)?;
        sections.push(findings.section(part.what));
    }
    let judgments = Judgments::new(judgments);
    let findings = judgments.findings()?;
    findings.write_tables(&arguments.out)?;
    sections.insert(0, findings.section("The conclusions, and what defects change"));
    let report = arguments.out.join("report.html");
    let cost = pieces.cost();
    request.page(cost, sections).write(&report)?;
    let result = Report { judgments: &judgments, cost, seeds: request.seeds, report };
    json::write(&arguments.out.join("findings.json"), &result)?;
    output.result(&result, |result| {
        say!("{}\n{:.0} CPU seconds; open {}", findings.seen().join("\n"), cost.cpu_seconds, result.report.display());
    });
    Ok(())
}

/// What the user asked for.
struct Request<'a> {
    arguments: &'a Arguments,
    parts: Vec<Part>,
    steps: usize,
    pretraining: usize,
    seeds: u64,
}

impl<'a> Request<'a> {
    fn new(arguments: &'a Arguments) -> Result<Self, Error> {
        let own = [&arguments.dataset, &arguments.target, &arguments.network];
        if own != ["mnist", "usps", "lenet16"] || arguments.shifting.to_string() != "none" {
            let why = "`thesis` has its own data sets, networks and shifts; leave out --dataset, --target, --network and --shift";
            return Err(Error::Usage(why.into()));
        }
        let mut parts = if arguments.short { SHORT.to_vec() } else { PARTS.to_vec() };
        let names = parts.iter().map(|part| part.name).collect::<Vec<_>>().join("`, `");
        parts.retain(|part| arguments.only.as_deref().is_none_or(|text| part.name.contains(text)));
        if parts.is_empty() {
            let why = format!("no part's name contains --only; it takes a part of one of `{names}`");
            return Err(Error::Usage(why));
        }
        let [pretraining, steps] = if arguments.short { SHORT_STEPS } else { [arguments.pretraining, arguments.steps] };
        let seeds = if arguments.short { SHORT_SEEDS } else { arguments.seeds };
        Ok(Request { arguments, parts, steps, pretraining, seeds })
    }

    /// The images of a part, with a defect or without.
    fn material(&self, sets: &Sets, part: &Part, defect: Option<Defect>, output: Output) -> Result<Material, Error> {
        let standardized = |images: &Images| match defect {
            Some(Defect::StandardizedAutoencoder) => {
                let all = &sets.source;
                let normalization = Normalization::of(&all.pixels, all.channels, all.height * all.width);
                defect::standardized(images, &normalization)
            }
            _ => images.clone(),
        };
        let shift = self.arguments.shifting.with(part.shift.parse()?);
        let fitted = shift.fit(&self.arguments.compute.open()?, output, || Ok(standardized(&sets.fitted)))?;
        let shifted = |images: &Images, split: Split| -> Result<Images, Error> {
            let (images, seed) = (standardized(images), shifting::seed(split));
            Ok(match defect {
                Some(Defect::OneNoise) => defect::same_noise(&images, &fitted.apply(&images.first(1), 0)?),
                Some(Defect::EvenKernel) => {
                    let sigma = part.shift.split_once(':').and_then(|(_, sigma)| sigma.parse().ok());
                    defect::even_blur(&images, sigma.unwrap_or(1.0))
                }
                _ => fitted.apply(&images, seed)?,
            })
        };
        let held_out = self.arguments.validation.min(sets.target.len() / 4);
        let (pool, validation) = shifted(&sets.target, Split::Train)?.split(held_out, 0)?;
        Ok(Material {
            source: standardized(&sets.source),
            source_test: standardized(&sets.source_test),
            pool,
            validation,
            test: shifted(&sets.test, Split::Test)?,
        })
    }

    fn page(&self, cost: Cost, sections: Vec<crate::report::html::Section>) -> Page {
        let first = self.arguments.seed;
        let pairs = [
            ("steps of every arm", self.steps.to_string()),
            ("steps on the source", self.pretraining.to_string()),
            ("seeds", format!("{} to {}", first, first + self.seeds - 1)),
            ("software", host::SOFTWARE.to_string()),
        ];
        let cpu = format!("{:.0} s", cost.cpu_seconds);
        Page {
            title: "The experiments of the thesis on images".into(),
            lead: "What the most uncertain, the most certain and random samples of another domain are worth, by one protocol; and \
                   which conclusions change with defects of public code."
                .into(),
            highlights: vec![Highlight::new("CPU time", cpu, "all arms, whenever they were run")],
            provenance: pairs.map(|(k, v)| (k.to_string(), v)).to_vec(),
            sections,
        }
    }
}

/// The unshifted images of a part.
struct Sets {
    source: Images,
    source_test: Images,
    target: Images,
    test: Images,
    /// Those that a shift learns from.
    fitted: Images,
}

impl Sets {
    fn load(arguments: &Arguments, part: &Part, architecture: &Architecture) -> Result<Self, Error> {
        let load = |set: &str, split| arguments.data.load(set, split, architecture);
        let train = load(part.target, Split::Train)?;
        // Within one data set, one half is the source and the other half the target: no image is in both.
        let (source, target) = match part.source == part.target {
            true => train.split(train.len() / 2, 0)?,
            false => (load(part.source, Split::Train)?, train.clone()),
        };
        let (source_test, test) = (load(part.source, Split::Test)?, load(part.target, Split::Test)?);
        Ok(Sets { source, source_test, target, test, fitted: train })
    }

    fn fingerprint(&self) -> String {
        [&self.source, &self.source_test, &self.target, &self.test].map(dataset::fingerprint).join(" ")
    }
}
