//! The layout of the arena, the working memory of an image network. A value that no later node reads gives its memory to the
//! next ones.
//!
//! Values are placed in order of evaluation, each at the lowest place where it overlaps no value that is still read. The
//! image and the logits are not in the arena. Behind the values lies scratch memory, as much as the most demanding node needs.
//! All sizes are in words of four bytes.

use super::architecture::{Architecture, Operation};
use crate::limits::{self, MAX_NODES};
use core::ops::Range;
use heapless::Vec;

/// The layout of an arena.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arena {
    /// Where the output of each node lies, in words; empty for the logits.
    pub places: Vec<Range<usize>, MAX_NODES>,
    /// Words of all values; the scratch begins there.
    pub values: usize,
    /// Words of scratch.
    pub scratch: usize,
}

impl Arena {
    /// Lays out the arena of an architecture.
    pub fn new(architecture: &Architecture) -> Self {
        let mut arena = Arena { places: Vec::new(), values: 0, scratch: 0 };
        let steps = &architecture.steps;
        for (node, step) in steps.iter().enumerate() {
            let words = match step.operation {
                Operation::Logits => 0,
                _ => step.geometry.output.size().div_ceil(4),
            };
            // Whether this node or a later one reads the value.
            let read = |value: usize| steps.iter().skip(node).any(|s| s.from == value || s.other == value);
            let live = arena.places.iter().enumerate().filter(|(k, _)| read(k + 1)).map(|(_, place)| place.clone());
            let live: Vec<Range<usize>, MAX_NODES> = limits::collect(live);
            let mut start = 0;
            while let Some(in_the_way) = live.iter().find(|p| p.start < start + words && start < p.end) {
                start = in_the_way.end;
            }
            arena.values = arena.values.max(start + words);
            arena.scratch = arena.scratch.max(step.scratch());
            // As many places as nodes: there is room.
            let _ = arena.places.push(start..start + words);
        }
        arena
    }

    /// Words of the whole arena.
    pub fn words(&self) -> usize {
        self.values + self.scratch
    }

    /// Bytes of the whole arena.
    pub fn bytes(&self) -> usize {
        4 * self.words()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_share_memory_but_not_while_they_are_read() {
        let conv = |from: usize| std::format!("conv from={from} out=4 kernel=3x3 stride=1x1 padding=1x1 zero=0");
        let text = std::format!("{};{};{};add from=3 other=1 zero=0;logits from=4 out=2", conv(0), conv(1), conv(2));
        let architecture = Architecture::parse("4x4x1", &text).unwrap();
        let arena = Arena::new(&architecture);
        // Value 1 is read until the sum, so value 3 may not take its place; the sum takes value 2's.
        assert_eq!(arena.places[..], [0..16, 16..32, 32..48, 16..32, 0..0]);
        // Four columns of 3 x 12 bytes as 16-bit numbers, and a row of 12 bytes.
        assert_eq!((arena.values, arena.scratch), (48, 4 * 18 + 3));
        assert_eq!(arena.bytes(), 4 * (48 + 75));
    }
}
