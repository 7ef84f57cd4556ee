//! `--shift`: a change of the distribution of images between training and use, for studies of robustness.

use crate::cmd::error::Error;
use crate::cmd::output::Output;
use crate::dataset::{Images, Split};
use crate::host::interrupt::Interrupt;
use crate::image::shift::{FitInput, Fitted, Shift};
use candle_core::Device;
use std::fmt;
use std::path::PathBuf;

/// A shift, and the folder that keeps what it learns.
#[derive(Debug, Clone, clap::Args)]
pub struct Shifting {
    /// Shift that the images undergo, such as `blur:2.5`, `awgn:0.5` or `embedding:2`; join several by `+`. None unless
    /// given; `data preview --gallery` shows them
    #[arg(long, value_name = "SHIFT")]
    shift: Option<Shift>,
    /// Folder that keeps the autoencoders of embedding shifts. Unless given, the environment variable SIROCCO_CACHE, or else
    /// the user's cache folder
    #[arg(long, value_name = "DIR")]
    shift_cache: Option<PathBuf>,
}

impl Shifting {
    /// Another shift, with the same folder.
    pub fn with(&self, shift: Shift) -> Self {
        Shifting { shift: Some(shift), shift_cache: self.shift_cache.clone() }
    }

    /// The shift, ready to be applied, on `device`. If it has to learn, it learns from `training`: unshifted training
    /// images of the data set in the network's shape.
    ///
    /// # Errors
    /// If the images cannot be loaded, an autoencoder cannot be trained or kept, or the user presses Ctrl-C.
    pub fn fit(
        &self,
        device: &Device,
        output: Output,
        training: impl FnOnce() -> Result<Images, Error>,
    ) -> Result<Fitted, Error> {
        let Some(shift) = &self.shift else { return Ok(Fitted::default()) };
        let learns = shift.learns();
        let images = if learns { training()? } else { Images::new([1, 1, 1], Vec::new(), Vec::new(), 1)? };
        let stop = if learns {
            Interrupt::on_ctrl_c("stopping; the autoencoder is not finished and not kept")?
        } else {
            Interrupt::never()
        };
        let cache = self.shift_cache.clone().or_else(cache);
        let bar = output.bar("autoencoder", 1);
        let watch = |share: f64, error: f32| bar.advance(share, &format!("squared error {error:.4}"));
        let fitted = shift.fit(&FitInput {
            images: &images,
            device,
            seed: 0,
            cache: cache.as_deref(),
            stop: &stop,
            watch: &watch,
        });
        bar.finish();
        Ok(fitted?)
    }
}

/// Seed of the random numbers of a shift for a split: test images get other noise than training images.
pub fn seed(split: Split) -> u64 {
    u64::from(split == Split::Test)
}

/// The user's cache folder for this program, if the system has one.
fn cache() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let of_user = || variable("XDG_CACHE_HOME").or_else(|| Some(std::env::home_dir()?.join(".cache")));
    variable("SIROCCO_CACHE").or_else(|| Some(of_user()?.join("sirocco")))
}

impl fmt::Display for Shifting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shift {
            None => f.write_str("none"),
            Some(shift) => shift.fmt(f),
        }
    }
}
