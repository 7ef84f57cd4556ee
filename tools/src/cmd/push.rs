//! `sirocco push`: sends a model to a device.

use crate::Error;
use crate::input::model_file::ModelFile;
use crate::output::Output;
use crate::port::{HELP, PortArguments};
use crate::push::push;
use serde::Serialize;
use sirocco::wire::ask;
use sirocco::wire::store::Origin;
use std::time::Instant;

/// The shortest timeout in milliseconds: some chips take two seconds to erase a page of flash.
const TIMEOUT: u64 = 10_000;

/// Send a model to a device, which answers with it from then on
///
/// The file given by --model goes into the slot that is not in use. The device checks it there, with its checksum and
/// golden queries, and then activates it. Power may fail at any moment: the device always has a model that works.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sirocco push --port /dev/ttyACM0 --model model.safetensors
  sirocco push --port tcp:127.0.0.1:7000 --model model.safetensors --no-activate

{HELP}"))]
pub struct Arguments {
    #[command(flatten)]
    port: PortArguments,
    /// Send and check the model, but do not activate it; `sirocco models --activate` does that later
    #[arg(long)]
    no_activate: bool,
}

#[derive(Serialize)]
struct Pushed {
    slot: u8,
    bytes: usize,
    crc32: String,
    activated: bool,
    seconds: f64,
}

/// Sends the model.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let Some(path) = &arguments.port.model else {
        return Err(Error::Usage("--model is missing; name the model file to send".into()));
    };
    let file = ModelFile::read(path)?;
    let crc32 = file.model()?.crc32();
    let bytes = file.bytes().len();
    let port = PortArguments { model: None, timeout: arguments.port.timeout.max(TIMEOUT), ..arguments.port.clone() };
    let (mut client, _) = port.connect(output)?;
    let start = Instant::now();
    let mut shown = 0;
    let slot = push(&mut client, &file, |done| {
        if done * 10 / bytes.max(1) > shown {
            shown = done * 10 / bytes.max(1);
            output.progress(format_args!("{done} of {bytes} bytes"));
        }
    })?;
    if !arguments.no_activate {
        client.ask(ask::ModelActivate(Origin::Slot(slot)))?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let pushed = Pushed { slot, bytes, crc32: format!("{crc32:08x}"), activated: !arguments.no_activate, seconds };
    output.result(&pushed, |pushed| {
        let state = if pushed.activated { "answers from now on" } else { "was checked, not activated" };
        say!("model {} in slot {} {state}", pushed.crc32, pushed.slot);
    });
    Ok(())
}
