//! Answers about images, from a device over a line or from a model file on this machine: with the same bits, and by the same rules.

use crate::Error;
use crate::client::Client;
use crate::input::model_file::ModelFile;
use crate::input::picture::{Picture, Preparation};
use sirocco::drift::Drift;
use sirocco::held::{Classifier, Held};
use sirocco::wire::ask;
use sirocco::wire::image::{Alarms, Classified, Description, Threshold};

/// Where the key of a model file says how pictures become the network's input.
pub const PREPARATION: &str = "preparation";

/// What answers.
#[expect(clippy::large_enum_variant, reason = "there is one, and it is not moved")]
pub enum Answering<'a> {
    /// A device.
    Device(Client),
    /// This machine.
    Here(Here<'a>),
}

/// This machine in place of a device, which keeps no images.
#[derive(Debug)]
pub struct Here<'a> {
    classifier: Classifier<'a>,
    arena: Vec<u32>,
    threshold: Option<f32>,
    distance_limit: Option<f32>,
    drift: Drift,
    images: u32,
    abstained: u32,
    probabilities: Vec<f32>,
}

impl<'a> Here<'a> {
    /// With the image network in a file.
    ///
    /// # Errors
    /// [`Error::Model`] or [`Error::Foreign`] if the file holds no model, [`Error::Usage`] if it holds a solution bundle.
    pub fn open(file: &'a ModelFile) -> Result<Self, Error> {
        let Held::Image(classifier) = file.held()? else {
            let name = file.path().display();
            return Err(Error::Usage(format!(
                "{name} holds a solution bundle; give the file of an image network, or `sirocco query`"
            )));
        };
        Ok(Here {
            arena: vec![0; classifier.network.arena()],
            threshold: classifier.network.abstain(),
            distance_limit: classifier.distance_limit,
            drift: Drift::by_file(classifier.usual.as_ref(), classifier.reference),
            images: 0,
            abstained: 0,
            probabilities: Vec::new(),
            classifier,
        })
    }

    /// The answer to an image. It counts, and the drift watch sees it, unless it is a test.
    ///
    /// # Errors
    /// [`Error::Image`] if it has another number of bytes than the network takes.
    pub fn classify(&mut self, image: &[u8], counts: bool) -> Result<Classified, Error> {
        let logits = self.classifier.logits(image, &mut self.arena)?;
        let answer = logits.classify(self.threshold);
        let scores = self.classifier.scores(answer.class, answer.entropy, image, &self.arena);
        let far = match (scores.relative, self.distance_limit) {
            (Some([_, distance]), Some(limit)) => distance > limit,
            _ => false,
        };
        let abstained = answer.abstain || far;
        let usual = self.classifier.usual.as_ref();
        if counts {
            self.images += 1;
            self.abstained += u32::from(abstained);
            self.drift.add(self.images, scores, usual);
            self.probabilities = logits.probabilities().values().to_vec();
        }
        Ok(Classified {
            number: if counts { self.images } else { 0 },
            class: answer.class as u8,
            probability: answer.probability,
            entropy: answer.entropy,
            abstained,
            kept: false,
            drift: self.drift.state(usual),
            ticks: None,
        })
    }
}

impl Answering<'_> {
    /// The images that the network takes, and its settings, after changing them as wanted.
    ///
    /// # Errors
    /// [`Error::Client`] if a device does not answer or refuses.
    pub fn describe(&mut self) -> Result<Description, Error> {
        let here = match self {
            Answering::Device(client) => return Ok(client.ask(ask::ImageDescribe)?),
            Answering::Here(here) => here,
        };
        let shape = here.classifier.network.image();
        Ok(Description {
            height: shape.height as u16,
            width: shape.width as u16,
            channels: shape.channels as u8,
            classes: here.classifier.network.class_count() as u8,
            threshold: here.threshold,
            reference: here.drift.reference(),
            drift: here.drift.state(here.classifier.usual.as_ref()),
            images: here.images,
            abstained: here.abstained,
            samples: 0,
            samples_room: 0,
            memory: here.classifier.memory(),
            memory_room: here.classifier.memory(),
        })
    }

    /// Sets when answers are withheld.
    ///
    /// # Errors
    /// As for [`Answering::describe`].
    pub fn set_threshold(&mut self, threshold: Threshold) -> Result<(), Error> {
        match self {
            Answering::Device(client) => _ = client.ask(ask::ImageThreshold(threshold))?,
            Answering::Here(here) => {
                (here.threshold, here.distance_limit) = match threshold {
                    Threshold::File => (here.classifier.network.abstain(), here.classifier.distance_limit),
                    Threshold::Never => (None, None),
                    Threshold::Above(nats) => (Some(nats), here.classifier.distance_limit),
                };
            }
        }
        Ok(())
    }

    /// Begins a new watch for drift.
    ///
    /// # Errors
    /// As for [`Answering::describe`].
    pub fn watch(&mut self, reference: Option<sirocco::drift::Reference>) -> Result<(), Error> {
        match self {
            Answering::Device(client) => _ = client.ask(ask::ImageWatch(reference))?,
            Answering::Here(Here { classifier, drift, .. }) => {
                *drift = match reference {
                    Some(reference) => Drift::by_means(Some(reference)),
                    None => Drift::by_file(classifier.usual.as_ref(), classifier.reference),
                };
            }
        }
        Ok(())
    }

    /// Names of the classes.
    ///
    /// # Errors
    /// As for [`Answering::describe`].
    pub fn classes(&mut self) -> Result<Vec<String>, Error> {
        match self {
            Answering::Device(client) => Ok(client.classes()?),
            Answering::Here(here) => Ok(here.classifier.network.classes().map(str::to_owned).collect()),
        }
    }

    /// What was unusual.
    ///
    /// # Errors
    /// As for [`Answering::describe`].
    pub fn alarms(&mut self) -> Result<Alarms, Error> {
        let here = match self {
            Answering::Device(client) => return Ok(client.alarms()?),
            Answering::Here(here) => here,
        };
        let sequential = here.drift.is_sequential();
        Ok(Alarms {
            sequential,
            images_per_false_alarm: here.classifier.usual.as_ref().filter(|_| sequential).map(|usual| usual.images()),
            first: here.drift.first(),
            frequent: here.drift.frequent(),
            distance_limit: here.distance_limit,
            set_probability: here.classifier.set_probability,
        })
    }

    /// The answer to an image, and the probabilities of so many classes if they are wanted.
    ///
    /// # Errors
    /// As for [`Answering::describe`] and [`Here::classify`].
    pub fn classify(&mut self, image: &[u8], classes: Option<usize>) -> Result<(Classified, Option<Vec<f32>>), Error> {
        match self {
            Answering::Device(client) => {
                let classified = client.classify(image)?;
                Ok((classified, classes.map(|classes| client.probabilities(classes)).transpose()?))
            }
            Answering::Here(here) => {
                let classified = here.classify(image, true)?;
                Ok((classified, classes.map(|_| here.probabilities.clone())))
            }
        }
    }
}

/// How pictures become the input of the network in a file, if the file says so.
///
/// # Errors
/// Those of [`ModelFile::model`], and [`Error::Usage`] if another version wrote it.
pub fn preparation(file: &ModelFile) -> Result<Option<Preparation>, Error> {
    let model = file.model()?;
    let Some(text) = model.entry(PREPARATION) else { return Ok(None) };
    text.parse().map(Some).map_err(|error| Error::Usage(format!("{}: {error}", file.path().display())))
}

/// The class that a picture would be taken for if it were inverted, where only that is an answer to rely on: it is withheld as it
/// is, or far less certain.
///
/// # Errors
/// As for [`Here::classify`].
pub fn only_inverted(here: &mut Here<'_>, input: &Picture) -> Result<Option<u8>, Error> {
    let inverted: Vec<u8> = input.bytes.iter().map(|byte| 255 - byte).collect();
    let (as_it_is, inverted) = (here.classify(&input.bytes, false)?, here.classify(&inverted, false)?);
    let better = as_it_is.abstained || as_it_is.entropy > inverted.entropy + UNSURE;
    Ok((better && !inverted.abstained && inverted.probability > SURE).then_some(inverted.class))
}

/// Nats by which a picture is less certain than its inverse to be remarked on.
const UNSURE: f32 = 0.5;
/// Least probability of the inverse's answer for that.
const SURE: f32 = 0.9;
