//! `bundle evaluate`: how wrong is a model file? The device's evaluator against the reference.

use crate::bundle::evaluate::{self, Coverage, ESTIMATE_FACTOR, ESTIMATE_FLOOR, Measurement};
use crate::bundle::hardest::{self, Hardest};
use crate::bundle::load;
use crate::bundle::preset::Preset;
use crate::cmd::Error;
use crate::cmd::options::{self, Output, Threads};
use serde::Serialize;
use sirocco::bundle::Bundle;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measure a bundle file: LogLoss, errors against the reference, and how well its certificates hold.
///
/// The exported bytes are evaluated as a device would, to the same bits, at random queries of the domain.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Model file
    file: PathBuf,
    /// Measure over this preset's domain instead of the file's own
    #[arg(long, value_parser = options::preset())]
    preset: Option<&'static Preset>,
    /// Random queries compared with the reference
    #[arg(long, value_name = "N", default_value_t = evaluate::QUERIES,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000_000))]
    queries: usize,
    /// How far outside its domain the bundle is certified too, as a share of each range
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, value_parser = share)]
    beyond: f64,
    /// Seed of the queries
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train bundle evaluate full.safetensors
  Do the certificates hold, also up to 50 % beyond the training domain?
    sirocco-train bundle evaluate full.safetensors --queries 10000 --beyond 0.5 --json
  How bad is a bundle on a domain that it was not trained for?
    sirocco-train bundle evaluate full.safetensors --preset sir-full-shifted";

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    measurement: Measurement,
    hardest: Option<Hardest>,
    certificate: Certificates,
    seed: u64,
    file: &'a Path,
}

/// Over the domain, and around the bundle's own domain.
#[derive(Serialize)]
struct Certificates {
    #[serde(flatten)]
    inside: Coverage,
    outside: Coverage,
}

fn share(text: &str) -> Result<f64, String> {
    let valid = text.parse().ok().filter(|s: &f64| *s > 0.0 && *s <= 10.0);
    valid.ok_or_else(|| "give a share above zero, such as 0.3".into())
}

impl Args {
    /// Measures and prints.
    ///
    /// # Errors
    /// A file that cannot be read or is no bundle; a preset of another system.
    pub fn run(self) -> Result<ExitCode, Error> {
        self.threads.apply()?;
        let loaded = load::bundle(&self.file)?;
        let bundle = Bundle::open(&loaded.bytes)?;
        let domain = match self.preset {
            Some(preset) if preset.ode == bundle.ode() => preset.domain.to_vec(),
            Some(preset) => {
                let (file, ode) = (self.file.display(), bundle.ode().name());
                return Err(
                    format!("{file} is a bundle of `{ode}`, --preset {} is of another system", preset.name).into()
                );
            }
            None => evaluate::own_domain(&bundle),
        };
        let samples = evaluate::samples(&bundle, &domain, self.queries, self.seed)?;
        let measurement = evaluate::measure_at(&bundle, &domain, &samples, self.seed)?;
        let hardest = hardest::find(bundle.ode(), &domain, &samples);
        let inside = evaluate::coverage(&bundle, &domain, self.queries, self.seed, 0.0);
        let own = evaluate::own_domain(&bundle);
        let outside = evaluate::coverage(&bundle, &own, self.queries, self.seed, self.beyond);
        let certificate = Certificates { inside, outside };
        let report = Report { measurement, hardest, certificate, seed: self.seed, file: &self.file };
        self.output.print(&report, || report.text())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Report<'_> {
    fn text(&self) -> String {
        let m = &self.measurement;
        let measured = format!(
            "{}: LogLoss {:.2}, maximum error {:.2e}, RMS error {:.2e} over {} queries",
            self.file.display(),
            m.logloss,
            m.max_error,
            m.rms_error,
            m.queries,
        );
        let certificates = |place: &str, c: &Coverage| {
            format!(
                "certificates {place}: {} of {} answers refused, {:.1} % flagged as outside; {:.3} % of the trusted \
                 within their bound, {:.3} % by the estimate; median bound/error {:.2}, estimate/error {:.3}; maximum \
                 error {:.2e}, {:.2e} corrected",
                c.refused,
                c.queries,
                100.0 * c.flagged,
                100.0 * c.covered,
                100.0 * c.estimate_covered,
                c.median_ratio,
                c.median_estimate_ratio,
                c.max_error,
                c.max_corrected_error,
            )
        };
        format!(
            "{measured}\n{}{}\n{}\n(by the estimate: {ESTIMATE_FACTOR} times it plus {ESTIMATE_FLOOR:e}; this is the \
             bound of a form that has none)",
            self.hardest.as_ref().map(worst).unwrap_or_default(),
            certificates("inside", &self.certificate.inside),
            certificates("outside", &self.certificate.outside),
        )
    }
}

/// `hardest at t = 20, I0 = 0.01, ...; the hardest hundredth has small I0, large beta`
fn worst(hardest: &Hardest) -> String {
    let query: Vec<_> = hardest.query.iter().map(|(name, value)| format!("{name} = {value:.4}")).collect();
    let corner = if hardest.corner.is_empty() { "no corner in common" } else { &hardest.corner };
    format!("hardest at {}; the hardest hundredth has {corner}\n", query.join(", "))
}
