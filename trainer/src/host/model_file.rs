//! Model files: plain safetensors whose metadata come first, sorted, with the checksum that the device verifies.
//!
//! The `safetensors` library lays out the tensors. It would write metadata in random order, so the metadata are added
//! here: the same model always gives the same bytes.

use aligned_vec::{AVec, ConstAlign};
use safetensors::tensor::{Dtype, TensorView};
use sirocco::error::Key;
use sirocco::model::{CRC_DIGITS, crc_of};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The bytes of a model file, aligned as the evaluator requires.
pub type ModelBytes = AVec<u8, ConstAlign<8>>;

/// Metadata of a file, sorted by key.
pub type Metadata = BTreeMap<String, String>;

/// A tensor with its elements.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnedTensor {
    /// Name.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Shape.
    pub shape: Vec<usize>,
    /// Elements, row-major, little-endian.
    pub bytes: Vec<u8>,
}

impl OwnedTensor {
    /// A tensor of 32-bit floats.
    pub fn f32(name: String, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        OwnedTensor { name, dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }

    /// A tensor of 32-bit integers.
    pub fn i32(name: String, shape: &[usize], values: &[i32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        OwnedTensor { name, dtype: Dtype::I32, shape: shape.to_vec(), bytes }
    }

    /// A tensor of 16-bit integers.
    pub fn i16(name: String, shape: &[usize], values: &[i16]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        OwnedTensor { name, dtype: Dtype::I16, shape: shape.to_vec(), bytes }
    }

    /// A tensor of 8-bit integers.
    pub fn i8(name: String, shape: &[usize], values: &[i8]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        OwnedTensor { name, dtype: Dtype::I8, shape: shape.to_vec(), bytes }
    }
}

/// Why a model file could not be put together or read.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// A tensor's bytes do not fit its shape.
    #[error("cannot lay out the tensors: {0}")]
    Layout(#[from] safetensors::SafeTensorError),
    /// Metadata would need escape sequences in JSON, which the device's reader does not support.
    #[error("metadata `{key}` holds a quotation mark, backslash or control character: {value:?}")]
    Metadata {
        /// The entry's key.
        key: String,
        /// Its value.
        value: String,
    },
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; check the path")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a safetensors file, or a truncated one.
    #[error("{path} is not a usable model file: {source}; export or copy it again")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The error of the library.
        source: safetensors::SafeTensorError,
    },
    /// The file is not a model, or a damaged one.
    #[error("{path} is not a usable model file: {source}; export or copy it again")]
    Model {
        /// The file.
        path: PathBuf,
        /// The defect.
        source: sirocco::error::ModelError,
    },
    /// The file is something else than a model.
    #[error("{path} {what}")]
    Other {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        what: sirocco::model::Foreign,
    },
}

impl ModelFileError {
    /// Why the file at `path`, which holds `bytes`, was refused.
    pub fn refused(path: &Path, bytes: &[u8], source: sirocco::error::ModelError) -> Self {
        match sirocco::model::Foreign::of(bytes) {
            Some(what) => ModelFileError::Other { path: path.into(), what },
            None => ModelFileError::Model { path: path.into(), source },
        }
    }
}

/// Puts a model file together: header with sorted metadata and checksum, then the tensors.
///
/// # Errors
/// [`ModelFileError::Layout`] if a tensor does not have the bytes of its shape, [`ModelFileError::Metadata`] if an entry
/// holds a character that JSON escapes.
pub fn assemble(tensors: &[OwnedTensor], metadata: &Metadata) -> Result<ModelBytes, ModelFileError> {
    let mut metadata = metadata.clone();
    metadata.insert(Key::Crc32.key().into(), "0".repeat(CRC_DIGITS));
    let plain = |c: char| c != '"' && c != '\\' && !c.is_control();
    if let Some((key, value)) = metadata.iter().find(|(k, v)| !k.chars().chain(v.chars()).all(plain)) {
        return Err(ModelFileError::Metadata { key: key.clone(), value: value.clone() });
    }
    let views = tensors.iter().map(|t| Ok((&t.name, TensorView::new(t.dtype, t.shape.clone(), &t.bytes)?)));
    let views: Vec<_> = views.collect::<Result<_, safetensors::SafeTensorError>>()?;
    let laid_out = safetensors::serialize(views, None)?;
    let (header, data) = split_header(&laid_out);

    let pairs: Vec<_> = metadata.iter().map(|(k, v)| format!("\"{k}\":\"{v}\"")).collect();
    let entries = header.trim_end().trim_start_matches('{');
    let comma = if entries.starts_with('}') { "" } else { "," };
    let mut json = format!("{{\"__metadata__\":{{{}}}{comma}{entries}", pairs.join(","));
    let padding = json.len().next_multiple_of(8) - json.len();
    json.extend(std::iter::repeat_n(' ', padding));

    let mut file: ModelBytes = AVec::with_capacity(8, 8 + json.len() + data.len());
    file.extend_from_slice(&(json.len() as u64).to_le_bytes());
    file.extend_from_slice(json.as_bytes());
    file.extend_from_slice(data);
    let mark = format!("\"{}\":\"", Key::Crc32.key());
    let at = 8 + json.find(&mark).map_or(0, |at| at + mark.len());
    let digits = format!("{:08x}", crc_of(&file, at..at + CRC_DIGITS));
    file[at..at + CRC_DIGITS].copy_from_slice(digits.as_bytes());
    Ok(file)
}

/// The tensors of a file, of any type, as the `safetensors` library reads them.
///
/// # Errors
/// [`ModelFileError::Layout`] if it is not a safetensors file.
pub fn tensors_of(file: &[u8]) -> Result<Vec<OwnedTensor>, ModelFileError> {
    let library = safetensors::SafeTensors::deserialize(file)?;
    let own = |(name, view): (&str, TensorView<'_>)| OwnedTensor {
        name: name.into(),
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        bytes: view.data().to_vec(),
    };
    Ok(library.iter().map(own).collect())
}

/// A file of any size as the `safetensors` library reads it, with its checksum verified. It is for files that only the
/// workstation uses, for which the device's limits on names and tensors do not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// Metadata, without the checksum.
    pub metadata: Metadata,
    /// The tensors by name.
    pub tensors: BTreeMap<String, OwnedTensor>,
}

impl Contents {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ModelFileError::Read`], [`ModelFileError::Other`] and [`ModelFileError::Foreign`] if it is not a safetensors file or
    /// has no checksum, [`ModelFileError::Model`] if that is wrong.
    pub fn read(path: &Path) -> Result<Self, ModelFileError> {
        let bytes = read(path)?;
        let foreign = |source| match sirocco::model::Foreign::of(&bytes) {
            Some(what) => ModelFileError::Other { path: path.into(), what },
            None => ModelFileError::Foreign { path: path.into(), source },
        };
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).map_err(foreign)?;
        let mut metadata: Metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let stated = metadata.remove(Key::Crc32.key()).and_then(|digits| u32::from_str_radix(&digits, 16).ok());
        let mark = format!("\"{}\":\"", Key::Crc32.key());
        let digits = bytes.windows(mark.len()).position(|w| w == mark.as_bytes()).map(|at| at + mark.len());
        let computed = digits.map(|at| crc_of(&bytes, at..at + CRC_DIGITS));
        if stated.is_none() || stated != computed {
            let (stated, computed) = (stated.unwrap_or(0), computed.unwrap_or(0));
            let source = sirocco::error::ModelError::Checksum { stated, computed };
            return Err(ModelFileError::refused(path, &bytes, source));
        }
        let tensors = match tensors_of(&bytes) {
            Ok(tensors) => tensors.into_iter().map(|t| (t.name.clone(), t)).collect(),
            Err(ModelFileError::Layout(source)) => return Err(foreign(source)),
            Err(other) => return Err(other),
        };
        Ok(Contents { metadata, tensors })
    }

    /// The elements of a tensor, if it exists and holds 32-bit floats.
    pub fn f32(&self, name: &str) -> Option<Vec<f32>> {
        let tensor = self.tensors.get(name).filter(|t| t.dtype == Dtype::F32)?;
        Some(tensor.bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }
}

/// Header text and data of a file that the `safetensors` library has written.
fn split_header(file: &[u8]) -> (&str, &[u8]) {
    let length = u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
    (std::str::from_utf8(&file[8..8 + length]).expect("a JSON header"), &file[8 + length..])
}

/// Reads a file into memory, aligned for the evaluator.
///
/// # Errors
/// [`ModelFileError::Read`] if the system cannot read it.
pub fn read(path: &Path) -> Result<ModelBytes, ModelFileError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(AVec::from_slice(8, &bytes)),
        Err(source) => Err(ModelFileError::Read { path: path.into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sirocco::model::Model;

    fn example() -> Vec<OwnedTensor> {
        vec![OwnedTensor::f32("b".into(), &[1, 2], &[1.0, 2.0]), OwnedTensor::i16("a".into(), &[3], &[1, 2, 3])]
    }

    #[test]
    fn the_device_and_the_library_read_what_is_written() {
        let metadata = Metadata::from([("x".into(), "1".into()), ("a".into(), "0:20".into())]);
        let file = assemble(&example(), &metadata).unwrap();
        let model = Model::open(&file).unwrap();
        assert_eq!(model.entry("x"), Some("1"));
        assert_eq!(model.tensor("b").unwrap().f32(), Some(&[1.0, 2.0][..]));
        assert_eq!(model.tensor("a").unwrap().i16(), Some(&[1, 2, 3][..]));
        let library = safetensors::SafeTensors::deserialize(&file).unwrap();
        assert_eq!(library.tensor("a").unwrap().shape(), [3]);
        assert_eq!(file, assemble(&example(), &metadata).unwrap());
    }

    #[test]
    fn a_file_without_tensors_is_still_a_file() {
        let file = assemble(&[], &Metadata::new()).unwrap();
        assert_eq!(Model::open(&file).unwrap().tensors().len(), 0);
    }

    #[test]
    fn large_files_are_read_on_the_workstation_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.safetensors");
        let many: Vec<_> = (0..100).map(|k| OwnedTensor::f32(format!("t{k}"), &[2], &[k as f32, 0.5])).collect();
        let metadata = Metadata::from([("kind".into(), "x".into())]);
        let file = assemble(&many, &metadata).unwrap();
        std::fs::write(&path, &file[..]).unwrap();
        let contents = Contents::read(&path).unwrap();
        assert_eq!((contents.metadata.clone(), contents.tensors.len()), (metadata, 100));
        assert_eq!((contents.f32("t42"), contents.f32("t100")), (Some(vec![42.0, 0.5]), None));
        for at in (0..file.len()).step_by(7) {
            let mut damaged = file.to_vec();
            damaged[at] ^= 4;
            std::fs::write(&path, &damaged).unwrap();
            assert!(Contents::read(&path).is_err(), "byte {at}");
            std::fs::write(&path, &file[..at]).unwrap();
            assert!(Contents::read(&path).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn metadata_that_would_need_escapes_are_refused() {
        let metadata = Metadata::from([("note".into(), "a \"quoted\" word".into())]);
        assert!(matches!(assemble(&[], &metadata), Err(ModelFileError::Metadata { .. })));
    }
}
