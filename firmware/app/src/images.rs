//! Requests about images as a state machine: images are received in chunks, classified and watched for drift, and those
//! with the highest predictive entropy are kept. See [`sirocco::wire::image`].

use crate::board::Board;
use sirocco::classify::Logits;
use sirocco::drift::{Drift, Reference};
use sirocco::held::{Classifier, Held};
use sirocco::image::Network;
use sirocco::limits::{MAX_CHUNK, collect};
use sirocco::retain::{Retained, Sample};
use sirocco::summary::Name;
use sirocco::wire::image::{
    Alarms, Classified, Description, ImageAnswer, ImageRefusal, ImageRequest, SampleAnswer, SampleRequest, Threshold,
};
use sirocco::wire::store::Chunk;

/// Samples are kept in one part of this many of a board's memory for images; networks work in the rest.
const PARTS: usize = 4;

/// A board's memory for images. Its size is fixed, so a network that fits when it is opened always fits.
#[derive(Debug)]
pub struct Arena<'a> {
    /// An image, followed by the network's values.
    work: &'a mut [u32],
    /// Kept images.
    samples: &'a mut [u32],
}

impl<'a> Arena<'a> {
    /// Divides the memory between networks and samples.
    pub fn new(memory: &'a mut [u32]) -> Self {
        let samples = memory.len() / PARTS;
        let work = memory.len().saturating_sub(samples);
        match memory.split_at_mut_checked(work) {
            Some((work, samples)) => Arena { work, samples },
            None => Arena { work: &mut [], samples: &mut [] },
        }
    }

    /// Bytes that a network can work in.
    pub fn room(&self) -> u32 {
        4 * self.work.len() as u32
    }

    /// Lends the memory to one model.
    pub fn reborrow(&mut self) -> Arena<'_> {
        Arena { work: &mut *self.work, samples: &mut *self.samples }
    }
}

/// The state of the conversation about images, as long as one model answers.
pub(crate) struct Images<'a> {
    work: &'a mut [u32],
    retained: Retained<'a>,
    received: usize,
    answer: Option<Answer>,
    threshold: Option<f32>,
    distance_limit: Option<f32>,
    drift: Drift,
    images: u32,
    abstained: u32,
}

/// The answer about the image that was received.
struct Answer {
    classified: Classified,
    probabilities: Logits,
}

impl<'a> Images<'a> {
    /// The state before the first image.
    pub fn new(held: &Held<'_>, arena: Arena<'a>) -> Self {
        let (size, threshold, distance_limit, drift) = match held {
            Held::Image(image) => {
                let drift = Drift::by_file(image.usual.as_ref(), image.reference);
                (image.network.image().size(), image.network.abstain(), image.distance_limit, drift)
            }
            Held::Bundle(_) => (0, None, None, Drift::by_means(None)),
        };
        let Arena { work, samples } = arena;
        Images {
            work,
            retained: Retained::new(sirocco::image::bytes_mut(samples), size),
            received: 0,
            answer: None,
            threshold,
            distance_limit,
            drift,
            images: 0,
            abstained: 0,
        }
    }

    /// The memory that networks work in, for other use. It drops the received image.
    pub fn take_memory(&mut self) -> &mut [u32] {
        (self.received, self.answer) = (0, None);
        self.work
    }

    /// The memory that this network works in. It keeps the received image.
    pub fn workspace(&mut self, network: &Network<'_>) -> &mut [u32] {
        network.workspace(self.work).map_or(&mut [], |(_, arena)| arena)
    }

    /// Answers a request about an image.
    ///
    /// # Errors
    /// If the request does not fit the state of the conversation (a chunk out of order, a question before the image is
    /// complete) or names something that does not exist.
    pub fn handle(
        &mut self,
        image: &Classifier<'_>,
        board: &Board,
        request: &ImageRequest,
    ) -> Result<ImageAnswer, ImageRefusal> {
        match request {
            ImageRequest::Describe => {}
            ImageRequest::Class(class) => return class_name(&image.network, *class),
            ImageRequest::Chunk { offset, bytes } => return self.chunk(&image.network, *offset, bytes),
            ImageRequest::Classify => return self.classify(image, board, true).map(ImageAnswer::Classified),
            ImageRequest::Check => return self.classify(image, board, false).map(ImageAnswer::Classified),
            ImageRequest::Probabilities { first } => return self.probabilities(*first),
            ImageRequest::Threshold(threshold) => {
                (self.threshold, self.distance_limit) = match *threshold {
                    Threshold::File => (image.network.abstain(), image.distance_limit),
                    Threshold::Never => (None, None),
                    Threshold::Above(entropy) if entropy.is_finite() && entropy >= 0.0 => {
                        (Some(entropy), image.distance_limit)
                    }
                    Threshold::Above(_) => return Err(ImageRefusal::Setting),
                }
            }
            ImageRequest::Watch(None) => self.drift = Drift::by_file(image.usual.as_ref(), image.reference),
            ImageRequest::Watch(Some(reference)) => {
                self.drift = Drift::by_means(Some(Reference::checked(*reference).ok_or(ImageRefusal::Setting)?));
            }
            ImageRequest::Alarms => return Ok(ImageAnswer::Alarms(self.alarms(image))),
        }
        Ok(ImageAnswer::Description(self.description(image)))
    }

    /// Answers a request about samples.
    ///
    /// # Errors
    /// If there is no such sample, or no such byte in it.
    pub fn samples(&mut self, request: SampleRequest) -> Result<SampleAnswer, ImageRefusal> {
        match request {
            SampleRequest::List { first } => {
                let all = self.retained.samples();
                let samples = collect(all.iter().skip(first.into()).copied());
                Ok(SampleAnswer::List { total: all.len() as u16, first, samples })
            }
            SampleRequest::Fetch { number, offset } => {
                let rest = self.retained.image(number).and_then(|image| image.get(offset as usize..));
                let bytes = rest.filter(|rest| !rest.is_empty()).ok_or(ImageRefusal::NoSample { number, offset })?;
                let bytes: Chunk = collect(bytes.iter().copied());
                Ok(SampleAnswer::Piece { offset, bytes })
            }
            SampleRequest::Clear => {
                self.retained.clear();
                Ok(SampleAnswer::Cleared)
            }
        }
    }

    fn description(&self, image: &Classifier<'_>) -> Description {
        let shape = image.network.image();
        Description {
            height: shape.height as u16,
            width: shape.width as u16,
            channels: shape.channels as u8,
            classes: image.network.class_count() as u8,
            threshold: self.threshold,
            reference: self.drift.reference(),
            drift: self.drift.state(image.usual.as_ref()),
            images: self.images,
            abstained: self.abstained,
            samples: self.retained.samples().len() as u16,
            samples_room: self.retained.capacity() as u16,
            memory: image.memory(),
            memory_room: 4 * self.work.len() as u32,
        }
    }

    fn alarms(&self, image: &Classifier<'_>) -> Alarms {
        let sequential = self.drift.is_sequential();
        Alarms {
            sequential,
            images_per_false_alarm: image.usual.as_ref().filter(|_| sequential).map(|usual| usual.images()),
            first: self.drift.first(),
            frequent: self.drift.frequent(),
            distance_limit: self.distance_limit,
            set_probability: image.set_probability,
        }
    }

    /// Takes the next chunk. The chunk before may be repeated, as after a lost answer.
    fn chunk(&mut self, network: &Network<'_>, offset: u32, bytes: &Chunk) -> Result<ImageAnswer, ImageRefusal> {
        let (image, _) = network.workspace(self.work).ok_or(ImageRefusal::Memory)?;
        let (offset, end, size) = (offset as usize, offset as usize + bytes.len(), image.len());
        // A chunk at the beginning starts another image.
        let begins = offset == 0;
        let again = !begins && end == self.received && image.get(offset..end) == Some(bytes.as_slice());
        if !begins && offset != self.received && !again {
            return Err(ImageRefusal::Offset { next: self.received as u32 });
        }
        if bytes.is_empty() || end > size || (bytes.len() < MAX_CHUNK && end < size) {
            return Err(ImageRefusal::ChunkLength);
        }
        if !again {
            for (to, from) in image.iter_mut().skip(offset).zip(bytes) {
                *to = *from;
            }
            (self.received, self.answer) = (end, None);
        }
        Ok(ImageAnswer::Receiving { next: self.received as u32 })
    }

    /// Classifies the received image. Asking again repeats the answer and counts nothing twice. A test `counts` nothing at all, and
    /// its image has the number 0.
    fn classify(&mut self, model: &Classifier<'_>, board: &Board, counts: bool) -> Result<Classified, ImageRefusal> {
        if let Some(answer) = self.answer.as_ref().filter(|answer| answer.classified.number > 0 || !counts) {
            return Ok(answer.classified);
        }
        let (image, arena) = model.network.workspace(self.work).ok_or(ImageRefusal::Memory)?;
        if self.received < image.len() {
            return Err(ImageRefusal::Incomplete { have: self.received as u32, bytes: image.len() as u32 });
        }
        let stopwatch = board.stopwatch();
        let logits = model.logits(image, arena).map_err(|_| ImageRefusal::Memory)?;
        let answer = logits.classify(self.threshold);
        let ticks = stopwatch.map(|ticks| ticks());
        let scores = model.scores(answer.class, answer.entropy, image, arena);
        let far = match (scores.relative, self.distance_limit) {
            (Some([_, distance]), Some(limit)) => distance > limit,
            _ => false,
        };
        let (entropy, class, abstained) = (answer.entropy, answer.class as u8, answer.abstain || far);
        let (mut number, mut kept) = (0, false);
        if counts {
            self.images = self.images.saturating_add(1);
            self.abstained = self.abstained.saturating_add(abstained.into());
            number = self.images;
            self.drift.add(number, scores, model.usual.as_ref());
            kept = self.retained.offer(Sample { number, entropy, class, abstained }, image);
        }
        let (probability, drift) = (answer.probability, self.drift.state(model.usual.as_ref()));
        let classified = Classified { number, class, probability, entropy, abstained, kept, drift, ticks };
        self.answer = Some(Answer { classified, probabilities: logits.probabilities() });
        Ok(classified)
    }

    fn probabilities(&self, first: u8) -> Result<ImageAnswer, ImageRefusal> {
        let answer = self.answer.as_ref().ok_or(ImageRefusal::NoAnswer)?;
        let all = answer.probabilities.values();
        match all.get(first.into()..) {
            Some(rest) if !rest.is_empty() => {
                let values = collect(rest.iter().copied());
                Ok(ImageAnswer::Probabilities { first, values })
            }
            _ => Err(ImageRefusal::NoClass { class: first, classes: all.len() as u8 }),
        }
    }
}

/// A class's name, cut to what fits a message.
fn class_name(network: &Network<'_>, class: u8) -> Result<ImageAnswer, ImageRefusal> {
    let classes = network.class_count() as u8;
    let name = network.classes().nth(class.into()).ok_or(ImageRefusal::NoClass { class, classes })?;
    let mut short = Name::new();
    for character in name.chars() {
        if short.push(character).is_err() {
            break;
        }
    }
    Ok(ImageAnswer::Class(short))
}
