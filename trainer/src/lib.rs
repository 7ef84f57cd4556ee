//! Trains, measures and exports Sirocco networks on a workstation: the library behind `sirocco-train`.
//!
//! There are two products. A *solution bundle* is a network that solves a whole family of initial-value problems. An
//! *image network* classifies images. Both end as a file that a microcontroller evaluates to the same bits as the
//! evaluator in the crate `sirocco`, and the trainer trusts nothing but that file: the figures it reports are computed
//! from the exported bytes.
//!
//! # Map, from the ground up
//!
//! Each layer imports only from those above it in this table; `bundle` and `image` do not import each other.
//!
//! | layer | purpose |
//! | --- | --- |
//! | [`host`] | services of the computer: atomic files, model files, checkpoints, progress, Ctrl-C, CPU time, seeds |
//! | [`statistics`] | quantiles, spread, rank correlation |
//! | [`report`] | results for readers: HTML pages, CSV, JSON, and the figures of the crate `sirocco-plot` |
//! | [`dataset`] | image data sets: fetching, formats, checks, geometry |
//! | [`bundle`], [`image`] | the two products |
//! | [`study`] | experiments on both, with findings that follow from their numbers |
//! | [`cmd`] | the command line: one file per subcommand |
//!
//! # From a bundle's preset to its file
//!
//! 1. [`bundle::preset`] names a system of equations and a domain. [`bundle::problem`] derives the inputs of the network
//!    from them, and the trial solution, which satisfies the initial condition by construction.
//! 2. [`bundle::sample`] draws collocation points. [`bundle::residual`] computes by how much the trial solution violates
//!    the equations there.
//! 3. [`bundle::optimize`] minimizes these residuals over the weights of an [`bundle::mlp`], by Levenberg-Marquardt or
//!    Adam. No solution of the equations is ever used.
//! 4. [`bundle::quantize`] rounds the weights to integers, if wanted. [`bundle::export`] writes the file.
//! 5. [`bundle::evaluate`] measures it with the device's evaluator against [`mod@bundle::reference`], a solver of high
//!    order.
//!
//! # From a data set to an image network's file
//!
//! 1. [`dataset`] loads images. [`image::shift`] changes their distribution, where a study asks for it.
//! 2. [`image::net`] builds a network from an architecture. [`image::training`] trains it.
//! 3. [`image::select`] chooses the images of another domain that are worth a label. [`image::adaptation`] trains on
//!    them.
//! 4. [`image::quantize`] turns weights and activations into 8-bit integers. [`image::export`] writes the file, and
//!    classifies the test images with the device's evaluator.
// The inherent float methods that are banned on the device are allowed here: this crate runs on the host only.
#![allow(clippy::disallowed_methods)]

pub mod bundle;
pub mod cmd;
pub mod dataset;
pub mod host;
pub mod image;
pub mod optimizer;
pub mod report;
pub mod statistics;
pub mod study;
