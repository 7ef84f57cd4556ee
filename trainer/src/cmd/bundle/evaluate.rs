//! `bundle evaluate`

use crate::bundle::adversarial::{self, Attack};
use crate::bundle::evaluate::{self, Coverage, ESTIMATE_FACTOR, ESTIMATE_FLOOR, Measurement};
use crate::bundle::hardest::{self, Hardest};
use crate::bundle::load;
use crate::bundle::preset::Preset;
use crate::cmd::error::Error;
use crate::cmd::options::{self, Threads};
use crate::cmd::output::Output;
use serde::Serialize;
use sirocco::bundle::Form;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Measure a bundle file: LogLoss, errors, and how well its certificates hold
///
/// The file is evaluated at random queries to the same bits as on a device, and compared with a high-order solver. A
/// certificate is the bound on its own error that a device can give with an answer, without knowing the solution; this
/// command counts how often it holds, inside the domain and around it, and then searches both for one that does not: where
/// error / bound is largest. Prints also where the errors are largest.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Model file to measure
    file: PathBuf,
    /// Measure over this preset's domain instead of the file's own
    #[arg(long, value_parser = options::preset())]
    preset: Option<&'static Preset>,
    /// Random queries to compare with the solver
    #[arg(long, value_name = "N", default_value_t = evaluate::QUERIES,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000_000))]
    queries: usize,
    /// How far beyond its domain certificates are counted as well, as a share of each range
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, value_parser = share)]
    beyond: f64,
    /// Steps of the search for a certificate that does not hold; 0 for none
    #[arg(long, value_name = "N", default_value_t = adversarial::STEPS,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=10_000_000))]
    adversarial: usize,
    /// Seed of the queries
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    threads: Threads,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train bundle evaluate full.safetensors
  Do the certificates hold, also up to 50 % beyond the training domain?
    sirocco-train bundle evaluate full.safetensors --queries 10000 --beyond 0.5 --json
  Does a search of 100,000 steps break a certificate?
    sirocco-train bundle evaluate full.safetensors --adversarial 100000
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
    /// The search in the domain; null if the form has no bound, or no search was wanted.
    adversarial: Option<Attack>,
    /// The search in the bundle's own domain with what lies around it; null also by phase, which has no other domain.
    adversarial_around: Option<Attack>,
}

fn share(text: &str) -> Result<f64, String> {
    let valid = text.parse().ok().filter(|s: &f64| *s > 0.0 && *s <= 10.0);
    valid.ok_or_else(|| "give a share above zero, such as 0.3".into())
}

/// Measures and prints.
///
/// # Errors
/// [`Error`] if the file cannot be read or is not a bundle, or the preset is of another system.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    arguments.threads.apply()?;
    let loaded = load::bundle(&arguments.file)?;
    let bundle = loaded.bundle()?;
    let domain = match arguments.preset {
        Some(preset) if preset.ode == bundle.ode() => preset.domain.to_vec(),
        Some(preset) => {
            let (file, ode) = (arguments.file.display(), bundle.ode().name());
            let remedy = format!("choose a preset of `{ode}`");
            return Err(Error::Usage(format!("{file} solves `{ode}`, which `{}` does not; {remedy}", preset.name)));
        }
        None => evaluate::own_domain(&bundle),
    };
    let samples = evaluate::samples(&bundle, &domain, arguments.queries, arguments.seed)?;
    let measurement = evaluate::measure(&bundle, &domain, &samples, arguments.seed)?;
    let hardest = hardest::find(bundle.ode(), &domain, &samples);
    let inside = evaluate::coverage(&bundle, &domain, arguments.queries, arguments.seed, 0.0);
    let own = evaluate::own_domain(&bundle);
    let outside = evaluate::coverage(&bundle, &own, arguments.queries, arguments.seed, arguments.beyond);
    let attack = |domain: &[(f64, f64)], place| {
        let progress = output.bar("searching", adversarial::ascents(arguments.adversarial));
        let each = || progress.step(place);
        adversarial::attack(&bundle, domain, arguments.adversarial, arguments.seed, each)
    };
    let adversarial = attack(&domain, "for a broken certificate");
    let around = (bundle.form() != Form::Phase).then(|| evaluate::stretched(&own, arguments.beyond));
    let adversarial_around =
        around.and_then(|domain| attack(&domain, "for a broken certificate, also around the domain"));
    let certificate = Certificates { inside, outside, adversarial, adversarial_around };
    let report = Report { measurement, hardest, certificate, seed: arguments.seed, file: &arguments.file };
    output.result(&report, |report| say!("{}", report.text()));
    Ok(())
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
                 within their bound, {:.3} % by the estimate; median bound/error {:.2}, estimate/error {:.3}; largest \
                 error/bound {:.3}; maximum error {:.2e}, {:.2e} corrected",
                c.refused,
                c.queries,
                100.0 * c.flagged,
                100.0 * c.covered,
                100.0 * c.estimate_covered,
                c.median_ratio,
                c.median_estimate_ratio,
                c.worst_ratio,
                c.max_error,
                c.max_corrected_error,
            )
        };
        format!(
            "{measured}\n{}{}\n{}\n{}(by the estimate: {ESTIMATE_FACTOR} times it plus {ESTIMATE_FLOOR:e}; this is the \
             bound of a form that has none)",
            self.hardest.as_ref().map(worst).unwrap_or_default(),
            certificates("inside", &self.certificate.inside),
            certificates("outside", &self.certificate.outside),
            [("in", &self.certificate.adversarial), ("in and around", &self.certificate.adversarial_around)]
                .into_iter()
                .filter_map(|(place, attack)| Some(attacked(place, attack.as_ref()?)))
                .collect::<String>(),
        )
    }
}

/// `adversarial search in the domain, 10000 steps in 80 ascents: no bound broken, largest error/bound 0.9 at t = 20, ...`
fn attacked(place: &str, attack: &Attack) -> String {
    let broken = match attack.broken {
        0 => "no bound broken".to_owned(),
        count => format!("{count} BOUNDS BROKEN"),
    };
    let query = named(&attack.query);
    let Attack { steps, ascents, worst_ratio, error, worst_margin, .. } = attack;
    let used = 100.0 * worst_margin;
    let search = format!("adversarial search {place} the domain, {steps} steps in {ascents} ascents: {broken}");
    format!(
        "{search}, largest error/bound {worst_ratio:.3} (error {error:.2e}) at {query}; at most {used:.1} % of a margin used\n"
    )
}

/// `t = 20.0000, I0 = 1.0000e-7`
fn named(query: &BTreeMap<&'static str, f64>) -> String {
    let number =
        |value: f64| if value == 0.0 || value >= 0.01 { format!("{value:.4}") } else { format!("{value:.4e}") };
    query.iter().map(|(name, value)| format!("{name} = {}", number(*value))).collect::<Vec<_>>().join(", ")
}

/// `hardest at t = 20, I0 = 0.01, ...; the hardest hundredth has small I0, large beta`
fn worst(hardest: &Hardest) -> String {
    let corner = if hardest.corner.is_empty() { "no corner in common" } else { &hardest.corner };
    format!("hardest at {}; the hardest hundredth has {corner}\n", named(&hardest.query))
}
