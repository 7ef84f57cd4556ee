//! Compares the bytes in `shared/docs/protocol.md`, of every request and of many answers, with those that this build sends.

use sirocco::bundle::Range;
use sirocco::calibrate::{Free, Observation, Task, Uncertain};
use sirocco::drift::{Alarm, Reference, Sign, State};
use sirocco::layer::shape::Shape;
use sirocco::limits::{MAX_FRAME, MAX_QUANTITIES};
use sirocco::outbreak::{Count, Noise, Observable, Series, Setting};
use sirocco::query::{Query, QueryError};
use sirocco::retain::Sample;
use sirocco::summary::{BundleInfo, Content, ModelInfo, ModelKind, SelfTest, name};
use sirocco::trajectory::{Point, Trajectory};
use sirocco::wire::image::{
    Alarms, Classified, ImageAnswer, ImageRefusal, ImageRequest, SampleAnswer, SampleRequest, Threshold,
};
use sirocco::wire::outbreak::{OutbreakAnswer, OutbreakRequest};
use sirocco::wire::store::{ModelAnswer, ModelRequest, Origin, StoreError, Wear};
use sirocco::wire::trust::{self, Signed, TrustAnswer, TrustRefusal, TrustRequest};
use sirocco::wire::{
    self, DeviceError, FrameError, Hello, Info, Memory, Message, PROTOCOL_VERSION, REQUESTS, Request, Response,
    Statistics,
};

const DOCUMENT: &str = include_str!("../docs/protocol.md");

/// A row of the document: a name and a frame with sequence number 7.
fn row<T: serde::Serialize>(name: &str, body: T) -> String {
    let mut buffer = [0; MAX_FRAME];
    let frame = wire::encode(&Message { version: PROTOCOL_VERSION, sequence: 7, body }, &mut buffer).unwrap();
    let bytes: Vec<String> = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("| `{name}` | `{}` |", bytes.join(" "))
}

/// One series of 14 daily counts of new cases among 1,000 people, of whom an unknown share is reported.
fn setting() -> Setting {
    let range = |lo, hi| Range { lo, hi };
    Setting {
        series: [Series { observable: Observable::NewCases, start: 0.0, counts: 14 }].into_iter().collect(),
        noise: Noise::NegativeBinomial { dispersion: None },
        infected: range(0.001, 0.001),
        recovery: range(0.0625, 2.0),
        scale: range(10.0, 1000.0),
        background: range(0.0, 0.0),
        reproduction: [range(0.5, 16.0)].into_iter().collect(),
        changes: heapless::Vec::new(),
        removed: 0.0,
        reporting: Default::default(),
    }
}

/// A signature of bytes that count up, by a key whose fingerprint is 1.
fn signed() -> Signed {
    Signed::new(1, core::array::from_fn(|k| k as u8 + 1))
}

/// The rows of all requests. A new request belongs here and in the document.
fn requests() -> Vec<String> {
    let query = Query { t: 10.0, initial: [0.3, 0.2, 0.0, 0.0], rates: [0.6, 0.5, 0.0, 0.0] };
    let observation = Observation { t: 1.0, component: 1, value: 0.25, sigma: 0.01 };
    let task = Task { free: Free(0b11000), fixed: query, relative: false };
    let chunk = ModelRequest::Chunk { offset: 256, bytes: [1, 2, 3].into_iter().collect() };
    let trajectory = Trajectory { problem: query, until: 20.0, points: 100 };
    let (count, observable) = (Count { t: 1.0, value: 3.0 }, Observable::NewCases);
    vec![
        row("Info", Request::Info),
        row("Predict", Request::Predict(query)),
        row("SelfTest", Request::SelfTest),
        row("Certify", Request::Certify(query)),
        row("ObservationAdd", Request::ObservationAdd { place: 0, observation }),
        row("ObservationsClear", Request::ObservationsClear),
        row("Calibrate", Request::Calibrate(task)),
        row("Forecast", Request::Forecast { now: 5.0, horizon: 20.0 }),
        row("Hello", Request::Hello),
        row("Trajectory", Request::Trajectory { trajectory, first: 0 }),
        row("Statistics", Request::Statistics),
        row("Model List", Request::Model(ModelRequest::List)),
        row("Model Begin", Request::Model(ModelRequest::Begin { bytes: 4000, crc32: 0x0A12_459B })),
        row("Model Chunk", Request::Model(chunk)),
        row("Model Commit", Request::Model(ModelRequest::Commit)),
        row("Model Activate", Request::Model(ModelRequest::Activate(Origin::Slot(1)))),
        row("Model Abort", Request::Model(ModelRequest::Abort)),
        row("Model Wear", Request::Model(ModelRequest::Wear)),
        row("Image Describe", Request::Image(ImageRequest::Describe)),
        row("Image Class", Request::Image(ImageRequest::Class(7))),
        row("Image Chunk", Request::Image(ImageRequest::Chunk { offset: 256, bytes: [1, 2, 3].into_iter().collect() })),
        row("Image Classify", Request::Image(ImageRequest::Classify)),
        row("Image Probabilities", Request::Image(ImageRequest::Probabilities { first: 0 })),
        row("Image Threshold", Request::Image(ImageRequest::Threshold(Threshold::Above(0.5)))),
        row("Image Check", Request::Image(ImageRequest::Check)),
        row("Image Alarms", Request::Image(ImageRequest::Alarms)),
        row("Image Watch", Request::Image(ImageRequest::Watch(Some(Reference { mean: 0.1, deviation: 0.2 })))),
        row("Samples List", Request::Samples(SampleRequest::List { first: 0 })),
        row("Samples Fetch", Request::Samples(SampleRequest::Fetch { number: 12, offset: 256 })),
        row("Samples Clear", Request::Samples(SampleRequest::Clear)),
        row(
            "Outbreak Add",
            Request::Outbreak(OutbreakRequest::Add { place: 0, counts: [count].into_iter().collect() }),
        ),
        row("Outbreak Clear", Request::Outbreak(OutbreakRequest::Clear)),
        row("Outbreak Fit", Request::Outbreak(OutbreakRequest::Fit(setting()))),
        row("Outbreak Expect", Request::Outbreak(OutbreakRequest::Expect { observable, from: 14.0, to: 15.0 })),
        row("Trust State", Request::Trust(TrustRequest::State)),
        row("Trust Challenge", Request::Trust(TrustRequest::Challenge)),
        row("Trust Open", Request::Trust(TrustRequest::Open(signed()))),
        row("Trust Lowest", Request::Trust(TrustRequest::Lowest { serial: 6, signed: signed() })),
        row("Trust Close", Request::Trust(TrustRequest::Close)),
    ]
}

/// A bundle built into the firmware, and an image network from the slot.
fn models() -> [ModelInfo; 2] {
    let mut domain = [(0.0, 0.0); MAX_QUANTITIES];
    domain[..2].copy_from_slice(&[(0.0, 20.0), (0.2, 0.4)]);
    let (ode, form) = (name("sir"), name("reduced"));
    let bundle = ModelInfo {
        from_slot: false,
        scheme: name("f32"),
        bytes: 4000,
        crc32: 0x0A12_459B,
        parameters: 353,
        macs: 320,
        golden: 16,
        content: Content::Bundle(BundleInfo { ode, form, max_error: 1e-5, domain }),
    };
    let image = ModelInfo {
        from_slot: true,
        scheme: name("i8"),
        bytes: 12_000,
        parameters: 8234,
        macs: 123_456,
        golden: 4,
        content: Content::Image(Shape { height: 16, width: 16, channels: 1 }),
        ..bundle
    };
    [bundle, image]
}

fn info(model: ModelInfo) -> Response {
    let (board, firmware) = (name("nrf52840-dk"), name("0.1.0"));
    Response::Info(Info { board, firmware, model, slot_error: None, stack_high_water: Some(31_788) })
}

fn answers() -> Vec<String> {
    let [bundle, image] = models();
    let point = Point { state: [0.5, 0.3, 0.2, 0.0], in_domain: true, plausible: true };
    let memory = Memory { ram: 65536, statics: 20, stack_high_water: 31788 };
    let statistics =
        Statistics { uptime: Some(3860), requests: 3, refused: 1, unreadable: 0, activations: 0, memory: Some(memory) };
    let error = |error| Response::Error(error);
    let (number, class, entropy) = (12, 7, 0.5);
    let drift = State { filled: 12, score: None, alarm: false };
    let classified = Classified {
        number,
        class,
        probability: 0.75,
        entropy,
        abstained: true,
        kept: true,
        drift,
        ticks: Some(520_000),
    };
    let wear = Wear { begun: [3, 4], records: 17, begins_left: 32, activations_left: 31 };
    let (models, operators) = ([1].into_iter().collect(), heapless::Vec::new());
    let state = trust::State { models, operators, lowest: 6, open: true };
    let alarms = Alarms {
        sequential: true,
        images_per_false_alarm: Some(10_000.0),
        first: Some(Alarm { number: 9, sign: Sign::DistanceAbove }),
        frequent: None,
        distance_limit: Some(5.0),
        set_probability: Some(0.125),
    };
    let samples = [Sample { number, entropy, class, abstained: true }].into_iter().collect();
    vec![
        row("Info Bundle", info(bundle)),
        row("Info Image", info(image.clone())),
        row("SelfTest", Response::SelfTest(SelfTest { queries: 16, mismatches: 0, first_mismatch: None })),
        row("Outbreak Kept", Response::Outbreak(OutbreakAnswer::Kept(14))),
        row(
            "Outbreak Expected",
            Response::Outbreak(OutbreakAnswer::Expected(Uncertain { value: 12.5, standard_error: 1.5 })),
        ),
        row("Observations", Response::Observations { kept: 1 }),
        row("Hello", Response::Hello(Hello { requests: REQUESTS, frame: 512, chunk: 256 })),
        row("Trajectory", Response::Trajectory { first: 0, points: [point].into_iter().collect() }),
        row("Statistics", Response::Statistics(statistics)),
        row("Model Receiving", Response::Model(ModelAnswer::Receiving { slot: 1, next: 256 })),
        row("Model Checked", Response::Model(ModelAnswer::Checked { slot: 1, model: image })),
        row("Model Activated", Response::Model(ModelAnswer::Activated(Origin::Slot(1)))),
        row("Model Aborted", Response::Model(ModelAnswer::Aborted)),
        row("Model Wear", Response::Model(ModelAnswer::Wear(wear))),
        row("Trust State", Response::Trust(TrustAnswer::State(state))),
        row("Trust Challenge", Response::Trust(TrustAnswer::Challenge([7; 16]))),
        row("Error Trust Closed", error(DeviceError::Trust(TrustRefusal::Closed))),
        row("Image Receiving", Response::Image(ImageAnswer::Receiving { next: 256 })),
        row("Image Classified", Response::Image(ImageAnswer::Classified(classified))),
        row("Image Alarms", Response::Image(ImageAnswer::Alarms(alarms))),
        row("Samples List", Response::Samples(SampleAnswer::List { total: 1, first: 0, samples })),
        row("Error Kind Image", error(DeviceError::Kind { held: ModelKind::Image })),
        row("Error Image Incomplete", error(DeviceError::Image(ImageRefusal::Incomplete { have: 256, bytes: 784 }))),
        row("Error Frame Checksum", error(DeviceError::Frame(FrameError::Checksum))),
        row("Error Query NegativeTime", error(DeviceError::Query(QueryError::NegativeTime))),
        row("Error NotCalibrated", error(DeviceError::NotCalibrated)),
        row("Error UnknownRequest", error(DeviceError::UnknownRequest { known: REQUESTS })),
        row("Error Store NotBegun", error(DeviceError::Store(StoreError::NotBegun))),
    ]
}

#[test]
fn the_document_shows_the_bytes_that_are_sent() {
    let rows = [requests(), answers()].concat();
    let missing: Vec<&String> = rows.iter().filter(|row| !DOCUMENT.lines().any(|line| line == row.as_str())).collect();
    let list = missing.iter().map(|row| row.as_str()).collect::<Vec<_>>().join("\n");
    assert!(missing.is_empty(), "shared/docs/protocol.md lacks these rows:\n{list}");
    let shown = DOCUMENT.lines().filter(|line| line.ends_with(" 00` |")).count();
    assert_eq!(shown, rows.len(), "the document shows frames that are not checked here");
}

#[test]
fn every_kind_of_request_is_in_the_document() {
    // The kind is the byte after version and sequence number; COBS hides only zeros.
    let kinds: std::collections::BTreeSet<String> = requests()
        .iter()
        .map(|row| row.split("| `").nth(1).unwrap().split([' ', '`']).next().unwrap().to_owned())
        .collect();
    assert_eq!(kinds.len(), usize::from(REQUESTS));
}
