//! Networks on candle tensors, for training on the CPU or a GPU.

pub mod architecture;
mod fold;
pub mod kernel;
pub mod network;
pub mod operation;
mod ops;
pub mod plan;
pub mod tangent;

pub use fold::FoldError;

#[cfg(test)]
mod tests;
