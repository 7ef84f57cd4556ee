//! `demo`: the whole job, offline, in under two minutes, with a report to look at.

mod bundle;
mod compare;
mod image;
mod transfer;
mod work;

use crate::cmd::error::Error;
use crate::cmd::options::Threads;
use crate::cmd::output::Output;
use crate::host::interrupt::Interrupt;
use crate::host::{self, atomic};
use crate::report::figure;
use crate::report::html::{Highlight, Page, Section};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;
use work::Setting;

/// Do the whole job once: train, quantize, export, check, move to another domain, report
///
/// Trains a network that solves every SIR epidemic of a box of parameters, writes the files that a board runs, measures
/// exactly these bytes with the device's evaluator, and takes the network to a shifted box. Then trains networks on the
/// digits that are part of this program, takes them to digits of another handwriting by the labels of few chosen ones, and
/// writes one network in 8-bit integers. Prints the main figures and the place of the report, which has plots. It takes
/// two minutes on two cores and needs no network connection.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Folder for the report, the models and the tables; it is created
    #[arg(long, value_name = "DIR", default_value = "sirocco-demo")]
    out: PathBuf,
    /// Seed of weights, points and measurement. The same seed gives the same files
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    threads: Threads,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train demo
  For scripts, into another folder:
    sirocco-train demo --out /tmp/demo --json";

#[derive(Debug, Serialize)]
struct Results {
    bundle: Bundles,
    image: image::Results,
    report: PathBuf,
    seconds: f64,
}

/// The trained bundle, and the same bundle taken to a shifted box.
#[derive(Debug, Serialize)]
struct Bundles {
    #[serde(flatten)]
    trained: bundle::Results,
    finetuned: transfer::Results,
}

/// Runs every part and writes the report.
///
/// # Errors
/// [`Error`] if the folder cannot be written, or an export fails its checks; [`Error::Interrupted`] after Ctrl-C.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let start = Instant::now();
    atomic::create_directory(&arguments.out)?;
    arguments.threads.apply()?;
    let interrupt = Interrupt::on_ctrl_c("stopping; the demo writes its report only when all of it is done")?;
    let setting = Setting { out: &arguments.out, seed: arguments.seed, output, interrupt };
    let trained = work::train(&setting)?;
    let bundle = bundle::run(&setting, &trained)?;
    let moved = transfer::run(&setting, &trained)?;
    let image = image::run(&setting)?;
    let report = arguments.out.join("report.html");
    let seconds = start.elapsed().as_secs_f64();
    page(
        [bundle.highlights, moved.highlights, image.highlights].concat(),
        [bundle.sections, moved.sections, image.sections].concat(),
        [bundle.provenance, moved.provenance, image.provenance].concat(),
        (arguments.seed, seconds),
    )
    .write(&report)?;
    let seconds = start.elapsed().as_secs_f64();
    let bundle = Bundles { trained: bundle.results, finetuned: moved.results };
    let results = Results { bundle, image: image.results, report, seconds };
    output.result(&results, |results| say!("{}", results.text()));
    Ok(())
}

fn page(
    mut highlights: Vec<Highlight>,
    sections: Vec<Section>,
    mut provenance: Vec<(String, String)>,
    (seed, seconds): (u64, f64),
) -> Page {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    highlights.push(Highlight::new("Time", format!("{seconds:.0} s"), format!("all of it, on {cores} cores")));
    provenance.extend([
        ("software".to_owned(), host::SOFTWARE.to_owned()),
        ("seed".to_owned(), seed.to_string()),
        ("machine".to_owned(), format!("{} {}, {cores} cores", std::env::consts::OS, std::env::consts::ARCH)),
    ]);
    Page {
        title: "Sirocco demo".to_owned(),
        lead: "A small network learned to solve every SIR epidemic of a box of parameters, from the equations alone; \
               another learned to read digits of a new hand from few labels. The files they became are the files a \
               microcontroller runs, and the figures here are measured on them."
            .to_owned(),
        highlights,
        provenance,
        sections,
    }
}

impl Results {
    fn text(&self) -> String {
        let (b, moved, digits) = (&self.bundle.trained, &self.bundle.finetuned, &self.image);
        format!(
            "sir-full: {} parameters, LogLoss {:.2}, maximum error {}, RMS error {} (the file, by the device \
             evaluator)\n16-bit integers: maximum error {}\nmoved box: LogLoss {:.2} before, {:.2} after {} \
             iterations; {:.2} from scratch with as many\ndigits: {:.1} % of another hand's right in 8-bit \
             integers (by the device evaluator), {:.1} % in floats, {:.1} % before adaptation\nfiles and report in {:.0} \
             s; open {}",
            b.parameters,
            b.logloss,
            figure(b.max_error),
            figure(b.rms_error),
            figure(b.i16.max_error),
            moved.logloss_before,
            moved.logloss,
            moved.iterations,
            moved.logloss_scratch,
            digits.accuracy,
            digits.accuracy_f32,
            digits.accuracy_source_only,
            self.seconds,
            self.report.display()
        )
    }
}
