//! One self-contained HTML page, without scripts and without fonts, images or styles to fetch. It is legible in light and
//! dark mode, on paper, and without the program that made it.

use super::ReportError;
use serde::{Deserialize, Serialize};
use sirocco_plot::escape;
use std::fmt::Write as _;
use std::path::Path;

/// The page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// Title of the page and its first heading.
    pub title: String,
    /// What the page shows, in a sentence or two.
    pub lead: String,
    /// The most important figures.
    pub highlights: Vec<Highlight>,
    /// The origin of the results: preset, seed, version, checksums.
    pub provenance: Vec<(String, String)>,
    /// The sections, in order.
    pub sections: Vec<Section>,
}

/// A figure in large type.
#[derive(Debug, Clone, PartialEq)]
pub struct Highlight {
    /// Name of the figure.
    pub name: String,
    /// The figure itself, as text.
    pub value: String,
    /// How it was measured, in a few words.
    pub note: String,
}

/// A heading and its content.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// Prose, figures and tables in order.
    pub blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Block {
    /// A paragraph.
    Prose(String),
    /// A paragraph that is set apart, for a limit or a caution.
    Note(String),
    /// Images side by side where the window is wide enough.
    Figures(Vec<Image>),
    /// A table.
    Table(Table),
}

/// An image with its caption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// SVG text, as [`super::plot::Figure::svg`] draws it. It is not escaped.
    pub svg: String,
    /// What it shows.
    pub caption: String,
}

/// A table for readers. (For machines there is [`super::csv`].)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// Column heads.
    pub header: Vec<String>,
    /// Rows; columns of numbers are aligned to the right.
    pub rows: Vec<Vec<String>>,
}

impl Highlight {
    /// A highlight.
    pub fn new(name: impl Into<String>, value: impl Into<String>, note: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), note: note.into() }
    }
}

impl Page {
    /// The page as HTML text.
    pub fn html(&self) -> String {
        let mut out = String::with_capacity(1 << 16);
        let title = escape(&self.title);
        // Writing to a string cannot fail, here and below.
        _ = write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
             </head>\n<body>\n<header>\n<h1>{title}</h1>\n<p class=\"lead\">{}</p>\n</header>\n<main>\n",
            escape(&self.lead)
        );
        if !self.highlights.is_empty() {
            out.push_str("<dl class=\"highlights\">\n");
            for Highlight { name, value, note } in &self.highlights {
                let (name, value, note) = (escape(name), escape(value), escape(note));
                _ = writeln!(out, "<div><dt>{name}</dt><dd>{value}</dd><dd class=\"how\">{note}</dd></div>");
            }
            out.push_str("</dl>\n");
        }
        if self.sections.len() > 2 {
            out.push_str("<nav aria-label=\"Contents\"><ol>\n");
            for (k, section) in self.sections.iter().enumerate() {
                _ = writeln!(out, "<li><a href=\"#s{k}\">{}</a></li>", escape(&section.heading));
            }
            out.push_str("</ol></nav>\n");
        }
        for (k, section) in self.sections.iter().enumerate() {
            _ = writeln!(out, "<section id=\"s{k}\">\n<h2>{}</h2>", escape(&section.heading));
            section.blocks.iter().for_each(|block| write_block(&mut out, block));
            out.push_str("</section>\n");
        }
        if !self.provenance.is_empty() {
            out.push_str("<section id=\"provenance\">\n<h2>Provenance</h2>\n<table class=\"pairs\"><tbody>\n");
            for (key, value) in &self.provenance {
                _ = writeln!(out, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escape(key), escape(value));
            }
            out.push_str("</tbody></table>\n</section>\n");
        }
        out.push_str("</main>\n</body>\n</html>\n");
        out
    }

    /// Writes the page atomically.
    ///
    /// # Errors
    /// [`ReportError::Write`] if the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), ReportError> {
        Ok(crate::host::atomic::write(file, self.html().as_bytes())?)
    }
}

fn write_block(out: &mut String, block: &Block) {
    match block {
        Block::Prose(text) => _ = writeln!(out, "<p>{}</p>", escape(text)),
        Block::Note(text) => _ = writeln!(out, "<p class=\"note\">{}</p>", escape(text)),
        Block::Figures(images) => {
            _ = writeln!(out, "<div class=\"figures n{}\">", images.len().min(3));
            for Image { svg, caption } in images {
                _ = writeln!(out, "<figure>\n{svg}<figcaption>{}</figcaption>\n</figure>", escape(caption));
            }
            out.push_str("</div>\n");
        }
        Block::Table(table) => write_table(out, table),
    }
}

fn write_table(out: &mut String, table: &Table) {
    out.push_str("<div class=\"scroll\"><table>\n");
    if !table.caption.is_empty() {
        _ = writeln!(out, "<caption>{}</caption>", escape(&table.caption));
    }
    let column_is_number = |k: usize| {
        let mut cells = table.rows.iter().filter_map(|row| row.get(k)).filter(|cell| !cell.is_empty()).peekable();
        cells.peek().is_some() && cells.all(|cell| reads_as_number(cell))
    };
    let class = |k: usize| if column_is_number(k) { " class=\"n\"" } else { "" };
    let classes: Vec<_> = (0..table.header.len()).map(class).collect();
    out.push_str("<thead><tr>");
    for (head, class) in table.header.iter().zip(&classes) {
        _ = write!(out, "<th scope=\"col\"{class}>{}</th>", escape(head));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (k, cell) in row.iter().enumerate() {
            _ = write!(out, "<td{}>{}</td>", classes.get(k).unwrap_or(&""), escape(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

fn reads_as_number(cell: &str) -> bool {
    let number = cell.split([' ', '%']).next().unwrap_or_default().replace(',', "");
    number.parse::<f64>().is_ok() || cell == "–"
}

const STYLE: &str = include_str!("style.css");

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        Page {
            title: "Bundle <script>alert(1)</script>".into(),
            lead: "Tom & \"Jerry\"".into(),
            highlights: vec![Highlight::new("LogLoss", "-25.7", "exported bytes")],
            provenance: vec![("preset".into(), "sir-full".into())],
            sections: vec![Section {
                heading: "Errors".into(),
                blocks: vec![
                    Block::Prose("1 < 2".into()),
                    Block::Table(Table {
                        caption: "c".into(),
                        header: vec!["who".into(), "error".into()],
                        rows: vec![vec!["RK4".into(), "1.1e-4".into()], vec!["network".into(), "2.6e-5".into()]],
                    }),
                    Block::Figures(vec![Image { svg: "<svg></svg>".into(), caption: "it's".into() }]),
                ],
            }],
        }
    }

    #[test]
    fn text_is_escaped_and_images_are_inline() {
        let html = page().html();
        assert!(!html.contains("<script"));
        assert!(html.contains("&lt;script&gt;") && html.contains("Tom &amp; &quot;Jerry&quot;"));
        assert!(html.contains("1 &lt; 2") && html.contains("<svg></svg>") && html.contains("it&#39;s"));
    }

    #[test]
    fn nothing_is_fetched_and_both_modes_are_styled() {
        let html = page().html();
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(html.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn number_columns_are_set_right() {
        let html = page().html();
        assert!(html.contains("<td>RK4</td><td class=\"n\">1.1e-4</td>"), "{html}");
    }
}
