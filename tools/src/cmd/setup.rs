//! `sirocco setup`: installs what building and emulating needs.

use crate::Error;
use crate::device::board::Board;
use crate::device::{cargo, program, qemu};
use crate::output::Output;
use crate::repository;
use serde::Serialize;
use std::collections::BTreeSet;
use std::process::Command;

/// Install what is needed to build firmware and to emulate boards
///
/// These are Rust's targets (with rustup) and QEMU (with the package manager of the system). Each command is printed
/// before it runs; nothing runs if nothing is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco setup                      installs what all boards need
  sirocco setup qemu-mps2-an386      installs what this board needs")]
pub struct Arguments {
    /// Name of the board; without it, all boards
    board: Option<String>,
}

#[derive(Serialize)]
struct Report {
    targets: BTreeSet<String>,
    emulator: Option<String>,
    /// The commands that were run.
    ran: Vec<String>,
}

/// Package managers, each with its commands that install QEMU for ARM.
const MANAGERS: [(&str, &[&[&str]]); 5] = [
    ("apt-get", &[&["apt-get", "update"], &["apt-get", "install", "--yes", "qemu-system-arm"]]),
    ("dnf", &[&["dnf", "install", "--assumeyes", "qemu-system-arm"]]),
    ("pacman", &[&["pacman", "--sync", "--noconfirm", "qemu-system-arm"]]),
    ("zypper", &[&["zypper", "--non-interactive", "install", "qemu-arm"]]),
    ("brew", &[&["brew", "install", "qemu"]]),
];
const RUSTUP: &str = "install Rust from https://rustup.rs, or install the target by other means";
const BY_HAND: &str = "install QEMU's ARM system emulator (qemu-system-arm) by hand: https://www.qemu.org/download";

/// Installs what is missing.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let boards = match &arguments.board {
        Some(name) => vec![Board::find(name)?],
        None => Board::all()?,
    };
    let targets: BTreeSet<String> = boards.iter().map(|board| board.target.clone()).collect();
    let mut ran = Vec::new();
    for target in targets.iter().filter(|target| !cargo::has_target(target)) {
        execute(&["rustup", "target", "add", target], RUSTUP, &mut ran, output)?;
    }
    if boards.iter().any(|board| board.qemu.is_some()) && qemu::version(qemu::PROGRAM).is_none() {
        install_qemu(&mut ran, output)?;
    }
    let report = Report { targets, emulator: qemu::version(qemu::PROGRAM), ran };
    output.result(&report, |report| {
        if !output.quiet {
            say!("targets   {}", report.targets.iter().cloned().collect::<Vec<_>>().join(", "));
            say!("emulator  {}", report.emulator.as_deref().unwrap_or("not needed"));
        }
    });
    Ok(())
}

fn install_qemu(ran: &mut Vec<String>, output: Output) -> Result<(), Error> {
    let there = |program: &&(&str, &[&[&str]])| qemu::version(program.0).is_some();
    let Some((manager, commands)) = MANAGERS.iter().find(there) else {
        let source = std::io::ErrorKind::NotFound.into();
        return Err(Error::Program { program: qemu::PROGRAM.into(), source, remedy: BY_HAND });
    };
    // Homebrew refuses to run as root; the others have to.
    let sudo: &[&str] = if *manager == "brew" || is_root() { &[] } else { &["sudo"] };
    for command in *commands {
        execute(&[sudo, command].concat(), BY_HAND, ran, output)?;
    }
    Ok(())
}

fn is_root() -> bool {
    let out = Command::new("id").arg("-u").output();
    out.is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

fn execute(words: &[&str], remedy: &'static str, ran: &mut Vec<String>, output: Output) -> Result<(), Error> {
    let [program, rest @ ..] = words else { return Ok(()) };
    let mut command = cargo::command(program, &repository::firmware()?);
    command.args(rest);
    ran.push(program::execute(command, remedy, output)?);
    Ok(())
}
