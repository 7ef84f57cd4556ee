//! Runs firmware in QEMU. On Linux, QEMU ends together with this process, even if that is killed.

use crate::Error;
use crate::client::transport::Transport;
use crate::device::board::{Board, Qemu};
use crate::device::cargo;
use crate::device::device_log::{Decoder, Level, Line};
use crate::device::elf::Firmware;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The name of the program.
pub const PROGRAM: &str = "qemu-system-arm";
const INSTALL: &str = "install it with `sirocco setup`";

/// A running QEMU, which dropping this ends.
///
/// On Linux, QEMU also ends when the thread that started it ends, for whatever reason.
pub struct Emulator {
    child: Child,
}

/// The board and files to emulate.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    /// The board.
    pub board: &'a Board,
    /// The ELF file of its firmware.
    pub elf: &'a Path,
    /// A model file that is loaded into the first model slot at every reset, without checks.
    pub model: Option<&'a Path>,
    /// The file in which the models' flash is kept; it is created if it does not exist.
    pub flash: Option<&'a Path>,
}

impl Emulator {
    /// Starts QEMU with UART0 on a TCP connection, and returns this side of it. Lines of the firmware's log go to
    /// `sink`.
    ///
    /// QEMU connects to a socket that is opened here, so no free port has to be guessed.
    ///
    /// # Errors
    /// [`Error::Program`] without QEMU, [`Error::Emulator`] if it does not start, [`Error::File`] or
    /// [`Error::Firmware`] for the firmware file, [`Error::Usage`] if this board's flash cannot be kept in a file.
    pub fn tcp(image: Image<'_>, sink: impl FnMut(Line) + Send + 'static) -> Result<(Self, TcpStream), Error> {
        let failed = |what: &str, e: io::Error| emulator(format!("{what}: {e}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| failed("cannot be given a port", e))?;
        let address = listener.local_addr().map_err(|e| failed("cannot be given a port", e))?;
        let mut emulator = Self::start(image, &format!("tcp:{address},nodelay=on"), |_| Ok(()), sink)?.0;
        let stream = emulator.accept(&listener)?;
        stream.set_nodelay(true).map_err(|e| failed("lost its connection", e))?;
        Ok((emulator, stream))
    }

    /// Starts QEMU with UART0 on a pseudo-terminal, and returns the path of that. Lines of the firmware's log go to
    /// `sink`.
    ///
    /// # Errors
    /// As for [`Self::tcp`].
    pub fn pty(image: Image<'_>, sink: impl FnMut(Line) + Send + 'static) -> Result<(Self, PathBuf), Error> {
        // QEMU prints "char device redirected to /dev/pts/7 (label serial0)" before the firmware starts its log.
        let path = |log: &mut BufReader<std::process::ChildStdout>| {
            let mut line = String::new();
            log.read_line(&mut line).map_err(|e| emulator(format!("did not print the path of its pty: {e}")))?;
            let path = line.split_whitespace().find(|word| word.starts_with("/dev/"));
            path.map(PathBuf::from).ok_or_else(|| emulator("did not print the path of its pty".into()))
        };
        Self::start(image, "pty", path, sink)
    }

    /// Starts QEMU; `first` reads what it prints before the log.
    fn start<T>(
        image: Image<'_>,
        serial: &str,
        first: impl FnOnce(&mut BufReader<std::process::ChildStdout>) -> Result<T, Error>,
        sink: impl FnMut(Line) + Send + 'static,
    ) -> Result<(Self, T), Error> {
        let elf = std::fs::read(image.elf).map_err(Error::file(image.elf))?;
        let decoder = Decoder::new(image.elf, &elf)?;
        let mut command = command(image, &Firmware::parse(image.elf, &elf)?, serial)?;
        let missing = |source| Error::Program { program: PROGRAM.into(), source, remedy: INSTALL };
        let mut emulator = Emulator { child: command.spawn().map_err(missing)? };
        let Some(stdout) = emulator.child.stdout.take() else {
            return Err(self::emulator("has no output".into()));
        };
        let mut log = BufReader::new(stdout);
        let first = first(&mut log)?;
        std::thread::spawn(move || decoder.run(log, sink));
        Ok((emulator, first))
    }

    /// Waits for QEMU's connection.
    fn accept(&mut self, listener: &TcpListener) -> Result<TcpStream, Error> {
        let failed = |e: io::Error| emulator(format!("did not connect: {e}"));
        listener.set_nonblocking(true).map_err(failed)?;
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).map_err(failed)?;
                    return Ok(stream);
                }
                Err(e) if e.kind() != io::ErrorKind::WouldBlock => return Err(failed(e)),
                Err(_) => {}
            }
            if let Some(status) = self.ended() {
                return Err(emulator(format!("ended before it connected ({status})")));
            }
            if Instant::now() > deadline {
                return Err(emulator("did not connect within 20 s".into()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The exit status, if QEMU has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Both fail only if QEMU has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs firmware without a serial port until it ends, and returns what it printed through semihosting.
///
/// # Errors
/// [`Error::Program`] without QEMU, [`Error::Emulator`] if its output is not text, [`Error::File`] or
/// [`Error::Firmware`] for the firmware file.
pub fn output(image: Image<'_>) -> Result<String, Error> {
    let elf = std::fs::read(image.elf).map_err(Error::file(image.elf))?;
    let mut command = command(image, &Firmware::parse(image.elf, &elf)?, "none")?;
    let missing = |source| Error::Program { program: PROGRAM.into(), source, remedy: INSTALL };
    let out = command.output().map_err(missing)?;
    String::from_utf8(out.stdout).map_err(|e| emulator(format!("printed something other than text: {e}")))
}

fn emulator(what: String) -> Error {
    Error::Emulator { what, remedy: "see its messages above, or run `sirocco emulate` to see the log of the device" }
}

/// QEMU's command line.
fn command(image: Image<'_>, firmware: &Firmware<'_>, serial: &str) -> Result<Command, Error> {
    let Qemu { machine, flash_memory, .. } = image.board.qemu()?;
    let mut command = qemu();
    let machine = match image.flash {
        None => machine.clone(),
        Some(path) => {
            let without = || {
                Error::Usage(format!("QEMU cannot keep the flash of {} in a file; leave --flash out", image.board.name))
            };
            let size = flash_memory.as_ref().ok_or_else(without)?;
            let file = option(path);
            let memory = format!("memory-backend-file,id=flash,mem-path={file},size={size},share=on");
            command.args(["-object", &memory]);
            format!("{machine},memory-backend=flash")
        }
    };
    let machine = machine.as_str();
    // With -icount, time is the number of executed instructions, so that runs are reproducible.
    command.args(["-M", machine, "-icount", "shift=0", "-nographic", "-monitor", "none", "-serial", serial]);
    command.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(image.elf);
    if let Some(model) = image.model {
        let slot = firmware.model_slot_for(model)?;
        let file = option(model);
        command.args(["-device", &format!("loader,file={file},addr={:#x},force-raw=on", slot.start)]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}

/// A path as part of an option of QEMU, where a comma separates values unless it is doubled.
fn option(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// QEMU's command. On Linux it starts through `setpriv`, if that is installed, so that the kernel ends QEMU with its
/// parent.
fn qemu() -> Command {
    if cfg!(target_os = "linux") && version("setpriv").is_some() && version(PROGRAM).is_some() {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", PROGRAM]);
        command
    } else {
        Command::new(PROGRAM)
    }
}

/// The first line that a program prints for `--version`, if the program is installed.
pub fn version(program: &str) -> Option<String> {
    let out = Command::new(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout);
    out.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}

/// A connection to a device in QEMU, which ends with the connection.
pub struct Emulated {
    stream: TcpStream,
    _emulator: Emulator,
}

impl Emulated {
    /// Builds the firmware of the board if anything changed, and starts it. Only the errors in its log are shown.
    ///
    /// # Errors
    /// As for [`Board::qemu`], [`cargo::build`] and [`Emulator::tcp`].
    pub fn start(board: &Board, model: Option<&Path>, output: crate::output::Output) -> Result<Self, Error> {
        board.qemu()?;
        let elf = cargo::build(board, output)?;
        let errors = |line: Line| {
            if line.level == Level::Error {
                crate::device::device_log::print(&line);
            }
        };
        let (emulator, stream) = Emulator::tcp(Image { board, elf: &elf, model, flash: None }, errors)?;
        Ok(Emulated { stream, _emulator: emulator })
    }
}

impl Transport for Emulated {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.send(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        self.stream.receive(buffer, timeout)
    }
}
