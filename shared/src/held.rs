//! A model file of either kind, opened: the model that a device holds, a solution bundle or an image network.

use crate::bundle::Bundle;
use crate::classify::Logits;
use crate::drift::Reference;
use crate::drift::usual::{Scores, Usual};
use crate::error::{Key, ModelError};
use crate::image::golden::Golden;
use crate::image::{ImageError, Network};
use crate::layer::kernel::{Kernel, Portable};
use crate::model::Model;
use crate::summary::{Content, ModelInfo, ModelKind, SelfTest, name};

/// Opens a model for a board's processor: [`Held::open_prefix`] for some kernel.
pub type Open = for<'a> fn(&'a [u8]) -> Result<Held<'a>, ModelError>;

/// Evaluates an image network in an arena: [`Network::logits`] for some kernel.
type Evaluate = for<'n> fn(&Network<'n>, &[u8], &mut [u32]) -> Result<Logits, ImageError>;

/// The model that a device holds.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there is no heap")]
pub enum Held<'a> {
    /// A solution bundle.
    Bundle(Bundle<'a>),
    /// An image network.
    Image(Classifier<'a>),
}

/// An image network with the other contents of its file.
#[derive(Debug, Clone)]
pub struct Classifier<'a> {
    /// The network.
    pub network: Network<'a>,
    /// Entropies of the domain it was trained on, if the file states them.
    pub reference: Option<Reference>,
    /// Entropies, distances and answers that are usual, if the file states them.
    pub usual: Option<Usual<'a>>,
    /// Relative distance of the features above which an answer is withheld.
    pub distance_limit: Option<f32>,
    /// Probability from which on a class belongs to the set of possible answers.
    pub set_probability: Option<f32>,
    /// [`Network::logits`] for the processor's kernel.
    evaluate: Evaluate,
    golden: Option<Golden<'a>>,
    bytes: u32,
    crc32: u32,
}

impl<'a> Held<'a> {
    /// Opens, for any processor, a model file that fills `bytes` exactly and starts at a multiple of 8.
    ///
    /// # Errors
    /// The first defect found; see [`ModelError`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, ModelError> {
        Self::from_model::<Portable>(&Model::open(bytes)?)
    }

    /// Opens a model file at the start of a larger area, such as a flash slot, for a processor with the inner loops of `K`.
    ///
    /// # Errors
    /// The first defect found; see [`ModelError`].
    pub fn open_prefix<K: Kernel>(bytes: &'a [u8]) -> Result<Self, ModelError> {
        Self::from_model::<K>(&Model::open_prefix(bytes)?)
    }

    /// Validates everything once. The model is evaluated with the inner loops of `K`, to the same bits with any.
    ///
    /// # Errors
    /// The first defect found; see [`ModelError`].
    // The functions of this name are not inlined into each other, because one stack frame would then hold the temporaries
    // of all of them.
    #[inline(never)]
    pub fn from_model<K: Kernel>(model: &Model<'a>) -> Result<Self, ModelError> {
        match ModelKind::from_name(model.require(Key::Kind)?) {
            Some(ModelKind::Image) => Ok(Held::Image(Classifier::from_model::<K>(model)?)),
            // A bundle is refused here if the kind is unknown.
            _ => Ok(Held::Bundle(Bundle::from_model::<K>(model)?)),
        }
    }

    /// The model if it is a bundle.
    pub fn bundle(&self) -> Option<&Bundle<'a>> {
        match self {
            Held::Bundle(bundle) => Some(bundle),
            Held::Image(_) => None,
        }
    }

    /// The model if it is an image network.
    pub fn image(&self) -> Option<&Classifier<'a>> {
        match self {
            Held::Bundle(_) => None,
            Held::Image(image) => Some(image),
        }
    }

    /// Bytes of working memory that the model needs besides the stack.
    pub fn memory(&self) -> u32 {
        self.image().map_or(0, Classifier::memory)
    }

    /// Checks that the model needs at most `room` bytes of working memory.
    ///
    /// # Errors
    /// [`ModelError::Memory`] if it needs more.
    pub fn check_memory(&self, room: u32) -> Result<&Self, ModelError> {
        let needed = self.memory();
        if needed <= room { Ok(self) } else { Err(ModelError::Memory { needed, room }) }
    }

    /// The summary of the model.
    pub fn model_info(&self, from_slot: bool) -> ModelInfo {
        match self {
            Held::Bundle(bundle) => bundle.model_info(from_slot),
            Held::Image(image) => image.model_info(from_slot),
        }
    }

    /// Replays the file's golden queries or images and compares bits. An image network works in `memory`.
    pub fn self_test(&self, memory: &mut [u32]) -> SelfTest {
        match self {
            Held::Bundle(bundle) => bundle.self_test(),
            Held::Image(image) => image.self_test(memory),
        }
    }
}

impl<'a> Classifier<'a> {
    /// Validates an image network, its golden images and its reference.
    ///
    /// # Errors
    /// The first defect found; see [`ModelError`].
    #[inline(never)]
    pub fn from_model<K: Kernel>(model: &Model<'a>) -> Result<Self, ModelError> {
        let network = Network::open(model)?;
        if network.value_count() > 0 {
            return Err(ModelError::Values);
        }
        let number = |key: Key| match model.entry(key.key()) {
            None => Ok(None),
            Some(text) => crate::text::number(text).map(Some).ok_or(ModelError::Metadata(key)),
        };
        let reference = match (number(Key::EntropyMean)?, number(Key::EntropyDeviation)?) {
            (Some(mean), Some(deviation)) => {
                let reference = Reference { mean, deviation }.checked();
                Some(reference.ok_or(ModelError::Metadata(Key::EntropyDeviation))?)
            }
            _ => None,
        };
        let usual = Usual::open(model, network.class_count(), network.feature_count())?;
        let checked = |key: Key, fits: fn(f32) -> bool| match number(key)? {
            Some(value) if !fits(value) => Err(ModelError::Metadata(key)),
            value => Ok(value),
        };
        let distance_limit = checked(Key::AbstainDistance, |limit| limit > 0.0 && limit.is_finite())?;
        let set_probability = checked(Key::SetProbability, |p| (0.0..=1.0).contains(&p))?;
        let golden = Golden::open(model, &network)?;
        Ok(Classifier {
            network,
            reference,
            usual,
            distance_limit,
            set_probability,
            evaluate: |network, image, arena| network.logits::<K>(image, arena),
            golden,
            bytes: model.file().len() as u32,
            crc32: model.crc32(),
        })
    }

    /// Bytes of working memory: an image, followed by the arena.
    pub fn memory(&self) -> u32 {
        (4 * (self.network.image_words() + self.network.arena())) as u32
    }

    /// The file's checksum.
    pub fn crc32(&self) -> u32 {
        self.crc32
    }

    /// Number of golden images in the file.
    pub fn golden(&self) -> u16 {
        self.golden.map_or(0, |golden| golden.len() as u16)
    }

    /// The logits of an image; see [`Network::logits`].
    ///
    /// # Errors
    /// [`ImageError`] if a slice has the wrong length.
    pub fn logits(&self, image: &[u8], arena: &mut [u32]) -> Result<Logits, ImageError> {
        (self.evaluate)(&self.network, image, arena)
    }

    /// How unusual an image is, whose evaluation has just left its features in the arena.
    pub fn scores(&self, class: usize, entropy: f32, image: &[u8], arena: &[u32]) -> Scores {
        match &self.usual {
            Some(usual) => usual.scores(class, entropy, self.network.features(image, arena)),
            None => Scores { class, entropy, relative: None },
        }
    }

    fn self_test(&self, memory: &mut [u32]) -> SelfTest {
        let Some(golden) = self.golden else { return SelfTest { queries: 0, mismatches: 0, first_mismatch: None } };
        golden.replay_with(|image| self.logits(image, &mut *memory))
    }

    fn model_info(&self, from_slot: bool) -> ModelInfo {
        ModelInfo {
            from_slot,
            scheme: name("i8"),
            bytes: self.bytes,
            crc32: self.crc32,
            parameters: self.network.parameters(),
            macs: self.network.macs(),
            golden: self.golden(),
            content: Content::Image(self.network.image()),
        }
    }
}
