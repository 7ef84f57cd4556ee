//! The request loop on the host: every request is answered, and no input makes it panic or stop answering.

use proptest::prelude::*;
use sirocco::bundle::{Bundle, Range};
use sirocco::calibrate::{Free, Observation, Task, calibrate};
use sirocco::held::{Held, Open};
use sirocco::layer::kernel::Portable;
use sirocco::limits::{MAX_FRAME, TRAJECTORY_POINTS};
use sirocco::outbreak::{Count, Noise, Observable, OutbreakError, Series, Setting, Starts};
use sirocco::query::{Query, QueryError};
use sirocco::trajectory::Trajectory;
use sirocco::wire::outbreak::{OutbreakAnswer, OutbreakRequest};
use sirocco::wire::{self, DeviceError, FrameError, Memory, Message, PROTOCOL_VERSION, REQUESTS, Request, Response};
use sirocco_firmware::{App, Arena, Board, Conversation, Opened, Received, Reply, built_in};

const MEMORY: Memory = Memory { ram: 65536, statics: 1024, stack_high_water: 4096 };
const BOARD: Board = Board { name: "host", memory: || Some(MEMORY), uptime: Some(|| 1234), clock: None, open: OPEN };
const OPEN: Open = |file| Held::open_prefix::<Portable>(file);

fn app() -> App<'static> {
    let conversation = Box::leak(Box::new(Conversation::new()));
    let opened = Opened::built_in(OPEN, built_in());
    let held = Box::leak(Box::new(opened.held().unwrap()));
    App::new(BOARD, opened, held, conversation, Arena::new(Box::leak(Box::new([0; 1024]))))
}

fn frame_of<T: serde::Serialize>(version: u8, sequence: u16, body: T) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME];
    wire::encode(&Message { version, sequence, body }, &mut buffer).unwrap().to_vec()
}

/// Sends bytes and collects the answers, decoded.
fn send(app: &mut App<'_>, bytes: &[u8]) -> Vec<Message<Response>> {
    let mut answers = Vec::new();
    for &byte in bytes {
        let mut next = match app.receive(byte, &mut |_| ()) {
            Some(Received::Reply(reply)) => Some(decoded(&reply)),
            Some(Received::Model { .. } | Received::Trust { .. }) => panic!("the conversation leaves models to others"),
            None => None,
        };
        while let Some(message) = next {
            answers.push(message);
            next = app.more().map(|reply| decoded(&reply));
        }
    }
    answers
}

fn decoded(reply: &Reply<'_>) -> Message<Response> {
    let (end, frame) = reply.frame.split_last().unwrap();
    assert_eq!(*end, 0);
    let message = wire::decode::<Response>(&mut frame.to_vec()).unwrap();
    assert_eq!(reply.refused.is_some(), matches!(message.body, Response::Error(_)));
    message
}

fn ask(app: &mut App<'_>, request: Request) -> Response {
    let answers = send(app, &frame_of(PROTOCOL_VERSION, 9, request));
    let [answer] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!((answer.version, answer.sequence), (PROTOCOL_VERSION, 9));
    answer.body.clone()
}

/// A query in the middle of the model's domain.
fn inside() -> Query {
    let bundle = Bundle::open(built_in()).unwrap();
    let middle: Vec<f32> = bundle.domain().iter().map(|r| 0.5 * (r.lo + r.hi)).collect();
    Query::from_quantities(bundle.ode(), &middle)
}

#[test]
fn info_tells_board_firmware_and_model() {
    let Response::Info(info) = ask(&mut app(), Request::Info) else { panic!() };
    assert_eq!((info.board.as_str(), info.firmware.as_str()), ("host", env!("CARGO_PKG_VERSION")));
    assert_eq!(info.model, Bundle::open(built_in()).unwrap().model_info(false));
    assert_eq!((info.slot_error, info.stack_high_water), (None, Some(4096)));
}

#[test]
fn an_answer_has_the_evaluators_bits() {
    let Response::Prediction(answer) = ask(&mut app(), Request::Predict(inside())) else { panic!() };
    let expected = Bundle::open(built_in()).unwrap().predict(&inside()).unwrap();
    assert_eq!(answer.state.map(f32::to_bits), expected.state.map(f32::to_bits));
    assert_eq!(answer.residual.map(f32::to_bits), expected.residual.map(f32::to_bits));
    assert!(answer.in_domain);
}

#[test]
fn a_certificate_has_the_evaluators_bits_and_a_bound() {
    let Response::Certificate(answer) = ask(&mut app(), Request::Certify(inside())) else { panic!() };
    let expected = Bundle::open(built_in()).unwrap().certify(&inside()).unwrap();
    assert_eq!(answer.error.map(f32::to_bits), expected.error.map(f32::to_bits));
    assert_eq!(answer.bound.map(f32::to_bits), expected.bound.map(f32::to_bits));
    assert!(answer.trusted && answer.bound.is_some());
}

#[test]
fn observations_are_kept_and_calibrated() {
    let (mut app, bundle) = (app(), Bundle::open(built_in()).unwrap());
    assert_eq!(ask(&mut app, FORECAST), Response::Error(DeviceError::NotCalibrated));
    let task = Task { free: Free::of(bundle.ode(), &["beta", "gamma"]).unwrap(), fixed: inside(), relative: false };
    let mut seen = Vec::new();
    for (place, t) in (0u16..).zip([2.0, 4.0, 8.0, 16.0]) {
        let mut query = inside();
        query.t = t;
        let value = bundle.state(&query).unwrap()[1];
        seen.push(Observation { t, component: 1, value, sigma: 0.01 });
        let add = Request::ObservationAdd { place, observation: seen[usize::from(place)] };
        // Repeated, as after a lost answer: nothing changes.
        for _ in 0..2 {
            assert_eq!(ask(&mut app, add.clone()), Response::Observations { kept: place + 1 });
        }
    }
    let beyond = Request::ObservationAdd { place: 9, observation: seen[0] };
    assert_eq!(ask(&mut app, beyond), Response::Error(DeviceError::Place { place: 9, kept: 4 }));
    let expected = calibrate(&bundle, &seen, &task).unwrap();
    let answer = Response::Calibration { calibration: expected, ticks: None };
    assert_eq!(ask(&mut app, Request::Calibrate(task)), answer);
    assert!(matches!(ask(&mut app, FORECAST), Response::Forecast(f) if f.outlook.is_some()));
    assert_eq!(ask(&mut app, Request::ObservationsClear), Response::Observations { kept: 0 });
    assert_eq!(ask(&mut app, FORECAST), Response::Error(DeviceError::NotCalibrated));
}

#[test]
fn counts_are_kept_and_an_epidemic_is_fitted_to_them() {
    let (mut app, bundle) = (app(), Bundle::open(built_in()).unwrap());
    let counts = [1.0f32, 3.0, 2.0, 6.0, 11.0, 19.0, 25.0, 38.0, 41.0, 33.0, 24.0, 17.0, 8.0, 6.0, 2.0];
    let counts: Vec<Count> = (1u8..).zip(counts).map(|(day, value)| Count { t: day.into(), value }).collect();
    let range = |lo, hi| Range { lo, hi };
    let setting = Setting {
        series: [Series { observable: Observable::NewCases, start: 0.0, counts: 15 }].into_iter().collect(),
        noise: Noise::NegativeBinomial { dispersion: None },
        infected: range(1e-6, 0.1),
        recovery: range(0.02, 3.0),
        scale: range(400.0, 400.0),
        background: range(0.0, 0.0),
        reproduction: [range(0.2, 19.0)].into_iter().collect(),
        changes: heapless::Vec::new(),
        removed: 0.0,
        reporting: Default::default(),
    };
    let outbreak = |request| Request::Outbreak(request);
    let expect = || outbreak(OutbreakRequest::Expect { observable: Observable::NewCases, from: 15.0, to: 16.0 });
    assert_eq!(ask(&mut app, expect()), Response::Error(DeviceError::NotCalibrated));
    for (place, piece) in (0u16..).step_by(8).zip(counts.chunks(8)) {
        let add = OutbreakRequest::Add { place, counts: piece.iter().copied().collect() };
        let kept = place + piece.len() as u16;
        // Repeated, as after a lost answer: nothing changes.
        for _ in 0..2 {
            assert_eq!(ask(&mut app, outbreak(add.clone())), Response::Outbreak(OutbreakAnswer::Kept(kept)));
        }
    }
    let beyond = OutbreakRequest::Add { place: 16, counts: [counts[0]].into_iter().collect() };
    let refused = DeviceError::CountPlace { place: 16, kept: 15 };
    assert_eq!(ask(&mut app, outbreak(beyond)), Response::Error(refused));
    let fit = sirocco::outbreak::fit(&bundle, &counts, &setting, Starts::Guessed).unwrap();
    let answer = Response::Outbreak(OutbreakAnswer::Fit { fit: fit.clone(), ticks: None });
    assert_eq!(ask(&mut app, outbreak(OutbreakRequest::Fit(setting.clone()))), answer);
    let expected = sirocco::outbreak::expected(&bundle, &setting, &fit, Observable::NewCases, (15.0, 16.0)).unwrap();
    assert_eq!(ask(&mut app, expect()), Response::Outbreak(OutbreakAnswer::Expected(expected)));
    let never = outbreak(OutbreakRequest::Expect { observable: Observable::NewCases, from: -1.0, to: 16.0 });
    assert_eq!(ask(&mut app, never), Response::Error(DeviceError::Query(QueryError::NegativeTime)));
    assert_eq!(ask(&mut app, outbreak(OutbreakRequest::Clear)), Response::Outbreak(OutbreakAnswer::Kept(0)));
    let none = DeviceError::Outbreak(OutbreakError::Series { named: 15, have: 0 });
    assert_eq!(ask(&mut app, outbreak(OutbreakRequest::Fit(setting))), Response::Error(none));
    assert_eq!(ask(&mut app, expect()), Response::Error(DeviceError::NotCalibrated));
}

/// A long fit: 200 counts, evaluated dozens of times.
#[test]
fn signs_of_life_come_before_the_answer_of_a_long_fit() {
    let mut app = app();
    for place in (0u16..200).step_by(40) {
        let day = |k: u16| Count { t: f32::from(k + 1), value: 3.0 + f32::from(k % 7) };
        let add = OutbreakRequest::Add { place, counts: (place..place + 40).map(day).collect() };
        ask(&mut app, Request::Outbreak(add));
    }
    let range = |lo, hi| Range { lo, hi };
    let setting = Setting {
        series: [Series { observable: Observable::NewCases, start: 0.0, counts: 200 }].into_iter().collect(),
        noise: Noise::Poisson,
        infected: range(1e-6, 0.1),
        recovery: range(0.02, 3.0),
        scale: range(4000.0, 4000.0),
        background: range(0.0, 0.0),
        reproduction: [range(0.2, 19.0)].into_iter().collect(),
        changes: heapless::Vec::new(),
        removed: 0.0,
        reporting: Default::default(),
    };
    let (mut signs, mut evaluations) = (Vec::new(), None);
    for byte in frame_of(PROTOCOL_VERSION, 9, Request::Outbreak(OutbreakRequest::Fit(setting))) {
        if let Some(Received::Reply(reply)) = app.receive(byte, &mut |sign| signs.push(sign.to_vec())) {
            let Response::Outbreak(OutbreakAnswer::Fit { fit, .. }) = decoded(&reply).body else { panic!() };
            evaluations = Some(usize::from(fit.evaluations));
        }
    }
    // More than 64 counts each time: one sign before every evaluation.
    assert!(Some(signs.len()) == evaluations && signs.len() > 8, "{} signs, {evaluations:?}", signs.len());
    for mut sign in signs {
        assert_eq!(sign.pop(), Some(0));
        let message = wire::decode::<Response>(&mut sign).unwrap();
        assert!(message.sequence == 0 && matches!(message.body, Response::Hello(_)), "{message:?}");
    }
}

const FORECAST: Request = Request::Forecast { now: 5.0, horizon: 20.0 };

#[test]
fn the_built_in_model_passes_its_self_test() {
    let Response::SelfTest(result) = ask(&mut app(), Request::SelfTest) else { panic!() };
    assert!(result.queries > 0);
    assert_eq!((result.mismatches, result.first_mismatch), (0, None));
}

#[test]
fn queries_without_an_answer_get_a_typed_error() {
    let query = inside();
    let refused = |query, error| {
        for request in [Request::Predict(query), Request::Certify(query)] {
            assert_eq!(ask(&mut app(), request), Response::Error(DeviceError::Query(error)), "{query:?}");
        }
    };
    refused(Query { t: f32::NAN, ..query }, QueryError::NotFinite(0));
    refused(Query { t: -1.0, ..query }, QueryError::NegativeTime);
    refused(Query { initial: [0.2, f32::INFINITY, 0.0, 0.0], ..query }, QueryError::NotFinite(2));
    refused(Query { initial: [0.9, 0.9, 0.0, 0.0], ..query }, QueryError::Inadmissible);
    refused(Query { rates: [-0.1, 0.5, 0.0, 0.0], ..query }, QueryError::Inadmissible);
}

#[test]
fn another_protocol_version_is_told_ours() {
    for version in [0, PROTOCOL_VERSION + 1, u8::MAX] {
        let answers = send(&mut app(), &frame_of(version, 321, "a body of another time"));
        let error = Response::Error(DeviceError::Version { device: PROTOCOL_VERSION });
        assert_eq!(answers, [Message { version: PROTOCOL_VERSION, sequence: 321, body: error }]);
    }
}

#[test]
fn a_bad_frame_is_answered_with_sequence_zero() {
    let mut frame = frame_of(PROTOCOL_VERSION, 5, Request::Info);
    frame[2] ^= 0x40;
    let error = Response::Error(DeviceError::Frame(FrameError::Checksum));
    assert_eq!(send(&mut app(), &frame), [Message { version: PROTOCOL_VERSION, sequence: 0, body: error }]);
}

#[test]
fn an_unknown_request_is_answered_with_its_sequence_number() {
    for body in [(REQUESTS, 7u32), (u8::MAX, 0)] {
        let error = Response::Error(DeviceError::UnknownRequest { known: REQUESTS });
        let answer = Message { version: PROTOCOL_VERSION, sequence: 5, body: error };
        assert_eq!(send(&mut app(), &frame_of(PROTOCOL_VERSION, 5, body)), [answer]);
    }
    let Response::Hello(hello) = ask(&mut app(), Request::Hello) else { panic!() };
    assert_eq!((hello.requests, usize::from(hello.frame)), (REQUESTS, MAX_FRAME));
}

#[test]
fn a_trajectory_comes_in_pieces_and_goes_on_where_it_is_asked_to() {
    let bundle = Bundle::open(built_in()).unwrap();
    let trajectory = Trajectory { problem: Query { t: 0.0, ..inside() }, until: 19.0, points: 100 };
    for first in [0, 7, 99] {
        let request = Request::Trajectory { trajectory, first };
        let answers = send(&mut app(), &frame_of(PROTOCOL_VERSION, 3, request));
        assert_eq!(answers.len(), usize::from(100 - first).div_ceil(TRAJECTORY_POINTS));
        let mut next = first;
        for answer in answers {
            let Response::Trajectory { first, points } = answer.body else { panic!("{answer:?}") };
            assert_eq!((answer.sequence, first), (3, next));
            for point in points {
                let expected = bundle.predict(&trajectory.query(next).unwrap()).unwrap();
                assert_eq!(point.state.map(f32::to_bits), expected.state.map(f32::to_bits));
                next += 1;
            }
        }
        assert_eq!(next, 100);
    }
}

#[test]
fn a_trajectory_that_cannot_be_computed_is_refused() {
    let trajectory = Trajectory { problem: inside(), until: 19.0, points: 10 };
    let refused = |trajectory: Trajectory, first| match ask(&mut app(), Request::Trajectory { trajectory, first }) {
        Response::Error(error) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(trajectory, 10), DeviceError::Trajectory { points: 10, first: 10 });
    let many = Trajectory { points: u16::MAX, ..trajectory };
    assert_eq!(refused(many, 0), DeviceError::Trajectory { points: u16::MAX, first: 0 });
    let nowhere = Trajectory { until: f32::NAN, ..trajectory };
    assert_eq!(refused(nowhere, 9), DeviceError::Query(QueryError::NotFinite(0)));
}

#[test]
fn another_request_ends_a_trajectory() {
    let mut app = app();
    let trajectory = Trajectory { problem: inside(), until: 19.0, points: 1000 };
    for byte in frame_of(PROTOCOL_VERSION, 3, Request::Trajectory { trajectory, first: 0 }) {
        let _ = app.receive(byte, &mut |_| ());
    }
    assert!(app.more().is_some());
    assert!(matches!(ask(&mut app, Request::Hello), Response::Hello(_)), "and nothing after it");
}

#[test]
fn statistics_count_what_happened() {
    let mut app = app();
    let _ = ask(&mut app, Request::Info);
    let _ = ask(&mut app, FORECAST);
    let _ = send(&mut app, &[3, 7, 0]);
    let Response::Statistics(statistics) = ask(&mut app, Request::Statistics) else { panic!() };
    assert_eq!((statistics.requests, statistics.refused, statistics.unreadable), (3, 2, 1));
    assert_eq!((statistics.uptime, statistics.memory, statistics.activations), (Some(1234), Some(MEMORY), 0));
    assert_eq!(MEMORY.stack(), 64512);
}

proptest! {
    #[test]
    fn random_bytes_never_panic_and_never_hide_a_request(garbage: Vec<u8>, t in 0.0f32..40.0, sequence in 1u16..) {
        let mut app = app();
        let _ = send(&mut app, &garbage);
        let mut bytes = vec![0];
        bytes.extend(frame_of(PROTOCOL_VERSION, sequence, Request::Predict(Query { t, ..inside() })));
        let answers = send(&mut app, &bytes);
        let answered = |m: &Message<Response>| m.sequence == sequence && matches!(m.body, Response::Prediction(_));
        prop_assert!(answers.last().is_some_and(answered));
    }

    #[test]
    fn any_query_is_answered(t: f32, initial: [f32; 4], rates: [f32; 4]) {
        let query = Query { t, initial, rates };
        let answer = ask(&mut app(), Request::Predict(query));
        prop_assert!(matches!(answer, Response::Prediction(_) | Response::Error(DeviceError::Query(_))), "{:?}", answer);
        let answer = ask(&mut app(), Request::Certify(query));
        prop_assert!(matches!(answer, Response::Certificate(_) | Response::Error(DeviceError::Query(_))), "{:?}", answer);
    }
}
