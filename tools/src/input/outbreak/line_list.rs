//! Line lists: a row for each person, with the day of onset and perhaps of recovery.

use super::axis::{Axis, Moment};
use super::columns::{Meaning, by_name, is_numeric, named, said, words};
use super::sheet::{Column, Sheet};
use super::{OutbreakOptions, Unit, dates, plural};
use crate::Error;
use crate::table::{Row, Table, number};
use std::collections::BTreeSet;

/// Longest time between the first day and the last: a longer one is a mistyped year.
const MAX_DAYS: f64 = 20_000.0;

/// The columns of onset and recovery, if the table is a line list: the user says so, or it has a column of onsets with the
/// same day twice, and none that counts people.
///
/// # Errors
/// [`Error::Usage`] if there is no column that the user names.
pub fn find(table: &Table, rows: &[&Row], options: &OutbreakOptions) -> Result<Option<(usize, Option<usize>)>, Error> {
    if let Some(names) = &options.line_list {
        let (onset, recovery) = names.split_once(',').map_or((names.as_str(), None), |(a, b)| (a, Some(b)));
        let recovery = recovery.map(|name| named(table, name.trim())).transpose()?;
        return Ok(Some((named(table, onset.trim())?, recovery)));
    }
    // A column such as `confirmed` may also hold words.
    let counts = table.columns.iter().enumerate().any(|(column, name)| {
        by_name(name).is_some_and(|meaning| meaning != Meaning::Population) && is_numeric(rows, column, table.comma)
    });
    if counts || options.time.is_some() || !said(options).is_empty() {
        return Ok(None);
    }
    let find = |alone: &[&str], first: &[&str]| {
        let fits = |name: &String| {
            let words = words(name);
            let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
            has(alone) || (has(first) && has(&["illness", "symptom", "symptoms", "sickness"]))
        };
        table.columns.iter().position(fits)
    };
    let onset = find(&["onset", "prodrome"], &["start", "begin", "first"]).filter(|column| {
        let mut seen = BTreeSet::new();
        rows.iter()
            .map(|row| row.field(*column))
            .filter(|field| !number::is_missing(field))
            .any(|field| !seen.insert(field))
    });
    Ok(onset.map(|onset| (onset, find(&["recovery"], &["end", "last"]))))
}

/// A person's day of onset, as the number of the day's end, and of recovery.
struct Case {
    line: usize,
    onset: f64,
    recovery: Option<f64>,
}

/// Counts new cases by day of onset and, with recoveries, the infected at the end of each day.
///
/// # Errors
/// [`Error::Usage`] with the line of a day that is wrong.
pub fn read(
    table: &Table,
    rows: &[&Row],
    onset: usize,
    recovery: Option<usize>,
    options: &OutbreakOptions,
    remarks: &mut Vec<String>,
) -> Result<Sheet, Error> {
    let name = |column: usize| table.columns.get(column).map(String::as_str).unwrap_or_default();
    let mut fields = rows.iter().map(|row| row.field(onset)).filter(|field| !number::is_missing(field));
    let dated = fields.next().is_some_and(dates::is_date);
    let onsets = days(table, rows, onset, dated, options)?;
    let recoveries =
        recovery.map_or_else(|| Ok(vec![None; rows.len()]), |column| days(table, rows, column, dated, options))?;
    let mut cases = Vec::new();
    for ((row, onset), recovery) in rows.iter().zip(&onsets).zip(recoveries) {
        let Some(onset) = *onset else { continue };
        if recovery.is_some_and(|recovery| recovery < onset) {
            return Err(table.refused(row.line, "the recovery is before the onset", "correct the line or remove it"));
        }
        cases.push(Case { line: row.line, onset, recovery });
    }
    let Some(first) = cases.iter().map(|case| case.onset).min_by(f64::total_cmp) else {
        return Err(table.wrong(table.header, format!("`{}` has no day of onset", name(onset))));
    };
    let last = |case: &&Case| case.recovery.unwrap_or(case.onset);
    let (end, line) =
        cases.iter().max_by(|a, b| last(a).total_cmp(&last(b))).map_or((first, 1), |case| (last(&case), case.line));
    if end - first > MAX_DAYS {
        let what = format!("{} days after the first onset", end - first);
        return Err(table.refused(line, what, "correct the year"));
    }
    let days = (end - first) as usize + 1;
    let mut lines = vec![table.header; days];
    let (mut new, mut ill) = (vec![0.0; days], vec![0.0; days]);
    // The last day of an illness counts as one of it, the day of recovery does not.
    let inclusive =
        recovery.is_some_and(|column| words(name(column)).iter().any(|word| word == "end" || word == "last"));
    for case in &cases {
        let place = (case.onset - first) as usize;
        if let (Some(new), Some(line)) = (new.get_mut(place), lines.get_mut(place)) {
            *new += 1.0;
            *line = case.line;
        }
        let until = case.recovery.map_or(place, |recovery| (recovery - first) as usize + usize::from(inclusive));
        for ill in ill.iter_mut().take(until).skip(place) {
            *ill += 1.0;
        }
    }
    remarks.push(format!(
        "Each row is a person: `{}` is read as the day of onset, which {} of {} have.",
        name(onset),
        cases.len(),
        rows.len()
    ));
    let mut columns = vec![column(Meaning::NewCases, name(onset), new)];
    if let Some(recovery) = recovery {
        let open: Vec<&Case> = cases.iter().filter(|case| case.recovery.is_none()).collect();
        match open.first() {
            None => {
                let what = if inclusive { "the last day of illness" } else { "the day of recovery" };
                remarks.push(format!(
                    "`{}` is read as {what}; the infected are counted at the end of each day.",
                    name(recovery)
                ));
                columns.push(column(Meaning::Infected, name(recovery), ill));
            }
            Some(case) => remarks.push(format!(
                "The infected are not counted, as {} an onset and no day in `{}`, the first on line {}.",
                plural(open.len(), "person has", "people have"),
                name(recovery),
                case.line
            )),
        }
    }
    let zeros = rows.iter().filter(|row| !dated && number::parse(row.field(onset), table.comma) == Ok(0.0)).count();
    if zeros > 0 {
        remarks.push(format!(
            "The {zeros} rows with 0 in `{}` are people who were never ill; all rows are the population.",
            name(onset)
        ));
        columns.push(column(Meaning::Population, "rows", vec![rows.len() as f64; days]));
    }
    let moment = |(row, line)| Moment { row, line, end: first + row as f64 };
    let moments = lines.into_iter().enumerate().map(moment).collect();
    let unit = options.unit.unwrap_or(Unit::Day);
    Ok(Sheet { axis: Axis { moments, step: 1.0, dated, shift: 0.0, unit, per_unit: unit.days() }, columns })
}

fn column(meaning: Meaning, name: &str, counts: Vec<f64>) -> Column {
    Column { meaning, name: name.to_owned(), said: true, cells: counts.into_iter().map(Some).collect() }
}

/// The days in a column, as the numbers of their ends. None for a missing mark, and for the number 0, which stands for never.
fn days(
    table: &Table,
    rows: &[&Row],
    column: usize,
    dated: bool,
    options: &OutbreakOptions,
) -> Result<Vec<Option<f64>>, Error> {
    let filled: Vec<&&Row> = rows.iter().filter(|row| !number::is_missing(row.field(column))).collect();
    let mut days = Vec::new();
    if dated {
        let fields: Vec<&str> = filled.iter().map(|row| row.field(column)).collect();
        let line = |place: usize| filled.get(place).map_or(table.header, |row| row.line);
        let read =
            dates::read(&fields, options.date_order).map_err(|(place, error)| table.fault(line(place), error))?;
        days.extend(read.dates.iter().map(|day| Some(dates::number(*day) + 1.0)));
    } else {
        for row in &filled {
            let day = table.count(row, column)?.unwrap_or_default();
            if day < 0.0 || day.fract() != 0.0 {
                let remedy = "give dates, or whole numbers of days from 1";
                return Err(table.refused(row.line, format!("`{}` is not a day", row.field(column)), remedy));
            }
            days.push((day > 0.0).then_some(day));
        }
    }
    let mut days = days.into_iter();
    Ok(rows
        .iter()
        .map(|row| if number::is_missing(row.field(column)) { None } else { days.next().flatten() })
        .collect())
}
