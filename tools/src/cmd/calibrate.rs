//! `sirocco calibrate`: estimates the unknown quantities of a problem, from the counts of an outbreak or from observations of any
//! system.

mod outbreak;

use crate::Error;
use crate::estimate::knowledge::Knowledge;
use crate::input::domain::DomainOptions;
use crate::input::observations::{self, ObservationOptions, Observed};
use crate::input::outbreak::OutbreakOptions;
use crate::input::problem::ProblemOptions;
use crate::input::quantities;
use crate::output::{Output, finite, map};
use crate::port::{HELP, SolverArguments};
use crate::solver::Solver;
use serde::Serialize;
use sirocco::calibrate::{self, Calibration, Forecast, Task, Uncertain};
use sirocco::math::sqrt;
use sirocco::ode::Ode;
use sirocco::query::Query;
use std::path::{Path, PathBuf};

/// Estimate what is behind the counts of an outbreak, or the rates behind observations of any system
///
/// Given a TABLE of counts by date or by number (new cases, people infected, deaths; `sirocco data` has some to try), it prints the
/// reproduction number, the infectious period and the start with intervals, what follows from them, a forecast, and in
/// sentences what all of it means. What was understood of the table is always said. --population is the size of the population.
///
/// With --observations, it estimates any quantities of the model's system from shares of its state. It prints the estimates with their standard errors, how well they fit, and the forecast; for SIR also the reproduction
/// numbers, the peak, and the share that is never infected.
///
/// With --port, the device computes, from observations that it is sent. With --model alone, this machine computes the
/// same bits. With --domain, this machine solves the equations by the Runge-Kutta method, for problems that no model
/// covers.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sirocco data boarding-school --out school.csv
  sirocco calibrate school.csv --population 763 --out school.svg
  sirocco calibrate cases.csv --population 102225 --reporting 0.5 --until 2015-12-31
  sirocco calibrate cases.csv --population 60000000 --find-changes --port qemu:qemu-mps2-an386
  sirocco calibrate --model sir.safetensors --observations seen.csv --free beta,gamma --fix I0=0.3,R0=0.1
  sirocco calibrate --port qemu:qemu-mps2-an386 --observations seen.csv --free beta,gamma,I0 --fix R0=0.1 --json
  sirocco calibrate --domain t=0:14,I0=0.001:0.02,R0=0:0.05,beta=1:2.5,gamma=0.2:0.8 \\
    --observations tests/data/influenza-boarding-school-1978.csv --population 763 --free I0,beta,gamma --fix R0=0

The first line of a file for --observations names its columns: t (the time), component (as S, I or R), value (a share) or count (of \
--population), and perhaps sigma (the standard deviation). Without sigma, all observations have the same weight, and \
their error is estimated from the residuals.

{HELP}"))]
pub struct Arguments {
    /// Table of the counts of an outbreak, as CSV
    #[arg(value_name = "TABLE", required_unless_present = "observations")]
    table: Option<PathBuf>,
    #[command(flatten)]
    solver: SolverArguments,
    /// Model file that this machine computes with; with a qemu: port, the model for the board's slot. For a table, the built-in
    /// model of every epidemic if left out
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// CSV file of observations of the state; see below
    #[arg(long, value_name = "FILE", conflicts_with = "table")]
    observations: Option<PathBuf>,
    #[command(flatten)]
    problem: ProblemOptions,
    #[command(flatten)]
    observed: ObservationOptions,
    /// Time of the effective reproduction number; the last observation if left out
    #[arg(long, value_name = "T")]
    now: Option<f32>,
    /// Time of the forecast; the last time of the model's domain if left out
    #[arg(long, value_name = "T")]
    horizon: Option<f32>,
    #[command(flatten)]
    domain: DomainOptions,
    /// Image file to write, with a table: NAME.svg or NAME.png
    #[arg(long, value_name = "FILE", requires = "table")]
    out: Option<PathBuf>,
    /// Seed of the draws that give what follows from the estimates its intervals
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    knowledge: Knowledge,
    #[command(flatten)]
    reading: OutbreakOptions,
}

/// Correlations above this are said: the estimates can hardly be told apart.
const CLOSE: f32 = 0.9;

/// An observation further from the fit than this many standard deviations is named: chance does that to one in 16,000.
const OUTLYING: f32 = 4.0;

/// An estimate.
#[derive(Serialize)]
pub(crate) struct Estimate {
    value: f32,
    standard_error: Option<f32>,
    identified: bool,
    at_bound: bool,
}

/// A quantity that follows from the estimates.
#[derive(Serialize)]
pub(crate) struct Derived {
    value: Option<f32>,
    standard_error: Option<f32>,
}

impl From<Uncertain> for Derived {
    fn from(u: Uncertain) -> Self {
        Derived { value: finite(u.value), standard_error: finite(u.standard_error) }
    }
}

/// The result of a calibration.
#[derive(Serialize)]
pub(crate) struct Report {
    #[serde(serialize_with = "map")]
    estimates: Vec<(String, Estimate)>,
    #[serde(serialize_with = "map")]
    fixed: Vec<(String, f32)>,
    covariance: Vec<Vec<Option<f32>>>,
    chi_square: f32,
    residual_variance: Option<f32>,
    weights: &'static str,
    observations: u16,
    evaluations: u16,
    starts: u8,
    converged: bool,
    condition: Option<f32>,
    ticks: Option<u32>,
    now: f32,
    horizon: f32,
    #[serde(serialize_with = "map")]
    forecast: Vec<(String, Option<Derived>)>,
    /// The observation that is furthest from the fit, if that is no chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    outlier: Option<Outlier>,
}

/// An observation that the fit does not meet.
#[derive(Serialize)]
pub(crate) struct Outlier {
    t: f32,
    component: String,
    observed: f32,
    fitted: f32,
    /// How many standard deviations they are apart; with relative weights, of what the other observations scatter by.
    deviations: f32,
}

/// A calibration with its forecast.
struct Answer {
    calibration: Calibration,
    outlier: Option<Outlier>,
    forecast: Forecast,
    ticks: Option<u32>,
}

/// The observations and what to estimate from them.
struct Question {
    ode: Ode,
    observed: Observed,
    task: Task,
    now: f32,
    horizon: f32,
}

impl Arguments {
    fn question(&self, ode: Ode, domain: &[(f32, f32)]) -> Result<Question, Error> {
        let path = self.observations.as_deref().unwrap_or(Path::new(""));
        let observed = observations::read(path, ode, self.observed)?;
        let task = self.problem.task(ode, domain, observed.relative)?;
        let last = observed.observations.iter().fold(0.0, |last: f32, o| last.max(o.t));
        let end = domain.first().map_or(last, |(_, end)| *end);
        let (now, horizon) = (self.now.unwrap_or(last), self.horizon.unwrap_or(end));
        Ok(Question { ode, observed, task, now, horizon })
    }
}

/// Calibrates and prints the result.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    if let Some(table) = &arguments.table {
        if arguments.domain.domain.is_some() {
            return Err(Error::Usage(
                "a table of an outbreak is fitted by a model of SIR for every epidemic; leave --domain out".into(),
            ));
        }
        return outbreak::run(arguments, table, output);
    }
    if arguments.solver.port.is_none() && arguments.model.is_none() && arguments.domain.domain.is_none() {
        return Err(Error::Usage("give --port, --model or --domain, to say what computes".into()));
    }
    let solver = arguments.solver.solver(arguments.model.as_deref(), &arguments.domain, output)?;
    let (question, answer) = by_model(arguments, solver)?;
    let Answer { calibration, outlier, forecast, ticks } = answer;
    let report = Report { outlier, ..Report::of(question.ode, &calibration, &forecast, question.now, ticks) };
    if output.json {
        question.observed.remarks.iter().for_each(|remark| output.progress(remark));
    }
    output.result(&report, |report| print(report, &question));
    Ok(())
}

fn by_model(arguments: &Arguments, mut solver: Solver) -> Result<(Question, Answer), Error> {
    let question = arguments.question(solver.ode(), solver.domain())?;
    let Question { observed, task, now, horizon, .. } = &question;
    let calibration = solver.calibrate(&observed.observations, task)?;
    let (calibration, ticks) = calibration.map_err(|source| Error::Calibration { source })?;
    let query = Query { t: *horizon, ..calibration.problem };
    let forecast = solver.forecast(&calibration, *now, *horizon)?;
    let forecast = forecast.map_err(|source| solver.unanswered(&query, source))?;
    let outlier = outlier(&mut solver, &question, &calibration)?;
    Ok((question, Answer { calibration, outlier, forecast, ticks }))
}

/// The observation that is furthest from the fit, if it is further than chance puts one of all.
fn outlier(solver: &mut Solver, question: &Question, calibration: &Calibration) -> Result<Option<Outlier>, Error> {
    let mut worst: Option<Outlier> = None;
    // With relative weights, an observation is judged by the scatter of the others: an externally studentized residual.
    let freedom = f32::from(calibration.observations) - calibration.estimates.len() as f32;
    let variance = calibration.residual_variance().filter(|_| calibration.relative);
    for seen in &question.observed.observations {
        let Ok(forecast) = solver.forecast(calibration, question.now, seen.t)? else { continue };
        let fitted = forecast.state.get(usize::from(seen.component)).map_or(f32::NAN, |state| state.value);
        let residual = (seen.value - fitted) / seen.sigma;
        let deviations = match variance {
            None => residual.abs(),
            Some(variance) => {
                let square = residual * residual / variance;
                let others = (freedom - square).max(f32::EPSILON);
                sqrt(square * (freedom - 1.0).max(0.0) / others)
            }
        };
        if deviations > worst.as_ref().map_or(OUTLYING, |worst| worst.deviations) {
            let component = quantities::state_name(question.ode, seen.component);
            worst = Some(Outlier { t: seen.t, component, observed: seen.value, fitted, deviations });
        }
    }
    Ok(worst)
}

impl Report {
    /// The report on a calibration and its forecast; `now` is the time of the effective reproduction number.
    pub(crate) fn of(ode: Ode, c: &Calibration, forecast: &Forecast, now: f32, ticks: Option<u32>) -> Self {
        let (free, names) = (c.free(), ode.quantity_names().collect::<Vec<_>>());
        let name = |index: u8| names.get(usize::from(index)).copied().unwrap_or("?").to_owned();
        let estimate = |e: &calibrate::Estimate| {
            let standard_error = finite(e.standard_error);
            let (value, identified, at_bound) = (e.value, e.identified, e.at_bound);
            (name(e.quantity), Estimate { value, standard_error, identified, at_bound })
        };
        let values = (0u8..).zip(c.problem.quantities(ode)).take(names.len()).skip(1);
        let unknowns = 0..c.estimates.len();
        let row = |i: usize| unknowns.clone().map(|j| finite(c.covariance.entry(i, j))).collect();
        let mut derived = quantities::state(ode, forecast.state.map(|u| Some(Derived::from(u))));
        if let Some(outlook) = &forecast.outlook {
            derived.extend([
                ("basic_reproduction_number".to_owned(), Some(outlook.basic.into())),
                ("effective_reproduction_number".to_owned(), Some(outlook.effective.into())),
                ("peak_day".to_owned(), outlook.peak_time.map(Derived::from)),
                ("peak_height".to_owned(), Some(outlook.peak_height.into())),
                ("never_infected".to_owned(), Some(outlook.never_infected.into())),
            ]);
        }
        Report {
            estimates: c.estimates.iter().map(estimate).collect(),
            fixed: values.filter(|(i, _)| !free.contains(*i)).map(|(i, v)| (name(i), v)).collect(),
            covariance: unknowns.clone().map(row).collect(),
            chi_square: c.chi_square,
            residual_variance: c.residual_variance(),
            weights: if c.relative { "relative" } else { "absolute" },
            observations: c.observations,
            evaluations: c.evaluations,
            starts: c.starts,
            converged: c.converged,
            condition: finite(c.condition),
            ticks,
            now,
            horizon: forecast.horizon,
            forecast: derived,
            outlier: None,
        }
    }
}

/// A number with five digits after the point, or with three digits in all where those would be zeros.
fn shown(value: f32) -> String {
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:.2e}") } else { format!("{value:.5}") }
}

/// How much larger the residuals are than standard deviations that were given, if they are too large to be chance.
fn misfit(report: &Report) -> Option<f32> {
    let variance = report.residual_variance.filter(|_| report.weights == "absolute")?;
    let freedom = f32::from(report.observations).max(2.0) - report.estimates.len() as f32;
    // Five standard deviations of chi-square over its degrees of freedom.
    let most = 1.0 + 5.0 * sqrt(2.0 / freedom.max(1.0));
    (variance > most).then(|| sqrt(variance))
}

/// Pairs of estimates that hardly can be told apart.
fn correlated(report: &Report) -> Vec<(&str, &str, f32)> {
    let entry = |i: usize, j: usize| report.covariance.get(i)?.get(j).copied().flatten();
    let mut pairs = Vec::new();
    for (i, (one, _)) in report.estimates.iter().enumerate() {
        for (j, (other, _)) in report.estimates.iter().enumerate().skip(i + 1) {
            if let (Some(a), Some(b), Some(c)) = (entry(i, i), entry(j, j), entry(i, j)) {
                let correlation = c / sqrt(a * b);
                if correlation.abs() > CLOSE {
                    pairs.push((one.as_str(), other.as_str(), correlation));
                }
            }
        }
    }
    pairs
}

fn print(report: &Report, question: &Question) {
    for remark in &question.observed.remarks {
        say!("{remark}");
    }
    let error = |e: Option<f32>| e.map_or_else(|| "unknown".to_owned(), shown);
    for (name, e) in &report.estimates {
        let note = match (e.identified, e.at_bound) {
            (_, true) => "   at the end of the model's range",
            (false, _) => "   NOT IDENTIFIED by these data",
            _ => "",
        };
        say!("{name:<16} {:>9} +- {}{note}", shown(e.value), error(e.standard_error));
    }
    for (name, value) in &report.fixed {
        say!("{name:<16} {:>9}    as given", shown(*value));
    }
    let variance = report.residual_variance.map(|v| format!(", residual variance {v:.3e}")).unwrap_or_default();
    say!("fit              chi-square {:.3e} of {} observations{variance}", report.chi_square, report.observations);
    if let Some(times) = misfit(report) {
        say!("does not fit     residuals are {times:.1} times as large as the standard deviations given");
    }
    let people = question.observed.population;
    let count = |share: f32| people.map_or_else(|| shown(share), |people| format!("{:.1}", share * people));
    if let Some(Outlier { t, component, observed, fitted, deviations }) = &report.outlier {
        let (component, observed, fitted) = (component.to_uppercase(), count(*observed), count(*fitted));
        say!(
            "outlier          {component} = {observed} at t = {t} is {deviations:.1} standard deviations from the fit ({fitted}): check it"
        );
    }
    for (one, other, correlation) in correlated(report) {
        say!("correlation      {one} and {other}: {correlation:.3}");
    }
    if !report.converged {
        say!("converged        NO: take these numbers as a first guess");
    }
    let effective = if question.ode == Ode::Sir { format!(" (and R_t at {})", report.now) } else { String::new() };
    say!("\nat t = {}{effective}, one standard error each", report.horizon);
    let states = question.ode.state_names();
    for ((name, derived), index) in report.forecast.iter().zip(0..) {
        let name = states.get(index).map_or_else(|| name.replace('_', " "), |state| (*state).to_owned());
        let counted = people.is_some()
            && (states.get(index).is_some() || name.starts_with("peak height") || name.starts_with("never"));
        match derived {
            Some(Derived { value: Some(value), standard_error }) if counted => {
                let error = standard_error.map_or_else(|| "unknown".to_owned(), &count);
                say!("{:<30} {:>9} +- {error}", format!("{name}, people"), count(*value));
            }
            Some(d) => say!("{name:<30} {:>9} +- {}", shown(d.value.unwrap_or(f32::NAN)), error(d.standard_error)),
            None => say!("{name:<30} after the end of the model's domain"),
        }
    }
}
