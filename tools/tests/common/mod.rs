//! What the tests of the tools share: the built-in model, and a variant of it.
#![allow(dead_code, reason = "each test program uses its own part")]

use sirocco::model;
use sirocco_tools::input::model_file::ModelFile;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The model that the firmware is built with.
pub fn built_in() -> PathBuf {
    root().join("firmware/app/assets/sir.safetensors")
}

/// A bundle of one box of epidemics, in the reduced form.
pub fn boxed() -> PathBuf {
    root().join("tests/data/sir-full.safetensors")
}

/// Runs `sirocco` to its end.
pub fn sirocco(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sirocco")).args(arguments).output().unwrap()
}

/// The JSON object that `sirocco` printed.
pub fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Checks status and the one line on stderr of a failure, and returns the line.
pub fn failure(output: &Output, status: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert!(text.starts_with("error: "), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

/// The built-in file with one bit of its first layer's bias flipped and a checksum that fits: a valid model whose
/// golden answers are wrong.
pub fn variant() -> Vec<u8> {
    let file = ModelFile::read(&built_in()).unwrap();
    let model = file.model().unwrap();
    let bias = model.tensor("layers.0.bias").unwrap().bytes;
    let at = bias.as_ptr() as usize - model.file().as_ptr() as usize;
    let digits = model.entry("sirocco.crc32").unwrap().as_ptr() as usize - model.file().as_ptr() as usize;
    let mut bytes = file.bytes().to_vec();
    bytes[at + 2] ^= 0x40;
    let digits = digits..digits + model::CRC_DIGITS;
    let crc32 = model::crc_of(&bytes, digits.clone());
    bytes[digits].copy_from_slice(format!("{crc32:08x}").as_bytes());
    bytes
}

/// A device with the model of `like` that has told what it is and then never answers again.
pub fn device_that_goes_away(like: &sirocco_tools::solver::Solver) -> sirocco_tools::solver::Solver {
    use sirocco::summary::Name;
    use sirocco::wire::Info;
    use sirocco_tools::client::{Client, Patience};
    struct Gone;
    impl sirocco_tools::client::transport::Transport for Gone {
        fn send(&mut self, _: &[u8]) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }

        fn receive(&mut self, _: &mut [u8], _: std::time::Duration) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::UnexpectedEof.into())
        }
    }
    let info = Info {
        board: Name::try_from("gone").unwrap(),
        firmware: Name::new(),
        model: ModelFile::read(&boxed()).unwrap().bundle().unwrap().model_info(false),
        slot_error: None,
        stack_high_water: None,
    };
    let gone = sirocco_tools::solver::Solver::device(Client::new(Box::new(Gone), "gone", Patience::default()), &info);
    let gone = gone.unwrap();
    assert_eq!(gone.domain(), like.domain());
    gone
}
