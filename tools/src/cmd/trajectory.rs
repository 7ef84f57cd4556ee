//! `sirocco trajectory`: asks a device for the states of a problem over time.

use crate::Error;
use crate::input::quantities::{self, system};
use crate::output::{Output, map};
use crate::port::{HELP, PortArguments};
use crate::table;
use serde::Serialize;
use sirocco::limits::MAX_TRAJECTORY;
use sirocco::trajectory::Trajectory;

/// Ask a device for the states of a problem at many times
///
/// Prints CSV: the time, the state, whether the query lies inside the model's domain, and whether the state is
/// plausible, that is, possible for a solution. For certificates over time, use `sirocco plot --query`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sirocco trajectory --port /dev/ttyACM0 --at I0=0.3,R0=0.2,beta=0.6,gamma=0.5 --until 20 --points 100 > curve.csv
  sirocco trajectory --port qemu:qemu-mps2-an386 --at t=5,I0=0.3,R0=0.2,beta=0.6,gamma=0.5 --until 10 --json

{HELP}"))]
pub struct Arguments {
    #[command(flatten)]
    port: PortArguments,
    /// Quantities of the problem; t is the first time, 0 if it is left out
    #[arg(long, value_name = "NAME=VALUE,...", value_parser = quantities::parse)]
    at: ::std::vec::Vec<(String, f32)>,
    /// The last time
    #[arg(long, allow_negative_numbers = true)]
    until: f32,
    /// Number of states, at equally spaced times
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_TRAJECTORY)))]
    points: u16,
}

#[derive(Serialize)]
struct Row {
    t: f32,
    #[serde(flatten, serialize_with = "map")]
    state: Vec<(String, f32)>,
    in_domain: bool,
    plausible: bool,
}

#[derive(Serialize)]
struct Rows {
    points: Vec<Row>,
}

/// Asks for the trajectory.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let (mut client, info) = arguments.port.connect(output)?;
    let (ode, domain) = system(&info.model)?;
    let problem = quantities::problem(ode, domain, &arguments.at)?;
    let trajectory = Trajectory { problem, until: arguments.until, points: arguments.points };
    let points = client.trajectory(&trajectory)?;
    let times = (0..arguments.points).filter_map(|k| trajectory.query(k)).map(|query| query.t);
    let rows = times.zip(points).map(|(t, point)| Row {
        t,
        state: quantities::state(ode, point.state),
        in_domain: point.in_domain,
        plausible: point.plausible,
    });
    output.result(&Rows { points: rows.collect() }, |rows| {
        let columns = ["t"].iter().chain(ode.state_names()).chain(&["in_domain", "plausible"]);
        let mut lines = vec![columns.map(ToString::to_string).collect::<Vec<_>>()];
        for Row { t, state, in_domain, plausible } in &rows.points {
            let numbers = std::iter::once(t).chain(state.iter().map(|(_, value)| value)).map(f32::to_string);
            lines.push(numbers.chain([in_domain, plausible].map(bool::to_string)).collect());
        }
        crate::output::write(format_args!("{}", table::text(lines)));
    });
    Ok(())
}
