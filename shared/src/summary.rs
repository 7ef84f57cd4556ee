//! The summary of a model: its kind, its sizes, the result of its self-test.
//!
//! This is plain data. The evaluators fill it in; the protocol and the tools report it without knowing the evaluators.

use crate::layer::shape::Shape;
use crate::limits::MAX_QUANTITIES;
use core::fmt::Write;
use serde::{Deserialize, Serialize};

/// Short text: the name of a board, a system, a class.
pub type Name = heapless::String<32>;

/// The kind of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ModelKind {
    /// Answers queries about a differential equation.
    #[error("a solution bundle")]
    Bundle,
    /// Classifies images.
    #[error("an image network")]
    Image,
}

impl ModelKind {
    /// Name in model files.
    pub const fn name(self) -> &'static str {
        match self {
            ModelKind::Bundle => "bundle",
            ModelKind::Image => "image",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [ModelKind::Bundle, ModelKind::Image].into_iter().find(|kind| kind.name() == name)
    }
}

/// A model held by a device.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// Whether the model comes from a slot; otherwise it is built into the firmware.
    pub from_slot: bool,
    /// Number format of the weights.
    pub scheme: Name,
    /// Bytes of the file.
    pub bytes: u32,
    /// The file's checksum.
    pub crc32: u32,
    /// Weights and biases.
    pub parameters: u32,
    /// Multiply-accumulates of one evaluation.
    pub macs: u32,
    /// Number of golden queries or golden images in the file.
    pub golden: u16,
    /// The part that depends on the kind of model.
    pub content: Content,
}

/// The part of a summary that depends on the kind of model.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A solution bundle.
    Bundle(BundleInfo),
    /// An image network: the shape of the images it takes.
    Image(Shape),
}

/// The part of a summary that only a solution bundle has.
#[derive(Debug, Clone, PartialEq)]
pub struct BundleInfo {
    /// Name of the ODE system. A device with newer firmware may have a system that this build does not know.
    pub ode: Name,
    /// Form of the trial solution.
    pub form: Name,
    /// Maximum error stated in the file; zero if it states none.
    pub max_error: f32,
    /// The domain: (lo, hi) per quantity, padded with zeros.
    pub domain: [(f32, f32); MAX_QUANTITIES],
}

impl ModelInfo {
    /// The kind of the model.
    pub fn kind(&self) -> ModelKind {
        match self.content {
            Content::Bundle(_) => ModelKind::Bundle,
            Content::Image(_) => ModelKind::Image,
        }
    }

    /// Name of the ODE system, or `image` for an image network.
    pub fn subject(&self) -> &str {
        match &self.content {
            Content::Bundle(bundle) => &bundle.ode,
            Content::Image(_) => ModelKind::Image.name(),
        }
    }

    /// Form of the trial solution, or the shape of an image, such as `16x16x1`.
    pub fn form(&self) -> Name {
        match &self.content {
            Content::Bundle(bundle) => bundle.form.clone(),
            Content::Image(shape) => {
                let mut form = Name::new();
                // Three numbers of at most four digits fit.
                let _ = write!(form, "{shape}");
                form
            }
        }
    }
}

/// The text as a name, or an empty name if it is too long.
pub fn name(text: &str) -> Name {
    Name::try_from(text).unwrap_or_default()
}

/// Result of a replay of the golden queries or images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Number of queries replayed.
    pub queries: u16,
    /// Number of answers whose bits differ from the file's.
    pub mismatches: u16,
    /// Index of the first answer that differs.
    pub first_mismatch: Option<u16>,
}
