//! Tables as CSV files (RFC 4180, but lines end with `\n`), which any spreadsheet, pandas and R read.

use super::ReportError;
use std::path::Path;

/// One cell, as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell(String);

impl From<f64> for Cell {
    /// With the fewest digits that read back the same.
    fn from(value: f64) -> Self {
        Cell(format!("{value:?}"))
    }
}
impl From<f32> for Cell {
    fn from(value: f32) -> Self {
        f64::from(value).into()
    }
}
impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Cell(value.to_string())
    }
}
impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Cell(value.to_string())
    }
}
impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Cell(value.to_owned())
    }
}
impl From<String> for Cell {
    fn from(value: String) -> Self {
        Cell(value)
    }
}
impl<T: Into<Cell>> From<Option<T>> for Cell {
    /// `None` is an empty cell.
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell(String::new()), Into::into)
    }
}
impl AsRef<[u8]> for Cell {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The cells of a row from values of any type that a [`Cell`] can be made of.
macro_rules! cells {
    ($($value:expr),* $(,)?) => { [$($crate::report::csv::Cell::from($value)),*] };
}
pub(crate) use cells;

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
        row.resize(self.columns.len(), Cell(String::new()));
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
        let mut writer = csv::Writer::from_writer(Vec::new());
        // All rows have the length of the header, and writing to memory cannot fail.
        writer.write_record(&self.columns).expect("a header");
        self.rows.iter().for_each(|row| writer.write_record(row).expect("a row as long as the header"));
        String::from_utf8(writer.into_inner().expect("the text")).expect("cells are UTF-8")
    }

    /// Writes the table atomically.
    ///
    /// # Errors
    /// [`ReportError::Write`] if the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), ReportError> {
        Ok(crate::host::atomic::write(file, self.text().as_bytes())?)
    }
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
        Table::new(["one"]).row(["first".into(), "second".into()]);
    }
}
