//! `sirocco plot`: draws trajectories, calibrations and kept images.

use crate::Error;
use crate::cmd::samples;
use crate::curve::{Certified, Fit, certified, fit};
use crate::figure::{self, Format, Units};
use crate::input::domain::DomainOptions;
use crate::input::observations::{self, ObservationOptions};
use crate::input::outbreak::OutbreakOptions;
use crate::input::problem::ProblemOptions;
use crate::input::quantities;
use crate::output::{Output, finite, map};
use crate::port::{HELP, SolverArguments};
use crate::solver::Solver;
use serde::Serialize;
use sirocco::limits::MAX_TRAJECTORY;
use sirocco::ode::Ode;
use sirocco::trajectory::Trajectory;
use sirocco::wire::ask;
use sirocco_plot::Figure;
use std::path::{Path, PathBuf};

/// Plot a trajectory with its certificate, a calibration with its uncertainty, or kept images
///
/// --query draws the states over time and the error that their certificates state, and shades the times outside the
/// model's domain. --observations draws the observations, the fit with two standard errors around it, and the
/// residuals. --samples draws the entropy of the images that a device kept, in the order in which they came.
///
/// With --port, a device answers; without it, this machine does, from the model file and with the same bits, or with --domain by the Runge-Kutta method, for problems that no model covers. --out
/// writes an SVG or PNG image; --json prints the data, with or without an image.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sirocco plot sir.safetensors --query I0=0.3,R0=0.2,beta=0.6,gamma=0.5 --until 25 --out trajectory.svg
  sirocco plot --port auto --query t=5,I0=0.3,R0=0.2,beta=0.6,gamma=0.5 --points 40 --out trajectory.png
  sirocco plot sir.safetensors --observations seen.csv --free beta,gamma --fix I0=0.3,R0=0.2 --out fit.png
  sirocco plot --port auto --observations seen.csv --fix I0=0.3,R0=0.2 --json
  sirocco plot --domain t=0:60,I0=0.001:0.1,R0=0:0.1,beta=0.1:1,gamma=0.1:1 --query I0=0.01,R0=0,beta=0.4,gamma=0.2 --out sir.svg
  sirocco plot --port auto --samples --out samples.svg

{HELP}"))]
pub struct Arguments {
    /// Model file that this machine answers from; with a qemu: port, the model for the board's slot
    #[arg(value_name = "FILE")]
    model: Option<PathBuf>,
    #[command(flatten)]
    solver: SolverArguments,
    /// Quantities of a problem whose trajectory to draw; t is the first time, 0 if it is left out
    #[arg(long, value_name = "NAME=VALUE,...", value_parser = quantities::parse, required_unless_present_any = ["observations", "samples"])]
    query: Option<::std::vec::Vec<(String, f32)>>,
    /// CSV file of observations whose calibration to draw, as `sirocco calibrate --help` describes it, or a table of an outbreak that
    /// counts people infected, removed or susceptible
    #[arg(long, value_name = "FILE", conflicts_with = "query")]
    observations: Option<PathBuf>,
    /// Draw the images that a device with an image network kept
    #[arg(long, conflicts_with_all = ["query", "observations"], requires = "port")]
    samples: bool,
    #[command(flatten)]
    domain: DomainOptions,
    #[command(flatten)]
    problem: ProblemOptions,
    #[command(flatten)]
    observed: ObservationOptions,
    /// Last time to draw; the end of the model's domain if left out
    #[arg(long, value_name = "T")]
    until: Option<f32>,
    /// Number of points of a curve
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(2..=i64::from(MAX_TRAJECTORY)))]
    points: u16,
    /// Image file to write: NAME.svg or NAME.png
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Title above the plot; without it, the quantities or estimates
    #[arg(long)]
    title: Option<String>,
    /// Width in pixels; a PNG image has twice as many, for high-resolution screens
    #[arg(long, default_value_t = 720, value_parser = clap::value_parser!(u32).range(200..=4000))]
    width: u32,
    #[command(flatten)]
    reading: OutbreakOptions,
}

#[derive(Serialize)]
struct Report {
    kind: &'static str,
    system: &'static str,
    answered_by: String,
    out: Option<PathBuf>,
    points: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observations: Option<Vec<Seen>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "estimates")]
    estimates: Option<Vec<(String, Estimate)>>,
}

/// A point of the curves: with a certificate for a trajectory, with standard errors for a calibration.
#[derive(Serialize)]
struct Row {
    t: f32,
    #[serde(serialize_with = "map")]
    state: Vec<(String, Option<f32>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<Trust>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "map")]
    standard_error: Vec<(String, Option<f32>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Trust {
    error_estimate: Option<f32>,
    error_bound: Option<f32>,
    trusted: bool,
    in_domain: bool,
    plausible: bool,
}

#[derive(Serialize)]
struct Seen {
    t: f32,
    component: String,
    value: f32,
    sigma: f32,
    fitted: f32,
}

#[derive(Serialize)]
struct Estimate {
    value: f32,
    standard_error: Option<f32>,
}

fn estimates<S: serde::Serializer>(pairs: &Option<Vec<(String, Estimate)>>, to: S) -> Result<S::Ok, S::Error> {
    map(pairs.as_deref().unwrap_or_default(), to)
}

#[derive(Serialize)]
struct SamplesReport {
    kind: &'static str,
    answered_by: String,
    out: Option<PathBuf>,
    samples: Vec<samples::Row>,
    images: u32,
    threshold: Option<f32>,
    drift_score: Option<f32>,
    drift_alarm: bool,
}

/// Draws the figure and prints its data.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let file = arguments.out.as_deref().map(|path| Format::of(path).map(|format| (path, format))).transpose()?;
    if file.is_none() && !output.json {
        return Err(Error::Usage("give --out NAME.svg or NAME.png for an image, or --json for the data".into()));
    }
    if arguments.samples {
        return arguments.samples(file, output);
    }
    let mut solver = arguments.solver.solver(arguments.model.as_deref(), &arguments.domain, output)?;
    let units = Units { ode: solver.ode(), population: arguments.observed.population, width: arguments.width };
    let (figure, mut report) = match &arguments.observations {
        None => arguments.trajectory(&mut solver, units, output)?,
        Some(path) => arguments.calibration(&mut solver, path, units, output)?,
    };
    if let Some((path, format)) = file {
        format.write(path, &figure)?;
        report.out = Some(path.to_owned());
    }
    output.result(&report, |report| say(&report.out));
    Ok(())
}

fn say(out: &Option<PathBuf>) {
    if let Some(path) = out {
        say!("{}", path.display());
    }
}

impl Arguments {
    fn until(&self, solver: &Solver) -> f32 {
        self.until.unwrap_or_else(|| solver.domain().first().map_or(1.0, |(_, end)| *end))
    }

    fn samples(&self, file: Option<(&Path, Format)>, output: Output) -> Result<(), Error> {
        let connected = self.solver.connect(self.model.as_deref(), output)?;
        let (mut client, info) = connected.ok_or_else(|| Error::Usage("--samples needs --port".into()))?;
        let (description, classes, samples) = (client.ask(ask::ImageDescribe)?, client.classes()?, client.samples()?);
        let alarm = if description.drift.alarm { ", DRIFT ALARM" } else { "" };
        let usual = format!("{} of {} images kept by {}{alarm}", samples.len(), description.images, info.board);
        let figure =
            figure::samples(&self.title(usual), &samples, description.threshold, description.reference, self.width);
        if let Some((path, format)) = file {
            format.write(path, &figure)?;
        }
        let report = SamplesReport {
            kind: "samples",
            answered_by: format!("{} on {}", info.board, client.port()),
            out: file.map(|(path, _)| path.to_owned()),
            samples: samples.iter().map(|sample| samples::Row::of(sample, &classes)).collect(),
            images: description.images,
            threshold: description.threshold,
            drift_score: description.drift.score.and_then(finite),
            drift_alarm: description.drift.alarm,
        };
        output.result(&report, |report| say(&report.out));
        Ok(())
    }

    fn title(&self, usual: String) -> String {
        self.title.clone().unwrap_or(usual)
    }

    fn trajectory(&self, solver: &mut Solver, units: Units, output: Output) -> Result<(Figure, Report), Error> {
        let named = self.query.clone().unwrap_or_default();
        let problem = quantities::problem(units.ode, solver.domain(), &named)?;
        let trajectory = Trajectory { problem, until: self.until(solver), points: self.points };
        let bar = output.bar(u64::from(self.points));
        let points = certified(solver, &trajectory, |done| bar.set(u64::from(done)))?;
        let title = quantities::text(units.ode, &problem);
        let title = title.split_once(',').map_or(title.as_str(), |(_, rest)| rest).replace(',', ", ");
        let figure = figure::trajectory(&self.title(format!("{}: {title}", units.ode.name())), &points, units);
        let points = points.iter().map(|point| certified_row(units.ode, point)).collect();
        let report = Report { kind: "trajectory", points, ..Report::new(solver) };
        Ok((figure, report))
    }

    fn calibration(
        &self,
        solver: &mut Solver,
        path: &Path,
        units: Units,
        output: Output,
    ) -> Result<(Figure, Report), Error> {
        let ode = units.ode;
        let observed = observations::read_any(path, ode, self.observed, &self.reading)?;
        observed.remarks.iter().for_each(|remark| output.progress(remark));
        let units = Units { population: observed.population, ..units };
        let task = self.problem.task(ode, solver.domain(), observed.relative)?;
        let bar = output.bar(u64::from(self.points));
        let until = self.until(solver);
        let fit = fit(solver, &observed.observations, &task, until, self.points, |done| bar.set(u64::from(done)))?;
        let names: Vec<&str> = ode.quantity_names().collect();
        let name = |index: u8| names.get(usize::from(index)).copied().unwrap_or("?").to_owned();
        let estimates = fit.calibration.estimates.iter();
        let said =
            estimates.clone().map(|e| format!("{} = {:.4} ± {:.4}", name(e.quantity), e.value, e.standard_error));
        let title = said.collect::<Vec<_>>().join(", ");
        let figure = figure::calibration(&self.title(title), &fit, units);
        let estimate =
            |e: &sirocco::calibrate::Estimate| Estimate { value: e.value, standard_error: finite(e.standard_error) };
        let report = Report {
            kind: "calibration",
            points: fit_rows(ode, &fit),
            observations: Some(seen(ode, &fit)),
            estimates: Some(estimates.map(|e| (name(e.quantity), estimate(e))).collect()),
            ..Report::new(solver)
        };
        Ok((figure, report))
    }
}

impl Report {
    fn new(solver: &Solver) -> Self {
        let (system, answered_by) = (solver.ode().name(), solver.name().to_owned());
        Report { kind: "", system, answered_by, out: None, points: Vec::new(), observations: None, estimates: None }
    }
}

fn certified_row(ode: Ode, point: &Certified) -> Row {
    let (state, certificate, error) = match &point.answer {
        Ok(c) => {
            let trust = Trust {
                error_estimate: Some(c.estimate).filter(|estimate| *estimate < f32::MAX),
                error_bound: c.bound,
                trusted: c.trusted,
                in_domain: c.prediction.in_domain,
                plausible: c.prediction.plausible,
            };
            (quantities::state(ode, c.prediction.state.map(finite)), Some(trust), None)
        }
        Err(error) => (Vec::new(), None, Some(error.to_string())),
    };
    Row { t: point.t, state, certificate, standard_error: Vec::new(), error }
}

fn fit_rows(ode: Ode, fit: &Fit) -> Vec<Row> {
    let row = |(t, state): &(f32, [sirocco::calibrate::Uncertain; sirocco::limits::MAX_STATE])| Row {
        t: *t,
        state: quantities::state(ode, state.map(|u| finite(u.value))),
        certificate: None,
        standard_error: quantities::state(ode, state.map(|u| finite(u.standard_error))),
        error: None,
    };
    fit.curve.iter().map(row).collect()
}

fn seen(ode: Ode, fit: &Fit) -> Vec<Seen> {
    let pairs = fit.observations.iter().zip(&fit.fitted);
    let row = |(o, fitted): (&sirocco::calibrate::Observation, &[f32; sirocco::limits::MAX_STATE])| {
        let component = quantities::state_name(ode, o.component);
        let fitted = fitted.get(usize::from(o.component)).copied().unwrap_or(f32::NAN);
        Seen { t: o.t, component, value: o.value, sigma: o.sigma, fitted }
    };
    pairs.map(row).collect()
}
