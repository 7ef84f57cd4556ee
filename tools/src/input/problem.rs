//! Which quantities of a problem are known and which are to be estimated: `--fix` and `--free`.

use crate::Error;
use crate::input::quantities;
use sirocco::calibrate::{Free, Task};
use sirocco::ode::Ode;
use sirocco::query::Query;

/// The unknown quantities, and the values of the others.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ProblemOptions {
    /// Quantities to estimate; without this option, all that neither --fix gives nor the model holds fixed
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub free: Vec<String>,
    /// Known quantities and their values; those that the model holds fixed may be left out
    #[arg(long, value_name = "NAME=VALUE,...", value_parser = quantities::parse)]
    pub fix: Option<::std::vec::Vec<(String, f32)>>,
}

impl ProblemOptions {
    /// The calibration task for a model with this domain; `relative` as in [`Task`].
    ///
    /// # Errors
    /// [`Error::Usage`] for names that the system does not have, and for quantities that are neither free nor known.
    pub fn task(&self, ode: Ode, domain: &[(f32, f32)], relative: bool) -> Result<Task, Error> {
        let choices = ode.quantity_names().skip(1).collect::<Vec<_>>().join(", ");
        let known: &[(String, f32)] = self.fix.as_deref().unwrap_or_default();
        let is_known = |name: &str| known.iter().any(|(given, _)| given == name);
        if let Some((name, _)) = known.iter().find(|(name, _)| !ode.quantity_names().any(|known| known == name)) {
            return Err(Error::Usage(format!("the system has no quantity `{name}`; it has {choices}")));
        }
        for (name, value) in known {
            quantities::not_a_reproduction_number(ode, name, *value)?;
        }
        let open = ode.quantity_names().zip(domain).skip(1).filter(|(name, (lo, hi))| lo < hi && !is_known(name));
        let names: Vec<&str> = match self.free.as_slice() {
            [] => open.map(|(name, _)| name).collect(),
            named => named.iter().map(|name| name.trim()).collect(),
        };
        let unknown = || Error::Usage(format!("cannot estimate `{}`; --free takes {choices}", names.join(",")));
        let free = Free::of(ode, &names).ok_or_else(unknown)?;
        let ranges = || ode.quantity_names().zip(domain).skip(1);
        if let Some((name, (at, _))) = ranges().find(|(name, (lo, hi))| lo == hi && names.contains(name)) {
            return Err(Error::Usage(format!(
                "the model holds `{name}` at {at}, so it cannot be estimated; leave it out of --free"
            )));
        }
        let mut values = Vec::new();
        for ((name, (lo, hi)), index) in ode.quantity_names().zip(domain).zip(0u8..) {
            let given = known.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
            let fixed = (lo == hi || index == 0 || free.contains(index)).then_some(*lo);
            let missing = || Error::Usage(format!("`{name}` is neither free nor known; add --fix {name}=..."));
            values.push(given.or(fixed).ok_or_else(missing)?);
        }
        for (name, value) in known {
            if let Some((_, (lo, hi))) =
                ranges().find(|(known, (lo, hi))| known == name && !(*lo..=*hi).contains(value))
            {
                return Err(Error::Usage(format!(
                    "{name}={value} lies outside the model's domain, {lo} to {hi}; with --domain this machine solves the equations elsewhere"
                )));
            }
        }
        Ok(Task { free, fixed: Query::from_quantities(ode, &values), relative })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: [(f32, f32); 5] = [(0.0, 20.0), (0.2, 0.4), (0.1, 0.3), (0.4, 0.8), (0.5, 0.5)];

    fn task(free: &[&str], fix: &str) -> Result<Task, Error> {
        let free = free.iter().map(|name| (*name).to_owned()).collect();
        let fix = (!fix.is_empty()).then(|| quantities::parse(fix).unwrap());
        ProblemOptions { free, fix }.task(Ode::Sir, &DOMAIN, true)
    }

    #[test]
    fn what_is_not_named_is_free_where_the_model_leaves_it_open() {
        assert_eq!(task(&[], "").unwrap().free, Free::of(Ode::Sir, &["I0", "R0", "beta"]).unwrap());
        let task = task(&[], "I0=0.25,R0=0.2").unwrap();
        assert_eq!(task.free, Free::of(Ode::Sir, &["beta"]).unwrap());
        assert_eq!((task.fixed.initial[0], task.fixed.rates[1]), (0.25, 0.5));
    }

    #[test]
    fn unknown_and_missing_names_are_named() {
        let error = |free: &[&str], fix: &str| task(free, fix).unwrap_err().to_string();
        assert!(error(&["delta"], "").contains("delta"));
        assert!(error(&[], "delta=1").contains("`delta`"));
        assert!(error(&["beta"], "I0=0.3,R0=3.7").contains("beta / gamma"));
        assert!(error(&["beta"], "R0=0.2").contains("`I0` is neither free nor known"));
        assert!(error(&["gamma"], "").contains("the model holds `gamma` at 0.5"));
        assert!(error(&["beta"], "I0=0.9,R0=0.2").contains("I0=0.9 lies outside the model's domain, 0.2 to 0.4"));
    }
}
