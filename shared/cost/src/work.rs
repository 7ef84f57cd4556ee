//! How often the loops of a node do each kind of work. The names of the kinds are those of `tests/costs.csv`.
//!
//! What is done per channel pair, per turn of the inner loop, or per word has a cost of its own each, so that a fit finds
//! what loops cost to begin and to repeat.

use crate::costs::Costs;
use sirocco::image::architecture::{Operation, Step};
use sirocco::layer::pack::PIXELS;
use sirocco::layer::tiles::PLACES;
use sirocco::layer::{conv, dense_bytes, winograd};

/// Words that the inner loops of convolutions take per turn; each word that is left of a row of weights costs more.
const TURN: usize = 8;

/// The work of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The operation of the node, by which its costs are found.
    pub operation: Operation,
    /// How often it does each kind of work, by the name of the kind. Every node of an operation has the same kinds, in
    /// the same order.
    pub counts: Vec<(&'static str, u64)>,
}

impl Work {
    /// Counts the work of a node as its loops do it.
    pub fn of(step: &Step) -> Self {
        let counts = match step.operation {
            Operation::Conv => convolution(step),
            Operation::Winograd => winograd(step),
            Operation::Depthwise => depthwise(step),
            Operation::Dense | Operation::Logits | Operation::Values => dense(step),
            Operation::Max | Operation::Average => pool(step),
            Operation::Add => add(step),
        };
        let counts = counts.into_iter().map(|(kind, count)| (kind, count as u64)).collect();
        // Values are a dense layer's outputs, to the instruction.
        let operation = if step.operation == Operation::Values { Operation::Dense } else { step.operation };
        Work { operation, counts }
    }

    /// The instructions for this work.
    pub fn cost(&self, costs: &Costs) -> u64 {
        let thousandths = |(kind, count): &(&str, u64)| count * u64::from(costs.thousandths(self.operation, kind));
        self.counts.iter().map(thousandths).sum::<u64>() / 1000
    }
}

/// Counts with the names of their kinds.
type Counts = Vec<(&'static str, usize)>;

/// Windows are unpacked four at a time; each pair of channels passes over every four.
fn convolution(step: &Step) -> Counts {
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
    vec![
        ("node", 1),
        ("fast groups", fast),
        ("fast pairs", fast * pairs),
        ("fast turns", fast * pairs * (words / TURN)),
        ("fast words", fast * pairs * (words % TURN)),
        ("slow groups", slow),
        ("slow pairs", slow * pairs),
        ("slow turns", slow * pairs * (words / TURN)),
        ("slow words", slow * pairs * (words % TURN)),
        ("slow odd words", slow * pairs * (words % 2)),
        ("slow outputs", slow_pixels * output.channels),
        ("inside windows", inside),
        ("inside rows", inside * kernel[0]),
        ("inside words", inside * words),
        ("border rows", direct + joined),
        ("border words", (direct + joined) * (run / 2)),
        ("joined rows", joined),
        ("filled bytes", if color { 0 } else { joined * run }),
        ("filled color bytes", if color { joined * run } else { 0 }),
        ("copies", copies),
        ("copied bytes", copied),
    ]
}

/// Tiles are transformed four at a time, those at the border put together first; each pair of channels passes over every
/// four.
fn winograd(step: &Step) -> Counts {
    let geometry = &step.geometry;
    let (words, output) = (winograd::words(geometry), geometry.output);
    let (mut tiles, mut border, mut inside_pixels, mut outside_pixels) = (0, 0, 0, 0);
    // Of the DSP kernel's fast path: four tiles that lie inside the output.
    let (mut groups, mut whole, mut slow_tiles, mut slow_pixels) = (0, 0, 0, 0);
    let mut corners = winograd::tiles(geometry).peekable();
    while corners.peek().is_some() {
        let (mut members, mut pixels) = (0, 0);
        for corner in corners.by_ref().take(PIXELS) {
            let inside = winograd::pixels(geometry, corner).flatten().count();
            if inside < PLACES {
                border += 1;
                inside_pixels += inside;
                outside_pixels += PLACES - inside;
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
    let pairs = groups * output.channels.div_ceil(2);
    // Rows that are no whole number of turns go word by word.
    let (turns, stepped) = if words.is_multiple_of(TURN) { (pairs * words / TURN, 0) } else { (0, pairs) };
    vec![
        ("node", 1),
        ("groups", groups),
        ("tiles", tiles),
        ("tile words", tiles * words),
        ("border tiles", border),
        ("inside pixels", inside_pixels),
        ("inside words", inside_pixels * words),
        ("outside words", outside_pixels * words),
        ("pairs", pairs),
        ("turns", turns),
        ("stepped pairs", stepped),
        ("stepped words", stepped * words),
        ("whole groups", whole),
        ("whole outputs", whole * output.channels),
        ("slow tiles", slow_tiles * output.channels),
        ("slow outputs", slow_pixels * output.channels),
    ]
}

/// Eight channels at a time, tap by tap; the weights of a tap are padded to four channels.
fn depthwise(step: &Step) -> Counts {
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
    vec![
        ("node", 1),
        ("pixels", pixels),
        ("blocks", pixels * blocks),
        ("inside taps", inside * blocks),
        ("outside taps", (taps - inside) * blocks),
        ("weights", taps * channels.next_multiple_of(4)),
        ("outputs", pixels * channels),
    ]
}

/// Two outputs at a time over the unpacked input.
fn dense(step: &Step) -> Counts {
    let words = dense_bytes::words(step.geometry.input.size());
    let outputs = step.geometry.output.channels;
    let pairs = outputs.div_ceil(2);
    vec![
        ("node", 1),
        ("words", words),
        ("pairs", pairs),
        ("turns", pairs * (words / 4)),
        ("rest words", pairs * (words % 4)),
        ("outputs", outputs),
    ]
}

/// Pixel by pixel over each window, all channels of a pixel at once.
fn pool(step: &Step) -> Counts {
    let geometry = &step.geometry;
    let (pixels, channels) = (geometry.output.pixels(), geometry.output.channels);
    let [rows, columns] = geometry.window.kernel;
    let taps = pixels * rows * columns;
    vec![
        ("node", 1),
        ("pixels", pixels),
        ("rows", pixels * rows),
        ("taps", taps),
        ("fours", taps * (channels / 4)),
        ("rest", taps * (channels % 4)),
        ("outputs", pixels * channels),
    ]
}

/// Four elements at a time.
fn add(step: &Step) -> Counts {
    let elements = step.geometry.output.size();
    vec![("node", 1), ("fours", elements / 4), ("rest", elements % 4)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use sirocco::image::architecture::Architecture;

    #[test]
    fn work_is_counted_by_hand() {
        // 4x4 image, 3x3 window, padding 1: the 4 windows in the middle lie inside; 12 touch the border.
        let nodes = "conv from=0 out=6 kernel=3x3 stride=1x1 padding=1x1 zero=0;logits from=1 out=2";
        let architecture = Architecture::parse("4x4x4", nodes).unwrap();
        let Work { counts, .. } = Work::of(&architecture.steps[0]);
        // 16 pixels, 4 groups, 3 pairs, 3 rows of 12 bytes: 18 words.
        let fast = [("fast groups", 4), ("fast pairs", 12), ("fast turns", 12 * 2), ("fast words", 12 * 2)];
        assert_eq!((counts[0], &counts[1..5]), (("node", 1), &fast[..]));
        assert!(counts[5..11].iter().all(|(kind, count)| kind.starts_with("slow") && *count == 0), "{counts:?}");
        assert_eq!(counts[11..14], [("inside windows", 4), ("inside rows", 12), ("inside words", 4 * 18)]);
        // 36 rows of border windows: of the 4 that miss one row, 2 rows each lie inside, whole.
        assert_eq!(counts[14..16], [("border rows", 36), ("border words", 36 * 6)]);
        // Windows over the middle columns at the top and the bottom: 4 with 2 rows inside.
        let joined = 36 - 8;
        let filled = [("joined rows", joined), ("filled bytes", 0), ("filled color bytes", joined * 12)];
        assert_eq!(counts[16..19], filled);
        // Of these, 20 have two of three columns of four channels on the image, the others nothing.
        assert_eq!(counts[19..], [("copies", 20), ("copied bytes", 20 * 2 * 4)]);
        let dense = [("node", 1), ("words", 48), ("pairs", 1), ("turns", 12), ("rest words", 0), ("outputs", 2)];
        assert_eq!(Work::of(&architecture.steps[1]).counts, dense);
    }

    #[test]
    fn work_of_tiles_is_counted_by_hand() {
        // 6x5 outputs: 3x3 tiles, of which the middle one of the first two columns sees the image alone; three groups.
        let nodes = "winograd from=0 out=3 padding=1x1 zero=0;logits from=1 out=2";
        let architecture = Architecture::parse("6x5x4", nodes).unwrap();
        let Work { counts, .. } = Work::of(&architecture.steps[0]);
        assert_eq!(counts[..5], [("node", 1), ("groups", 3), ("tiles", 9), ("tile words", 18), ("border tiles", 8)]);
        // Four corners see 3x3, or 3x3 of 4 columns at the right: rows -1, 1, 3 by columns -1, 1, 3.
        let inside = (3 + 4 + 3) * (3 + 4 + 2) - 16;
        let outside_words = ("outside words", (8 * 16 - inside) * 2);
        assert_eq!(counts[5..8], [("inside pixels", inside), ("inside words", inside * 2), outside_words]);
        // Two words make no turn. Every group has a tile at the right, which is not whole, or too few.
        assert_eq!(counts[8..12], [("pairs", 6), ("turns", 0), ("stepped pairs", 6), ("stepped words", 12)]);
        let outputs = [("whole groups", 0), ("whole outputs", 0), ("slow tiles", 27), ("slow outputs", 90)];
        assert_eq!(counts[12..], outputs);
    }
}
