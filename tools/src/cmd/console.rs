//! `sirocco console`: the live console.

use crate::Error;
use crate::cmd::calibrate;
use crate::console::state::{Effect, Notice, Settings, State};
use crate::console::{self, work};
use crate::input::domain::DomainOptions;
use crate::input::observations::{self, ObservationOptions};
use crate::input::outbreak::OutbreakOptions;
use crate::input::problem::ProblemOptions;
use crate::input::quantities;
use crate::output::Output;
use crate::port::{HELP, SolverArguments};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Type observations day by day, and see the forecast and how far to trust it
///
/// Each line adds an observation: `3 25` says that 25 were infected on day 3 (with --population; otherwise give a
/// share, as in `3 0.12`). The screen then shows the estimates, the forecast and a plot. `help` lists what else can be
/// typed; Esc or Ctrl-C ends.
///
/// With --port, a device answers; if it is unplugged, the console waits for it and goes on. Without --port, this
/// machine answers from the model file, or with --domain by the Runge-Kutta method. With --json, the observations and the last estimates are printed at the end.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sirocco console --port auto --fix I0=0.3,R0=0.2
  sirocco console sir.safetensors --population 763 --fix R0=0.1
  sirocco console --port qemu:qemu-mps2-an386 --observations seen.csv --sigma 0.005 --free beta,gamma --fix I0=0.3,R0=0.2

{HELP}"))]
pub struct Arguments {
    /// Model file that this machine answers from; with a qemu: port, the model for the board's slot
    #[arg(value_name = "FILE")]
    model: Option<PathBuf>,
    #[command(flatten)]
    solver: SolverArguments,
    #[command(flatten)]
    domain: DomainOptions,
    #[command(flatten)]
    problem: ProblemOptions,
    /// CSV file with earlier observations, as `save` writes it, or a table of an outbreak that counts people infected, removed or
    /// susceptible
    #[arg(long, value_name = "FILE")]
    observations: Option<PathBuf>,
    #[command(flatten)]
    observed: ObservationOptions,
    /// Component of the state that a line without one means; if left out, I of SIR, the first one of other systems
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    #[command(flatten)]
    reading: OutbreakOptions,
}

#[derive(Serialize)]
struct Report {
    observations: Vec<Seen>,
    calibration: Option<calibrate::Report>,
}

#[derive(Serialize)]
struct Seen {
    t: f32,
    component: String,
    value: f32,
}

/// How long to wait at the end for the thread that asks the device.
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs the console.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    // With --json, the screen is on stderr, as stdout is for the result.
    let terminal = if output.json { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    if !(terminal && io::stdin().is_terminal()) {
        return Err(Error::NoTerminal);
    }
    let solver = arguments.solver.solver(arguments.model.as_deref(), &arguments.domain, output)?;
    let mut observed = arguments.observed;
    let (mut seen, mut remarks) = (Vec::new(), Vec::new());
    if let Some(path) = &arguments.observations {
        let read = observations::read_any(path, solver.ode(), observed, &arguments.reading)?;
        observed.population = read.population;
        (seen, remarks) = (read.observations, read.remarks);
    }
    let settings = arguments.settings(solver.ode(), solver.domain(), observed)?;
    let (mut state, first) = State::new(settings, solver.name().to_owned(), arguments.problem.clone(), seen)?;
    // The console hides what was printed before it, and shows it again at its end.
    remarks.iter().for_each(|remark| output.progress(remark));
    if !remarks.is_empty() {
        state.notice = Notice::Said(remarks.join(" "));
    }

    let (ask, questions) = mpsc::channel();
    let (tell, events) = mpsc::channel();
    if let Some(Effect::Ask(question)) = first {
        // Cannot fail: the receiver is in this function.
        let _ = ask.send(*question);
    }
    let (port, model, domain) = (arguments.solver.clone(), arguments.model.clone(), arguments.domain.clone());
    let worker = std::thread::spawn(move || {
        let output = Output { quiet: true, ..output };
        work::work(solver, &questions, &tell, || port.solver(model.as_deref(), &domain, output));
    });
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    // Fails only if an earlier call in this process has set the handler.
    let _ = ctrlc::set_handler(move || stopped.store(true, Ordering::SeqCst));
    let out = || -> Box<dyn Write> { if output.json { Box::new(io::stderr()) } else { Box::new(io::stdout()) } };
    console::run(&mut state, out, (&ask, &events), &stop)?;
    drop(ask);
    // The thread ends its emulator; but a device that does not answer must not delay the end of the console.
    let patience = Instant::now() + FAREWELL;
    while !worker.is_finished() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(10));
    }
    output.result(&report(&state), |_| {});
    Ok(())
}

impl Arguments {
    fn settings(
        &self,
        ode: sirocco::ode::Ode,
        domain: &[(f32, f32)],
        observed: ObservationOptions,
    ) -> Result<Settings, Error> {
        let (sigma, population) = (observed.share_of_sigma(), observed.population);
        let usual = if ode == sirocco::ode::Ode::Sir { "I" } else { ode.state_names().first().copied().unwrap_or("") };
        let component = self.component.as_deref().unwrap_or(usual);
        let component = quantities::component(ode, component).map_err(Error::Usage)?;
        Ok(Settings { ode, domain: domain.to_vec(), population, sigma, component })
    }
}

fn report(state: &State) -> Report {
    let ode = state.settings.ode;
    let seen = |o: &sirocco::calibrate::Observation| Seen {
        t: o.t,
        component: quantities::state_name(ode, o.component),
        value: state.shown(o.value),
    };
    let calibration =
        state.answer.as_ref().map(|a| calibrate::Report::of(ode, &a.calibration, &a.forecast, state.now(), None));
    Report { observations: state.observations.iter().map(seen).collect(), calibration }
}
