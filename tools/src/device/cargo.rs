//! Builds firmware: the only place that runs cargo.
//!
//! Firmware is a workspace of its own. If cargo itself started this program, as in tests, a second cargo would inherit
//! its toolchain, flags and target folder; so the variables that carry these are removed, and the target is always
//! explicit.

use crate::Error;
use crate::device::board::Board;
use crate::keys::PublicKey;
use crate::output::Output;
use crate::repository::firmware;
use sirocco::limits::MAX_KEYS;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Environment variables that change what is built, or where it is written.
const CLEARED: [&str; 8] = [
    "RUSTUP_TOOLCHAIN",
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "CARGO",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_ENCODED_RUSTDOCFLAGS",
];
/// Prefixes of further ones.
const CLEARED_PREFIXES: [&str; 6] =
    ["CARGO_BUILD_", "CARGO_TARGET_", "CARGO_PROFILE_", "CARGO_UNSTABLE_", "CARGO_PKG_", "CARGO_MANIFEST_"];

/// The public keys that firmware is built with.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct KeyArguments {
    /// File of a public key: the firmware takes only models that one of these keys has signed. Up to 4 times
    #[arg(long = "key", value_name = "FILE")]
    pub models: Vec<PathBuf>,
    /// File of an operator's public key: only operators may change the device over its serial port. Up to 4 times
    #[arg(long = "operator", value_name = "FILE")]
    pub operators: Vec<PathBuf>,
}

/// The folder, within the firmware's, in which firmware with keys is built. It is another one than that of firmware without
/// keys, so that neither takes the place of the other.
const WITH_KEYS: &str = "target/keys";

impl KeyArguments {
    fn is_empty(&self) -> bool {
        self.models.is_empty() && self.operators.is_empty()
    }

    /// The environment variables that carry the keys to `firmware/app/src/keys.rs`.
    fn variables(&self) -> Result<[(&'static str, String); 2], Error> {
        let list = |name: &str, files: &[PathBuf]| {
            if files.len() > MAX_KEYS {
                return Err(Error::Usage(format!(
                    "{name} is given {} times; firmware holds {MAX_KEYS} keys",
                    files.len()
                )));
            }
            let keys = files.iter().map(|file| Ok(PublicKey::read(file)?.digits())).collect::<Result<Vec<_>, Error>>();
            keys.map(|keys| keys.join(","))
        };
        Ok([
            ("SIROCCO_KEYS", list("--key", &self.models)?),
            ("SIROCCO_OPERATORS", list("--operator", &self.operators)?),
        ])
    }
}

/// A command that runs in the firmware's workspace, without those variables.
pub fn command(program: &str, firmware: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(firmware).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if CLEARED.contains(&text.as_ref()) || CLEARED_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// The command as one line, for messages.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Builds the firmware of a board, if anything changed, and returns its ELF file.
///
/// # Errors
/// [`Error::NoRepository`] outside a checkout, [`Error::Program`] without cargo, [`Error::Failed`] if the build fails;
/// the compiler's messages are on stderr.
pub fn build(board: &Board, output: Output) -> Result<PathBuf, Error> {
    build_with(board, &KeyArguments::default(), output)
}

/// The same for firmware that holds these keys.
///
/// # Errors
/// As for [`build`]; [`Error::Usage`] if there are too many keys, [`Error::File`] or [`Error::KeyFile`] for their files.
pub fn build_with(board: &Board, keys: &KeyArguments, output: Output) -> Result<PathBuf, Error> {
    let folder = if keys.is_empty() { "target" } else { WITH_KEYS };
    let elf = firmware()?.join(folder).join(&board.target).join("release").join(&board.name);
    let slow = Slow { output, what: "building firmware for", said: !elf.is_file() };
    if slow.said {
        slow.say(board);
    }
    if keys.is_empty() {
        run("build", board, &[], &[], slow)?;
    } else {
        // The feature is one of another package, which is selected for its sake.
        let rest =
            ["--package", "sirocco-firmware", "--features", "sirocco-firmware/signing", "--target-dir", WITH_KEYS];
        run("build", board, &rest, &keys.variables()?, slow)?;
    }
    Ok(elf)
}

/// Checks the firmware of a board with clippy; warnings are errors.
///
/// # Errors
/// As for [`build`].
pub fn lint(board: &Board, output: Output) -> Result<(), Error> {
    run("clippy", board, &["--", "-D", "warnings"], &[], Slow { output, what: "checking firmware for", said: false })
}

/// What to say once a build turns out to take long.
struct Slow {
    output: Output,
    what: &'static str,
    /// Whether it has been said.
    said: bool,
}

impl Slow {
    fn say(&self, board: &Board) {
        let (what, board) = (self.what, &board.name);
        self.output.progress(format_args!("{what} {board}; this may take minutes, and waits for other builds to end"));
    }
}

/// A build that takes longer than this is spoken of.
const PATIENCE: Duration = Duration::from_secs(2);

fn run(
    subcommand: &str,
    board: &Board,
    rest: &[&str],
    variables: &[(&str, String)],
    mut slow: Slow,
) -> Result<(), Error> {
    let mut cargo = command("cargo", &firmware()?);
    cargo.args([subcommand, "--quiet", "--locked", "--release", "--package", &board.name, "--target", &board.target]);
    // Without this variable, defmt leaves all messages but errors out of the firmware.
    cargo.args(rest).envs(variables.iter().cloned()).env("DEFMT_LOG", "info").stdout(Stdio::null());
    let remedy = "install Rust from https://rustup.rs";
    let failed = |source| Error::Program { program: "cargo".into(), source, remedy };
    let (mut child, begun) = (cargo.spawn().map_err(failed)?, Instant::now());
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if !slow.said && begun.elapsed() > PATIENCE {
            slow.said = true;
            slow.say(board);
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed { command: line(&cargo), status, remedy: "if the target is missing, run `sirocco setup`" })
}

/// Whether the compiler that builds firmware has the standard library of this target.
pub fn has_target(target: &str) -> bool {
    let Ok(firmware) = firmware() else { return false };
    let mut rustc = command("rustc", &firmware);
    let out = rustc.args(["--print", "target-libdir", "--target", target]).stderr(Stdio::null()).output();
    out.is_ok_and(|out| {
        let folder = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        out.status.success() && Path::new(&folder).is_dir()
    })
}
