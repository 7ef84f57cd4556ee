//! Byte streams to a device: TCP, serial ports and ptys, behind one small trait.

use serialport::SerialPort;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A byte stream to a device.
pub trait Transport: Send {
    /// Sends all bytes.
    ///
    /// # Errors
    /// The stream cannot be written to.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Receives at least one byte, or `Ok(0)` if none came within `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEof`] if the other end is closed, or another error of the stream.
    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize>;
}

/// How long a lost port may take to come back.
const REPLUG: Duration = Duration::from_secs(10);
/// Time between two attempts to open a lost port.
const RETRY: Duration = Duration::from_millis(100);

/// Opens a port.
pub type Open = Box<dyn FnMut() -> io::Result<Box<dyn Transport>> + Send>;

/// A port that is opened again when it is lost, because the device was reset, or unplugged and plugged in again.
///
/// Bytes on the way are lost then; the client repeats its request.
pub struct Reopening {
    open: Open,
    port: Option<Box<dyn Transport>>,
}

impl Reopening {
    /// Opens the port for the first time.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub fn new(mut open: Open) -> io::Result<Self> {
        let port = Some(open()?);
        Ok(Reopening { open, port })
    }

    /// The port, opened again if it was lost.
    fn port(&mut self) -> io::Result<&mut Box<dyn Transport>> {
        let deadline = Instant::now() + REPLUG;
        let port = match self.port.take() {
            Some(port) => port,
            None => loop {
                match (self.open)() {
                    Ok(port) => break port,
                    Err(error) if Instant::now() >= deadline => return Err(error),
                    Err(_) => std::thread::sleep(RETRY),
                }
            },
        };
        Ok(self.port.insert(port))
    }
}

impl Transport for Reopening {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.port()?.send(bytes).is_ok() {
            return Ok(());
        }
        self.port = None;
        self.port()?.send(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        match self.port()?.receive(buffer, timeout) {
            Ok(count) => Ok(count),
            Err(_) => {
                self.port = None;
                std::thread::sleep(RETRY.min(timeout));
                Ok(0)
            }
        }
    }
}

/// The shortest timeout. A socket would wait forever with a timeout of zero.
const SHORTEST: Duration = Duration::from_millis(1);

/// Interprets the result of a read: no bytes yet, bytes, or the end of the stream.
fn outcome(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Err(e) if matches!(e.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
        other => other,
    }
}

impl Transport for TcpStream {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        self.set_read_timeout(Some(timeout.max(SHORTEST)))?;
        outcome(self.read(buffer))
    }
}

/// A serial port or a pty.
pub struct Serial(Box<dyn SerialPort>);

impl Serial {
    /// Opens a port by its name, with 8 data bits, no parity and one stop bit.
    ///
    /// # Errors
    /// The operating system cannot open the port.
    pub fn open(name: &str, baud: u32) -> io::Result<Self> {
        Ok(Serial(serialport::new(name, baud).timeout(SHORTEST).open().map_err(io::Error::from)?))
    }
}

impl Transport for Serial {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        self.0.set_timeout(timeout.max(SHORTEST)).map_err(io::Error::from)?;
        outcome(self.0.read(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_port_that_is_lost_is_opened_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let device = std::thread::spawn(move || {
            drop(listener.accept().unwrap());
            let (mut second, _) = listener.accept().unwrap();
            let mut request = [0; 1];
            second.read_exact(&mut request).unwrap();
            second.write_all(&[request[0] + 1]).unwrap();
        });
        let open = move || TcpStream::connect(address).map(|stream| Box::new(stream) as Box<dyn Transport>);
        let mut port = Reopening::new(Box::new(open)).unwrap();
        let mut answer = [0; 8];
        // A read notices the loss, or else the write after it.
        while port.port.is_some() {
            assert_eq!(port.receive(&mut answer, Duration::from_secs(5)).unwrap(), 0);
        }
        port.send(&[6]).unwrap();
        assert_eq!(port.receive(&mut answer, Duration::from_secs(5)).unwrap(), 1);
        assert_eq!(answer[0], 7);
        device.join().unwrap();
    }

    #[test]
    fn a_port_that_never_was_is_an_error_at_once() {
        assert!(Reopening::new(Box::new(|| Err(ErrorKind::NotFound.into()))).is_err());
    }
}
