//! The evaluator of small networks, and everything else that host and device must agree on.
//!
//! The trainer exports a file, and this crate evaluates the very same bytes, to the same bits, on a workstation and on a
//! microcontroller. It has no heap, no unsafe code, and no panic that data can reach. Weights are borrowed from the file,
//! wherever it lies: in a `Vec` on the host, in flash on a board.
//!
//! ```
//! use sirocco::{bundle::Bundle, query::Query, rk4};
//! // Tensors are read in place, so the file must be aligned to 8 bytes.
//! #[repr(align(8))]
//! struct Aligned<B: ?Sized>(B);
//! static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../../tests/data/sir-full.safetensors"));
//!
//! let bundle = Bundle::open(&FILE.0)?;
//! // An epidemic: I0 = 0.3, R0 = 0.2, beta = 0.6, gamma = 0.4. What is its state at t = 10?
//! let query = Query { t: 10.0, initial: [0.3, 0.2, 0.0, 0.0], rates: [0.6, 0.4, 0.0, 0.0] };
//! let [s, i, r, _] = bundle.predict(&query)?.state;
//! println!("S = {s:.4}, I = {i:.4}, R = {r:.4}");
//! let exact = rk4::integrate(bundle.ode(), &query.initial, &query.rates, query.t, 64);
//! assert!((i - exact[1]).abs() < 1e-4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `shared/docs/embedding.md` tells how to use it in firmware: alignment, memory, kernels, and what each call costs.
//!
//! # Layers, from the ground up
//!
//! A module imports only from those above it in these lists.
//!
//! The ground, for every use:
//! - [`limits`]: the size of every array, with its reason;
//! - [`error`]: every defect that a model file may have;
//! - [`math`]: the elementary functions, with error and cost;
//! - [`gamma`]: the gamma distribution;
//! - [`scalar`], [`fixed_point`], [`wide`]: the numbers that equations are written over;
//! - [`model`]: a checked view of a safetensors file.
//!
//! Equations:
//! - [`ode`]: the systems, one file each, on scalars;
//! - [`rk4`]: their numerical solution, in any of these numbers;
//! - [`query`]: a problem of a system with a time, and its answer.
//!
//! Networks, on model files:
//! - [`layer`]: the layers, one file each, and the inner loops that a processor may replace;
//! - [`network`]: a perceptron of dense layers, with its tangent and its gradient.
//!
//! Image networks, the first of two products:
//! - [`classify`]: class, probability and entropy from logits;
//! - [`drift`], [`retain`]: the alarm on entropies and features, and the images with the highest entropy;
//! - [`ink`]: the box around handwriting or print, drawn to one size before a network sees it;
//! - [`image`]: a graph of image layers in one piece of memory.
//!
//! Solution bundles, the second:
//! - [`bundle`]: a network in a trial solution of a system, with residual and certificate;
//! - [`trajectory`]: many states of one problem;
//! - [`calibrate`]: the inverse problem, on a bundle or on Runge-Kutta;
//! - [`outbreak`]: the same from counts of cases, with reporting, scatter and changing rates.
//!
//! Counts of cases, without a model of the outbreak:
//! - [`renewal`]: the reproduction number from new cases and the serial interval.
//!
//! The device, on both:
//! - [`summary`]: what a model reports about itself, as plain data;
//! - [`held`]: an open model of either kind;
//! - [`wire`]: the serial protocol.
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
pub mod gamma;
pub mod held;
pub mod image;
pub mod ink;
pub mod layer;
pub mod limits;
pub mod math;
pub mod model;
pub mod network;
pub mod ode;
pub mod outbreak;
pub mod query;
pub mod renewal;
pub mod retain;
pub mod rk4;
pub mod scalar;
pub mod summary;
pub(crate) mod text;
pub mod trajectory;
pub mod wide;
pub mod wire;

/// The examples of `shared/docs/embedding.md`, compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
struct Embedding;
