//! Requests about images on the host: images are received, classified, watched and kept, and every wrong request is refused.

use sirocco::classify::Classification;
use sirocco::drift::Reference;
use sirocco::error::ModelError;
use sirocco::held::{Held, Open};
use sirocco::layer::kernel::Portable;
use sirocco::limits::{DRIFT_WINDOW, MAX_CHUNK, MAX_FRAME};
use sirocco::query::Query;
use sirocco::summary::{ModelKind, SelfTest, name};
use sirocco::trajectory::Trajectory;
use sirocco::wire::image::{
    Alarms, Classified, Description, ImageAnswer, ImageRefusal, ImageRequest, SampleAnswer, SampleRequest, Threshold,
};
use sirocco::wire::store::{ModelAnswer, ModelRequest, Origin, StoreError};
use sirocco::wire::{self, DeviceError, Message, PROTOCOL_VERSION, Request, Response};
use sirocco_firmware::flash::ReadOnly;
use sirocco_firmware::{App, Arena, Bench, Board, Conversation, Opened, Received, Store, Trust, built_in};

#[repr(C, align(8))]
struct Aligned<B: ?Sized>(B);

static DIGITS: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../tests/data/digits-int8.safetensors"));
const OPEN: Open = |file| Held::open_prefix::<Portable>(file);
const BOARD: Board = Board { name: "host", memory: || None, uptime: None, clock: None, open: OPEN };
/// The same network with what is usual for it, so that a sequential test watches.
static WATCHED: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../tests/data/digits-watched.safetensors"));
/// Words of memory: three quarters are enough for 4,456 bytes of the network, one has room for five images of 256 bytes.
const WORDS: usize = 1500;

fn app(file: &'static [u8], words: usize) -> App<'static> {
    let memory = Box::leak(vec![0; words].into_boxed_slice());
    let opened = Opened { open: OPEN, area: file, origin: Origin::Slot(0), slot_error: None, trust: Trust::default() };
    let held = Box::leak(Box::new(opened.held().unwrap()));
    App::new(BOARD, opened, held, Box::leak(Box::new(Conversation::new())), Arena::new(memory))
}

fn digits() -> App<'static> {
    app(&DIGITS.0, WORDS)
}

fn ask(app: &mut App<'_>, body: Request) -> Response {
    let mut buffer = [0; MAX_FRAME];
    let message = Message { version: PROTOCOL_VERSION, sequence: 9, body };
    let frame = wire::encode(&message, &mut buffer).unwrap();
    let mut answers = Vec::new();
    for byte in frame {
        if let Some(Received::Reply(reply)) = app.receive(*byte, &mut |_| ()) {
            answers.push(wire::decode::<Response>(&mut reply.frame[..reply.frame.len() - 1].to_vec()).unwrap().body);
        }
    }
    assert!(answers.len() == 1 && app.more().is_none(), "{answers:?}");
    answers.remove(0)
}

fn image(app: &mut App<'_>, request: ImageRequest) -> Result<ImageAnswer, ImageRefusal> {
    match ask(app, Request::Image(request)) {
        Response::Image(answer) => Ok(answer),
        Response::Error(DeviceError::Image(refusal)) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

fn chunk(app: &mut App<'_>, offset: usize, bytes: &[u8]) -> Result<u32, ImageRefusal> {
    match image(app, ImageRequest::Chunk { offset: offset as u32, bytes: bytes.iter().copied().collect() })? {
        ImageAnswer::Receiving { next } => Ok(next),
        other => panic!("{other:?}"),
    }
}

fn classify(app: &mut App<'_>, pixels: &[u8]) -> Classified {
    for (k, bytes) in pixels.chunks(MAX_CHUNK).enumerate() {
        chunk(app, k * MAX_CHUNK, bytes).unwrap();
    }
    match image(app, ImageRequest::Classify) {
        Ok(ImageAnswer::Classified(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

fn describe(app: &mut App<'_>, request: ImageRequest) -> Description {
    match image(app, request) {
        Ok(ImageAnswer::Description(description)) => description,
        other => panic!("{other:?}"),
    }
}

fn samples(app: &mut App<'_>, request: SampleRequest) -> Result<SampleAnswer, ImageRefusal> {
    match ask(app, Request::Samples(request)) {
        Response::Samples(answer) => Ok(answer),
        Response::Error(DeviceError::Image(refusal)) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

/// An image that differs from every other.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let step = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(step).take(256).collect()
}

fn expected(pixels: &[u8]) -> Classification {
    let held = Held::open(&DIGITS.0).unwrap();
    let network = &held.image().unwrap().network;
    network.classify::<Portable>(pixels, &mut vec![0; network.arena()]).unwrap()
}

#[test]
fn a_test_counts_and_keeps_nothing() {
    let mut app = digits();
    let pixels = [37; 256];
    let counted = classify(&mut app, &[200; 256]);
    let before = image(&mut app, ImageRequest::Describe);
    assert_eq!(chunk(&mut app, 0, &pixels), Ok(256));
    let Ok(ImageAnswer::Classified(test)) = image(&mut app, ImageRequest::Check) else { panic!("no answer") };
    assert_eq!((test.number, test.kept), (0, false));
    assert_eq!(image(&mut app, ImageRequest::Describe), before);
    // The same image in earnest is counted, once, and has the same answer.
    for _ in 0..2 {
        let Ok(ImageAnswer::Classified(answer)) = image(&mut app, ImageRequest::Classify) else { panic!("no answer") };
        assert_eq!(answer.number, counted.number + 1);
        assert_eq!((answer.class, answer.entropy.to_bits()), (test.class, test.entropy.to_bits()));
    }
}

#[test]
fn an_answer_has_the_evaluators_bits_and_comes_again_when_asked_again() {
    let mut app = digits();
    for number in 1..20 {
        let pixels = noise(number);
        let answer = classify(&mut app, &pixels);
        let Classification { class, probability, entropy, abstain } = expected(&pixels);
        assert_eq!((answer.number, usize::from(answer.class)), (number as u32, class));
        assert_eq!(
            (answer.probability.to_bits(), answer.entropy.to_bits()),
            (probability.to_bits(), entropy.to_bits())
        );
        assert_eq!(answer.abstained, abstain);
        assert_eq!(image(&mut app, ImageRequest::Classify), Ok(ImageAnswer::Classified(answer)));
    }
    let description = describe(&mut app, ImageRequest::Describe);
    assert_eq!((description.images, description.drift.filled), (19, 19));
    let Ok(ImageAnswer::Probabilities { first: 3, values }) = image(&mut app, ImageRequest::Probabilities { first: 3 })
    else {
        panic!()
    };
    assert_eq!(values.len(), 7);
    assert_eq!(
        ask(&mut app, Request::SelfTest),
        Response::SelfTest(SelfTest { queries: 4, mismatches: 0, first_mismatch: None })
    );
}

#[test]
fn chunks_are_taken_in_their_order_once_and_of_the_right_length() {
    let mut app = digits();
    let pixels = noise(1);
    assert_eq!(image(&mut app, ImageRequest::Classify), Err(ImageRefusal::Incomplete { have: 0, bytes: 256 }));
    assert_eq!(image(&mut app, ImageRequest::Probabilities { first: 0 }), Err(ImageRefusal::NoAnswer));
    for bad in [&pixels[..17], &[]] {
        assert_eq!(chunk(&mut app, 0, bad), Err(ImageRefusal::ChunkLength));
    }
    assert_eq!(chunk(&mut app, 256, &pixels), Err(ImageRefusal::Offset { next: 0 }));
    assert_eq!(chunk(&mut app, 0, &pixels), Ok(256));
    assert_eq!(chunk(&mut app, u32::MAX as usize, &pixels), Err(ImageRefusal::Offset { next: 256 }));
    assert_eq!(chunk(&mut app, 256, &pixels), Err(ImageRefusal::ChunkLength));
    assert_eq!(chunk(&mut app, 0, &pixels), Ok(256));
    let answer = classify(&mut app, &pixels);
    assert_eq!(answer.number, 1);
    // Sending the same image again counts as another image.
    let again = classify(&mut app, &pixels);
    assert_eq!((again.number, again.entropy, again.kept), (2, answer.entropy, false));
}

#[test]
fn answers_are_withheld_above_the_threshold_that_the_file_or_the_host_sets() {
    let mut app = digits();
    let file = describe(&mut app, ImageRequest::Describe).threshold;
    assert!(file.is_some_and(|t| t > 0.0));
    let pixels = noise(3);
    let entropy = expected(&pixels).entropy;
    for (threshold, abstained) in [
        (Threshold::Never, false),
        (Threshold::Above(0.5 * entropy), true),
        (Threshold::Above(entropy), false),
        (Threshold::File, file.is_some_and(|t| entropy > t)),
    ] {
        describe(&mut app, ImageRequest::Threshold(threshold));
        assert_eq!(classify(&mut app, &pixels).abstained, abstained, "{threshold:?}");
    }
    assert_eq!(describe(&mut app, ImageRequest::Describe).threshold, file);
    for bad in [f32::NAN, f32::INFINITY, -0.5] {
        assert_eq!(image(&mut app, ImageRequest::Threshold(Threshold::Above(bad))), Err(ImageRefusal::Setting));
    }
}

#[test]
fn noise_raises_the_drift_alarm_and_a_new_reference_ends_it() {
    let mut app = digits();
    let mut last = None;
    for k in 0..DRIFT_WINDOW as u64 {
        assert!(!last.is_some_and(|c: Classified| c.drift.alarm));
        last = Some(classify(&mut app, &noise(k)));
    }
    assert!(last.unwrap().drift.alarm, "{last:?}");
    let reference = Reference { mean: 2.0, deviation: 0.5 };
    let set = describe(&mut app, ImageRequest::Watch(Some(reference)));
    assert_eq!((set.reference, set.drift.filled), (Some(reference), 0));
    for k in 0..DRIFT_WINDOW as u64 {
        assert!(!classify(&mut app, &noise(k)).drift.alarm);
    }
    let bad = Reference { mean: 2.0, deviation: 0.0 };
    assert_eq!(image(&mut app, ImageRequest::Watch(Some(bad))), Err(ImageRefusal::Setting));
}

/// The golden images of a file: test digits.
fn golden(file: &[u8]) -> Vec<Vec<u8>> {
    let model = sirocco::model::Model::open(file).unwrap();
    let images = model.tensor(sirocco::image::golden::IMAGES).unwrap().u8().unwrap();
    images.chunks(256).map(<[u8]>::to_vec).collect()
}

fn alarms(app: &mut App<'_>) -> Alarms {
    match image(app, ImageRequest::Alarms) {
        Ok(ImageAnswer::Alarms(alarms)) => alarms,
        other => panic!("{other:?}"),
    }
}

#[test]
fn inverted_images_raise_an_alarm_that_good_ones_do_not_undo() {
    let mut app = app(&WATCHED.0, WORDS);
    let usual = golden(&WATCHED.0);
    let start = alarms(&mut app);
    assert!(start.sequential && start.images_per_false_alarm == Some(10_000.0) && start.first.is_none());
    assert!(start.distance_limit.is_some_and(|limit| limit > 1.0) && start.set_probability.is_some());
    for k in 0..8 {
        assert!(!classify(&mut app, &usual[k % usual.len()]).drift.alarm, "good image {k}");
    }
    let inverted = |k: usize| usual[k % usual.len()].iter().map(|byte| 255 - byte).collect::<Vec<u8>>();
    let mut withheld = 0;
    for k in 0..40 {
        withheld += u32::from(classify(&mut app, &inverted(k)).abstained);
    }
    let raised = alarms(&mut app).first.expect("40 inverted images raise the alarm");
    assert!((9..=8 + 32).contains(&raised.number), "{raised:?}");
    assert!(withheld >= 10, "{withheld} of 40 withheld");
    for k in 0..40 {
        classify(&mut app, &usual[k % usual.len()]);
    }
    assert_eq!(alarms(&mut app).first, Some(raised));
    // A new watch forgets, and a host's own reference is watched by the chart.
    describe(&mut app, ImageRequest::Watch(None));
    assert_eq!(alarms(&mut app), start);
    describe(&mut app, ImageRequest::Watch(Some(Reference { mean: 2.0, deviation: 0.5 })));
    assert!(!alarms(&mut app).sequential);
}

#[test]
fn an_answer_is_withheld_for_its_distance_unless_never_is_set() {
    let mut app = app(&WATCHED.0, WORDS);
    // With a threshold above every entropy, only the distance can withhold an answer.
    describe(&mut app, ImageRequest::Threshold(Threshold::Above(9.0)));
    let stripes =
        |k: usize| (0..256).map(move |at| if (at / 16 * (k / 8) + at % 16 * (k % 8)) % 8 < 4 { 255 } else { 0 });
    let mut odd = (1..64).map(|k| stripes(k).collect::<Vec<u8>>());
    let odd = odd.find(|pixels| classify(&mut app, pixels).abstained).expect("stripes are far from every class");
    let answer = classify(&mut app, &odd);
    for (threshold, withheld) in [(Threshold::Above(9.0), true), (Threshold::Never, false), (Threshold::File, true)] {
        describe(&mut app, ImageRequest::Threshold(threshold));
        let again = classify(&mut app, &odd);
        assert_eq!((again.abstained, again.class), (withheld, answer.class), "{threshold:?}");
    }
    // An older file has no limit.
    let old = alarms(&mut digits());
    assert!(!old.sequential && old.distance_limit.is_none() && old.set_probability.is_none());
}

#[test]
fn the_most_entropic_images_are_kept_and_can_be_fetched_whole() {
    let mut app = digits();
    let mut seen = Vec::new();
    for k in 0..40 {
        let answer = classify(&mut app, &noise(k));
        seen.push((answer.entropy, answer.number, noise(k)));
    }
    let room = describe(&mut app, ImageRequest::Describe).samples_room;
    assert_eq!(room, 5);
    seen.sort_by(|a, b| b.0.total_cmp(&a.0));
    let Ok(SampleAnswer::List { total, samples: list, .. }) = samples(&mut app, SampleRequest::List { first: 0 })
    else {
        panic!()
    };
    assert_eq!((total, list.len()), (room, room.into()));
    for (entropy, number, pixels) in &seen[..room.into()] {
        assert!(list.iter().any(|s| s.number == *number && s.entropy == *entropy));
        let fetch = SampleRequest::Fetch { number: *number, offset: 0 };
        let bytes = pixels.iter().copied().collect();
        assert_eq!(samples(&mut app, fetch), Ok(SampleAnswer::Piece { offset: 0, bytes }));
    }
    for (number, offset) in [(seen[39].1, 0), (seen[0].1, 256), (seen[0].1, u32::MAX), (99, 0)] {
        let fetch = SampleRequest::Fetch { number, offset };
        assert_eq!(samples(&mut app, fetch), Err(ImageRefusal::NoSample { number, offset }));
    }
    assert_eq!(samples(&mut app, SampleRequest::Clear), Ok(SampleAnswer::Cleared));
    assert_eq!(describe(&mut app, ImageRequest::Describe).samples, 0);
}

#[test]
fn names_of_classes() {
    let mut app = digits();
    let name = name("7");
    assert_eq!(image(&mut app, ImageRequest::Class(7)), Ok(ImageAnswer::Class(name)));
    assert_eq!(image(&mut app, ImageRequest::Class(10)), Err(ImageRefusal::NoClass { class: 10, classes: 10 }));
    let first = ImageRequest::Probabilities { first: 10 };
    classify(&mut app, &noise(0));
    assert_eq!(image(&mut app, first), Err(ImageRefusal::NoClass { class: 10, classes: 10 }));
}

#[test]
fn questions_for_the_other_kind_of_model_are_refused() {
    let query = Query { t: 1.0, initial: [0.25; 4], rates: [0.5; 4] };
    let (mut bundle, mut digits) = (app(built_in(), WORDS), digits());
    for request in [Request::Image(ImageRequest::Describe), Request::Samples(SampleRequest::Clear)] {
        let error = DeviceError::Kind { held: ModelKind::Bundle };
        assert_eq!(ask(&mut bundle, request), Response::Error(error));
    }
    let trajectory = Trajectory { problem: query, until: 20.0, points: 9 };
    for request in [
        Request::Predict(query),
        Request::Certify(query),
        Request::Trajectory { trajectory, first: 0 },
        Request::Calibrate(sirocco::calibrate::Task {
            free: sirocco::calibrate::Free(1),
            fixed: query,
            relative: false,
        }),
    ] {
        let error = DeviceError::Kind { held: ModelKind::Image };
        assert_eq!(ask(&mut digits, request), Response::Error(error));
    }
    let Response::Info(info) = ask(&mut digits, Request::Info) else { panic!() };
    assert_eq!(
        (info.model.kind(), info.model.form().as_str(), info.model.parameters),
        (ModelKind::Image, "16x16x1", 8234)
    );
}

#[test]
fn a_network_that_does_not_fit_the_boards_memory_is_refused_at_boot_and_when_pushed() {
    let needed = Held::open(&DIGITS.0).unwrap().memory();
    let refused = ModelError::Memory { needed, room: needed - 4 };
    let (mut first, mut second, mut records) = (ReadOnly(&DIGITS.0), ReadOnly(&[]), ReadOnly(&[]));
    let mut store = Store::new([&mut first, &mut second], &mut records);
    {
        let (opened, mut push) = store.open(OPEN, built_in(), needed - 4);
        assert_eq!((opened.origin, opened.slot_error), (Origin::BuiltIn, Some(refused)));
        let bench = Bench { open: OPEN, memory: &mut vec![0; needed as usize / 4 - 1], now: None };
        let activate = ModelRequest::Activate(Origin::Slot(0));
        assert_eq!(push.handle(&activate, bench), Err(StoreError::Refused(refused)));
    }
    let (opened, mut push) = store.open(OPEN, built_in(), needed);
    assert_eq!((opened.origin, opened.slot_error), (Origin::Slot(0), None));
    let bench = Bench { open: OPEN, memory: &mut [], now: None };
    assert!(matches!(push.handle(&ModelRequest::List, bench), Ok(ModelAnswer::List(_))));
}
