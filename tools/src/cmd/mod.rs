//! One file per subcommand, each with its `Arguments` and a function `run`.

pub mod bench;
pub mod boards;
pub mod build;
pub mod calibrate;
pub mod classify;
pub mod completions;
pub mod console;
pub mod data;
pub mod emulate;
pub mod flash;
pub mod info;
pub mod inspect;
pub mod man;
pub mod models;
pub mod plot;
pub mod ports;
pub mod push;
pub mod query;
pub mod reproduction;
pub mod run;
pub mod samples;
pub mod selftest;
pub mod setup;
pub mod size;
pub mod trajectory;
