//! The network that suits pictures and a board: the widest of a family whose file, working memory and instructions are within what
//! the board has. Nothing is trained for this, so no image is looked at.

use super::export::{ImageExportError, Options, file_size};
use super::net::architecture::{Architecture, preset};
use super::net::error::NetworkError;
use super::net::network::{Network, Normalization};
use super::quantize::error::QuantizeError;
use super::quantize::forms::quantize;
use super::quantize::range::{Range, ranges};
use crate::host::names::UnknownName;
use candle_core::Device;
use sirocco::image::arena::Arena;
use sirocco_cost::Board;

/// Filters of the first layer, from the widest network to the narrowest.
const WIDTHS: [usize; 5] = [24, 16, 12, 8, 4];
/// Instructions for a picture beyond which a narrower network is taken: about half a second at 64 MHz.
const MOST_INSTRUCTIONS: u64 = 32_000_000;
/// Share of the board's RAM that the network may take; the rest holds samples.
const RAM_SHARE: f64 = 0.8;
/// Rows and columns of an input are multiples of this, as two poolings want it, and at least twice as many.
const STEP: usize = 4;

/// A network that fits a board, and what it takes.
#[derive(Debug, Clone)]
pub struct Sized {
    /// The network.
    pub architecture: Architecture,
    /// Bytes of its file, at most.
    pub flash: usize,
    /// Bytes of its working memory.
    pub ram: usize,
    /// Instructions for a picture.
    pub instructions: u64,
}

/// Why no network fits.
#[derive(Debug, thiserror::Error)]
pub enum SizingError {
    /// The smallest network takes too much.
    #[error(
        "even the smallest network for pictures of {height} x {width} takes {flash} bytes of flash and {ram} of RAM, and {board} has \
         {} and {}; choose a smaller --size, or another --board", .room[0], .room[1]
    )]
    TooLarge {
        /// The board.
        board: &'static str,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Bytes that the network takes.
        flash: usize,
        /// Bytes that the network takes.
        ram: usize,
        /// Bytes that the board has: flash, RAM.
        room: [usize; 2],
    },
    /// There is no such network.
    #[error(transparent)]
    Name(#[from] UnknownName),
    /// It cannot be built.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// It cannot be quantized.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// No device takes it.
    #[error(transparent)]
    Export(#[from] ImageExportError),
}

/// The input of a network for pictures of this shape (channels, rows, columns): of the same shape, no side longer than `longest`.
pub fn input([channels, height, width]: [usize; 3], longest: usize) -> [usize; 3] {
    let scale = (longest as f64 / height.max(width) as f64).min(1.0);
    let side = |side: usize| ((side as f64 * scale / STEP as f64).round() as usize).max(2) * STEP;
    [channels, side(height), side(width)]
}

/// The widest network of the family that fits the board.
///
/// # Errors
/// [`SizingError::TooLarge`] if none does.
pub fn choose(input: [usize; 3], classes: &[String], board: &Board) -> Result<Sized, SizingError> {
    let [channels, height, width] = input;
    let (mut smallest, mut refused) = (None, None);
    for filters in WIDTHS {
        let name = format!("compact{filters}-{channels}x{height}x{width}");
        let sized = match measure(preset(&name, classes.len())?, classes, board) {
            // More than any device takes: a narrower one may do.
            Err(error @ SizingError::Export(_)) => {
                refused = Some(error);
                continue;
            }
            measured => measured?,
        };
        let fits = sized.flash <= board.flash && sized.ram as f64 <= RAM_SHARE * board.ram as f64;
        if fits && sized.instructions <= MOST_INSTRUCTIONS {
            return Ok(sized);
        }
        smallest = Some((sized, fits));
    }
    match (smallest, refused) {
        (Some((sized, true)), _) => Ok(sized),
        (None, Some(refused)) => Err(refused),
        (smallest, _) => {
            let (flash, ram) = smallest.map_or((0, 0), |(sized, _)| (sized.flash, sized.ram));
            Err(SizingError::TooLarge { board: board.name, height, width, flash, ram, room: [board.flash, board.ram] })
        }
    }
}

/// What a network takes of a board: its integers are those of random weights, of which there are as many.
///
/// # Errors
/// [`SizingError`] if it cannot be built or no device takes it.
pub fn measure(architecture: Architecture, classes: &[String], board: &Board) -> Result<Sized, SizingError> {
    let channels = architecture.input[0];
    let normalization = Normalization { mean: vec![0.5; channels], deviation: vec![0.25; channels] };
    let graph = Network::random(&architecture, normalization, 0, &Device::Cpu)?.fold(classes)?;
    let image: Vec<f32> = (0..graph.input.size()).map(|k| (k % 7) as f32 / 7.0).collect();
    let integers = quantize(&graph, &ranges(&graph, &[&image[..]], Range::MinMax)?)?;
    let steps = integers.architecture().map_err(ImageExportError::from)?;
    let flash = file_size(&integers, &steps, usize::MAX, true, &Options::default())?;
    let instructions = sirocco_cost::total(&steps, board.processor);
    Ok(Sized { architecture, flash, ram: Arena::new(&steps).bytes(), instructions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sirocco_cost::BOARDS;

    fn classes(count: usize) -> Vec<String> {
        (0..count).map(|k| k.to_string()).collect()
    }

    #[test]
    fn inputs_have_the_pictures_shape() {
        assert_eq!(input([3, 32, 20], 32), [3, 32, 20]);
        assert_eq!(input([3, 3024, 4032], 32), [3, 24, 32]);
        assert_eq!(input([1, 28, 28], 32), [1, 28, 28]);
        assert_eq!(input([1, 5, 1000], 32), [1, 8, 32]);
    }

    #[test]
    fn every_board_gets_a_network_that_fits_and_a_larger_board_none_that_is_narrower() {
        let of = |name: &str| BOARDS.iter().find(|board| board.name == name).unwrap();
        for board in &BOARDS {
            let sized = choose([3, 32, 20], &classes(11), board).unwrap();
            assert!(sized.flash <= board.flash && sized.ram <= board.ram, "{}: {sized:?}", board.name);
        }
        let ram = |name: &str| choose([3, 32, 32], &classes(10), of(name)).unwrap().ram;
        assert!(ram("rpi-pico2") >= ram("stm32f405"));
        let error = choose([3, 128, 128], &classes(10), of("stm32f405")).unwrap_err().to_string();
        assert!(error.contains("stm32f405 has 131072 and 65536") && error.contains("--size"), "{error}");
    }
}
