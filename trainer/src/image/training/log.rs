//! The log of a training: loss, learning rate and accuracy on held-out images, epoch by epoch.
//!
//! Its state is part of the training's checkpoint, so the log of a resumed training is that of the unbroken one. Nothing is decided
//! by it.

use super::{Training, accuracy};
use crate::dataset::Images;
use crate::host::checkpoint::{Checkpoint, CheckpointError};
use crate::image::net::error::NetworkError;
use crate::report::csv::{Table, cells};
use crate::report::plot::{Axis, Content, Figure, Line, Panel};
use std::path::Path;

/// What a training has logged.
#[derive(Debug, Clone, PartialEq)]
pub struct RunLog {
    /// Steps from one entry to the next.
    interval: usize,
    entries: Vec<Entry>,
    /// Sum of the losses since the last entry, and their number.
    sum: f64,
    count: usize,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Steps done.
    pub step: usize,
    /// Mean loss of the batches since the last entry, each before its step.
    pub loss: f64,
    /// Learning rate of the last step.
    pub rate: f64,
    /// Accuracy on held-out images in percent; NaN without any.
    pub accuracy: f64,
}

impl RunLog {
    /// An empty log with an entry every so many steps: those of an epoch.
    pub fn new(interval: usize) -> Self {
        RunLog { interval: interval.max(1), entries: Vec::new(), sum: 0.0, count: 0 }
    }

    /// Takes in a step with its loss; to be called after each. Tells whether that made an entry.
    ///
    /// # Errors
    /// [`NetworkError::Tensor`] if the network cannot be computed.
    pub fn watch(&mut self, training: &Training, loss: f32, held_out: &Images) -> Result<bool, NetworkError> {
        (self.sum, self.count) = (self.sum + f64::from(loss), self.count + 1);
        if !training.step.is_multiple_of(self.interval) {
            return Ok(false);
        }
        let accuracy = if held_out.is_empty() { f64::NAN } else { accuracy(training.evaluated(), held_out)? };
        let (step, loss, rate) = (training.step, self.sum / self.count as f64, training.rate);
        self.entries.push(Entry { step, loss, rate, accuracy });
        (self.sum, self.count) = (0.0, 0);
        Ok(true)
    }

    /// The entries so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries as a table.
    pub fn table(&self) -> Table {
        let mut table = Table::new(["epoch", "step", "loss", "rate", "held_out_accuracy"]);
        for (epoch, Entry { step, loss, rate, accuracy }) in (1usize..).zip(&self.entries) {
            table.row(cells![epoch, *step, *loss, *rate, Some(*accuracy).filter(|a| a.is_finite())]);
        }
        table
    }

    /// The entries as curves.
    pub fn figure(&self, title: &str) -> Figure {
        let panel = |label: &str, value: fn(&Entry) -> f64| {
            let points = self.entries.iter().zip(1..).map(|(entry, epoch)| (f64::from(epoch), value(entry)));
            let line = Line::solid("", 0, points.collect());
            Panel::new(240, Axis::linear("epoch"), Axis::linear(label), Content::Lines(vec![line]))
        };
        let mut panels = vec![panel("loss", |e| e.loss), panel("learning rate", |e| e.rate)];
        if self.entries.iter().any(|entry| entry.accuracy.is_finite()) {
            panels.push(panel("held-out accuracy (%)", |e| e.accuracy));
        }
        Figure { title: title.into(), width: 720, panels }
    }

    /// Adds the log to a checkpoint of its training.
    pub fn store(&self, checkpoint: &mut Checkpoint) {
        let column = |value: fn(&Entry) -> f64| self.entries.iter().map(value).collect();
        let columns: [(&str, Vec<f64>); 5] = [
            ("log.step", column(|e| e.step as f64)),
            ("log.loss", column(|e| e.loss)),
            ("log.rate", column(|e| e.rate)),
            ("log.accuracy", column(|e| e.accuracy)),
            ("log.since", vec![self.sum, self.count as f64]),
        ];
        checkpoint.tensors.extend(columns.map(|(name, values)| (name.to_string(), values)));
    }

    /// Takes the log from a checkpoint read from `path`, where [`RunLog::store`] put it. A checkpoint without one leaves it empty.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if a column is missing or too short.
    pub fn restore(&mut self, checkpoint: &Checkpoint, path: &Path) -> Result<(), CheckpointError> {
        let Some(steps) = checkpoint.tensors.get("log.step") else { return Ok(()) };
        let column = |name: &str| checkpoint.tensor(path, name, steps.len());
        let (losses, rates, accuracies) = (column("log.loss")?, column("log.rate")?, column("log.accuracy")?);
        let entry =
            |k: usize| Entry { step: steps[k] as usize, loss: losses[k], rate: rates[k], accuracy: accuracies[k] };
        self.entries = (0..steps.len()).map(entry).collect();
        let since = checkpoint.tensor(path, "log.since", 2)?;
        (self.sum, self.count) = (since[0], since[1] as usize);
        Ok(())
    }
}
