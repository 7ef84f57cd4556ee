//! The request loop as a state machine: one received byte in, at most one frame to send out.

use crate::board::Board;
use crate::images::{Arena, Images};
use crate::push::Bench;
use crate::store::Opened;
use sirocco::bundle::Bundle;
use sirocco::calibrate::{Calibration, Observation, Observations, Task, calibrate, forecast};
use sirocco::error::ModelError;
use sirocco::held::Held;
use sirocco::limits::{MAX_CHUNK, MAX_FRAME, TRAJECTORY_POINTS};
use sirocco::summary::{ModelInfo, ModelKind, name};
use sirocco::trajectory::Trajectory;
use sirocco::wire::store::{ModelRequest, Origin};
use sirocco::wire::{
    self, DeviceError, FrameBuffer, FrameError, Hello, Info, Message, PROTOCOL_VERSION, REQUESTS, Request, Response,
    Statistics,
};

/// What lasts when another model takes over: the half-received frame, the observations, the counters.
#[derive(Debug, Clone)]
pub struct Conversation {
    frames: FrameBuffer,
    answer: [u8; MAX_FRAME],
    observations: Observations,
    statistics: Statistics,
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
            statistics: Statistics::default(),
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
    streaming: Option<Streaming>,
}

/// A trajectory that is not all sent.
#[derive(Debug, Clone, Copy)]
struct Streaming {
    sequence: u16,
    trajectory: Trajectory,
    next: u16,
}

/// What a received byte led to.
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
}

/// A frame to send.
#[derive(Debug, PartialEq)]
pub struct Reply<'f> {
    /// The bytes, with their terminating zero.
    pub frame: &'f [u8],
    /// Why the request was refused, if it was: something for the log.
    pub refused: Option<DeviceError>,
}

impl<'a> App<'a> {
    /// Answers with this model, which fits the arena; `held` is what it holds.
    pub fn new(
        board: Board,
        opened: Opened<'a>,
        held: &'a Held<'a>,
        conversation: &'a mut Conversation,
        arena: Arena<'a>,
    ) -> Self {
        let images = Images::new(held, arena);
        App { board, opened, held, conversation, images, calibration: None, streaming: None }
    }

    /// What a model is checked with, if that is asked for. An image that was received is then forgotten.
    pub fn bench(&mut self, request: &ModelRequest) -> Bench<'_> {
        let checks = matches!(request, ModelRequest::Commit | ModelRequest::Activate(_));
        Bench { open: self.board.open, memory: if checks { self.images.spare() } else { &mut [] } }
    }

    /// Which model answers.
    pub fn model(&self) -> ModelInfo {
        self.held.model_info(self.opened.origin != Origin::BuiltIn)
    }

    /// Why the model that should answer does not, if it was refused.
    pub fn slot_error(&self) -> Option<ModelError> {
        self.opened.slot_error
    }

    /// Takes one received byte; at the end of a request, says what follows from it.
    pub fn receive(&mut self, byte: u8) -> Option<Received<'_>> {
        let (sequence, body) = match self.conversation.frames.push::<Request>(byte)? {
            Ok(Message { sequence, body, .. }) => {
                self.streaming = None;
                count(&mut self.conversation.statistics.requests);
                match body {
                    Request::Model(request) => return Some(Received::Model { sequence, request }),
                    Request::Trajectory { trajectory, first } => {
                        (sequence, self.trajectory(sequence, trajectory, first))
                    }
                    body => (sequence, self.handle(body)),
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
                (sequence, Response::Error(error))
            }
        };
        Some(Received::Reply(self.answer(sequence, body)))
    }

    /// The next frame of an answer that takes several.
    pub fn more(&mut self) -> Option<Reply<'_>> {
        let Streaming { sequence, trajectory, next } = self.streaming?;
        let body = self.trajectory(sequence, trajectory, next);
        Some(self.answer(sequence, body))
    }

    /// The frame of an answer.
    pub fn answer(&mut self, sequence: u16, body: Response) -> Reply<'_> {
        let refused = if let Response::Error(error) = body { Some(error) } else { None };
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

    /// As many points as fit a frame; what is left is for [`Self::more`].
    fn trajectory(&mut self, sequence: u16, trajectory: Trajectory, first: u16) -> Response {
        self.streaming = None;
        let Some(bundle) = self.held.bundle() else { return NO_QUERIES };
        let mut points = heapless::Vec::<_, TRAJECTORY_POINTS>::new();
        let mut next = first;
        while !points.is_full() {
            let Some(point) = bundle.point(&trajectory, next) else { break };
            match point {
                Ok(point) => {
                    // There is room: the vector is not full.
                    let _ = points.push(point);
                    next = next.saturating_add(1);
                }
                Err(error) => return Response::Error(DeviceError::Query(error)),
            }
        }
        if points.is_empty() {
            return Response::Error(DeviceError::Trajectory { points: trajectory.points, first });
        }
        if trajectory.query(next).is_some() {
            self.streaming = Some(Streaming { sequence, trajectory, next });
        }
        Response::Trajectory { first, points }
    }

    fn handle(&mut self, request: Request) -> Response {
        match request {
            Request::Info => Response::Info(self.info()),
            Request::Predict(query) => self.ask(|bundle| match bundle.predict(&query) {
                Ok(prediction) => Response::Prediction(prediction),
                Err(error) => Response::Error(DeviceError::Query(error)),
            }),
            Request::Certify(query) => self.ask(|bundle| match bundle.certify(&query) {
                Ok(certificate) => Response::Certificate(certificate),
                Err(error) => Response::Error(DeviceError::Query(error)),
            }),
            Request::SelfTest => self.self_test(),
            Request::ObservationAdd { place, observation } => self.observe(place, observation),
            Request::ObservationsClear => {
                self.conversation.observations.clear();
                self.calibration = None;
                self.kept()
            }
            Request::Calibrate(task) => self.calibrate(&task),
            Request::Forecast { now, horizon } => match &self.calibration {
                None => Response::Error(DeviceError::NotCalibrated),
                Some(calibration) => self.ask(|bundle| match forecast(bundle, calibration, now, horizon) {
                    Ok(forecast) => Response::Forecast(forecast),
                    Err(error) => Response::Error(DeviceError::Query(error)),
                }),
            },
            Request::Hello => {
                Response::Hello(Hello { requests: REQUESTS, frame: MAX_FRAME as u16, chunk: MAX_CHUNK as u16 })
            }
            Request::Statistics => Response::Statistics(self.statistics()),
            Request::Image(request) => match self.held {
                Held::Bundle(_) => NO_IMAGES,
                Held::Image(image) => match self.images.handle(image, &self.board, &request) {
                    Ok(answer) => Response::Image(answer),
                    Err(refusal) => Response::Error(DeviceError::Image(refusal)),
                },
            },
            Request::Samples(request) => match self.held {
                Held::Bundle(_) => NO_IMAGES,
                Held::Image(_) => match self.images.samples(request) {
                    Ok(answer) => Response::Samples(answer),
                    Err(refusal) => Response::Error(DeviceError::Image(refusal)),
                },
            },
            // These two were taken out before.
            Request::Trajectory { .. } | Request::Model(_) => {
                Response::Error(DeviceError::UnknownRequest { known: REQUESTS })
            }
        }
    }

    /// Asks the bundle, if the model is one.
    fn ask(&self, question: impl FnOnce(&Bundle<'a>) -> Response) -> Response {
        self.held.bundle().map_or(NO_QUERIES, question)
    }

    fn self_test(&mut self) -> Response {
        let memory = self.held.image().map(|image| self.images.behind(&image.network));
        match self.held.self_test(memory.unwrap_or(&mut [])) {
            result if result.queries == 0 => Response::Error(DeviceError::NoGolden),
            result => Response::SelfTest(result),
        }
    }

    fn kept(&self) -> Response {
        Response::Observations { kept: self.conversation.observations.len() as u16 }
    }

    fn observe(&mut self, place: u16, observation: Observation) -> Response {
        let refused = DeviceError::Place { place, kept: self.conversation.observations.len() as u16 };
        let done = match self.conversation.observations.get_mut(usize::from(place)) {
            Some(filled) => {
                *filled = observation;
                true
            }
            None => {
                self.conversation.observations.len() == usize::from(place)
                    && self.conversation.observations.push(observation).is_ok()
            }
        };
        if done { self.kept() } else { Response::Error(refused) }
    }

    fn calibrate(&mut self, task: &Task) -> Response {
        let Some(bundle) = self.held.bundle() else { return NO_QUERIES };
        let start = self.board.clock.map(|clock| (clock, (clock.read)()));
        let result = calibrate(bundle, &self.conversation.observations, task);
        let ticks = start.map(|(clock, start)| clock.since(start));
        match result {
            Ok(calibration) => {
                self.calibration = Some(calibration.clone());
                Response::Calibration { calibration, ticks }
            }
            Err(error) => Response::Error(DeviceError::Calibration(error)),
        }
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

/// To a question for a bundle, from an image network.
const NO_QUERIES: Response = Response::Error(DeviceError::Kind { held: ModelKind::Image });
/// To a question for an image network, from a bundle.
const NO_IMAGES: Response = Response::Error(DeviceError::Kind { held: ModelKind::Bundle });

/// One more, up to the maximum.
fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}
