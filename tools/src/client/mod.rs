//! The host's side of the serial protocol: one request, one answer, over a line that may lose or add bytes.
//!
//! Every attempt begins with a zero byte, which ends any incomplete frame that the device has received. It has a new
//! sequence number, so that a late answer to an earlier attempt is recognized and dropped.

pub mod discover;
pub mod images;
mod remedy;
pub mod transport;

use sirocco::calibrate::Observation;
use sirocco::limits::{COUNTS_PER_FRAME, MAX_FRAME};
use sirocco::outbreak::{Count, Fit, Setting};
use sirocco::query::QueryError;
use sirocco::trajectory::{Point, Trajectory};
use sirocco::wire::trust::{LOWEST, SESSION, Signed, State, TrustRefusal};
use sirocco::wire::{
    self, Ask, DeviceError, FrameBuffer, FrameError, Message, PROTOCOL_VERSION, Request, Response, ask,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use transport::Transport;

pub use remedy::model_remedy;

/// The least time to wait for the right answer after a frame that one side could not read.
const GRACE: Duration = Duration::from_millis(100);
/// With a long timeout for a slow device, this time is the timeout divided by this.
const SHARE: u32 = 20;
/// The longest time to wait until a session is closed.
const CLOSING: Duration = Duration::from_millis(500);
/// How long to wait for the next sign of life of a device that has shown one.
const ALIVE: Duration = Duration::from_secs(10);
/// An epidemic may take this many times longer to fit than other questions take to answer.
const LONG: u32 = 30;

/// How long to wait for an answer, and how often to ask.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Time to wait for one answer.
    pub timeout: Duration,
    /// Number of attempts after the first.
    pub retries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { timeout: Duration::from_secs(2), retries: 2 }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The line itself failed.
    #[error("{port}: {source}; check that the device is connected and powered")]
    Line {
        /// The port.
        port: String,
        /// The error of the line.
        source: std::io::Error,
    },
    /// Nothing came back.
    #[error("{port}: no answer to {attempts} requests within {} ms each; check port, baud rate and power, or raise --timeout", timeout.as_millis())]
    Timeout {
        /// The port.
        port: String,
        /// Number of requests sent.
        attempts: u32,
        /// Time to wait for each answer.
        timeout: Duration,
    },
    /// Only frames that could not be read came back.
    #[error("{port}: only unreadable frames in {attempts} attempts ({last}); check the baud rate and the wiring")]
    Noise {
        /// The port.
        port: String,
        /// Number of requests sent.
        attempts: u32,
        /// The defect of the last frame.
        last: FrameError,
    },
    /// The device speaks another protocol version.
    #[error(
        "{port}: the device speaks protocol version {device}, these tools {PROTOCOL_VERSION}; build firmware and tools from the same release"
    )]
    Version {
        /// The port.
        port: String,
        /// The device's version.
        device: u8,
    },
    /// The device answered with an error.
    #[error("{port}: {source}; {}", remedy::remedy(source))]
    Device {
        /// The port.
        port: String,
        /// The device's error.
        source: DeviceError,
    },
    /// The device answered a different question.
    #[error("{port}: the answer does not belong to the request; build firmware and tools from the same release")]
    Unexpected {
        /// The port.
        port: String,
    },
}

/// Separates the error of a query from all other errors.
///
/// # Errors
/// All errors except [`DeviceError::Query`].
pub fn answered<T>(result: Result<T, ClientError>) -> Result<Result<T, QueryError>, ClientError> {
    match result {
        Ok(answer) => Ok(Ok(answer)),
        Err(ClientError::Device { source: DeviceError::Query(error), .. }) => Ok(Err(error)),
        Err(error) => Err(error),
    }
}

/// A conversation with a device.
pub struct Client {
    transport: Box<dyn Transport>,
    port: String,
    patience: Patience,
    sequence: u16,
    frames: FrameBuffer,
    received: VecDeque<u8>,
    /// An operator's key, for devices that only operators may change.
    key: Option<Sign>,
    /// Whether this conversation has opened a session.
    session: bool,
    /// When the device last complained of a frame.
    complained: Option<Instant>,
}

/// Signs what consists of some parts, with a private key.
pub type Sign = Arc<dyn Fn(&[&[u8]]) -> Signed + Send + Sync>;

/// Why an attempt brought no answer.
enum NoAnswer {
    Silence,
    Noise(FrameError),
}

impl Client {
    /// A conversation over `transport`; `port` is its name in messages.
    pub fn new(transport: Box<dyn Transport>, port: impl Into<String>, patience: Patience) -> Self {
        let (frames, received) = (FrameBuffer::new(), VecDeque::new());
        let (port, key, session) = (port.into(), None, false);
        Client { transport, port, patience, sequence: 0, frames, received, key, session, complained: None }
    }

    /// From now on, what only operators may do is done in a session that this key opens.
    pub fn set_key(&mut self, key: Sign) {
        self.key = Some(key);
    }

    /// The port's name in messages.
    pub fn port(&self) -> &str {
        &self.port
    }

    /// Ends the conversation; the line stays open.
    pub fn into_transport(mut self) -> Box<dyn Transport> {
        self.close();
        std::mem::replace(&mut self.transport, Box::new(Gone))
    }

    /// Asks one question, with retries. Ask [`ask::Info`] first: it shows whether both sides speak the same version.
    ///
    /// # Errors
    /// [`ClientError`]; what the device refuses is [`ClientError::Device`].
    pub fn ask<A: Ask>(&mut self, ask: A) -> Result<A::Answer, ClientError> {
        let request = ask.request();
        let response = match (self.request(&request), self.key.clone()) {
            // The device was reset, or no session has been opened yet.
            (Err(ClientError::Device { source: DeviceError::Trust(TrustRefusal::Closed), .. }), Some(key)) => {
                self.open(&key)?;
                self.request(&request)?
            }
            (result, _) => result?,
        };
        A::answer(response).ok_or_else(|| self.mismatch())
    }

    /// Opens a session. It is closed with the conversation.
    ///
    /// # Errors
    /// As for [`Self::ask`]; [`TrustRefusal`] if the key is not that of an operator.
    pub fn open(&mut self, key: &Sign) -> Result<(), ClientError> {
        let nonce = self.ask(ask::TrustChallenge)?;
        self.ask(ask::TrustOpen(key(&[&SESSION, &nonce])))?;
        self.session = true;
        Ok(())
    }

    /// Sets the lowest serial number of a model that the device takes, with a statement signed by a key for models.
    ///
    /// # Errors
    /// As for [`Self::ask`]; [`TrustRefusal`] if the key is not one for models.
    pub fn set_lowest(&mut self, serial: u32, key: &Sign) -> Result<State, ClientError> {
        let nonce = self.ask(ask::TrustChallenge)?;
        self.ask(ask::TrustLowest(serial, key(&[&LOWEST, &nonce, &serial.to_le_bytes()])))
    }

    /// Closes the session, if one is open. That may fail: the device closes it by itself when it is reset, or idle.
    fn close(&mut self) {
        if std::mem::take(&mut self.session) {
            self.patience = Patience { timeout: self.patience.timeout.min(CLOSING), retries: 0 };
            let _ = self.ask(ask::TrustClose);
        }
    }

    /// Replaces the observations of the device by these.
    ///
    /// # Errors
    /// As for [`Self::ask`]; [`DeviceError::Place`] if the device cannot keep so many.
    pub fn observe(&mut self, observations: &[Observation]) -> Result<(), ClientError> {
        self.ask(ask::ObservationsClear)?;
        for (place, observation) in (0u16..).zip(observations) {
            self.ask(ask::ObservationAdd(place, *observation))?;
        }
        Ok(())
    }

    /// Sends the counts of an outbreak, and asks for an epidemic that fits them. A device without floating point may take minutes.
    ///
    /// # Errors
    /// As for [`Self::ask`]; [`DeviceError::CountPlace`] if the device cannot keep so many.
    pub fn outbreak(&mut self, counts: &[Count], setting: &Setting) -> Result<(Fit, Option<u32>), ClientError> {
        self.ask(ask::CountsClear)?;
        for (place, counts) in (0u16..).step_by(COUNTS_PER_FRAME).zip(counts.chunks(COUNTS_PER_FRAME)) {
            self.ask(ask::CountsAdd(place, counts.iter().copied().collect()))?;
        }
        let usual = self.patience;
        self.patience = Patience { timeout: usual.timeout * LONG, retries: 0 };
        let answer = self.ask(ask::OutbreakFit(setting.clone()));
        self.patience = usual;
        answer
    }

    /// Asks for the states of a problem at many times. Points that are lost are asked for again.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub fn trajectory(&mut self, trajectory: &Trajectory) -> Result<Vec<Point>, ClientError> {
        let (mut all, mut next) = (Vec::new(), 0u16);
        loop {
            let mut answer = Some(self.request(&ask::Trajectory(*trajectory, next).request())?);
            while let Some(response) = answer {
                match ask::Trajectory::answer(response) {
                    Some((first, points)) if first == next => {
                        next = next.saturating_add(points.len() as u16);
                        all.extend(points);
                    }
                    _ => return Err(self.mismatch()),
                }
                if next >= trajectory.points {
                    return Ok(all);
                }
                answer = self.another()?;
            }
        }
    }

    /// One more answer to the last request, if it arrives undamaged and in time.
    fn another(&mut self) -> Result<Option<Response>, ClientError> {
        let deadline = Instant::now() + self.patience.timeout;
        match self.next_message(deadline)? {
            Some(Ok(message)) if message.sequence == self.sequence => self.accept(message.body).map(Some),
            _ => Ok(None),
        }
    }

    /// The error for an answer that does not belong to its request.
    fn mismatch(&self) -> ClientError {
        ClientError::Unexpected { port: self.port.clone() }
    }

    /// One request, one answer, with retries. Noise makes an attempt short, so that there are more of them in the same time. A device
    /// that complains of frames is there, and working off what it has received: it has [`LONG`] times as long.
    fn request(&mut self, request: &Request) -> Result<Response, ClientError> {
        let (mut last, mut attempts) = (NoAnswer::Silence, 0);
        let end = Instant::now() + self.patience.timeout * (self.patience.retries + 1);
        let last_end = Instant::now() + self.patience.timeout * LONG;
        self.complained = None;
        let complains = |client: &Self| client.complained.is_some_and(|at| at.elapsed() < client.patience.timeout);
        while attempts <= self.patience.retries || Instant::now() < end || complains(self) && Instant::now() < last_end
        {
            match self.attempt(request)? {
                Ok(response) => return Ok(response),
                Err(reason) => last = reason,
            }
            attempts += 1;
        }
        let port = self.port.clone();
        Err(match last {
            NoAnswer::Silence => ClientError::Timeout { port, attempts, timeout: self.patience.timeout },
            NoAnswer::Noise(last) => ClientError::Noise { port, attempts, last },
        })
    }

    fn attempt(&mut self, request: &Request) -> Result<Result<Response, NoAnswer>, ClientError> {
        // Zero is left out: a device answers with it if it could not read the request.
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        let mut buffer = [0; MAX_FRAME];
        let message = Message { version: PROTOCOL_VERSION, sequence: self.sequence, body: request };
        let frame = wire::encode(&message, &mut buffer).map_err(|_| self.mismatch())?;
        let bytes = [&[0], frame].concat();
        self.transport.send(&bytes).map_err(|source| self.line(source))?;

        let mut deadline = Instant::now() + self.patience.timeout;
        let mut noise = None;
        while let Some(received) = self.next_message(deadline)? {
            let defect = match received {
                Ok(message) if message.sequence == self.sequence => return self.accept(message.body).map(Ok),
                Ok(Message { sequence: 0, body: Response::Error(DeviceError::Frame(defect)), .. }) => {
                    self.complained = Some(Instant::now());
                    defect
                }
                Ok(Message { sequence: 0, body: Response::Hello(_), .. }) => {
                    // It is still calculating.
                    deadline = deadline.max(Instant::now() + ALIVE);
                    continue;
                }
                Ok(_) => continue,
                Err(FrameError::Version { version: device, .. }) => {
                    return Err(ClientError::Version { port: self.port.clone(), device });
                }
                Err(defect) => defect,
            };
            noise = Some(defect);
            deadline = deadline.min(Instant::now() + GRACE.max(self.patience.timeout / SHARE));
        }
        Ok(Err(noise.map_or(NoAnswer::Silence, NoAnswer::Noise)))
    }

    fn accept(&self, response: Response) -> Result<Response, ClientError> {
        match response {
            Response::Error(DeviceError::Version { device }) => {
                Err(ClientError::Version { port: self.port.clone(), device })
            }
            Response::Error(source) => Err(ClientError::Device { port: self.port.clone(), source }),
            response => Ok(response),
        }
    }

    /// The next message, or `None` at the deadline.
    fn next_message(
        &mut self,
        deadline: Instant,
    ) -> Result<Option<Result<Message<Response>, FrameError>>, ClientError> {
        loop {
            while let Some(byte) = self.received.pop_front() {
                if let Some(message) = self.frames.push(byte) {
                    return Ok(Some(message));
                }
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Ok(None);
            }
            let mut buffer = [0; MAX_FRAME];
            let count = self.transport.receive(&mut buffer, remaining).map_err(|source| self.line(source))?;
            self.received.extend(buffer.iter().take(count));
        }
    }

    fn line(&self, source: std::io::Error) -> ClientError {
        ClientError::Line { port: self.port.clone(), source }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
    }
}

/// The line of a conversation that has ended.
struct Gone;

impl Transport for Gone {
    fn send(&mut self, _: &[u8]) -> std::io::Result<()> {
        Err(std::io::ErrorKind::NotConnected.into())
    }

    fn receive(&mut self, _: &mut [u8], _: Duration) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::NotConnected.into())
    }
}
