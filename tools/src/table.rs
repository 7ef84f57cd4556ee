//! CSV tables: read with the number of each line, so that messages can name it, and written.
//!
//! Every table that a person brings is read here, so all of them may have the byte order mark, the encoding, the ends of
//! lines, the separator and the decimal comma that spreadsheets and statistics programs write.

pub mod number;
pub mod text;

use crate::Error;
use csv::{ReaderBuilder, StringRecord, Trim, Writer};
use number::NotNumber;
use std::path::{Path, PathBuf};

/// A table whose first line names the columns.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    /// Ends most messages: what such a file looks like.
    hint: &'static str,
    /// Lines before the one that names the columns: a title, as spreadsheets have.
    pub title: Vec<String>,
    /// Number of the line that names the columns.
    pub header: usize,
    /// The columns' names; empty if the file is.
    pub columns: Vec<String>,
    /// The other lines: each has as many fields as there are columns.
    pub rows: Vec<Row>,
    /// Whether numbers may have a decimal comma, as fields are not separated by commas.
    pub comma: bool,
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
    /// [`Error::File`] if the file cannot be read, [`Error::Usage`] if it is not text, or for a line with too few or too
    /// many fields.
    pub fn read(path: &Path, hint: &'static str) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(Error::file(path))?;
        let text = text::decode(&bytes).map_err(|error| Error::Usage(format!("{}: {error}", path.display())))?;
        // Excel may name the separator in a first line of its own; it becomes a blank line, so that lines keep their numbers.
        let named = text.strip_prefix("sep=").and_then(|rest| Some((*rest.as_bytes().first()?, rest.get(1..)?)));
        let (separator, text) = named.unwrap_or_else(|| (text::separator(&text), &text));
        let comma = separator != b',';
        let (title, columns, rows) = (Vec::new(), Vec::new(), Vec::new());
        let mut table = Table { path: path.to_owned(), hint, title, header: 1, columns, rows, comma };
        let mut reader = ReaderBuilder::new();
        reader.has_headers(false).flexible(true).trim(Trim::All).delimiter(separator);
        let mut records = Vec::new();
        for record in reader.from_reader(text.as_bytes()).into_records() {
            let fields = record.map_err(|error| table.wrong(1, error.to_string()))?;
            let comment = fields.get(0).is_some_and(|first| first.starts_with('#'));
            if !comment && fields.iter().any(|field| !field.is_empty()) {
                records.push((line(text, &fields), fields));
            }
        }
        let titles = titles(&records, comma);
        let mut records = records.into_iter();
        for (_, fields) in records.by_ref().take(titles) {
            let filled: Vec<&str> = fields.iter().filter(|field| !field.is_empty()).collect();
            table.title.push(filled.join(", "));
        }
        if let Some((line, fields)) = records.next() {
            table.header = line;
            table.columns = fields.iter().map(str::to_owned).collect();
            // Spreadsheets write separators after the last column, too.
            while table.columns.last().is_some_and(String::is_empty) {
                table.columns.pop();
            }
        }
        let width = table.columns.len();
        for (line, fields) in records {
            if fields.len() < width || fields.iter().skip(width).any(|field| !field.is_empty()) {
                return Err(table.wrong(line, format!("{} fields, not {width}", fields.len())));
            }
            table.rows.push(Row { line, fields });
        }
        Ok(table)
    }

    /// The column with this name, in upper or lower case.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.to_lowercase() == name.to_lowercase())
    }

    /// The number in a field.
    ///
    /// # Errors
    /// [`Error::Usage`] if the field holds something else.
    pub fn number(&self, row: &Row, column: usize) -> Result<f32, Error> {
        number::parse(row.field(column), self.comma)
            .map(|number| number as f32)
            .map_err(|error| self.odd(row.line, error))
    }

    /// The count in a field, exact to any number of people; None where the field says that it is not known.
    ///
    /// # Errors
    /// [`Error::Usage`] if the field holds something else, or a mark that may be one of thousands.
    pub fn count(&self, row: &Row, column: usize) -> Result<Option<f64>, Error> {
        let field = row.field(column);
        if number::is_missing(field) {
            return Ok(None);
        }
        number::parse_count(field, self.comma).map(Some).map_err(|error| self.odd(row.line, error))
    }

    /// The error for a field that is not a number.
    pub fn odd(&self, line: usize, error: NotNumber) -> Error {
        let remedy = match error {
            NotNumber::Word(_) => self.hint,
            NotNumber::Infinite(_) => "leave the field empty where a value is not known",
            NotNumber::Thousands(_) => "write plain digits, as 1287, and decimals with a point",
        };
        self.refused(line, error, remedy)
    }

    /// The error for a line of this table; the remedy is what such a table looks like.
    pub fn wrong(&self, line: usize, what: impl std::fmt::Display) -> Error {
        self.refused(line, what, self.hint)
    }

    /// The error for a line of this table, with its own remedy.
    pub fn refused(&self, line: usize, what: impl std::fmt::Display, remedy: impl std::fmt::Display) -> Error {
        self.fault(line, format_args!("{what}; {remedy}"))
    }

    /// The error for a line of this table, from a message that ends with the remedy.
    pub fn fault(&self, line: usize, message: impl std::fmt::Display) -> Error {
        // A field may have ends of lines, a message has none.
        let message = message.to_string().replace(char::is_control, " ");
        Error::Usage(format!("{}:{line}: {message}", self.path.display()))
    }

    /// The name of the file, without its folder.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The number of records before the one that names the columns. A title fills the first field only, or has fewer fields than
/// most records; what follows it has no number among the names.
fn titles(records: &[(usize, StringRecord)], comma: bool) -> usize {
    let mut lengths: Vec<usize> = records.iter().map(|(_, record)| record.len()).collect();
    lengths.sort_unstable();
    let usual = lengths.chunk_by(|a, b| a == b).max_by_key(|run| run.len()).and_then(|run| run.first().copied());
    let filled = |record: &StringRecord| record.iter().filter(|field| !field.is_empty()).count();
    let title = |record: &StringRecord| match record.get(0) {
        Some(first) if !first.is_empty() => filled(record) == 1 || Some(record.len()) < usual,
        _ => false,
    };
    let count = records.iter().take_while(|(_, record)| title(record)).count();
    let names = |record: &StringRecord| !record.iter().any(|field| number::parse(field, comma).is_ok());
    let header = records.get(count).is_some_and(|(_, record)| filled(record) > 1 && names(record));
    if header { count } else { 0 }
}

/// Number of a record's line. The reader's own count stops at the blank lines before the record.
fn line(text: &str, record: &StringRecord) -> usize {
    let Some(position) = record.position() else { return 1 };
    let before = text.as_bytes().get(position.byte() as usize..).unwrap_or_default();
    position.line() as usize + before.iter().take_while(|byte| **byte == b'\n').count()
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

    #[test]
    fn every_dialect_of_a_table_reads_alike() {
        for text in [
            "t,value\n1,0.25\n",
            "\u{feff}t;value\r\n1;0,25\r\n",
            "t\tvalue\r1\t0.25\r",
            "sep=;\nt;value\n1;0,25\n",
            "\"t\",\"value\"\n\"1\",0.25\n",
            "Seen in May,,\nt,value,\n1,0.25,\n,,\n",
        ] {
            let table = read(text).unwrap();
            assert_eq!(table.columns, ["t", "value"], "{text}");
            let row = |row: &Row| [table.number(row, 0).unwrap(), table.number(row, 1).unwrap()];
            assert_eq!(table.rows.iter().map(row).collect::<Vec<_>>(), [[1.0, 0.25]], "{text}");
        }
        let titled = read("Cases, by week\nYEAR,WEEK,CASES\n2017,40,3\n").unwrap();
        assert_eq!(
            (titled.header, titled.columns[1].as_str(), titled.title.as_slice()),
            (2, "WEEK", &["Cases, by week".to_owned()][..])
        );
        assert_eq!(read("sep=;\nt;value\n1;x\n").unwrap().rows[0].line, 3);
    }

    #[test]
    fn fields_that_are_not_numbers_are_refused_with_their_own_remedy() {
        let error = |text: &str| {
            let table = read(text).unwrap();
            table.number(&table.rows[0], 0).unwrap_err().to_string()
        };
        assert!(error("t,a\nNaN,1\n").contains(":2: `NaN` is not a finite number; leave the field empty"));
        assert!(error("t,a\n\"1,287\",1\n").contains("`1,287` may have a mark of thousands; write plain digits"));
        let table = read("t;a\n1;1.287\n2;NA\n").unwrap();
        assert!(table.count(&table.rows[0], 1).unwrap_err().to_string().contains(":2: `1.287` may have"));
        assert_eq!(table.count(&table.rows[1], 1).unwrap(), None);
    }
}
