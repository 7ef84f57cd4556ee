//! A model file in memory, at an address that is a multiple of 8, as its reader requires.

use crate::Error;
use aligned_vec::{AVec, ConstAlign};
use sirocco::bundle::Bundle;
use sirocco::error::ModelError;
use sirocco::held::Held;
use sirocco::model::{Foreign, Model};
use std::path::{Path, PathBuf};

/// The bytes of a model file.
#[derive(Debug, Clone)]
pub struct ModelFile {
    path: PathBuf,
    bytes: AVec<u8, ConstAlign<8>>,
}

impl ModelFile {
    /// Reads a file; nothing is checked yet.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(Error::file(path))?;
        Ok(Self::from_bytes(path, &bytes))
    }

    /// The model that answers for every epidemic: the one that the firmware falls back on, too.
    pub fn built_in() -> Self {
        Self::from_bytes(
            Path::new("the built-in model"),
            include_bytes!("../../../firmware/app/assets/sir.safetensors"),
        )
    }

    /// A file that exists in memory only; `path` is its name in messages.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Self {
        ModelFile { path: path.to_owned(), bytes: AVec::from_slice(8, bytes) }
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes, at an address that is a multiple of 8.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file as a checked set of tensors.
    ///
    /// # Errors
    /// [`Error::Model`] if it is damaged, [`Error::Foreign`] if it is something else.
    pub fn model(&self) -> Result<Model<'_>, Error> {
        Model::open(self.bytes()).map_err(|source| self.refused(source))
    }

    /// The solution bundle or image network in the file.
    ///
    /// # Errors
    /// [`Error::Model`] if it is damaged, [`Error::Foreign`] if it is neither of them.
    pub fn held(&self) -> Result<Held<'_>, Error> {
        Held::open(self.bytes()).map_err(|source| self.refused(source))
    }

    /// The solution bundle in the file.
    ///
    /// # Errors
    /// [`Error::Model`] if it is damaged, [`Error::Foreign`] if it is something else, [`Error::Usage`] if it is an image
    /// network.
    pub fn bundle(&self) -> Result<Bundle<'_>, Error> {
        Bundle::open(self.bytes()).map_err(|source| match Held::open(self.bytes()) {
            Ok(Held::Image(_)) => Error::Usage(format!(
                "{} holds an image network; this command takes a solution bundle, and `sirocco classify` an image network",
                self.path.display()
            )),
            _ => self.refused(source),
        })
    }

    fn refused(&self, source: ModelError) -> Error {
        let path = self.path.clone();
        match Foreign::of(&self.bytes) {
            Some(what) => Error::Foreign { path, what },
            None => Error::Model { path, source },
        }
    }
}
