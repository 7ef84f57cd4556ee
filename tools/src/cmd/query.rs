//! `sirocco query`: asks a device for states.

use crate::Error;
use crate::client::{Client, ClientError, answered};
use crate::input::quantities::system;
use crate::input::quantities::{self, Named, QuantityOptions};
use crate::output::{Output, map};
use crate::port::{HELP, PortArguments};
use crate::table;
use serde::Serialize;
use sirocco::bundle::Certificate;
use sirocco::ode::Ode;
use sirocco::query::{Prediction, Query};
use sirocco::wire::ask;
use std::path::PathBuf;

/// Ask a device for the state of a problem at a time
///
/// Prints the state, its residual, and the certificate: an estimate of the error and, where there is one, a bound. Also
/// says whether the query lies inside the domain that the model was trained on.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sirocco query --port /dev/ttyACM0 --t 10 --I0 0.3 --R0 0.2 --beta 0.6 --gamma 0.5
  sirocco query --port qemu:qemu-mps2-an386 --at t=10,I0=0.3,R0=0.2,beta=0.6,gamma=0.5 --json
  sirocco query --port qemu:qemu-mps2-an386 --model decay.safetensors --t 2 --y0 1 --k 0.5
  sirocco query --port tcp:127.0.0.1:7000 --queries many.csv > answers.csv

A model takes the quantities of its system, which `sirocco info` lists. Those that it holds fixed may be left out. The \
first line of a CSV file names the quantities; each other line is a query. Without a certificate, the answers' error_estimate, \
error_bound and trusted are empty.

{HELP}"))]
pub struct Arguments {
    #[command(flatten)]
    port: PortArguments,
    /// All quantities in one list, instead of an option for each
    #[arg(long, value_name = "NAME=VALUE,...", value_parser = quantities::parse)]
    at: Option<::std::vec::Vec<(String, f32)>>,
    #[command(flatten)]
    quantities: QuantityOptions,
    /// Leave out the certificate, which takes the device as long as three to 34 answers
    #[arg(long)]
    no_certificate: bool,
    /// CSV file with many queries; the answers are printed as CSV
    #[arg(long, value_name = "FILE", conflicts_with = "at")]
    queries: Option<PathBuf>,
}

/// An answer. The fields of the certificate are null without one; the bound also if the answer is not trusted.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten, serialize_with = "map")]
    state: Vec<(String, f32)>,
    error_estimate: Option<f32>,
    error_bound: Option<f32>,
    trusted: Option<bool>,
    #[serde(serialize_with = "optional_map")]
    corrected: Option<Vec<(String, f32)>>,
    in_domain: bool,
    plausible: bool,
    #[serde(serialize_with = "map")]
    derivative: Vec<(String, f32)>,
    #[serde(serialize_with = "map")]
    residual: Vec<(String, f32)>,
}

/// One of many queries, with its answer or the reason why it has none.
#[derive(Serialize)]
struct Row {
    #[serde(serialize_with = "map")]
    query: Vec<(String, f32)>,
    answer: Option<Answer>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Rows {
    answers: Vec<Row>,
}

/// Columns of the CSV output after the query and the state.
const CSV_COLUMNS: [&str; 6] = ["error_estimate", "error_bound", "trusted", "in_domain", "plausible", "error"];

impl Arguments {
    fn named(&self) -> Named {
        self.at.iter().flatten().chain(self.quantities.named()).cloned().collect()
    }

    fn ask(&self, client: &mut Client, ode: Ode, query: &Query) -> Result<Answer, ClientError> {
        if self.no_certificate {
            return Ok(answer(ode, &client.ask(ask::Predict(*query))?, None));
        }
        let certificate = client.ask(ask::Certify(*query))?;
        Ok(answer(ode, &certificate.prediction, Some(&certificate)))
    }
}

/// Asks for one state, or for those of a file.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let rows = arguments.queries.as_ref().map(|path| quantities::read_csv(path)).transpose()?;
    let (mut client, info) = arguments.port.connect(output)?;
    let (ode, domain) = system(&info.model)?;
    if let Some(rows) = rows {
        let named = rows.iter().map(|named| quantities::query(ode, domain, named));
        let queries = named.collect::<Result<Vec<_>, _>>()?;
        return many(&mut client, ode, &queries, arguments, output);
    }
    let query = quantities::query(ode, domain, &arguments.named())?;
    let answer = arguments.ask(&mut client, ode, &query)?;
    output.result(&answer, |answer| {
        for (name, value) in ode.state_names().iter().zip(&answer.state).map(|(name, (_, value))| (name, value)) {
            say!("{name:<10} {value}");
        }
        let worst = answer.residual.iter().fold(0.0f32, |worst, (_, r)| worst.max(r.abs()));
        say!("residual   {worst:e} at most, per unit of time");
        match (answer.error_estimate, answer.error_bound) {
            (Some(estimate), Some(bound)) => say!("error      about {estimate:e}, at most {bound:e}"),
            (Some(estimate), None) => say!("error      about {estimate:e}, no bound"),
            _ => {}
        }
        if answer.trusted == Some(false) {
            say!("trusted    NO: the error is too large to be estimated well");
        }
        match quantities::outside(ode, domain, &query).as_slice() {
            [] if answer.in_domain => say!("domain     inside"),
            outside => say!("domain     OUTSIDE what the model was trained on: {}", outside.join(", ")),
        }
        if !answer.plausible {
            say!("plausible  NO: no solution passes through this state");
        }
    });
    Ok(())
}

fn many(client: &mut Client, ode: Ode, queries: &[Query], by: &Arguments, output: Output) -> Result<(), Error> {
    let mut rows = Vec::new();
    for query in queries {
        let (answer, error) = match answered(by.ask(client, ode, query))? {
            Ok(answer) => (Some(answer), None),
            Err(error) => (None, Some(error.to_string())),
        };
        rows.push(Row { query: named_values(ode, query), answer, error });
    }
    output.result(&Rows { answers: rows }, |rows| {
        let states = ode.state_names().iter().copied();
        let columns = ode.quantity_names().chain(states).chain(CSV_COLUMNS).map(str::to_owned).collect();
        let lines = rows.answers.iter().map(|row| fields(ode, row));
        crate::output::write(format_args!("{}", table::text(std::iter::once(columns).chain(lines))));
    });
    Ok(())
}

fn fields(ode: Ode, row: &Row) -> Vec<String> {
    let mut fields: Vec<String> = row.query.iter().map(|(_, value)| value.to_string()).collect();
    match &row.answer {
        Some(answer) => {
            fields.extend(answer.state.iter().map(|(_, value)| value.to_string()));
            let number = |value: Option<f32>| value.map(|v| v.to_string()).unwrap_or_default();
            fields.extend([number(answer.error_estimate), number(answer.error_bound)]);
            fields.push(answer.trusted.map(|trusted| trusted.to_string()).unwrap_or_default());
            fields.extend([answer.in_domain.to_string(), answer.plausible.to_string()]);
        }
        None => fields.extend(std::iter::repeat_n(String::new(), ode.state_names().len() + CSV_COLUMNS.len() - 1)),
    }
    fields.push(row.error.clone().unwrap_or_default());
    fields
}

fn answer(ode: Ode, prediction: &Prediction, certificate: Option<&Certificate>) -> Answer {
    Answer {
        state: quantities::state(ode, prediction.state),
        error_estimate: certificate.map(|c| c.estimate),
        error_bound: certificate.and_then(|c| c.bound),
        trusted: certificate.map(|c| c.trusted),
        corrected: certificate.map(|c| quantities::state(ode, c.corrected)),
        in_domain: prediction.in_domain,
        plausible: prediction.plausible,
        derivative: quantities::state(ode, prediction.derivative),
        residual: quantities::state(ode, prediction.residual),
    }
}

fn optional_map<S: serde::Serializer>(pairs: &Option<Vec<(String, f32)>>, serializer: S) -> Result<S::Ok, S::Error> {
    match pairs {
        Some(pairs) => map(pairs, serializer),
        None => serializer.serialize_none(),
    }
}

fn named_values(ode: Ode, query: &Query) -> Vec<(String, f32)> {
    ode.quantity_names().map(str::to_owned).zip(query.quantities(ode)).collect()
}
