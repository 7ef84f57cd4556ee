//! How to reach a device: `--port` and the options that belong to it.

use crate::Error;
use crate::client::discover;
use crate::client::transport::{Reopening, Serial, Transport};
use crate::client::{Client, Patience};
use crate::device::board::Board;
use crate::device::qemu::Emulated;
use crate::input::domain::DomainOptions;
use crate::input::model_file::ModelFile;
use crate::keys::PrivateKey;
use crate::output::Output;
use crate::solver::Solver;
use sirocco::wire::{Info, ask};
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Help on ports, for the commands that take one.
pub const HELP: &str = "\
A PORT is one of
  auto                 the one board that answers on a USB serial port (see `sirocco ports`)
  /dev/ttyACM0, COM3   a serial port
  /dev/pts/7           a pseudo-terminal, as `sirocco emulate --pty` prints it
  tcp:HOST:PORT        a TCP socket, as `sirocco emulate` prints it
  qemu:BOARD           an emulated board, started for this command with --model in its slot";

/// The port of a device, and how long to wait for answers.
#[derive(Debug, Clone, clap::Args)]
pub struct PortArguments {
    /// Port of the device: auto, a serial port, tcp:HOST:PORT or qemu:BOARD; see below
    #[arg(long, value_name = "PORT")]
    pub port: String,
    /// Model file for the model slot of a qemu: board; for selftest also the model to compare with, for push the one to
    /// send
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Baud rate, for a serial port
    #[arg(long, default_value_t = 115_200)]
    pub baud: u32,
    /// Milliseconds to wait for each answer
    #[arg(long, value_name = "MS", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// How often to repeat a request that is not answered
    #[arg(long, default_value_t = 2)]
    pub retries: u32,
    /// File of an operator's private key, for a device that only operators may change
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// The port of a device; without one, this machine answers from a model file.
#[derive(Debug, Clone, clap::Args)]
pub struct SolverArguments {
    /// Port of the device: auto, a serial port, tcp:HOST:PORT or qemu:BOARD; see below. Without it, this machine
    /// answers
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Baud rate, for a serial port
    #[arg(long, default_value_t = 115_200)]
    pub baud: u32,
    /// Milliseconds to wait for each answer
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
}

impl SolverArguments {
    /// The device on the port, with `model` in its slot if it is emulated; without a port, this machine with `model`.
    ///
    /// # Errors
    /// As for [`PortArguments::connect`], [`Solver::device`] and [`Solver::here`]; [`Error::Usage`] if neither is
    /// given.
    pub fn solver(&self, model: Option<&Path>, domain: &DomainOptions, output: Output) -> Result<Solver, Error> {
        if let Some(numerical) = domain.numerical()? {
            return match model {
                None => Ok(Solver::equations(numerical)),
                Some(_) => Err(Error::Usage("give a model file or --domain, not both".into())),
            };
        }
        match (self.connect(model, output)?, model) {
            (Some((client, info)), _) => Solver::device(client, &info),
            (None, Some(path)) => Solver::here(ModelFile::read(path)?),
            (None, None) => Err(Error::Usage("give --port or a model file, or --domain, to say what answers".into())),
        }
    }

    /// The device on the port, if one is given.
    ///
    /// # Errors
    /// As for [`PortArguments::connect`].
    pub fn connect(&self, model: Option<&Path>, output: Output) -> Result<Option<(Client, Info)>, Error> {
        let Some(port) = self.port.clone() else { return Ok(None) };
        let model = model.map(Path::to_owned);
        PortArguments { port, model, baud: self.baud, timeout: self.timeout, retries: 2, key: None }
            .connect(output)
            .map(Some)
    }
}

/// The port of a device that classifies; without one, this machine does.
#[derive(Debug, Clone, clap::Args)]
pub struct ClassifierArguments {
    /// Port of the device: auto, a serial port, tcp:HOST:PORT or qemu:BOARD; see below. Without it, this machine answers
    #[arg(long, value_name = "PORT", required_unless_present = "model")]
    pub port: Option<String>,
    /// Model file: for the model slot of a qemu: board; for this machine; or the one that a board on a port holds, which says how
    /// pictures were prepared in training
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Baud rate, for a serial port
    #[arg(long, default_value_t = 115_200)]
    pub baud: u32,
    /// Milliseconds to wait for each answer
    #[arg(long, value_name = "MS", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// How often to repeat a request that is not answered
    #[arg(long, default_value_t = 2)]
    pub retries: u32,
    /// File of an operator's private key, for a device that only operators may change
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

impl ClassifierArguments {
    /// The port, if one is given.
    pub fn port(&self) -> Option<PortArguments> {
        let ClassifierArguments { port, model, baud, timeout, retries, key } = self.clone();
        Some(PortArguments { port: port?, model, baud, timeout, retries, key })
    }
}

impl PortArguments {
    /// The model file, if one is given.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read, [`Error::Model`] if it is not a valid model.
    pub fn model(&self) -> Result<Option<ModelFile>, Error> {
        let Some(path) = &self.model else { return Ok(None) };
        let file = ModelFile::read(path)?;
        file.held()?;
        Ok(Some(file))
    }

    /// Opens the port and asks the device what it is.
    ///
    /// # Errors
    /// [`Error::KeyFile`] for the key, [`Error::Port`] or [`Error::Missing`] if there is no device, [`Error::Client`] if it does not answer, those of
    /// [`Emulated::start`], and [`Error::SlotRefused`] if a model was given and the device refused it.
    pub fn connect(&self, output: Output) -> Result<(Client, Info), Error> {
        let patience = Patience { timeout: Duration::from_millis(self.timeout), retries: self.retries };
        let key = self.key.as_deref().map(PrivateKey::read).transpose()?;
        let (name, transport) = self.open(output)?;
        let mut client = Client::new(transport, name, patience);
        if let Some(key) = key {
            client.set_key(key.signer());
        }
        let info = client.ask(ask::Info)?;
        match (&self.model, info.slot_error) {
            (Some(_), Some(source)) => Err(Error::SlotRefused { source }),
            _ => Ok((client, info)),
        }
    }

    /// The name of the port and the open connection to it.
    fn open(&self, output: Output) -> Result<(String, Box<dyn Transport>), Error> {
        let port = self.port.clone();
        if let Some(board) = port.strip_prefix("qemu:") {
            self.model()?;
            let emulated = Emulated::start(&Board::find(board)?, self.model.as_deref(), output)?;
            return Ok((port, Box::new(emulated)));
        }
        let baud = self.baud;
        if port == AUTO {
            // The connection on which the board answered stays open. If it is lost, the board may come back on another
            // port.
            let (name, found) = search(baud)?;
            let mut found = Some(found);
            let open = Box::new(move || match found.take() {
                Some(client) => Ok(client.into_transport()),
                None => search(baud).map(|(_, client)| client.into_transport()).map_err(io::Error::other),
            });
            let failed = |source| Error::Port { port, source };
            return Ok((name, Box::new(Reopening::new(open).map_err(failed)?)));
        }
        let name = port.clone();
        let reopening = Reopening::new(Box::new(move || open(&name, baud)));
        match reopening {
            Ok(reopening) => Ok((port, Box::new(reopening))),
            Err(source) => Err(Error::Port { port, source }),
        }
    }
}

/// The port whose name is found by asking all that a board may be connected to.
const AUTO: &str = "auto";

/// Finds the one board that answers.
fn search(baud: u32) -> Result<(String, Client), discover::Missing> {
    let ports = discover::ports().map_err(discover::Missing::List)?;
    discover::find(&ports, |name| open(name, baud))
}

/// Opens a serial port, a pseudo-terminal or tcp:HOST:PORT once.
///
/// # Errors
/// The error of the operating system, if it cannot be opened.
pub fn open(port: &str, baud: u32) -> io::Result<Box<dyn Transport>> {
    match port.strip_prefix("tcp:") {
        Some(address) => connect(address),
        None => Serial::open(port, baud).map(|serial| Box::new(serial) as Box<dyn Transport>),
    }
}

/// Connects to the first address of a host that accepts.
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
