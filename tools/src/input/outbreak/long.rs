//! Tables with a row for each time.

use super::columns::{Meaning, choose, is_numeric, listed, words};
use super::sheet::{Column, Sheet};
use super::{OutbreakOptions, axis};
use crate::Error;
use crate::table::{Row, Table};

/// Reads the times and the counts.
///
/// # Errors
/// [`Error::Usage`] with the line that is wrong, or if the columns do not say what they are.
pub fn read(
    table: &Table,
    rows: &[&Row],
    options: &OutbreakOptions,
    remarks: &mut Vec<String>,
) -> Result<Sheet, Error> {
    let times = axis::find(table, rows, options)?;
    let taken = match times {
        axis::Times::Column(column) => vec![column],
        axis::Times::YearWeek(year, week) => vec![year, week],
        axis::Times::Rows => vec![],
    };
    let name = |column: usize| table.columns.get(column).cloned().unwrap_or_default();
    let onset = taken.first().is_some_and(|column| words(&name(*column)).iter().any(|word| word == "onset"));
    let choices = choose(table, rows, &taken, onset, options, remarks)?;
    let axis = axis::read(table, rows, &times, options, remarks)?;
    let mut columns = Vec::new();
    for choice in &choices {
        let cells = Column::read(table, rows, &axis, choice.column)?;
        columns.push(Column { meaning: choice.meaning, name: name(choice.column), said: choice.said, cells });
    }
    let read = |column: &usize| taken.contains(column) || choices.iter().any(|choice| choice.column == *column);
    let others: Vec<String> = (0..table.columns.len())
        .filter(|column| !read(column) && is_numeric(rows, *column, table.comma))
        .map(name)
        .filter(|name| !name.is_empty())
        .collect();
    if !others.is_empty() && !columns.iter().any(|column| column.said && column.meaning != Meaning::Population) {
        let names: Vec<&str> = others.iter().map(String::as_str).collect();
        remarks.push(format!("Columns of numbers that are not read: {}.", listed(&names)));
    }
    Ok(Sheet { axis, columns })
}
