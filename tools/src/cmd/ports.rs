//! `sirocco ports`: lists serial ports and the boards on them.

use crate::client::discover::{self, Answer, Missing, Port};
use crate::output::Output;
use crate::{Error, port};
use serde::Serialize;

/// List the serial ports, and with --ask the boards that answer on them
///
/// Nothing is sent to a port unless its USB numbers are those of a board, a debug probe or a USB adapter that is known.
/// The environment variable SIROCCO_PORTS names further ports to ask, separated by commas.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco ports
  sirocco ports --ask --json
  SIROCCO_PORTS=/dev/ttyS0,tcp:192.168.0.7:7000 sirocco ports --ask
  sirocco info --port auto")]
pub struct Arguments {
    /// Ask on every known port which board is there
    #[arg(long)]
    ask: bool,
    /// Baud rate for asking
    #[arg(long, default_value_t = 115_200)]
    baud: u32,
}

#[derive(Serialize)]
struct Usb {
    vendor: String,
    product: String,
    maker: Option<String>,
    name: Option<String>,
    serial_number: Option<String>,
}

#[derive(Serialize)]
struct Row {
    port: String,
    /// What the USB numbers tell, if a board may be connected there.
    kind: Option<&'static str>,
    usb: Option<Usb>,
    /// The board that answered.
    board: Option<String>,
    /// Its model: the system, or `image`.
    model: Option<String>,
    /// Why no board answered.
    silent: Option<String>,
}

#[derive(Serialize)]
struct Report {
    asked: bool,
    ports: Vec<Row>,
}

/// Lists the ports.
///
/// # Errors
/// [`Error::Missing`] if the ports cannot be listed.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let ports = discover::ports().map_err(Missing::List)?;
    let mut rows: Vec<Row> = ports.iter().map(row).collect();
    if arguments.ask {
        let known: Vec<Port> = ports.iter().filter(|port| port.what.is_some()).cloned().collect();
        let answers = discover::ask(&known, |name| port::open(name, arguments.baud));
        for (row, answer) in rows.iter_mut().filter(|row| row.kind.is_some()).zip(answers) {
            match answer {
                Answer::Board(found) => {
                    row.board = Some(found.0.board.to_string());
                    row.model = Some(found.0.model.subject().to_owned());
                }
                Answer::Unusable(error) => row.silent = Some(error.to_string()),
                Answer::NoBoard(why) => row.silent = Some(why),
            }
        }
    }
    output.result(&Report { asked: arguments.ask, ports: rows }, |report| {
        for row in &report.ports {
            print(row, output);
        }
        if report.ports.is_empty() {
            output.progress("there are no serial ports");
        }
    });
    Ok(())
}

fn row(port: &Port) -> Row {
    let usb = port.usb.as_ref().map(|usb| Usb {
        vendor: format!("{:04x}", usb.vid),
        product: format!("{:04x}", usb.pid),
        maker: usb.manufacturer.clone(),
        name: usb.product.clone(),
        serial_number: usb.serial_number.clone(),
    });
    Row { port: port.name.clone(), kind: port.what, usb, board: None, model: None, silent: None }
}

fn print(row: &Row, output: Output) {
    if output.quiet {
        return say!("{}", row.port);
    }
    let name = row.usb.as_ref().and_then(|usb| usb.name.as_deref());
    let mut words = vec![row.kind.unwrap_or("not asked: unknown device").to_owned()];
    words.extend(name.map(|name| format!("\"{name}\"")));
    words.extend(row.board.as_ref().map(|board| format!("board {board}")));
    words.extend(row.model.as_ref().map(|model| format!("model {model}")));
    words.extend(row.silent.clone());
    say!("{:<20} {}", row.port, words.join(", "));
}
