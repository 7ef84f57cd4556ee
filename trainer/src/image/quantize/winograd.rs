//! Which convolutions of an image network are stored with transformed weights, for `sirocco::layer::winograd`. They compute
//! the same bytes in fewer instructions, but take more flash and working memory: a budget decides.

use crate::image::quantize::forms::Integers;
use sirocco::image::architecture::{Architecture, Operation};
use sirocco::image::arena::Arena;
use sirocco::layer::winograd;
use sirocco_cost::Processor;

/// The convolutions that are stored with transformed weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transformed {
    /// No convolution.
    #[default]
    Never,
    /// All convolutions that can be.
    Always,
    /// Those that save most instructions for each byte of the file, as long as the network stays within the budget.
    Within(Budget),
}

/// The memory of a board that a network may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes for the file.
    pub flash: usize,
    /// Bytes for the arena.
    pub ram: usize,
}

/// Chooses the convolutions to transform. `file_size` returns the size of an architecture's file.
///
/// # Errors
/// The error of `file_size`.
pub fn choose<E>(
    architecture: &mut Architecture,
    which: Transformed,
    file_size: impl Fn(&Architecture) -> Result<usize, E>,
) -> Result<(), E> {
    let candidates = architecture.steps.iter().enumerate();
    let candidates = candidates.filter(|(_, s)| s.operation == Operation::Conv && winograd::fits(&s.geometry));
    let candidates: Vec<usize> = candidates.map(|(node, _)| node).collect();
    let budget = match which {
        Transformed::Never => return Ok(()),
        Transformed::Always => {
            for node in candidates {
                architecture.steps[node].operation = Operation::Winograd;
            }
            return Ok(());
        }
        Transformed::Within(budget) => budget,
    };
    let before = file_size(architecture)?;
    // (saved instructions for each additional byte of the file, node) of those that save any.
    let mut gains = vec![];
    for node in candidates {
        let instructions = |a: &Architecture| sirocco_cost::instructions(&a.steps[node], Processor::Dsp);
        let direct = instructions(architecture);
        architecture.steps[node].operation = Operation::Winograd;
        let saved = direct.saturating_sub(instructions(architecture));
        let more = file_size(architecture)?.saturating_sub(before);
        architecture.steps[node].operation = Operation::Conv;
        if saved > 0 {
            gains.push((saved as f64 / more.max(1) as f64, node));
        }
    }
    gains.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, node) in gains {
        architecture.steps[node].operation = Operation::Winograd;
        if file_size(architecture)? > budget.flash || Arena::new(architecture).bytes() > budget.ram {
            architecture.steps[node].operation = Operation::Conv;
        }
    }
    Ok(())
}

/// U = G g G' of an output's weights (3, 3, channels): 16 places, row by row, of as many channels.
pub fn transformed(weight: &[i8]) -> Vec<[i16; 16]> {
    let channels = weight.len() / 9;
    let along = |[a, b, c]: [i16; 3]| [2 * a, a + b + c, a - b + c, 2 * c];
    let of_channel = |channel: usize| {
        let g = |row: usize, column: usize| i16::from(weight[(3 * row + column) * channels + channel]);
        let columns = [0, 1, 2].map(|j| along([g(0, j), g(1, j), g(2, j)]));
        let rows = [0, 1, 2, 3].map(|i| along(columns.map(|column| column[i])));
        std::array::from_fn(|k| rows[k / 4][k % 4])
    };
    (0..channels).map(of_channel).collect()
}

/// The tensor of a layer: (pairs of outputs, 16, words, 4), as `sirocco::layer::winograd` reads it.
pub fn packed(integers: &Integers) -> (Vec<usize>, Vec<i16>) {
    let outputs: Vec<_> = integers.weight.iter().map(|weight| transformed(weight)).collect();
    let none = vec![[0; 16]; outputs[0].len()];
    let mut values = vec![];
    for pair in outputs.chunks(2) {
        let (a, b) = (&pair[0], pair.get(1).unwrap_or(&none));
        for k in 0..16 {
            for c in (0..a.len()).step_by(4) {
                for [i, j] in [[c, c + 2], [c + 1, c + 3]] {
                    values.extend([a[i][k], a[j][k], b[i][k], b[j][k]]);
                }
            }
        }
    }
    (vec![outputs.len().div_ceil(2), 16, none.len() / 2, 4], values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_transformed_by_hand() {
        // Two channels: all ones, and 127 in the last corner.
        let weight: Vec<i8> = (0..9).flat_map(|k| [1, if k == 8 { 127 } else { 0 }]).collect();
        let [ones, corner] = transformed(&weight)[..] else { panic!("two channels") };
        assert_eq!(ones, [4, 6, 2, 4, 6, 9, 3, 6, 2, 3, 1, 2, 4, 6, 2, 4]);
        assert_eq!(corner, [0, 0, 0, 0, 0, 127, 127, 254, 0, 127, 127, 254, 0, 254, 254, 508]);
    }
}
