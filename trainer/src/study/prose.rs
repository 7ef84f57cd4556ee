//! The prose of a report, made from the figures of a study by a template that stands beside the study.
//!
//! A template is Markdown with Jinja's tags. A paragraph becomes a paragraph of the report; a quoted one (`> `) is a
//! finding, which the command line prints as well; lines of cells between `| ` are a table, and what stands above them
//! without a blank line is its caption. Numbers are printed by filters:
//!
//! | filter | of | gives |
//! | --- | --- | --- |
//! | `fixed(2)` | a number | `-25.70` |
//! | `signed(2)` | a number | `+25.70` |
//! | `short` | a number | `2.6e-5` |
//! | `number` | a number | as few digits as it needs |
//! | `figure` | a number | four significant digits, see [`figure()`] |
//! | `sign(0.5)` | a number | 1 if it is above 0.5, -1 if it is below -0.5, 0 otherwise, also for NaN |
//! | `median`, `mean`, `deviation`, `largest` | numbers | a number |
//!
//! Compare numbers that may be NaN by `sign`: to `<` and `>` in a template, NaN is larger than every number.

use crate::report::figure;
use crate::report::html::{Block, Table};
use crate::statistics;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};

/// The blocks that `template` gives with these values.
///
/// # Errors
/// A template that is wrong in itself, or names a value that is missing.
pub fn blocks(template: &str, values: Value) -> Result<Vec<Block>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("fixed", |value: f64, digits: usize| format!("{value:.digits$}"));
    environment.add_filter("signed", |value: f64, digits: usize| format!("{value:+.digits$}"));
    environment.add_filter("short", |value: f64| format!("{value:.1e}"));
    environment.add_filter("number", |value: f64| value.to_string());
    environment.add_filter("figure", figure);
    environment.add_filter("sign", |value: f64, margin: f64| i8::from(value > margin) - i8::from(value < -margin));
    environment.add_filter("median", |values: Vec<f64>| statistics::median(&values));
    environment.add_filter("mean", |values: Vec<f64>| statistics::mean(&values));
    environment.add_filter("deviation", |values: Vec<f64>| statistics::deviation(&values));
    environment.add_filter("largest", |values: Vec<f64>| statistics::quantile(&values, 1.0));
    Ok(environment.render_str(template, values)?.split("\n\n").filter_map(block).collect())
}

/// A paragraph, a finding or a table; nothing where there are only blanks.
fn block(paragraph: &str) -> Option<Block> {
    let (rows, text): (Vec<&str>, Vec<&str>) = paragraph.lines().partition(|line| line.starts_with("| "));
    let text = words(&text.join(" "));
    let cells = |row: &str| row[1..].trim_end().trim_end_matches('|').split('|').map(words).collect::<Vec<_>>();
    if let [header, _, rows @ ..] = &rows[..] {
        let rows = rows.iter().map(|row| cells(row)).collect();
        return Some(Block::Table(Table { caption: text, header: cells(header), rows }));
    }
    match text.strip_prefix("> ") {
        Some(finding) => Some(Block::Note(finding.to_owned())),
        None if text.is_empty() => None,
        None => Some(Block::Prose(text)),
    }
}

/// The text with one blank between its words.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    #[test]
    fn paragraphs_findings_and_tables() {
        let template = "\
About {{ name }},\nin two lines.

{% for row in rows %}
> {{ row[0] }} has {{ row[1] | median | fixed(1) }}{% if (row[1] | largest) | sign(2) == 1 %}, which is much{% endif %}.

{% endfor %}
Every row,
by name.
| name | median | largest |
| --- | --- | --- |
{% for row in rows %}
| {{ row[0] }} | {{ row[1] | median | signed(2) }} | {{ row[1] | largest | short }} |
{% endfor %}

{{ rows[0][1] | mean | figure }} +/- {{ rows[0][1] | deviation | figure }}
";
        let rows = vec![("a", vec![1.0, 2.0, 4.5]), ("b", vec![1.0, f64::NAN])];
        let text = |text: &str| text.to_owned();
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        assert_eq!(
            blocks(template, context! { name => "this", rows }).unwrap(),
            [
                Block::Prose(text("About this, in two lines.")),
                Block::Note(text("a has 2.0, which is much.")),
                Block::Note(text("b has NaN.")),
                Block::Table(Table {
                    caption: text("Every row, by name."),
                    header: row(["name", "median", "largest"]),
                    rows: vec![row(["a", "+2.00", "4.5e0"]), row(["b", "NaN", "NaN"])],
                }),
                Block::Prose(text("2.5 +/- 1.803")),
            ]
        );
        assert!(blocks("{{ missing }}", context! {}).is_err());
    }
}
