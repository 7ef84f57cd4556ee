//! The messages. Requests, answers and errors are added at the end of their lists, never changed: their encoding is
//! their place.

use super::FrameError;
use super::image::{ImageAnswer, ImageRefusal, ImageRequest, SampleAnswer, SampleRequest};
use super::store::{ModelAnswer, ModelRequest, StoreError};
use crate::bundle::Certificate;
use crate::calibrate::{Calibration, CalibrationError, Forecast, Observation, Task};
use crate::error::ModelError;
use crate::limits::{MAX_OBSERVATIONS, MAX_TRAJECTORY, TRAJECTORY_POINTS};
use crate::query::{Prediction, Query, QueryError};
use crate::summary::{ModelInfo, ModelKind, Name, SelfTest};
use crate::trajectory::{Point, Trajectory};
use serde::{Deserialize, Serialize};

/// How many kinds of requests there are: one more than the last one's place.
pub const REQUESTS: u8 = {
    const LAST: &Request = &Request::Samples(SampleRequest::Clear);
    LAST.kind() + 1
};

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

impl Request {
    /// Its place in the list, which stands for it on the wire.
    pub const fn kind(&self) -> u8 {
        match self {
            Request::Info => 0,
            Request::Predict(_) => 1,
            Request::SelfTest => 2,
            Request::Certify(_) => 3,
            Request::ObservationAdd { .. } => 4,
            Request::ObservationsClear => 5,
            Request::Calibrate(_) => 6,
            Request::Forecast { .. } => 7,
            Request::Hello => 8,
            Request::Trajectory { .. } => 9,
            Request::Statistics => 10,
            Request::Model(_) => 11,
            Request::Image(_) => 12,
            Request::Samples(_) => 13,
        }
    }
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

/// A device and its model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Info {
    /// Board name, as in `sirocco boards`.
    pub board: Name,
    /// Version of the firmware.
    pub firmware: Name,
    /// The model in use.
    #[serde(with = "super::flat")]
    pub model: ModelInfo,
    /// Why the model in the slot was refused, if one was found there and refused.
    pub slot_error: Option<ModelError>,
    /// Bytes of stack used at most since reset, where the board measures it.
    pub stack_high_water: Option<u32>,
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
    Query(#[from] QueryError),
    /// The model carries no golden queries.
    #[error("the model carries no golden queries")]
    NoGolden,
    /// There is no estimate.
    #[error("{0}")]
    Calibration(#[from] CalibrationError),
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
    Store(#[from] StoreError),
    /// The model is of the other kind.
    #[error("the device holds {held}, which does not answer this")]
    Kind {
        /// What the model is.
        held: ModelKind,
    },
    /// About an image or a sample.
    #[error("{0}")]
    Image(#[from] ImageRefusal),
}
