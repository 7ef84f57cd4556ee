//! `--shift`: what happens to images between the training and the network's work.

use crate::cmd::Error;
use crate::dataset::{Images, Split};
use crate::host::budget::Budget;
use crate::host::interrupt::Interrupt;
use crate::host::progress::{Progress, Verbosity};
use crate::image::shift::{Fitted, Fitting, Shift};
use candle_core::Device;
use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;

/// A shift, and where it keeps what it learns.
#[derive(Debug, Clone, clap::Args)]
pub struct Shifting {
    /// Shift that images undergo, such as `blur:2.5`, `awgn:0.5` or `embedding:2`; several are joined by `+`
    #[arg(long, value_name = "SHIFT")]
    shift: Option<Shift>,
    /// Folder that keeps the autoencoders of embedding shifts; SIROCCO_CACHE or the user's cache folder unless given
    #[arg(long, value_name = "DIR")]
    shift_cache: Option<PathBuf>,
}

impl Shifting {
    /// Another shift, with the same place to keep what it learns.
    pub fn with(&self, shift: Shift) -> Self {
        Shifting { shift: Some(shift), shift_cache: self.shift_cache.clone() }
    }

    /// The shift, ready. What it learns, it learns from `training`: unshifted training images of the data set in the
    /// network's shape.
    ///
    /// # Errors
    /// Images that cannot be loaded, an autoencoder that cannot be trained or kept; Ctrl-C.
    pub fn fit(&self, verbosity: Verbosity, training: impl FnOnce() -> Result<Images, Error>) -> Result<Fitted, Error> {
        self.fit_on(&Device::Cpu, verbosity, training)
    }

    /// The same, learnt and applied on `device`.
    ///
    /// # Errors
    /// As [`Shifting::fit`].
    pub fn fit_on(
        &self,
        device: &Device,
        verbosity: Verbosity,
        training: impl FnOnce() -> Result<Images, Error>,
    ) -> Result<Fitted, Error> {
        let Some(shift) = &self.shift else { return Ok(Fitted::default()) };
        let learns = shift.learns();
        let images = if learns { training()? } else { Images::new([1, 1, 1], Vec::new(), Vec::new(), 1)? };
        let stop = if learns { Interrupt::on_ctrl_c()? } else { Interrupt::never() };
        let cache = self.shift_cache.clone().or_else(cache);
        let bar = RefCell::new(Progress::new("autoencoder", Budget::iterations(1), verbosity));
        let watch = |share: f64, error: f32| bar.borrow_mut().advance(share, &format!("squared error {error:.4}"));
        let fitted = shift.fit(&Fitting {
            images: &images,
            device,
            seed: 0,
            cache: cache.as_deref(),
            stop: &stop,
            watch: &watch,
        });
        bar.into_inner().finish();
        Ok(fitted?)
    }
}

/// Seed of what a shift draws for a split: noise on test images is other noise than on training images.
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
