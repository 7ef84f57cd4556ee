//! Solution bundles: a network that solves a family of initial-value problems, trained on the residual of the equations.
//!
//! [`preset`] names a system of equations and a domain, [`problem`] turns them into inputs and a trial solution,
//! [`sample`] draws collocation points, [`residual`] and [`loss`] say how badly the equations are met there,
//! [`optimize`] fits an [`mlp`] to them without ever seeing a solution. [`quantize`] and [`export`] turn the network
//! into a file, which [`evaluate`] measures with the device's evaluator against [`mod@reference`], and [`load`] reads
//! such a file back to train on.

pub mod error;
pub mod evaluate;
pub mod export;
pub mod hardest;
pub mod load;
pub mod loss;
pub mod mlp;
mod ops;
pub mod optimize;
pub mod preset;
pub mod problem;
pub mod quantize;
pub mod reference;
pub mod report;
pub mod residual;
pub mod sample;
pub mod tangent;
pub mod tanh;
pub mod transfer;
