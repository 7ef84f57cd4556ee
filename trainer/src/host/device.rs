//! The device that computes with tensors: the CPU, or a CUDA GPU in builds with the feature `cuda`.

use candle_core::Device;

/// A device, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Choice {
    /// This machine's cores
    #[default]
    Cpu,
    /// An NVIDIA GPU
    Cuda,
}

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// This build cannot use CUDA.
    #[error("this build has no CUDA; use `--device cpu`, or build with `--features cuda` where the CUDA toolkit is")]
    NotBuilt,
    /// The GPU or its driver fails.
    #[error("the GPU cannot be used: {0}; check `nvidia-smi`, or use `--device cpu`")]
    Cuda(candle_core::Error),
}

/// Opens the device.
///
/// # Errors
/// [`DeviceError`] if there is no GPU, or this build cannot use it. The CPU never fails.
pub fn open(choice: Choice) -> Result<Device, DeviceError> {
    match choice {
        Choice::Cpu => Ok(Device::Cpu),
        Choice::Cuda => cuda(),
    }
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device, DeviceError> {
    Device::new_cuda(0).map_err(DeviceError::Cuda)
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        assert!(open(Choice::Cpu).unwrap().is_cpu());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_so() {
        let error = open(Choice::Cuda).unwrap_err();
        assert!(matches!(error, DeviceError::NotBuilt));
        assert!(error.to_string().contains("--features cuda"));
    }
}
