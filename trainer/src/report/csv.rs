//! Tables as CSV files (RFC 4180 with `\n`), read by any spreadsheet, pandas or R.

use super::ReportError;
use std::fmt::Write as _;
use std::path::Path;

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A text, quoted where needed.
    Text(String),
    /// A number, written with the fewest digits that read back the same.
    Number(f64),
    /// A whole number.
    Count(u64),
    /// No value.
    Empty,
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Cell::Number(value)
    }
}
impl From<f32> for Cell {
    fn from(value: f32) -> Self {
        Cell::Number(f64::from(value))
    }
}
impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Cell::Count(value)
    }
}
impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Cell::Count(value as u64)
    }
}
impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Cell::Text(value.to_owned())
    }
}
impl From<String> for Cell {
    fn from(value: String) -> Self {
        Cell::Text(value)
    }
}
impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Empty, Into::into)
    }
}

/// A table with named columns, built row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table with these columns; units belong in the names, as `time_days`.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Self {
        Self { columns: columns.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row. Missing cells are empty; surplus ones are a programming error.
    ///
    /// # Panics
    /// If the row has more cells than the table has columns.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut row: Vec<Cell> = cells.into_iter().collect();
        assert!(row.len() <= self.columns.len(), "a row of {} for {:?}", row.len(), self.columns);
        row.resize(self.columns.len(), Cell::Empty);
        self.rows.push(row);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as CSV text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let header = self.columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",");
        text.push_str(&header);
        text.push('\n');
        for row in &self.rows {
            for (k, cell) in row.iter().enumerate() {
                if k > 0 {
                    text.push(',');
                }
                match cell {
                    Cell::Text(value) => text.push_str(&quoted(value)),
                    // Writing to a string cannot fail.
                    Cell::Number(value) => _ = write!(text, "{value:?}"),
                    Cell::Count(value) => _ = write!(text, "{value}"),
                    Cell::Empty => {}
                }
            }
            text.push('\n');
        }
        text
    }

    /// Writes the table atomically.
    ///
    /// # Errors
    /// [`ReportError::Write`] if the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), ReportError> {
        Ok(crate::host::atomic::write(file, self.text().as_bytes())?)
    }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_where_needed_and_keeps_every_bit() {
        let mut table = Table::new(["name", "error, max", "n"]);
        table.row(["a \"b\", c".into(), 2.6e-5.into(), 3usize.into()]);
        table.row(["plain".into(), Cell::from(None::<f64>)]);
        table.row(["third".into(), (0.1f64 + 0.2).into(), 0u64.into()]);
        assert_eq!(
            table.text(),
            "name,\"error, max\",n\n\"a \"\"b\"\", c\",2.6e-5,3\nplain,,\nthird,0.30000000000000004,0\n"
        );
        assert_eq!(table.len(), 3);
    }

    #[test]
    #[should_panic(expected = "a row of 2")]
    fn refuses_rows_that_are_too_long() {
        Table::new(["one"]).row([Cell::Empty, Cell::Empty]);
    }
}
