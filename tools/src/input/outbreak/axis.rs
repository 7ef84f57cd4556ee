//! The times of a table's rows: dates, weeks of a year, or numbers.

use super::columns::{is_numeric, named, words};
use super::dates::{self, Dates};
use super::{OutbreakOptions, Unit, choice};
use crate::Error;
use crate::table::{Row, Table, number};
use jiff::civil::Weekday;

/// Where a table has its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Times {
    /// A column of dates or numbers.
    Column(usize),
    /// A column of years and one of weeks.
    YearWeek(usize, usize),
    /// Nowhere: the rows follow each other.
    Rows,
}

/// When a row ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Place of the row among those that are read.
    pub row: usize,
    /// Line in the file.
    pub line: usize,
    /// The end of the row's interval, in days since 1970 for dates, else as the table numbers it.
    pub end: f64,
}

/// The times of all rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// In the order of time.
    pub moments: Vec<Moment>,
    /// Length of an interval: the distance between most rows.
    pub step: f64,
    /// Whether the times are dates.
    pub dated: bool,
    /// How much later the intervals of flows end than the moments: 6 days where dates are the first of their weeks.
    pub shift: f64,
    /// What times are counted in.
    pub unit: Unit,
    /// How much of [`Moment::end`] a unit is.
    pub per_unit: f64,
}

impl Axis {
    /// Days between most rows.
    pub fn days_apart(&self) -> f64 {
        self.step / self.per_unit * self.unit.days()
    }

    /// Whether most rows are farther apart than [`Axis::step`], as reports that come now and then.
    pub fn is_irregular(&self) -> bool {
        let far = |pair: &&[Moment]| matches!(pair, [a, b] if b.end - a.end > self.step * (1.0 + 1e-6));
        self.moments.windows(2).filter(far).count() * 2 >= self.moments.len().max(2)
    }
}

/// Words in the names of columns of times, those that are taken first before the others.
const NAMES: [&str; 20] = [
    "date",
    "dates",
    "data",
    "datum",
    "fecha",
    "day",
    "days",
    "dag",
    "tag",
    "jour",
    "giorno",
    "t",
    "time",
    "week",
    "weeks",
    "semana",
    "semaine",
    "settimana",
    "woche",
    "epiweek",
];
const WEEKS: [&str; 8] = ["week", "weeks", "wk", "epiweek", "semana", "semaine", "settimana", "woche"];
const YEARS: [&str; 7] = ["year", "years", "jahr", "anno", "año", "année", "jaar"];

/// Finds the columns of the times.
///
/// # Errors
/// [`Error::Usage`] if there are none and the rows do not explain themselves, or an option names none.
pub fn find(table: &Table, rows: &[&Row], options: &OutbreakOptions) -> Result<Times, Error> {
    if let Some(name) = &options.time {
        return match name.split_once(',').filter(|_| table.column(name).is_none()) {
            Some((year, week)) => Ok(Times::YearWeek(named(table, year.trim())?, named(table, week.trim())?)),
            None => Ok(Times::Column(named(table, name)?)),
        };
    }
    let has = |column: &usize, list: &[&str]| {
        table.columns.get(*column).is_some_and(|name| words(name).iter().any(|word| list.contains(&word.as_str())))
    };
    let all = || 0..table.columns.len();
    let filled = |column: usize| rows.iter().map(move |row| row.field(column)).find(|field| !number::is_missing(field));
    let dated = |column: &usize| filled(*column).is_some_and(dates::is_date);
    let numeric = |column: &usize| is_numeric(rows, *column, table.comma);
    if let Some(dates) = all().find(|column| has(column, &NAMES) && dated(column)) {
        return Ok(Times::Column(dates));
    }
    let year = all().find(|column| has(column, &YEARS) && numeric(column));
    let week = all().find(|column| has(column, &WEEKS) && numeric(column));
    if let (Some(year), Some(week)) = (year, week) {
        return Ok(Times::YearWeek(year, week));
    }
    let exact =
        |column: &usize| table.columns.get(*column).is_some_and(|name| NAMES.contains(&name.to_lowercase().as_str()));
    let found = all().find(|column| exact(column) && numeric(column)).or_else(|| all().find(dated));
    let found = found.or_else(|| all().find(|column| has(column, &NAMES) && numeric(column)));
    // R numbers the rows of what it writes, in a column without a name.
    let found = found.or_else(|| table.columns.first().is_some_and(String::is_empty).then_some(0).filter(numeric));
    match found {
        Some(column) => Ok(Times::Column(column)),
        None if table.columns.len() == 1 => Ok(Times::Rows),
        None => Err(table.refused(
            table.header,
            "no column has dates or times",
            "name it with --time, or add a column `date`",
        )),
    }
}

/// Reads the times of `rows`.
///
/// # Errors
/// [`Error::Usage`] with the line of a time that is missing, wrong or there twice.
pub fn read(
    table: &Table,
    rows: &[&Row],
    times: &Times,
    options: &OutbreakOptions,
    remarks: &mut Vec<String>,
) -> Result<Axis, Error> {
    let name = |column: usize| table.columns.get(column).map(String::as_str).unwrap_or_default();
    let unsorted = |ends: Vec<f64>| {
        let rows = rows.iter().enumerate().zip(ends);
        rows.map(|((row, at), end)| Moment { row, line: at.line, end }).collect::<Vec<_>>()
    };
    match *times {
        Times::Rows => {
            remarks.push("The rows have no times, so each is taken as one day after the one before.".into());
            numbered(table, unsorted((1..=rows.len()).map(|row| row as f64).collect()), Unit::Day, options, remarks)
        }
        Times::YearWeek(year, week) => {
            let mut mondays = Vec::new();
            for row in rows {
                let whole = |column| {
                    let given = table.number(row, column)?;
                    let odd = || {
                        table.refused(
                            row.line,
                            format!("`{given}` is not a whole number"),
                            "give years and weeks as 2017 and 40",
                        )
                    };
                    (given.fract() == 0.0 && given.abs() < 10_000.0).then_some(given as i16).ok_or_else(odd)
                };
                let (year, week) = (whole(year)?, whole(week)?);
                let monday = i8::try_from(week).ok().and_then(|week| dates::week_of(year, week));
                let missing = || {
                    let what = format!("the year {year} has no ISO week {week}");
                    table.refused(row.line, what, "correct it, or number the weeks 1, 2, 3 in one column `week`")
                };
                mondays.push(monday.ok_or_else(missing)?);
            }
            let ends = mondays.iter().map(|monday| dates::number(*monday) + 1.0).collect();
            dated(table, rows, unsorted(ends), Unit::Week, options, remarks)
        }
        Times::Column(column) => {
            if let Some(row) = rows.iter().find(|row| number::is_missing(row.field(column))) {
                let what = format!("no time in the column `{}`", name(column));
                return Err(table.refused(row.line, what, "fill it in, or remove the line"));
            }
            let fields: Vec<&str> = rows.iter().map(|row| row.field(column)).collect();
            if !fields.first().is_some_and(|field| dates::is_date(field)) {
                let mut ends = Vec::new();
                for row in rows {
                    let field = row.field(column);
                    let end = number::parse(field, table.comma);
                    let odd = |_| {
                        let remedy = "give all times as dates or all as numbers, or name another column with --time";
                        table.refused(row.line, format!("`{field}` is not a time"), remedy)
                    };
                    ends.push(end.map_err(odd)?);
                }
                let weeks = words(name(column)).iter().any(|word| WEEKS.contains(&word.as_str()));
                let unit = if weeks { Unit::Week } else { options.unit.unwrap_or(Unit::Day) };
                if !weeks && options.unit.is_none() && !words(name(column)).iter().any(|word| word.starts_with("da")) {
                    let times =
                        if name(column).is_empty() { "rows".into() } else { format!("times in `{}`", name(column)) };
                    remarks.push(format!("The {times} are taken as days; if they are weeks, say --unit week."));
                }
                return numbered(table, unsorted(ends), unit, options, remarks);
            }
            let line = |place: usize| rows.get(place).map_or(table.header, |row| row.line);
            let read = dates::read(&fields, options.date_order);
            let Dates { dates: days, weeks, order } = read.map_err(|(place, error)| table.fault(line(place), error))?;
            if let Some(order) = order.filter(|_| options.date_order.is_none()) {
                let first = if order == dates::DateOrder::Dmy { "day" } else { "month" };
                remarks.push(format!("Dates have the {first} first, as one with a number above 12 shows."));
            }
            let ends: Vec<f64> = days.iter().map(|day| dates::number(*day) + 1.0).collect();
            let native = if weeks { Unit::Week } else { Unit::Day };
            let mut axis = dated(table, rows, unsorted(ends), native, options, remarks)?;
            if axis.step == 7.0 && !weeks {
                let begins = begins(name(column), days.iter().all(|day| day.weekday() == Weekday::Monday));
                let place = if begins { "first" } else { "last" };
                remarks.push(format!("Rows are a week apart; a date is taken as the {place} day of its week."));
                axis.shift = if begins { 6.0 } else { 0.0 };
            }
            Ok(axis)
        }
    }
}

/// Whether a date is the first day of its week: the column's name says it, or weeks begin on Monday.
fn begins(name: &str, mondays: bool) -> bool {
    let words = words(name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    has(&["start", "begin", "beginning", "starting", "from"]) || (mondays && !has(&["end", "ending", "to"]))
}

/// The axis of dates, which are brought into order. `native`: what the table counts; weeks are given by their Mondays.
fn dated(
    table: &Table,
    rows: &[&Row],
    mut moments: Vec<Moment>,
    native: Unit,
    options: &OutbreakOptions,
    remarks: &mut Vec<String>,
) -> Result<Axis, Error> {
    if !moments.is_sorted_by(|a, b| a.end <= b.end) {
        moments.sort_by(|a, b| a.end.total_cmp(&b.end));
        remarks.push("The rows were sorted by date.".into());
    }
    for pair in moments.windows(2) {
        if let [first, second] = pair
            && first.end == second.end
        {
            let day = dates::from_number(first.end - 1.0).map(|day| day.to_string()).unwrap_or_default();
            let what = format!("a second row for {day}, as line {} has it", first.line);
            let remedy = choice(table, rows) + ", or, if each row is a person, say --line-list COLUMN";
            return Err(table.refused(second.line, what, remedy));
        }
    }
    let step = step(&moments).unwrap_or(native.days());
    // Months differ; the longest covers every one of them from the end of the one before.
    let step = if (28.0..=31.0).contains(&step) { 31.0 } else { step };
    let shift = if native == Unit::Week { 6.0 } else { 0.0 };
    let unit = options.unit.unwrap_or(native);
    Ok(Axis { moments, step, dated: true, shift, unit, per_unit: unit.days() })
}

/// The axis of numbers, which have to be in order.
fn numbered(
    table: &Table,
    moments: Vec<Moment>,
    native: Unit,
    options: &OutbreakOptions,
    remarks: &mut Vec<String>,
) -> Result<Axis, Error> {
    for pair in moments.windows(2) {
        if let [first, second] = pair
            && second.end <= first.end
        {
            let what = format!("the time {} does not follow {}", second.end, first.end);
            let remedy = "sort the rows; weeks that begin again at 1 need a column `year`, and rows of several places --where COLUMN=VALUE";
            return Err(table.refused(second.line, what, remedy));
        }
    }
    let step = step(&moments).unwrap_or(1.0);
    if let (Some(first), Some(last)) = (moments.first(), moments.last())
        && moments.len() > 2
        && first.end - step > last.end - first.end
    {
        remarks.push(format!(
            "The first time is {}, so the outbreak is taken to begin long before the first count; subtract it if the times are dates or days of a month.",
            first.end
        ));
    }
    let unit = options.unit.unwrap_or(native);
    Ok(Axis { moments, step, dated: false, shift: 0.0, unit, per_unit: unit.days() / native.days() })
}

/// The distance between most rows; of equally frequent ones the smallest.
fn step(moments: &[Moment]) -> Option<f64> {
    let mut gaps: Vec<f64> = moments.windows(2).filter_map(|pair| Some(pair.get(1)?.end - pair.first()?.end)).collect();
    gaps.sort_by(f64::total_cmp);
    let runs = gaps.chunk_by(|a, b| b - a < 1e-6 * b);
    // Of equals, `max_by_key` takes the last.
    runs.rev().max_by_key(|run| run.len()).and_then(|run| run.first().copied())
}
