//! Questions about images that take more than one request: to send and classify an image, and to fetch lists and samples.

use crate::client::{Client, ClientError};
use sirocco::limits::MAX_CHUNK;
use sirocco::retain::Sample;
use sirocco::wire::image::{Alarms, Classified, ImageRefusal};
use sirocco::wire::{DeviceError, ask};

/// How often an image is sent again after a reset of the device.
const RESTARTS: u32 = 3;

impl Client {
    /// Asks for the names of all classes, in the order of their numbers.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub fn classes(&mut self) -> Result<Vec<String>, ClientError> {
        let count = self.ask(ask::ImageDescribe)?.classes;
        (0..count).map(|class| Ok(self.ask(ask::ImageClass(class))?.to_string())).collect()
    }

    /// Asks for the first alarms. A device whose firmware is older tells none.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub fn alarms(&mut self) -> Result<Alarms, ClientError> {
        match self.ask(ask::ImageAlarms) {
            Err(ClientError::Device { source: DeviceError::UnknownRequest { .. }, .. }) => Ok(Alarms {
                sequential: false,
                images_per_false_alarm: None,
                first: None,
                frequent: None,
                distance_limit: None,
                set_probability: None,
            }),
            answer => answer,
        }
    }

    /// Sends an image of rows x columns x channels bytes and has the device classify it.
    ///
    /// # Errors
    /// As for [`Self::ask`]; an image of the wrong size is [`ImageRefusal::ChunkLength`] or
    /// [`ImageRefusal::Incomplete`].
    pub fn classify(&mut self, image: &[u8]) -> Result<Classified, ClientError> {
        self.sent(image, |client| client.ask(ask::ImageClassify))
    }

    /// As [`Self::classify`], as a test: the device counts, watches and keeps nothing.
    ///
    /// # Errors
    /// As for [`Self::classify`].
    pub fn check(&mut self, image: &[u8]) -> Result<Classified, ClientError> {
        self.sent(image, |client| client.ask(ask::ImageCheck))
    }

    /// Sends an image and asks about it.
    fn sent(
        &mut self,
        image: &[u8],
        question: impl Fn(&mut Self) -> Result<Classified, ClientError>,
    ) -> Result<Classified, ClientError> {
        let mut restarts = 0;
        loop {
            match self.send(image).and_then(|()| question(self)) {
                // The device was reset and has forgotten the image.
                Err(ClientError::Device { source: DeviceError::Image(ImageRefusal::Offset { next: 0 }), .. })
                    if restarts < RESTARTS =>
                {
                    restarts += 1;
                }
                done => return done,
            }
        }
    }

    fn send(&mut self, image: &[u8]) -> Result<(), ClientError> {
        for (bytes, offset) in image.chunks(MAX_CHUNK).zip((0u32..).step_by(MAX_CHUNK)) {
            self.ask(ask::ImageChunk(offset, bytes.iter().copied().collect()))?;
        }
        Ok(())
    }

    /// Asks for the probabilities of all `classes` in the last answer.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub fn probabilities(&mut self, classes: usize) -> Result<Vec<f32>, ClientError> {
        let mut all = Vec::new();
        while all.len() < classes {
            match self.ask(ask::ImageProbabilities(all.len() as u8))? {
                (_, values) if !values.is_empty() => all.extend(values),
                _ => return Err(self.mismatch()),
            }
        }
        Ok(all)
    }

    /// Asks which images are kept. The one with the highest entropy comes first.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub fn samples(&mut self) -> Result<Vec<Sample>, ClientError> {
        let mut all: Vec<Sample> = Vec::new();
        loop {
            let (total, _, samples) = self.ask(ask::SamplesList(all.len() as u16))?;
            let end = samples.is_empty();
            all.extend(samples);
            if end || all.len() >= total.into() {
                all.sort_by(|a, b| b.entropy.total_cmp(&a.entropy));
                return Ok(all);
            }
        }
    }

    /// Fetches a kept image that has `bytes` bytes.
    ///
    /// # Errors
    /// As for [`Self::ask`]; a sample that is no longer kept is [`ImageRefusal::NoSample`].
    pub fn fetch_sample(&mut self, number: u32, bytes: usize) -> Result<Vec<u8>, ClientError> {
        let mut image = Vec::new();
        while image.len() < bytes {
            match self.ask(ask::SamplesFetch(number, image.len() as u32))? {
                (_, piece) if !piece.is_empty() => image.extend(piece),
                _ => return Err(self.mismatch()),
            }
        }
        Ok(image)
    }
}
