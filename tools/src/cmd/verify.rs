//! `sirocco verify`: checks the signature of a model file.

use crate::Error;
use crate::input::model_file::ModelFile;
use crate::keys::PublicKey;
use crate::output::Output;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Check that a model file is signed by a key
///
/// Prints the serial number that was signed. The exit status is 1 if the file is not signed, signed by another key, or was
/// changed afterwards.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco verify model.safetensors --key release.pub
  sirocco verify model.safetensors --key release.pub --json")]
pub struct Arguments {
    /// Model file
    model: PathBuf,
    /// File of the public key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(Serialize)]
struct Verified<'a> {
    file: &'a Path,
    serial: u32,
    key: String,
}

/// Checks the signature.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let key = PublicKey::read(&arguments.key)?;
    let serial = key.verify(&ModelFile::read(&arguments.model)?)?;
    let key = format!("{:016x}", key.fingerprint());
    output.result(&Verified { file: &arguments.model, serial, key }, |verified| {
        say!("{} is signed by key {}, serial number {}", verified.file.display(), verified.key, verified.serial);
    });
    Ok(())
}
