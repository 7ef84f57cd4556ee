//! Models and errors in the log. The shared crate knows no log, so its types are spelled out here.

use sirocco::calibrate::CalibrationError;
use sirocco::error::ModelError;
use sirocco::query::QueryError;
use sirocco::summary::ModelInfo;
use sirocco::wire::image::ImageRefusal;
use sirocco::wire::store::StoreError;
use sirocco::wire::{DeviceError, FrameError};

/// Says which model answers.
pub fn opened(model: &ModelInfo) {
    let origin = if model.from_slot { "slot" } else { "firmware" };
    defmt::info!(
        "model from the {=str}: {=str} ({=str}, {=str}), {=u32} bytes, crc32 {=u32:08x}",
        origin,
        model.subject(),
        model.form().as_str(),
        model.scheme.as_str(),
        model.bytes,
        model.crc32
    );
}

/// Says why a model file was refused.
pub fn model(error: ModelError, what: &str) {
    match error {
        ModelError::Truncated { needed, have } => {
            defmt::error!("{=str}: {=u32} bytes, the file needs {=u32}", what, have, needed);
        }
        ModelError::Trailing(bytes) => defmt::error!("{=str}: {=u32} bytes follow the last tensor", what, bytes),
        ModelError::HeaderTooLong(bytes) => defmt::error!("{=str}: a header of {=u32} bytes is too long", what, bytes),
        ModelError::Header => defmt::error!("{=str}: no safetensors header", what),
        ModelError::TooMany(_) => defmt::error!("{=str}: more tensors, metadata or units than the limits", what),
        ModelError::Misaligned => defmt::error!("{=str}: data not aligned to 8 bytes", what),
        ModelError::Offsets => defmt::error!("{=str}: bad tensor offsets", what),
        ModelError::Duplicate => defmt::error!("{=str}: a name occurs twice", what),
        ModelError::Checksum { stated, computed } => {
            defmt::error!("{=str}: checksum stated {=u32:08x}, computed {=u32:08x}", what, stated, computed);
        }
        ModelError::Version { supported } => defmt::error!("{=str}: format version is not {=u16}", what, supported),
        ModelError::Metadata(key) => defmt::error!("{=str}: metadata entry {=str} missing or bad", what, key.key()),
        ModelError::Tensor { layer, .. } => defmt::error!("{=str}: bad tensors of layer {=u8}", what, layer),
        ModelError::Value { layer } => defmt::error!("{=str}: bad number in layer {=u8}", what, layer),
        ModelError::Node { node, .. } => defmt::error!("{=str}: bad node {=u8} of its network", what, node),
        ModelError::Arena { stated, needed } => {
            defmt::error!("{=str}: an arena of {=u32} bytes stated, {=u32} needed", what, stated, needed);
        }
        ModelError::Memory { needed, room } => {
            defmt::error!("{=str}: {=u32} bytes of working memory needed, {=u32} are there", what, needed, room);
        }
        ModelError::Golden => defmt::error!("{=str}: malformed golden queries", what),
    }
}

/// Says why a request was refused.
pub fn refused(error: DeviceError) {
    match error {
        DeviceError::Frame(FrameError::TooLong) => defmt::warn!("refused: frame too long"),
        DeviceError::Frame(FrameError::Cobs) => defmt::warn!("refused: bad COBS"),
        DeviceError::Frame(FrameError::Checksum) => defmt::warn!("refused: bad checksum"),
        DeviceError::Frame(FrameError::Message | FrameError::Version { .. } | FrameError::Body { .. }) => {
            defmt::warn!("refused: no message")
        }
        DeviceError::Version { device } => defmt::warn!("refused: another protocol version than {=u8}", device),
        DeviceError::Query(QueryError::NotFinite(index)) => {
            defmt::warn!("refused: quantity {=u8} of the query is not finite", index);
        }
        DeviceError::Query(QueryError::NegativeTime) => defmt::warn!("refused: negative time"),
        DeviceError::Query(QueryError::Inadmissible) => defmt::warn!("refused: no problem of this system"),
        DeviceError::Query(QueryError::Overflow) => defmt::warn!("refused: no finite answer"),
        DeviceError::NoGolden => defmt::warn!("refused: the model carries no golden queries"),
        DeviceError::Place { place, kept } => {
            defmt::warn!("refused: no place {=u16} for an observation, {=u16} are kept", place, kept);
        }
        DeviceError::NotCalibrated => defmt::warn!("refused: nothing has been calibrated"),
        DeviceError::Calibration(error) => calibration(error),
        DeviceError::UnknownRequest { .. } => defmt::warn!("refused: an unknown request"),
        DeviceError::Trajectory { points, first } => {
            defmt::warn!("refused: no point {=u16} of {=u16} in a trajectory", first, points);
        }
        DeviceError::Store(error) => store(error),
        DeviceError::Kind { .. } => defmt::warn!("refused: no question for this kind of model"),
        DeviceError::Image(refusal) => image(refusal),
    }
}

/// Says why a model was not received, checked or activated.
fn store(error: StoreError) {
    match error {
        StoreError::ReadOnly => defmt::warn!("no model: the flash is read-only"),
        StoreError::Flash { offset } => defmt::error!("no model: the flash failed at {=u32:#x}", offset),
        StoreError::TooLarge { bytes, room } => {
            defmt::warn!("no model: {=u32} bytes, a slot has {=u32}", bytes, room);
        }
        StoreError::NotBegun => defmt::warn!("no model: none was begun"),
        StoreError::Offset { next } => defmt::warn!("no model: the next chunk begins at {=u32}", next),
        StoreError::ChunkLength => defmt::warn!("no model: a chunk of the wrong length"),
        StoreError::Incomplete { have, bytes } => {
            defmt::warn!("no model: {=u32} of {=u32} bytes", have, bytes);
        }
        StoreError::Refused(error) => model(error, "the new model was refused"),
        StoreError::OtherFile { crc32, .. } => defmt::warn!("no model: not the one announced, {=u32:08x}", crc32),
        StoreError::NoGolden => defmt::warn!("no model: it carries no golden queries"),
        StoreError::Golden { mismatches, queries } => {
            defmt::error!("no model: {=u16} of {=u16} golden answers differ", mismatches, queries);
        }
        StoreError::NoSlot { slot } => defmt::warn!("no model: there is no slot {=u8}", slot),
    }
}

/// Says why an image was not received or classified.
fn image(refusal: ImageRefusal) {
    match refusal {
        ImageRefusal::Offset { next } => defmt::warn!("no image: the next chunk begins at {=u32}", next),
        ImageRefusal::ChunkLength => defmt::warn!("no image: a chunk of the wrong length"),
        ImageRefusal::Incomplete { have, bytes } => defmt::warn!("no image: {=u32} of {=u32} bytes", have, bytes),
        ImageRefusal::NoAnswer => defmt::warn!("refused: nothing has been classified"),
        ImageRefusal::NoClass { class, .. } => defmt::warn!("refused: there is no class {=u8}", class),
        ImageRefusal::NoSample { number, offset } => {
            defmt::warn!("refused: no byte {=u32} of a sample {=u32}", offset, number);
        }
        ImageRefusal::Setting => defmt::warn!("refused: a threshold or reference that means nothing"),
        ImageRefusal::Memory => defmt::error!("no answer: no room for the network"),
    }
}

/// Says why there is no estimate.
fn calibration(error: CalibrationError) {
    match error {
        CalibrationError::TooFew { have, need } => {
            defmt::warn!("no calibration: {=u16} observations, {=u16} are needed", have, need);
        }
        CalibrationError::NotFinite(index)
        | CalibrationError::Sigma(index)
        | CalibrationError::Component(index)
        | CalibrationError::OutsideTime(index) => defmt::warn!("no calibration: bad observation {=u16}", index),
        CalibrationError::NothingFree => defmt::warn!("no calibration: nothing is free"),
        CalibrationError::NotFree(index) => defmt::warn!("no calibration: quantity {=u8} cannot be free", index),
        CalibrationError::OutsideDomain(index) => {
            defmt::warn!("no calibration: quantity {=u8} is fixed outside the domain", index);
        }
        CalibrationError::Singular => defmt::warn!("no calibration: the observations depend on nothing free"),
        CalibrationError::Query(_) => defmt::warn!("no calibration: the model has no answer"),
    }
}
