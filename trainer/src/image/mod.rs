//! Image networks between training and the device.
//!
//! A trained network is folded into a graph of plain f32 weights without batch normalization and dropout ([`net::graph`]). The
//! graph is quantized ([`quantize::forms`]) and exported ([`export`]). [`answers`] has the device's answers to many images.

pub mod adaptation;
pub mod answers;
pub mod benchmark;
pub mod early_stopping;
pub mod export;
pub mod model;
pub mod net;
pub mod quantize;
pub mod samples;
pub mod select;
pub mod sheet;
pub mod shift;
pub mod training;
