//! What answers what: every question a host asks, with the request that carries it and the type of its answer.
//!
//! ```
//! use sirocco::wire::{Ask, Request, Response, ask};
//! let response = ask::ObservationsClear::response(0);
//! assert_eq!(ask::ObservationsClear.request(), Request::ObservationsClear);
//! assert_eq!(ask::ObservationsClear::answer(response), Some(0));
//! assert_eq!(ask::SelfTest::answer(Response::Observations { kept: 0 }), None);
//! ```

use super::image::{self, ImageAnswer, ImageRequest, SampleAnswer, SampleRequest};
use super::message::{self, Request, Response};
use super::outbreak::{OutbreakAnswer, OutbreakRequest};
use super::store::{self, ModelAnswer, ModelRequest, Origin};
use super::trust::{self, Nonce, Signed, TrustAnswer, TrustRequest};
use crate::bundle::Certificate;
use crate::calibrate::{self, Calibration, Observation, Task, Uncertain};
use crate::drift::Reference;
use crate::limits::{COUNTS_PER_FRAME, PROBABILITIES, SAMPLES_PER_FRAME, TRAJECTORY_POINTS};
use crate::outbreak::{Count, Fit, Observable, Setting};
use crate::query::{Prediction, Query};
use crate::retain::Sample;
use crate::summary::{self, ModelInfo, Name};
use crate::trajectory::{self, Point};
use heapless::Vec;

/// A question to a device.
pub trait Ask {
    /// What it is answered with.
    type Answer;

    /// The request that asks it.
    fn request(self) -> Request;

    /// The answer in a response, or `None` if the response answers something else.
    fn answer(response: Response) -> Option<Self::Answer>;

    /// The response that carries an answer.
    fn response(answer: Self::Answer) -> Response;
}

/// One row per question: its name and content, the request, the response and what of it is the answer.
macro_rules! asks {
    ($($name:ident $(($($given:ident: $given_type:ty),+))? => $request:expr,
        [$($response:tt)+] => $answer:tt: $answer_type:ty;)+) => {$(
        #[doc = concat!("`", stringify!($request), "`, answered by `", stringify!($($response)+), "`.")]
        #[derive(Debug, Clone)]
        pub struct $name $(($(pub $given_type),+))?;

        impl Ask for $name {
            type Answer = $answer_type;

            fn request(self) -> Request {
                let $name $(($($given),+))? = self;
                $request
            }

            fn answer(response: Response) -> Option<$answer_type> {
                if let $($response)+ = response { Some($answer) } else { None }
            }

            fn response($answer: $answer_type) -> Response {
                $($response)+
            }
        }
    )+};
}

asks! {
    Info => Request::Info, [Response::Info(info)] => info: message::Info;
    Predict(query: Query) => Request::Predict(query), [Response::Prediction(prediction)] => prediction: Prediction;
    SelfTest => Request::SelfTest, [Response::SelfTest(result)] => result: summary::SelfTest;
    Certify(query: Query) => Request::Certify(query), [Response::Certificate(certificate)] => certificate: Certificate;
    ObservationAdd(place: u16, observation: Observation) => Request::ObservationAdd { place, observation },
        [Response::Observations { kept }] => kept: u16;
    ObservationsClear => Request::ObservationsClear, [Response::Observations { kept }] => kept: u16;
    Calibrate(task: Task) => Request::Calibrate(task),
        [Response::Calibration { calibration, ticks }] => (calibration, ticks): (Calibration, Option<u32>);
    Forecast(now: f32, horizon: f32) => Request::Forecast { now, horizon },
        [Response::Forecast(forecast)] => forecast: calibrate::Forecast;
    Hello => Request::Hello, [Response::Hello(hello)] => hello: message::Hello;
    Trajectory(trajectory: trajectory::Trajectory, first: u16) => Request::Trajectory { trajectory, first },
        [Response::Trajectory { first, points }] => (first, points): (u16, Vec<Point, TRAJECTORY_POINTS>);
    Statistics => Request::Statistics, [Response::Statistics(statistics)] => statistics: message::Statistics;

    ModelList => Request::Model(ModelRequest::List), [Response::Model(ModelAnswer::List(list))] => list: store::ModelList;
    ModelBegin(bytes: u32, crc32: u32) => Request::Model(ModelRequest::Begin { bytes, crc32 }),
        [Response::Model(ModelAnswer::Receiving { slot, next })] => (slot, next): (u8, u32);
    ModelChunk(offset: u32, bytes: store::Chunk) => Request::Model(ModelRequest::Chunk { offset, bytes }),
        [Response::Model(ModelAnswer::Receiving { slot, next })] => (slot, next): (u8, u32);
    ModelCommit => Request::Model(ModelRequest::Commit),
        [Response::Model(ModelAnswer::Checked { slot, model })] => (slot, model): (u8, ModelInfo);
    ModelActivate(origin: Origin) => Request::Model(ModelRequest::Activate(origin)),
        [Response::Model(ModelAnswer::Activated(origin))] => origin: Origin;
    ModelAbort => Request::Model(ModelRequest::Abort), [Response::Model(ModelAnswer::Aborted)] => (): ();
    ModelWear => Request::Model(ModelRequest::Wear), [Response::Model(ModelAnswer::Wear(wear))] => wear: store::Wear;

    ImageDescribe => Request::Image(ImageRequest::Describe),
        [Response::Image(ImageAnswer::Description(description))] => description: image::Description;
    ImageClass(class: u8) => Request::Image(ImageRequest::Class(class)),
        [Response::Image(ImageAnswer::Class(name))] => name: Name;
    ImageChunk(offset: u32, bytes: store::Chunk) => Request::Image(ImageRequest::Chunk { offset, bytes }),
        [Response::Image(ImageAnswer::Receiving { next })] => next: u32;
    ImageClassify => Request::Image(ImageRequest::Classify),
        [Response::Image(ImageAnswer::Classified(classified))] => classified: image::Classified;
    ImageCheck => Request::Image(ImageRequest::Check),
        [Response::Image(ImageAnswer::Classified(classified))] => classified: image::Classified;
    ImageProbabilities(first: u8) => Request::Image(ImageRequest::Probabilities { first }),
        [Response::Image(ImageAnswer::Probabilities { first, values })] => (first, values): (u8, Vec<f32, PROBABILITIES>);
    ImageThreshold(threshold: image::Threshold) => Request::Image(ImageRequest::Threshold(threshold)),
        [Response::Image(ImageAnswer::Description(description))] => description: image::Description;
    ImageWatch(reference: Option<Reference>) => Request::Image(ImageRequest::Watch(reference)),
        [Response::Image(ImageAnswer::Description(description))] => description: image::Description;
    ImageAlarms => Request::Image(ImageRequest::Alarms),
        [Response::Image(ImageAnswer::Alarms(alarms))] => alarms: image::Alarms;

    SamplesList(first: u16) => Request::Samples(SampleRequest::List { first }),
        [Response::Samples(SampleAnswer::List { total, first, samples })] => (total, first, samples):
            (u16, u16, Vec<Sample, SAMPLES_PER_FRAME>);
    SamplesFetch(number: u32, offset: u32) => Request::Samples(SampleRequest::Fetch { number, offset }),
        [Response::Samples(SampleAnswer::Piece { offset, bytes })] => (offset, bytes): (u32, store::Chunk);
    SamplesClear => Request::Samples(SampleRequest::Clear), [Response::Samples(SampleAnswer::Cleared)] => (): ();

    CountsAdd(place: u16, counts: Vec<Count, COUNTS_PER_FRAME>) => Request::Outbreak(OutbreakRequest::Add { place, counts }),
        [Response::Outbreak(OutbreakAnswer::Kept(kept))] => kept: u16;
    CountsClear => Request::Outbreak(OutbreakRequest::Clear), [Response::Outbreak(OutbreakAnswer::Kept(kept))] => kept: u16;
    OutbreakFit(setting: Setting) => Request::Outbreak(OutbreakRequest::Fit(setting)),
        [Response::Outbreak(OutbreakAnswer::Fit { fit, ticks })] => (fit, ticks): (Fit, Option<u32>);
    OutbreakExpect(observable: Observable, from: f32, to: f32) =>
        Request::Outbreak(OutbreakRequest::Expect { observable, from, to }),
        [Response::Outbreak(OutbreakAnswer::Expected(expected))] => expected: Uncertain;

    TrustState => Request::Trust(TrustRequest::State), [Response::Trust(TrustAnswer::State(state))] => state: trust::State;
    TrustChallenge => Request::Trust(TrustRequest::Challenge),
        [Response::Trust(TrustAnswer::Challenge(nonce))] => nonce: Nonce;
    TrustOpen(signed: Signed) => Request::Trust(TrustRequest::Open(signed)),
        [Response::Trust(TrustAnswer::State(state))] => state: trust::State;
    TrustLowest(serial: u32, signed: Signed) => Request::Trust(TrustRequest::Lowest { serial, signed }),
        [Response::Trust(TrustAnswer::State(state))] => state: trust::State;
    TrustClose => Request::Trust(TrustRequest::Close), [Response::Trust(TrustAnswer::State(state))] => state: trust::State;
}
