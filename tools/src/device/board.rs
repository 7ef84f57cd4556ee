//! Boards: each folder in `firmware/boards` that has a `board.toml` is a board with the folder's name.

use crate::Error;
use crate::repository::firmware;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A board for which firmware can be built.
#[derive(Debug, Clone)]
pub struct Board {
    /// Its name, which is also that of its folder, its package and its program.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// A description in one line.
    pub description: String,
    /// The Rust target of its processor.
    pub target: String,
    /// How its serial port is connected to a computer.
    pub serial: String,
    /// How to emulate it, if QEMU can.
    pub qemu: Option<Qemu>,
    /// How to flash it with a debug probe, if it is hardware.
    pub probe: Option<Probe>,
}

/// The section `[qemu]` of `board.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Qemu {
    /// Name of the machine (`-M`).
    pub machine: String,
    /// Frequency in Hz of the clock whose ticks the firmware counts. QEMU runs with `-icount shift=0`, where an
    /// instruction takes a nanosecond, so a tick is 10^9 / `clock_hz` instructions.
    pub clock_hz: u32,
    /// Size of the machine's main memory, if the models' flash is part of it, so that QEMU can keep both in a file.
    pub flash_memory: Option<String>,
}

/// The section `[probe]` of `board.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The name of the chip in probe-rs (`probe-rs chip list`).
    pub chip: String,
}

/// The content of `board.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BoardFile {
    description: String,
    target: String,
    serial: String,
    qemu: Option<Qemu>,
    probe: Option<Probe>,
}

impl Board {
    /// All boards of the repository, sorted by name.
    ///
    /// # Errors
    /// [`Error::NoRepository`] outside a checkout, and as for [`discover`].
    pub fn all() -> Result<Vec<Board>, Error> {
        discover(&firmware()?.join("boards"))
    }

    /// The board with this name.
    ///
    /// # Errors
    /// As for [`Board::all`], and [`Error::UnknownBoard`] if there is none.
    pub fn find(name: &str) -> Result<Board, Error> {
        let boards = Self::all()?;
        let known = boards.iter().map(|b| b.name.as_str()).collect::<Vec<_>>().join(", ");
        let found = boards.into_iter().find(|b| b.name == name);
        found.ok_or_else(|| Error::UnknownBoard { name: name.to_owned(), known })
    }

    /// How to emulate it.
    ///
    /// # Errors
    /// [`Error::NotEmulated`] if QEMU cannot.
    pub fn qemu(&self) -> Result<&Qemu, Error> {
        self.qemu.as_ref().ok_or_else(|| Error::NotEmulated(self.name.clone()))
    }

    /// How to flash it with a debug probe.
    ///
    /// # Errors
    /// [`Error::NoHardware`] if it exists in the emulator only.
    pub fn probe(&self) -> Result<&Probe, Error> {
        self.probe.as_ref().ok_or_else(|| Error::NoHardware(self.name.clone()))
    }
}

/// The boards in a folder, sorted by name.
///
/// # Errors
/// [`Error::File`] if the folder or a `board.toml` cannot be read, [`Error::BoardFile`] if one is malformed.
pub fn discover(folder: &Path) -> Result<Vec<Board>, Error> {
    let mut boards = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::file(folder))? {
        let folder = entry.map_err(Error::file(folder))?.path();
        let path = folder.join("board.toml");
        if !path.is_file() {
            continue;
        }
        let bad = |reason: String| Error::BoardFile { path: path.clone(), reason };
        let name = folder.file_name().and_then(|n| n.to_str()).ok_or_else(|| bad("the folder has no name".into()))?;
        let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
        let file: BoardFile = toml::from_str(&text).map_err(|e| bad(e.message().replace('\n', " ")))?;
        let (name, BoardFile { description, target, serial, qemu, probe }) = (name.to_owned(), file);
        boards.push(Board { name, folder, description, target, serial, qemu, probe });
    }
    boards.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(boards)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(folder: &Path, name: &str, text: &str) {
        std::fs::create_dir(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join("board.toml"), text).unwrap();
    }

    #[test]
    fn a_folder_is_a_board() {
        let folder = tempfile::tempdir().unwrap();
        board(
            folder.path(),
            "b",
            "description = 'B'\ntarget = 't'\nserial = 's'\n[qemu]\nmachine = 'm'\nclock_hz = 1\n",
        );
        board(folder.path(), "a", "description = 'A'\ntarget = 't'\nserial = 's'\n[probe]\nchip = 'c'\n");
        std::fs::create_dir(folder.path().join("no-board")).unwrap();
        let boards = discover(folder.path()).unwrap();
        assert_eq!(boards.iter().map(|b| b.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(boards[1].qemu().unwrap().machine, "m");
        assert!(matches!(boards[0].qemu(), Err(Error::NotEmulated(_))));
        assert_eq!(boards[0].probe().unwrap().chip, "c");
        assert!(matches!(boards[1].probe(), Err(Error::NoHardware(_))));
    }

    #[test]
    fn a_malformed_board_is_named() {
        let folder = tempfile::tempdir().unwrap();
        board(folder.path(), "x", "description = 'X'\ntarget = 't'\nspeed = 3\n");
        let error = discover(folder.path()).unwrap_err().to_string();
        assert!(error.contains("board.toml") && error.contains("speed"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }

    #[test]
    fn the_repository_has_its_boards() {
        for board in Board::all().unwrap() {
            assert!(board.target.starts_with("thumb"), "{}", board.name);
            // A board that can neither be emulated nor flashed would be useless.
            assert!(board.qemu.is_some() || board.probe.is_some(), "{}", board.name);
        }
        for name in ["qemu-mps2-an385", "qemu-mps2-an386", "qemu-mps2-an505", "stm32f405"] {
            assert!(Board::find(name).unwrap().qemu.is_some());
        }
        for name in ["stm32f405", "nrf52840-dk", "rpi-pico", "rpi-pico2"] {
            assert!(Board::find(name).unwrap().probe.is_some());
        }
        assert!(Board::find("none").unwrap_err().to_string().contains("qemu-mps2-an386"));
    }
}
