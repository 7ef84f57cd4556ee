//! What an image costs a Cortex-M4 in executed instructions, predicted from the architecture alone.
//!
//! The prediction of a node is the sum over kinds of work of how often it is done ([`work`]) times what it costs
//! (`table.rs`), in thousandths of an instruction. The counts are those of the loops in [`crate::layer`], exactly; the
//! costs are fitted to counts in QEMU by least squares on random networks:
//!
//! ```text
//! SIROCCO_FIT=1 cargo test -p sirocco-tests --test suites cost:: -- --nocapture
//! ```
//!
//! which writes `shared/src/image/cost/table.rs` anew, and is what to run after a change of the kernels; the fuzzers' image
//! network states its prediction, so `SIROCCO_BLESS=1 cargo test -p sirocco-tests --test suites seed_corpus::` follows. The same test
//! without the variable compares predictions with the counts of `tests/instructions.csv`, networks that the fit never
//! saw: whole networks have to be within 2 %. Instructions are no cycles.

mod table;

use super::architecture::{Architecture, Operation, Step};
use crate::layer::conv;
use crate::layer::dense_bytes;
use crate::layer::pack::PIXELS;
use crate::layer::tiles::PLACES;
use crate::layer::winograd;

/// Kinds of work of one operation, at most.
pub const KINDS: usize = 21;

/// Words that inner loops take at a turn; what is left of a row of weights costs more.
const TURN: usize = 8;

/// How often each kind of work is done.
pub type Work = [u64; KINDS];

/// The inner loops that do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processor {
    /// [`crate::layer::kernel::Portable`] on any Cortex-M4 or M3.
    Portable,
    /// The DSP instructions of Cortex-M4, M7 and M33.
    Dsp,
}

impl Processor {
    /// Both, with their names.
    pub const ALL: [(&'static str, Self); 2] = [("portable", Processor::Portable), ("dsp", Processor::Dsp)];
}

/// Predicted instructions of one node.
pub fn instructions(step: &Step, processor: Processor) -> u64 {
    let costs = table::costs(processor).get(kind(step.operation)).copied().unwrap_or([0; KINDS]);
    let thousandths: u64 = work(step).iter().zip(costs).map(|(n, cost)| n * u64::from(cost)).sum();
    thousandths / 1000
}

/// Predicted instructions of one image.
pub fn total(architecture: &Architecture, processor: Processor) -> u64 {
    architecture.steps.iter().map(|step| instructions(step, processor)).sum()
}

/// Rows of the table.
pub const OPERATIONS: usize = 8;

/// The row of an operation in the table.
pub fn kind(operation: Operation) -> usize {
    match operation {
        Operation::Conv => 0,
        Operation::Depthwise => 1,
        Operation::Dense => 2,
        Operation::Max => 3,
        Operation::Average => 4,
        Operation::Add => 5,
        Operation::Logits => 6,
        Operation::Winograd => 7,
    }
}

/// How often a node does each kind of work: the counts of its loops.
pub fn work(step: &Step) -> Work {
    match step.operation {
        Operation::Conv => convolution(step),
        Operation::Winograd => winograd(step),
        Operation::Depthwise => depthwise(step),
        Operation::Dense | Operation::Logits => dense(step),
        Operation::Max | Operation::Average => pool(step),
        Operation::Add => {
            let elements = step.geometry.output.size() as u64;
            counted([1, elements / 4, elements % 4])
        }
    }
}

/// The first kinds; the others are not done.
fn counted<const N: usize>(counts: [u64; N]) -> Work {
    let mut work = [0; KINDS];
    work.iter_mut().zip(counts).for_each(|(work, count)| *work = count);
    work
}

/// Windows are unpacked four at a time; each pair of channels passes over every four.
fn convolution(step: &Step) -> Work {
    let geometry = &step.geometry;
    let (input, output, kernel) = (geometry.input, geometry.output, geometry.window.kernel);
    let words = conv::words(geometry);
    let run = (kernel[1] * input.channels).next_multiple_of(4);
    let pairs = output.channels.div_ceil(2);
    // Of the DSP kernel's fast path: whole groups, even channels, even words.
    let even = output.channels.is_multiple_of(2) && words.is_multiple_of(2);
    let whole = output.pixels() / PIXELS;
    let fast = if even { whole } else { 0 };
    let slow = output.pixels().div_ceil(PIXELS) - fast;
    let slow_pixels = output.pixels() - fast * PIXELS;
    // The channels of an image have zero points of their own, so its rows are filled byte by byte.
    let color = step.from == 0 && input.channels > 1;
    // Windows inside; rows of the others that are unpacked where they lie, and those that are put together first.
    let (mut inside, mut direct, mut joined, mut copies, mut copied) = (0usize, 0usize, 0usize, 0usize, 0usize);
    for corner in geometry.corners().take(output.pixels()) {
        let columns = corner.column >= 0 && corner.column as usize + kernel[1] <= input.width;
        let begin = |row| geometry.pixel(row, corner.column).filter(|begin| columns && begin + run <= input.size());
        let last = corner.row + kernel[0] as isize - 1;
        if begin(corner.row).is_some() && begin(last).is_some() {
            inside += 1;
            continue;
        }
        for row in corner.row..=last {
            if begin(row).is_some() {
                direct += 1;
            } else {
                joined += 1;
                if geometry.pixel(row, corner.column.max(0)).is_some() {
                    let end = (corner.column + kernel[1] as isize).min(input.width as isize);
                    copies += 1;
                    copied += (end - corner.column.max(0)).max(0) as usize * input.channels;
                }
            }
        }
    }
    counted(
        [
            1,
            fast,
            fast * pairs,
            fast * pairs * (words / TURN),
            fast * pairs * (words % TURN),
            slow,
            slow * pairs,
            slow * pairs * (words / TURN),
            slow * pairs * (words % TURN),
            slow * pairs * (words % 2),
            slow_pixels * output.channels,
            inside,
            inside * kernel[0],
            inside * words,
            direct + joined,
            (direct + joined) * (run / 2),
            joined,
            if color { 0 } else { joined * run },
            if color { joined * run } else { 0 },
            copies,
            copied,
        ]
        .map(|n| n as u64),
    )
}

/// Tiles are transformed four at a time, those at the border put together first; each pair of channels passes over every
/// four.
fn winograd(step: &Step) -> Work {
    let geometry = &step.geometry;
    let (words, output) = (winograd::words(geometry), geometry.output);
    let (mut tiles, mut border, mut seen, mut unseen) = (0, 0, 0, 0);
    // Of the DSP kernel's fast path: four tiles that lie inside the output.
    let (mut groups, mut whole, mut slow_tiles, mut slow_pixels) = (0, 0, 0, 0);
    let mut corners = winograd::tiles(geometry).peekable();
    while corners.peek().is_some() {
        let (mut members, mut pixels) = (0, 0);
        for corner in corners.by_ref().take(PIXELS) {
            let inside = winograd::pixels(geometry, corner).flatten().count();
            if inside < PLACES {
                (border, seen, unseen) = (border + 1, seen + inside, unseen + PLACES - inside);
            }
            let tile = winograd::tile(geometry, corner);
            (members, pixels) = (members + 1, pixels + tile.rows * tile.columns);
        }
        (groups, tiles) = (groups + 1, tiles + members);
        if pixels == 4 * PIXELS {
            whole += 1;
        } else {
            (slow_tiles, slow_pixels) = (slow_tiles + members, slow_pixels + pixels);
        }
    }
    let passes = groups * output.channels.div_ceil(2);
    let (turns, steps) = if words.is_multiple_of(TURN) { (passes * words / TURN, 0) } else { (0, passes) };
    let counts = [
        1,
        groups,
        tiles,
        tiles * words,
        border,
        seen,
        seen * words,
        unseen * words,
        passes,
        turns,
        steps,
        steps * words,
        whole,
        whole * output.channels,
        slow_tiles * output.channels,
        slow_pixels * output.channels,
    ];
    counted(counts.map(|n: usize| n as u64))
}

/// Eight channels at a time, tap by tap; the weights of a tap are padded to four channels.
fn depthwise(step: &Step) -> Work {
    let geometry = &step.geometry;
    let (pixels, channels) = (geometry.output.pixels(), geometry.output.channels);
    let [rows, columns] = geometry.window.kernel.map(|n| n as isize);
    let taps = pixels * (rows * columns) as usize;
    let corners = geometry.corners().take(pixels);
    let seen =
        |from: isize, taps: isize, n: usize| (from..from + taps).filter(|at| (0..n as isize).contains(at)).count();
    let inside: usize =
        corners.map(|c| seen(c.row, rows, geometry.input.height) * seen(c.column, columns, geometry.input.width)).sum();
    let blocks = channels.div_ceil(8);
    let padded = taps * channels.next_multiple_of(4);
    let counts = [1, pixels, pixels * blocks, inside * blocks, (taps - inside) * blocks, padded, pixels * channels];
    counted(counts.map(|n| n as u64))
}

/// Two outputs at a time over the unpacked input.
fn dense(step: &Step) -> Work {
    let words = dense_bytes::words(step.geometry.input.size());
    let outputs = step.geometry.output.channels;
    let pairs = outputs.div_ceil(2);
    counted([1, words, pairs, pairs * (words / 4), pairs * (words % 4), outputs].map(|n| n as u64))
}

/// Pixel by pixel over each window, all channels of a pixel at once.
fn pool(step: &Step) -> Work {
    let geometry = &step.geometry;
    let (pixels, channels) = (geometry.output.pixels(), geometry.output.channels);
    let [rows, columns] = geometry.window.kernel;
    let taps = pixels * rows * columns;
    let counts = [1, pixels, pixels * rows, taps, taps * (channels / 4), taps * (channels % 4), pixels * channels];
    counted(counts.map(|n| n as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_by_hand() {
        // 4x4 image, 3x3 window, padding 1: the 4 windows in the middle lie inside; 12 touch the border.
        let nodes = "conv from=0 out=6 kernel=3x3 stride=1x1 padding=1x1 zero=0;logits from=1 out=2";
        let architecture = Architecture::parse("4x4x4", nodes).unwrap();
        let counts = work(&architecture.steps[0]);
        // 16 pixels, 4 groups, 3 pairs, 3 rows of 12 bytes: 18 words.
        assert_eq!(counts[..5], [1, 4, 12, 12 * 2, 12 * 2]);
        assert_eq!(counts[5..11], [0; 6]);
        assert_eq!(counts[11..14], [4, 12, 4 * 18]);
        // 36 rows of border windows: of the 4 that miss one row, 2 rows each lie inside, whole.
        assert_eq!(counts[14], 36);
        assert_eq!(counts[15], 36 * 6);
        // Windows over the middle columns at the top and the bottom: 4 with 2 rows inside.
        let joined = 36 - 8;
        // Of these, 20 have two of three columns of four channels on the image, the others nothing.
        assert_eq!(counts[16..], [joined, 0, joined * 12, 20, 20 * 2 * 4]);
        assert_eq!(work(&architecture.steps[1])[..6], [1, 48, 1, 12, 0, 2]);
    }

    #[test]
    fn work_of_tiles_is_counted_by_hand() {
        // 6x5 outputs: 3x3 tiles, of which the middle one of the first two columns sees the image alone; three groups.
        let nodes = "winograd from=0 out=3 padding=1x1 zero=0;logits from=1 out=2";
        let architecture = Architecture::parse("6x5x4", nodes).unwrap();
        let counts = work(&architecture.steps[0]);
        assert_eq!(counts[..5], [1, 3, 9, 18, 8]);
        // Four corners see 3x3, or 3x3 of 4 columns at the right: rows -1, 1, 3 by columns -1, 1, 3.
        let seen = (3 + 4 + 3) * (3 + 4 + 2) - 16;
        assert_eq!(counts[5..8], [seen, seen * 2, (8 * 16 - seen) * 2]);
        // Two words make no turn. Every group has a tile at the right, which is not whole, or too few.
        assert_eq!(counts[8..], [6, 0, 6, 12, 0, 0, 27, 90, 0, 0, 0, 0, 0]);
    }
}
