//! What a person gives to a command: model files, observations, tables of outbreaks, images, problems; and the files of kept images.

pub mod domain;
pub mod model_file;
pub mod observations;
pub mod outbreak;
pub mod picture;
pub mod problem;
pub mod quantities;
pub mod sample_files;
