//! Trains, measures and exports Sirocco networks on a workstation.
//!
//! The way of a solution bundle through this crate: a [`preset`] names an ODE and a domain, [`problem`] turns them
//! into inputs and residuals, [`sample`] draws collocation points, [`optimise`] fits an [`mlp`] to them without ever
//! seeing a solution, [`mod@reference`] says how wrong the result is. [`quantise`] and [`export`] turn it
//! into a file, checked and measured ([`evaluate`]) by the evaluator of the device.
// Host-only crate: the inherent float methods that are banned on the device are allowed here.
#![allow(clippy::disallowed_methods)]

pub mod atomic;
pub mod checkpoint;
pub mod clock;
pub mod cmd;
pub mod dataset;
pub mod device;
pub mod evaluate;
pub mod export;
pub mod hardest;
pub mod heap;
pub mod image;
pub mod interrupt;
pub mod load;
pub mod loss;
pub mod mlp;
pub mod model_file;
pub mod net;
pub mod optimise;
pub mod preset;
pub mod problem;
pub mod progress;
pub mod quantise;
pub mod random;
pub mod reference;
pub mod report;
pub mod residual;
pub mod sample;
pub mod select;
pub mod shift;
pub mod study;
pub mod tanh;
pub mod transfer;
