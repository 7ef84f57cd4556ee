//! Files of image networks in training, as safetensors: f32 weights, running moments, and provenance.
//!
//! Quantization makes the device's file from such a file, and training continues from it.

use crate::host::model_file::{self, Contents, Metadata, ModelFileError, OwnedTensor};
use crate::host::names::UnknownName;
use crate::image::net::architecture::preset;
use crate::image::net::error::NetworkError;
use crate::image::net::kernel::norm::Moments;
use crate::image::net::network::{Network, Normalization};
use candle_core::{Device, Tensor};
use std::path::{Path, PathBuf};

/// Kind of the file, in its metadata.
const KIND: &str = "image-f32";

/// A network with the names of its classes and its provenance.
#[derive(Debug)]
pub struct ImageModel {
    /// The network.
    pub network: Network,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Data, seed, steps, accuracies: how the network came about.
    pub provenance: Metadata,
}

/// Why an image network cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ImageModelError {
    /// The file cannot be read, or not assembled.
    #[error(transparent)]
    File(#[from] ModelFileError),
    /// A metadata entry or a tensor is missing or unusable.
    #[error("`{}` is not an image network: `{entry}` is missing or unusable; make it with `image pretrain`", .path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The metadata entry or tensor.
        entry: String,
    },
    /// The file names an unknown network.
    #[error(transparent)]
    Network(#[from] UnknownName),
    /// The network cannot be built.
    #[error(transparent)]
    Build(#[from] NetworkError),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] crate::host::atomic::WriteError),
}

impl ImageModel {
    /// Writes the file atomically.
    ///
    /// # Errors
    /// [`ImageModelError`] if the weights cannot be read from their device, or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ImageModelError> {
        let network = &self.network;
        let mut tensors = Vec::new();
        for (slot, variable) in network.steps.slots.iter().zip(&network.variables) {
            let values = variable.flatten_all().and_then(|t| t.to_vec1::<f32>()).map_err(NetworkError::from)?;
            tensors.push(OwnedTensor::f32(slot.name.clone(), &slot.shape, &values));
        }
        for (k, moments) in network.moments.iter().enumerate() {
            let shape = [moments.mean.len()];
            tensors.push(OwnedTensor::f32(format!("norm{}.mean", k + 1), &shape, &moments.mean));
            tensors.push(OwnedTensor::f32(format!("norm{}.variance", k + 1), &shape, &moments.variance));
        }
        let mut metadata = self.provenance.clone();
        let list = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
        metadata.extend([
            ("kind".to_string(), KIND.to_string()),
            ("network".to_string(), network.architecture.name.clone()),
            ("classes".to_string(), self.classes.join(",")),
            ("mean".to_string(), list(&network.normalization.mean)),
            ("deviation".to_string(), list(&network.normalization.deviation)),
            ("software".to_string(), crate::host::SOFTWARE.to_string()),
        ]);
        Ok(crate::host::atomic::write(path, &model_file::assemble(&tensors, &metadata)?)?)
    }

    /// Reads a file and puts the network on `device`.
    ///
    /// # Errors
    /// [`ImageModelError`] if the file cannot be read or is not an image network, or if the device has no memory for it.
    pub fn load(path: &Path, device: &Device) -> Result<Self, ImageModelError> {
        let contents = Contents::read(path)?;
        let missing = |entry: &str| ImageModelError::Entry { path: path.into(), entry: entry.into() };
        let entry = |key: &str| contents.metadata.get(key).map(String::as_str).ok_or_else(|| missing(key));
        if entry("kind")? != KIND {
            return Err(missing("kind"));
        }
        let classes: Vec<String> = entry("classes")?.split(',').map(str::to_string).collect();
        let architecture = preset(entry("network")?, classes.len())?;
        let numbers = |key: &str| -> Result<Vec<f32>, ImageModelError> {
            let values: Result<Vec<f32>, _> = entry(key)?.split(',').map(str::parse).collect();
            values.ok().filter(|v| v.len() == architecture.input[0]).ok_or_else(|| missing(key))
        };
        let normalization = Normalization { mean: numbers("mean")?, deviation: numbers("deviation")? };
        let mut network = Network::random(&architecture, normalization, 0, device)?;
        let tensor = |name: &str, count: usize| -> Result<Vec<f32>, ImageModelError> {
            contents.f32(name).filter(|v| v.len() == count).ok_or_else(|| missing(name))
        };
        for (slot, variable) in network.steps.slots.iter().zip(&network.variables) {
            let values = tensor(&slot.name, variable.elem_count())?;
            let filled = Tensor::from_vec(values, variable.shape(), device).and_then(|t| variable.set(&t));
            filled.map_err(NetworkError::from)?;
        }
        for (k, moments) in network.moments.iter_mut().enumerate() {
            let count = moments.mean.len();
            let mean = tensor(&format!("norm{}.mean", k + 1), count)?;
            *moments = Moments { mean, variance: tensor(&format!("norm{}.variance", k + 1), count)? };
        }
        let own = ["kind", "network", "classes", "mean", "deviation", "software"];
        let mut provenance = contents.metadata;
        provenance.retain(|key, _| !own.contains(&key.as_str()));
        Ok(ImageModel { network, classes, provenance })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::net::architecture::PRESETS;

    #[test]
    fn files_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        for p in PRESETS {
            let architecture = preset(p.name, 3).unwrap();
            let channels = architecture.input[0];
            let normalization = Normalization { mean: vec![0.1307; channels], deviation: vec![1.0 / 3.0; channels] };
            let mut network = Network::random(&architecture, normalization, 4, &Device::Cpu).unwrap();
            let pixels: Vec<f32> = (0..2 * architecture.shape().size()).map(|k| (k % 7) as f32 / 7.0).collect();
            network.recalibrate(&pixels).unwrap();
            let (logits, moments) = (network.outputs(&pixels).unwrap(), network.moments.clone());
            let classes = ["cat", "dog", "horse"].map(str::to_string).to_vec();
            let provenance: Metadata = [("dataset".to_string(), "mnist".to_string())].into();
            ImageModel { network, classes: classes.clone(), provenance: provenance.clone() }.save(&path).unwrap();
            let back = ImageModel::load(&path, &Device::Cpu).unwrap();
            assert_eq!((back.classes, back.provenance, back.network.moments.clone()), (classes, provenance, moments));
            assert_eq!(back.network.outputs(&pixels).unwrap(), logits, "{}", p.name);
        }
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.safetensors");
        let error = || ImageModel::load(&path, &Device::Cpu).unwrap_err().to_string();
        assert!(error().contains("cannot read"));
        crate::host::atomic::write(&path, &model_file::assemble(&[], &Metadata::new()).unwrap()).unwrap();
        assert!(error().contains("`kind` is missing") && error().contains("image pretrain"), "{}", error());
        let metadata: Metadata =
            [("kind", KIND), ("classes", "a,b"), ("network", "lenet5")].map(|(k, v)| (k.into(), v.into())).into();
        crate::host::atomic::write(&path, &model_file::assemble(&[], &metadata).unwrap()).unwrap();
        assert!(error().contains("lenet16, thesis-digits"));
    }
}
