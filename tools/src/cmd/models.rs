//! `sirocco models`: the models in the flash of a device.

use crate::Error;
use crate::keys::PrivateKey;
use crate::output::Output;
use crate::port::{HELP, PortArguments};
use serde::Serialize;
use sirocco::wire::ask;
use sirocco::wire::store::{Origin, SlotContent};
use std::path::PathBuf;

/// List the models in the flash of a device, or choose the one that answers
///
/// A device has two slots for models, and one model that is built into its firmware. An asterisk marks the one that
/// answers.
/// `sirocco push` sends further models.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sirocco models --port /dev/ttyACM0
  sirocco models --port tcp:127.0.0.1:7000 --activate 1
  sirocco models --port tcp:127.0.0.1:7000 --activate built-in --json
  sirocco models --port /dev/ttyACM0 --lowest 6 --signed-by release.key --activate 1

{HELP}"))]
pub struct Arguments {
    #[command(flatten)]
    port: PortArguments,
    /// Let this model answer from now on: the number of a slot, or built-in
    #[arg(long, value_name = "SLOT", value_parser = origin)]
    activate: Option<Origin>,
    /// Let the device take signed models from this serial number on: a lower one than it keeps to go back to an older
    /// model, a higher one to shut models out
    #[arg(long, value_name = "N", requires = "signed_by")]
    lowest: Option<u32>,
    /// File of the private key that signs --lowest, one of those that sign models
    #[arg(long, value_name = "FILE", requires = "lowest")]
    signed_by: Option<PathBuf>,
}

fn origin(text: &str) -> Result<Origin, String> {
    match text {
        "built-in" => Ok(Origin::BuiltIn),
        slot => slot.parse().map(Origin::Slot).map_err(|_| "give the number of a slot, or `built-in`".into()),
    }
}

#[derive(Serialize)]
struct Report {
    /// Number of the slot whose model answers; null for the built-in model.
    running: Option<u8>,
    slot_bytes: u32,
    slots: Vec<Slot>,
}

#[derive(Default, Serialize)]
struct Slot {
    ode: Option<String>,
    scheme: Option<String>,
    bytes: Option<u32>,
    crc32: Option<String>,
    /// Why the content of the slot is refused, if it is.
    error: Option<String>,
}

impl From<&SlotContent> for Slot {
    fn from(content: &SlotContent) -> Self {
        match content {
            SlotContent::Empty => Slot::default(),
            SlotContent::Refused(error) => Slot { error: Some(error.to_string()), ..Slot::default() },
            SlotContent::Model { ode, scheme, bytes, crc32 } => Slot {
                ode: Some(ode.to_string()),
                scheme: Some(scheme.to_string()),
                bytes: Some(*bytes),
                crc32: Some(format!("{crc32:08x}")),
                error: None,
            },
        }
    }
}

/// Sets the lowest serial number and activates a model, if they are named, and lists all models.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let key = arguments.signed_by.as_deref().map(PrivateKey::read).transpose()?;
    let (mut client, _) = arguments.port.connect(output)?;
    if let (Some(serial), Some(key)) = (arguments.lowest, key) {
        client.set_lowest(serial, &key.signer())?;
    }
    if let Some(origin) = arguments.activate {
        client.ask(ask::ModelActivate(origin))?;
    }
    let list = client.ask(ask::ModelList)?;
    let running = match list.running {
        Origin::BuiltIn => None,
        Origin::Slot(slot) => Some(slot),
    };
    let report = Report { running, slot_bytes: list.slot_bytes, slots: list.slots.iter().map(Slot::from).collect() };
    output.result(&report, |report| {
        let mark = |here: bool| if here { "*" } else { " " };
        say!("{} built-in", mark(report.running.is_none()));
        for (number, slot) in (0u8..).zip(&report.slots) {
            let content = match (&slot.error, &slot.ode, &slot.crc32) {
                (Some(error), ..) => format!("refused: {error}"),
                (None, Some(ode), Some(crc32)) => format!("{ode}, crc32 {crc32}"),
                _ => "empty".into(),
            };
            say!("{} slot {number}   {content}", mark(report.running == Some(number)));
        }
    });
    Ok(())
}
