//! What a person hands to a command: model files, observations, pictures, problems, and samples with labels.

pub mod model_file;
pub mod observations;
pub mod picture;
pub mod problem;
pub mod quantities;
pub mod sample_files;
