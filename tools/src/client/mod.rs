//! The host's side of the serial protocol: one request, one answer, over a line that may lose or add bytes.
//!
//! Every attempt begins with a zero byte, which ends any incomplete frame that the device has received. It has a new
//! sequence number, so that a late answer to an earlier attempt is recognized and dropped.

pub mod discover;
pub mod images;
pub mod transport;

use sirocco::calibrate::Observation;
use sirocco::limits::{COUNTS_PER_FRAME, MAX_FRAME};
use sirocco::outbreak::{Count, Fit, Setting};
use sirocco::query::QueryError;
use sirocco::summary::ModelKind;
use sirocco::trajectory::{Point, Trajectory};
use sirocco::wire::{
    self, Ask, DeviceError, FrameBuffer, FrameError, Message, PROTOCOL_VERSION, Request, Response, ask,
};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use transport::Transport;

/// The least time to wait for the right answer after a frame that one side could not read.
const GRACE: Duration = Duration::from_millis(100);
/// With a long timeout for a slow device, this time is the timeout divided by this.
const SHARE: u32 = 20;
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
    #[error("{port}: {source}; {}", remedy(source))]
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

/// The remedy for a device's error.
fn remedy(error: &DeviceError) -> &'static str {
    match error {
        DeviceError::Frame(_) => "check the baud rate and the wiring",
        DeviceError::Version { .. } => "build firmware and tools from the same release",
        DeviceError::Query(QueryError::NotFinite(_)) => "give finite numbers",
        DeviceError::Query(QueryError::NegativeTime) => "give a time of zero or later",
        DeviceError::Query(_) => "see the model's domain with `sirocco info`",
        DeviceError::Calibration(_) => "see the model's domain with `sirocco info`, and what is observed",
        DeviceError::Place { .. } => "clear the observations, or add them in their order",
        DeviceError::Outbreak(_) => "see what was understood of the table, and the ranges of what is unknown",
        DeviceError::CountPlace { .. } => "join days to weeks with --until or --every, so that there are fewer counts",
        DeviceError::NotCalibrated => "calibrate first",
        DeviceError::UnknownRequest { .. } => "build firmware and tools from the same release",
        DeviceError::Trajectory { .. } => "ask for fewer points",
        DeviceError::Store(_) => "check the file with `sirocco inspect`, and the slots with `sirocco models`",
        DeviceError::Kind { held: ModelKind::Image } => "ask it with `sirocco classify`, or push a solution bundle",
        DeviceError::Kind { held: ModelKind::Bundle } => "ask it with `sirocco query`, or push an image network",
        DeviceError::Image(_) => "see what the network takes with `sirocco info`",
        DeviceError::NoGolden => "export the model again with golden queries",
    }
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
}

/// Why an attempt brought no answer.
enum NoAnswer {
    Silence,
    Noise(FrameError),
}

impl Client {
    /// A conversation over `transport`; `port` is its name in messages.
    pub fn new(transport: Box<dyn Transport>, port: impl Into<String>, patience: Patience) -> Self {
        let (frames, received) = (FrameBuffer::new(), VecDeque::new());
        Client { transport, port: port.into(), patience, sequence: 0, frames, received }
    }

    /// The port's name in messages.
    pub fn port(&self) -> &str {
        &self.port
    }

    /// Ends the conversation; the line stays open.
    pub fn into_transport(self) -> Box<dyn Transport> {
        self.transport
    }

    /// Asks one question, with retries. Ask [`ask::Info`] first: it shows whether both sides speak the same version.
    ///
    /// # Errors
    /// [`ClientError`]; what the device refuses is [`ClientError::Device`].
    pub fn ask<A: Ask>(&mut self, ask: A) -> Result<A::Answer, ClientError> {
        let response = self.request(ask.request())?;
        A::answer(response).ok_or_else(|| self.mismatch())
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
            let mut answer = Some(self.request(ask::Trajectory(*trajectory, next).request())?);
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

    /// One request, one answer, with retries.
    fn request(&mut self, request: Request) -> Result<Response, ClientError> {
        let mut last = NoAnswer::Silence;
        for _ in 0..=self.patience.retries {
            match self.attempt(&request)? {
                Ok(response) => return Ok(response),
                Err(reason) => last = reason,
            }
        }
        let (port, attempts) = (self.port.clone(), self.patience.retries + 1);
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
                Ok(Message { sequence: 0, body: Response::Error(DeviceError::Frame(defect)), .. }) => defect,
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
