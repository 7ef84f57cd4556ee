//! The end-to-end suites, in one program: each would otherwise be linked with the whole trainer for itself.

mod classifier;
mod cost;
mod dependencies;
mod image_layers;
mod image_quantize;
mod image_reader;
mod images;
mod imported;
mod instructions;
mod links;
mod model_reader;
mod mutants;
mod pictures;
mod python;
mod school;
mod seed_corpus;
mod story;
mod structure;
mod study;
mod systems;
mod trainer;
mod training;
mod trust;
