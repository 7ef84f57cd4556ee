//! `sirocco push`

use crate::Error;
use crate::input::model_file::ModelFile;
use crate::output::Output;
use crate::port::{HELP, PortArguments};
use crate::push::{activate, push};
use serde::Serialize;
use sirocco::wire::store::Origin;
use std::time::Instant;

/// The least timeout: erasing a page of flash takes some chips two seconds.
const TIMEOUT: u64 = 10_000;

/// Give a device a new model, which answers from then on
///
/// The file given by --model goes to the slot that is not in use, is checked there with its own golden queries, and is
/// activated at once. Power may fail at any moment: the device always has a working model.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sirocco push --port /dev/ttyACM0 --model model.safetensors
  sirocco push --port tcp:127.0.0.1:7000 --model model.safetensors --no-activate

{HELP}"))]
pub struct Arguments {
    #[command(flatten)]
    port: PortArguments,
    /// Only send and check; `sirocco models --activate` does the rest
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

/// Sends it.
///
/// # Errors
/// See [`Error`].
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let Some(path) = &arguments.port.model else {
        return Err(Error::Usage("--model is missing; name the file to send".into()));
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
        activate(&mut client, Origin::Slot(slot))?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let pushed = Pushed { slot, bytes, crc32: format!("{crc32:08x}"), activated: !arguments.no_activate, seconds };
    output.result(&pushed, |pushed| {
        let state = if pushed.activated { "answers from now on" } else { "was checked, not activated" };
        println!("model {} in slot {} {state}", pushed.crc32, pushed.slot);
    });
    Ok(())
}
