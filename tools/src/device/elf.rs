//! What a firmware file says about itself: memory use, capacities, the model slot.

use crate::Error;
use object::elf::{SHF_ALLOC, SHF_WRITE, SHT_NOBITS};
use object::read::elf::{ElfFile32, SectionHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol};
use serde::Serialize;
use std::path::Path;

/// Memory use of a firmware, in bytes. All of RAM that is not static is stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Flash in use: code, constants, the built-in model, initial values of variables.
    pub flash: u64,
    /// Flash there is for the firmware.
    pub flash_capacity: u64,
    /// RAM in use by static variables.
    pub ram: u64,
    /// RAM there is.
    pub ram_capacity: u64,
    /// RAM left for the stack.
    pub stack: u64,
    /// The sections that make up these sums.
    pub sections: Vec<Section>,
}

/// A section that takes memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Its address at run time.
    pub address: u64,
    /// Its size.
    pub bytes: u64,
}

/// A firmware file.
pub struct Firmware<'a> {
    path: &'a Path,
    elf: ElfFile32<'a>,
}

impl<'a> Firmware<'a> {
    /// Parses an ELF file; `path` is its name in messages.
    ///
    /// # Errors
    /// [`Error::Firmware`].
    pub fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self, Error> {
        let elf = ElfFile32::parse(bytes);
        let elf = elf.map_err(|e| Error::Firmware { path: path.to_owned(), reason: format!("no ELF file ({e})") })?;
        Ok(Firmware { path, elf })
    }

    /// A number that the linker script defines as a symbol.
    fn symbol(&self, name: &str) -> Result<u64, Error> {
        let symbol = self.elf.symbols().find(|symbol| symbol.name() == Ok(name));
        let missing = || Error::Firmware { path: self.path.to_owned(), reason: format!("no symbol `{name}`") };
        symbol.map(|symbol| symbol.address()).ok_or_else(missing)
    }

    /// Address range of the model slot.
    ///
    /// # Errors
    /// [`Error::Firmware`] if the linker script does not define it.
    pub fn model_slot(&self) -> Result<std::ops::Range<u64>, Error> {
        Ok(self.symbol("_model_slot_start")?..self.symbol("_model_slot_end")?)
    }

    /// Address range of the model slot, if the model file fits into it.
    ///
    /// # Errors
    /// As for [`Self::model_slot`], and [`Error::File`].
    pub fn model_slot_for(&self, model: &Path) -> Result<std::ops::Range<u64>, Error> {
        let slot = self.model_slot()?;
        let bytes = std::fs::metadata(model).map_err(Error::file(model))?.len();
        let room = slot.end.saturating_sub(slot.start);
        if bytes > room {
            let reason = format!("{} has {bytes} bytes, the model slot {room}", model.display());
            return Err(Error::Firmware { path: self.path.to_owned(), reason });
        }
        Ok(slot)
    }

    /// Address range of the records that say which model answers.
    ///
    /// # Errors
    /// [`Error::Firmware`] if the linker script does not define it.
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
