//! A binary that is linked, never run: it links only if no panic can be reached from the functions that the linker is told to
//! keep.
//!
//! Its panic handler (`panic.rs`) calls a function that does not exist. The linker drops everything that is not reached from
//! the symbols that it is told to keep (`-u`). If the handler is reached, the missing function makes the link fail.
//! `tools/tests/no_panic.rs` links it in the firmware's own release profile, with the functions below kept.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "symbols that the linker is told about, and one that must not exist")]

mod panic;

use sirocco::bundle::{Bundle, Certificate};
use sirocco::calibrate::{Calibration, CalibrationError, Forecast, Observation, Task, calibrate, forecast};
use sirocco::classify::Classification;
use sirocco::error::ModelError;
use sirocco::held::Held;
use sirocco::image::{ImageError, Network};
use sirocco::ink::{Ink, InkError};
use sirocco::layer::kernel::Portable;
use sirocco::query::{Prediction, Query, QueryError};
use sirocco::renewal::{RenewalError, SerialInterval, reproduction};
use sirocco::summary::SelfTest;
use sirocco::wire::store::{Chunk, ModelAnswer, ModelRequest, Origin, StoreError};
use sirocco::wire::trust::{TrustAnswer, TrustRefusal, TrustRequest};
use sirocco_firmware::flash::{Area, Failure};
use sirocco_firmware::records::{self, Active, Record, State};
use sirocco_firmware::{App, Bench, Opened, Push, Received, Reply, Session, Store};

/// Control: this one must link.
// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn control_get(numbers: &[f32], index: usize) -> Option<&f32> {
    numbers.get(index)
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn evaluator_predict(bundle: &Bundle<'_>, query: &Query) -> Result<Prediction, QueryError> {
    bundle.predict(query)
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn evaluator_certify(bundle: &Bundle<'_>, query: &Query) -> Result<Certificate, QueryError> {
    bundle.certify(query)
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn evaluator_self_test(bundle: &Bundle<'_>) -> SelfTest {
    bundle.self_test()
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn evaluator_calibrate(
    bundle: &Bundle<'_>,
    observations: &[Observation],
    task: &Task,
) -> Result<Calibration, CalibrationError> {
    calibrate(bundle, observations, task)
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn evaluator_forecast(bundle: &Bundle<'_>, calibration: &Calibration) -> Result<Forecast, QueryError> {
    forecast(bundle, calibration, 5.0, 20.0)
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn evaluator_classify(network: &Network<'_>, image: &[u8], arena: &mut [u32]) -> Result<Classification, ImageError> {
    network.classify::<Portable>(image, arena)
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn evaluator_values<'x>(
    network: &Network<'_>,
    image: &[u8],
    arena: &'x mut [u32],
) -> Result<(&'x [u8], Option<f32>), ImageError> {
    let outputs = network.values::<Portable>(image, arena)?;
    Ok((outputs, network.reconstruction_error(image, outputs)))
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn evaluator_ink(image: &[u8], size: [usize; 2], out: &mut [u8], memory: &mut [u32]) -> Result<bool, InkError> {
    let ink = Ink::find(image, size, memory)?;
    if let Some(ink) = &ink {
        ink.draw(image, size[1], out, size);
    }
    Ok(ink.is_some())
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn evaluator_reproduction(counts: &[f32], mean: f32, deviation: f32, window: usize) -> Result<f32, RenewalError> {
    let interval = SerialInterval::gamma(mean, deviation)?;
    let last = reproduction(counts, &interval, window)?.last();
    Ok(last.map_or(f32::NAN, |estimate| estimate.posterior.quantile(0.975)))
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn request_loop<'f>(app: &'f mut App<'_>, byte: u8) -> Option<Received<'f>> {
    app.receive(byte, &mut |_| ())
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn request_loop_more<'f>(app: &'f mut App<'_>) -> Option<Reply<'f>> {
    app.more()
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn model_begin(push: &mut Push<'_>, bytes: u32, crc32: u32) -> Result<ModelAnswer, StoreError> {
    push.begin(bytes, crc32)
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn model_chunk(push: &mut Push<'_>, offset: u32, chunk: &Chunk) -> Result<ModelAnswer, StoreError> {
    push.chunk(offset, chunk, Some(offset))
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn model_open(file: &[u8]) -> Result<Held<'_>, ModelError> {
    Held::open_prefix::<Portable>(file)
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn model_handle(push: &mut Push<'_>, request: &ModelRequest, bench: Bench<'_>) -> Result<ModelAnswer, StoreError> {
    push.handle(request, bench)
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn boot<'s>(store: &'s mut Store<'_>, built_in: &'s [u8], room: u32) -> (Opened<'s>, Push<'s>) {
    store.open(|file| Held::open_prefix::<Portable>(file), built_in, room)
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn model_activate(records: &mut dyn Area, origin: Origin) -> Result<Record, (u32, Failure)> {
    let active = Some(Active { origin, bytes: 1, crc32: 2 });
    records::append(records, State { active, lowest: 3, erased: [4, 5] })
}

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn trust_handle(
    push: &mut Push<'_>,
    request: &TrustRequest,
    session: &mut Session,
) -> Result<TrustAnswer, TrustRefusal> {
    push.trust(request, session)
}
