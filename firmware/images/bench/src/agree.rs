//! Compares the DSP kernel with the portable one on random words, of every length up to a few iterations of the loops.

use crate::random::Random;
use semihosting::println;
use sirocco::layer::kernel::{ImageLoops, Portable};
use sirocco::layer::pack::PIXELS;
use sirocco::layer::row_scale;
use sirocco::layer::rows::{Constants, RowLoops};
use sirocco::layer::tiles::{Column, PLACES, Sums, Tiles};
use sirocco::layer::weight::Weight;
use sirocco::limits::MAX_WIDTH;
use sirocco_dsp::Dsp;

/// Longest row: four iterations of the longest loop, and every remainder.
const LONGEST: usize = 21;
/// Depth of Winograd's tiles in words: two iterations of the longer loop, and some.
const DEPTH: usize = 18;
/// Draws per length.
const DRAWS: usize = 20;

/// Two unsigned bytes, packed as columns hold them.
fn pixels(random: &mut Random) -> u32 {
    random.word() & 0x00ff_00ff
}

/// Prints every difference.
pub fn check() {
    let mut random = Random(0x9e37_79b9);
    dense(&mut random);
    for length in 0..=LONGEST {
        for _ in 0..DRAWS {
            let weights: [u32; LONGEST] = core::array::from_fn(|_| random.word());
            let columns: [[u32; PIXELS]; LONGEST] =
                core::array::from_fn(|_| core::array::from_fn(|_| pixels(&mut random)));
            let column = columns.map(|pixels| pixels[0]);
            let weights = &weights[..length];
            let start: [[i32; PIXELS]; 2] = core::array::from_fn(|_| core::array::from_fn(|_| random.word() as i32));
            let (mut portable, mut dsp) = (start, start);
            Portable::block(weights, &columns, &mut portable);
            Dsp::block(weights, &columns, &mut dsp);
            let (mut portable_pair, mut dsp_pair) = ([start[0][0], start[1][0]], [start[0][0], start[1][0]]);
            Portable::pair(weights, &column, &mut portable_pair);
            Dsp::pair(weights, &column, &mut dsp_pair);
            let (mut a, b) = (columns.map(|p| p[1] as u8), columns.map(|p| (p[1] >> 16) as u8));
            let mut largest = a;
            Portable::max(&mut a[..length], &b);
            Dsp::max(&mut largest[..length], &b);
            let same = [(portable == dsp, "block"), (portable_pair == dsp_pair, "pair"), (a == largest, "max")];
            for (same, what) in same {
                if !same {
                    println!("mismatch {what} of {length}");
                }
            }
        }
    }
}

/// Layers of bundles, of every width, aligned and unaligned.
fn dense(random: &mut Random) {
    let weights: [u32; 2 * MAX_WIDTH + 2] = core::array::from_fn(|_| random.word());
    let x: [u32; MAX_WIDTH / 2 + 1] = core::array::from_fn(|_| random.word());
    let (bytes, halves, x): (&[i8], &[i16], &[i16]) =
        (bytemuck::cast_slice(&weights), bytemuck::cast_slice(&weights), bytemuck::cast_slice(&x));
    for n in 0..=MAX_WIDTH {
        for (at, x, rows) in (0..2).flat_map(|at| [(at, &x[..n], 4), (at, &x[1..n + 1], 4), (at, &x[..n], 3)]) {
            let (mut portable, mut dsp) = ([0; 4], [0; 4]);
            Portable::rows_i8(&bytes[at..at + rows * n], x, &mut portable[..rows]);
            Dsp::rows_i8(&bytes[at..at + rows * n], x, &mut dsp[..rows]);
            if portable != dsp {
                println!("mismatch rows_i8 of {n}");
            }
            Portable::rows_i16(&halves[at..at + rows * n], x, &mut portable[..rows]);
            Dsp::rows_i16(&halves[at..at + rows * n], x, &mut dsp[..rows]);
            if portable != dsp {
                println!("mismatch rows_i16 of {n}");
            }
            // Sums that overflow wrap, in both kernels alike.
            Portable::short_rows_i16(&halves[at..at + rows * n], x, &mut portable[..rows]);
            Dsp::short_rows_i16(&halves[at..at + rows * n], x, &mut dsp[..rows]);
            if portable != dsp {
                println!("mismatch short_rows_i16 of {n}");
            }
        }
    }
    tiles(random);
    floats(random);
    wide(random, bytes, halves);
    tanh(random);
    // Several blocks of four rows.
    for n in (8..=32).step_by(8) {
        let (mut portable, mut dsp) = ([0; 8], [0; 8]);
        Portable::rows_i8(&bytes[..8 * n], &x[..n], &mut portable);
        Dsp::rows_i8(&bytes[..8 * n], &x[..n], &mut dsp);
        let i8s = portable == dsp;
        Portable::rows_i16(&halves[..8 * n], &x[..n], &mut portable);
        Dsp::rows_i16(&halves[..8 * n], &x[..n], &mut dsp);
        let i16s = portable == dsp;
        Portable::short_rows_i16(&halves[..8 * n], &x[..n], &mut portable);
        Dsp::short_rows_i16(&halves[..8 * n], &x[..n], &mut dsp);
        if !(i8s && i16s && portable == dsp) {
            println!("mismatch rows of 8x{n}");
        }
    }
}

/// Winograd's tiles: transforms of any bytes, and products of any 16-bit numbers, in every depth up to a few iterations.
/// Output bytes are compared on whole networks.
fn tiles(random: &mut Random) {
    for words in 0..=DEPTH {
        let pixels: [u32; 8 * DEPTH + 1] = core::array::from_fn(|_| random.word());
        let weights: [[u32; 2]; PLACES * DEPTH] = core::array::from_fn(|_| [random.word(), random.word()]);
        let start: [Column; DEPTH] =
            core::array::from_fn(|_| core::array::from_fn(|_| core::array::from_fn(|_| random.word())));
        let (mut portable, mut dsp) = (start, start);
        let (input, channels) = (bytemuck::cast_slice(&pixels), 2 * words);
        Portable::transform(input, channels, 4 * channels + 1, words, &mut portable[..words]);
        Dsp::transform(input, channels, 4 * channels + 1, words, &mut dsp[..words]);
        let transforms = portable == dsp;
        let (mut portable, mut dsp) = (Sums::default(), Sums::default());
        Portable::places(&weights[..PLACES * words], &start[..words], &mut portable);
        Dsp::places(&weights[..PLACES * words], &start[..words], &mut dsp);
        if !(transforms && portable == dsp) {
            println!("mismatch tiles of {words}");
        }
    }
}

/// Rows on 32-bit activations, of every width.
fn wide(random: &mut Random, bytes: &[i8], halves: &[i16]) {
    let x: [i32; MAX_WIDTH] = core::array::from_fn(|_| random.word() as i32);
    for (n, rows) in (0..=MAX_WIDTH).flat_map(|n| (1..=4).map(move |rows| (n, rows))) {
        let (mut portable, mut dsp) = ([0; 4], [0; 4]);
        Portable::wide_i8(&bytes[1..1 + rows * n], &x[..n], &mut portable[..rows]);
        Dsp::wide_i8(&bytes[1..1 + rows * n], &x[..n], &mut dsp[..rows]);
        let i8s = portable == dsp;
        Portable::wide_i16(&halves[1..1 + rows * n], &x[..n], &mut portable[..rows]);
        Dsp::wide_i16(&halves[1..1 + rows * n], &x[..n], &mut dsp[..rows]);
        if !(i8s && portable == dsp) {
            println!("mismatch wide rows of {rows}x{n}");
        }
    }
}

/// Activations of all sizes, with any multipliers and biases that a file may have, for every width.
fn tanh(random: &mut Random) {
    let Some(largest) = row_scale::multiplier::<i8>(i8::LARGEST_SCALE) else { return println!("mismatch multiplier") };
    for n in 0..=MAX_WIDTH {
        let shift = random.word() % 24;
        let sums: [i32; MAX_WIDTH] = core::array::from_fn(|_| random.word() as i32 >> shift);
        let multiplier: [i32; MAX_WIDTH] =
            core::array::from_fn(|_| (random.word() as i32).saturating_abs().min(largest));
        let bias: [i32; MAX_WIDTH] = core::array::from_fn(|_| random.word() as i32 >> 1);
        let constants = Constants { multiplier: &multiplier[..n], bias: &bias[..n] };
        let (mut portable, mut dsp) = (sums, sums);
        Portable::tanh(&mut portable[..n], constants);
        Dsp::tanh(&mut dsp[..n], constants);
        let wide = portable == dsp;
        let (mut portable, mut dsp) = (sums, sums);
        Portable::narrow_tanh(&mut portable[..n], constants);
        Dsp::narrow_tanh(&mut dsp[..n], constants);
        let words = n.div_ceil(2);
        let narrow = portable[..words] == dsp[..words];
        let (mut portable, mut dsp) = (sums, sums);
        Portable::unpacked_tanh(&mut portable[..n], constants);
        Dsp::unpacked_tanh(&mut dsp[..n], constants);
        if !(wide && narrow && portable[..words] == dsp[..words]) {
            println!("mismatch tanh of {n}");
        }
    }
}

/// Floats of many magnitudes, summed in the order of a row.
fn floats(random: &mut Random) {
    let Some(four_rows) = Dsp::FOUR_ROWS_F32 else { return };
    // No infinities and no NaN: the bits of a NaN are not defined.
    let mut float = || f32::from_bits(random.word() & 0xbfff_ffff | 0x3000_0000);
    let weights: [f32; 4 * MAX_WIDTH] = core::array::from_fn(|_| float());
    let x: [f32; MAX_WIDTH] = core::array::from_fn(|_| float());
    for n in (8..=MAX_WIDTH).step_by(8) {
        let start: [f32; 4] = core::array::from_fn(|_| float());
        let (mut portable, mut dsp) = (start, start);
        for (row, sum) in weights.chunks_exact(n).zip(&mut portable) {
            for (w, x) in row.iter().zip(&x[..n]) {
                *sum += w * x;
            }
        }
        four_rows(&weights[..4 * n], &x[..n], &mut dsp);
        if portable.map(f32::to_bits) != dsp.map(f32::to_bits) {
            println!("mismatch floats of {n}");
        }
    }
}
