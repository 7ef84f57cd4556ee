//! Networks on candle tensors, for training on the CPU or a GPU.

pub mod architecture;
pub mod error;
mod fold;
pub mod graph;
pub mod kernel;
pub mod network;
pub mod operation;
pub mod steps;

#[cfg(test)]
mod tests;
