//! `sirocco emulate`: runs firmware in QEMU.

use crate::Error;
use crate::device::board::Board;
use crate::device::cargo::{self, KeyArguments};
use crate::device::device_log::{self, Level, Line};
use crate::device::qemu::{Emulator, Image};
use crate::input::model_file::ModelFile;
use crate::output::Output;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Run the firmware of a board in QEMU until Ctrl-C
///
/// The serial port of the board becomes a TCP socket or a pseudo-terminal. Its name is printed; give it as --port to
/// other commands. The log of the board goes to stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco emulate qemu-mps2-an386
  sirocco emulate qemu-mps2-an386 --model model.safetensors --listen 127.0.0.1:7000
  sirocco emulate qemu-mps2-an385 --pty
  sirocco emulate qemu-mps2-an386 --flash flash.bin
  sirocco emulate qemu-mps2-an386 --key release.pub --operator field.pub")]
pub struct Arguments {
    /// Name of the board; see `sirocco boards`
    board: String,
    /// Model file for the model slot; without it, the model that is part of the firmware answers
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Keep the models' flash in this file, so that models sent with `sirocco push` are there the next time. It is
    /// created if it does not exist
    #[arg(long, value_name = "FILE")]
    flash: Option<PathBuf>,
    /// Address of the TCP socket; port 0 stands for any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: String,
    /// Use a pseudo-terminal instead of a TCP socket
    #[arg(long, conflicts_with = "listen")]
    pty: bool,
    #[command(flatten)]
    keys: KeyArguments,
}

#[derive(serde::Serialize)]
struct Running {
    board: String,
    /// The value of `--port` for other commands.
    port: String,
}

/// Runs the emulator until Ctrl-C.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let board = Board::find(&arguments.board)?;
    board.qemu()?;
    if let Some(path) = &arguments.model {
        ModelFile::read(path)?.held()?;
    }
    let elf = cargo::build_with(&board, &arguments.keys, output)?;
    let image =
        Image { board: &board, elf: &elf, model: arguments.model.as_deref(), flash: arguments.flash.as_deref() };
    let log = move |line: Line| {
        if line.level == Level::Error || !output.quiet {
            device_log::print(&line);
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    // Fails only if an earlier call in this process has set the handler.
    let _ = ctrlc::set_handler(move || stopped.store(true, Ordering::SeqCst));
    let (mut emulator, port) = if arguments.pty {
        let (emulator, path) = Emulator::pty(image, log)?;
        (emulator, path.display().to_string())
    } else {
        let refused = |source| Error::Port { port: arguments.listen.clone(), source };
        let listener = TcpListener::bind(&arguments.listen).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        if !address.ip().is_loopback() {
            output.progress(format_args!(
                "warning: everyone who reaches {address} over the network can talk to this board; --listen 127.0.0.1:0 keeps them out"
            ));
        }
        let (emulator, device) = Emulator::tcp(image, log)?;
        bridge(listener, device).map_err(refused)?;
        (emulator, format!("tcp:{address}"))
    };
    output.result(&Running { board: board.name.clone(), port }, |running| say!("port: {}", running.port));
    output.progress("press Ctrl-C to end");
    while !stop.load(Ordering::SeqCst) {
        if let Some(status) = emulator.ended() {
            let what = format!("ended by itself ({status})");
            return Err(Error::Emulator { what, remedy: "the device's log above says why" });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Connects clients with the device, one at a time: a new one replaces the one before.
fn bridge(listener: TcpListener, device: TcpStream) -> std::io::Result<()> {
    let client: Arc<Mutex<Option<TcpStream>>> = Arc::default();
    let (to_client, mut from_device) = (Arc::clone(&client), device.try_clone()?);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from_device.read(&mut buffer) {
            if let Some(client) = to_client.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                // Fails if the client has gone, who then needs nothing.
                let _ = client.write_all(buffer.get(..count).unwrap_or_default());
            }
        }
    });
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (Ok(mirror), Ok(mut device)) = (stream.try_clone(), device.try_clone()) else { continue };
            let before = client.lock().unwrap_or_else(PoisonError::into_inner).replace(mirror);
            // One who is idle must not keep others out.
            let _ = before.map(|before| before.shutdown(Shutdown::Both));
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    if device.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(())
}
