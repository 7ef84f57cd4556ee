//! What a study found: sentences, tables and plots, as files and as a section of the report.

use crate::host::atomic;
use crate::report::csv;
use crate::report::html::{self, Block, Image, Section};
use crate::report::plot::Figure;
use crate::report::{ReportError, json};
use crate::study::bundle::Study;
use crate::study::bundle::bench::Cost;
use crate::study::bundle::setting::Setting;
use serde::Serialize;
use std::path::Path;

/// File in a study's folder that holds its section of the report.
const SECTION: &str = "section.json";

/// What a study found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What was done, for the reader of the report.
    pub about: String,
    /// What is seen, computed from the figures.
    pub seen: Vec<String>,
    /// Tables for readers.
    pub summary: Vec<html::Table>,
    /// Rows of plots: name of the file, plot, caption.
    pub plots: Vec<Vec<Plot>>,
    /// Tables for machines: name of the file, table.
    pub tables: Vec<(String, csv::Table)>,
    /// The figures that matter, for scripts.
    pub figures: serde_json::Value,
}

/// A plot with the name of its file and its caption.
#[derive(Debug)]
pub struct Plot {
    /// Name of the SVG file, without its ending.
    pub name: String,
    /// The plot.
    pub figure: Figure,
    /// What it shows.
    pub caption: String,
}

impl Plot {
    /// A plot.
    pub fn new(name: impl Into<String>, figure: Figure, caption: impl Into<String>) -> Self {
        Plot { name: name.into(), figure, caption: caption.into() }
    }
}

/// `results.json` of a study.
#[derive(Serialize)]
struct Results<'a> {
    study: &'a str,
    seen: &'a [String],
    figures: &'a serde_json::Value,
    effort: &'a str,
    seeds: &'a [u64],
    cost: Cost,
    software: &'a str,
}

impl Findings {
    /// Writes plots, tables, `results.json` and the report's section into the study's folder.
    ///
    /// # Errors
    /// A plot that cannot be drawn, a file that cannot be written.
    pub fn write(&self, study: &Study, setting: &Setting, cost: Cost, folder: &Path) -> Result<(), ReportError> {
        let mut blocks = vec![Block::Prose(self.about.clone())];
        blocks.extend(self.seen.iter().cloned().map(Block::Note));
        blocks.extend(self.summary.iter().cloned().map(Block::Table));
        for row in &self.plots {
            let mut images = Vec::new();
            for Plot { name, figure, caption } in row {
                let svg = figure.svg();
                atomic::write(&folder.join(format!("{name}.svg")), svg.as_bytes())?;
                images.push(Image { svg, caption: caption.clone() });
            }
            blocks.push(Block::Figures(images));
        }
        for (name, table) in &self.tables {
            table.write(&folder.join(format!("{name}.csv")))?;
        }
        blocks.push(Block::Prose(provenance(study, setting, cost)));
        json::write(&folder.join(SECTION), &Section { heading: study.what.to_owned(), blocks })?;
        let software = concat!("sirocco-trainer ", env!("CARGO_PKG_VERSION"));
        let (effort, seeds) = (setting.effort.name, setting.seeds.as_slice());
        let results =
            Results { study: study.name, seen: &self.seen, figures: &self.figures, effort, seeds, cost, software };
        json::write(&folder.join("results.json"), &results)
    }
}

fn provenance(study: &Study, setting: &Setting, cost: Cost) -> String {
    let seeds = setting.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    format!(
        "Effort {}, seeds {seeds}. {} training runs, {:.0} CPU seconds with their measurements (shared with other \
         studies where they need the same networks). Numbers: {}/*.csv, {}/results.json.",
        setting.effort.name, cost.pieces, cost.cpu_seconds, study.name, study.name
    )
}

/// The section a study left in its folder, if it did.
pub fn section(folder: &Path) -> Option<Section> {
    serde_json::from_slice(&std::fs::read(folder.join(SECTION)).ok()?).ok()
}
