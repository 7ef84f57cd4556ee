//! Image networks between training and the device.
//!
//! A trained network is folded into a graph of plain f32 weights without batch normalization and dropout ([`net::graph`]). The
//! graph is quantized ([`quantize::forms`]) and exported ([`export`]). [`answers`] has the device's answers to many images.

pub mod adaptation;
pub mod answers;
pub mod augment;
pub mod benchmark;
pub mod confusion;
pub mod early_stopping;
pub mod export;
pub mod field;
mod gaussian;
pub mod held_out;
pub mod import;
pub mod model;
pub mod net;
mod pack;
pub mod quantize;
pub mod recalibration;
pub mod samples;
pub mod select;
pub mod sheet;
pub mod shift;
pub mod sizing;
pub mod stream;
pub mod training;
pub mod trust;
pub mod usual;
