//! Optimisers: each takes a network, a problem and a budget, and returns the weights that were best on held-out points.

pub mod adam;
mod adam_state;
pub mod lm;
pub mod normal;
