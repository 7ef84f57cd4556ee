//! Queries and states by the names of their quantities: as options such as `--t 10 --I0 0.3`, as one list
//! `t=10,I0=0.3,R0=0.2,beta=0.6,gamma=0.5`, or as the columns of a CSV file.

use crate::Error;
use crate::table::{Row, Table};
use clap::{Arg, ArgMatches, Command, value_parser};
use sirocco::ode::Ode;
use sirocco::query::Query;
use sirocco::summary::{Content, ModelInfo};
use std::path::Path;

/// Values by name, in the order in which they were given.
pub type Named = Vec<(String, f32)>;

/// Parses `name=value,...`.
///
/// # Errors
/// A message for the user, if a part is not of this form.
pub fn parse(text: &str) -> Result<Named, String> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is not NAME=VALUE"))?;
        let value = value.trim().parse().ok().filter(|value: &f32| value.is_finite());
        Ok((name.trim().to_owned(), value.ok_or_else(|| format!("`{part}` has no finite number; write NAME=0.5"))?))
    };
    text.split(',').map(pair).collect()
}

/// One option for each quantity of any system, with its name. Which of them a model takes is known only once it is
/// open.
#[derive(Debug, Clone, Default)]
pub struct QuantityOptions(Named);

/// The name of each quantity once, with the systems that have it.
fn choices() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut choices: Vec<(&str, Vec<&str>)> = Vec::new();
    for ode in Ode::ALL {
        for name in ode.quantity_names() {
            match choices.iter_mut().find(|(known, _)| *known == name) {
                Some((_, systems)) => systems.push(ode.name()),
                None => choices.push((name, vec![ode.name()])),
            }
        }
    }
    choices
}

impl QuantityOptions {
    /// The values given, by name.
    pub fn named(&self) -> &Named {
        &self.0
    }
}

impl clap::FromArgMatches for QuantityOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut options = Self::default();
        options.update_from_arg_matches(matches)?;
        Ok(options)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let given = choices().into_iter().filter_map(|(name, _)| Some((name.to_owned(), *matches.get_one(name)?)));
        self.0 = given.collect();
        Ok(())
    }
}

impl clap::Args for QuantityOptions {
    fn augment_args(command: Command) -> Command {
        let option = |(name, systems): (&'static str, Vec<&'static str>)| {
            let what = if name == "t" { "Time".to_owned() } else { format!("A quantity of {}", systems.join(", ")) };
            let option = Arg::new(name).long(name).help(what).value_name("VALUE").value_parser(value_parser!(f32));
            option.allow_negative_numbers(true).conflicts_with("queries").help_heading("Quantities")
        };
        command.args(choices().into_iter().map(option))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The range of each quantity of a system, in the system's order.
type Domain = [(f32, f32)];

/// The system of equations of a device's model, and its domain: the range of each quantity of the system.
///
/// # Errors
/// [`Error::NoBundle`] for an image network, [`Error::Usage`] if the system is unknown to these tools.
pub fn system(model: &ModelInfo) -> Result<(Ode, &Domain), Error> {
    let Content::Bundle(bundle) = &model.content else { return Err(Error::NoBundle) };
    let unknown = || Error::Usage(format!("the device's system `{}` is unknown; update these tools", bundle.ode));
    let ode = Ode::from_name(&bundle.ode).ok_or_else(unknown)?;
    Ok((ode, bundle.domain.get(..ode.quantity_names().count()).unwrap_or(&bundle.domain)))
}

/// The quantities of a query that lie outside the domain, each with its value and its range, for people.
pub fn outside(ode: Ode, domain: &[(f32, f32)], query: &Query) -> Vec<String> {
    let values = ode.quantity_names().zip(query.quantities(ode)).zip(domain);
    let outside = values.filter(|((_, value), (lo, hi))| !(*lo..=*hi).contains(value));
    outside.map(|((name, value), (lo, hi))| format!("{name}={value} ({lo} to {hi})")).collect()
}

/// A query with the named quantities. Those that the model holds fixed (whose range in `domain` is one value) may be
/// left out.
///
/// # Errors
/// [`Error::Usage`] for a name that is unknown, repeated or missing, and for another value than the one that the model holds fixed.
pub fn query(ode: Ode, domain: &[(f32, f32)], named: &Named) -> Result<Query, Error> {
    let names: Vec<&str> = ode.quantity_names().collect();
    let list = names.join(", ");
    for (position, (name, value)) in named.iter().enumerate() {
        not_a_reproduction_number(ode, name, *value)?;
        if !names.contains(&name.as_str()) {
            return Err(Error::Usage(format!("the model has no quantity `{name}`; it takes {list}")));
        }
        if named.iter().take(position).any(|(earlier, _)| earlier == name) {
            return Err(Error::Usage(format!("`{name}` is given twice; give it once")));
        }
    }
    let mut values = Vec::new();
    for (name, &(lo, hi)) in names.iter().zip(domain) {
        let given = named.iter().find(|(n, _)| n == name).map(|(_, value)| *value);
        let fixed = (lo == hi).then_some(lo);
        if let (Some(given), Some(fixed)) = (given, fixed.filter(|fixed| given.is_some_and(|given| given != *fixed))) {
            return Err(Error::Usage(format!(
                "the model holds `{name}` at {fixed} and has no answer for {name}={given}; leave it out, or take a model with a range \
                 for it"
            )));
        }
        let missing =
            || Error::Usage(format!("`{name}` is missing; give --{name}, or all in one: --at {}", template(&names)));
        values.push(given.or(fixed).ok_or_else(missing)?);
    }
    Ok(Query::from_quantities(ode, &values))
}

/// Refuses an R0 above 1: in these systems it is a share, and elsewhere often the name of the reproduction number.
///
/// # Errors
/// [`Error::Usage`] that says so.
pub fn not_a_reproduction_number(ode: Ode, name: &str, value: f32) -> Result<(), Error> {
    if name == "R0" && value > 1.0 && ode.conserved() {
        return Err(Error::Usage(format!(
            "R0={value}: R0 is the share that is recovered at the start, at most 1; the reproduction number is beta / gamma, so give \
             beta={value} times gamma"
        )));
    }
    Ok(())
}

/// The query at which a trajectory begins: as [`query`], but `t` may be left out and is then 0.
///
/// # Errors
/// As for [`query`].
pub fn problem(ode: Ode, domain: &[(f32, f32)], named: &Named) -> Result<Query, Error> {
    let mut named = named.clone();
    if !named.iter().any(|(name, _)| name == "t") {
        named.push(("t".to_owned(), 0.0));
    }
    query(ode, domain, &named)
}

/// The index of a component of the state, whose name may be in either case.
///
/// # Errors
/// A message that lists the names, if this is none of them.
pub fn component(ode: Ode, name: &str) -> Result<u8, String> {
    let found = ode.state_names().iter().zip(0u8..).find(|(known, _)| known.eq_ignore_ascii_case(name));
    let unknown = || format!("the system has no component `{name}`; it has {}", ode.state_names().join(", "));
    found.map(|(_, index)| index).ok_or_else(unknown)
}

/// Values of the state's components with their names, in lower case as JSON has them.
pub fn state<T>(ode: Ode, values: impl IntoIterator<Item = T>) -> Vec<(String, T)> {
    ode.state_names().iter().map(|name| name.to_lowercase()).zip(values).collect()
}

/// The name of a component of the state, in lower case as JSON has it.
pub fn state_name(ode: Ode, component: u8) -> String {
    ode.state_names().get(usize::from(component)).map(|name| name.to_lowercase()).unwrap_or_default()
}

fn template(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name}=...")).collect::<Vec<_>>().join(",")
}

/// A query as `name=value,...`, with as many digits as tell the values exactly.
pub fn text(ode: Ode, query: &Query) -> String {
    let values = ode.quantity_names().zip(query.quantities(ode));
    values.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

/// Reads queries from a CSV file whose first line names the quantities.
///
/// # Errors
/// [`Error::File`] if the file cannot be read, [`Error::Usage`] with the number of a line that is wrong.
pub fn read_csv(path: &Path) -> Result<Vec<Named>, Error> {
    let table = Table::read(path, "name the quantities in the first line")?;
    let named = |row: &Row| {
        // R writes the numbers of rows in a first column without a name.
        let columns = table.columns.iter().enumerate().filter(|(column, name)| *column > 0 || !name.is_empty());
        columns.map(|(column, name)| Ok((name.clone(), table.number(row, column)?))).collect()
    };
    table.rows.iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    const DOMAIN: [(f32, f32); 5] = [(0.0, 20.0), (0.2, 0.4), (0.1, 0.3), (0.4, 0.8), (0.5, 0.5)];

    #[test]
    fn names_come_in_any_order_and_fixed_ones_may_be_left_out() {
        let named = parse("beta=0.6, I0=0.3,t=10,R0=0.2").unwrap();
        let query = query(Ode::Sir, &DOMAIN, &named).unwrap();
        assert_eq!(text(Ode::Sir, &query), "t=10,I0=0.3,R0=0.2,beta=0.6,gamma=0.5");
    }

    #[test]
    fn unknown_repeated_and_missing_names_are_named() {
        let error = |text: &str| query(Ode::Sir, &DOMAIN, &parse(text).unwrap()).unwrap_err().to_string();
        assert!(error("t=1,delta=2").contains("`delta`"));
        assert!(error("t=1,t=2").contains("twice"));
        assert!(error("t=1,I0=.3,R0=.2").contains("`beta` is missing"));
        assert!(
            error("t=1,R0=3.7")
                .contains("R0=3.7: R0 is the share that is recovered at the start, at most 1; the reproduction number")
        );
        assert!(parse("t").unwrap_err().contains("NAME=VALUE"));
        assert!(parse("t=ten").unwrap_err().contains("`t=ten`"));
        assert!(parse("t=1,I0=nan").unwrap_err().contains("`I0=nan` has no finite number"));
        let held = error("t=1,I0=.3,R0=.2,beta=.5,gamma=.6");
        assert!(held.contains("holds `gamma` at 0.5 and has no answer for gamma=0.6"), "{held}");
    }

    #[test]
    fn csv_errors_name_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.csv");
        std::fs::write(&path, "t,I0\n1,0.2\n\n2,0.3\n").unwrap();
        assert_eq!(read_csv(&path).unwrap()[1], [("t".to_owned(), 2.0), ("I0".to_owned(), 0.3)]);
        std::fs::write(&path, "t,I0\n1\n").unwrap();
        assert!(read_csv(&path).unwrap_err().to_string().contains("q.csv:2: 1 fields"));
        std::fs::write(&path, "\"\";\"t\";\"I0\"\r\n\"1\";1,5;0,25\r\n").unwrap();
        assert_eq!(read_csv(&path).unwrap(), [[("t".to_owned(), 1.5), ("I0".to_owned(), 0.25)]]);
        std::fs::write(&path, "t\n1\nnan\n").unwrap();
        assert!(read_csv(&path).unwrap_err().to_string().contains("q.csv:3: `nan` is not a finite number"));
        std::fs::write(&path, "t\n1\nx\n").unwrap();
        assert!(read_csv(&path).unwrap_err().to_string().contains("q.csv:3: `x`"));
    }
}
