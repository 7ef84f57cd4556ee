//! The report of `image train` as a page.

use super::TrainReport;
use crate::cmd::error::Error;
use crate::dataset::Images;
use crate::image::confusion::Mistake;
use crate::image::export::ExportedImage;
use crate::image::sheet::Sheet;
use crate::report::html::{Block, Highlight, Image, Page, Section, Table};
use crate::report::plot::{Axis, Content, Figure, Line, Panel};

/// Mistakes that are shown.
const SHOWN: usize = 24;
/// Classes up to which the whole table of mistakes is shown.
const LARGEST_TABLE: usize = 24;

/// The page.
pub fn page(report: &TrainReport, exported: &ExportedImage, test: &Images, wrong: &[Mistake]) -> Result<Page, Error> {
    let percent = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1} %"));
    let mut sections =
        vec![Section { heading: "Classes".into(), blocks: vec![Block::Table(classes(report, percent))] }];
    if report.classes.len() <= LARGEST_TABLE {
        let rows = report.classes.iter().zip(&report.confusion.matrix).map(|(class, row)| {
            std::iter::once(class.clone())
                .chain(row.iter().map(|n| if *n == 0 { String::new() } else { n.to_string() }))
                .collect()
        });
        let columns = std::iter::once("class".to_owned()).chain(report.classes.iter().cloned()).collect();
        let caption = "Test pictures of each class (rows) by the answer (columns).".to_owned();
        sections[0].blocks.push(Block::Table(Table { caption, header: columns, rows: rows.collect() }));
    }
    sections.push(Section { heading: "The worst mistakes".into(), blocks: worst(report, test, wrong)? });
    let points = exported.risk.iter().map(|r| (100.0 * r.coverage, 100.0 * r.risk)).collect();
    let (x, y) = (Axis::linear("answers given (%)"), Axis::linear("wrong ones among them (%)"));
    let panel = Panel::new(380, x, y, Content::Lines(vec![Line::solid("test pictures", 0, points)]));
    let svg = Figure::single("Risk over coverage", 720, panel).svg();
    let caption =
        "Wrong answers among those of the lowest entropy, over the share of answers that are given.".to_owned();
    let trust = format!(
        "The board withholds {:.1} % of the answers, and {:.2} % of the others are right. Probabilities are divided by a temperature of \
         {:.3}; their mean difference from the accuracy (expected calibration error, 15 bins) is {:.2} %.",
        report.withheld,
        report.accuracy_answered,
        report.temperature,
        100.0 * report.ece
    );
    sections.push(Section {
        heading: "How far answers can be trusted".into(),
        blocks: vec![Block::Prose(trust), Block::Figures(vec![Image { svg, caption }])],
    });
    let costs = format!(
        "On {} the file takes {} of {} bytes of flash, the network {} of {} bytes of RAM, and a picture about {:.1} million instructions \
         ({} multiply-accumulates).",
        report.board,
        report.bytes,
        report.flash,
        report.arena,
        report.ram,
        report.instructions as f64 / 1e6,
        report.macs
    );
    sections.push(Section { heading: "What it takes of the board".into(), blocks: vec![Block::Prose(costs)] });
    let pairs = [
        ("network", report.network.clone()),
        ("pictures", report.preparation.clone()),
        ("split", report.split.clone().unwrap_or_else(|| "of the data set".into())),
        (
            "training, held-out, test",
            format!("{}, {}, {}", report.training_images, report.held_out_images, report.test_images),
        ),
        ("seed", report.seed.to_string()),
        ("software", crate::host::SOFTWARE.to_string()),
    ];
    Ok(Page {
        title: "A network for your pictures".into(),
        lead: format!(
            "{} classes. All figures are of the board's own file, by the board's evaluator, on {} test pictures that had no part in any \
             choice.",
            report.classes.len(),
            report.test_images
        ),
        highlights: vec![
            Highlight::new("accuracy", format!("{:.1} %", report.accuracy), "8-bit integers, test pictures"),
            Highlight::new(
                "answered",
                format!("{:.1} %", report.accuracy_answered),
                "right, of the answers not withheld",
            ),
        ],
        provenance: pairs.map(|(k, v)| (k.to_string(), v)).to_vec(),
        sections,
    })
}

/// Pictures, recall and precision of every class.
fn classes(report: &TrainReport, percent: impl Fn(Option<f64>) -> String) -> Table {
    let confusion = &report.confusion;
    let rows = report.classes.iter().enumerate().map(|(k, class)| {
        let count = confusion.matrix[k].iter().sum::<usize>().to_string();
        vec![class.clone(), count, percent(confusion.recall[k]), percent(confusion.precision[k])]
    });
    Table {
        caption: "Recall: pictures of the class that are recognized. Precision: answers of the class that are right."
            .into(),
        header: ["class", "test pictures", "recall", "precision"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

/// The most certain wrong answers as pictures, a row for each answer.
fn worst(report: &TrainReport, test: &Images, wrong: &[Mistake]) -> Result<Vec<Block>, Error> {
    if wrong.is_empty() {
        return Ok(vec![Block::Prose("There are none among the test pictures.".into())]);
    }
    let shown = &wrong[..wrong.len().min(SHOWN)];
    let row = |mistake: &Mistake| {
        let name = format!(
            "{}, taken for {} ({:.0} %)",
            report.classes[mistake.label],
            report.classes[mistake.class],
            100.0 * mistake.probability
        );
        (name, test.select(&[mistake.image]))
    };
    let sheet = Sheet { title: "Wrong answers, the most certain first".into(), rows: shown.iter().map(row).collect() };
    let caption = format!("{} of {} wrong answers, as the network sees the pictures.", shown.len(), wrong.len());
    Ok(vec![Block::Figures(vec![Image { svg: sheet.svg()?, caption }])])
}
