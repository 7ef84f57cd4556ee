//! Solution bundles: a network that solves a family of initial-value problems, trained on the residual of the equations.
//!
//! [`preset`] names a system of equations and a domain. [`problem`] derives inputs and a trial solution from them.
//! [`sample`] draws collocation points. [`residual`] and [`loss`] measure by how much a network violates the equations
//! there ([`mod@phase`] does in the form by phase), [`equations`] is what [`optimize`] sees of that when it minimizes it without
//! ever using a solution. [`quantize`] and [`export`] turn the network into a file. [`evaluate`] measures the file with the
//! device's evaluator against [`mod@reference`], and [`supremum`] looks for its largest error, [`adversarial`] for a certificate that does not hold. [`load`] reads it back, to train
//! on or to quantize, and [`transfer`] takes the network to another domain. [`prove`] bounds the error of a phase network over
//! all epidemics.
//!
//! The network itself exists three times, for three jobs:
//!
//! | where | numbers | job |
//! | --- | --- | --- |
//! | [`mlp`] | f64, batches | Levenberg-Marquardt: the Jacobian by a hand-written adjoint |
//! | [`tangent`] | f32, candle tensors | Adam, on the CPU or a GPU: gradients by automatic differentiation |
//! | `sirocco::network` | the file's f32 or integers | the device, and every figure that is reported |

pub mod adversarial;
pub mod equations;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod hardest;
pub mod load;
pub mod loss;
pub mod mlp;
mod ops;
pub mod optimize;
pub mod phase;
pub mod preset;
pub mod problem;
pub mod prove;
pub mod quantize;
pub mod reference;
pub mod report;
pub mod residual;
pub mod sample;
pub mod supremum;
pub mod tangent;
pub mod tanh;
pub mod transfer;
