//! Observations in a CSV file: `t,component,value[,sigma]`, or `t,component,count` of a population.

use crate::Error;
use crate::input::quantities;
use crate::table::Table;
use sirocco::calibrate::Observation;
use sirocco::ode::Ode;
use std::path::Path;

/// What a file of observations may leave unsaid.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ObservationOptions {
    /// Standard deviation of every observation, as a share, if the file has no column `sigma`
    #[arg(long, value_parser = positive)]
    pub sigma: Option<f32>,
    /// Size of the population: observed values are counts of it, and answers are shown as counts
    #[arg(long, value_name = "N", value_parser = positive)]
    pub population: Option<f32>,
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
}

/// Reads observations of `ode`. Lines that begin with `#` are comments; the first other line names the columns.
///
/// Counts and their standard deviations are divided by the population. Without a column `sigma`, every observation has
/// the standard deviation `--sigma`; without that option, all have the same weight and the residuals tell their error.
///
/// # Errors
/// [`Error::File`] if the file cannot be read, [`Error::Usage`] with the number of a line that is wrong.
pub fn read(path: &Path, ode: Ode, options: ObservationOptions) -> Result<Observed, Error> {
    let ObservationOptions { sigma, population } = options;
    let table = Table::read(path, "columns are t,component,value[,sigma]")?;
    if table.columns.is_empty() {
        return Err(table.wrong(table.header, "no observations"));
    }
    let column = |names: &[&str]| table.columns.iter().position(|column| names.contains(&column.as_str()));
    let need =
        |names: &[&str]| column(names).ok_or_else(|| table.wrong(table.header, format!("no column `{}`", names[0])));
    let (t, component, value) = (need(&["t"])?, need(&["component"])?, need(&["value", "count"])?);
    let sigma_column = column(&["sigma"]);
    let unit = match (table.columns[value].as_str(), population) {
        ("count", None) => return Err(Error::Usage("counts need --population".into())),
        (_, population) => population.unwrap_or(1.0),
    };
    let mut observations = Vec::new();
    for row in &table.rows {
        let known = quantities::component(ode, row.field(component));
        let component = known.map_err(|unknown| table.wrong(row.line, unknown))?;
        let sigma = match sigma_column {
            Some(at) => table.number(row, at)? / unit,
            None => sigma.unwrap_or(1.0),
        };
        observations.push(Observation {
            t: table.number(row, t)?,
            component,
            value: table.number(row, value)? / unit,
            sigma,
        });
    }
    Ok(Observed { observations, relative: sigma_column.is_none() && sigma.is_none() })
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
}
