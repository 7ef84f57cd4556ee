//! The host's side of images over the line: sent in chunks, classified, and kept samples fetched.

use crate::client::{Client, ClientError};
use sirocco::drift::Reference;
use sirocco::limits::MAX_CHUNK;
use sirocco::retain::Sample;
use sirocco::wire::image::{
    Classified, Description, ImageAnswer, ImageRefusal, ImageRequest, SampleAnswer, SampleRequest, Threshold,
};
use sirocco::wire::{DeviceError, Request, Response};

/// How often an image is sent anew after a reset of the device.
const RESTARTS: u32 = 3;

impl Client {
    fn image(&mut self, request: ImageRequest) -> Result<ImageAnswer, ClientError> {
        match self.request(Request::Image(request))? {
            Response::Image(answer) => Ok(answer),
            _ => Err(self.mismatch()),
        }
    }

    fn described(&mut self, request: ImageRequest) -> Result<Description, ClientError> {
        match self.image(request)? {
            ImageAnswer::Description(description) => Ok(description),
            _ => Err(self.mismatch()),
        }
    }

    /// Asks which images the network takes and how it is set.
    ///
    /// # Errors
    /// [`ClientError`]; from a device that holds a bundle [`DeviceError::Kind`].
    pub fn describe(&mut self) -> Result<Description, ClientError> {
        self.described(ImageRequest::Describe)
    }

    /// Asks for the names of all classes, in the order of their numbers.
    ///
    /// # Errors
    /// As for [`Self::describe`].
    pub fn classes(&mut self) -> Result<Vec<String>, ClientError> {
        let count = self.describe()?.classes;
        let mut names = Vec::new();
        for class in 0..count {
            match self.image(ImageRequest::Class(class))? {
                ImageAnswer::Class(name) => names.push(name.to_string()),
                _ => return Err(self.mismatch()),
            }
        }
        Ok(names)
    }

    /// Sends an image, rows x columns x channels bytes, and asks what it shows.
    ///
    /// # Errors
    /// As for [`Self::describe`]; an image of the wrong size is [`ImageRefusal::ChunkLength`] or
    /// [`ImageRefusal::Incomplete`].
    pub fn classify(&mut self, image: &[u8]) -> Result<Classified, ClientError> {
        let mut restarts = 0;
        loop {
            match self.send_and_classify(image) {
                // The device was reset and knows nothing of the image any more.
                Err(ClientError::Device { source: DeviceError::Image(ImageRefusal::Offset { next: 0 }), .. })
                    if restarts < RESTARTS =>
                {
                    restarts += 1;
                }
                done => return done,
            }
        }
    }

    fn send_and_classify(&mut self, image: &[u8]) -> Result<Classified, ClientError> {
        for (bytes, offset) in image.chunks(MAX_CHUNK).zip((0u32..).step_by(MAX_CHUNK)) {
            let bytes = bytes.iter().copied().collect();
            let ImageAnswer::Receiving { .. } = self.image(ImageRequest::Chunk { offset, bytes })? else {
                return Err(self.mismatch());
            };
        }
        match self.image(ImageRequest::Classify)? {
            ImageAnswer::Classified(answer) => Ok(answer),
            _ => Err(self.mismatch()),
        }
    }

    /// Asks for the probabilities of the last answer, of all `classes`.
    ///
    /// # Errors
    /// As for [`Self::describe`].
    pub fn probabilities(&mut self, classes: usize) -> Result<Vec<f32>, ClientError> {
        let mut all = Vec::new();
        while all.len() < classes {
            match self.image(ImageRequest::Probabilities { first: all.len() as u8 })? {
                ImageAnswer::Probabilities { values, .. } if !values.is_empty() => all.extend(values),
                _ => return Err(self.mismatch()),
            }
        }
        Ok(all)
    }

    /// Says when answers are withheld from now on.
    ///
    /// # Errors
    /// As for [`Self::describe`].
    pub fn set_threshold(&mut self, threshold: Threshold) -> Result<Description, ClientError> {
        self.described(ImageRequest::Threshold(threshold))
    }

    /// Begins the drift window anew, compared with `reference`, or with the file's.
    ///
    /// # Errors
    /// As for [`Self::describe`].
    pub fn watch(&mut self, reference: Option<Reference>) -> Result<Description, ClientError> {
        self.described(ImageRequest::Watch(reference))
    }

    fn sample(&mut self, request: SampleRequest) -> Result<SampleAnswer, ClientError> {
        match self.request(Request::Samples(request))? {
            Response::Samples(answer) => Ok(answer),
            _ => Err(self.mismatch()),
        }
    }

    /// Asks which images are kept. The most entropic one comes first.
    ///
    /// # Errors
    /// As for [`Self::describe`].
    pub fn samples(&mut self) -> Result<Vec<Sample>, ClientError> {
        let mut all: Vec<Sample> = Vec::new();
        loop {
            match self.sample(SampleRequest::List { first: all.len() as u16 })? {
                SampleAnswer::List { total, samples, .. } => {
                    let end = samples.is_empty();
                    all.extend(samples);
                    if end || all.len() >= total.into() {
                        all.sort_by(|a, b| b.entropy.total_cmp(&a.entropy));
                        return Ok(all);
                    }
                }
                _ => return Err(self.mismatch()),
            }
        }
    }

    /// Fetches a kept image of `bytes` bytes.
    ///
    /// # Errors
    /// As for [`Self::describe`]; a sample that is not kept any more is [`ImageRefusal::NoSample`].
    pub fn fetch_sample(&mut self, number: u32, bytes: usize) -> Result<Vec<u8>, ClientError> {
        let mut image = Vec::new();
        while image.len() < bytes {
            match self.sample(SampleRequest::Fetch { number, offset: image.len() as u32 })? {
                SampleAnswer::Piece { bytes: piece, .. } if !piece.is_empty() => image.extend(piece),
                _ => return Err(self.mismatch()),
            }
        }
        Ok(image)
    }

    /// Has the device forget the images it keeps.
    ///
    /// # Errors
    /// As for [`Self::describe`].
    pub fn clear_samples(&mut self) -> Result<(), ClientError> {
        match self.sample(SampleRequest::Clear)? {
            SampleAnswer::Cleared => Ok(()),
            _ => Err(self.mismatch()),
        }
    }
}
