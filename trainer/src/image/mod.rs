//! Image networks between training and the device.
//!
//! A trained network is folded ([`folded`]: no batch normalisation, no dropout, plain f32 weights), and that plain
//! description is what gets quantised ([`crate::quantise::image`]) and exported ([`export`]); [`answers`] is what the device makes of many images.

pub mod adaptation;
pub mod answers;
pub mod benchmark;
pub mod early_stopping;
pub mod export;
pub mod folded;
pub mod model;
pub mod samples;
pub mod study;
pub mod training;
