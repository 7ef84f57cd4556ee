//! What host and device must agree on: model files, the evaluator, ODE systems, the serial protocol.
//!
//! No heap, no unsafe, no panic reachable from outside data. The trainer exports a file, and [`bundle`] evaluates
//! the very same bytes, to the same bits, on a workstation and on a microcontroller.
#![no_std]

#[cfg(target_endian = "big")]
compile_error!("model files are read in place and are little-endian");

#[cfg(test)]
extern crate std;

pub mod bundle;
pub mod calibrate;
pub mod classify;
pub mod drift;
pub mod error;
pub mod fixed_point;
pub mod held;
pub mod image;
pub mod layer;
pub mod limits;
pub mod math;
pub mod model;
pub mod network;
pub mod ode;
pub mod query;
pub mod retain;
pub mod rk4;
pub mod scalar;
pub mod summary;
pub(crate) mod text;
pub mod trajectory;
pub mod wire;
