//! What a study found: prose and tables for readers, plots, tables and figures for machines.

use super::{StudyError, prose};
use crate::host::atomic;
use crate::report::csv;
use crate::report::html::{Block, Image, Section};
use crate::report::plot::Figure;
use crate::report::{ReportError, json};
use minijinja::{Value, context};
use serde::Serialize;
use std::path::Path;

/// File in a study's folder that holds its section of the report.
const SECTION: &str = "section.json";

/// What a study found.
#[derive(Debug)]
pub struct Findings {
    /// Prose, findings and tables for readers, in their order.
    pub blocks: Vec<Block>,
    /// Plots for readers, row by row.
    pub plots: Vec<Vec<Plot>>,
    /// Tables for machines: name of the file without its ending, table.
    pub tables: Vec<(&'static str, csv::Table)>,
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

impl Findings {
    /// The figures of a study, with the prose that `template` makes of them and of `more` values; see [`prose`].
    ///
    /// # Errors
    /// [`StudyError::Prose`] if the template names a value that is missing.
    pub fn new(template: &str, figures: Value, more: Value) -> Result<Self, StudyError> {
        let (plots, tables) = (Vec::new(), Vec::new());
        let json = serde_json::json!(figures);
        Ok(Findings { blocks: prose::blocks(template, context! { ..figures, ..more })?, plots, tables, figures: json })
    }

    /// The findings in words.
    pub fn seen(&self) -> Vec<&str> {
        let notes =
            self.blocks.iter().filter_map(|b| if let Block::Note(text) = b { Some(text.as_str()) } else { None });
        notes.collect()
    }

    /// The study's section of the report.
    pub fn section(&self, heading: &str) -> Section {
        let image = |plot: &Plot| Image { svg: plot.figure.svg(), caption: plot.caption.clone() };
        let figures = self.plots.iter().map(|row| Block::Figures(row.iter().map(image).collect()));
        Section { heading: heading.to_owned(), blocks: self.blocks.iter().cloned().chain(figures).collect() }
    }

    /// Writes the tables for machines into `folder`.
    ///
    /// # Errors
    /// [`ReportError::Write`] if a file cannot be written.
    pub fn write_tables(&self, folder: &Path) -> Result<(), ReportError> {
        self.tables.iter().try_for_each(|(name, table)| table.write(&folder.join(format!("{name}.csv"))))
    }

    /// Writes tables, plots, `results` and the section of the report, which ends with `provenance`, into `folder`.
    ///
    /// # Errors
    /// [`ReportError::Write`] if a file cannot be written.
    pub fn write(
        &self,
        folder: &Path,
        heading: &str,
        provenance: String,
        results: &impl Serialize,
    ) -> Result<(), ReportError> {
        self.write_tables(folder)?;
        let mut section = self.section(heading);
        let images = section.blocks.iter().filter_map(|b| if let Block::Figures(row) = b { Some(row) } else { None });
        for (plot, image) in self.plots.iter().flatten().zip(images.flatten()) {
            atomic::write(&folder.join(format!("{}.svg", plot.name)), image.svg.as_bytes())?;
        }
        section.blocks.push(Block::Prose(provenance));
        json::write(&folder.join(SECTION), &section)?;
        json::write(&folder.join("results.json"), results)
    }
}

/// The section that a study left in its folder, if it did.
pub fn section(folder: &Path) -> Option<Section> {
    serde_json::from_slice(&std::fs::read(folder.join(SECTION)).ok()?).ok()
}
