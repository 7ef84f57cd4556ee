//! Trains, measures and exports Sirocco networks on a workstation.
//!
//! The way of a solution bundle through this crate: a [`bundle::preset`] names an ODE and a domain, [`bundle::problem`] turns them
//! into inputs and residuals, [`bundle::sample`] draws collocation points, [`bundle::optimize`] fits an [`bundle::mlp`] to them without ever
//! seeing a solution, [`mod@bundle::reference`] says how wrong the result is. [`bundle::quantize`] and [`bundle::export`] turn it
//! into a file, checked and measured ([`bundle::evaluate`]) by the evaluator of the device.
// Host-only crate: the inherent float methods that are banned on the device are allowed here.
#![allow(clippy::disallowed_methods)]

pub mod bundle;
pub mod cmd;
pub mod dataset;
pub mod host;
pub mod image;
pub mod report;
pub mod statistics;
pub mod study;
