//! Optimizers. Each trains a network on a problem within a budget and keeps the weights that are best on held-out points.

pub mod adam;
mod adam_state;
pub mod lm;
pub mod normal;
