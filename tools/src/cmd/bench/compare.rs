//! `sirocco bench --compare`: the cost of networks and of the Runge-Kutta method of order four at equal error.

use super::largest::Search;
use crate::Error;
use crate::device::bench::{BOARD, Report, SMALL_BOARD, count};
use crate::input::model_file::ModelFile;
use crate::output::Output;
use serde::Serialize;
use sirocco::fixed_point::Fixed;
use sirocco::ode::{Ode, State};
use sirocco::query::Query;
use sirocco::rk4;
use sirocco::scalar::Scalar;
use std::path::{Path, PathBuf};

/// Fewest steps of the reference, which is Runge-Kutta in double precision, and steps per unit of t (beta + gamma): its own
/// error is below 1e-9.
const REFERENCE_STEPS: (f32, f32) = (2000.0, 70.0);
/// The largest number of steps to try: with more, rounding errors dominate.
const MOST_STEPS: u32 = 400;

/// A method, its error and its cost.
#[derive(Debug, Clone, Serialize)]
struct Answer {
    /// The network's number format, or the numbers in which Runge-Kutta computes.
    method: String,
    /// Steps of Runge-Kutta; null for a network.
    steps: Option<u32>,
    /// Largest absolute error of any component that a search of the domain found.
    max_error: f64,
    /// Executed instructions on a Cortex-M4F.
    cortex_m4f: u64,
    /// Executed instructions on a Cortex-M3.
    cortex_m3: u64,
}

/// A network, and the Runge-Kutta methods that reach its error.
#[derive(Debug, Clone, Serialize)]
struct Comparison {
    /// The model file.
    file: PathBuf,
    /// The network.
    network: Answer,
    /// Runge-Kutta with the fewest steps whose error is not larger, for each kind of numbers with which that is
    /// possible.
    runge_kutta: Vec<Answer>,
    /// The kinds of numbers with which no number of steps up to [`MOST_STEPS`] reaches it.
    out_of_reach: Vec<&'static str>,
}

/// Compares each model and prints a table.
///
/// # Errors
/// As for [`count`]; [`Error::Model`] or [`Error::Usage`] for a file that is not a bundle of epidemics.
pub fn run(models: &[PathBuf], output: Output) -> Result<(), Error> {
    let comparisons = models.iter().map(|model| compare(model, output)).collect::<Result<Vec<_>, _>>()?;
    output.result(&comparisons, |comparisons| {
        say!("| one query, S, I and R | maximum error | Cortex-M4F | Cortex-M3 |\n| --- | --- | --- | --- |");
        for Comparison { file, network, runge_kutta, out_of_reach } in comparisons {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            show(&format!("**{name}**, {}", network.method), network);
            for answer in runge_kutta {
                show(&format!("RK4 {}, {} steps", answer.method, answer.steps.unwrap_or(0)), answer);
            }
            for method in out_of_reach {
                say!("| RK4 {method}, {MOST_STEPS} steps | larger | | |");
            }
        }
    });
    Ok(())
}

fn show(what: &str, Answer { max_error, cortex_m4f, cortex_m3, .. }: &Answer) {
    say!("| {what} | {max_error:.1e} | {cortex_m4f} | {cortex_m3} |");
}

fn compare(path: &Path, output: Output) -> Result<Comparison, Error> {
    let file = ModelFile::read(path)?;
    let bundle = file.bundle()?;
    if bundle.ode() != Ode::Sir {
        return Err(Error::Usage(format!("{}: only epidemics (sir) are compared", path.display())));
    }
    let reference = |query: &Query| {
        let [beta, gamma, ..] = query.rates;
        let (fewest, per_unit) = REFERENCE_STEPS;
        runge_kutta(query, f64::from, |v| v, (per_unit * query.t * (beta + gamma)).max(fewest) as u32)
    };
    let search = Search::new(&bundle, &reference);
    let state = |query: &Query| bundle.state(query).map_or([f64::INFINITY; 4], |state| state.map(f64::from));
    let [large, small] = [count(path, BOARD, output)?, count(path, SMALL_BOARD, output)?];
    let of_state = |report: &Report| report.bundle.iter().find(|row| row.what == "state").map_or(0, |r| r.instructions);
    let network = Answer {
        method: bundle.network().scheme().name().into(),
        steps: None,
        max_error: search.largest(&state, f64::INFINITY),
        cortex_m4f: of_state(&large),
        cortex_m3: of_state(&small),
    };
    let (mut rivals, mut out_of_reach) = (Vec::new(), Vec::new());
    for (name, numbers) in [("f32", "f32"), ("fixed point", "fixed"), ("f64", "f64")] {
        let at = |steps: u32| {
            let answer = |query: &Query| match numbers {
                "f32" => runge_kutta(query, |v| v, f64::from, steps),
                "fixed" => runge_kutta(query, Fixed::from_f32, |v| v.to_f32().into(), steps),
                _ => runge_kutta(query, f64::from, |v| v, steps),
            };
            search.largest(&answer, network.max_error)
        };
        let Some((steps, max_error)) =
            (1..=MOST_STEPS).map(|steps| (steps, at(steps))).find(|(_, error)| *error <= network.max_error)
        else {
            out_of_reach.push(name);
            continue;
        };
        let cost = |report: &Report| line(report, numbers, steps);
        let (cortex_m4f, cortex_m3) = (cost(&large), cost(&small));
        rivals.push(Answer { method: name.into(), steps: Some(steps), max_error, cortex_m4f, cortex_m3 });
    }
    Ok(Comparison { file: path.into(), network, runge_kutta: rivals, out_of_reach })
}

/// The state by Runge-Kutta in numbers of type `S`, computed as `firmware/images/bench` does.
fn runge_kutta<S: Scalar>(query: &Query, to: impl Fn(f32) -> S, from: impl Fn(S) -> f64, steps: u32) -> State<f64> {
    let (initial, rates) = (query.initial.map(&to), query.rates.map(&to));
    let step = if size_of::<S>() == size_of::<f64>() {
        S::constant(f64::from(query.t) / f64::from(steps))
    } else {
        to(query.t / steps as f32)
    };
    rk4::integrate_by(Ode::Sir, &initial, &rates, step, steps).map(from)
}

/// Instructions for this number of steps, on the straight line through the two counts in the report.
fn line(report: &Report, numbers: &str, steps: u32) -> u64 {
    let counted: Vec<_> = report.rk4.iter().filter(|row| row.numbers == numbers).collect();
    let [few, many] = counted[..] else { return 0 };
    let slope = (many.instructions as f64 - few.instructions as f64) / (many.steps as f64 - few.steps as f64);
    (few.instructions as f64 + slope * (f64::from(steps) - few.steps as f64)).round() as u64
}
