//! Checkpoints: safetensors files with the complete state of a run, from which it goes on to the same bits.
//!
//! Numbers are F64 tensors; counters and the run's identity are metadata. A CRC-32 covers all of it. The file is written
//! atomically, so a crash leaves the previous checkpoint.

use crate::host::atomic::{self, WriteError};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sirocco::model::CRC32;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Metadata key of the checksum.
const CHECKSUM: &str = "checkpoint.crc32";
/// Prefix of a counter's metadata key.
const COUNTER: &str = "counter.";

/// What identifies a run: problem, network, optimizer, seed, sampling. Only the same run can resume from a checkpoint.
pub type Identity = BTreeMap<String, String>;

/// The state of any training run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checkpoint {
    /// The run it belongs to.
    pub identity: Identity,
    /// Iterations, rounds, epochs.
    pub counters: BTreeMap<String, u64>,
    /// Weights, moments, damping, scores.
    pub tensors: BTreeMap<String, Vec<f64>>,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file does not exist.
    #[error("there is no checkpoint `{}`; leave out --resume to start afresh", .0.display())]
    Missing(PathBuf),
    /// A fresh run would overwrite the file.
    #[error("`{}` exists; give --resume to go on from a checkpoint, or move the file away to start afresh", .0.display())]
    Exists(PathBuf),
    /// The file cannot be read.
    #[error("cannot read the checkpoint `{}`: {source}; check its permissions", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file is not a checkpoint, or not a complete one.
    #[error("the checkpoint `{}` is damaged ({reason}); delete it and run without --resume", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The defect.
        reason: String,
    },
    /// The checkpoint belongs to another run.
    #[error(
        "the checkpoint `{}` has {key} = {theirs}, this run has {ours}; repeat its options or name another --checkpoint",
        .path.display()
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The entry that differs.
        key: String,
        /// The checkpoint's value.
        theirs: String,
        /// This run's value.
        ours: String,
    },
    /// The state cannot be read from the device that computes.
    #[error("cannot read the state of the run: {0}; try `--device cpu`")]
    Device(#[from] candle_core::Error),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Checkpoint {
    /// A tensor of the expected length; `path` is for the error message.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if it is missing or has another length.
    pub fn tensor(&self, path: &Path, name: &str, length: usize) -> Result<&[f64], CheckpointError> {
        let tensor = self.tensors.get(name).filter(|t| t.len() == length);
        tensor.map(Vec::as_slice).ok_or_else(|| damaged(path, format!("`{name}` is not {length} numbers")))
    }

    /// A counter; `path` is for the error message.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if it is missing.
    pub fn counter(&self, path: &Path, name: &str) -> Result<u64, CheckpointError> {
        self.counters.get(name).copied().ok_or_else(|| damaged(path, format!("the counter `{name}` is missing")))
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// [`CheckpointError::Write`], or [`CheckpointError::Damaged`] if the content cannot be laid out as safetensors.
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        let counters = self.counters.iter().map(|(k, v)| (format!("{COUNTER}{k}"), v.to_string()));
        let mut metadata: BTreeMap<String, String> = self.identity.clone().into_iter().chain(counters).collect();
        let payloads: BTreeMap<&str, Vec<u8>> = self
            .tensors
            .iter()
            .map(|(name, values)| (name.as_str(), values.iter().flat_map(|v| v.to_le_bytes()).collect()))
            .collect();
        let borrowed = payloads.iter().map(|(name, bytes)| (*name, bytes.as_slice()));
        metadata.insert(CHECKSUM.into(), format!("{:08x}", checksum(&metadata, borrowed)));
        let views: Result<Vec<_>, _> = payloads
            .iter()
            .map(|(name, bytes)| Ok((*name, TensorView::new(Dtype::F64, vec![bytes.len() / 8], bytes)?)))
            .collect();
        let unwritable = |e: safetensors::SafeTensorError| damaged(path, e.to_string());
        let metadata = metadata.into_iter().collect();
        let bytes = safetensors::serialize(views.map_err(unwritable)?, Some(metadata)).map_err(unwritable)?;
        Ok(atomic::write(path, &bytes)?)
    }

    /// Reads the checkpoint of the run `identity`.
    ///
    /// # Errors
    /// [`CheckpointError`] if the file is missing, cannot be read, is damaged, or belongs to another run.
    pub fn load(path: &Path, identity: &Identity) -> Result<Self, CheckpointError> {
        let bytes = std::fs::read(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => CheckpointError::Missing(path.into()),
            _ => CheckpointError::Read { path: path.into(), source },
        })?;
        let found = parse(&bytes).map_err(|reason| damaged(path, reason))?;
        let keys: std::collections::BTreeSet<&String> = found.identity.keys().chain(identity.keys()).collect();
        for key in keys {
            let shown = |i: &Identity| i.get(key).cloned().unwrap_or_else(|| "nothing".into());
            let (theirs, ours) = (shown(&found.identity), shown(identity));
            if theirs != ours {
                return Err(CheckpointError::Mismatch { path: path.into(), key: key.clone(), theirs, ours });
            }
        }
        Ok(found)
    }
}

fn damaged(path: &Path, reason: String) -> CheckpointError {
    CheckpointError::Damaged { path: path.into(), reason }
}

/// The content of a checkpoint, or its defect.
fn parse(bytes: &[u8]) -> Result<Checkpoint, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let mut metadata: BTreeMap<String, String> = header.metadata().clone().unwrap_or_default().into_iter().collect();
    let stated = metadata.remove(CHECKSUM).ok_or("it is another kind of file")?;
    let tensors: BTreeMap<&str, TensorView<'_>> = file.iter().collect();
    let computed = checksum(&metadata, tensors.iter().map(|(name, view)| (*name, view.data())));
    if stated != format!("{computed:08x}") {
        return Err("its checksum does not match".into());
    }
    let mut checkpoint = Checkpoint::default();
    for (key, value) in metadata {
        match key.strip_prefix(COUNTER) {
            Some(name) => {
                let value = value.parse().map_err(|_| format!("the counter `{name}` is not a number"))?;
                checkpoint.counters.insert(name.into(), value);
            }
            None => _ = checkpoint.identity.insert(key, value),
        }
    }
    for (name, view) in tensors {
        if view.dtype() != Dtype::F64 {
            return Err(format!("`{name}` is not F64"));
        }
        let (numbers, _) = view.data().as_chunks::<8>();
        checkpoint.tensors.insert(name.into(), numbers.iter().map(|b| f64::from_le_bytes(*b)).collect());
    }
    Ok(checkpoint)
}

/// CRC-32 over metadata and tensors in the order of their names.
fn checksum<'a>(metadata: &BTreeMap<String, String>, tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> u32 {
    let mut digest = CRC32.digest();
    let mut field = |bytes: &[u8]| {
        digest.update(&(bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    for (key, value) in metadata {
        field(key.as_bytes());
        field(value.as_bytes());
    }
    for (name, bytes) in tensors {
        field(name.as_bytes());
        field(bytes);
    }
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Checkpoint {
        Checkpoint {
            identity: [("seed".to_string(), "7".to_string())].into(),
            counters: [("round".to_string(), 3)].into(),
            tensors: [("mu".to_string(), vec![1e-300]), ("weights".to_string(), vec![0.1, -0.0, f64::MAX])].into(),
        }
    }

    #[test]
    fn comes_back_bit_for_bit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.checkpoint");
        let saved = example();
        saved.save(&path).unwrap();
        let loaded = Checkpoint::load(&path, &saved.identity).unwrap();
        assert_eq!(loaded, saved);
        assert!(loaded.tensors["weights"][1].is_sign_negative());
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.checkpoint");
        let saved = example();
        saved.save(&path).unwrap();
        let good = std::fs::read(&path).unwrap();
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 0x10;
            std::fs::write(&path, &bad).unwrap();
            assert!(Checkpoint::load(&path, &saved.identity).is_err_and(|e| !e.to_string().is_empty()), "byte {i}");
            std::fs::write(&path, &good[..i]).unwrap();
            assert!(matches!(Checkpoint::load(&path, &saved.identity), Err(CheckpointError::Damaged { .. })));
        }
    }

    #[test]
    fn another_runs_checkpoint_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.checkpoint");
        let saved = example();
        saved.save(&path).unwrap();
        let other = [("seed".to_string(), "8".to_string())].into();
        let error = Checkpoint::load(&path, &other).unwrap_err().to_string();
        assert!(error.contains("seed = 7") && error.contains("this run has 8"), "{error}");
        let error = Checkpoint::load(&directory.path().join("none"), &other).unwrap_err();
        assert!(matches!(error, CheckpointError::Missing(_)));
    }
}
