//! Drift alarm: detects that the images of a device differ from those that its network learned from.
//!
//! A file that states what is usual ([`usual`]) is watched by a sequential test ([`sequential`]), an older file by a chart of
//! moving means ([`moving`]). Both judge images that are independent of each other. Frames of one scene are not, so false alarms
//! are more frequent on them.

pub mod moving;
mod reading;
pub mod sequential;
pub mod usual;

pub use reading::{Alarm, Frequent, Reference, Sign, State};

use moving::Moving;
use sequential::Sequential;
use usual::{Scores, Usual};

/// What watches a device's images.
#[allow(clippy::large_enum_variant, reason = "there is no heap")]
#[derive(Debug, Clone)]
enum Watch {
    Moving(Moving),
    Sequential(Sequential),
}

/// The watch over a device's images, and the first alarms since it began.
#[derive(Debug, Clone)]
pub struct Drift {
    reference: Option<Reference>,
    watch: Watch,
    first: Option<Alarm>,
    frequent: Option<Frequent>,
}

impl Drift {
    /// A watch by moving means.
    ///
    /// ```
    /// use sirocco::drift::usual::Scores;
    /// use sirocco::drift::{Drift, Reference};
    /// let mut drift = Drift::by_means(Some(Reference { mean: 0.1, deviation: 0.2 }));
    /// for number in 1..=32 {
    ///     drift.add(number, Scores { class: 0, entropy: 0.5, relative: None }, None);
    /// }
    /// assert!(drift.state(None).alarm && drift.first().unwrap().number == 32);
    /// ```
    pub fn by_means(reference: Option<Reference>) -> Self {
        Drift { reference, watch: Watch::Moving(Moving::new(reference)), first: None, frequent: None }
    }

    /// The watch that a file allows: a sequential test if it states what is usual, or else moving means.
    pub fn by_file(usual: Option<&Usual<'_>>, reference: Option<Reference>) -> Self {
        match usual {
            Some(_) => Drift { watch: Watch::Sequential(Sequential::new()), ..Self::by_means(reference) },
            None => Self::by_means(reference),
        }
    }

    /// Usual entropies. Moving means are compared with them; a sequential test has more to compare with.
    pub fn reference(&self) -> Option<Reference> {
        self.reference
    }

    /// Whether a sequential test watches.
    pub fn is_sequential(&self) -> bool {
        matches!(self.watch, Watch::Sequential(_))
    }

    /// Adds image `number`, by what is usual in the file that the watch was made for.
    pub fn add(&mut self, number: u32, scores: Scores, usual: Option<&Usual<'_>>) {
        let sign = match (&mut self.watch, usual) {
            (Watch::Moving(moving), _) => {
                moving.add(scores.entropy);
                moving.state().alarm.then_some(Sign::EntropyAbove)
            }
            (Watch::Sequential(test), Some(usual)) => {
                test.add(scores, usual);
                let class = test.frequent(usual);
                self.frequent = self.frequent.or(class.map(|class| Frequent { number, class }));
                test.sign(usual)
            }
            (Watch::Sequential(_), None) => None,
        };
        self.first = self.first.or(sign.map(|sign| Alarm { number, sign }));
    }

    /// The state now.
    pub fn state(&self, usual: Option<&Usual<'_>>) -> State {
        match (&self.watch, usual) {
            (Watch::Moving(moving), _) => moving.state(),
            (Watch::Sequential(test), Some(usual)) => test.state(usual),
            (Watch::Sequential(_), None) => State { filled: 0, score: None, alarm: false },
        }
    }

    /// The first alarm since the watch began.
    pub fn first(&self) -> Option<Alarm> {
        self.first
    }

    /// The first class that was more frequent than usual. That is no drift of the images: there may be more sevens than there were.
    pub fn frequent(&self) -> Option<Frequent> {
        self.frequent
    }
}
