//! CSV tables: read with the number of each line, so that messages can name it, and written.

use crate::Error;
use csv::{ReaderBuilder, StringRecord, Trim, Writer};
use std::path::{Path, PathBuf};

/// A table whose first line names the columns.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    /// Ends every message: what such a file looks like.
    hint: &'static str,
    /// Number of the line that names the columns.
    pub header: usize,
    /// The columns' names; empty if the file is.
    pub columns: Vec<String>,
    /// The other lines: each has as many fields as there are columns.
    pub rows: Vec<Row>,
}

/// A line of a table.
#[derive(Debug)]
pub struct Row {
    /// Its number in the file, counted from 1.
    pub line: usize,
    fields: StringRecord,
}

impl Row {
    /// A field, without the spaces around it. Empty if there is no such column.
    pub fn field(&self, column: usize) -> &str {
        self.fields.get(column).unwrap_or_default()
    }
}

impl Table {
    /// Reads a file. Blank lines and lines that begin with `#` are skipped; fields may be quoted.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read, [`Error::Usage`] for a line with too few or too many fields.
    pub fn read(path: &Path, hint: &'static str) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
        let mut table = Table { path: path.to_owned(), hint, header: 1, columns: Vec::new(), rows: Vec::new() };
        let mut reader = ReaderBuilder::new();
        reader.has_headers(false).flexible(true).trim(Trim::All);
        for record in reader.from_reader(text.as_bytes()).into_records() {
            let fields = record.map_err(|error| table.wrong(1, error.to_string()))?;
            let first = fields.get(0).unwrap_or_default();
            if first.starts_with('#') || (first.is_empty() && fields.len() == 1) {
                continue;
            }
            let line = line(&text, &fields);
            if table.columns.is_empty() {
                table.header = line;
                table.columns = fields.iter().map(str::to_owned).collect();
            } else if fields.len() == table.columns.len() {
                table.rows.push(Row { line, fields });
            } else {
                return Err(table.wrong(line, format!("{} fields, not {}", fields.len(), table.columns.len())));
            }
        }
        Ok(table)
    }

    /// The number in a field.
    ///
    /// # Errors
    /// [`Error::Usage`] if the field holds something else.
    pub fn number(&self, row: &Row, column: usize) -> Result<f32, Error> {
        let field = row.field(column);
        field.parse().map_err(|_| self.wrong(row.line, format!("`{field}` is not a number")))
    }

    /// The error for a line of this table.
    pub fn wrong(&self, line: usize, what: impl std::fmt::Display) -> Error {
        Error::Usage(format!("{}:{line}: {what}; {}", self.path.display(), self.hint))
    }
}

/// Number of a record's line. The reader's own count stops at the blank lines before the record.
fn line(text: &str, record: &StringRecord) -> usize {
    let Some(position) = record.position() else { return 1 };
    let before = text.as_bytes().get(position.byte() as usize..).unwrap_or_default();
    let blank = before.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n').count();
    position.line() as usize + blank
}

/// The text of a table; fields are quoted where they have to be.
pub fn text<Fields: IntoIterator<Item: AsRef<[u8]>>>(rows: impl IntoIterator<Item = Fields>) -> String {
    let mut writer = Writer::from_writer(Vec::new());
    for row in rows {
        // Writing to memory fails only for rows of different lengths, which a table does not have.
        let _ = writer.write_record(row);
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Table, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        Table::read(&path, "see the manual")
    }

    #[test]
    fn lines_are_counted_through_blank_ones_and_comments() {
        for end in ["\n", "\r\n"] {
            let text = ["", "# seen by hand, from May", "", " a , b", "", "  ", "1, 2 ", " # and", "", "3,x"].join(end);
            let table = read(&text).unwrap();
            assert_eq!((table.header, table.columns.as_slice()), (4, &["a".to_owned(), "b".to_owned()][..]));
            assert_eq!(table.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [7, 10]);
            assert_eq!(table.number(&table.rows[0], 1).unwrap(), 2.0);
            let error = table.number(&table.rows[1], 1).unwrap_err().to_string();
            assert!(error.ends_with("table.csv:10: `x` is not a number; see the manual"), "{error}");
        }
        assert!(read("a,b\n\n1\n").unwrap_err().to_string().contains("table.csv:3: 1 fields, not 2"));
        assert!(read("\n").unwrap().columns.is_empty());
    }

    #[test]
    fn what_is_written_comes_back() {
        let rows = [["a", "b"], ["1", "dog, \"small\""], ["", "two\nlines"]];
        let text = text(rows);
        assert_eq!(text, "a,b\n1,\"dog, \"\"small\"\"\"\n,\"two\nlines\"\n");
        let table = read(&text).unwrap();
        assert_eq!([table.rows[0].field(1), table.rows[1].field(1)], [rows[1][1], rows[2][1]]);
    }
}
