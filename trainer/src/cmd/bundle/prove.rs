//! `bundle prove`

use crate::bundle::load::{self, Loaded};
use crate::bundle::prove::{self, Band, LARGEST_EXTENT, Proof};
use crate::cmd::error::Error;
use crate::cmd::options::Threads;
use crate::cmd::output::Output;
use crate::host::atomic;
use crate::host::clock;
use crate::host::model_file::{self, ModelBytes, ModelFileError};
use crate::report::html::{Block, Highlight, Image, Page, Section, Table};
use crate::report::plot::{Axis, Content, Figure, Line, Panel};
use crate::study::{StudyError, prose};
use minijinja::{Value, context};
use serde::Serialize;
use sirocco::error::Key;
use std::path::{Path, PathBuf};

/// Prove a bound of the error of a phase network, over all epidemics at all times
///
/// Computes with intervals that are rounded outwards: the bound holds for every epidemic with k (S0 + I0) <= 20 and for
/// the network's formula in real numbers, not only for a sample. The rounding of f32 comes on top, and is measured.
/// Writes the bound into the file, where `sirocco inspect` shows it, and bounds of the error in time, from which a device
/// computes the bound of a single answer. Prints the bound by the extent Y of the epidemic's orbit. Takes about two minutes of CPU time.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Model file with a network of the form `phase` in f32
    file: PathBuf,
    /// Web page to write: the statement, its proof, and every strip of orbits with its bound. None unless given
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

const EXAMPLES: &str = "\
Examples:
  sirocco-train bundle prove sir.safetensors
  With a page that a mathematician can check:
    sirocco-train bundle prove sir.safetensors --html proof.html";

/// Ranges of Y that are reported.
const RANGES: [f64; 12] = [0.0, 0.0625, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, LARGEST_EXTENT];

#[derive(Serialize)]
struct Report<'a> {
    proven_error: f64,
    /// f32 against real numbers, as the file states it.
    rounding_measured: Option<f64>,
    gaps: usize,
    ranges: Vec<Band>,
    cpu_seconds: Option<f64>,
    html: Option<&'a Path>,
    file: &'a Path,
}

/// Proves, writes the bound into the file, and prints it.
///
/// # Errors
/// [`Error`] if the file cannot be read or written, is of another form, or has no bound.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    arguments.threads.apply()?;
    let loaded = load::bundle(&arguments.file)?;
    let (form, scheme) = (loaded.problem.form.name(), loaded.scheme.name());
    if form != "phase" || scheme != "f32" {
        let file = arguments.file.display();
        let what = format!("{file} holds a network of the form `{form}` in {scheme}");
        return Err(Error::Usage(format!("{what}; a proof takes the form `phase` in f32")));
    }
    let started = clock::cpu_seconds();
    let progress = output.bar("proving", prove::first_strips());
    let proof = prove::prove(&loaded.mlp, || progress.step("strips of orbits"))?;
    progress.finish();
    atomic::write(&arguments.file, &stated(&loaded, upwards(proof.error()))?)?;
    let stated = |key: Key| loaded.metadata.get(key.key()).and_then(|text| text.parse().ok());
    let report = Report {
        proven_error: upwards(proof.error()),
        rounding_measured: stated(Key::Rounding),
        gaps: proof.gaps(),
        ranges: RANGES.windows(2).map(|r| proof.within(r[0], r[1])).collect(),
        cpu_seconds: clock::cpu_seconds().zip(started).map(|(now, then)| now - then),
        html: arguments.html.as_deref(),
        file: &arguments.file,
    };
    if let Some(html) = &arguments.html {
        page(&report, &proof, &loaded)?.write(html)?;
    }
    output.result(&report, |report| say!("{}", report.text()));
    Ok(())
}

/// The file with the bound in its metadata.
fn stated(loaded: &Loaded, bound: f64) -> Result<ModelBytes, ModelFileError> {
    let mut metadata = loaded.metadata.clone();
    metadata.insert(Key::ProvenError.key().into(), format!("{bound:e}"));
    // Certificates of earlier versions took it.
    metadata.remove("time_bounds");
    model_file::assemble(&model_file::tensors_of(&loaded.bytes)?, &metadata)
}

/// The smallest number with three digits that is not below the value.
fn upwards(value: f64) -> f64 {
    let digits = |v: f64| format!("{v:.2e}").parse().unwrap_or(f64::INFINITY);
    let near: f64 = digits(value);
    let unit = 10f64.powi(value.log10().floor() as i32 - 2);
    if near >= value { near } else { digits(near + unit) }
}

impl Report<'_> {
    fn text(&self) -> String {
        let mut lines = vec![
            format!("{}: S, I and R are within {:e} of the solution", self.file.display(), self.proven_error),
            "  for every epidemic with k (S0 + I0) <= 20, at every time, in real numbers".to_owned(),
        ];
        if let Some(rounding) = self.rounding_measured {
            lines.push(format!("  rounding to f32 adds up to {rounding:.1e}, which is measured"));
        }
        lines.push("     orbits of extent   strips  panels      bound".to_owned());
        lines.extend(self.ranges.iter().map(|band| {
            let range = format!("{} to {}", band.from, band.to);
            format!("{range:>21} {:>8} {:>7} {:>10.2e}", band.strips, band.panels, upwards(band.error))
        }));
        lines.push(format!("{} gaps between strips", if self.gaps == 0 { "no" } else { "there are" }));
        lines.extend(self.html.map(|html| format!("wrote {}", html.display())));
        lines.join("\n")
    }
}

/// The page: the sections of the template, then the strips.
fn page(report: &Report<'_>, proof: &Proof, loaded: &Loaded) -> Result<Page, Error> {
    let total = proof.within(0.0, LARGEST_EXTENT);
    let values = context! {
        bound => format!("{:e}", report.proven_error),
        rounding => report.rounding_measured.map(|r| format!("{r:.1e}")),
        to_20 => format!("{:.2e}", upwards(proof.within(0.0, 20.0).error)),
        to_30 => format!("{:.2e}", upwards(proof.within(0.0, 30.0).error)),
        strips => total.strips,
        panels => total.panels,
        gaps => report.gaps,
        degree => prove::jet::DEGREE - 2,
        layers => loaded.mlp.widths.iter().map(usize::to_string).collect::<Vec<_>>().join("-"),
        parameters => loaded.mlp.parameters.len(),
    };
    let mut sections = prose_sections(&values)?;
    let part = |heading: &str, bands: &[Band], mut blocks: Vec<Block>| {
        blocks.push(Block::Table(table(heading, bands)));
        Section { heading: heading.into(), blocks }
    };
    let figures = vec![Block::Figures(vec![figure(proof)])];
    sections.push(part("Bounds by the extent of the orbit", &report.ranges, figures));
    sections.push(part("All strips", proof.strips(), Vec::new()));
    let seconds = report.cpu_seconds.map_or(String::new(), |s| format!("{s:.0} s of CPU time"));
    Ok(Page {
        title: "A bound of the error of every epidemic".into(),
        lead: format!("What is proven of the network in {}, how, and what is not.", report.file.display()),
        highlights: vec![
            Highlight::new("error of S, I and R", format!("{:e}", report.proven_error), "proven, in real numbers"),
            Highlight::new("panels", total.panels.to_string(), format!("{} gaps", report.gaps)),
        ],
        provenance: vec![
            ("file".into(), report.file.display().to_string()),
            ("software".into(), crate::host::SOFTWARE.into()),
            ("work".into(), seconds),
        ],
        sections,
    })
}

/// The sections of the template.
fn prose_sections(values: &Value) -> Result<Vec<Section>, StudyError> {
    let section = |part: &str| {
        let (heading, text) = part.split_once('\n').unwrap_or((part, ""));
        Ok(Section { heading: heading.into(), blocks: prose::blocks(text, values.clone())? })
    };
    include_str!("prove.md").split("# ").skip(1).map(section).collect()
}

fn table(caption: &str, bands: &[Band]) -> Table {
    let header = ["Y from", "to", "strips", "panels", "sup of |rho'|", "sup of |E|", "bound of S, I, R"];
    let row = |b: &Band| {
        let counts = [b.from.to_string(), b.to.to_string(), b.strips.to_string(), b.panels.to_string()];
        let bounds = [b.residual, b.time, b.error].map(|v| format!("{:.2e}", upwards(v)));
        counts.into_iter().chain(bounds).collect()
    };
    Table {
        caption: format!("{caption}. Bounds are rounded upwards."),
        header: header.map(str::to_owned).to_vec(),
        rows: bands.iter().map(row).collect(),
    }
}

/// Bound and residual over Y.
fn figure(proof: &Proof) -> Image {
    let steps = |value: fn(&Band) -> f64| {
        proof.strips().iter().flat_map(|s| [(s.from, value(s)), (s.to, value(s))]).collect::<Vec<_>>()
    };
    let panel = |label: &str, value| {
        let lines = Content::Lines(vec![Line::solid("", 0, steps(value))]);
        Panel::new(240, Axis::linear("Y").over(0.0, LARGEST_EXTENT), Axis::log(label), lines)
    };
    let panels = vec![panel("bound of S, I and R", |s| s.error), panel("sup of |rho'|", |s| s.residual)];
    let figure = Figure { title: "Bounds over the extent of the orbit".into(), width: 760, panels };
    let caption = "The error is largest where the largest residual times the speed of the epidemic is: the residual of the \
                   smallest orbits hardly counts, as few are infected on them.";
    Image { svg: figure.svg(), caption: caption.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_is_proven_and_what_is_not() {
        for rounding in [Some("4.6e-7"), None] {
            let values = context! {
                bound => "5.1e-7", rounding, to_20 => "5.1e-7", to_30 => "5.1e-7", strips => 576, panels => 40_000,
                gaps => 0, degree => 8, layers => "3-6-6-1", parameters => 73,
            };
            let sections = prose_sections(&values).unwrap();
            let headings: Vec<_> = sections.iter().map(|s| s.heading.as_str()).collect();
            assert_eq!(headings, ["What is proven", "Proof", "What is not proven"]);
            let kinds: Vec<_> = sections[2].blocks.iter().map(|b| matches!(b, Block::Note(_))).collect();
            assert_eq!(kinds, [true; 3]);
            let Block::Note(first) = &sections[2].blocks[0] else { panic!("{:?}", sections[2]) };
            assert_eq!(first.contains("4.6e-7"), rounding.is_some());
        }
    }

    #[test]
    fn bounds_are_rounded_upwards() {
        assert_eq!([4.561e-7, 4.56e-7, 9.999e-7, 1.0, 1.001].map(upwards), [4.57e-7, 4.56e-7, 1e-6, 1.0, 1.01]);
        let mut value = 1e-9;
        while value < 1.0 {
            assert!(upwards(value) >= value && upwards(value) < 1.011 * value, "{value}");
            value *= 1.000_7;
        }
    }
}
