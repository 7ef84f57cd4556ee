//! The serial protocol on a bad line: cut frames, flipped bits, garbage, other versions.

use proptest::prelude::*;
use sirocco::bundle::{Certificate, Range};
use sirocco::calibrate::{
    Calibration, CalibrationError, Covariance, Estimate, Forecast, Free, Observation, Task, Uncertain,
};
use sirocco::drift::{Alarm, Frequent, Reference, Sign, State};
use sirocco::error::{Key, ModelError, TensorKind};
use sirocco::layer::shape::Shape;
use sirocco::limits::{
    COUNTS_PER_FRAME, MAX_CHANGES, MAX_CHUNK, MAX_FRAME, MAX_PARAMETERS, MAX_QUANTITIES, MAX_REPORTING_CHANGES,
    MAX_SERIES, MAX_UNKNOWNS, PROBABILITIES, SAMPLES_PER_FRAME, TRAJECTORY_POINTS,
};
use sirocco::outbreak::{Check, Count, Fit, Noise, Observable, OutbreakError, ReportingChange, Series, Setting};
use sirocco::query::{Prediction, Query, QueryError};
use sirocco::retain::Sample;
use sirocco::summary::{BundleInfo, Content, ModelInfo, ModelKind, Name, SelfTest};
use sirocco::trajectory::{Point, Trajectory};
use sirocco::wire::image::{
    Alarms, Classified, Description, ImageAnswer, ImageRefusal, ImageRequest, SampleAnswer, SampleRequest, Threshold,
};
use sirocco::wire::outbreak::{OutbreakAnswer, OutbreakRequest};
use sirocco::wire::store::{ModelAnswer, ModelList, ModelRequest, Origin, SlotContent, StoreError};
use sirocco::wire::{
    self, DeviceError, FrameBuffer, FrameError, Hello, Info, Memory, Message, PROTOCOL_VERSION, REQUESTS, Request,
    Response, Statistics,
};

/// Feeds bytes to the buffer and collects the messages and errors.
fn receive(buffer: &mut FrameBuffer, bytes: &[u8]) -> Vec<Result<Message<Request>, FrameError>> {
    bytes.iter().filter_map(|&byte| buffer.push(byte)).collect()
}

fn frame_of<T: serde::Serialize>(sequence: u16, body: T) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME];
    wire::encode(&Message { version: PROTOCOL_VERSION, sequence, body }, &mut buffer).unwrap().to_vec()
}

fn query() -> impl Strategy<Value = Query> {
    (any::<f32>(), any::<[f32; 4]>(), any::<[f32; 4]>()).prop_map(|(t, initial, rates)| Query { t, initial, rates })
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::Info),
        query().prop_map(Request::Predict),
        Just(Request::SelfTest),
        query().prop_map(Request::Certify),
        any::<(u16, f32, u8, f32, f32)>().prop_map(|(place, t, component, value, sigma)| Request::ObservationAdd {
            place,
            observation: Observation { t, component, value, sigma },
        }),
        Just(Request::ObservationsClear),
        (query(), any::<u16>(), any::<bool>()).prop_map(|(fixed, free, relative)| Request::Calibrate(Task {
            free: Free(free),
            fixed,
            relative,
        })),
        any::<(f32, f32)>().prop_map(|(now, horizon)| Request::Forecast { now, horizon }),
        Just(Request::Hello),
        (query(), any::<f32>(), any::<u16>(), any::<u16>()).prop_map(|(problem, until, points, first)| {
            Request::Trajectory { trajectory: Trajectory { problem, until, points }, first }
        }),
        Just(Request::Statistics),
        model_request().prop_map(Request::Model),
        image_request().prop_map(Request::Image),
        sample_request().prop_map(Request::Samples),
        outbreak_request().prop_map(Request::Outbreak),
    ]
}

fn range() -> impl Strategy<Value = Range> {
    any::<(f32, f32)>().prop_map(|(lo, hi)| Range { lo, hi })
}

fn observable() -> impl Strategy<Value = Observable> {
    prop_oneof![
        Just(Observable::NewCases),
        Just(Observable::NewRemovals),
        Just(Observable::Infected),
        Just(Observable::Susceptible),
        Just(Observable::Removed),
    ]
}

fn noise() -> impl Strategy<Value = Noise> {
    prop_oneof![
        any::<Option<f32>>().prop_map(|sigma| Noise::Gaussian { sigma }),
        Just(Noise::Poisson),
        any::<Option<f32>>().prop_map(|dispersion| Noise::NegativeBinomial { dispersion }),
    ]
}

fn outbreak_request() -> impl Strategy<Value = OutbreakRequest> {
    let series = (observable(), any::<(f32, u16)>()).prop_map(|(observable, (start, counts))| Series {
        observable,
        start,
        counts,
    });
    let change = (any::<f32>(), range()).prop_map(|(from, ratio)| ReportingChange { from, ratio });
    let lists = (
        proptest::collection::vec(series, 0..=MAX_SERIES),
        proptest::collection::vec(range(), 0..=MAX_CHANGES + 1),
        proptest::collection::vec(any::<f32>(), 0..=MAX_CHANGES),
        proptest::collection::vec(change, 0..=MAX_REPORTING_CHANGES),
    );
    let ranges = (range(), range(), range(), range());
    let setting = (lists, noise(), ranges, any::<f32>()).prop_map(
        |((series, reproduction, changes, reporting), noise, (infected, recovery, scale, background), removed)| {
            Setting {
                series: series.into_iter().collect(),
                noise,
                infected,
                recovery,
                scale,
                background,
                reproduction: reproduction.into_iter().collect(),
                changes: changes.into_iter().collect(),
                removed,
                reporting: reporting.into_iter().collect(),
            }
        },
    );
    let counts = proptest::collection::vec(any::<(f32, f32)>(), 0..=COUNTS_PER_FRAME);
    prop_oneof![
        (any::<u16>(), counts).prop_map(|(place, counts)| OutbreakRequest::Add {
            place,
            counts: counts.into_iter().map(|(t, value)| Count { t, value }).collect(),
        }),
        Just(OutbreakRequest::Clear),
        setting.prop_map(OutbreakRequest::Fit),
        (observable(), any::<(f32, f32)>()).prop_map(|(observable, (from, to))| OutbreakRequest::Expect {
            observable,
            from,
            to
        }),
    ]
}

fn model_request() -> impl Strategy<Value = ModelRequest> {
    prop_oneof![
        Just(ModelRequest::List),
        any::<(u32, u32)>().prop_map(|(bytes, crc32)| ModelRequest::Begin { bytes, crc32 }),
        (any::<u32>(), proptest::collection::vec(any::<u8>(), 0..=MAX_CHUNK))
            .prop_map(|(offset, bytes)| ModelRequest::Chunk { offset, bytes: bytes.into_iter().collect() }),
        Just(ModelRequest::Commit),
        Just(ModelRequest::Activate(Origin::BuiltIn)),
        any::<u8>().prop_map(|slot| ModelRequest::Activate(Origin::Slot(slot))),
        Just(ModelRequest::Abort),
    ]
}

fn image_request() -> impl Strategy<Value = ImageRequest> {
    prop_oneof![
        Just(ImageRequest::Describe),
        any::<u8>().prop_map(ImageRequest::Class),
        (any::<u32>(), proptest::collection::vec(any::<u8>(), 0..=MAX_CHUNK))
            .prop_map(|(offset, bytes)| ImageRequest::Chunk { offset, bytes: bytes.into_iter().collect() }),
        Just(ImageRequest::Classify),
        Just(ImageRequest::Check),
        Just(ImageRequest::Alarms),
        any::<u8>().prop_map(|first| ImageRequest::Probabilities { first }),
        Just(ImageRequest::Threshold(Threshold::File)),
        Just(ImageRequest::Threshold(Threshold::Never)),
        any::<f32>().prop_map(|entropy| ImageRequest::Threshold(Threshold::Above(entropy))),
        Just(ImageRequest::Watch(None)),
        any::<(f32, f32)>().prop_map(|(mean, deviation)| ImageRequest::Watch(Some(Reference { mean, deviation }))),
    ]
}

fn sample_request() -> impl Strategy<Value = SampleRequest> {
    prop_oneof![
        any::<u16>().prop_map(|first| SampleRequest::List { first }),
        any::<(u32, u32)>().prop_map(|(number, offset)| SampleRequest::Fetch { number, offset }),
        Just(SampleRequest::Clear),
    ]
}

/// The longest answers about images.
fn longest_about_images() -> Vec<Response> {
    let drift = State { filled: u16::MAX, score: Some(f32::MAX), alarm: true };
    let sample = Sample { number: u32::MAX, entropy: 1.0, class: u8::MAX, abstained: true };
    vec![
        Response::Image(ImageAnswer::Description(Description {
            height: u16::MAX,
            width: u16::MAX,
            channels: u8::MAX,
            classes: u8::MAX,
            threshold: Some(1.0),
            reference: Some(Reference { mean: 1.0, deviation: 1.0 }),
            drift,
            images: u32::MAX,
            abstained: u32::MAX,
            samples: u16::MAX,
            samples_room: u16::MAX,
            memory: u32::MAX,
            memory_room: u32::MAX,
        })),
        Response::Image(ImageAnswer::Class(Name::try_from("x".repeat(32).as_str()).unwrap())),
        Response::Image(ImageAnswer::Receiving { next: u32::MAX }),
        Response::Image(ImageAnswer::Classified(Classified {
            number: u32::MAX,
            class: u8::MAX,
            probability: 1.0,
            entropy: 1.0,
            abstained: true,
            kept: true,
            drift,
            ticks: Some(u32::MAX),
        })),
        Response::Image(ImageAnswer::Alarms(Alarms {
            sequential: true,
            images_per_false_alarm: Some(1.0),
            first: Some(Alarm { number: u32::MAX, sign: Sign::DistanceBelow }),
            frequent: Some(Frequent { number: u32::MAX, class: u8::MAX }),
            distance_limit: Some(1.0),
            set_probability: Some(1.0),
        })),
        Response::Image(ImageAnswer::Probabilities {
            first: u8::MAX,
            values: [1.0; PROBABILITIES].into_iter().collect(),
        }),
        Response::Samples(SampleAnswer::List {
            total: u16::MAX,
            first: u16::MAX,
            samples: [sample; SAMPLES_PER_FRAME].into_iter().collect(),
        }),
        Response::Samples(SampleAnswer::Piece { offset: u32::MAX, bytes: [0xAA; MAX_CHUNK].into_iter().collect() }),
        Response::Samples(SampleAnswer::Cleared),
        Response::Error(DeviceError::Kind { held: ModelKind::Image }),
        Response::Error(DeviceError::Image(ImageRefusal::NoSample { number: u32::MAX, offset: u32::MAX })),
        Response::Error(DeviceError::Store(StoreError::Refused(ModelError::Memory { needed: u32::MAX, room: 0 }))),
    ]
}

#[test]
fn the_longest_answers_about_images_fit_one_frame_and_survive_the_journey() {
    for answer in longest_about_images() {
        let mut frame = frame_of(u16::MAX, answer.clone());
        assert!(frame.len() <= MAX_FRAME, "{} bytes: {answer:?}", frame.len());
        frame.pop();
        assert_eq!(wire::decode::<Response>(&mut frame).unwrap().body, answer);
    }
    let chunk = ImageRequest::Chunk { offset: u32::MAX, bytes: [0xAA; MAX_CHUNK].into_iter().collect() };
    assert!(frame_of(u16::MAX, Request::Image(chunk)).len() <= MAX_FRAME);
}

#[test]
fn the_longest_messages_about_an_outbreak_fit_one_frame_and_survive_the_journey() {
    let covariance = Covariance([-1.0; MAX_UNKNOWNS * (MAX_UNKNOWNS + 1) / 2].into_iter().collect());
    let check = Check { pearson: 1.0, freedom: u16::MAX, runs: -1.0, worst: u16::MAX, residual: -1.0 };
    let fit = Fit {
        values: [1.0; MAX_PARAMETERS],
        free: u16::MAX,
        at_bound: u16::MAX,
        open: u16::MAX,
        covariance,
        deviance: 1.0,
        log_likelihood: 1.0,
        dispersion: 1.0,
        check,
        evaluations: u16::MAX,
        converged: true,
    };
    for answer in [
        Response::Outbreak(OutbreakAnswer::Fit { fit, ticks: Some(u32::MAX) }),
        Response::Outbreak(OutbreakAnswer::Expected(Uncertain { value: 1.0, standard_error: 1.0 })),
        Response::Error(DeviceError::Outbreak(OutbreakError::Series { named: u16::MAX, have: u16::MAX })),
        Response::Error(DeviceError::CountPlace { place: u16::MAX, kept: u16::MAX }),
    ] {
        let mut frame = frame_of(u16::MAX, answer.clone());
        assert!(frame.len() <= MAX_FRAME, "{} bytes: {answer:?}", frame.len());
        frame.pop();
        assert_eq!(wire::decode::<Response>(&mut frame).unwrap().body, answer);
    }
    let counts = [Count { t: 1.0, value: 1.0 }; COUNTS_PER_FRAME].into_iter().collect();
    let add = OutbreakRequest::Add { place: u16::MAX, counts };
    let range = Range { lo: 1.0, hi: 1.0 };
    let series = Series { observable: Observable::Removed, start: 1.0, counts: u16::MAX };
    let setting = OutbreakRequest::Fit(Setting {
        series: [series; MAX_SERIES].into_iter().collect(),
        noise: Noise::NegativeBinomial { dispersion: Some(1.0) },
        infected: range,
        recovery: range,
        scale: range,
        background: range,
        reproduction: [range; MAX_CHANGES + 1].into_iter().collect(),
        changes: [1.0; MAX_CHANGES].into_iter().collect(),
        removed: 1.0,
        reporting: [ReportingChange { from: 1.0, ratio: range }; MAX_REPORTING_CHANGES].into_iter().collect(),
    });
    for request in [add, setting] {
        assert!(frame_of(u16::MAX, Request::Outbreak(request)).len() <= MAX_FRAME);
    }
}

/// The longest answer there is: every name full, every number at its longest encoding.
fn longest_info() -> Info {
    let name = Name::try_from("x".repeat(32).as_str()).unwrap();
    Info {
        board: name.clone(),
        firmware: name.clone(),
        model: ModelInfo {
            from_slot: true,
            scheme: name.clone(),
            bytes: u32::MAX,
            crc32: u32::MAX,
            parameters: u32::MAX,
            macs: u32::MAX,
            golden: u16::MAX,
            content: Content::Bundle(BundleInfo {
                ode: name.clone(),
                form: name,
                max_error: f32::MAX,
                domain: [(f32::MIN, f32::MAX); MAX_QUANTITIES],
            }),
        },
        slot_error: Some(ModelError::Checksum { stated: u32::MAX, computed: u32::MAX }),
        stack_high_water: Some(u32::MAX),
    }
}

/// The summary of an image network.
fn image_network() -> ModelInfo {
    ModelInfo { content: Content::Image(Shape { height: 16, width: 28, channels: 3 }), ..longest_info().model }
}

#[test]
fn a_request_is_these_bytes() {
    // Version 1, sequence 7, variant 0; CRC-32; COBS; the end.
    let frame = frame_of(7, Request::Info);
    assert_eq!(frame, [0x03, 0x01, 0x07, 0x05, 0xE2, 0x25, 0xC2, 0xB1, 0x00], "{frame:02x?}");
}

#[test]
fn the_longest_answer_fits_one_frame() {
    let frame = frame_of(u16::MAX, Response::Info(longest_info()));
    assert!(frame.len() <= MAX_FRAME, "{} bytes", frame.len());
}

/// The longest calibration there is: every quantity free.
fn longest_calibration() -> Calibration {
    let worst = Estimate { quantity: 255, value: -1.0, standard_error: 1.0, at_bound: true, identified: true };
    Calibration {
        problem: Query { t: 1.0, initial: [1.0; 4], rates: [1.0; 4] },
        estimates: [worst; MAX_UNKNOWNS].into_iter().collect(),
        covariance: Covariance([1.5; MAX_UNKNOWNS * (MAX_UNKNOWNS + 1) / 2].into_iter().collect()),
        chi_square: 1.0,
        observations: u16::MAX,
        evaluations: u16::MAX,
        starts: u8::MAX,
        converged: true,
        condition: f32::INFINITY,
        relative: true,
    }
}

#[test]
fn the_longest_calibration_fits_one_frame() {
    let answer = Response::Calibration { calibration: longest_calibration(), ticks: Some(u32::MAX) };
    let mut frame = frame_of(u16::MAX, answer.clone());
    assert!(frame.len() <= MAX_FRAME, "{} bytes", frame.len());
    frame.pop();
    assert_eq!(wire::decode::<Response>(&mut frame).unwrap().body, answer);
}

#[test]
fn the_longest_chunk_and_the_longest_piece_of_a_trajectory_fit_one_frame() {
    let chunk = ModelRequest::Chunk { offset: u32::MAX, bytes: [0xAA; MAX_CHUNK].into_iter().collect() };
    let point = Point { state: [1.0; 4], in_domain: true, plausible: true };
    let points = [point; TRAJECTORY_POINTS].into_iter().collect();
    let checked = ModelAnswer::Checked { slot: 1, model: longest_info().model };
    for frame in [
        frame_of(u16::MAX, Request::Model(chunk)),
        frame_of(u16::MAX, Response::Trajectory { first: u16::MAX, points }),
        frame_of(u16::MAX, Response::Model(checked)),
    ] {
        assert!(frame.len() <= MAX_FRAME, "{} bytes", frame.len());
    }
}

#[test]
fn the_kinds_of_requests_are_those_stated_and_no_others() {
    // Larger kinds would take two bytes.
    for kind in 0..0x80 {
        // Zeros are a valid content of every kind: false, no elements, the first of a list.
        let mut bytes = [0; 64];
        bytes[0] = kind;
        let request = postcard::take_from_bytes::<Request>(&bytes).ok().map(|(request, _)| request);
        assert_eq!(request.as_ref().map(Request::kind), (kind < REQUESTS).then_some(kind), "{request:?}");
    }
}

#[test]
fn every_kind_of_answer_survives_the_journey() {
    let model_error = ModelError::Tensor { layer: 3, tensor: TensorKind::Scale };
    let prediction = Prediction {
        state: [0.1, 0.2, 0.7, 0.0],
        derivative: [-0.1, 0.05, 0.05, 0.0],
        residual: [f32::MIN_POSITIVE, -0.0, 0.0, 0.0],
        in_domain: false,
        plausible: true,
    };
    let answers = [
        Response::Info(longest_info()),
        Response::Info(Info { slot_error: Some(model_error), ..longest_info() }),
        Response::Info(Info { slot_error: Some(ModelError::Metadata(Key::Domain)), ..longest_info() }),
        Response::Info(Info { model: image_network(), ..longest_info() }),
        Response::Prediction(prediction),
        Response::SelfTest(SelfTest { queries: 64, mismatches: 1, first_mismatch: Some(63) }),
        Response::Error(DeviceError::Frame(FrameError::Checksum)),
        Response::Error(DeviceError::Version { device: 9 }),
        Response::Error(DeviceError::Query(QueryError::NotFinite(4))),
        Response::Error(DeviceError::NoGolden),
        Response::Error(DeviceError::NotCalibrated),
        Response::Error(DeviceError::Place { place: 65, kept: 64 }),
        Response::Error(DeviceError::Calibration(CalibrationError::TooFew { have: 1, need: 2 })),
        Response::Error(DeviceError::UnknownRequest { known: REQUESTS }),
        Response::Error(DeviceError::Trajectory { points: 9, first: 9 }),
        Response::Error(DeviceError::Store(StoreError::Golden { mismatches: 3, queries: 64 })),
        Response::Hello(Hello { requests: REQUESTS, frame: 512, chunk: 256 }),
        Response::Statistics(Statistics {
            uptime: Some(1),
            requests: 2,
            refused: 3,
            unreadable: 4,
            activations: 5,
            memory: Some(Memory { ram: 6, statics: 7, stack_high_water: 8 }),
        }),
        Response::Model(ModelAnswer::Receiving { slot: 1, next: 512 }),
        Response::Model(ModelAnswer::List(ModelList {
            running: Origin::Slot(1),
            slot_bytes: 1 << 20,
            slots: [
                SlotContent::Refused(model_error),
                SlotContent::Model {
                    ode: Name::try_from("sir").unwrap(),
                    scheme: Name::try_from("i16").unwrap(),
                    bytes: 4096,
                    crc32: 7,
                },
            ],
        })),
        Response::Observations { kept: 64 },
        Response::Forecast(Forecast {
            horizon: 20.0,
            state: [Uncertain { value: 0.5, standard_error: f32::INFINITY }; 4],
            outlook: None,
        }),
        Response::Certificate(Certificate {
            prediction,
            error: [1e-5, -2e-5, 1e-5, 0.0],
            corrected: [0.1, 0.2, 0.7, 0.0],
            estimate: 2e-5,
            bound: Some(3e-5),
            trusted: true,
        }),
    ];
    for answer in answers {
        let mut frame = frame_of(77, answer.clone());
        frame.pop();
        assert_eq!(wire::decode::<Response>(&mut frame).unwrap().body, answer);
    }
}

#[test]
fn another_version_is_named_and_its_sequence_kept() {
    // This version does not know the body.
    let mut buffer = [0; MAX_FRAME];
    let message = Message { version: 200, sequence: 4711, body: (250u8, "a body of the future") };
    let frame = wire::encode(&message, &mut buffer).unwrap();
    let received = receive(&mut FrameBuffer::new(), frame);
    assert_eq!(received, [Err(FrameError::Version { version: 200, sequence: 4711 })]);
}

#[test]
fn bytes_left_over_are_refused() {
    let frame = frame_of(1, (Request::Info, 0u8));
    assert_eq!(receive(&mut FrameBuffer::new(), &frame), [Err(FrameError::Body { sequence: 1 })]);
}

#[test]
fn a_frame_longer_than_the_limit_is_refused_and_the_next_one_read() {
    let mut buffer = FrameBuffer::new();
    let mut bytes = vec![1; MAX_FRAME + 1];
    bytes.push(0);
    bytes.extend(frame_of(2, Request::SelfTest));
    let received = receive(&mut buffer, &bytes);
    assert_eq!(received.first(), Some(&Err(FrameError::TooLong)));
    assert!(matches!(received.as_slice(), [_, Ok(message)] if message.body == Request::SelfTest));
}

#[test]
fn every_truncation_of_every_request_is_an_error() {
    let predict = Request::Predict(Query { t: 1.5, initial: [0.25; 4], rates: [0.5; 4] });
    for request in [Request::Info, predict, Request::SelfTest] {
        let frame = frame_of(300, request);
        for cut in 1..frame.len() - 1 {
            let mut bytes = frame[..cut].to_vec();
            bytes.push(0);
            let received = receive(&mut FrameBuffer::new(), &bytes);
            assert!(matches!(received.as_slice(), [Err(_)]), "cut at {cut}: {received:?}");
        }
    }
}

proptest! {
    #[test]
    fn requests_round_trip(sequence: u16, request in request()) {
        let received = receive(&mut FrameBuffer::new(), &frame_of(sequence, &request));
        let [Ok(message)] = received.as_slice() else { panic!("{received:?}") };
        prop_assert_eq!(message.sequence, sequence);
        // The bytes are compared, because NaN is not equal to itself, and its bits must survive.
        prop_assert_eq!(frame_of(sequence, &message.body), frame_of(sequence, request));
    }

    #[test]
    fn every_flipped_bit_is_noticed(sequence: u16, request in request()) {
        let frame = frame_of(sequence, request);
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            damaged.push(0);
            let received = receive(&mut FrameBuffer::new(), &damaged);
            prop_assert!(received.iter().all(Result::is_err), "bit {} of {:02x?}: {:?}", bit, frame, received);
        }
    }

    #[test]
    fn garbage_never_hides_the_next_request(garbage: Vec<u8>, sequence: u16, request in request()) {
        let mut buffer = FrameBuffer::new();
        let _ = receive(&mut buffer, &garbage);
        let mut bytes = vec![0];
        bytes.extend(frame_of(sequence, request));
        let received = receive(&mut buffer, &bytes);
        prop_assert!(matches!(received.last(), Some(Ok(message)) if message.sequence == sequence));
    }

    #[test]
    fn decoding_garbage_never_panics(mut garbage: Vec<u8>) {
        let _ = wire::decode::<Response>(&mut garbage);
    }
}
