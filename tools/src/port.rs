//! Where a device is: `--port` and what comes with it.

use crate::client::{Client, Patience};
use crate::model_file::ModelFile;
use crate::output::Output;
use crate::qemu::Emulated;
use crate::transport::{Reopening, Serial, Transport};
use crate::{Error, board::Board};
use sirocco::wire::Info;
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// Help on ports, for commands that take one.
pub const HELP: &str = "\
A PORT is one of
  /dev/ttyACM0, COM3   a serial port
  /dev/pts/7           a pty, as `sirocco emulate --pty` prints it
  tcp:HOST:PORT        a TCP socket, as `sirocco emulate` prints it
  qemu:BOARD           builds the board's firmware, emulates it for this command, with --model in its model slot";

/// Where the device is and how patient to be.
#[derive(Debug, Clone, clap::Args)]
pub struct PortArguments {
    /// Serial port, pty, tcp:HOST:PORT or qemu:BOARD
    #[arg(long, value_name = "PORT")]
    pub port: String,
    /// Model file: into the model slot of a qemu: board; for selftest also what answers are compared with
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Baud rate of a serial port
    #[arg(long, default_value_t = 115_200)]
    pub baud: u32,
    /// Milliseconds to wait for an answer
    #[arg(long, value_name = "MS", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// Attempts after the first
    #[arg(long, default_value_t = 2)]
    pub retries: u32,
}

impl PortArguments {
    /// The model file, checked.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Model`].
    pub fn model(&self) -> Result<Option<ModelFile>, Error> {
        let Some(path) = &self.model else { return Ok(None) };
        let file = ModelFile::read(path)?;
        file.held()?;
        Ok(Some(file))
    }

    /// Opens the port and asks who is there.
    ///
    /// # Errors
    /// [`Error::Port`], [`Error::Client`], errors of the emulator, or [`Error::SlotRefused`] if a model was given and
    /// the device refused it.
    pub fn connect(&self, output: Output) -> Result<(Client, Info), Error> {
        let patience = Patience { timeout: Duration::from_millis(self.timeout), retries: self.retries };
        let mut client = Client::new(self.open(output)?, &self.port, patience);
        let info = client.info()?;
        match (&self.model, info.slot_error) {
            (Some(_), Some(error)) => Err(Error::SlotRefused(error)),
            _ => Ok((client, info)),
        }
    }

    fn open(&self, output: Output) -> Result<Box<dyn Transport>, Error> {
        let failed = |reason: String| Error::Port { port: self.port.clone(), reason };
        if let Some(board) = self.port.strip_prefix("qemu:") {
            self.model()?;
            return Ok(Box::new(Emulated::start(&Board::find(board)?, self.model.as_deref(), output)?));
        }
        let (port, baud) = (self.port.clone(), self.baud);
        let open = Box::new(move || match port.strip_prefix("tcp:") {
            Some(address) => connect(address),
            None => Serial::open(&port, baud).map(|serial| Box::new(serial) as Box<dyn Transport>),
        });
        Ok(Box::new(Reopening::new(open).map_err(|e| failed(e.to_string()))?))
    }
}

/// Connects to the first address of a name that answers.
fn connect(address: &str) -> io::Result<Box<dyn Transport>> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(Box::new(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
