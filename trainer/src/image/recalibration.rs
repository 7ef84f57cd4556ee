//! New statistics of batch normalization for another domain (AdaBN, Li et al. 2016), with a check of whether they help.
//!
//! The statistics need no labels, and may make a network worse: on USPS by two points, under blur by eleven. So they are
//! judged on labeled images of the domain that they were not computed from.

use crate::dataset::Images;
use crate::image::net::error::NetworkError;
use crate::image::net::network::Network;
use crate::image::training::accuracy;

/// The network with new statistics, and what they did.
#[derive(Debug)]
pub struct Recalibrated {
    /// The network.
    pub network: Network,
    /// Accuracy on the held-out images with the old statistics, in percent.
    pub before: f64,
    /// The same with the new ones.
    pub after: f64,
}

/// Recalibrates by `images` and measures on `held`.
///
/// # Errors
/// [`NetworkError::Tensor`] if the network cannot be computed.
pub fn recalibrate(source: &Network, images: &Images, held: &Images) -> Result<Recalibrated, NetworkError> {
    let mut network = source.duplicate()?;
    network.recalibrate(&images.pixels)?;
    Ok(Recalibrated { before: accuracy(source, held)?, after: accuracy(&network, held)?, network })
}

impl Recalibrated {
    /// Whether the new statistics are at least as good as the old ones.
    pub fn helps(&self) -> bool {
        self.after >= self.before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::interrupt::Interrupt;
    use crate::image::adaptation::pretrain;
    use crate::image::training::Settings;
    use crate::image::training::tests::{quarters, small};

    #[test]
    fn whether_new_statistics_help_is_measured() {
        let images = quarters(200, 1, 0.3);
        let settings = Settings { batch: 16, rate: 1e-2, ..Settings::usual(0) };
        let network = pretrain(small(0), &images, 60, &settings, &Interrupt::never(), |_, _| {}).unwrap();
        // Twice the contrast around another level: the old statistics are wrong, the new ones undo it.
        let changed = |scale: f32, offset: f32| {
            let mut other = quarters(200, 2, 0.3);
            other.pixels.iter_mut().for_each(|p| *p = scale * *p + offset);
            other.split(100, 0).unwrap()
        };
        let (target, held) = changed(0.2, 2.0);
        let helped = recalibrate(&network, &target, &held).unwrap();
        assert!(helped.helps() && helped.after > helped.before + 5.0, "{} {}", helped.before, helped.after);
        // Statistics of images that are unlike those that follow.
        let [(dim, _), (_, held)] = [changed(0.2, 2.0), changed(1.0, 0.0)];
        let harmed = recalibrate(&network, &dim, &held).unwrap();
        assert!(!harmed.helps(), "{} {}", harmed.before, harmed.after);
    }
}
