//! Equations that this machine solves by the Runge-Kutta method, for problems that no model covers: `--domain`.

use crate::Error;
use sirocco::bundle::{Range, named_range};
use sirocco::calibrate::Numerical;
use sirocco::ode::Ode;

/// A system of equations and the range of each of its quantities.
#[derive(Debug, Clone, clap::Args)]
pub struct DomainOptions {
    /// Solve by the Runge-Kutta method in this domain, instead of using a model
    #[arg(long, value_name = "NAME=LO:HI,...", value_parser = ranges, conflicts_with_all = ["port", "model"])]
    pub domain: Option<::std::vec::Vec<(String, Range)>>,
    /// System of equations to solve, with --domain
    #[arg(long, default_value = "sir", requires = "domain")]
    pub system: String,
    /// Largest step in time, with --domain
    #[arg(long, default_value_t = 0.1, requires = "domain")]
    pub step: f32,
}

impl DomainOptions {
    /// The method for the equations, if `--domain` is given.
    ///
    /// # Errors
    /// [`Error::Usage`] for a system that is not known, a range that is missing, or one of a quantity that the system does not
    /// have.
    pub fn numerical(&self) -> Result<Option<Numerical>, Error> {
        let Some(ranges) = &self.domain else { return Ok(None) };
        let known = || Ode::ALL.iter().map(|ode| ode.name()).collect::<Vec<_>>().join(", ");
        let unknown = || Error::Usage(format!("no system is called `{}`; there are {}", self.system, known()));
        let ode = Ode::from_name(&self.system).ok_or_else(unknown)?;
        let names = ode.quantity_names().collect::<Vec<_>>();
        if let Some((name, _)) = ranges.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            let (system, names) = (ode.name(), names.join(", "));
            return Err(Error::Usage(format!("{system} has no quantity `{name}`; --domain takes {names}")));
        }
        let mut domain = Vec::new();
        for name in names {
            let missing = || Error::Usage(format!("--domain has no range for `{name}`; add {name}=LO:HI"));
            domain.push(ranges.iter().find(|(given, _)| given == name).ok_or_else(missing)?.1);
        }
        let odd = || Error::Usage("--domain takes finite ranges with lo <= hi, and --step a positive number".into());
        Numerical::new(ode, &domain, self.step).ok_or_else(odd).map(Some)
    }
}

/// Parses `name=lo:hi,...`.
fn ranges(text: &str) -> Result<Vec<(String, Range)>, String> {
    let range = |part: &str| {
        let (name, [lo, hi]) = named_range(part)?;
        Some((name.trim().to_owned(), Range { lo: lo.trim().parse().ok()?, hi: hi.trim().parse().ok()? }))
    };
    text.split(',').map(|part| range(part).ok_or_else(|| format!("`{part}` is not NAME=LO:HI"))).collect()
}
