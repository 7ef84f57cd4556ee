//! Image networks between training and the device.
//!
//! A trained network is folded ([`net::graph`]: no batch normalization, no dropout, plain f32 weights), and that plain
//! description is what gets quantized ([`crate::image::quantize::forms`]) and exported ([`export`]); [`answers`] is what the device makes of many images.

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
