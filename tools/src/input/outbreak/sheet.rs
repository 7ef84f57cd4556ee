//! What all kinds of tables are brought to: times, and columns of counts at them.

use super::axis::Axis;
use super::columns::Meaning;
use crate::Error;
use crate::table::{Row, Table};

/// A table of counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// The times.
    pub axis: Axis,
    /// The columns that are read.
    pub columns: Vec<Column>,
}

/// A column of counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// What it counts.
    pub meaning: Meaning,
    /// Its name.
    pub name: String,
    /// Whether the user says what it counts.
    pub said: bool,
    /// A count for each moment of the axis, or None where it is not known.
    pub cells: Vec<Option<f64>>,
}

impl Column {
    /// Reads the cells of a column at the moments of an axis.
    ///
    /// # Errors
    /// [`Error::Usage`] for a field that is not a count.
    pub fn read(table: &Table, rows: &[&Row], axis: &Axis, column: usize) -> Result<Vec<Option<f64>>, Error> {
        let cell = |row: Option<&&Row>| row.map_or(Ok(None), |row| table.count(row, column));
        axis.moments.iter().map(|moment| cell(rows.get(moment.row))).collect()
    }
}
