//! Observations in a CSV file: `t,component,value[,sigma]`, or `t,component,count[,sigma]` of a population, or the table of an
//! outbreak that counts people infected, removed or susceptible.

use crate::Error;
use crate::input::outbreak::{self, Observable, OutbreakOptions, Series, dates, looks_like_incidence};
use crate::input::quantities;
use crate::table::{Row, Table, number};
use sirocco::calibrate::Observation;
use sirocco::ode::Ode;
use std::path::Path;

/// Ends messages about lines: what such a table looks like.
const HINT: &str = "columns are t,component,value[,sigma]";

/// What a file of observations may leave unsaid.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ObservationOptions {
    /// Standard deviation of every observation, if the file has no column `sigma`: a number of people with --population,
    /// otherwise a share
    #[arg(long, value_parser = positive)]
    pub sigma: Option<f32>,
    /// Size of the population: observed values are counts of it, and answers are shown as counts
    #[arg(long, value_name = "N", value_parser = positive)]
    pub population: Option<f32>,
}

impl ObservationOptions {
    /// The standard deviation as a share.
    pub fn share_of_sigma(self) -> Option<f32> {
        self.sigma.map(|sigma| sigma / self.population.unwrap_or(1.0))
    }
}

fn positive(text: &str) -> Result<f32, String> {
    let above_zero = text.parse().ok().filter(|value: &f32| *value > 0.0 && value.is_finite());
    above_zero.ok_or_else(|| "give a number above zero".into())
}

/// The content of a file of observations.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The observations, in the file's order.
    pub observations: Vec<Observation>,
    /// Whether no standard deviations are given, so that they are estimated from the residuals.
    pub relative: bool,
    /// Size of the population, if values are shares of it.
    pub population: Option<f32>,
    /// What was skipped, converted or looks wrong: a whole sentence each, to be printed always.
    pub remarks: Vec<String>,
}

/// Whether a file has observations by component; a table of an outbreak has a column for each kind of count.
///
/// # Errors
/// [`Error::File`] if the file cannot be read, [`Error::Usage`] if it is not a table.
pub fn is_by_component(path: &Path) -> Result<bool, Error> {
    Ok(Table::read(path, HINT)?.column("component").is_some())
}

/// The places of the columns.
struct Columns {
    t: usize,
    component: usize,
    value: usize,
    sigma: Option<usize>,
    /// Whether values are counts of the population.
    counts: bool,
}

impl Columns {
    fn find(table: &Table, population: Option<f32>) -> Result<Self, Error> {
        let refused = |what: String, remedy: &str| table.refused(table.header, what, remedy);
        let need =
            |name: &str| table.column(name).ok_or_else(|| table.wrong(table.header, format!("no column `{name}`")));
        // R writes the numbers of rows in a first column without a name.
        let columns = table.columns.iter().enumerate().filter(|(place, name)| *place > 0 || !name.is_empty());
        for (place, name) in columns {
            let known = ["t", "time", "day", "date", "component", "value", "count", "sigma"];
            if !known.contains(&name.to_lowercase().as_str()) {
                let remedy =
                    "columns are t,component,value[,sigma]; call a standard deviation sigma, and remove others";
                return Err(refused(format!("unknown column `{name}`"), remedy));
            }
            if table.column(name).is_some_and(|first| first < place) {
                return Err(refused(format!("two columns `{name}`"), "remove one of them"));
            }
        }
        let t =
            ["t", "time", "day", "date"].iter().find_map(|name| table.column(name)).map_or_else(|| need("t"), Ok)?;
        let component = need("component")?;
        let (value, counts) = match (table.column("value"), table.column("count")) {
            (Some(_), Some(_)) => {
                return Err(refused("both `value` and `count`".into(), "keep the shares or the counts, not both"));
            }
            (None, Some(count)) if population.is_some() => (count, true),
            (None, Some(_)) => {
                return Err(refused("counts need --population".into(), "give it, or shares in a column `value`"));
            }
            (_, None) => (need("value")?, false),
        };
        if !counts && population.is_some() {
            let remedy = "leave it out, or name the column `count` if it counts people";
            return Err(refused("values are shares, which --population does not divide".into(), remedy));
        }
        Ok(Columns { t, component, value, sigma: table.column("sigma"), counts })
    }
}

/// Reads observations of `ode`. Lines that begin with `#` are comments; the first other line names the columns.
///
/// Counts and standard deviations of counts are divided by the population. Without a column `sigma`, every observation has
/// the standard deviation `--sigma`; without that option, all have the same weight and the residuals tell their error. Dates
/// become days since the first of them.
///
/// # Errors
/// [`Error::File`] if the file cannot be read, [`Error::Usage`] with the number of a line that is wrong.
pub fn read(path: &Path, ode: Ode, options: ObservationOptions) -> Result<Observed, Error> {
    let table = Table::read(path, HINT)?;
    if table.columns.is_empty() {
        return Err(table.wrong(table.header, "no observations"));
    }
    let columns = Columns::find(&table, options.population)?;
    let unit = options.population.unwrap_or(1.0);
    let mut remarks = Vec::new();
    let times = times(&table, columns.t, &mut remarks)?;
    let mut observations = Vec::new();
    for (row, t) in table.rows.iter().zip(times) {
        let known = quantities::component(ode, row.field(columns.component));
        let component = known.map_err(|unknown| table.wrong(row.line, unknown))?;
        let Some(value) = value(&table, row, &columns, ode, options.population)? else { continue };
        let sigma = match columns.sigma {
            Some(at) => table.number(row, at)? / unit,
            None => options.share_of_sigma().unwrap_or(1.0),
        };
        if sigma <= 0.0 {
            let what =
                format!("the standard deviation `{}` is not above zero", columns.sigma.map_or("", |at| row.field(at)));
            return Err(table.refused(row.line, what, "give the error of the observation"));
        }
        observations.push(Observation { t, component, value, sigma });
    }
    let skipped = table.rows.len() - observations.len();
    if skipped > 0 {
        let lines =
            if skipped == 1 { "1 line has no value and is" } else { &format!("{skipped} lines have no value and are") };
        remarks.push(format!("{lines} skipped."));
    }
    remarks.extend(doubts(&observations, ode, options.population));
    let relative = columns.sigma.is_none() && options.sigma.is_none();
    Ok(Observed { observations, relative, population: options.population, remarks })
}

/// Reads observations of `ode` as [`read`] does, or from a table of an outbreak: there, people infected, removed and susceptible
/// are observations of I, R and S, as shares of the population.
///
/// # Errors
/// As for [`read`] and [`outbreak::read`]; [`Error::Usage`] for a table that counts new cases or deaths alone, for one of an
/// unknown population, and for systems without I, R or S.
pub fn read_any(
    path: &Path,
    ode: Ode,
    options: ObservationOptions,
    reading: &OutbreakOptions,
) -> Result<Observed, Error> {
    if is_by_component(path)? {
        return read(path, ode, options);
    }
    let outbreak = outbreak::read(path, reading)?;
    let refused = |line: Option<usize>, what: String, remedy: &str| {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        Error::Usage(format!("{}{line}: {what}; {remedy}", path.display()))
    };
    let (at_times, in_intervals): (Vec<&Series>, Vec<&Series>) =
        outbreak.series.iter().partition(|series| component(ode, series.observable).is_some());
    let mut remarks = outbreak.remarks.clone();
    for series in &in_intervals {
        let (column, what) = (&series.column, series.observable);
        if at_times.is_empty() {
            let remedy = format!("give the table to `sirocco calibrate {} --out FIGURE`", path.display());
            return Err(refused(None, format!("`{column}` counts {what}, which is not a part of the state"), &remedy));
        }
        remarks.push(format!("The column `{column}` ({what}) is not used: it is not a part of the state."));
    }
    remarks.extend(outbreak.overruled(options.population));
    let population = options.population.or(outbreak.population);
    let unknown = || refused(None, "the population is not known".into(), "give --population");
    let population = population.ok_or_else(unknown)?;
    let options = ObservationOptions { population: Some(population), ..options };
    let sigma = options.share_of_sigma().unwrap_or(1.0);
    let mut observations = Vec::new();
    for series in at_times {
        let Some(component) = component(ode, series.observable) else { continue };
        for point in &series.points {
            let value = point.value / population;
            if !(0.0..=1.0).contains(&value) {
                let what = format!("{} is not a count of a population of {population}", point.value);
                return Err(refused(Some(point.line), what, "correct the line, or --population"));
            }
            observations.push(Observation { t: point.to, component, value, sigma });
        }
    }
    Ok(Observed { observations, relative: options.sigma.is_none(), population: Some(population), remarks })
}

/// The component of the state that is counted; `None` for what is counted over an interval.
fn component(ode: Ode, observable: Observable) -> Option<u8> {
    let name = match observable {
        Observable::Susceptible => "S",
        Observable::Infected => "I",
        Observable::Removed => "R",
        Observable::NewCases | Observable::NewRemoved | Observable::Deaths => return None,
    };
    quantities::component(ode, name).ok()
}

/// The times of all rows.
fn times(table: &Table, column: usize, remarks: &mut Vec<String>) -> Result<Vec<f32>, Error> {
    let fields: Vec<&str> = table.rows.iter().map(|row| row.field(column)).collect();
    if !fields.first().is_some_and(|field| dates::is_date(field)) {
        let time = |row: &Row| match table.number(row, column)? {
            t if t < 0.0 => {
                Err(table.refused(row.line, format!("the time {t} is before 0"), "count times from the start"))
            }
            t => Ok(t),
        };
        return table.rows.iter().map(time).collect();
    }
    let line = |place: usize| table.rows.get(place).map_or(table.header, |row| row.line);
    let days = dates::read(&fields, None).map_err(|(place, error)| match error {
        dates::BadDate::Ambiguous(field) => {
            let what = format!("`{field}` may be day/month or month/day");
            table.refused(line(place), what, "write dates as 1978-01-22")
        }
        error => table.fault(line(place), error),
    })?;
    let Some(first) = days.dates.iter().min() else { return Ok(Vec::new()) };
    remarks.push(format!("Times are days since {first}."));
    Ok(days.dates.iter().map(|day| (dates::number(*day) - dates::number(*first)) as f32).collect())
}

/// An observed value as a share; None for a mark of a missing one. In systems whose components are shares of a whole, it
/// lies between 0 and 1.
fn value(table: &Table, row: &Row, columns: &Columns, ode: Ode, population: Option<f32>) -> Result<Option<f32>, Error> {
    let field = row.field(columns.value);
    if number::is_missing(field) {
        return Ok(None);
    }
    let given = if columns.counts {
        table.count(row, columns.value)?.map_or(f32::NAN, |count| count as f32)
    } else {
        table.number(row, columns.value)?
    };
    let share = given / population.unwrap_or(1.0);
    if ode.conserved() && !(0.0..=1.0).contains(&share) {
        return Err(match population {
            Some(population) => {
                let what = format!("`{field}` is not a count of a population of {population}");
                table.refused(row.line, what, "correct the line, or mark it NA; or correct --population")
            }
            None => {
                let what = format!("`{field}` is not a share between 0 and 1");
                table.refused(
                    row.line,
                    what,
                    "divide percents by 100; for counts name the column `count` and give --population",
                )
            }
        });
    }
    Ok(Some(share))
}

/// What looks wrong in observations.
fn doubts(observations: &[Observation], ode: Ode, population: Option<f32>) -> Vec<String> {
    let mut remarks = Vec::new();
    let times = observations.iter().map(|observation| observation.t);
    let (first, last) = times.fold((f32::INFINITY, 0.0_f32), |(first, last), t| (first.min(t), last.max(t)));
    if observations.len() > 2 && first > last - first {
        remarks.push(format!(
            "The first time is {first}, so the model begins long before the first observation; subtract it if times are days of a month."
        ));
    }
    let Some(population) = population.filter(|_| ode.conserved()) else { return remarks };
    let mut infected: Vec<&Observation> = observations
        .iter()
        .filter(|observation| ode.state_names().get(usize::from(observation.component)) == Some(&"I"))
        .collect();
    infected.sort_by(|a, b| a.t.total_cmp(&b.t));
    let counts: Vec<f64> = infected.iter().map(|observation| f64::from(observation.value * population)).collect();
    if let Some(reason) = looks_like_incidence(&counts, 1.0) {
        remarks.push(format!(
            "I is the number infected, but these counts look like new cases: {reason}. If they are, name the columns t,cases."
        ));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, population: Option<f32>) -> Result<Observed, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen.csv");
        std::fs::write(&path, text).unwrap();
        read(&path, Ode::Sir, ObservationOptions { sigma: None, population })
    }

    #[test]
    fn columns_come_in_any_order_and_comments_are_skipped() {
        let seen = written("# a comment\nsigma,t,value,component\n0.01,3,0.25,I\n\n0.02,4,0.5,r\n", None).unwrap();
        assert!(!seen.relative);
        assert_eq!(seen.observations[0], Observation { t: 3.0, component: 1, value: 0.25, sigma: 0.01 });
        assert_eq!(seen.observations[1].component, 2);
    }

    #[test]
    fn counts_are_shares_of_a_population() {
        let seen = written("t,component,count\n3,I,50\n", Some(200.0)).unwrap();
        assert!(seen.relative && seen.observations[0].value == 0.25);
        assert!(written("t,component,count\n3,I,50\n", None).unwrap_err().to_string().contains("--population"));
    }

    #[test]
    fn errors_name_file_and_line() {
        let error = |text| written(text, None).unwrap_err().to_string();
        assert!(error("t,component,value\n1,X,0.1\n").contains("seen.csv:2: the system has no component `X`"));
        assert!(error("t,component,value\n1,I\n").contains("seen.csv:2: 2 fields"));
        assert!(error("t,component,value\n1,I,many\n").contains("`many`"));
        assert!(error("t,value\n1,2\n").contains("no column `component`"));
        assert!(error("").contains("no observations"));
    }

    #[test]
    fn columns_that_would_be_misread_are_refused() {
        for (text, population, refusal) in [
            (
                "t,component,value,sd\n1,I,0.1,0.01\n",
                None,
                "seen.csv:1: unknown column `sd`; columns are t,component,value[,sigma]; call",
            ),
            ("t,component,value,count\n1,I,0.1,3\n", Some(30.0), "seen.csv:1: both `value` and `count`; keep"),
            (
                "t,component,value\n1,I,0.1\n",
                Some(763.0),
                "seen.csv:1: values are shares, which --population does not divide; leave it out",
            ),
            ("t,t,component,value\n1,1,I,0.1\n", None, "seen.csv:1: two columns `t`; remove"),
            (
                "t,component,count\n1,I,-4\n",
                Some(100.0),
                "seen.csv:2: `-4` is not a count of a population of 100; correct",
            ),
            (
                "t,component,count\n1,I,900\n",
                Some(763.0),
                "seen.csv:2: `900` is not a count of a population of 763; correct",
            ),
            (
                "t,component,value\n1,I,25.8\n",
                None,
                "seen.csv:2: `25.8` is not a share between 0 and 1; divide percents by 100",
            ),
            (
                "t,component,value\n1,I,0.1\n2,I,NaN\n",
                None,
                "seen.csv:3: `NaN` is not a finite number; leave the field empty",
            ),
            ("t,component,value\n1,I,inf\n", None, "seen.csv:2: `inf` is not a finite number"),
            ("t,component,value\n-1,I,0.1\n", None, "seen.csv:2: the time -1 is before 0; count"),
            (
                "t,component,value,sigma\n1,I,0.1,0\n",
                None,
                "seen.csv:2: the standard deviation `0` is not above zero; give",
            ),
            (
                "t,component,value\n3/4/20,I,0.1\n",
                None,
                "seen.csv:2: `3/4/20` may be day/month or month/day; write dates as",
            ),
            ("t;component;count\n1;I;1.287\n", Some(5000.0), "seen.csv:2: `1.287` may have a mark of thousands; write"),
        ] {
            let error = written(text, population).unwrap_err().to_string();
            assert!(error.contains(refusal), "{text:?}: {error}");
        }
    }

    #[test]
    fn people_at_a_time_in_a_table_of_an_outbreak_are_observations() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbreak.csv");
        let read = |text: &str, population| {
            std::fs::write(&path, text).unwrap();
            let options = ObservationOptions { sigma: Some(2.0), population };
            read_any(&path, Ode::Sir, options, &OutbreakOptions::default())
        };
        let seen = read("date,infected,recovered\n1978-01-22,3,0\n1978-01-24,8,3\n", Some(100.0)).unwrap();
        assert!(!seen.relative && seen.population == Some(100.0));
        let last = Observation { t: 2.0, component: 2, value: 0.03, sigma: 0.02 };
        assert_eq!((seen.observations.len(), seen.observations[3]), (4, last));
        assert_eq!(seen.observations[1], Observation { component: 1, value: 0.08, ..last });
        assert!(seen.remarks.iter().any(|remark| remark.contains("time 0 is 1978-01-22")), "{:?}", seen.remarks);
        let seen = read("date,infected,deaths\n1978-01-22,3,0\n1978-01-23,8,1\n", Some(100.0)).unwrap();
        assert!(
            seen.observations.len() == 2
                && seen.remarks.iter().any(|remark| remark.contains("`deaths` (deaths) is not used"))
        );
        // A wide table says the population itself.
        let seen = read("day,S,I,R\n0,7,1,0\n1,5,2,1\n", None).unwrap();
        assert_eq!((seen.population, seen.observations.len()), (Some(8.0), 6));
        for (text, population, refusal) in [
            (
                "date,cases\n1978-01-22,3\n1978-01-23,8\n",
                Some(100.0),
                "`cases` counts new cases, which is not a part of the state; give the table to `sirocco calibrate ",
            ),
            (
                "date,infected\n1978-01-22,3\n1978-01-23,8\n",
                None,
                "outbreak.csv: the population is not known; give --population",
            ),
            (
                "date,infected\n1978-01-22,3\n1978-01-23,8\n",
                Some(5.0),
                "outbreak.csv:3: 8 is not a count of a population of 5; correct",
            ),
        ] {
            let error = read(text, population).unwrap_err().to_string();
            assert!(error.contains(refusal), "{text:?}: {error}");
        }
        // A file of observations is read as ever.
        assert_eq!(read("t,component,count\n3,I,50\n", Some(200.0)).unwrap().observations[0].value, 0.25);
    }

    #[test]
    fn sigma_is_in_the_unit_of_the_values() {
        let seen = written("T,Component,Count,Sigma\n3,I,50,5\n", Some(200.0)).unwrap();
        assert_eq!(seen.observations[0], Observation { t: 3.0, component: 1, value: 0.25, sigma: 0.025 });
        let options = |population| ObservationOptions { sigma: Some(5.0), population };
        assert_eq!((options(Some(200.0)).share_of_sigma(), options(None).share_of_sigma()), (Some(0.025), Some(5.0)));
    }

    #[test]
    fn dates_are_days_and_missing_values_are_counted() {
        let seen =
            written("date,component,count\n1/22/1978,I,3\n1/23/1978,I,NA\n1/25/1978,I,26\n", Some(763.0)).unwrap();
        assert_eq!(seen.observations.iter().map(|seen| seen.t).collect::<Vec<_>>(), [0.0, 3.0]);
        assert_eq!(seen.remarks, ["Times are days since 1978-01-22.", "1 line has no value and is skipped."]);
        let late = written("t,component,count\n22,I,3\n23,I,8\n24,I,26\n", Some(763.0)).unwrap();
        assert!(late.remarks[0].contains("The first time is 22"), "{:?}", late.remarks);
        let incidence = written("t,component,count\n0,I,1\n1,I,0\n2,I,1\n", Some(188.0)).unwrap();
        assert!(
            incidence.remarks[0].contains("look like new cases: it comes back from zero"),
            "{:?}",
            incidence.remarks
        );
        let other = written("t,component,value\n0,I,0.5\n1,I,0\n2,I,0.5\n", None).unwrap();
        assert!(other.remarks.is_empty());
    }

    /// Small tables beside the clone, where they are: how many observations and what they sum up to, or the refusal.
    #[test]
    fn tables_as_people_bring_them_are_read_or_refused() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/tables");
        if !folder.is_dir() {
            println!("skipped: no tables in {}; the small ones of the other tests are read", folder.display());
            return;
        }
        let good = "5 of 0.584 from 1 to 12";
        let tables = [
            ("good.csv", None, good),
            ("bom.csv", None, good),
            ("cr_only_oldmac.csv", None, good),
            ("latin1_comment.csv", None, good),
            ("quoted_r_writecsv.csv", None, good),
            ("quoted_rownames_r.csv", None, good),
            ("semicolon_decimal_comma.csv", None, good),
            ("semicolon_excel_bom_crlf.csv", None, good),
            ("tab.tsv", None, good),
            ("utf16_excel_unicode_text.csv", None, good),
            ("missing_mark_X.csv", None, "3 of 0.526 from 1 to 5"),
            ("na_r.csv", None, good),
            ("nan.csv", None, "nan.csv:3: `NaN` is not a finite number; "),
            ("percent.csv", None, "percent.csv:2: `25.8` is not a share between 0 and 1; divide percents"),
            ("no_component_column.csv", None, "no_component_column.csv:1: no column `component`; "),
            ("wide_S_I_R.csv", None, "wide_S_I_R.csv:1: unknown column `S`; "),
            ("dates_iso.csv", Some(763.0), "10 of 1.89253 from 0 to 9"),
            ("dates_us_mdy.csv", Some(763.0), "4 of 0.1481 from 0 to 3"),
            ("day_of_month_as_t.csv", Some(763.0), "10 of 1.89253 from 22 to 31"),
            (
                "counts_above_population.csv",
                Some(763.0),
                "counts_above_population.csv:4: `900` is not a count of a population of 763; ",
            ),
            (
                "negative_correction.csv",
                Some(763.0),
                "negative_correction.csv:4: `-4` is not a count of a population of 763; ",
            ),
            ("sigma_in_counts.csv", Some(100.0), good),
            (
                "thousands_point_german.csv",
                Some(1e5),
                "thousands_point_german.csv:2: `1.287` may have a mark of thousands; ",
            ),
            ("thousands_quoted.csv", Some(1e5), "thousands_quoted.csv:2: `1,287` may have a mark of thousands; "),
            ("bombay_deaths_as_I_weeks.csv", Some(1e4), "31 of 0.9043 from 1 to 31"),
            ("china_jan2020.csv", Some(1e6), "12 of 0.013079 from 0 to 11"),
            ("hagelloch_incidence_as_I.csv", Some(188.0), "48 of 0.994681 from 0 to 47"),
            ("harbin_cumulative_deaths_as_R_weeks.csv", Some(2985.0), "17 of 3.743049 from 2 to 18"),
            ("italy_I_and_R_30_days.csv", Some(6.04e7), "60 of 0.009507 from 0 to 29"),
        ];
        for (file, population, expected) in tables {
            let options = ObservationOptions { sigma: None, population };
            let found = match read(&folder.join(file), Ode::Sir, options) {
                Ok(seen) => {
                    let sum: f32 = seen.observations.iter().map(|seen| seen.value).sum();
                    let times = seen.observations.iter().map(|seen| seen.t);
                    let (first, last) = times.fold((f32::MAX, f32::MIN), |(lo, hi), t| (lo.min(t), hi.max(t)));
                    format!("{} of {} from {first} to {last}", seen.observations.len(), (sum * 1e6).round() / 1e6)
                }
                Err(error) => error.to_string(),
            };
            assert!(found.contains(expected), "{file}: {found}");
        }
        for entry in std::fs::read_dir(&folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name.ends_with(".md") || tables.iter().any(|(file, ..)| *file == name), "{name} is not tried");
        }
    }
}
