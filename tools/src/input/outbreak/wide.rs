//! Tables with a column for each day and a row for each place, as Johns Hopkins University published them: counts so far.

use super::axis::{Axis, Moment};
use super::columns::{Meaning, said, words};
use super::sheet::{Column, Sheet};
use super::{OutbreakOptions, Unit, choice, dates};
use crate::Error;
use crate::table::{Row, Table};

/// What options call the counts, which stand in no column of their own.
const VALUES: &str = "values";

/// The columns whose names are dates, if they are what the table consists of.
pub fn columns(table: &Table) -> Vec<usize> {
    let dated = table.columns.iter().enumerate().filter(|(_, name)| dates::is_date(name));
    let dated: Vec<usize> = dated.map(|(column, _)| column).collect();
    if dated.len() >= 3 && dated.len() * 2 > table.columns.len() { dated } else { Vec::new() }
}

/// Reads the row of one place.
///
/// # Errors
/// [`Error::Usage`] if rows of several places are left, or neither an option nor the file's name says what is counted.
pub fn read(
    table: &Table,
    rows: &[&Row],
    dated: &[usize],
    options: &OutbreakOptions,
    remarks: &mut Vec<String>,
) -> Result<Sheet, Error> {
    let row = total(table, rows, dated, remarks)?;
    let (meaning, told) = meaning(table, options)?;
    let names: Vec<&str> = dated.iter().filter_map(|column| table.columns.get(*column)).map(String::as_str).collect();
    let read = dates::read(&names, options.date_order).map_err(|(_, error)| table.fault(table.header, error))?;
    let mut moments = Vec::new();
    for (place, day) in read.dates.iter().enumerate() {
        moments.push(Moment { row: place, line: row.line, end: dates::number(*day) + 1.0 });
    }
    if !moments.is_sorted_by(|a, b| a.end < b.end) {
        let remedy = "put the columns of the days in order";
        return Err(table.refused(table.header, "the dates do not follow each other", remedy));
    }
    let cells: Vec<Option<f64>> = dated.iter().map(|column| table.count(row, *column)).collect::<Result<_, _>>()?;
    if !told {
        remarks.push(format!("The name of the file says that the table counts {}.", meaning.noun()));
    }
    let unit = options.unit.unwrap_or(Unit::Day);
    let axis = Axis { moments, step: 1.0, dated: true, shift: 0.0, unit, per_unit: unit.days() };
    Ok(Sheet { axis, columns: vec![Column { meaning, name: VALUES.into(), said: told, cells }] })
}

/// The only row, or else the one row without a province: the total of its country.
fn total<'a>(table: &Table, rows: &[&'a Row], dated: &[usize], remarks: &mut Vec<String>) -> Result<&'a Row, Error> {
    if let [row] = rows {
        return Ok(row);
    }
    let province =
        |name: &String| words(name).iter().any(|word| ["province", "state", "admin2"].contains(&word.as_str()));
    let column = table.columns.iter().position(province).filter(|column| !dated.contains(column));
    let whole: Vec<&&Row> =
        rows.iter().filter(|row| column.is_some_and(|column| row.field(column).is_empty())).collect();
    if let ([row], Some(column)) = (whole.as_slice(), column) {
        let name = table.columns.get(column).map_or("", String::as_str);
        remarks.push(format!(
            "Of {} rows, line {} is read: it has no `{name}`, so it is the total.",
            rows.len(),
            row.line
        ));
        return Ok(row);
    }
    Err(table.refused(table.header, format!("{} rows, each of a place of its own", rows.len()), choice(table, rows)))
}

/// What the counts are, and whether the user says so.
fn meaning(table: &Table, options: &OutbreakOptions) -> Result<(Meaning, bool), Error> {
    let said = said(options);
    if let [(meaning, VALUES)] = said.as_slice() {
        return Ok((*meaning, true));
    }
    let words = words(&table.name());
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let known = [
        (has(&["deaths", "death"]), Meaning::CumulativeDeaths),
        (has(&["recovered", "recoveries"]), Meaning::Removed),
        (has(&["confirmed", "cases"]), Meaning::CumulativeCases),
    ];
    let mut named = known.iter().filter(|(named, _)| *named);
    match (named.next(), named.next(), said.is_empty()) {
        (Some((_, meaning)), None, true) => Ok((*meaning, false)),
        _ => Err(table.refused(
            table.header,
            "a table with a column for each day does not say what it counts",
            "say it, as --cumulative values for all cases so far, --cumulative-deaths values or --removed values",
        )),
    }
}
