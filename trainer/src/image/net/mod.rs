//! Networks on candle tensors, for training on the CPU or a GPU.

pub mod architecture;
mod fold;
pub mod graph;
pub mod kernel;
pub mod network;
pub mod operation;
pub mod steps;

pub use fold::FoldError;

#[cfg(test)]
mod tests;
