//! Tables of real outbreaks, as people bring them: counts by date or by week, wide tables, and lists of cases.
//!
//! A table is read in three steps. One of `long`, `wide` and `line_list` makes a `sheet::Sheet` of it: when each row
//! ends, and what its columns count. `series` turns counts into points in time. What was understood, assumed or left out
//! stands in [`Outbreak::remarks`], so that nothing is misread silently.

mod axis;
pub mod built_in;
mod checks;
mod columns;
pub mod dates;
mod line_list;
mod long;
mod series;
mod sheet;
#[cfg(test)]
mod tests;
mod wide;

pub use built_in::{BUILT_IN, BuiltIn, built_in};
pub use checks::looks_like_incidence;

use crate::Error;
use crate::table::{Row, Table, number};
use dates::DateOrder;
use jiff::civil::Date;
use serde::Serialize;
use std::path::Path;

/// Ends messages about lines: what such a table looks like.
const HINT: &str = "a table of an outbreak has a line of names, as date,cases, and a line for each day or week";

/// What a series counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Observable {
    /// New cases in an interval: incidence.
    NewCases,
    /// People who are infected at a time: prevalence.
    Infected,
    /// People who can be infected at a time.
    Susceptible,
    /// People who recovered or died up to a time.
    Removed,
    /// People who recovered in an interval.
    NewRemoved,
    /// Deaths in an interval.
    Deaths,
}

impl Observable {
    /// Whether it is counted over an interval, and not at a time.
    pub fn is_flow(self) -> bool {
        matches!(self, Observable::NewCases | Observable::NewRemoved | Observable::Deaths)
    }
}

impl std::fmt::Display for Observable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Observable::NewCases => "new cases",
            Observable::Infected => "infected",
            Observable::Susceptible => "susceptible",
            Observable::Removed => "removed",
            Observable::NewRemoved => "newly removed",
            Observable::Deaths => "deaths",
        })
    }
}

/// Unit of the time axis, and so of the rates that are estimated from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A day.
    Day,
    /// A week.
    Week,
}

impl Unit {
    /// Its length in days.
    pub fn days(self) -> f64 {
        match self {
            Unit::Day => 1.0,
            Unit::Week => 7.0,
        }
    }
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Unit::Day { "day" } else { "week" })
    }
}

/// What intervals without a row mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Missing {
    /// Nobody was counted.
    Zero,
    /// It is not known how many were counted.
    Unknown,
}

/// A count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Line in the file.
    pub line: usize,
    /// Where the interval of a flow begins, itself excluded; for levels the same as `to`.
    pub from: f32,
    /// Where the interval ends, or the time of a level.
    pub to: f32,
    /// The number of people.
    pub value: f32,
}

/// The counts of a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// What is counted.
    pub observable: Observable,
    /// The name of the column.
    pub column: String,
    /// The counts, in the order of time.
    pub points: Vec<Point>,
}

/// What a table says about an outbreak.
#[derive(Debug, Clone, PartialEq)]
pub struct Outbreak {
    /// At least one series, each with at least one point. Time 0 is where the first interval begins; if all are levels, it is
    /// the time of the first.
    pub series: Vec<Series>,
    /// Unit of all times.
    pub unit: Unit,
    /// The date of time 0: the day that begins then, or for levels alone the day of the first.
    pub start: Option<Date>,
    /// Size of the population, if the table states it.
    pub population: Option<f32>,
    /// What was understood, assumed, converted or left out: a whole sentence each, to be printed always.
    pub remarks: Vec<String>,
}

impl Outbreak {
    /// What is to be said if another size of the population is given than the table has.
    pub fn overruled(&self, given: Option<f32>) -> Option<String> {
        let (given, own) = given.zip(self.population)?;
        ((given - own).abs() > 0.5).then(|| {
            format!(
                "--population {given} is used, in place of the {own} that the table has; check which of them is right."
            )
        })
    }
}

impl Outbreak {
    /// The series of an observable.
    pub fn series(&self, observable: Observable) -> Option<&Series> {
        self.series.iter().find(|series| series.observable == observable)
    }
}

/// How to read a table whose columns do not say it by their names.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Reading the table")]
pub struct OutbreakOptions {
    /// Column of the times: dates, or numbers of days or weeks; two columns as YEAR,WEEK. Found by its name if left out
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// Column of new cases (incidence): people who fell ill or were reported in each interval, not all who are ill
    #[arg(long, value_name = "COLUMN")]
    pub new: Option<String>,
    /// Column of all cases so far; the cases between two rows are their difference
    #[arg(long, value_name = "COLUMN")]
    pub cumulative: Option<String>,
    /// Column of the people who are infected at the time of the row (prevalence), as those in bed
    #[arg(long, value_name = "COLUMN")]
    pub infected: Option<String>,
    /// Column of the people who can still be infected
    #[arg(long, value_name = "COLUMN")]
    pub susceptible: Option<String>,
    /// Column of all people who recovered or died so far
    #[arg(long, value_name = "COLUMN")]
    pub removed: Option<String>,
    /// Column of the people who recovered in each interval
    #[arg(long, value_name = "COLUMN")]
    pub new_removed: Option<String>,
    /// Column of new deaths: people who died in each interval
    #[arg(long, value_name = "COLUMN")]
    pub deaths: Option<String>,
    /// Column of all deaths so far
    #[arg(long, value_name = "COLUMN")]
    pub cumulative_deaths: Option<String>,
    /// The table has a row for each person: column of the day of onset and, to count the infected too, of recovery
    #[arg(long, value_name = "ONSET[,RECOVERY]", conflicts_with_all = ["time", "new", "cumulative", "infected", "susceptible", "removed", "new_removed", "deaths", "cumulative_deaths"])]
    pub line_list: Option<String>,
    /// Read only the rows with this value, as `location=Aruba`; may be given more than once
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    pub places: Vec<String>,
    /// Date of time 0, as 1978-01-22; earlier rows are left out. The first interval begins it if left out
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub start: Option<Date>,
    /// Unit of times and rates. It says what a column of plain numbers counts; dates and weeks are converted to it
    #[arg(long, value_enum)]
    pub unit: Option<Unit>,
    /// What days without a row mean. If left out, zero where the column of new cases has no zeros, else unknown; rows at
    /// unequal distances count since the row before
    #[arg(long, value_enum)]
    pub missing: Option<Missing>,
    /// Order of day and month in dates such as 3/4/20, if no day above 12 tells it
    #[arg(long, value_enum)]
    pub date_order: Option<DateOrder>,
}

fn date(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| "give a date as 1978-01-22".into())
}

/// Reads a table of an outbreak.
///
/// # Errors
/// [`Error::File`] if the file cannot be read; [`Error::Usage`] with the line, the value and the remedy if it is not a table
/// of an outbreak, or can be read in more than one way.
pub fn read(path: &Path, options: &OutbreakOptions) -> Result<Outbreak, Error> {
    let table = Table::read(path, HINT)?;
    let mut remarks = Vec::new();
    if !table.title.is_empty() {
        remarks.push(format!("The title \"{}\" is skipped.", table.title.join(" ")));
    }
    let rows = selected(&table, options)?;
    if rows.is_empty() {
        return Err(table.wrong(table.header, "no rows"));
    }
    if table.column("component").is_some() {
        let remedy = "give them to `sirocco calibrate --observations`, or name the columns t,component,count otherwise";
        return Err(table.refused(table.header, "these are observations by component", remedy));
    }
    let dated = wide::columns(&table);
    let value = |name: &String| dates::is_date(name) || number::parse(name, table.comma).is_ok();
    if dated.is_empty() && table.columns.iter().all(value) {
        let remedy = "add a line before it that names the columns, as date,cases";
        return Err(table.refused(table.header, "the first line has no names", remedy));
    }
    let sheet = if let Some((onset, recovery)) = line_list::find(&table, &rows, options)? {
        line_list::read(&table, &rows, onset, recovery, options, &mut remarks)?
    } else if dated.is_empty() {
        long::read(&table, &rows, options, &mut remarks)?
    } else {
        wide::read(&table, &rows, &dated, options, &mut remarks)?
    };
    series::outbreak(&table, sheet, options, remarks)
}

/// The rows that `--where` leaves.
fn selected<'a>(table: &'a Table, options: &OutbreakOptions) -> Result<Vec<&'a Row>, Error> {
    let mut rows: Vec<&Row> = table.rows.iter().collect();
    for place in &options.places {
        let odd = || Error::Usage(format!("`{place}` does not name a column and a value; give --where COLUMN=VALUE"));
        let (name, value) = place.split_once('=').ok_or_else(odd)?;
        let (column, value) = (columns::named(table, name.trim())?, value.trim().to_lowercase());
        let (kept, others): (Vec<&Row>, Vec<&Row>) =
            rows.into_iter().partition(|row| row.field(column).to_lowercase() == value);
        if kept.is_empty() {
            let mut values: Vec<&str> = others.iter().map(|row| row.field(column)).collect();
            values.sort_unstable();
            values.dedup();
            let remedy = format!("its values are {}", columns::listed(&values));
            return Err(table.refused(table.header, format!("no row has `{place}`"), remedy));
        }
        rows = kept;
    }
    Ok(rows)
}

/// A number of things.
fn plural(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// How to choose among rows of several places: the first column of words with more than one value, and one of them.
fn choice(table: &Table, rows: &[&Row]) -> String {
    let words = (0..table.columns.len()).filter_map(|column| {
        let mut values: Vec<&str> =
            rows.iter().map(|row| row.field(column)).filter(|value| !value.is_empty()).collect();
        values.dedup();
        let word = values.len() > 1
            && !values.iter().any(|value| dates::is_date(value))
            && !columns::is_numeric(rows, column, table.comma);
        word.then(|| {
            format!("\"{}={}\"", table.columns.get(column).map_or("", String::as_str), values.first().unwrap_or(&""))
        })
    });
    format!(
        "choose the rows of one place, as --where {}",
        words.into_iter().next().unwrap_or_else(|| "COLUMN=VALUE".into())
    )
}
