//! Reads from a firmware file (ELF) how much memory it uses and has, and where its model slot is.

use crate::Error;
use object::elf::{SHF_ALLOC, SHF_WRITE, SHT_NOBITS};
use object::read::elf::{ElfFile32, SectionHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol};
use serde::Serialize;
use std::path::Path;

/// Memory use of a firmware, in bytes. All RAM that static variables do not use is for the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Flash that is used: code, constants, the built-in model, initial values of variables.
    pub flash: u64,
    /// Flash that is available for the firmware.
    pub flash_capacity: u64,
    /// RAM that static variables use.
    pub ram: u64,
    /// RAM that is available.
    pub ram_capacity: u64,
    /// RAM that is left for the stack.
    pub stack: u64,
    /// The sections that these sums consist of.
    pub sections: Vec<Section>,
}

/// A section that uses memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Its address at run time.
    pub address: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A firmware file.
pub struct Firmware<'a> {
    path: &'a Path,
    elf: ElfFile32<'a>,
}

impl<'a> Firmware<'a> {
    /// Parses an ELF file; `path` names it in messages.
    ///
    /// # Errors
    /// [`Error::Firmware`] if it is not a 32-bit ELF file.
    pub fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self, Error> {
        let elf = ElfFile32::parse(bytes);
        let elf =
            elf.map_err(|e| Error::Firmware { path: path.to_owned(), reason: format!("not an ELF file ({e})") })?;
        Ok(Firmware { path, elf })
    }

    /// The value of a symbol that the linker script defines.
    fn symbol(&self, name: &str) -> Result<u64, Error> {
        let symbol = self.elf.symbols().find(|symbol| symbol.name() == Ok(name));
        let missing = || Error::Firmware { path: self.path.to_owned(), reason: format!("no symbol `{name}`") };
        symbol.map(|symbol| symbol.address()).ok_or_else(missing)
    }

    /// The addresses of the first model slot.
    ///
    /// # Errors
    /// [`Error::Firmware`] if the linker script does not define them.
    pub fn model_slot(&self) -> Result<std::ops::Range<u64>, Error> {
        Ok(self.symbol("_model_slot_start")?..self.symbol("_model_slot_end")?)
    }

    /// The addresses of the first model slot, if the model file fits into it.
    ///
    /// # Errors
    /// As for [`Self::model_slot`], [`Error::Firmware`] if the file is too large, [`Error::File`] if it cannot be read.
    pub fn model_slot_for(&self, model: &Path) -> Result<std::ops::Range<u64>, Error> {
        let slot = self.model_slot()?;
        let bytes = std::fs::metadata(model).map_err(Error::file(model))?.len();
        let room = slot.end.saturating_sub(slot.start);
        if bytes > room {
            let reason = format!("{} has {bytes} bytes, but the model slot has {room}", model.display());
            return Err(Error::Firmware { path: self.path.to_owned(), reason });
        }
        Ok(slot)
    }

    /// The addresses of the records that tell which model answers.
    ///
    /// # Errors
    /// [`Error::Firmware`] if the linker script does not define them.
    pub fn model_records(&self) -> Result<std::ops::Range<u64>, Error> {
        Ok(self.symbol("_model_records_start")?..self.symbol("_model_records_end")?)
    }

    /// Memory use.
    ///
    /// # Errors
    /// [`Error::Firmware`] if the linker script does not define the capacities.
    pub fn sizes(&self) -> Result<Sizes, Error> {
        let (flash_capacity, ram_capacity) = (self.symbol("_flash_bytes")?, self.symbol("_ram_bytes")?);
        let (mut flash, mut ram, mut sections) = (0, 0, Vec::new());
        for section in self.elf.sections() {
            let header = section.elf_section_header();
            let flags = header.sh_flags(Endianness::Little);
            if flags & SHF_ALLOC == 0 || section.size() == 0 {
                continue;
            }
            if header.sh_type(Endianness::Little) != SHT_NOBITS {
                flash += section.size();
            }
            if flags & SHF_WRITE != 0 {
                ram += section.size();
            }
            let name = section.name().unwrap_or("?").to_owned();
            sections.push(Section { name, address: section.address(), bytes: section.size() });
        }
        let stack = ram_capacity.saturating_sub(ram);
        Ok(Sizes { flash, flash_capacity, ram, ram_capacity, stack, sections })
    }
}
