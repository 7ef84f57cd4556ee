//! The messages. Requests, answers and errors are added at the end of their lists and never changed, because the encoding
//! of each is its place in the list.

use super::FrameError;
use super::image::{ImageAnswer, ImageRefusal, ImageRequest, SampleAnswer, SampleRequest};
use super::outbreak::{OutbreakAnswer, OutbreakRequest};
use super::store::{ModelAnswer, ModelRequest, StoreError};
use super::trust::{TrustAnswer, TrustRefusal, TrustRequest};
use crate::bundle::Certificate;
use crate::calibrate::{Calibration, CalibrationError, Forecast, Observation, Task};
use crate::error::ModelError;
use crate::limits::{MAX_COUNTS, MAX_OBSERVATIONS, MAX_TRAJECTORY, TRAJECTORY_POINTS};
use crate::outbreak::OutbreakError;
use crate::query::{Prediction, Query, QueryError};
use crate::summary::{ModelInfo, ModelKind, Name, SelfTest};
use crate::trajectory::{Point, Trajectory};
use serde::{Deserialize, Serialize};

/// How many kinds of requests there are: one more than the last one's place.
pub const REQUESTS: u8 = {
    const LAST: &Request = &Request::Trust(TrustRequest::State);
    LAST.kind() + 1
};

/// A request of the host.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put a chunk on")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Describe the device and the model it holds.
    Info,
    /// Compute the state of a problem at a time.
    Predict(Query),
    /// Replay the model's golden queries and compare bits.
    SelfTest,
    /// Compute the state of a problem at a time, an estimate of its error and a bound.
    Certify(Query),
    /// Keep an observation for a calibration.
    ObservationAdd {
        /// Its place. The next free place is the number of observations kept so far; an earlier place is overwritten.
        place: u16,
        /// The observation.
        observation: Observation,
    },
    /// Forget all observations, and the last calibration.
    ObservationsClear,
    /// Estimate the free quantities from the observations kept, and keep the result.
    Calibrate(Task),
    /// Forecast the problem calibrated last.
    Forecast {
        /// The time of the effective reproduction number (SIR).
        now: f32,
        /// The time of the state.
        horizon: f32,
    },
    /// Tell how many kinds of requests the device knows and how long a frame may be.
    Hello,
    /// Compute the states of a problem at many times. The answer takes as many frames as it needs.
    Trajectory {
        /// The problem and the times.
        trajectory: Trajectory,
        /// The first point wanted; above zero to go on after a lost frame.
        first: u16,
    },
    /// Tell the counters since the last reset and the memory use.
    Statistics,
    /// A request about the models in flash.
    Model(ModelRequest),
    /// A request about an image to be classified.
    Image(ImageRequest),
    /// A request about the images that the device keeps.
    Samples(SampleRequest),
    /// A request about the counts of an outbreak.
    Outbreak(OutbreakRequest),
    /// A request about keys, signatures and sessions.
    Trust(TrustRequest),
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
            Request::Outbreak(_) => 14,
            Request::Trust(_) => 15,
        }
    }
}

/// A response of the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// Answers [`Request::Info`].
    Info(Info),
    /// Answers [`Request::Predict`].
    Prediction(Prediction),
    /// Answers [`Request::SelfTest`].
    SelfTest(SelfTest),
    /// Refuses any request.
    Error(DeviceError),
    /// Answers [`Request::Certify`].
    Certificate(Certificate),
    /// Answers [`Request::ObservationAdd`] and [`Request::ObservationsClear`].
    Observations {
        /// How many observations the device keeps now.
        kept: u16,
    },
    /// Answers [`Request::Calibrate`].
    Calibration {
        /// The result.
        calibration: Calibration,
        /// How many ticks of the board's clock the calibration took, where the board has a clock.
        ticks: Option<u32>,
    },
    /// Answers [`Request::Forecast`].
    Forecast(Forecast),
    /// Answers [`Request::Hello`].
    Hello(Hello),
    /// Answers [`Request::Trajectory`]; repeated until all points are sent.
    Trajectory {
        /// The number of the first of these points.
        first: u16,
        /// The states, in the order of their times.
        points: heapless::Vec<Point, TRAJECTORY_POINTS>,
    },
    /// Answers [`Request::Statistics`].
    Statistics(Statistics),
    /// Answers [`Request::Model`].
    Model(ModelAnswer),
    /// Answers [`Request::Image`].
    Image(ImageAnswer),
    /// Answers [`Request::Samples`].
    Samples(SampleAnswer),
    /// Answers [`Request::Outbreak`].
    Outbreak(OutbreakAnswer),
    /// Answers [`Request::Trust`].
    Trust(TrustAnswer),
}

/// The abilities of a device. Its protocol version is that of the message around this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// How many kinds of requests it knows: that many from the start of [`Request`].
    pub requests: u8,
    /// Length of the longest frame it accepts, in bytes.
    pub frame: u16,
    /// Length of a chunk of a model, in bytes; the last chunk may be shorter.
    pub chunk: u16,
}

/// Counters since the last reset, which stop at their maximum, and memory use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Milliseconds since the last reset, where the board measures them.
    pub uptime: Option<u32>,
    /// Requests that were understood.
    pub requests: u32,
    /// Of these, the requests that were refused with an error.
    pub refused: u32,
    /// Frames that could not be decoded.
    pub unreadable: u32,
    /// How often a model was activated.
    pub activations: u32,
    /// Memory use, where the board measures it.
    pub memory: Option<Memory>,
}

/// RAM of a device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Size of the RAM.
    pub ram: u32,
    /// Size of the static variables.
    pub statics: u32,
    /// Most stack used at once since the last reset.
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
    /// Why the model in the slot was refused, if there is one and it was refused.
    pub slot_error: Option<ModelError>,
    /// Most bytes of stack used at once since the last reset, where the board measures it.
    pub stack_high_water: Option<u32>,
}

/// Why a device refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DeviceError {
    /// The frame could not be decoded.
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
    /// The calibration has no estimate.
    #[error("{0}")]
    Calibration(#[from] CalibrationError),
    /// The observation is for a place beyond the next free one, or beyond the device's memory.
    #[error("no place {place} for an observation: {kept} of at most {MAX_OBSERVATIONS} are kept")]
    Place {
        /// The place asked for.
        place: u16,
        /// How many observations the device keeps.
        kept: u16,
    },
    /// A forecast was asked for before a calibration.
    #[error("nothing has been calibrated yet")]
    NotCalibrated,
    /// The request is newer than the device's firmware, or its content is malformed.
    #[error("the device does not understand the request; it knows {known} kinds of requests")]
    UnknownRequest {
        /// The device's [`REQUESTS`].
        known: u8,
    },
    /// The trajectory has no points or too many, or not the first point asked for.
    #[error("no point {first} of {points}: a trajectory has 1 to {MAX_TRAJECTORY} points")]
    Trajectory {
        /// Points of the trajectory.
        points: u16,
        /// The first point asked for.
        first: u16,
    },
    /// A request about models in flash was refused.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The request is for a model of the other kind.
    #[error("the device holds {held}, which does not answer this")]
    Kind {
        /// The kind of the device's model.
        held: ModelKind,
    },
    /// A request about an image or a sample was refused.
    #[error("{0}")]
    Image(#[from] ImageRefusal),
    /// The counts of an outbreak have no estimate.
    #[error("{0}")]
    Outbreak(#[from] OutbreakError),
    /// The counts are for a place beyond the next free one, or beyond the device's memory.
    #[error("no place {place} for a count: {kept} of at most {MAX_COUNTS} are kept")]
    CountPlace {
        /// The place asked for.
        place: u16,
        /// How many counts the device keeps.
        kept: u16,
    },
    /// A request about keys or sessions was refused, or one that takes a session.
    #[error("{0}")]
    Trust(#[from] TrustRefusal),
}
