//! The messages. Requests, answers and errors are added at the end of their lists, never changed: their encoding is
//! their place.

use super::FrameError;
use super::image::{ImageAnswer, ImageRefusal, ImageRequest, SampleAnswer, SampleRequest};
use super::store::{ModelAnswer, ModelRequest, StoreError};
use crate::bundle::Certificate;
use crate::calibrate::{Calibration, CalibrationError, Forecast, Observation, Task};
use crate::error::ModelError;
use crate::limits::{MAX_OBSERVATIONS, MAX_QUANTITIES, MAX_TRAJECTORY, TRAJECTORY_POINTS};
use crate::query::{Prediction, Query, QueryError};
use crate::trajectory::{Point, Trajectory};
use serde::{Deserialize, Serialize};

/// How many kinds of requests there are.
pub const REQUESTS: u8 = 14;

/// What the host asks.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put a chunk on")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Who are you, and which model do you hold?
    Info,
    /// Evaluate the bundle.
    Predict(Query),
    /// Replay the model's golden queries and compare bits.
    SelfTest,
    /// Evaluate the bundle and say how far the answer can be trusted.
    Certify(Query),
    /// Keep an observation for a calibration.
    ObservationAdd {
        /// Its place: the number of observations kept so far. A place already filled takes the new observation.
        place: u16,
        /// What was seen.
        observation: Observation,
    },
    /// Forget all observations, and the last calibration.
    ObservationsClear,
    /// Estimate the free quantities from the observations kept, and keep the result.
    Calibrate(Task),
    /// What the last calibration means.
    Forecast {
        /// When the effective reproduction number is wanted (SIR).
        now: f32,
        /// When the state is wanted.
        horizon: f32,
    },
    /// Which requests do you know, and how long may a frame be?
    Hello,
    /// The states of a problem at many times, in as many frames as it takes.
    Trajectory {
        /// Which problem, and which times.
        trajectory: Trajectory,
        /// The first point wanted: not zero to go on after a lost frame.
        first: u16,
    },
    /// What happened since reset, and how much memory is used?
    Statistics,
    /// About the models in flash.
    Model(ModelRequest),
    /// About an image to be classified.
    Image(ImageRequest),
    /// About the images that are kept.
    Samples(SampleRequest),
}

/// What the device answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// To [`Request::Info`].
    Info(Info),
    /// To [`Request::Predict`].
    Prediction(Prediction),
    /// To [`Request::SelfTest`].
    SelfTest(SelfTest),
    /// To anything that could not be done.
    Error(DeviceError),
    /// To [`Request::Certify`].
    Certificate(Certificate),
    /// To [`Request::ObservationAdd`] and [`Request::ObservationsClear`].
    Observations {
        /// Observations the device keeps now.
        kept: u16,
    },
    /// To [`Request::Calibrate`].
    Calibration {
        /// The result.
        calibration: Calibration,
        /// Ticks of the board's clock that it took, where the board has one.
        ticks: Option<u32>,
    },
    /// To [`Request::Forecast`].
    Forecast(Forecast),
    /// To [`Request::Hello`].
    Hello(Hello),
    /// To [`Request::Trajectory`], again and again until all points are sent.
    Trajectory {
        /// Number of the first of these points.
        first: u16,
        /// The states, in the order of their times.
        points: heapless::Vec<Point, TRAJECTORY_POINTS>,
    },
    /// To [`Request::Statistics`].
    Statistics(Statistics),
    /// To [`Request::Model`].
    Model(ModelAnswer),
    /// To [`Request::Image`].
    Image(ImageAnswer),
    /// To [`Request::Samples`].
    Samples(SampleAnswer),
}

/// What a device understands. The version is that of the message around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// How many kinds of requests it knows: the first so many of [`Request`].
    pub requests: u8,
    /// Bytes of the longest frame it takes.
    pub frame: u16,
    /// Bytes of every chunk of a model but the last.
    pub chunk: u16,
}

/// What happened since reset, and memory use. Counters stop at their maximum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Milliseconds since reset, where the board measures them.
    pub uptime: Option<u32>,
    /// Requests understood.
    pub requests: u32,
    /// Those of them that were answered with an error.
    pub refused: u32,
    /// Frames that could not be read.
    pub unreadable: u32,
    /// Models activated.
    pub activations: u32,
    /// Memory use, where the board measures it.
    pub memory: Option<Memory>,
}

/// RAM of a device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// RAM there is.
    pub ram: u32,
    /// Static variables.
    pub statics: u32,
    /// Stack used at most since reset.
    pub stack_high_water: u32,
}

impl Memory {
    /// RAM left for the stack.
    pub fn stack(&self) -> u32 {
        self.ram.saturating_sub(self.statics)
    }
}

/// Short text on the wire.
pub type Name = heapless::String<32>;

/// A device and its model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Info {
    /// Board name, as in `sirocco boards`.
    pub board: Name,
    /// Version of the firmware.
    pub firmware: Name,
    /// The model in use.
    pub model: ModelInfo,
    /// Why the model in the slot was refused, if one was found there and refused.
    pub slot_error: Option<ModelError>,
    /// Bytes of stack used at most since reset, where the board measures it.
    pub stack_high_water: Option<u32>,
}

/// What a model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ModelKind {
    /// Answers queries about a differential equation.
    #[error("a solution bundle")]
    Bundle,
    /// Classifies images.
    #[error("an image network")]
    Image,
}

/// A model held by a device. Of an image network `ode` is [`IMAGE`](crate::held::IMAGE), `form` the image's shape as
/// `16x16x1`, `max_error` and `domain` are zeros; [`ImageRequest::Describe`] tells the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Whether the model came from the model slot (else it is the one built into the firmware).
    pub from_slot: bool,
    /// Name of the ODE system, or `image`.
    pub ode: Name,
    /// Form of the trial solution, or shape of an image.
    pub form: Name,
    /// Number format of the weights.
    pub scheme: Name,
    /// Bytes of the file.
    pub bytes: u32,
    /// The file's checksum.
    pub crc32: u32,
    /// Weights and biases.
    pub parameters: u32,
    /// Multiply-accumulates of one evaluation.
    pub macs: u32,
    /// Maximum error stated in the file.
    pub max_error: f32,
    /// The domain: (lo, hi) per quantity, padded with zeros.
    pub domain: [(f32, f32); MAX_QUANTITIES],
    /// Golden queries, or images, in the file.
    pub golden: u16,
}

impl ModelInfo {
    /// What the model is.
    pub fn kind(&self) -> ModelKind {
        if self.ode == crate::held::IMAGE { ModelKind::Image } else { ModelKind::Bundle }
    }
}

/// Result of a replay of golden queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Queries replayed.
    pub queries: u16,
    /// Answers whose bits differ from the file's.
    pub mismatches: u16,
    /// The first of them.
    pub first_mismatch: Option<u16>,
}

/// Why a device could not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DeviceError {
    /// The frame could not be read.
    #[error("the device could not read the request: {0}")]
    Frame(FrameError),
    /// The host speaks another protocol version.
    #[error("the device speaks protocol version {device}, not the host's")]
    Version {
        /// The device's version.
        device: u8,
    },
    /// The query has no answer.
    #[error("{0}")]
    Query(QueryError),
    /// The model carries no golden queries.
    #[error("the model carries no golden queries")]
    NoGolden,
    /// There is no estimate.
    #[error("{0}")]
    Calibration(CalibrationError),
    /// An observation for a place beyond the next free one, or beyond the device's memory.
    #[error("no place {place} for an observation: {kept} of at most {MAX_OBSERVATIONS} are kept")]
    Place {
        /// As asked for.
        place: u16,
        /// Observations the device keeps.
        kept: u16,
    },
    /// A forecast was asked for before a calibration.
    #[error("nothing has been calibrated yet")]
    NotCalibrated,
    /// A request of a later time, or one with malformed contents.
    #[error("the device does not understand the request; it knows the first {known} kinds")]
    UnknownRequest {
        /// [`REQUESTS`] of the device.
        known: u8,
    },
    /// A trajectory without points, with too many, or from a point it does not have.
    #[error("no point {first} of {points}: a trajectory has 1 to {MAX_TRAJECTORY} points")]
    Trajectory {
        /// Points asked for.
        points: u16,
        /// The first one wanted.
        first: u16,
    },
    /// About a model in flash.
    #[error("{0}")]
    Store(StoreError),
    /// The model is of the other kind.
    #[error("the device holds {held}, which does not answer this")]
    Kind {
        /// What the model is.
        held: ModelKind,
    },
    /// About an image or a sample.
    #[error("{0}")]
    Image(ImageRefusal),
}
