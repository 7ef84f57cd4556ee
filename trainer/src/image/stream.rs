//! The drift alarm of a device on streams of images, measured: how often it is false, and how soon it is raised.
//!
//! Streams are drawn at random, with replacement, from images that were classified once.

use super::answers::Answer;
use crate::host::random::{Purpose, Random};
use serde::Serialize;
use sirocco::drift::Drift;
use sirocco::drift::usual::Scores;
use sirocco::held::Classifier;

/// Images of a stream.
const LENGTH: usize = 256;

/// The alarms of many streams.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Streams {
    /// Number of streams.
    pub streams: usize,
    /// Share of the streams with an alarm within 32 images, in percent.
    pub within_32: f64,
    /// Share with an alarm within 256 images, in percent.
    pub within_256: f64,
    /// The image of the alarm, the median over streams; none if fewer than half have one.
    pub median: Option<usize>,
    /// Alarms in 10,000 images of one long stream of all of them, where the watch begins anew after each.
    pub alarms_per_10_000: f64,
    /// The same for the classes' frequencies.
    pub frequent_per_10_000: f64,
}

/// How unusual the image of an answer is, as the device scores it.
pub fn scores(classifier: &Classifier<'_>, answer: &Answer) -> Scores {
    match &classifier.usual {
        Some(usual) => usual.scores(answer.class, answer.entropy, &answer.features),
        None => Scores { class: answer.class, entropy: answer.entropy, relative: None },
    }
}

/// Watches so many streams drawn from these images.
pub fn watch(classifier: &Classifier<'_>, scores: &[Scores], streams: usize, seed: u64) -> Streams {
    let (usual, reference) = (classifier.usual.as_ref(), classifier.reference);
    let fresh = || Drift::by_file(usual, reference);
    let mut random = Random::new(seed, Purpose::Measurement, 1);
    let (mut firsts, mut alarms, mut frequent) = (Vec::new(), 0usize, 0usize);
    let (mut long, mut classes) = (fresh(), fresh());
    for _ in 0..streams {
        let mut own = fresh();
        for k in 1..=LENGTH as u32 {
            let drawn = scores[(random.uniform() * scores.len() as f64) as usize % scores.len()];
            for drift in [&mut own, &mut long, &mut classes] {
                drift.add(k, drawn, usual);
            }
            if long.first().is_some() {
                (alarms, long) = (alarms + 1, fresh());
            }
            if classes.frequent().is_some() {
                (frequent, classes) = (frequent + 1, fresh());
            }
        }
        firsts.extend(own.first().map(|alarm| alarm.number as usize));
    }
    firsts.sort_unstable();
    let percent = |most: usize| 100.0 * firsts.iter().filter(|n| **n <= most).count() as f64 / streams.max(1) as f64;
    let rate = |count: usize| 1e4 * count as f64 / (streams * LENGTH).max(1) as f64;
    Streams {
        streams,
        within_32: percent(32),
        within_256: percent(LENGTH),
        median: firsts.get(streams / 2).copied(),
        alarms_per_10_000: rate(alarms),
        frequent_per_10_000: rate(frequent),
    }
}
