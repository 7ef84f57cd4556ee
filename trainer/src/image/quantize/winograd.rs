//! Which convolutions of an image network are stored with transformed weights, for `sirocco::layer::winograd`. They compute
//! the same bytes in fewer instructions, but take more flash and working memory: a budget decides.

use crate::image::quantize::forms::{Form, Integers, Layer, Quantised};
use sirocco::image::architecture::Architecture;
use sirocco::image::cost::{self, Processor};
use sirocco::image::plan::Plan;
use sirocco::layer::winograd;

/// Which convolutions are transformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transformed {
    /// None.
    #[default]
    Never,
    /// All that can be.
    Always,
    /// Those that save most instructions for each byte of the file, as long as the network stays within.
    Within(Budget),
}

/// What a board has for a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes for the file.
    pub flash: usize,
    /// Bytes for the arena.
    pub ram: usize,
}

/// What a network takes.
#[derive(Debug, Clone)]
pub struct Taken {
    flash: usize,
    ram: usize,
    /// Predicted instructions of every node on a Cortex-M4 with DSP instructions, and whether it can be transformed.
    nodes: Vec<(u64, bool)>,
}

impl Taken {
    /// A file of so many bytes with this architecture.
    pub fn new(flash: usize, architecture: &Architecture) -> Self {
        let steps = architecture.steps.iter();
        let nodes = steps.map(|s| (cost::instructions(s, Processor::Dsp), winograd::fits(&s.geometry))).collect();
        Taken { flash, ram: Plan::new(architecture).bytes(), nodes }
    }
}

/// Chooses; `taken` says what a network takes.
///
/// # Errors
/// What `taken` says.
pub fn choose<E>(
    quantised: &mut Quantised,
    which: Transformed,
    taken: impl Fn(&Quantised) -> Result<Taken, E>,
) -> Result<(), E> {
    if which == Transformed::Never {
        return Ok(());
    }
    let before = taken(quantised)?;
    // (saved instructions for each byte of the file, node) of those that can be transformed and save any.
    let mut gains = vec![];
    for (node, (instructions, _)) in before.nodes.iter().enumerate().filter(|(_, (_, fits))| *fits) {
        if !set(quantised, node, Form::Winograd) || which == Transformed::Always {
            continue;
        }
        let after = taken(quantised)?;
        set(quantised, node, Form::Direct);
        let saved = instructions.saturating_sub(after.nodes[node].0);
        if saved > 0 {
            gains.push((saved as f64 / (after.flash - before.flash).max(1) as f64, node));
        }
    }
    let Transformed::Within(budget) = which else { return Ok(()) };
    gains.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, node) in gains {
        set(quantised, node, Form::Winograd);
        let now = taken(quantised)?;
        if now.flash > budget.flash || now.ram > budget.ram {
            set(quantised, node, Form::Direct);
        }
    }
    Ok(())
}

/// Gives a convolution this form; false for other nodes.
fn set(quantised: &mut Quantised, node: usize, to: Form) -> bool {
    match &mut quantised.nodes[node].layer {
        Layer::Conv(form, ..) => {
            *form = to;
            true
        }
        _ => false,
    }
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

/// The tensor of a layer: (pairs of outputs, 16, words, 4), as `sirocco::layer::winograd` wants it.
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
