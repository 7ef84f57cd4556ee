//! What to do about a device's error.

use sirocco::error::ModelError;
use sirocco::query::QueryError;
use sirocco::summary::ModelKind;
use sirocco::wire::DeviceError;
use sirocco::wire::store::StoreError;
use sirocco::wire::trust::TrustRefusal;

/// The remedy for a device's error.
pub(super) fn remedy(error: &DeviceError) -> &'static str {
    match error {
        DeviceError::Frame(_) => "check the baud rate and the wiring",
        DeviceError::Version { .. } => "build firmware and tools from the same release",
        DeviceError::Query(QueryError::NotFinite(_)) => "give finite numbers",
        DeviceError::Query(QueryError::NegativeTime) => "give a time of zero or later",
        DeviceError::Query(_) => "see the model's domain with `sirocco info`",
        DeviceError::Calibration(_) => "see the model's domain with `sirocco info`, and what is observed",
        DeviceError::Place { .. } => "clear the observations, or add them in their order",
        DeviceError::Outbreak(_) => "see what was understood of the table, and the ranges of what is unknown",
        DeviceError::CountPlace { .. } => "join days to weeks with --until or --every, so that there are fewer counts",
        DeviceError::NotCalibrated => "calibrate first",
        DeviceError::UnknownRequest { .. } => "build firmware and tools from the same release",
        DeviceError::Trajectory { .. } => "ask for fewer points",
        DeviceError::Trust(TrustRefusal::Closed) => "give the file of an operator's private key with --key",
        DeviceError::Trust(TrustRefusal::NoKeys) => "build the firmware with keys: `sirocco build --help`",
        DeviceError::Trust(TrustRefusal::Flash) => "check the board's power, and that its firmware can write its flash",
        DeviceError::Trust(TrustRefusal::UnknownKey { .. }) => "see the keys that the device holds with `sirocco info`",
        DeviceError::Trust(_) => "try again, with no other program on the line",
        DeviceError::Store(StoreError::Refused(error)) => model_remedy(error),
        DeviceError::Store(StoreError::TooOften { .. }) => "wait, or reset the board",
        DeviceError::Store(_) => "check the file with `sirocco inspect`, and the slots with `sirocco models`",
        DeviceError::Kind { held: ModelKind::Image } => "ask it with `sirocco classify`, or push a solution bundle",
        DeviceError::Kind { held: ModelKind::Bundle } => "ask it with `sirocco query`, or push an image network",
        DeviceError::Image(_) => "see what the network takes with `sirocco info`",
        DeviceError::NoGolden => "export the model again with golden queries",
    }
}

/// The remedy for a model that a device refuses.
pub fn model_remedy(error: &ModelError) -> &'static str {
    match error {
        ModelError::Unsigned | ModelError::Forged { .. } => "sign it with `sirocco sign`",
        ModelError::UnknownKey { .. } => "sign it with a key that the device holds: `sirocco info` names them",
        ModelError::Values => "evaluate it in firmware of your own, by `sirocco::image::Network::values`",
        ModelError::Serial { .. } => "sign it with a higher --serial, or see `sirocco models --lowest`",
        _ => "check the file with `sirocco inspect`, and the slots with `sirocco models`",
    }
}
