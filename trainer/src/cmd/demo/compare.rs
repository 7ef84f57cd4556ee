//! The network beside the method a user would take instead: Runge-Kutta with fixed steps, in the same precision.

use crate::bundle::evaluate::{self, Sample};
use crate::cmd::error::Error;
use crate::report::figure;
use crate::report::html::{Block, Section, Table};
use sirocco::bundle::Bundle;
use sirocco::ode::State;
use sirocco::query::Query;
use sirocco::rk4;
use std::hint::black_box;
use std::time::Instant;

/// Queries each method answers.
const QUERIES: usize = 2000;
/// Steps of the Runge-Kutta method that are shown.
const STEPS: [u32; 4] = [16, 24, 32, 64];
/// Operations of one Runge-Kutta step for SIR: four right-hand sides and the sums of three components.
const OPERATIONS_PER_STEP: u32 = 40;
/// Exponentials of an answer in the reduced form: 1 - exp(-tau) and exp(-p x).
const EXPONENTIALS: usize = 2;
/// Timed repetitions; the fastest counts.
const REPETITIONS: usize = 5;

/// One method.
pub struct Row {
    pub name: String,
    pub max_error: f64,
    pub rms_error: f64,
    pub operations: String,
    pub nanoseconds: f64,
}

/// Network and Runge-Kutta at the same random queries, against the reference; the network comes first.
pub fn rows(single: &Bundle<'_>, integer: &Bundle<'_>, seed: u64) -> Result<Vec<Row>, Error> {
    let domain = evaluate::own_domain(single);
    let samples = evaluate::samples(single, &domain, QUERIES, seed)?;
    let ode = single.ode();
    let macs = |bundle: &Bundle<'_>| {
        let widths = bundle.network().widths();
        let hidden: usize = widths.iter().skip(1).take(widths.len().saturating_sub(2)).sum();
        format!("{} multiply-adds, {hidden} tanh, {EXPONENTIALS} exp", bundle.network().macs())
    };
    let mut rows = vec![
        row("network, 32-bit floats", macs(single), &samples, |q| single.state(q).unwrap_or([f32::NAN; 4])),
        row("network, 16-bit integers", macs(integer), &samples, |q| integer.state(q).unwrap_or([f32::NAN; 4])),
    ];
    for steps in STEPS {
        let name = format!("Runge-Kutta 4, {steps} steps, 32-bit floats");
        let operations = format!("{} additions and multiplications", steps * OPERATIONS_PER_STEP);
        rows.push(row(&name, operations, &samples, |q| rk4::integrate(ode, &q.initial, &q.rates, q.t, steps)));
    }
    Ok(rows)
}

fn row(name: &str, operations: String, samples: &[Sample], answer: impl Fn(&Query) -> State<f32>) -> Row {
    let (mut max_error, mut squares) = (0.0f64, 0.0);
    for sample in samples {
        for (a, b) in answer(&sample.query).iter().zip(sample.reference).take(3) {
            let error = (f64::from(*a) - b).abs();
            max_error = if error > max_error || error.is_nan() { error } else { max_error };
            squares += error * error;
        }
    }
    let pass = || {
        let start = Instant::now();
        samples.iter().for_each(|sample| _ = black_box(answer(black_box(&sample.query))));
        start.elapsed().as_secs_f64() * 1e9 / samples.len() as f64
    };
    let nanoseconds = (0..REPETITIONS).map(|_| pass()).fold(f64::INFINITY, f64::min);
    let rms_error = (squares / (3 * samples.len()) as f64).sqrt();
    Row { name: name.to_owned(), max_error, rms_error, operations, nanoseconds }
}

/// The table, and what it does and does not say.
pub fn section(rows: &[Row]) -> Section {
    let cells = |row: &Row| {
        let time = format!("{:.0} ns", row.nanoseconds);
        vec![row.name.clone(), figure(row.max_error), figure(row.rms_error), row.operations.clone(), time]
    };
    let header = ["method", "maximum error", "RMS error", "work for one answer", "time here"].map(str::to_owned);
    let table = Table {
        caption: format!("{QUERIES} random problems and times of the box; one core of this machine"),
        header: header.to_vec(),
        rows: rows.iter().map(cells).collect(),
    };
    let mut blocks = vec![Block::Prose(advice(rows)), Block::Table(table), Block::Note(NOTE.to_owned())];
    if cfg!(debug_assertions) {
        blocks.push(Block::Note(UNOPTIMIZED.to_owned()));
    }
    Section { heading: "Beside Runge-Kutta".to_owned(), blocks }
}

/// Who wins, from the figures measured.
fn advice(rows: &[Row]) -> String {
    let Some((network, others)) = rows.split_first() else { return String::new() };
    let rival = others.iter().skip(1).find(|row| row.max_error <= network.max_error);
    match rival {
        Some(rival) if rival.nanoseconds <= network.nanoseconds => format!(
            "On this machine {} is as accurate as the network and faster. If one SIR solution on a processor with a \
             floating-point unit is all you need, use it: it is part of this library and needs no training.",
            rival.name
        ),
        Some(rival) => format!(
            "The first Runge-Kutta method here that is as accurate as the network is {}, and on this machine it takes \
             {:.1} times as long.",
            rival.name,
            rival.nanoseconds / network.nanoseconds
        ),
        None => "None of these Runge-Kutta methods is as accurate as the network.".to_owned(),
    }
}

const NOTE: &str = "Runge-Kutta needs no training and has no box to leave. The network costs the same at every time, \
    runs in integers on chips without floating point, gives exact derivatives for calibration, and is one file format \
    for any trained system. Times on a microcontroller differ from those here.";

const UNOPTIMIZED: &str = "This is a development build, which compiles the evaluator without optimization: compare \
    times in a release build only.";

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, max_error: f64, nanoseconds: f64) -> Row {
        Row { name: name.into(), max_error, rms_error: 0.0, operations: String::new(), nanoseconds }
    }

    #[test]
    fn the_advice_follows_the_figures() {
        let network = || row("network", 1e-5, 300.0);
        let integer = || row("integers", 1e-4, 500.0);
        let said = |rival: Row| advice(&[network(), integer(), row("coarse", 1e-4, 100.0), rival]);
        assert!(said(row("RK4 fine", 1e-6, 200.0)).contains("RK4 fine is as accurate as the network and faster"));
        assert!(said(row("RK4 fine", 1e-6, 600.0)).contains("2.0 times as long"));
        assert!(said(row("RK4 rough", 1e-4, 50.0)).starts_with("None of these"));
        assert_eq!(advice(&[]), "");
    }
}
