//! A model file in memory, at a multiple of 8 as the reader wants it.

use crate::Error;
use sirocco::bundle::Bundle;
use sirocco::held::Held;
use sirocco::model::Model;
use std::path::{Path, PathBuf};

/// The bytes of a model file.
#[derive(Debug, Clone)]
pub struct ModelFile {
    path: PathBuf,
    words: Vec<u64>,
    length: usize,
}

impl ModelFile {
    /// Reads a file; nothing is checked yet.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(Error::file(path))?;
        Ok(Self::from_bytes(path, &bytes))
    }

    /// A file that exists in memory only; `path` is its name in messages.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Self {
        let mut words = vec![0u64; bytes.len().div_ceil(8)];
        if let Some(start) = bytemuck::cast_slice_mut(&mut words).get_mut(..bytes.len()) {
            start.copy_from_slice(bytes);
        }
        ModelFile { path: path.to_owned(), words, length: bytes.len() }
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes, at a multiple of 8.
    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words).get(..self.length).unwrap_or_default()
    }

    /// The checked file.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn model(&self) -> Result<Model<'_>, Error> {
        Model::open(self.bytes()).map_err(|source| Error::Model { path: self.path.clone(), source })
    }

    /// The solution bundle or image network in it.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn held(&self) -> Result<Held<'_>, Error> {
        Held::open(self.bytes()).map_err(|source| Error::Model { path: self.path.clone(), source })
    }

    /// The solution bundle in it.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn bundle(&self) -> Result<Bundle<'_>, Error> {
        Bundle::open(self.bytes()).map_err(|source| Error::Model { path: self.path.clone(), source })
    }
}
