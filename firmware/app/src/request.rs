//! The request loop as a state machine: one received byte in, at most one frame to send out.

use crate::board::Board;
use crate::images::{Arena, Images};
use crate::push::Bench;
use crate::sign;
use crate::store::Opened;
use crate::trust::Session;
use sirocco::bundle::Bundle;
use sirocco::calibrate::{Calibration, Observation, Observations, Task, calibrate_watched, forecast};
use sirocco::error::ModelError;
use sirocco::held::Held;
use sirocco::limits::{MAX_FRAME, TRAJECTORY_POINTS};
use sirocco::outbreak::{self, Counts, Fit, Setting, Starts};
use sirocco::summary::{ModelInfo, ModelKind, SelfTest, name};
use sirocco::trajectory::Trajectory;
use sirocco::wire::outbreak::{OutbreakAnswer, OutbreakRequest};
use sirocco::wire::store::{ModelRequest, Origin};
use sirocco::wire::trust::{TrustRefusal, TrustRequest};
use sirocco::wire::{
    self, Ask, DeviceError, FrameBuffer, FrameError, Info, Message, PROTOCOL_VERSION, REQUESTS, Request, Response,
    Statistics, ask,
};

/// The state that outlives a change of the model: the half-received frame, the observations, the counts, the counters.
#[derive(Debug, Clone)]
pub struct Conversation {
    frames: FrameBuffer,
    answer: [u8; MAX_FRAME],
    observations: Observations,
    counts: Counts,
    statistics: Statistics,
    session: Session,
}

impl Default for Conversation {
    fn default() -> Self {
        Self::new()
    }
}

impl Conversation {
    /// The state at reset.
    pub fn new() -> Self {
        Conversation {
            frames: FrameBuffer::new(),
            answer: [0; MAX_FRAME],
            observations: Observations::new(),
            counts: Counts::new(),
            statistics: Statistics::default(),
            session: Session::default(),
        }
    }
}

/// A model and the conversation about it.
pub struct App<'a> {
    board: Board,
    opened: Opened<'a>,
    held: &'a Held<'a>,
    conversation: &'a mut Conversation,
    images: Images<'a>,
    calibration: Option<Calibration>,
    outbreak: Option<(Setting, Fit)>,
    streaming: Option<Streaming>,
}

/// A trajectory of which some points are still to be sent.
#[derive(Debug, Clone, Copy)]
struct Streaming {
    sequence: u16,
    trajectory: Trajectory,
    next: u16,
}

/// The outcome of a received byte that completes a message.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is no heap to put a chunk on")]
pub enum Received<'f> {
    /// A frame to send; then [`App::more`].
    Reply(Reply<'f>),
    /// A question about models, for [`Push::handle`](crate::Push::handle); its answer goes to [`App::answer`].
    Model {
        /// The request's sequence number.
        sequence: u16,
        /// The question.
        request: ModelRequest,
    },
    /// A question about trust, for [`Push::trust`](crate::Push::trust); its answer goes to [`App::answer`].
    Trust {
        /// The request's sequence number.
        sequence: u16,
        /// The question.
        request: TrustRequest,
    },
}

/// A frame to send.
#[derive(Debug, PartialEq)]
pub struct Reply<'f> {
    /// The bytes, with their terminating zero.
    pub frame: &'f [u8],
    /// Why the request was refused, if it was; for the log.
    pub refused: Option<DeviceError>,
}

impl<'a> App<'a> {
    /// Starts to answer with `held`, the open model of `opened`, which must fit the arena.
    pub fn new(
        board: Board,
        opened: Opened<'a>,
        held: &'a Held<'a>,
        conversation: &'a mut Conversation,
        arena: Arena<'a>,
    ) -> Self {
        let images = Images::new(held, arena);
        App { board, opened, held, conversation, images, calibration: None, outbreak: None, streaming: None }
    }

    /// The means to check a model. They include memory only if the request asks for a check; a received image is then dropped.
    pub fn bench(&mut self, request: &ModelRequest) -> Bench<'_> {
        let checks = matches!(request, ModelRequest::Commit | ModelRequest::Activate(_));
        let now = self.board.uptime.map(|uptime| uptime());
        Bench { open: self.board.open, memory: if checks { self.images.take_memory() } else { &mut [] }, now }
    }

    /// The conversation with an operator.
    pub fn session(&mut self) -> &mut Session {
        &mut self.conversation.session
    }

    /// The model that answers.
    pub fn model(&self) -> ModelInfo {
        self.held.model_info(self.opened.origin != Origin::BuiltIn)
    }

    /// Why the model that should answer does not, if it was refused.
    pub fn slot_error(&self) -> Option<ModelError> {
        self.opened.slot_error
    }

    /// Takes one received byte. The last byte of a request returns the answer, or the request if it is about models. Signs of life
    /// that are due before the answer go to `send`.
    pub fn receive(&mut self, byte: u8, send: &mut dyn FnMut(&[u8])) -> Option<Received<'_>> {
        let (sequence, result) = match self.conversation.frames.push::<Request>(byte)? {
            Ok(Message { sequence, body, .. }) => {
                self.streaming = None;
                count(&mut self.conversation.statistics.requests);
                let (ticks, now) = (self.board.clock.map(|clock| (clock.read)()), self.board.uptime.map(|now| now()));
                self.conversation.session.note(ticks, now);
                match body {
                    body if self.conversation.session.refuses(&self.opened.trust, &body) => {
                        (sequence, Err(DeviceError::Trust(TrustRefusal::Closed)))
                    }
                    Request::Trust(request) => return Some(Received::Trust { sequence, request }),
                    Request::Model(request) => return Some(Received::Model { sequence, request }),
                    body => (sequence, self.handle(sequence, body, send)),
                }
            }
            Err(error) => {
                count(&mut self.conversation.statistics.unreadable);
                let (sequence, error) = match error {
                    FrameError::Version { sequence, .. } => {
                        (sequence, DeviceError::Version { device: PROTOCOL_VERSION })
                    }
                    FrameError::Body { sequence } => (sequence, DeviceError::UnknownRequest { known: REQUESTS }),
                    error => (0, DeviceError::Frame(error)),
                };
                (sequence, Err(error))
            }
        };
        Some(Received::Reply(self.answer(sequence, result)))
    }

    /// The next frame of an answer that has several.
    pub fn more(&mut self) -> Option<Reply<'_>> {
        let Streaming { sequence, trajectory, next } = self.streaming?;
        let result = self.trajectory(sequence, trajectory, next);
        Some(self.answer(sequence, result))
    }

    /// The frame of an answer, or of the error that a request was refused with.
    pub fn answer(&mut self, sequence: u16, result: Result<Response, DeviceError>) -> Reply<'_> {
        let refused = result.as_ref().err().copied();
        let body = result.unwrap_or_else(Response::Error);
        let statistics = &mut self.conversation.statistics;
        if refused.is_some() {
            count(&mut statistics.refused);
        }
        if let Response::Model(wire::store::ModelAnswer::Activated(_)) = body {
            count(&mut statistics.activations);
        }
        let message = Message { version: PROTOCOL_VERSION, sequence, body };
        // Every answer fits a frame: the longest ones are test cases of the protocol.
        let frame = wire::encode(&message, &mut self.conversation.answer).unwrap_or(&[0]);
        Reply { frame, refused }
    }

    /// Answers with as many points as fit a frame, from number `first` on; [`Self::more`] sends the rest.
    fn trajectory(&mut self, sequence: u16, trajectory: Trajectory, first: u16) -> Result<Response, DeviceError> {
        self.streaming = None;
        let solution = self.bundle()?.solution(&trajectory.problem)?;
        let mut points = heapless::Vec::<_, TRAJECTORY_POINTS>::new();
        let mut next = first;
        while !points.is_full() {
            let Some(point) = solution.point(&trajectory, next) else { break };
            // There is room: the vector is not full.
            let _ = points.push(point?);
            next = next.saturating_add(1);
        }
        if points.is_empty() {
            return Err(DeviceError::Trajectory { points: trajectory.points, first });
        }
        if trajectory.query(next).is_some() {
            self.streaming = Some(Streaming { sequence, trajectory, next });
        }
        Ok(ask::Trajectory::response((first, points)))
    }

    // Not inlined: as a part of the main loop it takes 11 kB more of flash on a Cortex-M0+, and 1 kB on a Cortex-M4.
    #[inline(never)]
    fn handle(
        &mut self,
        sequence: u16,
        request: Request,
        send: &mut dyn FnMut(&[u8]),
    ) -> Result<Response, DeviceError> {
        Ok(match request {
            Request::Info => ask::Info::response(self.info()),
            Request::Predict(query) => ask::Predict::response(self.bundle()?.predict(&query)?),
            Request::SelfTest => ask::SelfTest::response(self.self_test()?),
            Request::Certify(query) => ask::Certify::response(self.bundle()?.certify(&query)?),
            Request::ObservationAdd { place, observation } => {
                ask::ObservationAdd::response(self.observe(place, observation)?)
            }
            Request::ObservationsClear => {
                self.conversation.observations.clear();
                self.calibration = None;
                ask::ObservationsClear::response(self.kept())
            }
            Request::Calibrate(task) => ask::Calibrate::response(self.calibrate(&task, send)?),
            Request::Forecast { now, horizon } => {
                let calibration = self.calibration.as_ref().ok_or(DeviceError::NotCalibrated)?;
                ask::Forecast::response(forecast(self.bundle()?, calibration, now, horizon)?)
            }
            Request::Hello => sign::hello(),
            Request::Trajectory { trajectory, first } => self.trajectory(sequence, trajectory, first)?,
            Request::Statistics => ask::Statistics::response(self.statistics()),
            Request::Image(request) => {
                let Held::Image(image) = self.held else { return Err(NO_IMAGES) };
                Response::Image(self.images.handle(image, &self.board, &request)?)
            }
            Request::Samples(request) => {
                let Held::Image(_) = self.held else { return Err(NO_IMAGES) };
                Response::Samples(self.images.samples(request)?)
            }
            Request::Outbreak(request) => Response::Outbreak(self.outbreak(request, send)?),
            // `receive` passes these on and never calls this function with one.
            Request::Model(_) | Request::Trust(_) => return Err(DeviceError::UnknownRequest { known: REQUESTS }),
        })
    }

    /// The bundle, if the model is one.
    fn bundle(&self) -> Result<&'a Bundle<'a>, DeviceError> {
        self.held.bundle().ok_or(DeviceError::Kind { held: ModelKind::Image })
    }

    fn self_test(&mut self) -> Result<SelfTest, DeviceError> {
        let memory = self.held.image().map(|image| self.images.workspace(&image.network));
        match self.held.self_test(memory.unwrap_or(&mut [])) {
            result if result.queries == 0 => Err(DeviceError::NoGolden),
            result => Ok(result),
        }
    }

    fn kept(&self) -> u16 {
        self.conversation.observations.len() as u16
    }

    fn observe(&mut self, place: u16, observation: Observation) -> Result<u16, DeviceError> {
        let kept = self.kept();
        let refused = DeviceError::Place { place, kept };
        let observations = &mut self.conversation.observations;
        match observations.get_mut(usize::from(place)) {
            Some(filled) => *filled = observation,
            None if place == kept => observations.push(observation).map_err(|_| refused)?,
            None => return Err(refused),
        }
        Ok(self.kept())
    }

    fn calibrate(
        &mut self,
        task: &Task,
        send: &mut dyn FnMut(&[u8]),
    ) -> Result<(Calibration, Option<u32>), DeviceError> {
        let bundle = self.bundle()?;
        let stopwatch = self.board.stopwatch();
        let observations = &self.conversation.observations;
        let result = calibrate_watched(bundle, observations, task, &mut sign::of_life(observations.len(), send));
        let ticks = stopwatch.map(|ticks| ticks());
        let calibration = result?;
        self.calibration = Some(calibration.clone());
        Ok((calibration, ticks))
    }

    // Not inlined, so that the request loop does not reserve its stack for every request.
    #[inline(never)]
    fn outbreak(
        &mut self,
        request: OutbreakRequest,
        send: &mut dyn FnMut(&[u8]),
    ) -> Result<OutbreakAnswer, DeviceError> {
        let counts = &mut self.conversation.counts;
        Ok(match request {
            OutbreakRequest::Add { place, counts: new } => {
                for (place, count) in (place..).zip(new) {
                    let kept = counts.len() as u16;
                    let refused = DeviceError::CountPlace { place, kept };
                    match counts.get_mut(usize::from(place)) {
                        Some(filled) => *filled = count,
                        None if place == kept => counts.push(count).map_err(|_| refused)?,
                        None => return Err(refused),
                    }
                }
                OutbreakAnswer::Kept(counts.len() as u16)
            }
            OutbreakRequest::Clear => {
                counts.clear();
                self.outbreak = None;
                OutbreakAnswer::Kept(0)
            }
            OutbreakRequest::Fit(setting) => self.fit(setting, send)?,
            OutbreakRequest::Expect { observable, from, to } => {
                let (setting, fit) = self.outbreak.as_ref().ok_or(DeviceError::NotCalibrated)?;
                let expected = outbreak::expected(self.bundle()?, setting, fit, observable, (from, to))?;
                OutbreakAnswer::Expected(expected)
            }
        })
    }

    #[inline(never)]
    fn fit(&mut self, setting: Setting, send: &mut dyn FnMut(&[u8])) -> Result<OutbreakAnswer, DeviceError> {
        let bundle = self.bundle()?;
        let stopwatch = self.board.stopwatch();
        let counts = &self.conversation.counts;
        let mut watch = sign::of_life(counts.len(), send);
        let result = outbreak::fit_watched(bundle, counts, &setting, Starts::Guessed, &mut watch);
        let ticks = stopwatch.map(|ticks| ticks());
        let (_, fit) = self.outbreak.insert((setting, result?));
        Ok(OutbreakAnswer::Fit { fit: fit.clone(), ticks })
    }

    fn info(&self) -> Info {
        Info {
            board: name(self.board.name),
            firmware: name(env!("CARGO_PKG_VERSION")),
            model: self.model(),
            slot_error: self.opened.slot_error,
            stack_high_water: (self.board.memory)().map(|memory| memory.stack_high_water),
        }
    }

    fn statistics(&self) -> Statistics {
        let (uptime, memory) = (self.board.uptime.map(|uptime| uptime()), (self.board.memory)());
        Statistics { uptime, memory, ..self.conversation.statistics }
    }
}

/// The refusal of a question about images while the model is a bundle.
const NO_IMAGES: DeviceError = DeviceError::Kind { held: ModelKind::Bundle };

/// Increments a counter, up to its maximum.
fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}
